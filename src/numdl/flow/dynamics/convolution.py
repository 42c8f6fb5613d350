"""Convolutional layers in one dimension.

How does a layer act alike everywhere on a line: ``act(k * u + b)`` with a short kernel k, periodic?
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.flow.dynamics.base import affine

TAPS = 3


def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
    """Random kernel.

    Args:
        rng: source of random numbers.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``.

    Returns:
        ``{"k": (3,)}``.
    """
    return {"k": scale / TAPS**0.5 * rng.standard_normal(TAPS)}


def product(theta: dict[str, Array], u: Float[Array, " m *n"]) -> Float[Array, " m *n"]:
    """``(k * u)_i = sum_j k_j u_{i - j + r}`` with ``r = (taps - 1) / 2`` and periodic indices.

    Args:
        theta: with ``k`` of an odd number of taps.
        u: (m,), or (m, n).

    Returns:
        The shape of u.

    Source: Hansen, Nagy and O'Leary, Deblurring images, SIAM 2006, sec. 3.5 (periodic boundaries).
    """
    k = theta["k"]
    reach = (k.shape[0] - 1) // 2
    return sum((k[j] * jnp.roll(u, j - reach, axis=0) for j in range(k.shape[0])), start=jnp.zeros_like(u))


CONVOLUTION = affine("convolution", draw, product)
