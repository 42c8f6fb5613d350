"""How are stiff linear terms taken implicitly and the rest explicitly: ``(I - h L) u+ = u + h f(t, u, theta)``?

The dynamics are ``u' = L u + f(t, u, theta)`` with a symmetric L that does not grow: diffusion, or damping. L is
factorised once, when the scheme is made; a step costs two products more than Euler, or two FFTs. It is stable for
every step as far as L is concerned.

Source: Haber, Lensink, Treister and Ruthotto, IMEXnet: a forward stable deep neural network, ICML 2019, sec. 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import Dynamics, PyTree, Scheme


def imex(L: np.ndarray | float) -> Scheme:
    """Scheme with the linear term of a matrix, by its eigenvectors.

    Args:
        L: symmetric matrix without positive eigenvalues, or a number for a multiple of the identity, in 1 / time.

    Returns:
        First-order scheme for ``u' = L u + f(t, u, theta)``, of which f is what is marched.

    Raises:
        ValueError: L is not square, not symmetric, or grows.
    """
    matrix = np.asarray(L, float)
    if matrix.ndim == 0:
        rate = float(_decay(matrix))
        return _scheme(lambda h, u: u / (1 - h * rate))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.allclose(matrix, matrix.T):
        raise ValueError(f"imex(L of shape {matrix.shape}): needs a symmetric square matrix, or one number.")
    values, vectors = np.linalg.eigh(matrix)
    _decay(values)

    def solve(h: Any, u: Array) -> Array:
        basis, rates = jnp.asarray(vectors, u.dtype), jnp.asarray(np.minimum(values, 0), u.dtype)
        return basis @ ((basis.T @ u) / (1 - h * rates))

    return _scheme(solve)


def imex_circulant(column: Float[np.ndarray, " m"]) -> Scheme:
    """Scheme with the linear term of a symmetric circulant matrix, by FFT.

    The column ``(-2, 1, 0, ..., 0, 1)`` is diffusion on a ring.

    Args:
        column: first column of L, (m,), in 1 / time.

    Returns:
        First-order scheme for ``u' = L u + f(t, u, theta)``, of which f is what is marched.

    Raises:
        ValueError: the matrix is not symmetric, or grows.
    """
    first = np.asarray(column, float)
    if first.ndim != 1 or not np.allclose(first[1:], first[1:][::-1]):
        raise ValueError("imex_circulant(column): needs the first column of a symmetric matrix, c_j = c_{m-j}.")
    values = _decay(np.fft.rfft(first).real)

    def solve(h: Any, u: Array) -> Array:
        rates = jnp.asarray(np.minimum(values, 0), u.dtype)
        return jnp.fft.irfft(jnp.fft.rfft(u) / (1 - h * rates), u.shape[0]).astype(u.dtype)

    return _scheme(solve)


def _decay(values: np.ndarray) -> np.ndarray:
    """The eigenvalues, or the reason why they cannot be used."""
    if not np.all(np.isfinite(values)) or np.max(values, initial=0.0) > 1e-10 * np.max(np.abs(values), initial=1.0):
        raise ValueError(f"imex: L has the eigenvalue {np.max(values)}, needs none above 0. Put growth into f.")
    return values


def _scheme(solve: Callable[[Any, Array], Array]) -> Scheme:
    def step(
        f: Dynamics, t: Any, h: Any, u: Float[Array, " m"], theta: Callable[[float], PyTree]
    ) -> Float[Array, " m"]:
        return solve(h, u + h * f(t, u, theta(0.0)))

    return Scheme(1, step)
