"""Circulant operators by FFT: which matrix is a convolution on a ring, and how is it applied in ``n log n``?"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.linalg.operators.base import LinearMap


class Circulant(LinearMap):
    """``C_ij = c_(i-j mod n)``, diagonalised by the Fourier transform.

    Attributes:
        column: first column c, (n,).

    Source: Hansen, Nagy, O'Leary, Deblurring Images, SIAM 2006, sec. 4.2.
    """

    column: Float[Array, " n"] | Float[np.ndarray, " n"]

    def __check_init__(self) -> None:
        """Refuse an empty column.

        Raises:
            ValueError: n is 0.
        """
        checks.finite("Circulant", "column", self.column, ("n",))
        if len(self.column) == 0:
            raise ValueError("Circulant(column): has 0 entries, needs at least 1. Give the first column of the matrix.")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (n, n)."""
        return len(self.column), len(self.column)

    def mv(self, vector: Float[Array, " n"]) -> Float[Array, " n"]:
        """``F^-1 (F c * F v)``."""
        return jnp.fft.irfft(jnp.fft.rfft(self.column) * jnp.fft.rfft(vector), len(self.column))

    def as_matrix(self) -> Float[Array, "n n"]:
        """The columns are shifts of the first one."""
        i = jnp.arange(len(self.column))
        return jnp.asarray(self.column)[(i[:, None] - i) % len(self.column)]

    def transpose(self) -> Circulant:
        """The circulant whose first column is the first row of C."""
        return Circulant(jnp.roll(jnp.flip(self.column), 1))
