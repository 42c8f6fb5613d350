"""Plots of stability.

How does stability look: eigenvalues against the stability region, growth over the layers, other discretisations?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Inexact, Real

from numdl import checks
from numdl.plots.canvas import BLUE, GREY, ORANGE, RED, drawable, logarithmic, logarithmic_x, sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_region(ax: Axes, z: Inexact[np.ndarray, " ..."], size: Callable[[Any], Any] | None) -> None:
    """Products of step size and eigenvalues in the complex plane, over the stability region.

    Args:
        ax: axes to draw on.
        z: complex numbers ``h lambda``, any shape; NaN is left out.
        size: ``|R(z)|`` for complex arrays; None draws no region.
    """
    drawable("draw_region", ax)
    z = np.asarray(z)
    checks.real("draw_region", "z", np.real(z) if z.dtype.kind == "c" else z)
    if size is not None:
        checks.function("draw_region", "size", size, "z -> |R(z)|")
    points = z[np.isfinite(z)].ravel()
    points = points[sample(len(points))]
    reach = max(1.2 * float(np.max(np.abs(points), initial=0.0)), 3.2)
    if size is not None:
        axis = np.linspace(-reach, reach, 241)
        values = size(axis[None, :] + 1j * axis[:, None])
        ax.contourf(axis, axis, np.minimum(values, 2), levels=[0, 1], colors=["#e3ecf7"])
        ax.contour(axis, axis, np.minimum(values, 2), levels=[1], colors=[BLUE], linewidths=1)
    across, up = np.real(points), np.imag(points)
    outside = np.zeros(len(points), bool) if size is None else (np.abs(size(points)) > 1 + 1e-9) & (across <= 1e-9)
    ax.plot(across[~outside], up[~outside], ".", color=GREY, markersize=3)
    ax.plot(across[outside], up[outside], ".", color=RED, markersize=4)
    ax.axvline(0, color=GREY, linewidth=0.6)
    ax.set(aspect="equal", xlabel="real part of h times eigenvalue", ylabel="imaginary part")


def draw_layers(ax: Axes, curves: Mapping[str, Real[np.ndarray, " layers"]], label: str) -> None:
    """Quantities over the layers on a logarithmic axis.

    Args:
        ax: axes to draw on.
        curves: at most three of positive values by name, (layers,) each; what is not finite is left out.
        label: of the vertical axis.
    """
    (curves,) = drawable("draw_layers", ax, missing=True, by_name={"curves": curves})
    for color, (name, values) in zip((BLUE, ORANGE, GREY), curves.items(), strict=False):
        known = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        ax.plot(np.arange(len(known)), known, "-", color=color, label=name)
    logarithmic(ax, np.concatenate(list(curves.values())))
    ax.set(xlabel="layer", ylabel=label)
    ax.legend(loc="best")


def draw_changes(ax: Axes, changes: Mapping[str, float], label: str = "relative change of the features") -> None:
    """Relative changes, of the features by other discretisations for example.

    Args:
        ax: axes to draw on.
        changes: by name; what is not finite is left out.
        label: of the horizontal axis.
    """
    checks.instance("draw_changes", "changes", changes, Mapping, "Give a dictionary.")
    (bars,) = drawable("draw_changes", ax, missing=True, changes=list(changes.values()))
    ax.barh(list(changes), bars, color=BLUE)
    ax.invert_yaxis()
    ax.set(xlabel=label)


def draw_certified(ax: Axes, lengths: Mapping[str, Real[np.ndarray, " n"]], most: float) -> None:
    """Share of samples that stay right, over the length of changes on a logarithmic axis.

    Args:
        ax: axes to draw on.
        lengths: at most three by name: up to which each sample stays right, at least 0, (n,).
        most: length at the end of the axis, positive.
    """
    checks.number("draw_certified", "most", most, above=0)
    (lengths,) = drawable("draw_certified", ax, by_name={"lengths": lengths})
    values = np.concatenate(list(lengths.values()))
    axis = np.geomspace(min([most / 100, *values[values > 0]]) / 2, most, 200)
    for color, (name, values) in zip((BLUE, ORANGE, GREY), lengths.items(), strict=False):
        ax.plot(axis, [100 * np.mean(values >= length) for length in axis], color=color, label=name)
    logarithmic_x(ax, most / axis[0])
    ax.set(ylim=(0, 101), xlabel="length of a change, in the unit of the pixels", ylabel="images, %")
    ax.legend(loc="best")
