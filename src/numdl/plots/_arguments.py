"""Arguments of figures: what can be drawn, and in which words is the rest refused?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numdl import checks

MARKS = 8
"""Pairs that a figure has colours for."""


def require_axes(call: str, ax: Any) -> None:
    """Refuse what is not axes of matplotlib.

    Args:
        call: the call to name.
        ax: as given.

    Raises:
        TypeError: something else.
    """
    from matplotlib.axes import Axes

    checks.instance(call, "ax", ax, Axes, "Make them with matplotlib.pyplot.subplots().")


def drawable(call: str, ax: Any, *, missing: bool = False, **values: Any) -> list[np.ndarray]:
    """Axes to draw on, and vectors of one length, real and finite.

    Args:
        call: the call to name.
        ax: axes.
        missing: whether entries may be NaN or infinite.
        **values: by name, (n,) each with the same n > 0.

    Returns:
        The vectors, as arrays of NumPy.

    Raises:
        TypeError: no axes.
        ValueError: a vector that cannot be drawn.
    """
    require_axes(call, ax)
    found: list[np.ndarray] = []
    for name, given in values.items():
        found.append(vector(call, name, given, len(found[0]) if found else "n", missing=missing))
    return found


def vector(call: str, name: str, values: Any, n: int | str = "n", *, missing: bool = False) -> np.ndarray:
    """A vector of real, finite numbers, at least one.

    Args:
        call: the call to name.
        name: of the argument.
        values: as given.
        n: length needed; text for any.
        missing: whether entries may be NaN or infinite.

    Returns:
        The vector, as an array of NumPy.

    Raises:
        ValueError: something else.
    """
    found = np.asarray((checks.real if missing else checks.finite)(call, name, values, (n,)))
    if not found.size:
        raise ValueError(f"{call}({name} of shape (0,)): needs at least one number. Give more.")
    return found


def vectors(call: str, name: str, lines: Any, n: int | str = "n", *, missing: bool = False) -> dict[str, np.ndarray]:
    """Vectors by name, at least one.

    Args:
        call: the call to name.
        name: of the argument.
        lines: as given.
        n: length needed; text for any, each its own.
        missing: whether entries may be NaN or infinite.

    Returns:
        The vectors, as arrays of NumPy.

    Raises:
        TypeError: no dictionary.
        ValueError: as `vector`.
    """
    if not isinstance(lines, Mapping) or not lines:
        raise TypeError(f"{call}({name}={checks.shown(lines)}): needs vectors by name. Give a dictionary of arrays.")
    return {label: vector(call, f"{name}[{label!r}]", values, n, missing=missing) for label, values in lines.items()}


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
