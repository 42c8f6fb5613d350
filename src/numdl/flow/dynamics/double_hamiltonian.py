"""Hamiltonian layers of two matrices.

Which layer has an energy: ``y' = K1' act(K1 z + b1)``, ``z' = -K2' act(K2 y + b2)``?
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Array

from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import Dynamics, Guarantee, plus, times
from numdl.flow.dynamics.double import DOUBLE
from numdl.flow.separable import Separable, half_width, halves


def init(key: Any, m: int, scale: float, dtype: Any = None) -> dict[str, Array]:
    """Random weights of one layer.

    Args:
        key: seed, JAX random key or NumPy generator.
        m: width, even.
        scale: size of the weights, no unit; see ``Dynamics``.
        dtype: of the weights; None for JAX's default.

    Returns:
        ``{"K1": (m/2, m/2), "b1": (m/2,), "K2": (m/2, m/2), "b2": (m/2,)}``.

    Raises:
        ValueError: m is odd.
    """
    return DOUBLE.init(key, half_width(m), scale, dtype)


def vector_field(activation: Activation) -> Separable:
    """Right-hand side ``[K1' act(K1 z + b1); -K2' act(K2 y + b2)]`` with ``u = [y; z]``; the inner width is free.

    With weights that do not move, the energy ``H = sum Act(K1 z + b1) + sum Act(K2 y + b2)``, ``Act' = act``, is
    conserved: ``dy/dt = dH/dz`` and ``dz/dt = -dH/dy``.

    Args:
        activation: acts on each entry.

    Returns:
        ``f(t, u, theta)``.

    Source: Chang, Meng, Haber, Ruthotto, Begert and Holtham, Reversible architectures for arbitrarily deep residual
    neural networks, AAAI 2018, sec. 3.1.
    """
    return Separable(
        lambda t, z, theta: times(theta["K1"].T, activation(plus(times(theta["K1"], z), theta["b1"]))),
        lambda t, y, theta: -times(theta["K2"].T, activation(plus(times(theta["K2"], y), theta["b2"]))),
        columns=True,
    )


def energy(potential: Activation, u: Array, theta: dict[str, Any]) -> Array:
    """``H = sum Act(K1 z + b1) + sum Act(K2 y + b2)``.

    Args:
        potential: antiderivative of the activation, see ``numdl.flow.energy``.
        u: state ``[y; z]``, (m,).
        theta: weights of one layer.

    Returns:
        (), conserved where the weights do not move.
    """
    y, z = halves(u)
    inner, outer = (plus(times(theta[K], part), theta[b]) for K, b, part in (("K1", "b1", z), ("K2", "b2", y)))
    return potential(inner).sum() + potential(outer).sum()


DOUBLE_HAMILTONIAN = Dynamics("double_hamiltonian", init, vector_field, (Guarantee.VOLUME,), energy)
