"""Commands ``numdl demo``, ``numdl experiment`` and ``numdl course``.

How do the commands of the course reach its experiments and its pages?
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

from numdl import course
from numdl.cli.errors import DONE, MISTAKE, UserError, blame_input


def run_demonstration(names: Sequence[str], out: Path) -> None:
    """Train on embedded data and write a page.

    Args:
        names: data sets; all if empty.
        out: folder for the pages.

    Raises:
        UserError: a name is unknown, or the folder cannot be written.
    """
    from rich.console import Console

    from numdl.contracts.compilation_cache import compilation_cache

    compilation_cache()
    from numdl.course.demo.run import run_demo

    with blame_input():
        run_demo(list(names), out, Console())


def print_names() -> None:
    """Print each experiment with one line about it and its minutes, by lecture; nothing heavy is imported."""
    from numdl.course.catalogue import entries

    found = entries(course.REGISTRY, course.MINUTES)
    width = max((len(entry.name) for entry in found), default=0)
    lecture = None
    print(f"{'':<{width + 2}}  CPU minutes, --quick and full")
    for entry in found:
        if entry.lecture != lecture:
            print(f"\n{entry.lecture}" if lecture else entry.lecture)
            lecture = entry.lecture
        small, full = ("" if value is None else f"{value:.1f}" for value in entry.minutes)
        print(f"  {entry.name:<{width}}  {small:>4} {full:>5}  {entry.title}")


def print_experiment(name: str) -> None:
    """Print what an experiment is about, and which parameters it has.

    Args:
        name: its name.

    Raises:
        UserError: the name is unknown.
    """
    from numdl.course.runner import find

    with blame_input():
        experiment = find(name, course.REGISTRY)
    print(f"{name}: {experiment.TITLE}\n\n{(experiment.__doc__ or '').strip()}\n")
    for key, parameter in getattr(experiment, "PARAMETERS", {}).items():
        bounds = f"{parameter.least:g} to {parameter.most:g}"
        print(f"  --set {key}={parameter.default:g}  {parameter.meaning}, {bounds}")
    print(f"  --seed 0  of what is drawn\n\nnumdl experiment run {name}")


def run_one(name: str, out: Path, *, quick: bool, seed: int = 0, settings: Sequence[str] = ()) -> int:
    """Run an experiment.

    Args:
        name: its name.
        out: folder for figures and numbers.
        quick: a small version.
        seed: of what is drawn.
        settings: ``NAME=VALUE`` of declared parameters.

    Returns:
        The exit code: 0, or 1 if a claim of the experiment failed.

    Raises:
        UserError: the name or a setting is unknown, or the folder cannot be written.
    """
    from numdl.contracts.compilation_cache import compilation_cache
    from numdl.course.at_once import compile_at_once
    from numdl.course.catalogue import suggestion

    if name not in course.REGISTRY:
        raise UserError(f"there is no experiment {name!r}. {suggestion(name, course.REGISTRY)}")
    pairs = [text.partition("=") for text in settings]
    wrong = [text for text, (key, sign, value) in zip(settings, pairs, strict=True) if not (key and sign and value)]
    if wrong:
        raise UserError(f"--set {wrong[0]}: needs NAME=VALUE, such as noise=0.01; see numdl experiment show {name}.")
    chosen = {key.strip(): value.strip() for key, _, value in pairs}
    compilation_cache()
    before = gc.get_threshold()
    if quick:
        compile_at_once()
        gc.set_threshold(100_000, 50, 100)  # tracing makes many small objects that live on: a tenth of the time
    try:
        with blame_input():
            result = course.run(name, out, quick=quick, random_state=seed, settings=chosen)
    finally:
        gc.set_threshold(*before)
    return DONE if result["passed"] else MISTAKE


def show_pages(*, browser: bool) -> None:
    """Serve the pages of the course on this machine until Ctrl-C.

    Args:
        browser: whether a browser is opened.

    Raises:
        UserError: no port is free, or no temporary folder can be written.
    """
    from numdl.course.site.serve import serve

    # Whoever reads the address from a pipe waits for it.
    with blame_input(OSError):
        serve(lambda line: print(line, flush=True), browser=browser)


def build_pages(out: Path) -> Path:
    """Write the pages of the course as a website.

    Args:
        out: folder; empty, or with an earlier site.

    Returns:
        The page with the table of contents.

    Raises:
        UserError: the folder holds something else, or cannot be written.
    """
    from numdl.course.site.build import build

    with blame_input():
        return build(out)
