"""Standard errors of classifiers: how far would coefficients move, if the labels were drawn again?

With F the Fisher information of one observation, which is the Hessian of the mean loss, and H the Hessian with the
penalty, the estimate is asymptotically linear in the labels, and its covariance over n observations is

    cov W = 1/n  H^-1 F H^-1,

without penalty the inverse Fisher information, ``F^-1 / n``. As for regression the bias of the penalty is not in it. It
is smaller than the posterior of Laplace's approximation, ``H^-1 / n``, which the prior alone gives a spread.

Softmax scores that all move by the same amount change nothing, so both matrices are taken on the differences between
classes, an orthonormal basis U of vectors with sum 0. Directions that the data do not see do not move.

Cost: a Hessian, ``n q^2 k (k + 1)`` operations, and ``10 (k q)^3`` after them, q features with the intercept.

Source: le Cessie and van Houwelingen, Applied Statistics 41 (1992) 191-201, sec. 2; McCullagh and Nelder, Generalized
Linear Models, 1989, sec. 4.4.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from numdl.estimators.common.standard_errors import StandardErrors
from numdl.problems.risk.dense_linear import DenseLinear

DENSE_ERRORS = 2000
"""Unknowns up to which the matrices are formed."""


def linear_errors(
    problem: DenseLinear,
    alpha: float,
    W: Float[np.ndarray, "k q"],
    total: float,
    mean: Float[np.ndarray, " d"],
    scale: Float[np.ndarray, " d"],
) -> StandardErrors | str:
    """Standard errors at a minimiser, for features as given.

    Args:
        problem: on scaled features, with an intercept.
        alpha: of its penalty.
        W: minimiser, (k, q).
        total: number n of observations, the sum of the sample weights.
        mean: what was taken off the features, (d,).
        scale: what they were divided by, (d,).

    Returns:
        The errors; or why there are none.
    """
    k, q = W.shape
    if k * q > DENSE_ERRORS:
        return (
            f"{k * q} unknowns are more than {DENSE_ERRORS}, up to which the covariance is formed. Use fewer features, "
            "or fit on resampled rows."
        )
    information = problem.with_alpha(0.0).hessian(problem.scores(W))
    penalised = information + np.kron(np.eye(k), problem.with_alpha(alpha).penalty.matrix(q))
    if not np.all(np.isfinite(penalised)):
        return "the Fisher information overflows. Scale the columns, or look for entries of X far beyond all others."
    basis = np.eye(k)
    if problem.loss == "softmax":
        basis = np.linalg.svd(np.ones((1, k)))[2][1:].T
    inverse, information = _inverse(_between(penalised, basis)), _between(information, basis)
    covariance = (inverse @ information @ inverse).reshape(basis.shape[1], q, basis.shape[1], q) / total
    shift = np.append(-mean / scale, 1.0)  # of features as given: the intercept is that at their origin
    coefficients, intercept = np.empty((k, q - 1)), np.empty(k)
    for score, row in enumerate(basis):
        own = np.einsum("i,j,ipjq->pq", row, row, covariance, optimize=True)
        coefficients[score] = np.sqrt(np.maximum(np.diag(own)[:-1], 0.0)) / scale
        intercept[score] = np.sqrt(max(shift @ own @ shift, 0.0))
    return StandardErrors(coefficients, intercept)


def _between(h: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """A matrix of all scores (k q, k q) on the differences between them, (r q, r q)."""
    (k, r), q = basis.shape, len(h) // len(basis)
    found = np.einsum("kpmq,ki,mj->ipjq", h.reshape(k, q, k, q), basis, basis, optimize=True)
    return found.reshape(r * q, r * q)


def _inverse(h: np.ndarray) -> np.ndarray:
    """The inverse on what is above rounding, whatever the units of the unknowns."""
    unit = np.sqrt(np.maximum(np.diag(h), 0.0))
    unit = np.where(unit > 0, unit, 1.0)
    values, vectors = np.linalg.eigh(h / unit / unit[:, None])
    seen = values > 10 * len(h) * np.finfo(float).eps * np.max(values, initial=0.0)
    scaled = vectors[:, seen] / unit[:, None]
    return (scaled / values[seen]) @ scaled.T
