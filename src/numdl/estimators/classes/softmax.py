"""Softmax regression: which linear scores explain the classes of rows, and what is each row without itself?

Scores of k classes are told by q = k - 1 contrasts: ``F = f Q' + b``, ``f = Phi V``, with Q (k, q) orthonormal and
orthogonal to 1, and b the logarithms of the shares of the classes: without weights these are all that is told. With
counts ``c (n, k)`` of the classes in each row, w their sums and p the softmax of F, Newton's
method lowers

    -sum_ij c_ij log p_ij + |V|^2 / (2 scale),

minus the log posterior of a Gaussian process whose covariance is ``scale Phi Phi'`` for each contrast. Its steps are
solved by conjugate gradients, preconditioned by what all contrasts share: with ``d_i = w_i (1 - |p_i|^2) / q``, the
mean curvature of a row,

    B = Phi' diag(d) Phi + I / scale,     h_i = phi_i' B^-1 phi_i.

For two classes B is the Hessian. An observation of class y in row i has moved its own contrasts by what its gradient
says times the variance that they have without it:

    f_-i = f_i + v_i Q' (p_i - e_y),      v_i = h_i / (1 - h_i d_i / w_i).

Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, secs. 3.4 and 3.5; Opper and
Winther, Gaussian processes for classification: mean-field algorithms, Neural Computation 12, 2000, sec. 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs
from scipy.special import log_softmax

NEWTON, CONJUGATE, SMALL = 30, 60, 1e-5
"""Steps at most, and what a step must promise for each observation to be taken, in nats."""

AGED = 12
"""Conjugate gradients after which the factor that preconditions them is made anew."""


class Softmax(NamedTuple):
    """A fit.

    Attributes:
        V: weights (m, q).
        f: contrasts at the rows (n, q).
        upper: Cholesky factor of B (m, m).
        scale: as given.
        converged: whether its steps ended by themselves.
    """

    V: np.ndarray
    f: np.ndarray
    upper: np.ndarray
    scale: float
    converged: bool


class LeftOut(NamedTuple):
    """Log probabilities of the classes at rows without one of their observations.

    Attributes:
        row: of each cell, a row and a class that was observed there (cells,).
        label: class of each cell (cells,).
        count: observations of each cell (cells,).
        log_p: (cells, k).
    """

    row: np.ndarray
    label: np.ndarray
    count: np.ndarray
    log_p: np.ndarray

    @property
    def density(self) -> float:
        """Sum of the log probabilities of what was observed."""
        return float(self.count @ self.log_p[np.arange(len(self.label)), self.label])


def contrasts(k: int) -> np.ndarray:
    """Orthonormal columns that are orthogonal to 1: each compares a class with all before it.

    Args:
        k: number of classes.

    Returns:
        (k, k - 1).
    """
    q = np.zeros((k, k - 1))
    for j in range(1, k):
        q[:j, j - 1], q[j, j - 1] = -1.0, j
        q[:, j - 1] /= np.sqrt(j * (j + 1))
    return q


def shares(c: np.ndarray) -> np.ndarray:
    """Logarithms of the shares of the classes, one observation more of each (k,).

    Args:
        c: counts of the classes (n, k).

    Returns:
        b above.
    """
    total = c.sum(axis=0) + 1.0
    return np.log(total / total.sum())


def climb(
    phi: np.ndarray,
    c: np.ndarray,
    scale: float,
    V: np.ndarray,
    ask: Callable[[], object] | None = None,
    small: float | None = None,
) -> Softmax:
    """The most probable weights.

    Args:
        phi: features (n, m), in Fortran's order.
        c: counts of the classes (n, k).
        scale: variance of the weights.
        V: where to begin (m, q).
        ask: called before each step, to raise when the time is over; None for no limit.
        small: what a step must promise for each observation to be taken, in nats; None for ``SMALL``.

    Returns:
        The fit.
    """
    small = SMALL if small is None else small
    Q, b, w = contrasts(c.shape[1]), shares(c), c.sum(axis=1)
    f, converged, upper, steps = _times(phi, V), False, None, 0
    log_p = log_softmax(f @ Q.T + b, axis=1)
    value = _objective(log_p, c, V, scale)
    for _ in range(NEWTON):
        if ask is not None:
            ask()
        p = np.exp(log_p)
        new = upper is None or steps > AGED
        if upper is None or new:
            upper = _factor(phi, w * _curvature(p), scale)
        slope = _times(phi.T, (w[:, None] * p - c) @ Q) + V / scale
        delta, moved, steps = _direction(phi, p, w, Q, scale, upper, slope)
        promised = -float(np.vdot(slope, delta))
        converged = promised < small * w.sum()
        if converged:
            break
        for t in 0.5 ** np.arange(30):
            log_p = log_softmax((f + t * moved) @ Q.T + b, axis=1)
            trial = _objective(log_p, c, V + t * delta, scale)
            if trial <= value - 1e-4 * t * promised:
                break
        else:
            break
        V, f, value, new = V + t * delta, f + t * moved, trial, False
    if upper is None or not new:
        upper = _factor(phi, w * _curvature(np.exp(log_softmax(f @ Q.T + b, axis=1))), scale)
    return Softmax(V, f, upper, scale, converged)


def weight_of_one(c: np.ndarray, rows: np.ndarray | None, row: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Weight of one observation in each cell (cells,).

    Args:
        c: counts of the classes (n, k).
        rows: of how many observations they are the weights (n, k); None where each has weight 1, or less if alone.
        row: of each cell.
        label: class of each cell.

    Returns:
        What a left-out observation takes with it.
    """
    count = c[row, label]
    return np.minimum(count, 1.0) if rows is None else count / rows[row, label]


def leave_out(phi: np.ndarray, c: np.ndarray, fit: Softmax, rows: np.ndarray | None = None) -> LeftOut:
    """What each observation would be taken for without it, see above.

    Args:
        phi: features (n, m).
        c: counts of the classes (n, k).
        fit: to them.
        rows: as for ``weight_of_one``.

    Returns:
        A cell for each class of each row. Of several observations in a cell one is left out.
    """
    Q, b = contrasts(c.shape[1]), shares(c)
    half = get_blas_funcs(("trsm",), (phi,))[0](1.0, fit.upper, phi.T, trans_a=1)
    h = np.einsum("mn,mn->n", half, half).astype(float)
    p = np.exp(log_softmax(fit.f @ Q.T + b, axis=1))
    row, label = np.nonzero(c)
    count = c[row, label]
    unit = weight_of_one(c, rows, row, label)
    away = p[row]
    away[np.arange(len(row)), label] -= 1.0
    v = unit * h[row] / np.maximum(1 - unit * h[row] * _curvature(p)[row], np.finfo(float).eps)
    return LeftOut(row, label, count, log_softmax((fit.f[row] + v[:, None] * (away @ Q)) @ Q.T + b, axis=1))


def _objective(log_p: np.ndarray, c: np.ndarray, V: np.ndarray, scale: float) -> float:
    """Minus the log posterior."""
    return float(0.5 * np.vdot(V, V) / scale - np.vdot(c, log_p))


def _curvature(p: np.ndarray) -> np.ndarray:
    """Mean over the contrasts of the curvature of one observation (n,)."""
    return (1 - np.einsum("nk,nk->n", p, p)) / (p.shape[1] - 1)


def _times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Product with features in their precision, in double precision."""
    return (a @ b.astype(a.dtype, copy=False)).astype(float, copy=False)


def _factor(phi: np.ndarray, d: np.ndarray, scale: float) -> np.ndarray:
    """Cholesky factor of B; in single precision with what rounding may take from its smallest eigenvalue."""
    (syrk,), (potrf,) = get_blas_funcs(("syrk",), (phi,)), get_lapack_funcs(("potrf",), (phi,))
    B = syrk(1.0, phi * np.sqrt(np.maximum(d, 0.0)).astype(phi.dtype)[:, None], trans=1)
    B[np.diag_indices(len(B))] += 1 / scale + (B.trace() * np.finfo(B.dtype).eps if B.dtype == np.float32 else 0.0)
    return potrf(B, lower=0, clean=1, overwrite_a=1)[0]


def _direction(
    phi: np.ndarray, p: np.ndarray, w: np.ndarray, Q: np.ndarray, scale: float, upper: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Newton's direction, to a tenth in the norm of B^-1, how it moves the contrasts, and the steps that it took."""
    potrs = get_lapack_funcs(("potrs",), (upper,))[0]

    def solve(b: np.ndarray) -> np.ndarray:
        return potrs(upper, b.astype(upper.dtype, copy=False), lower=0)[0].astype(float, copy=False)

    delta, moved, rest, steps = np.zeros_like(slope), np.zeros((len(p), slope.shape[1])), -slope, 0
    way = solve(rest)
    first = now = float(np.vdot(rest, way))
    while steps < (CONJUGATE if first > 0 else 0):
        steps += 1
        z = _times(phi, way)
        s = p * (z @ Q.T)
        s -= p * s.sum(axis=1, keepdims=True)
        bent = _times(phi.T, (w[:, None] * s) @ Q) + way / scale
        t = now / float(np.vdot(way, bent))
        delta, moved, rest = delta + t * way, moved + t * z, rest - t * bent
        pulled = solve(rest)
        after = float(np.vdot(rest, pulled))
        if after < 1e-2 * first:
            break
        way, now = pulled + (after / now) * way, after
    return delta, moved, steps
