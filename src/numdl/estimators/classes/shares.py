"""Least squares on the labels: what share does each class have at a row, and what would it have without that row?

The shares of the classes are targets of one Gaussian process with normal noise ``sigma^2``; q = k - 1 contrasts of the
labels tell them. One factorisation gives them for all classes, and each row left out besides: with
``A = K + sigma^2 / w``, ``alpha = A^-1 y`` and d the diagonal of ``A^-1``,

    f_-i = y_i - alpha_i / d_i,     v_i = 1 / d_i - sigma^2 / w_i

are mean and variance without the row; of several observations there, all but one are put back. Beyond ``EXACT`` rows
the functions are sums of m kernels only, ``f = Phi V``: with ``B = Phi' W Phi + sigma^2`` a row takes away
``w phi phi'``, and one at which a kernel sits takes this kernel away too, as for rows that are new there is none.

Means of shares may be negative: p ~ ((1 - e) max(f, 0) + e b)^s is what they are taken for, with the shares b of all
classes, as for trees. With large e this is close to a softmax of the means, with small ones to the means themselves.

Where classes do not overlap, as digits, errors and log losses are those of a softmax likelihood or less, for one
factorisation instead of hundreds. Single precision is enough where ``eps tr K`` is far below the noise.

Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, secs. 5.4.2, 6.5 and 8.3.1;
Niculescu-Mizil and Caruana, Predicting good probabilities with supervised learning, ICML 2005.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from numdl.estimators.classes.member import JITTER, SINGLE, kernel_matrix, whitened
from numdl.estimators.classes.softmax import contrasts, weight_of_one

EXACT, KERNELS = 4000, 2000
"""Rows up to which each has its kernel, and kernels beyond."""

NOISES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Variances of the noise among which left-out rows choose, over the mean square of the labels as numbers."""

ROUNDED = 0.05
"""Rounding of a kernel matrix, over the noise, up to which single precision tells shares to some percent."""

LEVELS = (0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.8)
"""Among which e is chosen: the last one is all but a softmax."""


class Regression(NamedTuple):
    """A fit.

    Attributes:
        coef: what kernels count in the contrasts of the shares (m, q).
        left: means of the shares at each cell without one of its observations, 0 where they are negative (cells, k).
    """

    coef: np.ndarray
    left: np.ndarray


def labels(c: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Contrasts of the labels in each row, less those of the shares of all classes (n, q).

    Args:
        c: counts of the classes (n, k).
        base: logarithms of the shares of all classes (k,).

    Returns:
        Targets.
    """
    return (c / c.sum(axis=1, keepdims=True) - np.exp(base)) @ contrasts(len(base))


def regress(
    kernel: str,
    theta: np.ndarray,
    x: np.ndarray,
    c: np.ndarray,
    base: np.ndarray,
    marks: np.ndarray,
    box: np.ndarray,
    noise: float,
    rows: np.ndarray | None = None,
) -> Regression | None:
    """Least squares on the labels.

    Args:
        kernel: its name.
        theta: its hyperparameters.
        x: scaled rows (n, d).
        c: counts of the classes (n, k).
        base: logarithms of the shares of all classes (k,).
        marks: rows whose kernels are used (m,), ascending.
        box: interval of each input (2, d).
        noise: variance of an observation, over the mean square of the contrasts of the labels.
        rows: of how many observations c holds the weights (n, k), see ``weight_of_one``.

    Returns:
        The fit; None where its matrix has no Cholesky factor.
    """
    w, y = c.sum(axis=1), labels(c, base)
    for dtype in (np.float32, np.float64) if len(x) > SINGLE else (np.float64,):
        known = kernel, theta.astype(dtype), x.astype(dtype), box.astype(dtype)
        found = _by_all(*known, w, y, noise) if len(marks) == len(x) else _by_marks(*known, w, y, noise, marks)
        if found is not None:
            coef, mean, variance = found
            return Regression(coef, _but_one(c, base, mean, variance, noise, rows))
    return None


Solved = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Coefficients (m, q), and means (n, q) and variances (n,) of the contrasts at each row without it."""


def _by_all(
    kernel: str, theta: np.ndarray, x: np.ndarray, box: np.ndarray, w: np.ndarray, y: np.ndarray, noise: float
) -> Solved | None:
    """With the kernels of all rows."""
    a = kernel_matrix(kernel, theta, x, x, box)
    if np.finfo(a.dtype).eps * a.trace() > ROUNDED * noise:
        return None
    with np.errstate(over="ignore"):  # rows of next to no weight: no factor
        a[np.diag_indices(len(a))] += noise / w + JITTER * a.trace() / len(a)
    potrf, potrs, trtri = get_lapack_funcs(("potrf", "potrs", "trtri"), (a,))
    upper, info = potrf(a.T, lower=0, clean=1, overwrite_a=1)
    if info != 0 or not np.isfinite(upper.diagonal()).all():
        return None
    alpha = potrs(upper, y.astype(a.dtype), lower=0)[0].astype(float)
    half = trtri(upper, lower=0, overwrite_c=1)[0]
    d = np.einsum("ij,ij->i", half, half).astype(float)
    return alpha, y - alpha / d[:, None], np.maximum(1 / d - noise / w, 0.0)


def _by_marks(
    kernel: str,
    theta: np.ndarray,
    x: np.ndarray,
    box: np.ndarray,
    w: np.ndarray,
    y: np.ndarray,
    noise: float,
    marks: np.ndarray,
) -> Solved | None:
    """With those of some rows."""
    z, m = x[marks].astype(float), len(marks)
    own = kernel_matrix(kernel, theta.astype(float), z, z, box.astype(float))
    own[np.diag_indices(m)] += max(JITTER, float(np.finfo(x.dtype).eps)) * own.trace() / m
    potrf64, trtri64 = get_lapack_funcs(("potrf", "trtri"), (own,))
    root, info = potrf64(own.T, lower=0, clean=1, overwrite_a=1)
    if info != 0 or not np.isfinite(root.diagonal()).all():
        return None
    phi = kernel_matrix(kernel, theta, x, x[marks], box)  # in C's order: its transpose is what BLAS wants
    trsm, syrk = get_blas_funcs(("trsm", "syrk"), (phi,))
    potrf, potrs = get_lapack_funcs(("potrf", "potrs"), (phi,))
    phi_t = whitened(root, phi).T  # (m, n)
    weighted = phi_t if (w == 1).all() else np.asfortranarray(phi_t * np.sqrt(w).astype(phi.dtype))
    b = syrk(1.0, weighted)
    b[np.diag_indices(m)] += noise
    factor, info = potrf(b, lower=0, clean=1, overwrite_a=1)
    if info != 0 or not np.isfinite(factor.diagonal()).all():
        return None
    V = potrs(factor, phi_t @ (w[:, None] * y).astype(phi.dtype), lower=0)[0]
    rest = y - phi_t.T @ V
    inverse = np.asfortranarray(trtri64(root, lower=0)[0].T.astype(phi.dtype))
    coef = inverse.T.astype(float) @ V
    g = trsm(1.0, factor, inverse, trans_a=1, overwrite_b=1)  # of the coefficients
    half = trsm(1.0, factor, phi_t, trans_a=1, overwrite_b=1)
    each = np.einsum("mn,mn->n", half, half).astype(float)
    left = np.maximum(1 - w * each, 1e-6)
    mean, variance = y - rest / left[:, None], each / left
    across = np.einsum("mj,mj->j", half[:, marks], g).astype(float) / left[marks]
    size = np.einsum("mj,mj->j", g, g) + w[marks] * across**2 * left[marks]
    away = coef - (w[marks] * across)[:, None] * rest[marks]
    mean[marks] -= (across / size)[:, None] * away
    variance[marks] = np.maximum(variance[marks] - across**2 / size, 0.0)
    return coef, mean, noise * variance


def _but_one(
    c: np.ndarray, base: np.ndarray, mean: np.ndarray, variance: np.ndarray, noise: float, rows: np.ndarray | None
) -> np.ndarray:
    """Means of the shares at each cell, from those without its row, with all observations there but one."""
    (row, label), k = np.nonzero(c), c.shape[1]
    f, w = mean[row], c.sum(axis=1)[row]
    unit = weight_of_one(c, rows, row, label)
    rest = np.maximum(w - unit, 0.0)
    some = rest > 1e-12 * w
    others = c[row[some]]
    others[np.arange(len(others)), label[some]] -= unit[some]
    told = (others / rest[some, None] - np.exp(base)) @ contrasts(k)
    gain = variance[row[some]] * rest[some] / (variance[row[some]] * rest[some] + noise)
    f[some] += gain[:, None] * (told - f[some])
    return np.maximum(f @ contrasts(k).T + np.exp(base), 0.0)
