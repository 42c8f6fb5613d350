"""Image gradient and Laplacian: how do the pixels of an image change from neighbour to neighbour?"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.linalg.operators.base import LinearMap
from numdl.linalg.operators.blocks import Kronecker
from numdl.linalg.operators.difference import BOUNDARIES, Difference


def _distances(h: Any) -> Any:
    """One or two numbers, in a list or an array."""
    return np.asarray(h) if isinstance(h, list | tuple) else h


class _ImageDifference(LinearMap):
    """The two operators ``D_1 kron I`` and ``I kron D_2`` of an image."""

    image: eqx.AbstractVar[tuple[int, int]]
    h: eqx.AbstractVar[Any]
    boundary: eqx.AbstractVar[str]

    @property
    @abc.abstractmethod
    def _order(self) -> int: ...

    def __check_init__(self) -> None:
        """Refuse what is no grid of pixels.

        Raises:
            ValueError: h is neither one distance nor two, or as `Difference`.
        """
        name = type(self).__name__
        checks.wholes(name, "image", self.image, count=2, least=1)
        checks.choice(name, "boundary", self.boundary, BOUNDARIES)
        if np.shape(self.h) not in ((), (2,)):
            raise ValueError(
                f"{name}(h of shape {np.shape(self.h)}): needs one distance of neighbours, or two: down the columns "
                "and along the rows. Give h=[h1, h2]."
            )
        for side in self.h if np.shape(self.h) else (self.h,):
            checks.scalar(name, "h", side, above=0, hint="Give the distance of neighbours.")

    @property
    def _parts(self) -> tuple[Kronecker, Kronecker]:
        sides = self.h if np.shape(self.h) else (self.h, self.h)
        down, along = (
            Difference(n, h, order=self._order, boundary=self.boundary)
            for n, h in zip(self.image, (sides[0], sides[1]), strict=True)
        )
        kept = [lx.IdentityLinearOperator(jax.ShapeDtypeStruct((n,), self.dtype)) for n in self.image]
        return Kronecker(down, kept[1]), Kronecker(kept[0], along)


class ImageGradient(_ImageDifference):
    """``[D_1 kron I; I kron D_2]``: all differences down the columns, then all along the rows, over h.

    Attributes:
        image: rows and columns, (n1, n2).
        h: distance of neighbours, positive, in units of length; two for pixels of unequal sides, (2,), the first down
            the columns.
        boundary: "neumann", "dirichlet" or "periodic", as for `Difference`.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 8.3.
    """

    image: tuple[int, int] = eqx.field(static=True)
    h: float | Float[Array, " *sides"] | Float[np.ndarray, " *sides"] = eqx.field(default=1.0, converter=_distances)
    boundary: str = eqx.field(static=True, default="neumann", kw_only=True)

    @property
    def _order(self) -> int:
        return 1

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pairs of neighbours, and of pixels."""
        down, along = self._parts
        return down.shape[0] + along.shape[0], down.shape[1]

    def mv(self, vector: Float[Array, " n"]) -> Float[Array, " m"]:
        """All differences."""
        return jnp.concatenate([part.mv(vector) for part in self._parts])


class ImageLaplacian(_ImageDifference):
    """``D_1 kron I + I kron D_2`` with second differences: five points, ``-G' G`` of `ImageGradient`.

    Attributes:
        image: rows and columns, (n1, n2).
        h: distance of neighbours, positive, in units of length; two for pixels of unequal sides, (2,), the first down
            the columns.
        boundary: "neumann", "dirichlet" or "periodic", as for `Difference`.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 8.3.
    """

    image: tuple[int, int] = eqx.field(static=True)
    h: float | Float[Array, " *sides"] | Float[np.ndarray, " *sides"] = eqx.field(default=1.0, converter=_distances)
    boundary: str = eqx.field(static=True, default="neumann", kw_only=True)

    @property
    def _order(self) -> int:
        return 2

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pixels, twice."""
        return self._parts[0].shape

    @property
    def tags(self) -> frozenset[object]:
        """Symmetric."""
        return frozenset({lx.symmetric_tag})

    def mv(self, vector: Float[Array, " n"]) -> Float[Array, " n"]:
        """Sum of the second differences both ways."""
        down, along = self._parts
        return down.mv(vector) + along.mv(vector)
