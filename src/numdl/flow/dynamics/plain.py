"""What is the plain layer of a residual network: ``act(K u + b)``, every entry of K a weight of its own?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, Float

from numdl.flow.dynamics.affine import affine
from numdl.flow.dynamics.base import times


def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
    """Random K.

    Args:
        rng: source of random numbers.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``.

    Returns:
        ``{"K": (m, m)}``.
    """
    return {"K": scale / m**0.5 * rng.standard_normal((m, m))}


def product(theta: dict[str, Array], u: Float[Array, " m *n"]) -> Float[Array, " m *n"]:
    """``K u``.

    Args:
        theta: with ``K (m, m)``.
        u: (m,), or (m, n).

    Returns:
        The shape of u.
    """
    return times(theta["K"], u)


PLAIN = affine("plain", draw, product)
