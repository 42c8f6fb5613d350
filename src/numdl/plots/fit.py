"""Plots of a fit: parity, residuals, confusion, calibration.

How good is the fit on rows it has not seen: parity, residuals, confusion, calibration of the intervals?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Real

from numdl import checks
from numdl.plots.canvas import BLUE, GREY, INK, ORANGE, drawable, listed, logarithmic_x, logarithmic_y, sample
from numdl.plots.wording import number, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = {"linestyle": "none", "marker": "o", "color": BLUE, "alpha": 0.45, "markeredgewidth": 0}
COUNTED_CLASSES = 12
NAMED_CLASSES = 30


def draw_parity(
    ax: Axes, c: Real[np.ndarray, " n"], prediction: Real[np.ndarray, " n"], name: str, log: bool = False
) -> None:
    """Draw prediction over target with the diagonal.

    Args:
        ax: axes to draw on.
        c: targets, (n,).
        prediction: predictions, (n,).
        name: name of the target.
        log: whether both axes are logarithmic; then all numbers must be positive.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from numdl.plots import draw_parity
        >>> axes = Figure().subplots()
        >>> draw_parity(axes, np.array([1.0, 2.0, 3.0]), np.array([1.1, 1.9, 3.2]), "height")
        >>> axes.get_xlabel(), axes.get_ylabel()
        ('true height', 'predicted')
    """
    c, prediction = drawable("draw_parity", ax, c=c, prediction=prediction)
    log = checks.flag("draw_parity", "log", log)
    if log and min(c.min(), prediction.min()) <= 0:
        raise ValueError("draw_parity(log=True): needs positive c and prediction. Leave log=False.")
    rows = sample(len(c))
    low, high = _padded(np.concatenate([c[rows], prediction[rows]]), log=log)
    ax.plot([low, high], [low, high], color=GREY, linewidth=1)
    ax.plot(c[rows], prediction[rows], markersize=_marker(len(rows)), **POINTS)
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    if log:
        logarithmic_x(ax, high / low)
        logarithmic_y(ax, high / low)
    ax.set_xlabel(f"true {short(name, 34)}", parse_math=False)
    ax.set_ylabel("predicted")


def draw_residuals(
    ax: Axes, prediction: Real[np.ndarray, " n"], residual: Real[np.ndarray, " n"], label: str, log: bool = False
) -> None:
    """Draw residuals over predictions.

    Args:
        ax: axes to draw on.
        prediction: predictions, (n,).
        residual: prediction minus target, (n,).
        label: label of the residuals.
        log: whether the axis of the predictions is logarithmic; then they must be positive.
    """
    prediction, residual = drawable("draw_residuals", ax, prediction=prediction, residual=residual)
    log = checks.flag("draw_residuals", "log", log)
    if log and prediction.min() <= 0:
        raise ValueError("draw_residuals(log=True): needs positive predictions. Leave log=False.")
    rows = sample(len(residual))
    ax.axhline(0, color=GREY, linewidth=1)
    ax.plot(prediction[rows], residual[rows], markersize=_marker(len(rows)), **POINTS)
    ax.set_xlim(*_padded(prediction[rows], log=log))
    if log:
        logarithmic_x(ax, prediction[rows].max() / prediction[rows].min())
    ax.set_ylim(*_padded(np.append(residual[rows], 0.0)))
    ax.set_xlabel("predicted")
    ax.set_ylabel(label, parse_math=False)


def draw_histogram(ax: Axes, residual: Real[np.ndarray, " ..."], label: str) -> None:
    """Draw the histogram of the residuals with the normal density of the same mean and standard deviation.

    Args:
        ax: axes to draw on.
        residual: residuals of any shape.
        label: label of the residuals.
    """
    (values,) = drawable("draw_histogram", ax, residual=np.ravel(checks.real("draw_histogram", "residual", residual)))
    mean, deviation = float(values.mean()), float(values.std())
    ax.set_xlabel(label, parse_math=False)
    ax.set_ylabel("rows")
    if np.ptp(values) <= 1e-9 * np.abs(values).max():  # one value, up to rounding: no bins to speak of
        ax.axvline(mean, color=BLUE, linewidth=2)
        ax.set_xlim(*_padded(np.append(values, 0.0)))
        ax.set_yticks([])
        ax.set_ylabel("")
        return
    bins = int(np.clip(2 * values.size ** (1 / 3) + 2, 5, 60))
    _, edges, _ = ax.hist(values, bins=bins, color=BLUE, alpha=0.75, edgecolor="white", linewidth=0.5)
    t = np.linspace(edges[0], edges[-1], 160)
    density = np.exp(-0.5 * ((t - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    ax.plot(t, values.size * (edges[1] - edges[0]) * density, color=ORANGE, linewidth=1.3, label="normal")
    ax.axvline(0, color=GREY, linewidth=1)
    ax.legend(loc="upper right")


def draw_confusion(ax: Axes, table: Real[np.ndarray, "k k"], names: Sequence[str]) -> None:
    """Draw the confusion matrix, coloured by the share of each true class, with counts while they are legible.

    Args:
        ax: axes to draw on.
        table: rows of class i predicted as class j, (k, k).
        names: class names, (k,).

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from numdl.plots import draw_confusion
        >>> axes = Figure().subplots()
        >>> draw_confusion(axes, np.array([[8, 2], [1, 9]]), ["cat", "dog"])
        >>> [text.get_text() for text in axes.texts]
        ['8', '2', '1', '9']
    """
    drawable("draw_confusion", ax)
    k = len(checks.real("draw_confusion", "table", table, ("k", "k")))
    table = np.asarray(checks.finite("draw_confusion", "table", table, (k, k)))
    names = listed("draw_confusion", "names", names, k)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    ax.grid(False)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1.15, interpolation="none", aspect="auto")
    if k <= COUNTED_CLASSES:
        for (i, j), count in np.ndenumerate(table):
            if count:
                color = "white" if share[i, j] > 0.55 else INK
                ax.text(j, i, str(count), ha="center", va="center", color=color, fontsize=8.5 if k < 9 else 7)
    ticks = np.arange(k)[:: max(1, -(-k // NAMED_CLASSES))]
    labels = [short(names[j], 12) for j in ticks]
    turned = sum(len(label) for label in labels) > 34
    ax.set_xticks(ticks, labels, rotation=60 if turned else 0, parse_math=False)
    ax.set_yticks(ticks, labels, parse_math=False)
    if len(labels) > COUNTED_CLASSES:
        ax.tick_params(labelsize=6.5)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")


def draw_class_errors(ax: Axes, errors: Real[np.ndarray, " k"], names: Sequence[str]) -> None:
    """Draw the share of misclassified rows of each class as bars.

    Args:
        ax: axes to draw on.
        errors: shares in [0, 1], NaN for a class without rows, (k,).
        names: class names, (k,).
    """
    (errors,) = drawable("draw_class_errors", ax, missing=True, errors=errors)
    names = listed("draw_class_errors", "names", names, len(errors))
    if (errors < 0).any() or (errors > 1).any():
        raise ValueError("draw_class_errors(errors): needs shares from 0 to 1, or NaN. Check the division by the rows.")
    values = 100 * errors
    ax.barh(np.arange(len(names)), np.nan_to_num(values), color=BLUE, height=0.7)
    ax.set_yticks(np.arange(len(names)), [short(name, 16) for name in names], parse_math=False)
    if len(names) > COUNTED_CLASSES:
        ax.tick_params(axis="y", labelsize=7)
    top = max(float(np.nanmax(values, initial=0.0)), 1.0)
    for position, value in enumerate(values):
        text = "no rows" if np.isnan(value) else number(value, 2)
        ax.text(np.nan_to_num(value) + 0.02 * top, position, text, va="center", color=INK, fontsize=7.5)
    ax.set_xlim(0, 1.18 * top)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(False, axis="y")
    ax.set_xlabel("error of the true class, %")


def draw_calibration(ax: Axes, levels: Real[np.ndarray, " m"], observed: Real[np.ndarray, " m"]) -> None:
    """Draw the observed share of targets inside the intervals over the promised one.

    Args:
        ax: axes to draw on.
        levels: nominal probabilities, (m,).
        observed: observed shares, (m,).
    """
    levels, observed = drawable("draw_calibration", ax, levels=levels, observed=observed)
    ax.plot([0, 100], [0, 100], color=GREY, linewidth=1)
    ax.plot(100 * levels, 100 * observed, color=BLUE, marker="o", markersize=3.5)
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 103)
    ax.set_xlabel("promised, %")
    ax.set_ylabel("inside the interval, %")


def draw_reliability(
    ax: Axes,
    certainty: Real[np.ndarray, " m"],
    right: Real[np.ndarray, " m"],
    low: Real[np.ndarray, " m"],
    high: Real[np.ndarray, " m"],
) -> None:
    """Draw how often predictions are right over how certain they are, with the diagonal.

    Args:
        ax: axes to draw on.
        certainty: mean probability of the predicted class in each group, (m,).
        right: share of right predictions, (m,).
        low: lower end of its interval, (m,).
        high: upper end, (m,).
    """
    certainty, right, low, high = drawable("draw_reliability", ax, certainty=certainty, right=right, low=low, high=high)
    ax.plot([0, 100], [0, 100], color=GREY, linewidth=1)
    ax.vlines(100 * certainty, 100 * low, 100 * high, color=BLUE, linewidth=1, alpha=0.6)
    ax.plot(100 * certainty, 100 * right, color=BLUE, marker="o", markersize=3.5)
    ax.set_xlim(max(0.0, 100 * float(certainty.min()) - 5), 101)
    ax.set_ylim(max(0.0, min(100 * float(low.min()), 100 * float(certainty.min())) - 5), 103)
    ax.set_xlabel("certainty, %")
    ax.set_ylabel("right, %")


def _marker(n: int) -> float:
    return 5.0 if n < 60 else 3.6 if n < 500 else 2.6


def _padded(values: np.ndarray, *, log: bool = False) -> tuple[float, float]:
    """Limits that hold all values with a margin, never of zero length."""
    if log:
        low, high = _padded(np.log(values))
        return float(np.exp(low)), float(np.exp(high))
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low)
    scale = max(abs(low), abs(high))
    if high - low <= 1e-9 * scale or high == low:
        margin = 0.1 * scale or 1.0
    return low - margin, high + margin
