"""Masks (sampling operators): which entries of a vector are seen?"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from numdl import checks
from numdl.linalg.operators.base import LinearMap


class Mask(LinearMap):
    """``(A v)_i = v_(index_i)``: the seen entries; the adjoint fills the others with zeros.

    For a mask of trues and falses, ``Mask(numpy.flatnonzero(seen), seen.size)``.

    Attributes:
        index: which entries, each at most once, (m,).
        size: n, length of the vector.
    """

    index: Int[np.ndarray, " m"] = eqx.field(converter=np.asarray)
    size: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuse entries that are not there or are named twice.

        Raises:
            ValueError: an index is outside of 0, ..., n - 1, or occurs twice.
        """
        checks.whole("Mask", "size", self.size, least=0)
        if self.index.ndim != 1 or self.index.dtype.kind not in "iu":
            raise ValueError(
                f"Mask(index of shape {self.index.shape} and dtype {self.index.dtype}): needs whole numbers (m,). Use "
                "numpy.flatnonzero(seen) for trues and falses."
            )
        outside = self.index[(self.index < 0) | (self.index >= self.size)]
        if outside.size:
            raise ValueError(
                f"Mask(index): has the entry {outside[0]}, needs 0 to {self.size - 1}. Count from 0, or give a larger "
                "size."
            )
        if np.unique(self.index).size < self.index.size:
            raise ValueError("Mask(index): an entry occurs twice, needs each at most once. Use numpy.unique.")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (m, n)."""
        return len(self.index), self.size

    def mv(self, vector: Float[Array, " n"]) -> Float[Array, " m"]:
        """The seen entries."""
        return vector[jnp.asarray(self.index)]
