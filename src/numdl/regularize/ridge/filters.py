"""Filter factors: how much of each direction does a regularised solution keep?

A direction that the data see with strength c and the penalty with strength s is kept by the share f; ``1 - f`` is
returned beside it, computed without cancellation, because residuals live on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from numdl import checks


class Shares(NamedTuple):
    """Filter factors of r directions at m penalty parameters.

    Attributes:
        kept: f, in [0, 1], (m, r).
        lost: 1 - f, (m, r).
    """

    kept: Float[np.ndarray, "m r"]
    lost: Float[np.ndarray, "m r"]


Filter = Callable[[np.ndarray, np.ndarray, np.ndarray], Shares]
"""``filter(c, s, alphas) -> Shares``."""


def require_alphas(call: str, alphas: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Penalty parameters as an array; refuses what are no positive numbers.

    Args:
        call: the call to name.
        alphas: as given, (m,).

    Returns:
        In float64.

    Raises:
        ValueError: no vector, empty, not finite, or not positive.
    """
    found = np.asarray(checks.finite(call, "alphas", alphas, ("m",), hint="Leave it out."), float)
    if not len(found) or not np.all(found > 0):
        raise ValueError(f"{call}(alphas): needs one or more positive finite numbers, (m,). Leave out zero and NaN.")
    return found


def _require(call: str, c: Any, s: Any, alphas: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strengths and parameters as arrays; refuses negative ones and what is not finite."""
    c = checks.finite(call, "c", c, ("r",))
    given = {"c": c, "s": checks.finite(call, "s", s, c.shape), "alphas": checks.finite(call, "alphas", alphas, ("m",))}
    for name, values in given.items():
        if np.any(values < 0):
            raise ValueError(f"{call}({name}): the smallest is {values.min():g}, needs numbers >= 0. Check the signs.")
    return given["c"], given["s"], given["alphas"]


def tikhonov(c: Float[np.ndarray, " r"], s: Float[np.ndarray, " r"], alphas: Float[np.ndarray, " m"]) -> Shares:
    """``f = c^2 / (c^2 + alpha s^2)``; directions that the data do not see (c = 0) are lost for every alpha.

    Args:
        c: strengths in the data, not negative, (r,).
        s: strengths in the penalty, not negative, (r,).
        alphas: penalty parameters, not negative, (m,).

    Returns:
        Filter factors.

    Raises:
        ValueError: a number is negative or not finite, or c and s differ in length.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, eq. 4.11 and sec. 8.4.
    """
    c, s, alphas = _require("tikhonov", c, s, alphas)
    seen, held = c**2, alphas[:, None] * s**2
    total = np.where(c > 0, seen + held, 1.0)
    return Shares(np.where(c > 0, seen / total, 0.0), np.where(c > 0, held / total, 1.0))


def truncated(c: Float[np.ndarray, " r"], s: Float[np.ndarray, " r"], alphas: Float[np.ndarray, " m"]) -> Shares:
    """``f = 1`` where ``c^2 > alpha s^2``, else 0: truncated (generalised) singular value decomposition.

    Args:
        c: strengths in the data, not negative, (r,).
        s: strengths in the penalty, not negative, (r,).
        alphas: thresholds for ``(c / s)^2``, not negative, (m,).

    Returns:
        Filter factors.

    Raises:
        ValueError: a number is negative or not finite, or c and s differ in length.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 4.2.
    """
    c, s, alphas = _require("truncated", c, s, alphas)
    kept = (c**2 > alphas[:, None] * s**2).astype(float)
    return Shares(kept, 1.0 - kept)
