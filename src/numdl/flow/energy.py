"""Energy of conservative dynamics: how much energy does a state have, for dynamics that conserve one?"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow.dynamics import DYNAMICS, get_dynamics


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
        ValueError: these dynamics have no energy, the antiderivative of the activation is not known here, or an entry
            is not finite.
        TypeError: state and weights do not fit the dynamics.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.flow import energy
        >>> theta = {"K": jnp.eye(2), "b": jnp.zeros(2)}
        >>> float(energy("hyperbolic", "identity", jnp.array([1.0, 0.0, 0.0, 2.0]), theta))  # |v|^2 / 2 + |y|^2 / 2
        2.5

    Source: the fields' own, see there.
    """
    checks.choice("energy", "dynamics", dynamics, DYNAMICS)
    of_layer = get_dynamics(dynamics).energy
    if of_layer is None:
        raise ValueError(
            f"energy(dynamics={dynamics!r}): these dynamics conserve none. Use double_hamiltonian, h1 or hyperbolic."
        )
    if not isinstance(activation, str) or activation not in POTENTIALS:
        raise ValueError(
            f"energy(activation={activation!r}): no antiderivative is known, needs one. Use one of "
            f"{', '.join(POTENTIALS)}."
        )
    u = checks.finite("energy", "u", u, ("m",))
    checks.leaves("energy", "theta", theta)
    if not checks.traced(u):
        needs = f"the weights of one layer of {dynamics} and a state of its width"
        checks.shape_of("energy", "u, theta", lambda u, theta: of_layer(jnp.abs, u, theta), u, theta, needs=needs)
    return of_layer(POTENTIALS[activation], u, theta)
