"""Plots of inputs: permutation importance, response curves, residuals over an input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Real

from numdl import checks
from numdl.plots.canvas import BLUE, GREY, INK, ORANGE, drawable, listed, logarithmic_y
from numdl.plots.fit import draw_residuals
from numdl.plots.wording import number, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EIGHTHS, FEWEST = 8, 24
"""Groups of rows of which the mean residual is drawn, and rows from which on it is."""


def draw_importance(
    ax: Axes, importance: Real[np.ndarray, " m"], spread: Real[np.ndarray, " m"], names: Sequence[str], label: str
) -> None:
    """Draw the increase of the error for each input as bars, with its spread.

    Args:
        ax: axes to draw on.
        importance: increase of the error, (m,), in the order of the bars from top to bottom.
        spread: its standard deviation, (m,).
        names: of the inputs, (m,).
        label: label of the increase.
    """
    importance, spread = drawable("draw_importance", ax, importance=importance, spread=spread)
    names = listed("draw_importance", "names", names, len(importance))
    place = np.arange(len(names))
    ax.barh(place, np.maximum(importance, 0), color=BLUE, height=0.7)
    ax.errorbar(np.maximum(importance, 0), place, xerr=np.abs(spread), fmt="none", ecolor=ORANGE, linewidth=1.2)
    ax.set_yticks(place, [short(name, 22) for name in names], parse_math=False)
    top = max(float((importance + np.abs(spread)).max()), 1e-300)
    for position, value in enumerate(importance):
        edge = max(value + abs(spread[position]), 0.0)
        ax.text(edge + 0.02 * top, position, number(value, 2), va="center", color=INK, fontsize=7.5)
    ax.set_xlim(0, 1.2 * top)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(False, axis="y")
    ax.set_xlabel(label, parse_math=False)


def draw_response(
    ax: Axes,
    grid: Real[np.ndarray, " g"],
    mean: Real[np.ndarray, " g"],
    band: tuple[Real[np.ndarray, " g"], Real[np.ndarray, " g"]] | None,
    limits: Sequence[float],
    at: float,
    names: Sequence[str],
    log: bool = False,
) -> None:
    """Draw a prediction over one input, others fixed, with its 90 % band; a page may move the parts of it.

    Args:
        ax: axes to draw on.
        grid: values of the input, ascending, (g,).
        mean: predictions, (g,).
        band: lower and upper ends of the band, (g,) each, or None.
        limits: lower and upper limit of the predictions, the same for all inputs.
        at: where the input is held in the figures of the others.
        names: of the input and of what is predicted.
        log: whether the axis of the predictions is logarithmic; then the limits must be positive.
    """
    if band is not None and (not isinstance(band, tuple | list) or len(band) != 2):
        raise ValueError(f"draw_response(band={checks.shown(band)}): needs a pair of arrays. Give both ends, or None.")
    given: dict[str, Any] = {"grid": grid, "mean": mean}
    given |= {} if band is None else {f"band[{side}]": end for side, end in enumerate(band)}
    grid, mean, *ends = drawable("draw_response", ax, **given)
    low, high = (float(end) for end in checks.finite("draw_response", "limits", limits, (2,)))
    names = listed("draw_response", "names", names, 2)
    log = checks.flag("draw_response", "log", log)
    if log and low <= 0:
        raise ValueError(f"draw_response(limits={checks.shown(limits)}): log needs positive limits. Leave log=False.")
    if not low < high:
        raise ValueError(f"draw_response(limits={checks.shown(limits)}): needs low < high. Give both.")
    checks.number("draw_response", "at", at)
    if ends:
        below, above = ends
        edge = np.concatenate([above, below[::-1]])  # one path, unlike fill_between
        ax.fill(np.append(grid, grid[::-1]), edge, color=BLUE, alpha=0.18, linewidth=0)[0].set_gid("live-band")
    ax.plot(grid, mean, color=BLUE)[0].set_gid("live-line")
    edges = (float(grid[0]), float(grid[-1])) if grid[0] < grid[-1] else (grid[0] - 1.0, grid[0] + 1.0)
    ax.plot(edges, (low, high), alpha=0)[0].set_gid("live-frame")
    ax.plot((at, at), (low, high), color=GREY, linewidth=1, linestyle=":")[0].set_gid("live-mark")
    ax.set_xlim(*edges)
    ax.set_ylim(low, high)
    if log:
        logarithmic_y(ax, high / low)
    ax.set_xlabel(short(names[0], 34), parse_math=False)
    ax.set_ylabel(short(names[1], 34), parse_math=False)


def draw_over_input(
    ax: Axes, values: Real[np.ndarray, " n"], residual: Real[np.ndarray, " n"], name: str, label: str
) -> None:
    """Draw residuals over the values of an input, with their mean in eighths of the rows.

    Args:
        ax: axes to draw on.
        values: of the input, (n,).
        residual: prediction minus target, (n,).
        name: of the input.
        label: label of the residuals.
    """
    values, residual = drawable("draw_over_input", ax, values=values, residual=residual)
    draw_residuals(ax, values, residual, label)
    if len(values) >= FEWEST:
        order = np.array_split(np.argsort(values, kind="stable"), min(EIGHTHS, len(values) // 8))
        ax.plot([values[rows].mean() for rows in order], [residual[rows].mean() for rows in order],
                color=ORANGE, marker="s", markersize=3.5)  # fmt: skip
    ax.set_xlabel(short(name, 34), parse_math=False)
