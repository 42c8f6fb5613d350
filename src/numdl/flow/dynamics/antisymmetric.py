"""Antisymmetric layers.

How does a layer keep its linearisation on the imaginary axis: ``act((K - K') u - gamma u + b)``?
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import VectorField
from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import Dynamics, Guarantee, by_columns, drawn, plus, times
from numdl.flow.dynamics.lower import lower


def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
    """Random weights of one layer; each pair of opposite entries is stored once.

    Args:
        rng: source of random numbers.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``.

    Returns:
        ``{"a": (m (m - 1) / 2,), "b": (m,)}``; for m = 1 ``a`` is empty.
    """
    a = scale / m**0.5 * rng.standard_normal(m * (m - 1) // 2)
    return {"a": a, "b": scale * rng.uniform(-1.0, 1.0, m)}


def matrix(a: Float[Array | np.ndarray, " pairs"], m: int) -> Float[Array, "m m"]:
    """Antisymmetric matrix ``A = K - K'`` with the entries below the diagonal given row by row.

    Args:
        a: ``A[1, 0], A[2, 0], A[2, 1], A[3, 0], ...``, (m (m - 1) / 2,).
        m: width.

    Returns:
        A with ``A[j, i] = -A[i, j]``.
    """
    below = lower(a, m, -1)
    return below - below.T


def vector_field(activation: Activation, gamma: float = 0.0) -> VectorField:
    """Right-hand side ``act((K - K' - gamma I) u + b)``.

    ``diag(act') (K - K')`` is similar to an antisymmetric matrix wherever ``act' > 0``, so its eigenvalues are
    imaginary: the flow neither explodes nor forgets. ``gamma > 0`` moves them to the left, into the region where
    explicit Euler is stable.

    Args:
        activation: acts on each entry.
        gamma: damping, in 1 / time, non-negative.

    Returns:
        ``f(t, u, theta)``.

    Raises:
        ValueError: gamma is negative or not finite.

    Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 4.1.
    """
    checks.number("antisymmetric.vector_field", "gamma", gamma, least=0, hint="Use 0 for no damping.")

    @by_columns
    def f(t: Any, u: Float[Array, " m *n"], theta: dict[str, Array]) -> Float[Array, " m *n"]:
        z = plus(times(matrix(theta["a"], u.shape[0]), u), theta["b"])
        return activation(z - gamma * u if gamma else z)

    return f


ANTISYMMETRIC = Dynamics("antisymmetric", drawn(draw), vector_field, (Guarantee.AXIS,), damping=0.0)
