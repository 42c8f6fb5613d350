"""Permutation importance and response curves: which inputs does a fitted model use, and how?

Both only predict. An input is one column of the samples, or several that belong together, as those of one text column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numdl.estimators.common.robust import expects_gross_errors
from numdl.report import measures

POINTS, LEVELS, SHOWN = 31, 7, 6
"""Points of a slice, levels at which another input is held, and inputs with slices: the most important ones."""

BAND = 1.6448536269514722
"""Half the width of a central 90 % interval of the normal distribution, in standard deviations."""

REPEATS, MOST = 3, 10_000
"""Shuffles for each input, and rows that are predicted for all of them as long as an input keeps `FEWEST` rows."""

FEWEST, INPUTS, CLASSES = 50, 200, 3
"""Rows for a shuffle at least; inputs that are shuffled at most, the first ones; classes whose probability is shown."""


def effects(
    model: Any,
    X: Any,
    inputs: Mapping[str, Sequence[int]] | None,
    c: np.ndarray,
    predict: Callable[[np.ndarray], np.ndarray],
    bands: Callable[[np.ndarray], Sequence[np.ndarray]],
) -> dict[str, Any]:
    """Fields of `numdl.report.FitSummary` that tell of the inputs.

    Importance is the mean increase of the error when the values of one input are shuffled among the rows, all else left
    as it is (Breiman, Machine Learning 45, 2001, section 10; for any model Fisher, Rudin and Dominici, JMLR 20, 2019).
    The error is that of `summary`; of several targets each is divided by its standard deviation. Inputs that say the
    same share their importance: each alone may seem not to matter.

    Slices run through the medians (the commonest values of a text column), from the smallest to the largest sample
    along input i, with input j at one of its levels, evenly spaced quantiles from 5 to 95 %.

    Args:
        model: a fitted estimator.
        X: rows, (n, d).
        inputs: columns of each input by its name; None for each column its own.
        c: targets (n, k) as they are judged, or indices of the classes (n,).
        predict: rows to what is judged, as ``predict`` of the model.
        bands: of a regression: rows to their mean, or to mean and the two ends of its band.

    Returns:
        ``input_names``, m of them, and ``effects``: ``importance`` and ``spread`` (m,) in units of the error; ``shown``
        (s,) positions of inputs with slices; ``outputs`` (q,) positions of targets or classes in them; ``values``
        (n, s), NaN where missing, ``base`` (s,), ``grid`` (s, g), ``levels`` (s, v); ``response`` and perhaps ``low``
        and ``high``, the ends of the central 90 % of new observations, (s, s, v, g, q) by i, j and level.
    """
    x = np.asarray(X, np.float64)
    if inputs is None:
        inputs = _by_column(getattr(model, "feature_names_in_", [f"x{i}" for i in range(x.shape[1])]))
    outputs = _targets(c, predict(x)) if c.ndim > 1 else _classes(c, len(model.classes_))
    names = list(inputs)[:INPUTS]
    groups = [np.array(inputs[name]) for name in names]
    rng = np.random.default_rng(0)
    count = int(np.clip(MOST // (len(groups) * REPEATS), FEWEST, len(x))) if len(x) > FEWEST else len(x)
    rows = np.sort(rng.choice(len(x), count, replace=False))
    mean, spread = _importance(x[rows], groups, predict, _error(model, c[rows]), rng)
    own = [_number(x, columns) for columns in groups]
    numbers = [i for i in np.argsort(-mean, kind="stable") if own[i] is not None]
    shown = np.array(numbers[:SHOWN], int)
    found = {"importance": mean, "spread": spread, "shown": shown, "outputs": outputs}
    if len(shown):
        found |= _slices(x, groups, np.array([own[i] for i in shown]), _answers(model, outputs, c, bands))
    return {"effects": found, "input_names": names}


def _number(x: np.ndarray, columns: np.ndarray) -> int | None:
    """Column of an input that is a number and varies, else None.

    A second column may say where it was missing; there it holds what it was filled with, one value.
    """
    column = int(columns[0])
    if len(columns) > 2 or np.ptp(x[:, column]) == 0:
        return None
    if len(columns) == 2:
        values, flag = x[:, columns].T
        if not np.isin(flag, (0, 1)).all() or np.isin(values, (0, 1)).all() or len(np.unique(values[flag == 1])) > 1:
            return None
    return column


def _targets(c: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    errors = measures.relative_errors(c, prediction.reshape(c.shape))
    return np.array([j for _, j in measures.chosen_targets(errors)])


def _classes(codes: np.ndarray, count: int) -> np.ndarray:
    """The second of two classes, else the commonest."""
    common = np.argsort(-np.bincount(codes, minlength=count), kind="stable")
    return np.array([1]) if count == 2 else np.sort(common[:CLASSES])


def _error(model: Any, c: np.ndarray) -> Callable[[np.ndarray], float]:
    if c.ndim == 1:
        return lambda labels: 100 * float(np.mean(labels != model.classes_[c]))
    scale = c.std(axis=0) if c.shape[1] > 1 else np.ones(1)
    scale = np.where(scale > 0, scale, 1.0)
    if expects_gross_errors(model):
        return lambda mean: float(np.mean(np.median(np.abs(mean.reshape(c.shape) - c), axis=0) / scale))
    return lambda mean: float(np.sqrt(np.mean(((mean.reshape(c.shape) - c) / scale) ** 2)))


def _answers(model: Any, outputs: np.ndarray, c: np.ndarray, bands: Callable) -> Callable[[np.ndarray], list]:
    """What slices show: means and perhaps the ends of their bands, or probabilities."""
    if c.ndim == 1:
        return lambda rows: [model.predict_proba(rows)[:, outputs]]

    return lambda rows: [each.reshape(len(rows), -1)[:, outputs] for each in bands(rows)]


def _importance(
    x: np.ndarray,
    groups: list[np.ndarray],
    predict: Callable[[np.ndarray], np.ndarray],
    error: Callable[[np.ndarray], float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the shuffles, (m,) each; all rows are predicted in one call."""
    shuffled = np.repeat(x[None], len(groups) * REPEATS, axis=0)
    for part, columns in zip(shuffled, np.repeat(np.arange(len(groups)), REPEATS), strict=True):
        part[:, groups[columns]] = x[rng.permutation(len(x))][:, groups[columns]]
    answers = np.asarray(predict(np.concatenate([x, *shuffled])))
    errors = np.array([error(part) for part in answers.reshape(1 + len(shuffled), len(x), *answers.shape[1:])])
    rises = errors[1:].reshape(len(groups), REPEATS) - errors[0]
    return rises.mean(axis=1), rises.std(axis=1)


def _slices(
    x: np.ndarray,
    groups: list[np.ndarray],
    columns: np.ndarray,
    answers: Callable[[np.ndarray], list[np.ndarray]],
) -> dict[str, np.ndarray]:
    """Slices along the columns; where nothing is moved, j = i, all levels are the same."""
    base = _centre(x, groups)
    grid = np.linspace(x[:, columns].min(axis=0), x[:, columns].max(axis=0), POINTS, axis=1)
    levels = np.quantile(x[:, columns], np.linspace(0.05, 0.95, LEVELS), axis=0).T
    where, rows = [], []
    for i, column in enumerate(columns):
        along = np.repeat(base[None], POINTS, axis=0)
        along[:, column] = grid[i]
        for j, other in enumerate(columns):
            for level in range(LEVELS if j != i else 1):
                moved = along.copy()
                if j != i:
                    moved[:, other] = levels[j, level]
                where.append((i, j, level if j != i else slice(None)))
                rows.append(moved)
    found: dict[str, np.ndarray] = {
        "values": _told(x, groups, columns), "base": base[columns], "grid": grid, "levels": levels,
    }  # fmt: skip
    for name, answer in zip(("response", "low", "high"), answers(np.concatenate(rows)), strict=False):
        parts = answer.reshape(len(rows), POINTS, -1)
        found[name] = np.empty((len(columns), len(columns), LEVELS, POINTS, parts.shape[-1]))
        for place, part in zip(where, parts, strict=True):
            found[name][place] = part
    return found


def _centre(x: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """Median of each column where it is told, and the commonest combination of columns that belong together, (d,)."""
    base = np.quantile(x, 0.5, axis=0)
    for columns in groups:
        if len(columns) == 1:
            continue
        if (column := _number(x, columns)) is None:
            kinds, counts = np.unique(x[:, columns], axis=0, return_counts=True)
            base[columns] = kinds[counts.argmax()]
        elif (told := x[:, columns[1]] == 0).any():
            base[columns] = np.quantile(x[told, column], 0.5), 0.0
    return base


def _told(x: np.ndarray, groups: list[np.ndarray], columns: np.ndarray) -> np.ndarray:
    """Values of some columns (n, s), NaN where an entry was missing and is filled."""
    values = x[:, columns].copy()
    for i, column in enumerate(columns):
        group = next(group for group in groups if column in group)
        if len(group) == 2:
            values[x[:, group[1]] == 1, i] = np.nan
    return values


def _by_column(names: Sequence[str]) -> dict[str, list[int]]:
    """Each column an input of its own; names that occur again get a number."""
    found: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        found[name if name not in found else f"{name} ({column})"] = [column]
    return found
