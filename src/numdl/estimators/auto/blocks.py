"""Jacobian products in blocks of rows: what is asked of a derivative whose matrix should not be stored?

All comes from passes over blocks of rows whose derivative stays in the cache: ``J' diag(w) J`` by symmetric updates of
BLAS, products with J and J', and the norms that leaving rows out takes. J itself is never there.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dsyrk, dtrmm  # pyright: ignore[reportAttributeAccessIssue]

from numdl.estimators.auto.laplace import DUAL, Curvature
from numdl.estimators.auto.network import Architecture, jacobian
from numdl.estimators.kernels.evidence import Rows
from numdl.estimators.kernels.threads import each

ENTRIES, LEAST = 2**18, 256
"""Of the derivative at once, 2 MB, but not fewer rows than this: each block reads and writes the whole sum."""

PARTS = 4
"""Sums that threads may form: always as many, so that results do not depend on the machine."""

STORED = 2**21
"""Entries up to which the derivative is kept in one piece."""


def curvature_at(
    spec: Architecture, weights: np.ndarray, a: np.ndarray, noise: float, rows: Rows
) -> tuple[np.ndarray, Curvature]:
    """The network at the rows and its curvature, from a derivative that is kept where it is small.

    Args:
        spec: architecture.
        weights: where (P,).
        a: precisions of the weights (P,).
        noise: variance of one observation.
        rows: the data.

    Returns:
        (n,) and the factor.
    """
    n, size = len(rows.y), spec.n_weights
    if n < DUAL * size or n * size <= STORED:
        f, J = jacobian(spec, weights, rows.x)
        return f, Curvature(J, a, noise, rows.w)
    one = Streamed(Blocks(spec, weights, rows.x), a, noise, rows.w)
    return one.f, one


class Blocks:
    """Derivative of a network by its weights (n, P), row by row when it is asked for.

    Args:
        spec: architecture.
        weights: where (P,).
        x: rows (n, d).
    """

    __array_ufunc__ = None  # so that NumPy leaves products from the left to this class

    def __init__(self, spec: Architecture, weights: np.ndarray, x: np.ndarray) -> None:
        self.spec, self._weights, self._x = spec, weights, x
        self.shape = (len(x), spec.n_weights)

    def _slices(self) -> list[slice]:
        """Blocks of rows."""
        size = max(LEAST, ENTRIES // self.shape[1])
        return [slice(start, start + size) for start in range(0, self.shape[0], size)]

    def _at(self, block: slice) -> tuple[np.ndarray, np.ndarray]:
        """The network at a block (b,) and its derivative (b, P) in Fortran's order."""
        return jacobian(self.spec, self._weights, self._x[block])

    def normal(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The network at all rows, and the upper triangle of ``J' diag(w) J``, in one pass.

        Args:
            w: observations of each row (n,).

        Returns:
            (n,) and (P, P).
        """
        f, size, root = np.empty(self.shape[0]), self.shape[1], np.sqrt(w)

        def share(blocks: list[slice]) -> np.ndarray:
            gram = np.zeros((size, size), order="F")
            for block in blocks:
                f[block], J = self._at(block)
                J *= root[block, None]
                gram = dsyrk(1.0, J, beta=1.0, c=gram, trans=1, overwrite_c=1)
            return gram

        first, *others = each(share, [self._slices()[i::PARTS] for i in range(PARTS)])
        for gram in others:
            first += gram
        return f, first

    def __matmul__(self, v: np.ndarray) -> np.ndarray:
        """``J v`` (n,)."""
        return np.concatenate(each(lambda block: self._at(block)[1] @ v, self._slices()))

    def __rmatmul__(self, v: np.ndarray) -> np.ndarray:
        """``J' v`` (P,)."""
        return np.sum(each(lambda block: v[block] @ self._at(block)[1], self._slices()), axis=0)

    def norms(self, root: np.ndarray) -> np.ndarray:
        """Square norms of the rows of ``J root`` (n,).

        Args:
            root: upper triangular (P, P), in Fortran's order.

        Returns:
            (n,).
        """

        def norm(block: slice) -> np.ndarray:
            half = dtrmm(1.0, root, self._at(block)[1], side=1, overwrite_b=1)
            return np.einsum("np,np->n", half, half)

        return np.concatenate(each(norm, self._slices()))


class Streamed(Curvature):
    """Factor of B, from a derivative in blocks.

    Args:
        blocks: derivative (n, P), not fewer rows than weights.
        a: precisions of the weights (P,).
        noise: variance of one observation.
        w: observations that each row stands for (n,).

    Attributes:
        f: the network at the rows (n,).
    """

    def __init__(self, blocks: Blocks, a: np.ndarray, noise: float, w: np.ndarray) -> None:
        self.f, gram = blocks.normal(w)
        super().__init__(blocks, a, noise, w, dual=False, gram=gram)  # type: ignore[arg-type]

    def precision(self) -> np.ndarray:
        """Diagonal of the inverse of C (n,)."""
        root = self.posterior_root()
        weight = self.w / self.noise
        share = self.J.norms(root)  # type: ignore[attr-defined]
        return weight * np.maximum(1 - weight * share, np.finfo(float).eps)
