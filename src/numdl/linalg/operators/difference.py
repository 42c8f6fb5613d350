"""Finite difference operators: how do values on a line change from point to point?"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.linalg.operators.base import LinearMap

BOUNDARIES = ("neumann", "dirichlet", "periodic")


class Difference(LinearMap):
    """First or second difference quotient on n points with distance h.

    ========= ================================================== ==================
    boundary  first order: ``(u_(i+1) - u_i) / h`` for            constants
    ========= ================================================== ==================
    neumann   the n - 1 pairs inside                             cost nothing
    dirichlet the n + 1 pairs with ``u_0 = u_(n+1) = 0``         cost: u is unique
    periodic  the n pairs on a ring                              cost nothing
    ========= ================================================== ==================

    The second order is ``-D' D`` of the first, n by n, inside the points ``(u_(i-1) - 2 u_i + u_(i+1)) / h^2``: for
    "neumann" u is mirrored between its last point and the next.

    Attributes:
        size: n, number of points, at least 1.
        h: distance of the points, positive, in units of length.
        order: 1 or 2.
        boundary: "neumann", "dirichlet" or "periodic".

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 8.1-8.2; Strang, SIAM Rev. 41 (1999) 135-147.
    """

    size: int = eqx.field(static=True)
    h: float | Float[Array, ""] | Float[np.ndarray, ""] = 1.0
    order: int = eqx.field(static=True, default=1, kw_only=True)
    boundary: str = eqx.field(static=True, default="neumann", kw_only=True)

    def __check_init__(self) -> None:
        """Refuse what is no grid.

        Raises:
            ValueError: unknown order or boundary, no point, or a step that is not positive.
        """
        checks.whole("Difference", "size", self.size, least=1)
        checks.whole("Difference", "order", self.order, least=1, most=2, hint="Compose operators for more.")
        checks.choice("Difference", "boundary", self.boundary, BOUNDARIES)
        checks.scalar("Difference", "h", self.h, above=0, hint="Give the distance of the points.")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, see the table."""
        more = {"neumann": -1, "dirichlet": 1, "periodic": 0}[self.boundary]
        return (self.size if self.order == 2 else self.size + more), self.size

    @property
    def tags(self) -> frozenset[object]:
        """The second order is symmetric."""
        return frozenset({lx.symmetric_tag} if self.order == 2 else ())

    def mv(self, vector: Float[Array, " n"]) -> Float[Array, " m"]:
        """``D v``."""
        if self.order == 1:
            return self._first(vector) / self.h
        (folded,) = jax.linear_transpose(self._first, vector)(self._first(vector))
        return -folded / self.h**2

    def _first(self, vector: Array) -> Array:
        if self.boundary == "periodic":
            return jnp.roll(vector, -1) - vector
        return jnp.diff(jnp.pad(vector, 1) if self.boundary == "dirichlet" else vector)
