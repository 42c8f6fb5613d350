"""Commands ``numdl demo``, ``numdl experiment`` and ``numdl course``.

How do the commands of the course reach its experiments and its pages?
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from numdl import course
from numdl.cli.errors import DONE, MISTAKE, UserError, blame_input
from numdl.contracts.compilation_cache import compilation_cache


def run_demonstration(names: Sequence[str], out: Path) -> None:
    """Train on embedded data and write a page.

    Args:
        names: data sets; all if empty.
        out: folder for the pages.

    Raises:
        UserError: a name is unknown, or the folder cannot be written.
    """
    compilation_cache()
    from numdl.course.demo.run import run_demo

    with blame_input():
        run_demo(list(names), out, Console())


def print_names() -> None:
    """Print each experiment with one line about it."""
    lines = course.names()
    width = max(map(len, lines), default=0)
    for name, line in lines.items():
        Console().print(Text.assemble((f"{name:<{width}}", "bold"), "  ", line), soft_wrap=True)


def run_one(name: str, out: Path, *, quick: bool) -> int:
    """Run an experiment.

    Args:
        name: its name.
        out: folder for figures and numbers.
        quick: a small version.

    Returns:
        The exit code: 0, or 1 if a claim of the experiment failed.

    Raises:
        UserError: the name is unknown, or the folder cannot be written.
    """
    if name not in course.REGISTRY:
        raise UserError(f"there is no experiment {name!r}; use one of {', '.join(course.REGISTRY)}.")
    compilation_cache()
    with blame_input(OSError):
        result = course.run(name, out, quick=quick)
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
