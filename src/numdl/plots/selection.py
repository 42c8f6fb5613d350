"""Plots of criteria for alpha: L-curve, Picard plot, cross validation.

How do the criteria for alpha look: their values, the L-curve, the Picard plot, the error of cross validation?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Real

from numdl import checks
from numdl.plots.canvas import BLUE, CYCLE, GREY, ORANGE, drawable, logarithmic, pairs, pen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vP*X"
"""One for each choice on the L-curve."""

Mark = tuple[str, float]
"""Name of a criterion and the alpha it chooses."""


def draw_criteria(
    ax: Axes, alphas: Real[np.ndarray, " m"], criteria: Mapping[str, Real[np.ndarray, " m"]], marks: Sequence[Mark]
) -> None:
    """Criteria over alpha, each divided by its minimum.

    Args:
        ax: axes to draw on.
        alphas: (m,), ascending.
        criteria: values by name, positive, (m,); what is not finite is left out.
        marks: choices, drawn as vertical lines.
    """
    (alphas,) = drawable("draw_criteria", ax, alphas=alphas)
    _, criteria = drawable("draw_criteria", ax, missing=True, alphas=alphas, by_name={"criteria": criteria})
    marks = pairs("draw_criteria", "marks", marks, checks.number)
    top = 1.0
    for position, (name, values) in enumerate(criteria.items()):
        known = np.isfinite(values)
        scaled = values[known] / max(float(values[known].min(initial=np.inf)), np.finfo(float).tiny)
        ax.plot(alphas[known], scaled, label=name, **pen(position))
        top = max(top, float(np.quantile(scaled, 0.75)) if len(scaled) else 1.0)
    ax.set_ylim(0.98, max(1.5, min(top, 20.0)))
    _alpha_axis(ax)
    _mark(ax, marks)
    ax.set_ylabel("criterion over its minimum")
    ax.legend(loc="best")


def draw_l_curve(
    ax: Axes, residuals: Real[np.ndarray, " m"], seminorms: Real[np.ndarray, " m"], at: Sequence[tuple[str, int]]
) -> None:
    """The L-curve in double logarithmic axes, with the choices on it.

    Args:
        ax: axes to draw on.
        residuals: norms over the path, (m,).
        seminorms: ``||L x||`` over the path, (m,).
        at: names of criteria and positions on the path.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from numdl.plots import draw_l_curve
        >>> from numdl.regularize.ridge import decompose, ridge_path
        >>> from numdl.regularize.selectors import gcv
        >>> A = np.vander(np.linspace(0, 1, 20), 6)
        >>> b = A @ np.ones((6, 1)) + 0.01 * np.sin(np.arange(20.0))[:, None]
        >>> path = ridge_path(decompose(A, b), np.geomspace(1e-8, 1, 30))
        >>> axes = Figure().subplots()
        >>> draw_l_curve(axes, path.residuals, path.seminorms, [("GCV", int(gcv(path)))])
        >>> axes.get_xscale(), axes.get_yscale()
        ('log', 'log')
    """
    residuals, seminorms = drawable("draw_l_curve", ax, residuals=residuals, seminorms=seminorms)
    at = pairs("draw_l_curve", "at", at, partial(checks.whole, least=0, most=len(residuals) - 1))
    good = (residuals > 0) & (seminorms > 0)
    ax.plot(residuals[good], seminorms[good], color=GREY)
    for position, (name, index) in enumerate(at):
        if good[index]:
            ax.plot(
                residuals[index], seminorms[index], MARKERS[position], color=CYCLE[position], markersize=5, label=name
            )
    _double_logarithmic(ax, residuals[good], seminorms[good])
    ax.set_xlabel("norm of the residual")
    ax.set_ylabel("size of the solution")
    ax.legend(loc="best")


def draw_picard(ax: Axes, values: Real[np.ndarray, " r"], coefficients: Real[np.ndarray, " r"], noise: float) -> None:
    """Singular values and coefficients of the targets, direction by direction.

    Args:
        ax: axes to draw on.
        values: generalised singular values, descending, (r,).
        coefficients: ``|u' b|``, (r,).
        noise: level at which the coefficients stop falling; 0 if there is none.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from numdl.plots import draw_picard
        >>> axes, s = Figure().subplots(), 0.5 ** np.arange(12)
        >>> draw_picard(axes, s, np.maximum(s**1.2, 1e-3), noise=1e-3)
        >>> axes.get_yscale()
        'log'
    """
    values, coefficients = drawable("draw_picard", ax, values=values, coefficients=coefficients)
    checks.number("draw_picard", "noise", noise, least=0)
    index = np.arange(1, len(values) + 1)
    ax.plot(index, coefficients, ".", color=ORANGE, markersize=4, label="coefficients of the targets")
    ax.plot(index, values, color=BLUE, label="singular values")
    if noise > 0:
        ax.axhline(noise, color=GREY, linestyle="--", linewidth=1, label="level of the noise")
    logarithmic(ax, np.concatenate([values[values > 0], coefficients[coefficients > 0]]))
    ax.set_xlabel("direction")
    ax.legend(loc="best")


def draw_error(
    ax: Axes,
    alphas: Real[np.ndarray, " m"],
    error: Real[np.ndarray, " m"],
    high: Real[np.ndarray, " m"],
    freedom: Real[np.ndarray, " m"],
    marks: Sequence[Mark],
) -> None:
    """Cross-validated error with its standard error, and the degrees of freedom.

    Args:
        ax: axes to draw on.
        alphas: (m,), ascending.
        error: root mean squared error, (m,); what is not finite is left out.
        high: the same one standard error above, (m,); what is not finite is left out.
        freedom: effective degrees of freedom, (m,); what is not finite is left out.
        marks: choices, drawn as vertical lines.
    """
    (alphas,) = drawable("draw_error", ax, alphas=alphas)
    _, error, high, freedom = drawable(
        "draw_error", ax, missing=True, alphas=alphas, error=error, high=high, freedom=freedom
    )
    marks = pairs("draw_error", "marks", marks, checks.number)
    ax.plot(alphas, error, color=BLUE, label="error")
    ax.fill_between(alphas, 2 * error - high, high, color=BLUE, alpha=0.15, linewidth=0, label="standard error")
    finite = error[np.isfinite(error)]
    if len(finite):
        ax.set_ylim(0.95 * finite.min(), min(1.1 * finite.max(), 3 * finite.min()))
    _alpha_axis(ax)
    _mark(ax, marks)
    ax.set_ylabel("cross-validated error")
    right = ax.twinx()
    right.plot(alphas, freedom, color=GREY, linestyle=":", label="degrees of freedom")
    right.set_ylabel("degrees of freedom")
    right.grid(visible=False)
    lines = [*ax.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    ax.legend(lines, [str(line.get_label()) for line in lines], loc="best")


def _alpha_axis(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    from numdl.plots.wording import power

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(numticks=7))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(power))
    ax.set_xlabel("alpha")


def _double_logarithmic(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for axis, values in ((ax.xaxis, x), (ax.yaxis, y)):
        (ax.set_xscale if axis is ax.xaxis else ax.set_yscale)("log")
        narrow = len(values) > 0 and values.max() < 100 * values.min()
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if narrow else LogLocator(numticks=7))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _mark(ax: Axes, marks: Sequence[Mark]) -> None:
    for position, (_, alpha) in enumerate(marks):
        ax.axvline(alpha, linewidth=1, **pen(position + 1))
