"""How did the training go: any quantity of the history over iterations or seconds, and the path of the alphas?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from numdl.plots.canvas import CYCLE, GREY, INK, logarithmic, thin
from numdl.plots.wording import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_STEPS = 600
LEGEND_LINES = 8


def draw_history(ax: Axes, lines: Mapping[str, np.ndarray], x: np.ndarray, x_label: str, y_label: str) -> None:
    """Draw quantities of the history, on a logarithmic axis where they span a decade.

    Args:
        ax: axes to draw on.
        lines: label to values (iterations,); NaN entries are bridged, so sparse validation errors stay one line. More
            than eight lines run from dark to light without a legend.
        x: iterations (integers) or seconds, (iterations,).
        x_label: label of x.
        y_label: label of the values.
    """
    from matplotlib.ticker import MaxNLocator

    many = len(lines) > LEGEND_LINES
    for position, (label, values) in enumerate(lines.items()):
        known = np.flatnonzero(np.isfinite(values) & np.isfinite(x))
        known = known[thin(len(known), MAX_STEPS)]
        color = _ramp(position / (len(lines) - 1)) if many else CYCLE[position]
        marker = "o" if len(known) < 25 else None
        ax.plot(x[known], values[known], color=color, marker=marker, markersize=3, label=short(label))
    logarithmic(ax, np.concatenate([np.asarray(values) for values in lines.values()]))
    if np.issubdtype(x.dtype, np.integer):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=7))
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    if 1 < len(lines) <= LEGEND_LINES:
        ax.legend(loc="best")


def draw_effective(ax: Axes, effective: np.ndarray, n_parameters: int) -> None:
    """Draw the effective number of parameters over the iterations, with the number of all parameters if it is in reach.

    Args:
        ax: axes to draw on.
        effective: effective number of parameters, (iterations,).
        n_parameters: number of all parameters, 0 if not known.
    """
    draw_history(ax, {"effective": effective}, np.arange(len(effective)), "iteration", "effective parameters")
    ax.set_yscale("linear")
    top = np.nanmax(effective)
    if 0 < n_parameters <= 3 * top:
        ax.axhline(n_parameters, color=GREY, linestyle="--", linewidth=1)
        ax.annotate(f"all {n_parameters:,}", (1, n_parameters), (0, -4), xycoords=("axes fraction", "data"),
                    textcoords="offset points", ha="right", va="top", color=INK, fontsize=8.5)  # fmt: skip
    ax.set_ylim(0, 1.08 * max(top, n_parameters if n_parameters <= 3 * top else 0, 1e-12))


def _ramp(share: float) -> tuple[float, float, float]:
    """A colour between dark and light blue."""
    dark, light = np.array([0.05, 0.15, 0.35]), np.array([0.55, 0.80, 0.95])
    red, green, blue = (1 - share) * dark + share * light
    return float(red), float(green), float(blue)
