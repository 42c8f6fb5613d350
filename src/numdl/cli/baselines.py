"""Baseline models and error measures.

How good are the simplest models on the same rows, and how is an error measured?
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np

from numdl.cli.prepare import Part
from numdl.data import Scaler
from numdl.report import ScoreRow

Predict = Callable[[np.ndarray], np.ndarray]

LOGISTIC_ROWS = 50_000
"""Rows that logistic regression is fitted on at most: a baseline must not take longer than the model."""

_ALPHAS = np.logspace(-6, 6, 25)


def baselines(task: str, train: Part, *, logarithm: bool = False) -> dict[str, Predict]:
    """Fit the models to compare with.

    Args:
        task: "regression" or "classification".
        train: training rows.
        logarithm: whether all targets are logarithms, for the names.

    Returns:
        Prediction of each model by its name.
    """
    linear = _ridge(train) if task == "regression" else _logistic(train)
    found = linear | (_mean(train) if task == "regression" else _most_frequent(train))
    of_logarithms = {"ridge": "ridge on the logarithm", "mean of the targets": "mean of the logarithm"}
    return {of_logarithms[name]: predict for name, predict in found.items()} if logarithm else found


def score_name(task: str, targets: tuple[str, ...], by_log: np.ndarray | None = None, *, robust: bool = False) -> str:
    """What `score_rows` measures, in words; ``by_log`` says which targets are judged by their logarithm, (k,)."""
    if task == "classification":
        return f"Wrong predictions of {targets[0]} (%)"
    logs = [] if by_log is None else [target for target, one in zip(targets, by_log, strict=True) if one]
    if len(targets) == 1:
        if robust:
            return f"Median error of {f'ln({targets[0]})' if logs else targets[0]}"
        return f"RMS error of ln({targets[0]})" if logs else f"RMSE of {targets[0]}"
    return f"{'Median error' if robust else 'RMSE'} in standard deviations" + (
        f", {len(logs)} of {len(targets)} targets by the logarithm" if logs else ""
    )


def score_rows(
    task: str,
    models: Mapping[str, Predict],
    parts: Mapping[str, Part],
    most: int | None = None,
    *,
    robust: bool = False,
) -> list[ScoreRow]:
    """The error of each model on each part, on its rows or on so many of them.

    Classification: wrong predictions in percent. One target: ``sqrt(mean (y - c)^2)`` in its unit. Several targets:
    each error is divided by the standard deviation of its target on the training rows before the mean is taken.
    After a robust fit medians of the absolute errors: others are those of the targets that hold gross errors.

    Args:
        task: "regression" or "classification".
        models: prediction of each model by its name.
        parts: "train" and perhaps "validation" and "test".
        most: rows of each part that are judged at most; None for all.
        robust: whether the fit expects gross errors in targets.

    Returns:
        One row per model.
    """
    c = parts["train"].y
    spread = np.ones(1)
    if task == "regression" and c.ndim > 1:
        scaler = Scaler.fit(c)
        spread = scaler.spread
        if robust:
            from numdl.estimators.common.robust import MAD

            middle = np.median(np.abs(c - np.median(c, axis=0)), axis=0) / MAD
            spread = np.where(middle > 0, middle, spread)
    judged = {part: rows if most is None else rows.spread(most) for part, rows in parts.items()}
    found = []
    for name, predict in models.items():
        row: ScoreRow = {"name": name}
        for part, rows in judged.items():
            row[part] = _error(task, predict(rows.x), rows.y, spread, robust)
        found.append(row)
    return found


def _error(task: str, prediction: np.ndarray, c: np.ndarray, spread: np.ndarray, robust: bool) -> float:
    if task == "classification":
        return 100.0 * float(np.mean(prediction != c))
    # scaled by the largest entry, so that no square overflows
    residual = np.abs(prediction - c) / spread
    if robust:
        return float(np.median(residual))
    largest = residual.max()
    return float(largest * np.sqrt(np.mean((residual / largest) ** 2))) if largest > 0 else 0.0


def _ridge(train: Part) -> dict[str, Predict]:
    from sklearn.linear_model import RidgeCV

    if len(train.x) < 3:
        return {}
    c = train.y.reshape(len(train.y), -1)
    inputs, targets = Scaler.fit(train.x), Scaler.fit(c)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a poor baseline is no news
        model = RidgeCV(_ALPHAS, alpha_per_target=c.shape[1] > 1).fit(inputs.transform(train.x), targets.transform(c))

    def predict(x: np.ndarray) -> np.ndarray:
        scaled = model.predict(inputs.transform(x)).reshape(len(x), -1)
        return targets.inverse(scaled).reshape(len(x), *train.y.shape[1:])

    return {"ridge": predict}


def _logistic(train: Part) -> dict[str, Predict]:
    from sklearn.linear_model import LogisticRegression

    some = slice(None)  # the split has put the rows in random order
    name = "logistic regression"
    if len(train.x) > LOGISTIC_ROWS and len(np.unique(train.y[:LOGISTIC_ROWS])) == len(np.unique(train.y)):
        some, name = slice(LOGISTIC_ROWS), f"logistic regression ({LOGISTIC_ROWS:,} rows)"
    inputs = Scaler.fit(train.x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(max_iter=300).fit(inputs.transform(train.x[some]), train.y[some])
    return {name: lambda x: model.predict(inputs.transform(x))}


def _mean(train: Part) -> dict[str, Predict]:
    mean = Scaler.fit(train.y.reshape(len(train.y), -1)).center.reshape(train.y.shape[1:])
    return {"mean of the targets": lambda x: np.broadcast_to(mean, (len(x), *mean.shape))}


def _most_frequent(train: Part) -> dict[str, Predict]:
    labels, counts = np.unique(train.y, return_counts=True)
    return {"most frequent class": lambda x: np.full(len(x), labels[counts.argmax()])}
