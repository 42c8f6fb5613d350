"""What does a member of a mixture of classifiers say at rows: linear scores of the classes, a kernel, or trees?"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dtrsm  # pyright: ignore[reportAttributeAccessIssue]
from scipy.linalg.lapack import dpotrf  # pyright: ignore[reportAttributeAccessIssue]
from scipy.special import log_softmax, logsumexp

from numdl.estimators.classes.mixing import pooled
from numdl.estimators.classes.softmax import contrasts
from numdl.estimators.classes.trees import Trees, taken_for
from numdl.estimators.kernels.evidence import kernel_of

BLOCK = 512
"""Rows at once: what belongs to them then stays in the cache."""

JITTER = 1e-8
"""Added to the diagonal of a kernel matrix, over its mean; by ``SINGLE`` rows a hundred times as much."""

SINGLE = 1000
"""Rows from which on products with features are in single precision: below, nothing is gained."""


class Scores(NamedTuple):
    """Scores of the classes ``F = (1 + v x'z + s k(x, z)) coef Q' + b``, or linear ones ``(x, 1) coef Q' + b``.

    Attributes:
        name: of the kernel; "linear" for linear ones.
        theta: hyperparameters, those of the evidence of labels taken for numbers (p,).
        marks: which rows z are (m,); none for linear ones.
        coef: (m, q), or (d + 1, q).
        weight: share in the mixture.
    """

    name: str
    theta: np.ndarray
    marks: np.ndarray
    coef: np.ndarray
    weight: float = 1.0

    @property
    def n_parameters(self) -> int:
        """Number of coefficients."""
        return self.coef.size


class Labels(NamedTuple):
    """Least squares on the labels, see `numdl.estimators.classes.shares`: shares ``K coef Q' + b`` of the classes.

    Attributes:
        name: under which its weight is told.
        kernel: name of the kernel.
        theta: its hyperparameters.
        marks: which rows z are (m,).
        coef: (m, q).
        blur: e that the shares are blurred by, as those of `Trees`.
        sharpness: s that they are sharpened by.
        weight: share in the mixture.
    """

    name: str
    kernel: str
    theta: np.ndarray
    marks: np.ndarray
    coef: np.ndarray
    blur: float
    sharpness: float
    weight: float = 1.0

    @classmethod
    def of(
        cls, kernel: str, theta: np.ndarray, marks: np.ndarray, coef: np.ndarray, blur: float, sharpness: float
    ) -> Labels:
        """The member of a fit, with its name."""
        return cls(f"{kernel}, least squares", kernel, theta, marks, coef, blur, sharpness)

    @property
    def n_parameters(self) -> int:
        """Number of coefficients."""
        return self.coef.size

    def shares(self, base: np.ndarray, x: np.ndarray, rows: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Shares of the classes, 0 where they would be negative.

        Args:
            base: logarithms of the shares of the classes (k,).
            x: scaled rows (n, d).
            rows: those that marks refer to.
            box: interval of each input (2, d).

        Returns:
            (n, k).
        """
        f = kernel_matrix(self.kernel, self.theta, x, rows[self.marks], box) @ self.coef
        return np.maximum(f @ contrasts(len(base)).T + np.exp(base), 0.0)

    def log_p(self, base: np.ndarray, x: np.ndarray, rows: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Logarithms of the probabilities (n, k); arguments as for `shares`."""
        return taken_for(self.shares(base, x, rows, box), np.exp(base), self.blur, self.sharpness)


class ClassMixture(NamedTuple):
    """Members that predict classes together, see `numdl.estimators.classes.mixing`.

    Attributes:
        members: their weights have the sum 1; draws of one kernel follow each other and count by their mean.
        x: scaled rows that marks refer to (n, d).
        box: interval of each input (2, d).
        base: logarithms of the shares of the classes (k,).
        temperature: above 1 it takes certainty away.
    """

    members: list[Scores | Labels | Trees]
    x: np.ndarray
    box: np.ndarray
    base: np.ndarray
    temperature: float


def kernel_matrix(name: str, theta: np.ndarray, x: np.ndarray, z: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Covariance between rows, ``1 + v x'z + s k(x, z)``.

    Args:
        name: of the kernel.
        theta: hyperparameters, ``log s`` and ``log v`` after the noise.
        x: rows (n, d).
        z: rows (m, d).
        box: interval of each input (2, d).

    Returns:
        (n, m).
    """
    kernel, (signal, linear) = kernel_of(name), np.exp(theta[1:3])
    k = signal * kernel.cross(theta[3:], kernel.features(x, box), kernel.features(z, box))
    k += linear * (x @ z.T)
    k += 1.0
    return k


def features(
    name: str, theta: np.ndarray, x: np.ndarray, marks: np.ndarray, box: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features of rows whose products are the covariance, exact where all rows are marks.

    Args:
        name: of the kernel.
        theta: hyperparameters.
        x: scaled rows (n, d).
        marks: rows that the features are told by (m,).
        box: interval of each input (2, d).

    Returns:
        Features (n, m) in Fortran's order and the upper factor that takes their weights to coefficients of the rows;
        None for linear ones, (n, d + 1). No factor, no features: an array of no columns.
    """
    if name == "linear":
        return np.asfortranarray(np.column_stack([x * np.exp(0.5 * theta[2]), np.ones(len(x))])), None
    z = x[marks]
    own = kernel_matrix(name, theta, z, z, box)
    jitter = JITTER if len(marks) == len(x) or len(x) <= SINGLE else 100 * JITTER
    own[np.diag_indices(len(z))] += jitter * own.trace() / len(z)
    upper, info = dpotrf(own, lower=0, clean=1)
    if info != 0 or not np.isfinite(upper).all():
        return np.empty((len(x), 0)), None
    if len(marks) == len(x):
        return np.asfortranarray(upper.T), upper
    dtype = np.float32 if len(x) > SINGLE else np.float64
    across = kernel_matrix(name, theta.astype(dtype), x.astype(dtype), z.astype(dtype), box.astype(dtype))
    return np.asfortranarray(whitened(upper, across)), upper


def whitened(upper: np.ndarray, across: np.ndarray) -> np.ndarray:
    """``K U^-1`` in the precision of K, solved in double precision: rounding is multiplied by the condition of U.

    Args:
        upper: factor of the covariance of the marks (m, m).
        across: covariance between rows and marks (n, m), in C's order.

    Returns:
        Features (n, m).
    """
    out = np.empty_like(across)
    for start in range(0, len(across), BLOCK):
        block = slice(start, start + BLOCK)
        out[block] = dtrsm(1.0, upper, across[block].T.astype(float, order="F"), trans_a=1, overwrite_b=1).T
    return out


def scores_of(name: str, theta: np.ndarray, marks: np.ndarray, upper: np.ndarray | None, V: np.ndarray) -> Scores:
    """The member of the weights of its features.

    Args:
        name: of the kernel.
        theta: hyperparameters.
        marks: as for `features`.
        upper: that came with the features.
        V: weights (m, q).

    Returns:
        The member, of weight 1.
    """
    if upper is None:
        scale = np.append(np.full(len(V) - 1, np.exp(0.5 * theta[2])), 1.0)
        return Scores(name, theta, np.empty(0, int), V * scale[:, None])
    return Scores(name, theta, marks, dtrsm(1.0, upper, V))


def log_probabilities(mixture: ClassMixture, x: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities of the classes.

    Args:
        mixture: the members.
        x: scaled rows (n, d).

    Returns:
        (n, k).
    """
    out = np.empty((len(x), len(mixture.base)))
    for start in range(0, len(x), BLOCK):
        rows, each, weights = x[start : start + BLOCK], [], []
        for _, group in itertools.groupby(mixture.members, lambda one: one.name):
            draws = list(group)
            each.append(logsumexp([_log_p(one, mixture, rows) for one in draws], axis=0))
            weights.append(sum(one.weight for one in draws))
        out[start : start + BLOCK] = pooled(np.array(weights), each, mixture.temperature)
    return out


def _log_p(one: Scores | Labels | Trees, mixture: ClassMixture, x: np.ndarray) -> np.ndarray:
    """Of one member (n, k)."""
    if isinstance(one, Trees):
        return one.log_p(mixture.base, x)
    if isinstance(one, Labels):
        return one.log_p(mixture.base, x, mixture.x, mixture.box)
    if len(one.marks):
        f = kernel_matrix(one.name, one.theta, x, mixture.x[one.marks], mixture.box) @ one.coef
    else:
        f = x @ one.coef[:-1] + one.coef[-1]
    return log_softmax(f @ contrasts(len(mixture.base)).T + mixture.base, axis=1)
