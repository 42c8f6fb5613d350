"""Canvas of figures: what can be drawn, in which colours, on which axes?

A figure of this room checks its arguments once, by `drawable` and its kin; what it calls for each line and axis refuses
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Real

from numdl import checks
from numdl.plots.wording import power

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

BLUE, ORANGE, GREEN, PURPLE, RED, GREY = "#1f5fa8", "#d1690a", "#23845a", "#7a4ea3", "#bb3a34", "#7b8494"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, RED, "#0e8f9e", "#a07a1c", "#c2508d")
DASHES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (5, 1)))
INK = "#2b3440"
SIZE = (4.6, 3.1)
MAX_POINTS = 2000
MARKS = 8
"""Pairs that a figure has colours for."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.5,
    "font.family": ["sans-serif"],
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#aab2bd",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "grid.color": "#e6e9ee",
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
}


def drawable(
    call: str, ax: Any, *, missing: bool = False, by_name: Mapping[str, Any] | None = None, **values: Any
) -> list[Any]:
    """Axes to draw on, and vectors of one length, real and finite.

    Args:
        call: the call to name.
        ax: axes.
        missing: whether entries may be NaN or infinite.
        by_name: arguments that are vectors by name; of the length of the others, or each of its own without others.
        **values: by name, (n,) each with the same n > 0.

    Returns:
        The vectors as arrays of NumPy, then a dictionary of such for each argument of ``by_name``.

    Raises:
        TypeError: no axes, or no dictionary.
        ValueError: a vector that cannot be drawn.
    """
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(
            f"{call}(ax={checks.shown(ax)}): needs axes of matplotlib. Make them with matplotlib.pyplot.subplots()."
        )
    given = dict(values)
    for name, lines in (by_name or {}).items():
        if not isinstance(lines, Mapping) or not lines:
            raise TypeError(
                f"{call}({name}={checks.shown(lines)}): needs vectors by name. Give a dictionary of arrays."
            )
        given |= {f"{name}[{label!r}]": line for label, line in lines.items()}
    found = iter(checks.vectors(call, given, alike=bool(values), missing=missing))
    vectors = [next(found) for _ in values]
    return [*vectors, *({label: next(found) for label in lines} for lines in (by_name or {}).values())]


def listed(call: str, name: str, names: Any, count: int) -> list[str]:
    """So many names.

    Args:
        call: the call to name.
        name: of the argument.
        names: as given.
        count: how many there must be.

    Returns:
        The names.

    Raises:
        ValueError: one text, or another number of them.
    """
    if isinstance(names, str) or not isinstance(names, Sequence | np.ndarray) or len(names) != count:
        raise ValueError(f"{call}({name}={checks.shown(names)}): needs {count} names. Give a list of them.")
    return [str(one) for one in names]


def pairs(call: str, name: str, given: Any, second: Callable[[str, str, Any], Any]) -> list[tuple[str, Any]]:
    """Names with a number each.

    Args:
        call: the call to name.
        name: of the argument.
        given: sequence of pairs.
        second: check of a number, ``(call, name, value) -> value``.

    Returns:
        The pairs.

    Raises:
        ValueError: something else, more than there are colours, or what ``second`` refuses.
    """
    few = isinstance(given, list | tuple) and len(given) <= MARKS
    if not few or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in given):
        raise ValueError(
            f"{call}({name}={checks.shown(given)}): needs at most {MARKS} pairs of a name and a number. "
            "Give for example [('gcv', 0.1)]."
        )
    return [(str(label), second(call, f"{name}[{label!r}]", value)) for label, value in given]


def require_color(call: str, name: str, color: Any) -> None:
    """Refuse what matplotlib knows as no colour.

    Args:
        call: the call to name.
        name: of the argument.
        color: as given.

    Raises:
        ValueError: something else.
    """
    from matplotlib.colors import is_color_like

    if not is_color_like(color):
        raise ValueError(
            f"{call}({name}={checks.shown(color)}): needs a colour of matplotlib. Give for example '#1f5fa8'."
        )


def pen(position: int) -> dict[str, Any]:
    """Colour and dashes of the line at a position, from 0: lines are told apart without colour, too."""
    return {"color": CYCLE[position % len(CYCLE)], "linestyle": DASHES[position % len(DASHES)]}


def thin(n: int, limit: int) -> Int[np.ndarray, " i"]:
    """At most ``limit`` evenly spaced indices of 0..n-1, with both ends."""
    return np.arange(n) if n <= limit else np.unique(np.linspace(0, n - 1, limit).round().astype(int))


def sample(n: int, limit: int = MAX_POINTS) -> Int[np.ndarray, " i"]:
    """At most ``limit`` indices of 0..n-1 drawn at random with a fixed seed, ascending."""
    return np.arange(n) if n <= limit else np.sort(np.random.default_rng(0).choice(n, limit, replace=False))


def logarithmic(ax: Axes, values: Real[np.ndarray, " ..."]) -> None:
    """Make the y axis logarithmic if the values are positive and span a decade; labels are plain text, not formulas.

    Args:
        ax: axes.
        values: that are drawn; what is not finite is left out.
    """
    values = np.asarray(values)
    values = values[np.isfinite(values)]
    if not values.size or values.min() <= 0 or values.max() < 10 * values.min():
        return
    ax.set_yscale("log")
    _decades(ax.yaxis, float(values.max() / values.min()))


def logarithmic_x(ax: Axes, ratio: float = np.inf) -> None:
    """Make the x axis logarithmic, with labels of plain text.

    Args:
        ax: axes.
        ratio: of its ends, at least 1; decades alone are marked from 100 on.
    """
    ax.set_xscale("log")
    _decades(ax.xaxis, ratio)


def logarithmic_y(ax: Axes, ratio: float = np.inf) -> None:
    """The same of the y axis.

    Args:
        ax: axes.
        ratio: of its ends, at least 1.
    """
    ax.set_yscale("log")
    _decades(ax.yaxis, ratio)


def _decades(axis: Axis, ratio: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(numticks=8) if ratio >= 100 else LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(power if ratio >= 100 else lambda value, _: f"{value:.3g}"))
    axis.set_minor_locator(NullLocator())
