"""Explicit Runge-Kutta schemes: how does a Butcher tableau become one explicit step, and which tableaus are named?

Euler's step ``u + h f(t, u, theta(t))`` is that of a classical residual network; Heun's averages the slope here and the
slope where Euler would land; RK3 is Kutta's, RK4 the classical one.

Source: Hairer, Norsett and Wanner, Solving ordinary differential equations I, 2nd ed., Springer 1993, secs. I.7, II.1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree, Scheme, VectorField


def explicit(order: int, a: Sequence[Sequence[float]], b: Sequence[float]) -> Scheme:
    """Explicit Runge-Kutta scheme of s stages.

    ``k_i = f(t + c_i h, u + h sum_{j<i} a_ij k_j, theta(c_i))`` with ``c_i = sum_j a_ij``, and the step ends at
    ``u + h sum_i b_i k_i``. The weights are taken at the time of the stage: that keeps the order when they move.

    Args:
        order: declared order of accuracy; the tests measure it.
        a: strictly lower triangle by rows, row i of length i, starting with the empty row 0.
        b: s quadrature weights.

    Returns:
        The scheme.

    Raises:
        ValueError: the rows have wrong lengths, or b does not sum to one.

    Source: Hairer, Norsett and Wanner, Solving ordinary differential equations I, 2nd ed., Springer 1993, sec. II.1.
    """
    checks.whole("explicit", "order", order, least=1)
    checks.real("explicit", "b", b, ("s",))
    if not isinstance(a, Sequence) or isinstance(a, str):
        raise TypeError(f"explicit(a={checks.shown(a)}): needs rows of numbers. Give for example [[], [1.0]].")
    for i, row in enumerate(a):
        checks.finite("explicit", f"a[{i}]", row, ("i",))
    if [len(row) for row in a] != list(range(len(b))):
        raise ValueError(
            f"explicit(a with rows of length {[len(row) for row in a]}, {len(b)} weights b): needs rows of length "
            f"{list(range(len(b)))}. Leave out the zeros on and above the diagonal."
        )
    if abs(sum(b) - 1.0) > 1e-12:
        raise ValueError(f"explicit(sum of b = {sum(b)}): needs 1, else constants are integrated wrongly. Check b.")

    def nodes(
        f: VectorField, t: Any, h: Any, u: Float[Array, " m *n"], theta: Callable[[float], PyTree]
    ) -> tuple[Float[Array, " m *n"], tuple[tuple[float, float, Array], ...]]:
        slopes: list[Array] = []
        rule: list[tuple[float, float, Array]] = []
        for row, weight in zip(a, b, strict=True):
            c, v = float(sum(row)), _move(u, h, row, slopes)
            slopes.append(f(t + c * h, v, theta(c)))
            rule += [(weight, c, v)] if weight else []
        return _move(u, h, b, slopes), tuple(rule)

    def step(
        f: VectorField, t: Any, h: Any, u: Float[Array, " m *n"], theta: Callable[[float], PyTree]
    ) -> Float[Array, " m *n"]:
        return nodes(f, t, h, u, theta)[0]

    stability = functools.partial(_stability, _coefficients(a, b))
    # With a negative weight an integral of squares may be negative.
    return Scheme(order, step, stability=stability, columns=True, nodes=nodes if min(b) >= 0 else None)


def _coefficients(a: Sequence[Sequence[float]], b: Sequence[float]) -> np.ndarray:
    """Coefficients ``1, b'1, b'A1, b'A^2 1, ...`` of the polynomial ``R(z) = 1 + z b'(I - z A)^(-1) 1``."""
    stages = len(b)
    matrix, powers = np.zeros((stages, stages)), np.ones(stages)
    for i, row in enumerate(a):
        matrix[i, :i] = row
    coefficients = [1.0]
    for _ in range(stages):
        coefficients.append(float(np.asarray(b) @ powers))
        powers = matrix @ powers
    return np.array(coefficients)


def _stability(coefficients: np.ndarray, z: Any) -> Any:
    return np.polynomial.polynomial.polyval(z, coefficients)


def _move(u: Array, h: Any, weights: Sequence[float], slopes: Sequence[Array]) -> Array:
    """``u + h sum_j weights_j slopes_j`` without the terms that vanish."""
    terms = [slope if w == 1 else w * slope for w, slope in zip(weights, slopes, strict=True) if w != 0]
    return u + h * sum(terms[1:], start=terms[0]) if terms else u


EULER = explicit(1, a=[[]], b=[1.0])
HEUN = explicit(2, a=[[], [1.0]], b=[0.5, 0.5])
RK3 = explicit(3, a=[[], [0.5], [-1.0, 2.0]], b=[1 / 6, 2 / 3, 1 / 6])
RK4 = explicit(4, a=[[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], b=[1 / 6, 1 / 3, 1 / 3, 1 / 6])
