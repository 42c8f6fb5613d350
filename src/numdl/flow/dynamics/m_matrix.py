"""M-matrix layers: which layer never drives states apart in the largest entry: ``act(-M u + b)`` with an M-matrix M?"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.flow.dynamics.base import Guarantee, affine, times


def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
    """Random numbers behind M.

    Args:
        rng: source of random numbers.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``.

    Returns:
        ``{"a": (m, m)}``; the diagonal is not used.
    """
    return {"a": scale**0.5 / m**0.5 * rng.standard_normal((m, m))}


def matrix(a: Float[Array | np.ndarray, "m m"]) -> Float[Array, "m m"]:
    """M with off-diagonal entries ``-a_ij^2`` and rows that sum to zero.

    Args:
        a: (m, m).

    Returns:
        M: no eigenvalue has a negative real part.
    """
    pulls = a**2 * (1 - jnp.eye(a.shape[0], dtype=a.dtype))
    return jnp.diag(pulls.sum(axis=1)) - pulls


def product(theta: dict[str, Array], u: Float[Array, " m *n"]) -> Float[Array, " m *n"]:
    """``-M u``.

    With ``0 <= act' <= 1`` the logarithmic norm of ``-diag(act') M`` in the largest entry is not positive, since the
    rows of M sum to zero and only its diagonal is positive: no perturbation grows there.

    Args:
        theta: with ``a (m, m)``.
        u: (m,), or (m, n).

    Returns:
        The shape of u.

    Source: Berman and Plemmons, Nonnegative matrices in the mathematical sciences, SIAM 1994, chapter 6; Haber and
    Ruthotto, Inverse Problems 34, 2018, sec. 3 (the stability toy).
    """
    return -times(matrix(theta["a"]), u)


M_MATRIX = affine("m_matrix", draw, product)._replace(guarantees=(Guarantee.MAXIMUM,))
