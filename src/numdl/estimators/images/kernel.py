"""Kernel on features of patches: what do images say that are alike in all of them together?

    s(x) = sum_i a_i exp(-gamma ||x - x_i||^2),     (M + alpha W^-1) a = c,    M_ij = exp(-gamma ||x_i - x_j||^2)

on scaled features, with weights W of the rows. Let H be the last rows and L the Cholesky factor. The block of the
inverse for H is that of the Schur complement ``S = L_HH L_HH'``, and ``r_H = S a_H`` are the residuals of H for a fit
without H: rows that were left out together cost one product. By them gamma and alpha are chosen on few rows.

On CIFAR-10 (10,000 rows, 200 filters) 75 % of new images are right, 71 % by ridge regression on the same features.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, sec. 2.2 and 5.4.2.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve
from scipy.linalg.lapack import spotrf  # pyright: ignore[reportAttributeAccessIssue]

ROWS = 12_000
"""Rows at most: their matrix takes 550 MiB."""

FEW = 2500
"""Rows by which gamma and alpha are chosen."""

GAMMAS, ALPHAS = (0.2, 0.4), (0.01, 0.03, 0.1, 0.3)
"""What is tried; gamma in units of 1 / (median of the squared distances)."""

LESS, LEAST = 0.15, 0.003
"""Factor on alpha for four times the rows (CIFAR-10: 0.1 is best for 2500, 0.01 for 10,000), and the smallest alpha."""

BLOCK = 1024
"""Rows of a block of products."""


class KernelHead(NamedTuple):
    """A solved head.

    Attributes:
        rows: scaled features of the rows, (n, m), float16.
        coef: a, (n, k), float32.
        mean: added to the scores, (k,).
        gamma: in 1 / (squared units of features).
        alpha: added to the diagonal.
    """

    rows: np.ndarray
    coef: np.ndarray
    mean: np.ndarray
    gamma: float
    alpha: float

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Scores of images.

        Args:
            x: their scaled features, (n, m), float32.

        Returns:
            (n, k).
        """
        found = np.tile(self.mean, (len(x), 1))
        for i, block in enumerate(self._blocks()):
            found += _kernel(x, block, self.gamma) @ self.coef[4 * BLOCK * i : 4 * BLOCK * (i + 1)]
        return found

    def steepness(self) -> np.ndarray:
        """Bounds of the norms of differences of scores in the space of the kernel k, (classes, classes).

        ``|d(x) - d(z)| <= ||d|| ||k(x, .) - k(z, .)||``, ``d = s_y - s_j``, and with a the coefficients of d

            ||d||^2 = a' M a <= a' (M + alpha W^-1) a = a' c <= sum_i max_class a_i c_i(class),

        c the targets less their mean: 1, -1 or 0 less a number. Rows are kept in half precision: that moves them by
        2^-11 of their length at most, and d by the sum of what it moves each of its terms.

        Returns:
            In units of scores.
        """
        a = self.coef.astype(float)
        d = a[:, :, None] - a[:, None]
        size, apart = np.abs(d).sum(axis=0), self.mean[:, None] - self.mean
        longest = float(np.sqrt(max(np.einsum("ij,ij->i", r, r).max() for r in self._blocks())))
        kept = np.sqrt(2 * self.gamma) * 2.0**-11 * (1 + longest)
        return np.sqrt(size - apart * d.sum(axis=0)) + kept * size

    def bend(self, length: float) -> float:
        """Norm of ``k(z, .) - k(x, .)`` less its derivative along z - x, at the distance r of x and z.

        With t = gamma r^2 it is ``sqrt(2 + 2 t - 2 (1 + 2 t) exp(-t))``, about sqrt(3) t where t is small; times the
        norm of a difference of scores it bounds what the slope of this difference misses.

        Args:
            length: the distance, in units of features.

        Returns:
            Grows with the distance.
        """
        t = self.gamma * length**2
        exact = 2 + 2 * t - 2 * (1 + 2 * t) * np.exp(-t)
        return float(np.sqrt(3.0) * t if t < 1e-4 else np.sqrt(exact))  # 3 t^2 - 5/3 t^3 + ..., which rounding hides

    def rounding(self) -> Callable[[np.ndarray], np.ndarray]:
        """Rounding of differences of scores in float32.

        Exponents are sums of terms of the size ``gamma ||x||^2`` and ``gamma ||x_i||^2``, so that each kernel is off
        by ``4 eps32 (1 + gamma (||x||^2 + max_i ||x_i||^2))`` of 1 at most, and a difference by the sum of
        ``|a_iy - a_ij|`` times that. Images alone and among others differ by a tenth of it (digits).

        Returns:
            From scaled features, (m,), to (classes, classes).
        """
        a = self.coef.astype(float)
        size = np.abs(a[:, :, None] - a[:, None]).sum(axis=0)
        longest = max(float(np.einsum("ij,ij->i", r, r).max()) for r in self._blocks())
        eps = 4 * float(np.finfo(np.float32).eps)
        return lambda x: eps * (1 + self.gamma * (float(np.vdot(x, x)) + longest)) * size

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Derivatives of the scores, ``-2 gamma sum_i a_i k(x, x_i) (x - x_i)``.

        Args:
            x: scaled features of images, (n, m), float32.

        Returns:
            (n, m, k), float32.
        """
        (n, m), k = x.shape, self.coef.shape[1]
        found = np.zeros((k, n, m), np.float32)
        for i, block in enumerate(self._blocks()):
            near = _kernel(x, block, self.gamma)
            for j, a in enumerate(self.coef[4 * BLOCK * i : 4 * BLOCK * (i + 1)].T):
                weight = near * a
                found[j] += weight @ block - weight.sum(axis=1, dtype=float, keepdims=True).astype(np.float32) * x
        return np.float32(2 * self.gamma) * np.moveaxis(found, 0, 2)

    def _blocks(self) -> Iterator[np.ndarray]:
        """The rows, float32, some at a time.

        Yields:
            (4 * BLOCK, m) at most.
        """
        for i in range(0, len(self.rows), 4 * BLOCK):
            yield self.rows[i : i + 4 * BLOCK].astype(np.float32)


def fitted(
    take: Callable[[np.ndarray], np.ndarray],
    c: np.ndarray,
    w: np.ndarray,
    order: np.ndarray,
    held: int,
    seconds: float,
) -> tuple[KernelHead, np.ndarray] | str:
    """A kernel head of as many rows as there is time for.

    Args:
        take: scaled features of rows by their numbers, (q, m), float32.
        c: targets of all rows, (n, k).
        w: weights of all rows, positive, (n,).
        order: numbers of the rows in the order in which they are taken, those that are held out at the end.
        held: how many these are.
        seconds: that it may take.

    Returns:
        The head of the rows, held-out ones among them, and scores of the held-out rows by the others; or why there is
        none, in words: images that all say the same, no time for as many rows as choose gamma and alpha, overflow.
    """
    late = f"{max(seconds, 0.0):.3g} s were left, too few for {min(FEW, len(order))} rows"
    began = time.monotonic()
    rest, last = order[: len(order) - held], order[len(order) - held :]

    def of(count: int) -> tuple[np.ndarray, int]:
        """As many rows, and how many of them, at the end, are held out."""
        few = min(held, max(count // 4, 1)) if count <= FEW else held
        return np.concatenate([rest[: max(count - few, 1)], last[:few]]), few

    some, told = of(min(FEW, len(order)))
    x = take(some)
    square = np.einsum("ij,ij->i", x, x)
    near = x[: len(x) // 2] @ x[len(x) // 2 :].T
    apart = square[: len(near), None] + square[len(near) :] - 2 * near
    apart = apart[apart > 1e-5 * square.mean()]  # others are rounding: images that are alike
    if not len(apart) or not np.isfinite(unit := 1.0 / float(np.median(apart))):
        return "all images say the same to the filters"
    mean = w @ c / w.sum()
    trials = []
    for gamma in GAMMAS:
        for alpha in ALPHAS:
            step = time.monotonic()
            _, left = _solved(x, (c - mean)[some], w[some], gamma * unit, alpha, told)
            errors = w[some[-told:]] @ (left - (c - mean)[some[-told:]]) ** 2
            trials.append((float(errors.sum()), gamma * unit, alpha, time.monotonic() - step))
            to_come = len(GAMMAS) * len(ALPHAS) - len(trials) + 1  # the last one of all rows
            if time.monotonic() - began + to_come * trials[-1][-1] > seconds:
                return late
    _, gamma, alpha, _ = min(trials)
    # products and exponentials grow with the square of the rows, the factor with the cube; small ones are slower.
    left, each = seconds - (time.monotonic() - began), 1.2 * max(min(trial[-1] for trial in trials), 1e-9)
    count = min(len(order), ROWS, int(len(some) * max(left / each, 0.0) ** (1 / 3)))
    if count < len(some):
        return late
    # more rows need less of it; where there is time for two factors, the chosen one is tried too.
    less = max(alpha * LESS ** (np.log(count / len(some)) / np.log(4)), min(LEAST, alpha))
    alphas = [less, alpha] if less < alpha and left > 2 * each * (count / len(some)) ** 3 else [less]
    some, told = of(count)
    if told < held:
        return late
    x, targets = take(some), (c - mean)[some]
    found = [(_solved(x, targets, w[some], gamma, alpha, told), alpha) for alpha in alphas]
    tail = slice(count - held, None)
    (coef, scores), alpha = min(found, key=lambda one: float(np.sum(w[some][tail] @ (one[0][1] - targets[tail]) ** 2)))
    with np.errstate(over="ignore"):
        rows = x.astype(np.float16)
    if not (np.isfinite(rows).all() and np.isfinite(coef).all() and np.isfinite(scores).all()):
        return "its numbers overflowed"
    head = KernelHead(rows, coef.astype(np.float32), mean, gamma, alpha)
    return head, scores + mean


def _kernel(x: np.ndarray, z: np.ndarray, gamma: float) -> np.ndarray:
    """``exp(-gamma ||x - z||^2)``, (n, q)."""
    found = x @ z.T
    found *= np.float32(2 * gamma)
    found -= np.float32(gamma) * np.einsum("ij,ij->i", x, x)[:, None]
    found -= np.float32(gamma) * np.einsum("ij,ij->i", z, z)
    return np.exp(np.minimum(found, 0.0, out=found), out=found)


def _solved(
    x: np.ndarray, c: np.ndarray, w: np.ndarray, gamma: float, alpha: float, held: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients, and predictions of the last ``held`` rows by the others."""
    n = len(x)
    matrix = np.empty((n, n), np.float32, order="F")
    for i in range(0, n, BLOCK):  # the lower triangle
        matrix[i:, i : i + BLOCK] = _kernel(x[i:], x[i : i + BLOCK], gamma)
    matrix[np.diag_indices(n)] += np.minimum(alpha * w.mean() / w, 1e30).astype(np.float32)
    factor, failed = spotrf(matrix, lower=1, clean=0, overwrite_a=1)
    if failed:
        return np.zeros_like(c), np.full((held, c.shape[1]), np.inf)
    coef = cho_solve((factor, True), c.astype(np.float32), check_finite=False).astype(np.float64)
    corner = np.tril(factor[n - held :, n - held :]).astype(np.float64)
    return coef, c[n - held :] - corner @ (corner.T @ coef[n - held :])
