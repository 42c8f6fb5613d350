"""Command-line interface.

Which commands and options does ``numdl`` understand? What they do stands in a module of their own, loaded on use.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="numdl",
    help="Fit the model that suits a table, with nothing to tune.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
experiments = typer.Typer(help="List and run the experiments of the course.", no_args_is_help=True)
app.add_typer(experiments, name="experiment")
course = typer.Typer(help="Show the course in the browser, or write it as a website.")
app.add_typer(course, name="course")


def _show_version(wanted: bool) -> None:
    if wanted:
        from numdl import __version__

        typer.echo(f"numdl {__version__}")
        raise typer.Exit


@app.callback()
def _all(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print tracebacks (also NUMDL_DEBUG=1).")] = False,
) -> None:
    pass


@app.command()
def fit(
    data: Annotated[Path, typer.Argument(help="Table: CSV, Excel, Parquet, MAT, ... or -.", show_default=False)],
    target: Annotated[list[str], typer.Option(help="Column to predict; several times, or a pattern 'y*', y0:y9.")],
    task: Annotated[str, typer.Option(help="auto, regression or classification.")] = "auto",
    model: Annotated[
        str, typer.Option(help="auto, resnet, mlp, single-layer, linear, random-features or kernel.")
    ] = "auto",
    out: Annotated[Path, typer.Option(help="Folder for model, report and summary.")] = Path("run"),
    time: Annotated[str | None, typer.Option(help="Time for the training: 60, 60s, 5m, 1h.", metavar="TIME")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in the folder.")] = False,
    test: Annotated[float, typer.Option(help="Share of the rows held out to measure the error.")] = 0.1,
    validation: Annotated[
        float | None,
        typer.Option(help="Share of the rows held out to watch the error.", show_default="0.1 for networks, else 0"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split and the random starts.", min=0)] = 0,
    width: Annotated[
        str,
        typer.Option(help="Units of the flow, of each layer (32,16), or random features.", metavar="INT[,INT...]|auto"),
    ] = "auto",
    depth: Annotated[str, typer.Option(help="Steps of the flow.", metavar="INT|auto")] = "auto",
    levels: Annotated[
        int | None, typer.Option(help="Depths to train on in turn, each twice the one before; needs --depth.")
    ] = None,
    final_time: Annotated[float | None, typer.Option("--T", help="Final time of the flow.")] = None,
    dynamics: Annotated[str, typer.Option(help="Right-hand side of the flow: plain, antisymmetric, ...")] = "auto",
    damping: Annotated[
        float | None, typer.Option(help="Rate of damping of antisymmetric or contractive dynamics.")
    ] = None,
    scheme: Annotated[str | None, typer.Option(help="Steps of the flow: euler, heun, rk4, ...")] = None,
    alpha: Annotated[str, typer.Option(help="Regularisation parameter.", metavar="FLOAT|auto")] = "auto",
    restarts: Annotated[str, typer.Option(help="Random starts that predict together.", metavar="INT|auto")] = "auto",
    max_iter: Annotated[int | None, typer.Option(help="Iterations of each start at most.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float64 or float32.", show_default="float64")] = None,
    inputs: Annotated[list[str] | None, typer.Option(help="Input columns, also patterns: 'T*', T0:T9.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Columns to leave out, also patterns.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="Columns that are categories, whatever they hold.")] = None,
    na: Annotated[list[str] | None, typer.Option(help="What stands for a missing entry, such as -999.")] = None,
    missing: Annotated[
        str, typer.Option(help="Missing entries: refuse, drop (their rows), impute (median and indicator).")
    ] = "refuse",
    dates: Annotated[str, typer.Option(help="Dates: drop, elapsed (days), cyclic (day and year).")] = "drop",
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether the first line holds names.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Column that says how much each row counts.")] = None,
    split: Annotated[
        str, typer.Option(help="Rows held out: random, time (the last), group:COLUMN, file:TEST.csv.")
    ] = "random",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Train the model that suits a table, or the one you name; write model and report.

    Exit codes: 0 done, 1 something cannot be used, 130 interrupted (the best model is saved).
    """
    from numdl.cli.options import FitOptions, number_or_auto, seconds, widths_or_auto

    options = FitOptions(
        target=tuple(target),
        task=task,
        model=model,
        time=seconds(time),
        test=test,
        validation=validation,
        seed=seed,
        width=widths_or_auto(width),
        depth=number_or_auto("--depth", depth, int),
        levels=levels,
        T=final_time,
        dynamics=None if dynamics == "auto" else dynamics,
        damping=damping,
        scheme=scheme,
        alpha=number_or_auto("--alpha", alpha, float),
        restarts=number_or_auto("--restarts", restarts, int),
        max_iter=max_iter,
        dtype=dtype,
        inputs=tuple(inputs or ()),
        drop=tuple(drop or ()),
        text=tuple(text or ()),
        na=tuple(na or ()),
        header=header,
        missing=missing,
        dates=dates,
        weights=weights,
        split=split,
    )
    from numdl.cli.fit import run_fit

    raise typer.Exit(run_fit(data, options, out, resume=resume, overwrite=overwrite, quiet=quiet))


@app.command()
def look(
    data: Annotated[Path, typer.Argument(help="Table: CSV, Excel, Parquet, MAT, ... or -.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="File for a page.")] = None,
    na: Annotated[list[str] | None, typer.Option(help="What stands for a missing entry, such as -999.")] = None,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether the first line holds names.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it exists.")] = False,
) -> None:
    """Say what a table holds, what is wrong with it, and which command to run next."""
    from numdl.cli.look import run_look

    run_look(data, out, na=tuple(na or ()), header=header, overwrite=overwrite)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Folder that numdl fit wrote, or the model in it.")],
    data: Annotated[Path, typer.Argument(help="Table with the columns of the training.")],
    out: Annotated[
        Path | None, typer.Option(help="File for the predictions, .csv or .parquet; standard output if not given.")
    ] = None,
    std: Annotated[bool, typer.Option("--std", help="Add a standard deviation for each target.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Copy the columns of the table before the predictions.")] = False,
    outside: Annotated[
        bool, typer.Option("--outside", help="Add a column: 1 where a row lies outside the training rows.")
    ] = False,
) -> None:
    """Predict the rows of a table with a trained model.

    In CSV, names and labels that begin with =, +, - or @ get an apostrophe in front, so that no spreadsheet runs them;
    numbers stay numbers.
    """
    from numdl.cli.predict import run_predict

    written = run_predict(model, data, out, std=std, overwrite=overwrite, keep=keep, outside=outside)
    if written is not None:
        typer.echo(f"Predictions  {written}")


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="Folder that numdl fit wrote, or the model in it.")],
    to: Annotated[str, typer.Option(help="numpy, c, onnx or matlab.")] = "numpy",
    out: Annotated[
        Path | None, typer.Option(help="File for the function.", show_default="model.py, .c, .onnx or .m in the folder")
    ] = None,
    std: Annotated[
        str, typer.Option(help="Standard deviations: yes, no, or auto, where they need at most a million numbers.")
    ] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a trained model as a function in another language, which needs no numdl."""
    from numdl.cli.export import run_export

    written = run_export(model, to, out, std=std, overwrite=overwrite)
    typer.echo(f"Function     {written}")


@app.command()
def select(
    data: Annotated[Path, typer.Argument(help="Table: CSV, Excel, Parquet, MAT, ... or -.", show_default=False)],
    target: Annotated[list[str], typer.Option(help="Column of numbers to predict; may be given several times.")],
    out: Annotated[Path, typer.Option(help="File for the page.")] = Path("selection.html"),
    operator: Annotated[
        str, typer.Option(help="What is penalised: identity, difference, gradient or laplacian of the coefficients.")
    ] = "identity",
    noise: Annotated[
        float | None, typer.Option(help="Standard deviation of the target's error.", show_default="estimated")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the folds.", min=0)] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it exists.")] = False,
) -> None:
    """Compare the criteria that choose the penalty of a linear model, and recommend one."""
    from numdl.cli.select import run_select

    run_select(data, tuple(target), out, operator=operator, noise=noise, seed=seed, overwrite=overwrite)


@app.command()
def check(
    model: Annotated[Path, typer.Argument(help="Folder that numdl fit wrote, or the model in it.")],
    data: Annotated[
        Path | None, typer.Argument(help="Table with the columns of the training.", show_default="normal samples")
    ] = None,
    out: Annotated[Path, typer.Option(help="File for the page.")] = Path("check.html"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it exists.")] = False,
) -> None:
    """Say whether a trained residual network is stable, and what to change."""
    from numdl.cli.check import run_check

    run_check(model, data, out, overwrite=overwrite)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder that numdl fit wrote, or the summary in it.")],
    out: Annotated[Path | None, typer.Option(help="File for the page; the run's report if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Make the report page of a run again and print its path."""
    from numdl.cli.report import run_report

    typer.echo(run_report(run, out, overwrite=overwrite))


@app.command()
def info(run: Annotated[Path, typer.Argument(help="Folder that numdl fit wrote, or the summary in it.")]) -> None:
    """Say what a run is: scores, facts, the command that made it, and its files."""
    from numdl.cli.info import run_info

    run_info(run)


@app.command()
def demo(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets; all if none is given.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pages.")] = Path("demo"),
) -> None:
    """Train on data that come with numdl."""
    from numdl.cli.course import run_demonstration

    run_demonstration(names or [], out)


@experiments.command("list")
def list_experiments() -> None:
    """Print the name of each experiment and what it shows."""
    from numdl.cli.course import print_names

    print_names()


@experiments.command("run")
def run_experiment(
    name: Annotated[str, typer.Argument(help="One of `numdl experiment list`.")],
    out: Annotated[Path, typer.Option(help="Folder for figures and numbers.")] = Path("experiments"),
    quick: Annotated[bool, typer.Option("--quick", help="A small version that takes seconds.")] = False,
) -> None:
    """Run one experiment: it computes, checks its own claims, draws and writes its numbers."""
    from numdl.cli.course import run_one

    raise typer.Exit(run_one(name, out, quick=quick))


@course.callback(invoke_without_command=True)
def show_course(
    context: typer.Context,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the pages in a browser.")] = True,
) -> None:
    """Show the interactive course on this machine; Ctrl-C ends it."""
    if context.invoked_subcommand is None:
        from numdl.cli.course import show_pages

        show_pages(browser=browser)


@course.command("build")
def build_course(
    out: Annotated[Path, typer.Option(help="Folder for the website.")] = Path("site"),
) -> None:
    """Write the course as a website that works from any folder or web server."""
    from numdl.cli.course import build_pages

    typer.echo(f"Course  {build_pages(out)}")
