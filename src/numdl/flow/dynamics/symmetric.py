"""Symmetric layers: how does a layer keep the eigenvalues of its matrix real: ``act(K u + b)`` with ``K = K'``?

With all slopes of the activation positive, ``diag(act') K`` is similar to a symmetric matrix: states grow or decay
but do not oscillate. Half the weights of a plain layer.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.flow.dynamics.base import affine, times
from numdl.flow.dynamics.lower import lower


def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
    """Random K; each pair of equal entries is stored once.

    The diagonal has twice the variance of the other entries (the orthogonally invariant ensemble), so the spectral norm
    is about ``2 * scale``.

    Args:
        rng: source of random numbers.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``.

    Returns:
        ``{"s": (m (m + 1) / 2,)}``.
    """
    rows, columns = np.tril_indices(m)
    size = np.where(rows == columns, 2**0.5, 1.0) * scale / m**0.5
    return {"s": size * rng.standard_normal(len(rows))}


def matrix(s: Float[Array | np.ndarray, " pairs"], m: int) -> Float[Array, "m m"]:
    """Symmetric matrix with the entries on and below the diagonal given row by row.

    Args:
        s: ``K[0, 0], K[1, 0], K[1, 1], K[2, 0], ...``, (m (m + 1) / 2,).
        m: width.

    Returns:
        K with ``K[j, i] = K[i, j]``.
    """
    below = lower(s, m)
    return below + jnp.tril(below, -1).T


def product(theta: dict[str, Array], u: Float[Array, " m *n"]) -> Float[Array, " m *n"]:
    """``K u``.

    Args:
        theta: with ``s (m (m + 1) / 2,)``.
        u: (m,), or (m, n).

    Returns:
        The shape of u.
    """
    return times(matrix(theta["s"], u.shape[0]), u)


SYMMETRIC = affine("symmetric", draw, product)
