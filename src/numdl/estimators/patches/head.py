"""Ridge regression on columns that keep coming: how strongly is the head held, and what does each row say without it?

    1/(2n) sum_i w_i ||W x_i + w0 - c_i||^2 + alpha/2 ||W||^2,   columns of x scaled to mean 0 and deviation 1

Columns are float32, their products are added in float64. An alpha costs one Cholesky factorisation, ``m^3 / 3``;
generalised cross validation needs the degrees of freedom too, ``f = tr((G + alpha I)^-1 G)``, which come from products
with random signs s, ``E s' A s = tr A``: with 16 of them n - f is known to a part of a hundred. At the alpha that was
chosen each row is left out exactly, ``r_i / (1 - h_i)``, ``h_i = w_i (1/n + x_i' (n (G + alpha I))^-1 x_i)``. Where
columns are as many as rows or more, the same is solved for numbers of the rows, ``W = X' A / n``, with
``M = X X' / n + t s s' + alpha I`` and ``M A = C``. The unit vector ``s = sqrt(w / n)`` is the intercept: X' s = 0 and
C' s = 0, so it changes no A, and ``1 - h_i = alpha (M^-1 - s s' / (t + alpha))_ii``, ``r = alpha A``. No 1 is
subtracted from another, and alpha cancels in ``r_i / (1 - h_i)`` and in the criterion: both hold where the rows are all
but met.

Sources: Golub, Heath and Wahba, Technometrics 21 (1979), eq. 1.4; Hutchinson, Commun. Statist. Simula. 19 (1990);
Allen, Technometrics 16 (1974) (left-out rows).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.linalg.blas import dsyr, ssyrk  # pyright: ignore[reportAttributeAccessIssue]
from scipy.linalg.lapack import dpotrf  # pyright: ignore[reportAttributeAccessIssue]

SIGNS, EXACT = 16, 400
"""Vectors of random signs for the degrees of freedom, and the side of a matrix up to which its whole inverse tells."""

LEAST, MOST = 1e-7, 1e3
"""Between which alpha is sought; columns have deviation 1."""

STEP = 10.0**0.5
"""Factor between neighbouring alphas; a parabola through the best three puts one more between them."""

ROWS = 4096
"""Rows whose products are added in float32."""

NEAR = 1e-4
"""Share of the squares of the targets below which the misfit is added up from residuals, not a difference of sums."""

CLOSE, ROUNDING = 0.05, 1e-10
"""1 - h of a row below which it is computed in float64, and what rounding leaves of it there."""

PRODUCTS = 0.3 * float(np.finfo(np.float32).eps)
"""Norm of the error of products in float32, over their trace; up to a third of this was seen."""

FLAT = 1e-6
"""Deviation of a column, over the largest, below which it is constant."""


class Ridge(NamedTuple):
    """A solved head.

    Attributes:
        unknowns: coefficients of the scaled columns, (m, k); or of the rows, (n, k), where columns are more.
        size: number m of columns.
        alpha: of the mean misfit.
        criterion: generalised cross validation there.
        freedom: effective degrees of freedom, intercept included.
        factor: upper Cholesky factor of ``G + alpha I``, (m, m), or of M, (n, n).
        intercept: factor t of ``s s'`` in M.
    """

    unknowns: np.ndarray
    size: int
    alpha: float
    criterion: float
    freedom: float
    factor: np.ndarray
    intercept: float


class Columns:
    """Columns and what the head needs of them: their products with each other, or those of the rows if these are fewer.

    Args:
        c: targets (n, k).
        w: weights of the rows, positive, (n,); a factor on all of them changes nothing.

    Attributes:
        mean: of the columns so far, (m,).
        scale: their deviations, (m,).
        c_mean: of the targets, (k,).
        tried: alphas so far.
    """

    def __init__(self, c: np.ndarray, w: np.ndarray) -> None:
        self._n = float(len(w))
        w = self._w = w * (self._n / w.sum())
        self._root, self._s = np.sqrt(w).astype(np.float32)[:, None], np.sqrt(w / self._n)
        self.c_mean = w @ c / self._n
        self._c = c
        self._targets = ((c - self.c_mean) * np.sqrt(w)[:, None]).astype(np.float32)
        self._square = float(np.sum(w @ (c - self.c_mean) ** 2)) / self._n
        self._parts: list[np.ndarray] = []
        self.mean, self.scale = np.zeros(0, np.float32), np.zeros(0, np.float32)
        self._gram, self._with = np.zeros((0, 0)), np.zeros((0, c.shape[1]))
        self._dual, self._trace, self.tried = False, 0.0, 0

    def __len__(self) -> int:
        """Columns so far."""
        return len(self.mean)

    def add(self, x: np.ndarray) -> None:
        """Take further columns.

        Args:
            x: (n, q), float32; changed here.
        """
        mean = (self._w @ x / self._n).astype(np.float32)
        x -= mean
        scale = np.sqrt(self._w @ np.square(x) / self._n)
        scale = np.where(scale > FLAT * max(float(scale.max(initial=0.0)), 1e-30), scale, np.inf).astype(np.float32)
        x /= scale
        x *= self._root
        self._parts.append(x)
        self.mean, self.scale = np.concatenate([self.mean, mean]), np.concatenate([self.scale, scale])
        self._trace += float(np.isfinite(scale).sum())
        if len(self) < len(x):
            self._products_of_columns(x)
        else:
            parts = [x] if self._dual else self._parts
            self._gram = self._gram if self._dual else np.zeros((len(x), len(x)))
            self._dual, self._with = True, self._targets.astype(np.float64)
            for part in parts:
                for i in range(0, part.shape[1], ROWS):
                    self._gram += ssyrk(1.0, part[:, i : i + ROWS], trans=0) / self._n

    @property
    def _intercept(self) -> float:
        """Factor of s s', of the size of the products, so that it disturbs no factorisation."""
        return max(self._trace, 1.0)

    @property
    def least(self) -> float:
        """Alpha below which the rounding of the products would be fitted."""
        return PRODUCTS * self._intercept

    def solve(self, start: float) -> Ridge:
        """The head at the alpha of least generalised cross validation.

        Args:
            start: alpha from which the search begins.

        Returns:
            The head.
        """
        start, least = max(start, self.least), max(LEAST, self.least)
        found: dict[int, Ridge] = {0: self.at(start)}
        while True:
            best = min(found, key=lambda i: found[i].criterion)
            found = {i: one if i == best else one._replace(factor=np.zeros((0, 0))) for i, one in found.items()}
            near = (i for i in (best + 1, best - 1) if i not in found)
            new = next((i for i in near if start * STEP ** (i + 1) > least and start * STEP**i < MOST), None)
            if new is None:
                break
            found[new] = self.at(start * STEP**new)
        near = [found[i].criterion for i in (best - 1, best, best + 1) if i in found]
        if len(near) < 3 or not near[0] + near[2] > 2 * near[1]:
            return found[best]
        shift = 0.5 * (near[0] - near[2]) / (near[0] + near[2] - 2 * near[1])
        if not abs(shift) >= 0.1:
            return found[best]
        between = self.at(start * STEP ** (best + shift))
        return min(found[best], between, key=lambda one: one.criterion)

    def at(self, alpha: float) -> Ridge:
        """The head at a given alpha; where rounding leaves no factor, its criterion is infinite.

        Args:
            alpha: of the mean misfit; `least` where it is smaller.

        Returns:
            The head.
        """
        alpha, self.tried = max(alpha, self.least), self.tried + 1
        matrix = np.array(self._gram, order="F")
        size = len(matrix)
        if self._dual:
            matrix = dsyr(self._intercept, self._s, a=matrix, overwrite_a=1)  # the upper triangle
        matrix[np.diag_indices_from(matrix)] += alpha
        factor, failed = dpotrf(matrix, lower=0, clean=0, overwrite_a=1)
        if failed:
            return Ridge(self._with * 0.0, len(self), alpha, np.inf, np.nan, factor, self._intercept)
        unknowns = cho_solve((factor, False), self._with, check_finite=False)
        signs = np.eye(size)
        if size > EXACT:
            signs = np.random.default_rng(0).choice(np.array([-1.0, 1.0]) / SIGNS**0.5, size=(size, SIGNS))
        inverse = float(np.vdot(signs, cho_solve((factor, False), signs, check_finite=False)))
        square = float(np.vdot(unknowns, unknowns))
        if self._dual:  # residuals are alpha times the unknowns, their degrees of freedom alpha times a trace
            left = inverse - 1 / (self._intercept + alpha)
            misfit, free = square / self._n, alpha * left
        else:  # ||r||^2 / n = ||c||^2 - 2 x' b + x' G x with G x = b - alpha x
            left = free = self._n - 1 - size + alpha * inverse
            misfit = self._square - float(np.vdot(unknowns, self._with)) - alpha * square
            if misfit < NEAR * self._square:
                misfit = self._misfit(unknowns)
        freedom, left = self._n - free, left / self._n
        return Ridge(unknowns, len(self), alpha, misfit / left**2 / unknowns.shape[1], freedom, factor, self._intercept)

    def coef(self, head: Ridge) -> np.ndarray:
        """Coefficients of the scaled columns.

        Args:
            head: from these columns, or from the first of them.

        Returns:
            (m, k).
        """
        if head.size < len(self._c):
            return head.unknowns
        rows = head.unknowns.astype(np.float32) / np.float32(self._n)
        return np.concatenate([part.T @ rows for part in self._parts])[: head.size]

    def scaled(self, rows: np.ndarray, size: int) -> np.ndarray:
        """Scaled columns of some rows.

        Args:
            rows: their numbers.
            size: of the first so many columns.

        Returns:
            (len(rows), size), float32.
        """
        return np.concatenate([part[rows] for part in self._parts], axis=1)[:, :size] / self._root[rows]

    def left_out(self, head: Ridge) -> np.ndarray:
        """What each row would be predicted to be without it.

        Args:
            head: from these columns, or from the first of them.

        Returns:
            (n, k).
        """
        found, share = np.empty(self._c.shape), self._w / self._n
        if head.size >= len(self._c):
            inverse = solve_triangular(head.factor, np.eye(len(found)), check_finite=False)
            left = np.einsum("ij,ij->i", inverse, inverse) - share / (head.intercept + head.alpha)
            return self._c - head.unknowns / self._root / np.maximum(left, ROUNDING)[:, None]
        coef, factor = head.unknowns.astype(np.float32), np.asfortranarray(head.factor, np.float32)
        for i in range(0, len(found), ROWS):
            rows = slice(i, i + ROWS)
            x = np.concatenate([part[rows] for part in self._parts], axis=1)[:, : head.size]
            z = solve_triangular(factor, x.T, trans=1, check_finite=False)
            left = 1 - np.einsum("ij,ij->j", z, z) / self._n - share[rows]
            residual = (self._targets[rows] - x @ coef).astype(np.float64)
            close = left < CLOSE
            if close.any():
                x = x[close].astype(np.float64)
                z = solve_triangular(head.factor, x.T, trans=1, check_finite=False)
                left[close] = 1 - np.einsum("ij,ij->j", z, z) / self._n - share[rows][close]
                residual[close] = self._targets[rows][close] - x @ head.unknowns
            found[rows] = self._c[rows] - residual / self._root[rows] / np.maximum(left, ROUNDING)[:, None]
        return found

    def _misfit(self, unknowns: np.ndarray) -> float:
        """Mean of the squares of the residuals."""
        coef, total = unknowns.astype(np.float32), 0.0
        for i in range(0, len(self._c), ROWS):
            rows = slice(i, i + ROWS)
            x = np.concatenate([part[rows] for part in self._parts], axis=1)
            total += float(np.sum(np.square(self._targets[rows] - x @ coef), dtype=np.float64))
        return total / self._n

    def _products_of_columns(self, x: np.ndarray) -> None:
        """Extend the matrix of products by the last part."""
        old, q = len(self._gram), x.shape[1]
        own, cross, with_ = np.zeros((q, q)), np.zeros((old, q)), np.zeros((q, self._targets.shape[1]))
        for i in range(0, len(x), ROWS):
            rows = slice(i, i + ROWS)
            block = x[rows]
            own += ssyrk(1.0, block.T)  # the upper triangle
            with_ += block.T @ self._targets[rows]
            if old:
                cross += np.concatenate([part[rows].T @ block for part in self._parts[:-1]])
        gram = np.empty((old + q, old + q), order="F")
        gram[:old, :old], gram[:old, old:], gram[old:, old:] = self._gram, cross / self._n, own / self._n
        gram[old:, :old] = 0.0
        self._gram, self._with = gram, np.concatenate([self._with, with_ / self._n])
