"""Diagonal operators: how is each entry of a vector weighted on its own?"""

from __future__ import annotations

import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.linalg.operators.base import LinearMap


class Diagonal(LinearMap):
    """``(A v)_i = d_i v_i``.

    Attributes:
        values: d, (n,).
    """

    values: Float[Array, " n"] | Float[np.ndarray, " n"]

    def __check_init__(self) -> None:
        """Refuse what is no vector of finite numbers."""
        checks.finite("Diagonal", "values", self.values, ("n",))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (n, n)."""
        return len(self.values), len(self.values)

    @property
    def tags(self) -> frozenset[object]:
        """Diagonal and all that follows from it."""
        return frozenset(
            {lx.diagonal_tag, lx.symmetric_tag, lx.tridiagonal_tag, lx.lower_triangular_tag, lx.upper_triangular_tag}
        )

    def mv(self, vector: Float[Array, " n"]) -> Float[Array, " n"]:
        """``d v``, entry by entry."""
        return jnp.asarray(self.values) * vector


@lx.diagonal.register(Diagonal)
def _(operator: Diagonal) -> Array:
    return jnp.asarray(operator.values)
