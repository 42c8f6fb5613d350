"""Low-rank layers: how does a wide layer get by with few weights: ``act(U V' u + b)`` with a matrix of low rank?

``2 m r`` weights and as many products, instead of ``m^2`` of a plain layer.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Array, Float

from numdl.flow.dynamics.base import affine, times


def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
    """Random factors of rank ``r = ceil(sqrt(m))``.

    Factors with entries of deviation s have the spectral norm ``s (sqrt(m) + sqrt(r))`` each, so
    ``s^2 = 2 scale / (sqrt(m) + sqrt(r))^2`` keeps that of their product below about ``2 * scale``.

    Args:
        rng: source of random numbers.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``.

    Returns:
        ``{"U": (m, r), "V": (m, r)}``.
    """
    r = math.isqrt(m - 1) + 1
    size = (2.0 * scale) ** 0.5 / (m**0.5 + r**0.5)
    return {"U": size * rng.standard_normal((m, r)), "V": size * rng.standard_normal((m, r))}


def product(theta: dict[str, Array], u: Float[Array, " m *n"]) -> Float[Array, " m *n"]:
    """``U V' u``, for factors of any rank.

    Args:
        theta: with ``U (m, r)`` and ``V (m, r)``.
        u: (m,), or (m, n).

    Returns:
        The shape of u.
    """
    return times(theta["U"], times(theta["V"].T, u))


LOW_RANK = affine("low_rank", draw, product)
