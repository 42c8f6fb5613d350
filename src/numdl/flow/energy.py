"""Energy of conservative dynamics: how much energy does a state have, for dynamics that conserve one?"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import PyTree
from numdl.flow.dynamics import get_dynamics


def _log_cosh(z: Array) -> Array:
    """Antiderivative of tanh that does not overflow: ``|z| + log((1 + exp(-2 |z|)) / 2)``."""
    size = jnp.abs(z)
    return size + jnp.log1p(jnp.exp(-2 * size)) - jnp.log(2.0)


POTENTIALS: dict[str, Callable[[Array], Array]] = {
    "tanh": _log_cosh,
    "sine": lambda z: -jnp.cos(z),
    "identity": lambda z: 0.5 * z**2,
    "relu": lambda z: 0.5 * jax.nn.relu(z) ** 2,
}
"""Antiderivatives ``Act`` of activations, ``Act' = act``."""


def energy(dynamics: str, activation: str, u: Float[Array, " m"], theta: PyTree) -> Float[Array, ""]:
    """Energy of one state under the weights of one layer.

    Args:
        dynamics: key of ``DYNAMICS`` with an energy.
        activation: key of ``POTENTIALS``.
        u: state, (m,).
        theta: weights of one layer.

    Returns:
        H, conserved by the flow where the weights do not move.

    Raises:
        ValueError: these dynamics have no energy, or the antiderivative of the activation is not known here.

    Source: the fields' own, see there.
    """
    field = get_dynamics(dynamics)
    if field.energy is None:
        raise ValueError(
            f"energy({dynamics!r}): these dynamics conserve none. Use double_hamiltonian, h1 or hyperbolic."
        )
    if activation not in POTENTIALS:
        raise ValueError(f"energy({activation!r}): no antiderivative is known. Use one of {', '.join(POTENTIALS)}.")
    return field.energy(POTENTIALS[activation], u, theta)
