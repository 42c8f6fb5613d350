"""Ridge regression on columns that keep coming: how strongly is the head held, and what does each row say without it?

    1/(2n) sum_i w_i ||W x_i + w0 - c_i||^2 + alpha/2 ||W||^2,   columns of x scaled to mean 0 and deviation 1

Columns are float32, their products are added in float64. An alpha costs one Cholesky factorisation, ``m^3 / 3``;
generalised cross validation needs the degrees of freedom too, ``f = tr((G + alpha I)^-1 G)``, which come from products
with random signs s, ``E s' A s = tr A``: with 16 of them n - f is known to a part of a hundred. At the alpha that was
chosen each row is left out exactly, ``r_i / (1 - h_i)``, ``h_i = w_i (1/n + x_i' (n (G + alpha I))^-1 x_i)``. Where
columns outnumber rows the same is solved for numbers of the rows, ``W = X' A / n``, ``(X X' / n + alpha I) A = C``.

Sources: Golub, Heath and Wahba, Technometrics 21 (1979), eq. 1.4; Hutchinson, Commun. Statist. Simula. 19 (1990);
Allen, Technometrics 16 (1974) (left-out rows).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.linalg.blas import ssyrk  # pyright: ignore[reportAttributeAccessIssue]
from scipy.linalg.lapack import dpotrf  # pyright: ignore[reportAttributeAccessIssue]

SIGNS, EXACT = 16, 400
"""Vectors of random signs for the degrees of freedom, and the side of a matrix up to which its whole inverse tells."""

LEAST, MOST = 1e-7, 1e3
"""Between which alpha is sought; columns have deviation 1."""

STEP = 10.0**0.5
"""Factor between neighbouring alphas; a parabola through the best three puts one more between them."""

ROWS = 4096
"""Rows whose products are added in float32."""

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
        factor: upper Cholesky factor of ``G + alpha I``, (m, m) or (n, n).
    """

    unknowns: np.ndarray
    size: int
    alpha: float
    criterion: float
    freedom: float
    factor: np.ndarray


class Columns:
    """Columns and what the head needs of them: their products with each other, or those of the rows if these are fewer.

    Args:
        c: targets (n, k).
        w: weights of the rows, positive, (n,).

    Attributes:
        mean: of the columns so far, (m,).
        scale: their deviations, (m,).
        c_mean: of the targets, (k,).
    """

    def __init__(self, c: np.ndarray, w: np.ndarray) -> None:
        self._w, self._n = w, float(w.sum())
        self._root = np.sqrt(w).astype(np.float32)[:, None]
        self.c_mean = w @ c / self._n
        self._c = c
        self._targets = ((c - self.c_mean) * np.sqrt(w)[:, None]).astype(np.float32)
        self._square = float(np.sum(w @ (c - self.c_mean) ** 2)) / self._n
        self._parts: list[np.ndarray] = []
        self.mean, self.scale = np.zeros(0, np.float32), np.zeros(0, np.float32)
        self._gram, self._with = np.zeros((0, 0)), np.zeros((0, c.shape[1]))
        self._dual = False

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
        if len(self) <= len(x):
            self._products_of_columns(x)
        else:
            parts = [x] if self._dual else self._parts
            self._gram = self._gram if self._dual else np.zeros((len(x), len(x)))
            self._dual, self._with = True, self._targets.astype(np.float64)
            for part in parts:
                for i in range(0, part.shape[1], ROWS):
                    self._gram += ssyrk(1.0, part[:, i : i + ROWS], trans=0) / self._n

    def solve(self, start: float) -> Ridge:
        """The head at the alpha of least generalised cross validation.

        Args:
            start: alpha from which the search begins.

        Returns:
            The head.
        """
        found: dict[int, Ridge] = {0: self.at(start)}
        while True:
            best = min(found, key=lambda i: found[i].criterion)
            found = {i: one if i == best else one._replace(factor=np.zeros((0, 0))) for i, one in found.items()}
            new = next((i for i in (best + 1, best - 1) if i not in found and LEAST < start * STEP**i < MOST), None)
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
            alpha: of the mean misfit.

        Returns:
            The head.
        """
        matrix = np.array(self._gram, order="F")
        size = len(matrix)
        matrix[np.diag_indices_from(matrix)] += alpha
        factor, failed = dpotrf(matrix, lower=0, clean=0, overwrite_a=1)
        if failed:
            return Ridge(self._with * 0.0, len(self), alpha, np.inf, np.nan, factor)
        unknowns = cho_solve((factor, False), self._with, check_finite=False)
        signs = np.eye(size)
        if size > EXACT:
            signs = np.random.default_rng(0).choice(np.array([-1.0, 1.0]) / SIGNS**0.5, size=(size, SIGNS))
        inverse = float(np.vdot(signs, cho_solve((factor, False), signs, check_finite=False)))
        freedom = 1 + size - alpha * inverse
        square = float(np.vdot(unknowns, unknowns))
        if self._dual:  # the residual is alpha times the unknowns
            misfit = alpha**2 * square / self._n
        else:  # ||r||^2 / n = ||c||^2 - 2 x' b + x' G x with G x = b - alpha x
            misfit = self._square - float(np.vdot(unknowns, self._with)) - alpha * square
        left = max(1 - freedom / self._n, 1e-3)
        return Ridge(unknowns, len(self), alpha, misfit / left**2 / unknowns.shape[1], freedom, factor)

    def coef(self, head: Ridge) -> np.ndarray:
        """Coefficients of the scaled columns.

        Args:
            head: from these columns, or from the first of them.

        Returns:
            (m, k).
        """
        if len(head.unknowns) == head.size or not self._dual:
            return head.unknowns
        rows = head.unknowns.astype(np.float32) / np.float32(self._n)
        return np.concatenate([part.T @ rows for part in self._parts])[: head.size]

    def left_out(self, head: Ridge) -> np.ndarray:
        """What each row would be predicted to be without it.

        Args:
            head: from these columns, or from the first of them.

        Returns:
            (n, k).
        """
        found = np.empty(self._c.shape)
        by_rows = len(head.unknowns) != head.size
        if by_rows:  # 1 - h = alpha times the diagonal of the inverse, but for the intercept
            inverse = solve_triangular(head.factor, np.eye(len(found)), check_finite=False)
            diagonal = np.einsum("ij,ij->i", inverse, inverse)
        coef, factor = head.unknowns.astype(np.float32), np.asfortranarray(head.factor, np.float32)
        for i in range(0, len(found), ROWS):
            rows = slice(i, i + ROWS)
            if by_rows:
                residual, left = head.alpha * head.unknowns[rows], head.alpha * diagonal[rows]
            else:
                x = np.concatenate([part[rows] for part in self._parts], axis=1)[:, : head.size]
                z = solve_triangular(factor, x.T, trans=1, check_finite=False)
                residual, left = self._targets[rows] - x @ coef, 1 - np.einsum("ij,ij->j", z, z) / self._n
            left = np.maximum(left - self._w[rows] / self._n, 1e-3)[:, None]
            found[rows] = self._c[rows] - residual / self._root[rows] / left
        return found

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
