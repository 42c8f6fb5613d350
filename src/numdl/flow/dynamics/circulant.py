"""Circulant layers: how does a layer treat all features alike: ``act(c * u + b)`` with a periodic convolution?

Its matrix is circulant, ``K[i, j] = c[(i - j) mod m]``: m weights instead of m^2, and products by the fast Fourier
transform in ``O(m log m)``.

Source: Golub and Van Loan, Matrix computations, 4th ed. 2013, sec. 4.8.2.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.flow.dynamics.base import affine


def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
    """Random first column of K.

    Args:
        rng: source of random numbers.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``. The eigenvalues of K, the Fourier coefficients of c, have
            this root mean square.

    Returns:
        ``{"c": (m,)}``.
    """
    return {"c": scale / m**0.5 * rng.standard_normal(m)}


def product(theta: dict[str, Array], u: Float[Array, " m *n"]) -> Float[Array, " m *n"]:
    """``(K u)[i] = sum_j c[(i - j) mod m] u[j]``.

    Args:
        theta: with ``c (m,)``.
        u: (m,), or (m, n).

    Returns:
        The shape of u.
    """
    return jnp.fft.irfft((jnp.fft.rfft(theta["c"]) * jnp.fft.rfft(u.T)), n=u.shape[0]).T


CIRCULANT = affine("circulant", draw, product)
