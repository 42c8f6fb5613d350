"""Command-line interface of the course.

Which commands and options do ``numdl course``, ``numdl experiment`` and ``numdl reference`` understand?
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from numdl.cli import completion
from numdl.cli.help import App

experiments = App(
    example="numdl experiment list", help="List and run the experiments of the course.", no_args_is_help=True
)
course = App(
    example="numdl course",
    help="Show the course in the browser, write it as a website, hand out and check assignments.",
)
references = App(example="numdl reference list", help="Show numbers to compare other codes with.", no_args_is_help=True)


@experiments.command("list", example="numdl experiment list")
def list_experiments() -> None:
    """Print the name of each experiment, its minutes and what it shows, by lecture."""
    from numdl.cli.course import print_names

    print_names()


@experiments.command("run", example="numdl experiment run spiral-ode --quick")
def run_experiment(
    name: Annotated[
        str,
        typer.Argument(help="One of `numdl experiment list`.", metavar="NAME", autocompletion=completion.experiments),
    ],
    out: Annotated[Path, typer.Option(help="Folder for figures and numbers.", metavar="FOLDER")] = Path("experiments"),
    quick: Annotated[bool, typer.Option("--quick", help="A small version that takes seconds.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter, such as noise=0.01; several times.", metavar="NAME=VALUE"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn.", min=0, metavar="INT")] = 0,
) -> None:
    """Run one experiment: it computes, checks its own claims, draws and writes its numbers."""
    from numdl.cli.course import run_one

    raise typer.Exit(run_one(name, out, quick=quick, seed=seed, settings=settings or ()))


@experiments.command("show", example="numdl experiment show spiral-ode")
def show_experiment(
    name: Annotated[
        str,
        typer.Argument(help="One of `numdl experiment list`.", metavar="NAME", autocompletion=completion.experiments),
    ],
) -> None:
    """Print what an experiment is about, and which parameters `--set` knows."""
    from numdl.cli.course import print_experiment

    print_experiment(name)


@course.callback(invoke_without_command=True)
def show_course(
    context: typer.Context,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the pages in a browser.")] = True,
) -> None:
    """Show the interactive course on this machine; Ctrl-C ends it."""
    if context.invoked_subcommand is None:
        from numdl.cli.course import show_pages

        show_pages(browser=browser)


@course.command("build", example="numdl course build --out site", short_help="Write the course as a website.")
def build_course(
    out: Annotated[Path, typer.Option(help="Folder for the website.", metavar="FOLDER")] = Path("site"),
) -> None:
    """Write the course as a website that works from any folder or web server."""
    from numdl.cli.course import build_pages

    typer.echo(f"Course  {build_pages(out)}")


@course.command("list", short_help="List the assignments.", example="numdl course list")
def list_assignments() -> None:
    """Print the name of each assignment, what it asks, and its pages."""
    from numdl.cli.assignments import print_assignments

    print_assignments()


@course.command(
    "start", short_help="Write an assignment to fill in.", example="numdl course start softmax --dir homework"
)
def start_assignment(
    name: Annotated[
        str, typer.Argument(help="One of `numdl course list`.", metavar="NAME", autocompletion=completion.assignments)
    ],
    folder: Annotated[Path, typer.Option("--dir", help="Folder for the two files.", metavar="FOLDER")] = Path("."),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of these names.")] = False,
) -> None:
    """Write an assignment: NAME.py with functions to fill in, NAME.md with what is asked."""
    from numdl.cli.assignments import start

    start(name, folder, overwrite=overwrite)


@course.command(
    "check",
    short_help="Check a submission and name its mistakes.",
    example="numdl course check softmax.py --student anna",
)
def check_assignment(
    file: Annotated[
        Path,
        typer.Argument(help="Program, notebook or folder; with --answers a NAME.", show_default=False, metavar="FILE"),
    ],
    student: Annotated[str, typer.Option(help="Whose data are drawn.", metavar="ID")] = "",
    task: Annotated[
        str,
        typer.Option(
            help="Name of the assignment.",
            show_default="by file name and functions",
            metavar="NAME",
            autocompletion=completion.assignments,
        ),
    ] = "",
    answers: Annotated[
        Path | None, typer.Option(help="Answers of another language: .csv, .mat or .npz.", metavar="FILE")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="File for the marks of a folder, .csv or .html.", metavar="FILE")
    ] = None,
    allow: Annotated[
        str | None,
        typer.Option(help="Packages that may be imported, such as numpy,jax.", metavar="NAMES"),
    ] = None,
    seconds: Annotated[float, typer.Option("--time", help="Seconds that a call may take.", metavar="FLOAT")] = 10.0,
    memory: Annotated[int, typer.Option(help="Megabytes that a program may take.", metavar="INT")] = 1024,
    points: Annotated[bool, typer.Option("--points", help="Show points.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Check a submission: what passed, what was expected, which mistake it looks like, which page says why.

    It runs in a process of its own with limits on time and memory. Imports of numdl, scikit-learn, scipy.optimize and
    of what the task asks for are refused by reading the program. That is a convention, not a sandbox: grade programs of
    people you do not trust in a container. Exit codes: 0 all passed, 1 some failed, 2 could not be run.
    """
    from numdl.cli.assignments import check, rules_of

    rules = rules_of(allow, seconds, memory)
    form = "json" if as_json else "points" if points else "text"
    code = check(file, student=student, task=task, answers=answers, table=table, rules=rules, form=form)
    raise typer.Exit(code)


@course.command(
    "data",
    short_help="Write data for other languages.",
    example="numdl course data softmax --student anna --out task.mat",
)
def write_assignment_data(
    name: Annotated[
        str, typer.Argument(help="One of `numdl course list`.", metavar="NAME", autocompletion=completion.assignments)
    ],
    out: Annotated[Path, typer.Option(help="File: .npz, .mat or .csv.", metavar="FILE")],
    student: Annotated[str, typer.Option(help="Whose data are drawn.", metavar="ID")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Write the data of one student for other languages, and say which answers are wanted back."""
    from numdl.cli.assignments import write_data

    write_data(name, student, out, overwrite=overwrite)


@course.command(
    "answers",
    short_help="Answer key for teachers.",
    example="numdl course answers softmax",
)
def write_answers(
    name: Annotated[
        str,
        typer.Argument(
            help="An assignment; without one the key of all pages is written.",
            metavar="NAME",
            show_default=False,
            autocompletion=completion.assignments,
        ),
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder for the key of all pages.", metavar="FOLDER")] = Path("answers"),
) -> None:
    """Print the program that solves an assignment, or write the course with the answers to all its exercises."""
    from numdl.cli.assignments import answer

    typer.echo(answer(name, out))


@references.command("list", example="numdl reference list")
def list_references() -> None:
    """Print the name of each reference result and what it is about."""
    from numdl.cli.reference import print_references

    print_references()


@references.command("show", example="numdl reference show peaks")
def show_reference(
    name: Annotated[
        str, typer.Argument(help="One of `numdl reference list`.", metavar="NAME", autocompletion=completion.references)
    ],
    json: Annotated[bool, typer.Option("--json", help="Print the file, for programs.")] = False,
) -> None:
    """Print setting, values, tolerances, sources, and the command that regenerates them."""
    from numdl.cli.reference import print_reference

    print_reference(name, json=json)


@references.command("check", example="numdl reference check peaks")
def check_reference(
    name: Annotated[
        str, typer.Argument(help="One of `numdl reference list`.", metavar="NAME", autocompletion=completion.references)
    ],
) -> None:
    """Recompute values that take seconds and compare; exit code 1 if one is off."""
    from numdl.cli.reference import recompute

    raise typer.Exit(recompute(name))
