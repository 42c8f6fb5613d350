"""Measures of a fit.

Which numbers follow from a summary: the errors that count, residuals, confusion, layer norms, coverage, slopes?
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numdl.plots.wording import finite, number, short
from numdl.report.calibration import HUGE, coverage
from numdl.report.summary import FitSummary, ScoreRow


class Judgement(NamedTuple):
    """The errors of the network and its baselines on the same rows; ``None`` where not known."""

    part: str
    own: float | None
    train: float | None
    linear: float | None
    linear_name: str
    trivial: float | None
    trivial_name: str


def judge(summary: FitSummary) -> Judgement:
    """The network against its baselines on the test rows, else the validation rows, else the training rows."""
    own: ScoreRow = {}
    linear: ScoreRow = {}
    trivial: ScoreRow = {}
    for row in summary.scores:
        name = str(row.get("name", "")).lower()
        if any(word in name for word in ("mean of", "most frequent", "majority")):
            trivial = trivial or row
        elif not name.startswith("numdl") and any(word in name for word in ("ridge", "linear", "logistic")):
            linear = linear or row
        elif not own or (name.startswith("numdl") and not str(own.get("name", "")).lower().startswith("numdl")):
            own = row
    part = next((p for p in ("test", "validation", "train") if finite(own.get(p)) is not None), "train")
    return Judgement(
        part=part,
        own=finite(own.get(part)),
        train=finite(own.get("train")),
        linear=finite(linear.get(part)),
        linear_name=str(linear.get("name", "ridge")),
        trivial=finite(trivial.get(part)),
        trivial_name=str(trivial.get("name", "trivial model")),
    )


def column(summary: FitSummary, name: str) -> np.ndarray | None:
    """A column of the history with NaN for what is not finite, or ``None`` if nothing of it is known."""
    values = summary.history.get(name)
    if values is None or not np.isfinite(values).any():
        return None
    return np.where(np.isfinite(values), values, np.nan)


def last(summary: FitSummary, name: str) -> float | None:
    """The last finite value of a column of the history."""
    values = column(summary, name)
    return None if values is None else float(values[np.isfinite(values)][-1])


def alphas(summary: FitSummary) -> dict[str, np.ndarray]:
    """The regularisation parameter of each group of weights over the iterations."""
    names = [name for name in summary.history if name == "alpha" or name.startswith("alpha:")]
    paths = {name.removeprefix("alpha:"): column(summary, name) for name in names}
    return {group: path for group, path in paths.items() if path is not None}


def finite_rows(summary: FitSummary) -> np.ndarray:
    """Index of the held-out rows whose targets and predictions are finite, (<= n,)."""
    if summary.c is None or summary.prediction is None:
        return np.zeros(0, dtype=int)
    with np.errstate(invalid="ignore"):
        good = (np.abs(summary.c) < HUGE) & (np.abs(summary.prediction) < HUGE)
    return np.flatnonzero(good if good.ndim == 1 else good.all(axis=1))


def regression_rows(summary: FitSummary) -> tuple[np.ndarray, np.ndarray]:
    """Targets and predictions of the finite held-out rows, both (n, k)."""
    rows = finite_rows(summary)
    if summary.c is None or summary.prediction is None:
        return np.zeros((0, 1)), np.zeros((0, 1))
    return summary.c[rows], summary.prediction[rows]


LOGARITHM = "ln(median / target)"
"""Label of the residuals of targets that are shown by their logarithm."""


def as_seen(values: np.ndarray, by_log: np.ndarray) -> np.ndarray:
    """Targets or their predictions as the model sees them: natural logarithms of some.

    Args:
        values: (n, k) or (n,).
        by_log: which, bool (k,); these are positive.

    Returns:
        The same shape.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(by_log, np.log(np.abs(values)), values) if np.any(by_log) else values


def logarithmic(summary: FitSummary) -> np.ndarray:
    """Which targets are shown by their logarithm, bool (k,): the model sees them so, and all numbers are positive."""
    c, prediction = regression_rows(summary)
    if summary.logarithm is None:
        return np.zeros(c.shape[1:], bool)
    return (summary.logarithm > 0) & (np.minimum(c, prediction) > 0).all(axis=0)


def compared_rows(summary: FitSummary) -> tuple[np.ndarray, np.ndarray]:
    """Targets and predictions as figures compare them, (n, k) each: of those in `logarithmic` medians, where known.

    Means lie above, by half the variance of the logarithm.
    """
    by_log, (c, prediction) = logarithmic(summary), regression_rows(summary)
    if by_log.any() and summary.median is not None:
        prediction = np.where(by_log, summary.median[finite_rows(summary)], prediction)
    return c, prediction


def shown_rows(summary: FitSummary) -> tuple[np.ndarray, np.ndarray]:
    """`compared_rows`, and natural logarithms of those in `logarithmic`, (n, k) each."""
    by_log, (c, prediction) = logarithmic(summary), compared_rows(summary)
    return as_seen(c, by_log), as_seen(prediction, by_log)


class TargetErrors(NamedTuple):
    """Errors of one target on the held-out rows, in its unit; R^2 has none and is NaN for a constant target.

    ``middle`` is the median of the absolute errors, which gross errors of some targets do not move. ``held`` is the
    share of the rows inside their 90 % interval, NaN where there are no intervals. Of a target that is seen by its
    logarithm R^2 is that of the logarithm, and ``factor`` says by which factor medians miss it,
    ``exp(RMS ln(median / target))``; else it is NaN.
    """

    name: str
    rmse: float
    mae: float
    middle: float
    r2: float
    held: float
    factor: float


def target_errors(summary: FitSummary) -> list[TargetErrors]:
    """Errors of each target by itself: a mean over targets hides the bad one.

    Args:
        summary: of a regression.

    Returns:
        One entry for each target, empty without rows.
    """
    c, prediction = regression_rows(summary)
    if summary.task != "regression" or not len(c):
        return []
    found, by_log, seen = [], logarithmic(summary), shown_rows(summary)
    for j, name in enumerate(summary.target_names):
        off = prediction[:, j] - c[:, j]
        unit = np.abs(off).max() or 1.0  # no square overflows
        rmse, spread = float(unit * np.sqrt(np.mean((off / unit) ** 2))), float(seen[0][:, j].std())
        missed = float(np.sqrt(np.mean((seen[1] - seen[0])[:, j] ** 2))) if by_log[j] else rmse
        r2 = 1 - (missed / spread) ** 2 if spread > 0 else np.nan
        factor = float(np.exp(min(missed, 700.0))) if by_log[j] else np.nan
        share = coverage(summary, (0.9,), j)
        held = np.nan if share is None else float(share[0])
        mean, middle = float(np.mean(np.abs(off))), float(np.median(np.abs(off)))
        found.append(TargetErrors(name, rmse, mean, middle, r2, held, factor))
    return found


class TargetCells(NamedTuple):
    """A table of the errors of each target in its unit, as text: ``more`` says how many of how many are shown."""

    heads: list[str]
    rows: list[list[str]]
    more: str


def target_cells(summary: FitSummary, shown: int) -> TargetCells:
    """Errors of each target as cells of a table, for the page and the terminal.

    Args:
        summary: of a regression.
        shown: targets at most; of more the worst, the least R^2 first.

    Returns:
        One row for each target, in the order of the targets where all are shown.
    """
    rows = target_errors(summary)
    more = f", the worst {shown} of {len(rows)}" if len(rows) > shown else ""
    if more:
        rows = sorted(rows, key=lambda one: np.nan_to_num(one.r2, nan=-np.inf))[:shown]
    tells, logs = (any(np.isfinite(getattr(one, name)) for one in rows) for name in ("held", "factor"))
    r2 = "R² of ln" if all(np.isfinite(one.factor) for one in rows) else "R²"
    heads = ["target", "RMSE", "MAE", "median", r2] + ["off by"] * logs + ["90 % interval"] * tells
    cells = []
    for one in rows:
        by_log = np.isfinite(one.factor)
        line = [short(one.name, 60), *map(number, (one.rmse, one.mae, one.middle))]
        line.append(number(one.r2))
        line += [f"×\u00a0{number(one.factor, 3)}" if by_log else ""] * logs
        cells.append(line + [f"{number(100 * one.held, 3)} %"] * tells)
    return TargetCells(heads, cells, more)


def relative_errors(c: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """RMSE of each target over its standard deviation, (k,); over 1 where the target is constant."""
    if not len(c):
        return np.full(c.shape[1], np.nan)
    spread = c.std(axis=0)
    return np.sqrt(np.mean((prediction - c) ** 2, axis=0)) / np.where(spread > 0, spread, 1.0)


def chosen_targets(errors: np.ndarray) -> list[tuple[str, int]]:
    """Targets to draw, a word and the position of each: all of up to three, else the worst, the median and the best."""
    if len(errors) <= 3:
        return [("", j) for j in range(len(errors))]
    order = np.argsort(errors, kind="stable")
    return [("worst", int(order[-1])), ("median", int(order[len(order) // 2])), ("best", int(order[0]))]


def scaled_residuals(c: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Prediction minus target, (n, k); for several targets over each target's standard deviation, so that they pool."""
    residual = prediction - c
    if c.shape[1] < 2 or not len(c):
        return residual
    spread = c.std(axis=0)
    return residual / np.where(spread > 0, spread, 1.0)


def confusion(c: np.ndarray, prediction: np.ndarray, n_classes: int) -> np.ndarray:
    """Number of rows of class i predicted as class j, (n_classes, n_classes)."""
    return np.bincount(c * n_classes + prediction, minlength=n_classes**2).reshape(n_classes, n_classes)


def layer_norms(values: np.ndarray) -> np.ndarray:
    """Euclidean norm of each layer's weights, (nt,)."""
    return np.linalg.norm(values.reshape(len(values), -1), axis=1)


def layer_changes(values: np.ndarray) -> np.ndarray:
    """Smoothness over depth: norm of the difference between neighbouring layers, (nt - 1,)."""
    return layer_norms(np.diff(values, axis=0))


class Decline(NamedTuple):
    """How fast the objective still fell when the training ended: ``rate = -d log(objective) / d time``."""

    rate: float
    elapsed: float
    unit: str
    points: int


def decline(summary: FitSummary) -> Decline | None:
    """Least-squares slope of the logarithm of the objective over the last third of the training.

    Args:
        summary: its history needs ``objective`` (positive) and, for an answer in seconds, ``seconds``.

    Returns:
        The decline, or ``None`` with fewer than five points or an objective that is not positive.
    """
    objective, seconds = column(summary, "objective"), column(summary, "seconds")
    if objective is None:
        return None
    time = seconds if seconds is not None else np.arange(len(objective), dtype=float)
    known = np.isfinite(objective) & np.isfinite(time)
    objective, time = objective[known], time[known]
    tail = slice(-max(5, len(time) // 3), None)
    objective, time_tail = objective[tail], time[tail]
    if len(objective) < 5 or objective.min() <= 0 or np.ptp(time_tail) <= 0:
        return None
    centred = time_tail - time_tail.mean()
    rate = -float(centred @ np.log(objective) / (centred @ centred))
    return Decline(rate, float(time[-1]), "s" if seconds is not None else "iterations", len(objective))
