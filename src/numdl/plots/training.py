"""Training curves and weights over depth: how did the training go, and what do the weights look like?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Real

from numdl import checks
from numdl.plots.canvas import CYCLE, GREY, INK, drawable, logarithmic, pen, thin
from numdl.plots.wording import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_STEPS = 600
LEGEND_LINES = 8


def draw_history(
    ax: Axes,
    lines: Mapping[str, Real[np.ndarray, " iterations"]],
    x: Real[np.ndarray, " iterations"],
    x_label: str,
    y_label: str,
) -> None:
    """Draw quantities of the history, on a logarithmic axis where they span a decade.

    Args:
        ax: axes to draw on.
        lines: label to values (iterations,); what is not finite is bridged, so sparse validation errors stay one line.
            More than eight lines run from dark to light without a legend.
        x: iterations (integers) or seconds, (iterations,); what is not finite is left out.
        x_label: label of x.
        y_label: label of the values.
    """
    from matplotlib.ticker import MaxNLocator

    x, lines = drawable("draw_history", ax, missing=True, x=x, by_name={"lines": lines})
    many = len(lines) > LEGEND_LINES
    for position, (label, values) in enumerate(lines.items()):
        known = np.flatnonzero(np.isfinite(values) & np.isfinite(x))
        known = known[thin(len(known), MAX_STEPS)]
        style: dict[str, Any] = {"color": _ramp(position / (len(lines) - 1))} if many else pen(position)
        marker = "o" if len(known) < 25 else None
        ax.plot(x[known], values[known], marker=marker, markersize=3, label=short(label), **style)
    logarithmic(ax, np.concatenate([np.asarray(values) for values in lines.values()]))
    if np.issubdtype(x.dtype, np.integer):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=7))
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    if 1 < len(lines) <= LEGEND_LINES:
        ax.legend(loc="best")


def draw_effective(ax: Axes, effective: Real[np.ndarray, " iterations"], n_parameters: int) -> None:
    """Draw the effective number of parameters over the iterations, with the number of all parameters if it is in reach.

    Args:
        ax: axes to draw on.
        effective: effective number of parameters, (iterations,); what is not finite is left out.
        n_parameters: number of all parameters, 0 if not known.
    """
    (effective,) = drawable("draw_effective", ax, missing=True, effective=effective)
    checks.whole("draw_effective", "n_parameters", n_parameters, least=0)
    draw_history(ax, {"effective": effective}, np.arange(len(effective)), "iteration", "effective parameters")
    ax.set_yscale("linear")
    top = np.max(effective, where=np.isfinite(effective), initial=0.0)
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


MAX_COLUMNS = 400
MAX_LAYERS = 200


def draw_over_depth(ax: Axes, lines: Mapping[str, Real[np.ndarray, " layers"]], start: float, y_label: str) -> None:
    """Draw one number per layer, or per gap between layers, for each array of weights.

    Args:
        ax: axes to draw on.
        lines: name to values over depth, at most eight are drawn.
        start: position of the first value, 0 for layers and 0.5 for the gaps between them.
        y_label: label of the values.
    """
    from matplotlib.ticker import MaxNLocator

    (lines,) = drawable("draw_over_depth", ax, by_name={"lines": lines})
    checks.number("draw_over_depth", "start", start)
    shown = dict(list(lines.items())[: len(CYCLE)])
    for position, (name, values) in enumerate(shown.items()):
        known = thin(len(values), 1000)
        ax.plot(start + known, values[known], marker="o", markersize=3.5, label=short(name), **pen(position))
    everything = np.concatenate(list(shown.values()))
    logarithmic(ax, everything)
    if ax.get_yscale() == "linear":
        ax.set_ylim(0, 1.1 * max(float(np.nanmax(everything, initial=0.0)), 1e-12))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=8))
    ax.set_xlabel("layer")
    ax.set_ylabel(y_label)
    ax.legend(loc="best")


def draw_heat_map(ax: Axes, values: Real[np.ndarray, "nt ..."]) -> None:
    """Draw the weights, a row per layer and a column per entry, red positive and blue negative.

    Args:
        ax: axes to draw on.
        values: weights, (nt, ...); beyond 200 layers or 400 entries evenly spaced ones are drawn.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from numdl.plots import draw_heat_map
        >>> axes = Figure().subplots()
        >>> draw_heat_map(axes, np.linspace(-1, 1, 24).reshape(6, 2, 2))
        >>> axes.images[0].get_array().shape
        (6, 4)
    """
    drawable("draw_heat_map", ax)
    values = np.asarray(checks.finite("draw_heat_map", "values", values, ("nt", "...")))
    if not values.size:
        raise ValueError(f"draw_heat_map(values of shape {values.shape}): needs at least one weight. Give more.")
    flat = values.reshape(len(values), -1)
    layers, entries = thin(flat.shape[0], MAX_LAYERS), thin(flat.shape[1], MAX_COLUMNS)
    shown = flat[np.ix_(layers, entries)]
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
