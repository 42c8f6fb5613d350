"""Approximate leave-one-out and evidence of linear classifiers.

How would a linear model do on each observation without it, and how probable are the labels under it?

Leaving one of n observations out changes its own scores, to one Newton step from the full fit, by

    s_i(without i) - s_i = V_i (I - A_i V_i)^-1 r_i,      V_i = 1/n (I (x) z_i') H^-1 (I (x) z_i),

r_i and A_i the derivatives of the loss at s_i, H the Hessian of the objective (mean misfit plus penalty): n fits for
one factor of H. A row of weight w stands for w observations, of which one is left out (all of it where w < 1).

Sources: Beirami, Razaviyayn, Shahrampour, Tarokh, On optimal generalization error, NIPS 2017, eq. 8; Rad and Maleki, J.
R. Stat. Soc. B 82 (2020) 965-996, theorem 1.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_solve

from numdl.problems.risk.dense_linear import DenseLinear, Head, shifted_factor
from numdl.regularize.evidence import Precisions, Sizes, log_evidence


def approximate_loo(problem: DenseLinear, W: Head, total: float) -> float:
    """Weighted mean loss of each observation under the fit without it.

    Args:
        problem: linear model.
        W: its minimiser, (k, q).
        total: number of observations, the sum of the weights before their mean was made 1.

    Returns:
        The estimate, in units of the loss; infinite where scores are no numbers.
    """
    moved = left_out_scores(problem, W, total)
    return problem.misfit(moved) if np.all(np.isfinite(moved)) else np.inf


def left_out_scores(problem: DenseLinear, W: Head, total: float) -> Float[np.ndarray, "n k"]:
    """Scores of each observation under the fit without it, by one Newton step.

    Args:
        problem: linear model.
        W: its minimiser, (k, q).
        total: number of observations.

    Returns:
        (n, k). Cost: ``n q^2 k^2`` operations twice over and one factor of order k q.
    """
    (k, q), s = W.shape, problem.scores(W)
    inverse = cho_solve((hessian_factor(problem, s), True), np.eye(k * q), check_finite=False).reshape(k, q, k, q)
    V = np.empty((len(s), k, k))
    for a in range(k):
        for b in range(k):
            V[:, a, b] = np.einsum("qn,qn->n", problem.z, inverse[a, :, b] @ problem.z)
    observations = problem.w * (total / len(s))
    V *= (np.minimum(observations, 1.0) / total)[:, None, None]
    rest = np.eye(k) - problem.bend(s) @ V
    return s + np.einsum("nab,nb->na", V, np.linalg.solve(rest, problem.residual(s)[..., None])[..., 0])


def hessian_factor(problem: DenseLinear, s: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "kq kq"]:
    """Cholesky factor of the Hessian; the common shift of softmax intercepts, which nothing sees, counts as 1."""
    hessian = problem.hessian(s)
    if problem.loss == "softmax":
        shift = np.zeros((s.shape[1], len(problem.z)))
        shift[:, -1] = 1.0
        hessian += np.outer(shift, shift)
    return shifted_factor(hessian)


def laplace_evidence(problem: DenseLinear, W: Head, total: float) -> float:
    """Laplace approximation of the log evidence of the labels; see ``numdl.regularize.evidence``.

    Args:
        problem: linear model; its penalty is a Gaussian prior of precision ``alpha total L'L``.
        W: its minimiser, (k, q).
        total: number of observations.

    Returns:
        Nats; comparable between alphas, not between operators L.
    """
    k, alpha, s = W.shape[0], problem.penalty.alpha, problem.scores(W)
    logdet = 2 * float(np.sum(np.log(np.diag(hessian_factor(problem, s)))))
    misfit, penalty = problem.misfit(s), problem.penalty.value(W)
    rank = int(np.linalg.matrix_rank(problem.with_alpha(1.0).penalty.matrix(W.shape[1]), hermitian=True))
    sizes = Sizes(total, k, np.array([k * rank]), W.size - k * rank, gaussian=False)
    precisions = Precisions(np.array([alpha * total]), 1.0)
    if not np.all(np.isfinite([misfit, penalty, logdet])):
        return -np.inf
    return log_evidence(precisions, sizes, misfit, np.array([2 * penalty / alpha]), logdet)
