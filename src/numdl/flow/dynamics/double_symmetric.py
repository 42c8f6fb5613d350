"""Parabolic (double symmetric) layers.

How does a layer smooth like a heat equation: ``f(t, u, theta) = -K' act(K u + b)``?
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Array, Float

from numdl.contracts import VectorField
from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import PLAIN, Dynamics, Guarantee, by_columns, plus, times


def vector_field(activation: Activation) -> VectorField:
    """Right-hand side ``-K' act(K u + b)``; ``K (r, m)``, ``b (r,)`` may have any inner width r.

    Its Jacobian ``-K' diag(act') K`` is symmetric negative semidefinite for every non-decreasing activation: two
    solutions with the same weights never move apart. It is the negative gradient in u of the sum over the entries of
    ``Act(K u + b)``, where ``Act' = act``.

    Args:
        activation: acts on each entry.

    Returns:
        ``f(t, u, theta)``.

    Source: Ruthotto and Haber, Deep neural networks motivated by partial differential equations, JMIV 62, 2020, sec. 3.
    """

    @by_columns
    def f(t: Any, u: Float[Array, " m *n"], theta: dict[str, Any]) -> Float[Array, " m *n"]:
        return -times(theta["K"].T, activation(plus(times(theta["K"], u), theta["b"])))

    return f


DOUBLE_SYMMETRIC = Dynamics("double_symmetric", PLAIN.init, vector_field, (Guarantee.DISTANCES,))

PARABOLIC = DOUBLE_SYMMETRIC._replace(name="parabolic")
"""The same by the name that the literature on networks as partial differential equations uses."""
