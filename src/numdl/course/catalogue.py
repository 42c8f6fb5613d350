"""Catalogue of experiments: what is there to say about each before any of them is imported?

Titles are read from the files as text: importing them all takes seconds. Parameters are declared in a module as
``PARAMETERS``; whoever runs or shows one experiment imports that one.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from numdl.course.outcome import Experiment, Parameter

HERE = Path(__file__).parent
LECTURES = {
    "linear": "1 Linear models",
    "nonlinear": "2 Nonlinear models",
    "dynamics": "3 Networks as differential equations",
    "control": "3 Training as optimal control",
}
TITLE = re.compile(r'^TITLE = (".*")$', re.MULTILINE)


Minutes = tuple[float | None, float | None]


class Entry(NamedTuple):
    """One experiment.

    Attributes:
        name: its key.
        lecture: a value of ``LECTURES``.
        title: one line.
        minutes: CPU time of the small and of the full version; None where it was not measured.
    """

    name: str
    lecture: str
    title: str
    minutes: Minutes


def entries(registry: Mapping[str, str], minutes: Mapping[str, Minutes]) -> list[Entry]:
    """Every experiment, lecture by lecture.

    Args:
        registry: name to path of a module below ``numdl.course``.
        minutes: what is known of their time, by name.

    Returns:
        In the order of the lectures, within one in that of the registry.

    Raises:
        ValueError: a module has no title in one line.
    """
    found = [_entry(name, module, minutes.get(name, (None, None))) for name, module in registry.items()]
    order = list(LECTURES.values())
    return sorted(found, key=lambda entry: order.index(entry.lecture))


def declared(module: str) -> dict[str, Parameter]:
    """Parameters of an experiment, read from its file: nothing is imported.

    Args:
        module: its path below ``numdl.course``.

    Returns:
        Name to parameter; its ``PARAMETERS`` are written out.
    """
    for node in ast.parse(_source(module).read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name("PARAMETERS")], value=ast.Dict(keys, values)):
                calls = zip(keys, values, strict=True)
                return {
                    ast.literal_eval(key): Parameter(*map(ast.literal_eval, value.args))
                    for key, value in calls
                    if key is not None and isinstance(value, ast.Call)
                }
    return {}


def _source(module: str) -> Path:
    return HERE.joinpath(*module.split(".")[2:]).with_suffix(".py")


def _entry(name: str, module: str, minutes: Minutes) -> Entry:
    path = _source(module)
    title = TITLE.search(path.read_text(encoding="utf-8"))
    if title is None:
        raise ValueError(f'experiment({name!r}): {path.name} has no line TITLE = "...". Give it one.')
    return Entry(name, LECTURES[path.parent.name], ast.literal_eval(title.group(1)), minutes)


def suggestion(wanted: str, known: Iterable[str]) -> str:
    """What to say after an unknown name: the nearest known one, or all.

    Args:
        wanted: as it was given.
        known: names that exist.

    Returns:
        One sentence.
    """
    known = list(known)
    near = difflib.get_close_matches(str(wanted).lower().replace("_", "-"), known, 1)
    return f"Did you mean {near[0]!r}?" if near else f"Use one of {', '.join(known)}."


def settings_of(name: str, experiment: Experiment, given: Mapping[str, str | float]) -> dict[str, float]:
    """Numbers for the declared parameters of an experiment.

    Args:
        name: of the experiment, for errors.
        experiment: the module.
        given: name to number, or to its text.

    Returns:
        Name to number, whole where the default is; those that were not given are left out.

    Raises:
        ValueError: a name is not declared, a text is no number, or a number is out of its bounds.
    """
    declared: dict[str, Parameter] = getattr(experiment, "PARAMETERS", {})
    found: dict[str, float] = {}
    for key, value in given.items():
        if key not in declared:
            hint = suggestion(key, declared) if declared else "It has no parameters: leave it out."
            raise ValueError(f"experiment({name!r}, {key}={value}): unknown parameter. {hint}")
        parameter = declared[key]
        try:
            number = int(value) if isinstance(parameter.default, int) else float(value)
        except ValueError:
            number = float("nan")
        if not parameter.least <= number <= parameter.most:
            kind = "a whole number" if isinstance(parameter.default, int) else "a number"
            raise ValueError(
                f"experiment({name!r}, {key}={value}): needs {kind} from {parameter.least:g} to {parameter.most:g}, "
                f"{parameter.meaning}. The default is {parameter.default:g}."
            )
        found[key] = number
    return found
