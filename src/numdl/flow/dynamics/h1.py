"""Hamiltonian layers coupling all entries (H1).

Which Hamiltonian layer lets all entries act on all: ``f(t, u, theta) = J K' act(K u + b)``?
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import VectorField
from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import PLAIN, Dynamics, Guarantee, by_columns, plus, times
from numdl.flow.separable import half_width, halves


def init(key: Any, m: int, scale: float, dtype: Any = None) -> dict[str, Array]:
    """Random weights of one layer.

    Args:
        key: seed, JAX random key or NumPy generator.
        m: width, even.
        scale: size of the weights, no unit; see ``Dynamics``.
        dtype: of the weights; None for JAX's default.

    Returns:
        ``{"K": (m, m), "b": (m,)}``.

    Raises:
        ValueError: m is odd.
    """
    half_width(m)
    return PLAIN.init(key, m, scale, dtype)


def vector_field(activation: Activation) -> VectorField:
    """Right-hand side ``J K' act(K u + b)`` with ``J = [0, I; -I, 0]``; the inner width is free.

    It is ``J dH/du`` for ``H = sum Act(K u + b)``, ``Act' = act``; the energy is conserved where the weights do not
    move. The derivative of the end state by an earlier one is symplectic, so its norm is at least 1: gradients cannot
    vanish.

    Args:
        activation: acts on each entry.

    Returns:
        ``f(t, u, theta)``.

    Source: Galimberti, Furieri, Xu and Ferrari-Trecate, Hamiltonian deep neural networks guaranteeing nonvanishing
    gradients by design, IEEE Trans. Automatic Control 68, 2023, eq. (7) and theorem 1.
    """

    @by_columns
    def f(t: Any, u: Float[Array, " m *n"], theta: dict[str, Array]) -> Float[Array, " m *n"]:
        by_y, by_z = halves(times(theta["K"].T, activation(plus(times(theta["K"], u), theta["b"]))))
        return jnp.concatenate([by_z, -by_y])

    return f


def energy(potential: Activation, u: Array, theta: dict[str, Array]) -> Array:
    """``H = sum Act(K u + b)``.

    Args:
        potential: antiderivative of the activation, see ``numdl.flow.energy``.
        u: state, (m,).
        theta: weights of one layer.

    Returns:
        (), conserved where the weights do not move.
    """
    return potential(plus(times(theta["K"], u), theta["b"])).sum()


H1 = Dynamics("h1", init, vector_field, (Guarantee.VOLUME,), energy)
