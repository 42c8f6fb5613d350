"""What do the weights look like over the depth of the network: their size, their smoothness, the weights themselves?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from numdl.plots.canvas import CYCLE, logarithmic, thin
from numdl.plots.wording import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_COLUMNS = 400
MAX_LAYERS = 200


def draw_over_depth(ax: Axes, lines: Mapping[str, np.ndarray], start: float, y_label: str) -> None:
    """Draw one number per layer, or per gap between layers, for each array of weights.

    Args:
        ax: axes to draw on.
        lines: name to values over depth, at most eight are drawn.
        start: position of the first value, 0 for layers and 0.5 for the gaps between them.
        y_label: label of the values.
    """
    from matplotlib.ticker import MaxNLocator

    shown = dict(list(lines.items())[: len(CYCLE)])
    for (name, values), color in zip(shown.items(), CYCLE, strict=False):
        known = thin(len(values), 1000)
        ax.plot(start + known, values[known], color=color, marker="o", markersize=3.5, label=short(name))
    everything = np.concatenate(list(shown.values()))
    logarithmic(ax, everything)
    if ax.get_yscale() == "linear":
        ax.set_ylim(0, 1.1 * max(float(np.nanmax(everything, initial=0.0)), 1e-12))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=8))
    ax.set_xlabel("layer")
    ax.set_ylabel(y_label)
    ax.legend(loc="best")


def draw_heat_map(ax: Axes, values: np.ndarray) -> None:
    """Draw the weights, a row per layer and a column per entry, red positive and blue negative.

    Args:
        ax: axes to draw on.
        values: weights, (nt, ...); beyond 200 layers or 400 entries evenly spaced ones are drawn.
    """
    flat = values.reshape(len(values), -1)
    layers, entries = thin(flat.shape[0], MAX_LAYERS), thin(flat.shape[1], MAX_COLUMNS)
    shown = np.nan_to_num(flat[np.ix_(layers, entries)])
    limit = float(np.quantile(np.abs(shown), 0.995)) or float(np.abs(shown).max()) or 1.0
    extent = (-0.5, flat.shape[1] - 0.5, flat.shape[0] - 0.5, -0.5)
    image = ax.imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="none", extent=extent)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.9)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    ax.grid(False)
    _whole_ticks(ax)
    ax.set_xlabel("entry of the layer")
    ax.set_ylabel("layer")


def _whole_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=6))
