"""Covariance and standard errors of fitted parameters: how well do the data determine the parameters of a fitted curve?

    covariance = s^2 (J'J)^-1,    s^2 = ||r||^2 / (N - P),    p_j +- t_{N-P} sqrt(covariance_jj)

with r the weighted residual and J its derivative in all P parameters, the eliminated ones included. This is the linear
theory: exact for a linear model with independent Gaussian errors of variance ``s^2 / w_i``, first order otherwise.

Source: Seber and Wild, Nonlinear Regression, Wiley 1989, sec. 5.1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from scipy.special import stdtrit

from numdl import checks
from numdl.contracts import PyTree
from numdl.linalg.safe_svd import safe_svd
from numdl.problems.risk.losses import LEAST_SQUARES
from numdl.problems.risk.nonlinear_squares import NonlinearLeastSquares
from numdl.problems.varpro.varpro import VarPro


class Confidence(NamedTuple):
    """Estimates with their uncertainty; parameters in JAX's order of leaves, then the head row by row.

    Attributes:
        estimate: (P,).
        covariance: (P, P).
        deviation: (P,) standard deviations; infinite for parameters that the data do not determine.
        lower: (P,) ends of the intervals.
        upper: (P,).
        noise: standard deviation of a sample of weight 1, or of a pixel of one, in the units of the targets; the
            weights that are not 0 have the mean 1.
        freedom: N - rank of J, N residuals of positive weight.
    """

    estimate: Float[np.ndarray, " P"]
    covariance: Float[np.ndarray, "P P"]
    deviation: Float[np.ndarray, " P"]
    lower: Float[np.ndarray, " P"]
    upper: Float[np.ndarray, " P"]
    noise: float
    freedom: int


def confidence(
    problem: NonlinearLeastSquares | VarPro, p: PyTree, head: PyTree = None, *, level: float = 0.95
) -> Confidence:
    """Covariance and confidence intervals of fitted parameters.

    Args:
        problem: least squares without penalty.
        p: parameters at the minimum.
        head: for ``VarPro`` the head there, ``Result.aux``; it is estimated, too.
        level: probability that an interval covers its parameter, one at a time, no unit.

    Returns:
        Estimates, covariance and intervals.

    Raises:
        TypeError: the problem is none of them, or the parameters are not its own.
        ValueError: an entry is not finite, the level is no probability, the problem has a penalty or another loss (see
            ``laplace_metrics``), or there are no more residuals than parameters.
    """
    if not isinstance(problem, NonlinearLeastSquares | VarPro):
        raise TypeError(
            f"confidence(problem={checks.shown(problem)}): needs a NonlinearLeastSquares or VarPro. Make one of them."
        )
    if head is not None and not isinstance(problem, VarPro):
        raise ValueError(f"confidence(head={checks.shown(head)}): curve fitting has no head, needs None. Leave it out.")
    for name, given in (("problem", problem), ("p", p), ("head", head)):
        checks.leaves("confidence", name, given)
    needs = "the fitted parameters of the problem"
    checks.shape_of("confidence", "p, head", lambda p, head: _linear(problem, (p, head)), p, head, needs=needs)
    checks.number("confidence", "level", level, above=0, below=1, hint="Use 0.95.")
    if isinstance(problem, VarPro):
        penalised = float(problem.alpha_head) > 0 or bool(np.any(np.asarray(problem.penalty.diagonal) > 0))
        if penalised or problem.loss.name != LEAST_SQUARES.name:
            raise ValueError(
                f"confidence: the loss is {problem.loss.name} and penalties are {'positive' if penalised else 'zero'}, "
                "needs least squares without penalty. Use laplace_metrics, which knows the penalty as a prior."
            )
    r, j, estimate = (np.asarray(a) for a in _linear(problem, (p, head)))
    seen_weights, all_weights = _weights(problem)
    count, size = seen_weights * len(j) // all_weights, j.shape[1]  # what has weight 0 is no observation
    if count <= size:
        raise ValueError(
            f"confidence: {count} residuals of positive weight for {size} parameters, needs more. Fix some parameters."
        )
    scale = np.linalg.norm(j, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    _, sigma, right = safe_svd(j / scale)
    seen = sigma > len(j) * np.finfo(j.dtype).eps * sigma[0]
    freedom = count - int(seen.sum())
    variance = r @ r / freedom
    root = right[seen].T / sigma[seen] / scale[:, None]
    covariance = variance * root @ root.T
    # A null vector of J moves these parameters without moving the model.
    unseen = np.linalg.norm(right[~seen], axis=0) > np.sqrt(np.finfo(j.dtype).eps)
    covariance[unseen] = covariance[:, unseen] = np.nan
    covariance[unseen, unseen] = np.inf
    deviation = np.sqrt(np.diag(covariance))
    reach = stdtrit(freedom, 0.5 + level / 2) * deviation
    noise = float(np.sqrt(variance * seen_weights))
    return Confidence(estimate, covariance, deviation, estimate - reach, estimate + reach, noise, freedom)


def _weights(problem: NonlinearLeastSquares | VarPro) -> tuple[int, int]:
    """How many weights are positive, and how many there are."""
    if isinstance(problem, NonlinearLeastSquares):
        n = problem.x.shape[0]
        return (n if problem.w is None else int(np.count_nonzero(problem.w))), n
    return int(np.count_nonzero(problem.weights)), problem.weights.shape[0]


@jax.jit
def _linear(problem: NonlinearLeastSquares | VarPro, fitted: PyTree) -> tuple[Array, Array, Array]:
    """Residual, its Jacobian in all parameters, and these as a vector."""
    vector, unravel = ravel_pytree(fitted)

    def residual(z: Array) -> Array:
        p, head = unravel(z)
        if isinstance(problem, NonlinearLeastSquares):
            return problem.residual(p)
        rest = problem.scores(problem.embed(p), head) - problem.targets
        return (jnp.sqrt(problem.weights / len(rest))[:, None] * rest).reshape(-1)

    return residual(vector), jax.jacfwd(residual)(vector), vector
