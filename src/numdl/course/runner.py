"""Runner of experiments: how does an experiment become files and a verdict?"""

from __future__ import annotations

import importlib
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from numdl import __version__
from numdl.course.catalogue import settings_of, suggestion
from numdl.course.outcome import Experiment, Outcome

if TYPE_CHECKING:
    from rich.console import Console

SIZE = (11.0, 7.0)  # inches
RESOLUTION = 110  # dots per inch of the PNG


def find(name: str, registry: Mapping[str, str]) -> Experiment:
    """Module of an experiment.

    Args:
        name: a key of the registry.
        registry: name to path of a module.

    Returns:
        The module.

    Raises:
        ValueError: no experiment has that name.
    """
    if name not in registry:
        raise ValueError(f"experiment({name!r}): unknown name. {suggestion(name, registry)}")
    return cast(Experiment, importlib.import_module(registry[name]))


def run_experiment(
    name: str,
    experiment: Experiment,
    out: str | os.PathLike[str],
    *,
    quick: bool = False,
    random_state: int = 0,
    settings: Mapping[str, str | float] | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Run an experiment, print its claims, write its files.

    Args:
        name: of the files.
        experiment: what to run.
        out: folder, made if it does not exist.
        quick: the small version.
        random_state: seed, not negative.
        settings: name to value of declared parameters; claims are made for the defaults, and judged all the same.
        console: where to print; standard output if not given.

    Returns:
        ``experiment``, ``title``, ``quick``, ``random_state``, ``settings``, ``version``, ``numbers``, ``claims``,
        ``passed``.

    Raises:
        ValueError: the seed is no seed, or a setting is none.
        OSError: the folder cannot be made or written; raised before anything is computed.
    """
    from rich.console import Console

    if random_state < 0:
        raise ValueError(f"experiment({name!r}, random_state={random_state}): needs a seed >= 0. Use 0.")
    chosen = settings_of(name, experiment, settings or {})
    folder = prepare_folder(out, f"experiment({name!r})")
    console = console or Console()
    console.print(f"{name}: {experiment.TITLE}", markup=False, highlight=False, style="bold", soft_wrap=True)
    if chosen:
        told = ", ".join(f"{key} = {value:g}" for key, value in chosen.items())
        console.print(f"with {told}; claims were made for the defaults", markup=False, highlight=False, soft_wrap=True)
    outcome = experiment.run(quick, random_state, **chosen)
    record = {
        "experiment": name,
        "title": experiment.TITLE,
        "quick": quick,
        "random_state": random_state,
        "settings": chosen,
        "version": __version__,
        "numbers": plain(outcome.numbers),
        "claims": [claim._asdict() for claim in outcome.claims],
        "passed": all(claim.holds for claim in outcome.claims),
    }
    written = [folder / f"{name}.{ending}" for ending in ("json", "svg", "png")]
    written[0].write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    _draw(name, experiment.TITLE, outcome, written[1:])
    _print(outcome, written, console)
    return record


def prepare_folder(out: str | os.PathLike[str], call: str) -> Path:
    """Make a folder for results, or refuse.

    Args:
        out: the folder; missing parents are made.
        call: the call to name in an error.

    Returns:
        Its path.

    Raises:
        OSError: a file has that name, or it cannot be made or written.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise FileExistsError(f"{call}: {str(out)!r} is a file, needs a folder. Choose another name.") from None
    except OSError as error:
        raise type(error)(
            f"{call}: cannot make the folder {str(out)!r} ({error.strerror}). Choose another place."
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{call}: the folder {str(out)!r} cannot be written. Choose another place.")
    return folder


def plain(value: Any) -> Any:
    """The value in JSON types: NumPy becomes Python, what is not finite becomes None.

    Args:
        value: nested mappings, sequences, arrays, numbers, text.

    Returns:
        The same with JSON types.

    Raises:
        TypeError: something else is inside.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"plain({type(value).__name__}): no JSON type. Give numbers, text, lists and dicts.")


def _draw(name: str, title: str, outcome: Outcome, paths: list[Path]) -> None:
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from numdl.plots.canvas import CYCLE, STYLE

    # The same file for the same numbers: no date, no random identifiers.
    with mpl.rc_context({**STYLE, "axes.prop_cycle": cycler(color=CYCLE), "svg.hashsalt": name}):
        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasAgg(figure)
        outcome.draw(figure)
        figure.suptitle(title, fontsize=12)
        for path in paths:
            ending = path.suffix[1:]
            buffer = io.BytesIO()
            figure.savefig(buffer, format=ending, dpi=RESOLUTION, metadata={"Date": None} if ending == "svg" else None)
            path.write_bytes(buffer.getvalue())
            figure.set_layout_engine("none")  # what was laid out once stays where it is


def _print(outcome: Outcome, written: list[Path], console: Console) -> None:
    from rich.text import Text

    for claim in outcome.claims:
        verdict = ("pass ", "green") if claim.holds else ("FAIL ", "bold red")
        console.print(Text.assemble(verdict, f"{claim.sentence}: {claim.measured}"), soft_wrap=True)
    console.print(Text(f"written: {', '.join(str(path) for path in written)}", style="dim"), soft_wrap=True)
