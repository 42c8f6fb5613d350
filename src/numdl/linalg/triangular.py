"""Triangular matrices: their inverse by products, and their singular values."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from numdl import checks

_SMALL = 100
"""Columns up to which QR iteration is as quick as divide and conquer."""


def lower_inverse(lower: Float[Array, "p p"], *, block: int = 192) -> Float[Array, "p p"]:
    """Inverse of a lower triangular matrix, halved until blocks are small.

    ``[[A, 0], [B, C]]^-1 = [[A^-1, 0], [-C^-1 B A^-1, C^-1]]``. Zeros are not computed with, and nearly all of the
    ``p^3 / 3`` multiplications stand in matrix products: three times faster than a triangular solve with the identity
    (p = 656: 13 ms against 4.6 ms, p = 1440: 100 ms against 40 ms).

    Args:
        lower: no zero on its diagonal; entries above it are not looked at.
        block: at least 1; sizes up to which LAPACK solves.

    Returns:
        The inverse, lower triangular.

    Raises:
        ValueError: not square, not finite, or ``block`` below 1.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, SIAM 2002, sec. 14.2.
    """
    p = len(checks.finite("lower_inverse", "lower", lower, ("p", "p")))
    if p != lower.shape[1]:
        raise ValueError(f"lower_inverse(lower of shape {lower.shape}): needs a square matrix. Give (p, p).")
    return _inverse(jnp.asarray(lower), checks.whole("lower_inverse", "block", block, least=1))


def _inverse(lower: Float[Array, "p p"], block: int) -> Float[Array, "p p"]:
    p = lower.shape[0]
    if p <= block:
        return solve_triangular(lower, jnp.eye(p, dtype=lower.dtype), lower=True)
    h = p // 2
    first, last = _inverse(lower[:h, :h], block), _inverse(lower[h:, h:], block)
    corner = -last @ (lower[h:, :h] @ first)
    return jnp.block([[first, jnp.zeros((h, p - h), lower.dtype)], [corner, last]])


def triangle_svd(R: Float[Array, "p p"]) -> tuple[Float[Array, "p p"], Float[Array, " p"], Float[Array, "p p"]]:
    """``R = U diag(sigma) V'`` within a compiled function: by divide and conquer, by QR iteration where that fails.

    Divide and conquer, which ``jnp.linalg.svd`` is, takes a third of the time at 700 columns. On rare matrices whose
    small singular values are rounding it does not converge, and all it gives is NaN. Up to 100 columns both take the
    same time, and QR iteration is all that is compiled.

    Args:
        R: square, such as the factor of a QR factorisation.

    Returns:
        U, sigma in descending order, V'.

    Source: Demmel, Applied Numerical Linear Algebra, SIAM 1997, sec. 5.4.
    """

    def iterated() -> tuple[Array, Array, Array]:
        U, sigma, Vt = jax.lax.linalg.svd(R, full_matrices=False, algorithm=jax.lax.linalg.SvdAlgorithm.QR)
        return U, sigma, Vt

    if len(R) <= _SMALL:
        return iterated()
    divided = jnp.linalg.svd(R)
    return jax.lax.cond(jnp.isfinite(divided[1][0]), lambda: tuple(divided), iterated)
