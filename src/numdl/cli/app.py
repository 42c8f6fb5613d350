"""Command-line interface.

Which commands and options does ``numdl`` understand? What they do stands in a module of their own, loaded on use.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from numdl.cli import completion as words
from numdl.cli.app_course import course, experiments, references
from numdl.cli.completion import one_of
from numdl.cli.help import App
from numdl.cli.reading import Dates, Drop, Given, Header, Inputs, Missing, Na, Sheet, Tables, Words

app = App(
    example="numdl look data.csv",
    name="numdl",
    help="Fit the model that suits a table, with nothing to tune.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
SEVERAL = {"allow_extra_args": True}
"""For commands whose table may be the rows of several files: the first is DATA, and the context has the others."""

app.add_typer(experiments, name="experiment")
app.add_typer(course, name="course")
app.add_typer(references, name="reference")


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


@app.command(
    short_help="Fit the model that suits a table.",
    example="numdl fit data.csv --target price --out run",
    context_settings=SEVERAL,
)
def fit(
    ctx: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(
            help="Table: CSV, Excel, Parquet, MAT, ... or -; several are joined. Images: folder of classes, IDX, .npz.",
            show_default=False,
            metavar="DATA",
        ),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(help="Column to predict; several times, or a pattern 'y*', y0:y9.", metavar="COLUMN"),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels of images in IDX, such as train-labels-idx1-ubyte.gz.", metavar="FILE")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Size to which pictures are brought.", metavar="HEIGHTxWIDTH")
    ] = None,
    task: Annotated[
        str, typer.Option(help=f"{words.listed(words.TASKS)}.", metavar="KIND", autocompletion=one_of(*words.TASKS))
    ] = "auto",
    model: Annotated[
        str,
        typer.Option(
            help=f"{words.listed(words.TABLE_MODELS)}; of images {words.listed(words.IMAGE_MODELS)}.",
            metavar="NAME",
            autocompletion=one_of(*words.TABLE_MODELS, *words.IMAGE_MODELS),
        ),
    ] = "auto",
    out: Annotated[Path, typer.Option(help="Folder for model, report and summary.", metavar="FOLDER")] = Path("run"),
    time: Annotated[str | None, typer.Option(help="Time for the training: 60, 60s, 5m, 1h.", metavar="TIME")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in the folder.")] = False,
    test: Annotated[
        float, typer.Option(help="Share of the rows held out to measure the error.", metavar="SHARE")
    ] = 0.1,
    validation: Annotated[
        float | None,
        typer.Option(
            help="Share of the rows held out to watch the error.",
            show_default="0.1 for networks, else 0",
            metavar="SHARE",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split and the random starts.", min=0, metavar="INT")] = 0,
    width: Annotated[
        str,
        typer.Option(help="Units of the flow, of each layer (32,16), or random features.", metavar="INT[,INT...]|auto"),
    ] = "auto",
    depth: Annotated[str, typer.Option(help="Steps of the flow.", metavar="INT|auto")] = "auto",
    levels: Annotated[
        int | None,
        typer.Option(help="Depths to train on in turn, each twice the one before; needs --depth.", metavar="INT"),
    ] = None,
    final_time: Annotated[float | None, typer.Option("--T", help="Final time of the flow.", metavar="FLOAT")] = None,
    dynamics: Annotated[
        str,
        typer.Option(
            help=f"Right-hand side of the flow: {words.listed(words.DYNAMICS)}.",
            metavar="NAME",
            autocompletion=one_of("auto", *words.DYNAMICS),
        ),
    ] = "auto",
    damping: Annotated[
        float | None, typer.Option(help="Rate of damping of antisymmetric or contractive dynamics.", metavar="FLOAT")
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(
            help=f"Steps of the flow: {words.listed(words.SCHEMES)}.",
            metavar="NAME",
            autocompletion=one_of(*words.SCHEMES),
        ),
    ] = None,
    alpha: Annotated[str, typer.Option(help="Regularisation parameter.", metavar="FLOAT|auto")] = "auto",
    loss: Annotated[
        str,
        typer.Option(
            help="squared, or pseudo-huber where some targets hold gross errors.",
            metavar="NAME",
            autocompletion=one_of(*words.LOSSES),
        ),
    ] = "squared",
    restarts: Annotated[str, typer.Option(help="Random starts that predict together.", metavar="INT|auto")] = "auto",
    max_iter: Annotated[int | None, typer.Option(help="Iterations of each start at most.", metavar="INT")] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help=f"{words.listed(words.DTYPES)}.",
            show_default="float64",
            metavar="NAME",
            autocompletion=one_of(*words.DTYPES),
        ),
    ] = None,
    inputs: Inputs = None,
    drop: Drop = None,
    text: Words = None,
    na: Na = None,
    missing: Missing = "refuse",
    dates: Dates = "drop",
    header: Header = None,
    sheet: Sheet = None,
    weights: Annotated[
        str | None, typer.Option(help="Column that says how much each row counts.", metavar="COLUMN")
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            help="Rows held out: random, time (the last by a column of dates), group:COLUMN, file:TEST.csv, "
            "file:TEST.xlsx:SHEET.",
            metavar="HOW",
        ),
    ] = "random",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Train the model that suits a table, or the one you name; write model and report.

    Exit codes: 0 done, 1 something cannot be used, 130 interrupted (the best model is saved).
    """
    from numdl.cli.options import FitOptions, number_or_auto, seconds, sides, widths_or_auto
    from numdl.data.read.pictures import kind_of_images
    from numdl.data.read.several import joined

    file = joined([data, *map(Path, ctx.args)])
    images = labels is not None or size is not None or kind_of_images(file)
    options = FitOptions(
        target=tuple(target or ()),
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
        loss=loss,
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
        sheet=sheet,
        labels=None if labels is None else str(labels),
        size=sides(size),
    )
    if images:
        from numdl.cli.images import run_fit_images as run_fit
    else:
        from numdl.cli.fit import run_fit

    raise typer.Exit(run_fit(file, options, out, resume=resume, overwrite=overwrite, quiet=quiet))


@app.command(
    short_help="Say what a table holds and what is wrong.",
    example="numdl look data.xlsx",
    context_settings=SEVERAL,
)
def look(
    ctx: typer.Context,
    data: Tables,
    out: Annotated[Path | None, typer.Option(help="File for a page.", metavar="FILE")] = None,
    na: Na = None,
    header: Header = None,
    sheet: Sheet = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it exists.")] = False,
) -> None:
    """Say what a table holds, what is wrong with it, and which command to run next."""
    from numdl.cli.look import run_look
    from numdl.data.read.several import joined

    run_look(
        joined([data, *map(Path, ctx.args)]), out, na=tuple(na or ()), header=header, sheet=sheet, overwrite=overwrite
    )


@app.command(
    short_help="Predict the rows of a table.",
    example="numdl predict run new.csv --std --out predictions.csv",
    context_settings=SEVERAL,
)
def predict(
    ctx: typer.Context,
    model: Annotated[Path, typer.Argument(help="Folder that numdl fit wrote, or the model in it.", metavar="MODEL")],
    data: Annotated[
        Path, typer.Argument(help="Table with the columns of the training; pictures likewise.", metavar="DATA")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="File for the predictions, .csv or .parquet; standard output if not given.", metavar="FILE"),
    ] = None,
    std: Annotated[bool, typer.Option("--std", help="Add a standard deviation for each target.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Copy the columns of the table before the predictions.")] = False,
    na: Na = None,
    header: Header = None,
    sheet: Sheet = None,
    outside: Annotated[
        bool, typer.Option("--outside", help="Add a column: 1 where a row lies outside the training rows.")
    ] = False,
) -> None:
    """Predict the rows of a table with a trained model.

    In CSV, names and labels that begin with =, +, - or @ get an apostrophe in front, so that no spreadsheet runs them;
    numbers stay numbers.
    """
    from numdl.cli.predict import run_predict
    from numdl.data.read.several import joined

    given = Given(tuple(na or ()), header, sheet)
    written = run_predict(
        model,
        joined([data, *map(Path, ctx.args)]),
        out,
        std=std,
        overwrite=overwrite,
        keep=keep,
        outside=outside,
        given=given,
    )
    if written is not None:
        typer.echo(f"Predictions  {written}")


@app.command(short_help="Write a model in C, NumPy, ONNX or MATLAB.", example="numdl export run --to c --out model.c")
def export(
    model: Annotated[Path, typer.Argument(help="Folder that numdl fit wrote, or the model in it.", metavar="MODEL")],
    to: Annotated[
        str,
        typer.Option(
            help=f"{words.listed(words.LANGUAGES)}.", metavar="LANGUAGE", autocompletion=one_of(*words.LANGUAGES)
        ),
    ] = "numpy",
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the function.", show_default="model.py, .c, .onnx or .m in the folder", metavar="FILE"
        ),
    ] = None,
    std: Annotated[
        str,
        typer.Option(
            help="Standard deviations: yes, no, or auto, where they need at most a million numbers; a share to 0.1, "
            "such as 0.001, for some that may be too large by it and need fewer numbers.",
            metavar="yes|no|auto|SHARE",
            autocompletion=one_of("yes", "no", "auto"),
        ),
    ] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a trained model as a function in another language, which needs no numdl."""
    from numdl.cli.export import run_export

    written = run_export(model, to, out, std=std, overwrite=overwrite)
    typer.echo(f"Function     {written}")


@app.command(
    short_help="Compare the criteria that choose alpha.",
    example="numdl select data.csv --target price",
    context_settings=SEVERAL,
)
def select(
    ctx: typer.Context,
    data: Tables,
    target: Annotated[
        list[str], typer.Option(help="Column of numbers to predict; may be given several times.", metavar="COLUMN")
    ],
    out: Annotated[Path, typer.Option(help="File for the page.", metavar="FILE")] = Path("selection.html"),
    operator: Annotated[
        str,
        typer.Option(
            help=f"What is penalised: {words.listed(words.OPERATORS)} of the coefficients.",
            metavar="NAME",
            autocompletion=one_of(*words.OPERATORS),
        ),
    ] = "identity",
    noise: Annotated[
        float | None,
        typer.Option(help="Standard deviation of the target's error.", show_default="estimated", metavar="FLOAT"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the folds.", min=0, metavar="INT")] = 0,
    inputs: Inputs = None,
    drop: Drop = None,
    text: Words = None,
    na: Na = None,
    missing: Missing = "refuse",
    dates: Dates = "drop",
    header: Header = None,
    sheet: Sheet = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it exists.")] = False,
) -> None:
    """Compare the criteria that choose the penalty of a linear model, and recommend one."""
    from numdl.cli.options import FitOptions
    from numdl.cli.select import run_select
    from numdl.data.read.several import joined

    options = FitOptions(
        target=tuple(target),
        task="regression",
        seed=seed,
        inputs=tuple(inputs or ()),
        drop=tuple(drop or ()),
        text=tuple(text or ()),
        na=tuple(na or ()),
        header=header,
        missing=missing,
        dates=dates,
        sheet=sheet,
    )
    run_select(joined([data, *map(Path, ctx.args)]), options, out, operator=operator, noise=noise, overwrite=overwrite)


@app.command(
    short_help="Say whether a residual network or a model of images is stable.",
    example="numdl check run data.csv",
)
def check(
    model: Annotated[Path, typer.Argument(help="Folder that numdl fit wrote, or the model in it.", metavar="MODEL")],
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Table with the columns of the training, or images.", show_default="random samples", metavar="DATA"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="File for the page.", metavar="FILE")] = Path("check.html"),
    labels: Annotated[
        Path | None, typer.Option(help="Labels of images in IDX, such as t10k-labels-idx1-ubyte.gz.", metavar="FILE")
    ] = None,
    na: Na = None,
    header: Header = None,
    sheet: Sheet = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it exists.")] = False,
) -> None:
    """Say whether a trained residual network is stable, and what to change.

    Of a model of images it says how many stay right after changes of a length, by trial and by proof: numdl check run
    t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz
    """
    from numdl.cli.check import run_check

    run_check(model, data, out, overwrite=overwrite, given=Given(tuple(na or ()), header, sheet), labels=labels)


@app.command(short_help="Make the page of a run again.", example="numdl report run")
def report(
    run: Annotated[Path, typer.Argument(help="Folder that numdl fit wrote, or the summary in it.", metavar="RUN")],
    out: Annotated[
        Path | None, typer.Option(help="File for the page; the run's report if not given.", metavar="FILE")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Make the report page of a run again and print its path."""
    from numdl.cli.report import run_report

    typer.echo(run_report(run, out, overwrite=overwrite))


@app.command(short_help="Say what a run is, and what made it.", example="numdl info run")
def info(
    run: Annotated[Path, typer.Argument(help="Folder that numdl fit wrote, or the summary in it.", metavar="RUN")],
) -> None:
    """Say what a run is: scores, facts, the command that made it, and its files."""
    from numdl.cli.info import run_info

    run_info(run)


@app.command(example="numdl demo peaks")
def demo(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets; all if none is given.", metavar="NAMES")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pages.", metavar="FOLDER")] = Path("demo"),
) -> None:
    """Train on data that come with numdl."""
    from numdl.cli.course import run_demonstration

    run_demonstration(names or [], out)
