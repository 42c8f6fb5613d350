"""Demonstration on five small data sets.

What does training without any tuning give on five small data sets, next to a linear model and to no model?
"""

from __future__ import annotations

import dataclasses
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.demo.data import DEMOS, DemoSet
from numdl.course.runner import prepare_folder

if TYPE_CHECKING:
    from rich.console import Console

TIME_BUDGET = 10.0
"""Seconds that training on one data set may take."""


class DemoRow(NamedTuple):
    """One line of the result table.

    Attributes:
        name: of the data set.
        title: what is learned from what.
        rows: samples, training and held out together.
        columns: inputs.
        task: ``"regression"`` or ``"classification"``.
        measure: what the errors are: ``"RMSE"`` or ``"% wrong"``.
        unit: of the targets, or empty.
        error: of numdl on the held-out rows.
        linear: of ridge or logistic regression on the same rows.
        trivial: of predicting the mean, or the most frequent class.
        seconds: that training took, compilation included.
        model: that was chosen.
        status: why the training ended.
        page: file name of the report page.
    """

    name: str
    title: str
    rows: int
    columns: int
    task: str
    measure: str
    unit: str
    error: float
    linear: float
    trivial: float
    seconds: float
    model: str
    status: str
    page: str


def run_demo(
    names: Sequence[str],
    out: str | os.PathLike[str],
    console: Console | None = None,
    *,
    time_budget: float = TIME_BUDGET,
) -> list[DemoRow]:
    """Train with plain defaults, print one table, write a page for each data set and an index of them.

    Args:
        names: keys of ``DEMOS``; all if empty.
        out: folder for the pages, made if it does not exist.
        console: where to print; standard output if not given.
        time_budget: seconds of training for each data set.

    Returns:
        One row for each data set.

    Raises:
        ValueError: a name is unknown.
        OSError: the folder cannot be made or written. Both are raised before anything is trained.
    """
    from rich.console import Console
    from rich.text import Text

    from numdl.course.demo.page import result_table, write_index

    names = list(dict.fromkeys(names)) or list(DEMOS)
    unknown = [name for name in names if name not in DEMOS]
    if unknown:
        raise ValueError(f"demo({unknown[0]!r}): unknown data set. Use any of {', '.join(DEMOS)}, or none for all.")
    folder = prepare_folder(out, "demo")
    console = console or Console()
    rows = []
    for position, name in enumerate(names):
        data = DEMOS[name]()
        console.print(Text(f"[{position + 1}/{len(names)}] {data.title}", style="bold"), soft_wrap=True)
        rows.append(_train(name, data, folder, console, time_budget))
        if rows[-1].status == "interrupted":
            break
    console.print(result_table(rows))
    index = folder / "index.html"
    write_index(rows, index)
    console.print(Text(f"Page with all reports: {index}"), soft_wrap=True)
    if rows[-1].status == "interrupted":
        raise KeyboardInterrupt
    return rows


def baselines(data: DemoSet) -> dict[str, float]:
    """Held-out errors of a linear model with cross-validated penalty, and of no model.

    Args:
        data: both parts.

    Returns:
        ``linear`` and ``trivial``: root mean square error, or percent of wrong classes.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if data.task == "regression":
        model, trivial = RidgeCV(np.logspace(-6, 4, 21)), np.full(len(data.y_test), data.y.mean())
    else:
        values, counts = np.unique(data.y, return_counts=True)
        model, trivial = LogisticRegression(max_iter=300), np.full(len(data.y_test), values[counts.argmax()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a baseline that stops early is no news here
        linear = make_pipeline(StandardScaler(), model).fit(data.x, data.y).predict(data.x_test)
    return {"linear": error(data, linear), "trivial": error(data, trivial)}


def error(data: DemoSet, prediction: np.ndarray) -> float:
    """Root mean square error on the held-out rows, or percent of wrong classes.

    Args:
        data: both parts.
        prediction: of the held-out rows, (v,).

    Returns:
        In the unit of the targets, or percent.
    """
    if data.task == "classification":
        return 100 * float(np.mean(prediction != data.y_test))
    return float(np.sqrt(np.mean((prediction - data.y_test) ** 2)))


def _train(name: str, data: DemoSet, folder: Path, console: Console, time_budget: float) -> DemoRow:
    from sklearn.exceptions import ConvergenceWarning

    from numdl.estimators import AutoRegressor, ResNetClassifier
    from numdl.report import ProgressLine, ScoreRow, print_status, write_page

    model: Any
    began = time.perf_counter()
    with warnings.catch_warnings(), ProgressLine(console, every=50) as line:
        warnings.simplefilter("ignore", ConvergenceWarning)  # the status says it
        if data.task == "regression":
            model = AutoRegressor(time_budget=time_budget, random_state=0).fit(data.x, data.y)
        else:
            model = ResNetClassifier(time_budget=time_budget, random_state=0)
            model.fit(data.x, data.y, observe=lambda record: _show(line, record))
    seconds = time.perf_counter() - began
    print_status(model.status_, console)
    errors = {"own": error(data, model.predict(data.x_test)), **baselines(data)}
    measure = "% wrong" if data.task == "classification" else "RMSE"
    linear, trivial = {
        "regression": ("ridge regression", "mean of the targets"),
        "classification": ("logistic regression", "most frequent class"),
    }[data.task]
    scores = [("numdl", "own"), (linear, "linear"), (trivial, "trivial")]
    base = model.summary(data.x_test, data.y_test)
    summary = dataclasses.replace(
        base,
        title=data.title,
        scores=tuple(ScoreRow(name=label, test=errors[key]) for label, key in scores),
        score_name=f"{measure} ({data.unit})" if data.unit else measure,
        facts={"Rows": f"{len(data.x):,} to train on, {len(data.x_test):,} held out", **base.facts},
    )
    page = f"{name}.html"
    write_page(summary, folder / page)
    return DemoRow(
        name,
        data.title,
        len(data.x) + len(data.x_test),
        data.x.shape[1],
        data.task,
        measure,
        data.unit,
        errors["own"],
        errors["linear"],
        errors["trivial"],
        seconds,
        _described(model),
        model.status_.code,
        page,
    )


def _described(model: Any) -> str:
    """What was chosen: the heaviest members of a mixture, or the network."""
    if hasattr(model, "weights_"):
        return ", ".join([name for name, weight in model.weights_[0].items() if weight >= 0.1][:3])
    count = len(model.members_)
    return model.architecture_.title + (f", {count} starts" if count > 1 else "")


def _show(line: Any, record: dict[str, Any]) -> None:
    names = ("train_error", "alpha", "damping", "seconds", "seconds_left")
    line.update(record["iteration"], record["objective"], **{name: record.get(name) for name in names})
