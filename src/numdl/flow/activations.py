"""Activation functions: which scalar nonlinearity acts on every entry of a layer?"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Activation = Callable[[Array], Array]


def identity(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """``act(z) = z``, which makes every layer linear."""
    return z


@jax.custom_jvp
def tanh(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """``act(z) = tanh z``, whose slope ``(1 - act)(1 + act)`` is kept as one number; older JAX keeps two."""
    return jnp.tanh(z)


@tanh.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    value = tanh(primals[0])
    return value, (1 - value) * (1 + value) * tangents[0]


def smooth_relu(z: Float[Array, "*shape"], width: float = 0.1) -> Float[Array, "*shape"]:
    """Rectifier with a rounded corner: ``(z + width)^2 / (4 width)`` for ``|z| <= width``, else 0 or z.

    The parabola is the one that meets both branches in value and slope, so the derivative is continuous.

    Args:
        z: any shape.
        width: half the length of the rounded corner, in the units of z, positive.

    Returns:
        Same shape as z.
    """
    # No z outside the corner enters the parabola, whose slope there may overflow; clipping would halve the slope at its
    # ends, where JAX takes the mean of both sides.
    inside = jnp.abs(z) < width
    corner = (jnp.where(inside, z, 0.0) + width) ** 2 / (4 * width)
    return jnp.where(inside, corner, jnp.where(z > 0, z, 0.0))


def gelu(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """``act(z) = z Phi(z)``, Phi the normal distribution function; not its approximation by tanh, which errs by 5e-4.

    Args:
        z: any shape.

    Returns:
        Same shape as z.

    Source: Hendrycks and Gimpel, Gaussian error linear units, arXiv:1606.08415, sec. 2.
    """
    return jax.nn.gelu(z, approximate=False)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": tanh,
    "relu": jax.nn.relu,
    "smooth_relu": smooth_relu,
    "sine": jnp.sin,
    "softplus": jax.nn.softplus,
    "gelu": gelu,
    "silu": jax.nn.silu,
    "identity": identity,
}
"""Name to function; a new entry is all that a new activation needs."""

NON_DECREASING = frozenset({"tanh", "relu", "smooth_relu", "softplus", "identity"})
"""Those without which dynamics cannot promise that distances do not grow."""


def get_activation(name: str) -> Activation:
    """Activation of that name.

    Args:
        name: a key of ``ACTIVATIONS``.

    Returns:
        The function, acting on each entry.

    Raises:
        ValueError: no activation has that name.
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"get_activation(name={name!r}): unknown activation. Use one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]
