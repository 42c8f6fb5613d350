"""Plots of loss landscapes.

What does an objective look like: on a plane, on a line, and in the eigenvalues of its curvature?
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Real

from numdl import checks
from numdl.plots.canvas import BLUE, GREY, drawable, logarithmic, require_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = 20


def draw_plane(
    ax: Axes,
    a: Real[np.ndarray, " r"],
    b: Real[np.ndarray, " s"],
    values: Real[np.ndarray, "s r"],
    label: str = "objective",
) -> None:
    """Draw level sets of an objective on a plane, in equal ratios where it is positive and spans a decade.

    Args:
        ax: axes to draw on.
        a: coordinates along the first direction, (r,).
        b: coordinates along the second direction, (s,).
        values: objective, (s, r); what is not finite stays white.
        label: of the colour bar.
    """
    from matplotlib.ticker import FuncFormatter

    (a,), (b,) = drawable("draw_plane", ax, a=a), drawable("draw_plane", ax, b=b)
    values = np.asarray(checks.real("draw_plane", "values", values, (len(b), len(a))))
    known = values[np.isfinite(values)]
    if min(len(a), len(b)) < 2 or not known.size:
        raise ValueError(
            f"draw_plane(values of shape {values.shape}): needs a finite one among 2 x 2. Give more points."
        )
    low, high = float(known.min()), float(known.max())
    many = low > 0 and high > 10 * low
    shown = np.ma.masked_invalid(np.log10(values) if many else values)
    levels = np.linspace(*((np.log10(low), np.log10(high)) if many else (low, high if high > low else low + 1)), LEVELS)
    image = ax.contourf(a, b, shown, levels=levels, cmap="viridis", extend="both")
    ax.contour(a, b, shown, levels=levels[::2], colors="white", linewidths=0.4, alpha=0.5)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.9, label=label)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    if many:
        bar.set_ticks(levels[:: (LEVELS - 1) // 4].tolist())
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{10**value:.2g}"))
    ax.locator_params(nbins=6)
    ax.grid(False)


def draw_density(
    ax: Axes,
    grid: Real[np.ndarray, " points"],
    values: Real[np.ndarray, " points"],
    error: Real[np.ndarray, " points"],
    label: str,
    color: str = BLUE,
    line: str = "-",
) -> None:
    """Draw a spectral density with its error, on a logarithmic axis from a millionth of its peak.

    Args:
        ax: axes to draw on.
        grid: eigenvalues, (points,).
        values: density, (points,).
        error: estimate of its error, (points,).
        label: for the legend.
        color: of line and band.
        line: style of the line: ``"-"``, ``"--"``, ``"-."`` or ``":"``.
    """
    grid, values, error = drawable("draw_density", ax, grid=grid, values=values, error=error)
    require_color("draw_density", "color", color)
    checks.choice("draw_density", "line", line, ("-", "--", "-.", ":"))
    least = 1e-6 * float(values.max())
    ax.plot(grid, np.where(values > least, values, np.nan), color=color, linestyle=line, label=label)
    band = np.maximum(values - error, least), np.maximum(values + error, least)
    ax.fill_between(grid, *band, color=color, alpha=0.2, linewidth=0)
    logarithmic(ax, np.maximum(values, least))
    ax.set_xlabel("eigenvalue")
    ax.set_ylabel("share of eigenvalues per unit")


def draw_cut(
    ax: Axes, t: Real[np.ndarray, " points"], values: Real[np.ndarray, " points"], label: str, color: str = BLUE
) -> None:
    """Draw an objective between two points, with the straight line from one to the other.

    Args:
        ax: axes to draw on.
        t: 0 and 1 at the points, (points,).
        values: objective, (points,).
        label: for the legend.
        color: of the line.
    """
    t, values = drawable("draw_cut", ax, t=t, values=values)
    require_color("draw_cut", "color", color)
    ax.plot(t, values, color=color, label=label)
    ends = np.interp((0.0, 1.0), t, values)
    ax.plot((0, 1), ends, "o", color=color, markersize=4, linestyle="--", linewidth=0.8)
    for x in (0, 1):
        ax.axvline(x, color=GREY, linewidth=0.6, linestyle=":")
    logarithmic(ax, values)
    ax.set_xlabel("t, from the first point (0) to the second (1)")
    ax.set_ylabel("objective")
