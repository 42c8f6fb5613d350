"""Which scalar nonlinearity acts on every entry of a layer?"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Activation = Callable[[Array], Array]


def identity(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """``act(z) = z``, which makes every layer linear."""
    return z


def smooth_relu(z: Float[Array, "*shape"], width: float = 0.1) -> Float[Array, "*shape"]:
    """Rectifier with a rounded corner: ``(z + width)^2 / (4 width)`` for ``|z| <= width``, else 0 or z.

    The parabola is the one that meets both branches in value and slope, so the derivative is continuous.

    Args:
        z: any shape.
        width: half the length of the rounded corner, in the units of z, positive.

    Returns:
        Same shape as z.
    """
    # Clipping makes the parabola exact at both ends and keeps its slope finite for large |z|.
    corner = (jnp.clip(z, -width, width) + width) ** 2 / (4 * width)
    return jnp.where(z > width, z, corner)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "smooth_relu": smooth_relu,
    "sine": jnp.sin,
    "softplus": jax.nn.softplus,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "identity": identity,
}
"""Name to function; a new entry is all that a new activation needs."""


def get_activation(name: str) -> Activation:
    """Activation of that name.

    Args:
        name: a key of ``ACTIVATIONS``.

    Returns:
        The function, acting on each entry.

    Raises:
        ValueError: no activation has that name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"get_activation({name!r}): unknown activation. Use one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]
