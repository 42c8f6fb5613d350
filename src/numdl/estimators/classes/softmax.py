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
from scipy.linalg.blas import dsyrk, dtrsm  # pyright: ignore[reportAttributeAccessIssue]
from scipy.linalg.lapack import dpotrf, dpotrs  # pyright: ignore[reportAttributeAccessIssue]
from scipy.special import log_softmax

NEWTON, CONJUGATE, SMALL = 30, 60, 1e-5
"""Steps at most, and what a step must promise for each observation to be taken, in nats."""


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
    phi: np.ndarray, c: np.ndarray, scale: float, V: np.ndarray, ask: Callable[[], object] | None = None
) -> Softmax:
    """The most probable weights.

    Args:
        phi: features (n, m), in Fortran's order.
        c: counts of the classes (n, k).
        scale: variance of the weights.
        V: where to begin (m, q).
        ask: called before each step, to raise when the time is over; None for no limit.

    Returns:
        The fit.
    """
    Q, b, w = contrasts(c.shape[1]), shares(c), c.sum(axis=1)
    f, converged = phi @ V, False
    log_p = log_softmax(f @ Q.T + b, axis=1)
    value = _objective(log_p, c, V, scale)
    for _ in range(NEWTON):
        if ask is not None:
            ask()
        p = np.exp(log_p)
        upper = _factor(phi, w * _curvature(p), scale)
        slope = phi.T @ ((w[:, None] * p - c) @ Q) + V / scale
        delta, moved = _direction(phi, p, w, Q, scale, upper, slope)
        promised = -float(np.vdot(slope, delta))
        converged = promised < SMALL * w.sum()
        if converged:
            break
        for t in 0.5 ** np.arange(30):
            log_p = log_softmax((f + t * moved) @ Q.T + b, axis=1)
            trial = _objective(log_p, c, V + t * delta, scale)
            if trial <= value - 1e-4 * t * promised:
                break
        else:
            break
        V, f, value = V + t * delta, f + t * moved, trial
    return Softmax(V, f, upper, scale, converged)


def leave_out(phi: np.ndarray, c: np.ndarray, fit: Softmax) -> LeftOut:
    """What each observation would be taken for without it, see above.

    Args:
        phi: features (n, m).
        c: counts of the classes (n, k).
        fit: to them.

    Returns:
        A cell for each class of each row. Of several observations in a cell one is left out; fractions are, as a whole.
    """
    Q, b = contrasts(c.shape[1]), shares(c)
    half = dtrsm(1.0, fit.upper, phi.T, trans_a=1)
    h = np.einsum("mn,mn->n", half, half)
    p = np.exp(log_softmax(fit.f @ Q.T + b, axis=1))
    row, label = np.nonzero(c)
    count = c[row, label]
    unit = np.minimum(count, 1.0)
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


def _factor(phi: np.ndarray, d: np.ndarray, scale: float) -> np.ndarray:
    """Cholesky factor of B."""
    B = dsyrk(1.0, phi * np.sqrt(np.maximum(d, 0.0))[:, None], trans=1)
    B[np.diag_indices(len(B))] += 1 / scale
    return dpotrf(B, lower=0, clean=1, overwrite_a=1)[0]


def _direction(
    phi: np.ndarray, p: np.ndarray, w: np.ndarray, Q: np.ndarray, scale: float, upper: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's direction, to a tenth in the norm of B^-1, and how it moves the contrasts; exact for q = 1."""
    delta, moved, rest = np.zeros_like(slope), np.zeros((len(p), slope.shape[1])), -slope
    way = dpotrs(upper, rest, lower=0)[0]
    first = now = float(np.vdot(rest, way))
    for _ in range(CONJUGATE if first > 0 else 0):
        z = phi @ way
        s = p * (z @ Q.T)
        s -= p * s.sum(axis=1, keepdims=True)
        bent = phi.T @ ((w[:, None] * s) @ Q) + way / scale
        t = now / float(np.vdot(way, bent))
        delta, moved, rest = delta + t * way, moved + t * z, rest - t * bent
        pulled = dpotrs(upper, rest, lower=0)[0]
        after = float(np.vdot(rest, pulled))
        if after < 1e-2 * first:
            break
        way, now = pulled + (after / now) * way, after
    return delta, moved
