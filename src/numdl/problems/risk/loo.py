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

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from numdl.optimize.smooth.newton import shifted_cholesky
from numdl.problems.risk.linear import LinearEmpirical
from numdl.problems.risk.losses import SOFTMAX
from numdl.regularize.evidence import Precisions, Sizes, log_evidence

Head = Float[Array, "k q"]


def approximate_loo(problem: LinearEmpirical, W: Head, total: Float[Array, ""]) -> Float[Array, ""]:
    """Weighted mean loss of each observation under the fit without it.

    Args:
        problem: linear model.
        W: its minimiser, (k, q).
        total: number of observations, the sum of the weights before their mean was made 1, ().

    Returns:
        The estimate, in units of the loss.
    """
    moved = left_out_scores(problem, W, total)
    return problem.misfit(moved)


def left_out_scores(problem: LinearEmpirical, W: Head, total: Float[Array, ""]) -> Float[Array, "n k"]:
    """Scores of each observation under the fit without it, by one Newton step.

    Args:
        problem: linear model.
        W: its minimiser, (k, q).
        total: number of observations, ().

    Returns:
        (n, k). Cost: ``n q^2 k^2`` flops twice over and one factor of order k q.
    """
    k, q = W.shape
    n = problem.z.shape[1]
    s = problem.scores(W)
    factor = hessian_factor(problem, W)
    inverse = cho_solve((factor, True), jnp.eye(k * q, dtype=W.dtype)).reshape(k, q, k, q)
    pairs = inverse.transpose(0, 2, 1, 3).reshape(k * k, q, q)
    influence = jax.lax.map(lambda block: jnp.sum(problem.z * (block @ problem.z), axis=0), pairs).reshape(k, k, n)
    observations = problem.w * (total / n)
    share = jnp.minimum(observations, 1.0) / total

    def one(s: Array, c: Array, v: Array, share: Array) -> Array:
        V = share * v
        A = problem.loss.hessian(s, c)
        return s + V @ jnp.linalg.solve(jnp.eye(k, dtype=s.dtype) - A @ V, problem.loss.residual(s, c))

    return jax.vmap(one, (0, 0, 2, 0))(s, problem.c, influence, share)


def hessian_factor(problem: LinearEmpirical, W: Head) -> Float[Array, "kq kq"]:
    """Cholesky factor of the Hessian; the common shift of softmax intercepts, which nothing sees, counts as 1."""
    hessian = problem.hessian(W)
    if problem.loss.name == SOFTMAX.name and problem.penalty.intercept:
        shift = jnp.zeros_like(W).at[:, -1].set(1.0).reshape(-1)
        hessian = hessian + jnp.outer(shift, shift)
    return shifted_cholesky(hessian)


def laplace_evidence(problem: LinearEmpirical, W: Head, total: float) -> float:
    """Laplace approximation of the log evidence of the labels; see ``numdl.regularize.evidence``.

    Args:
        problem: linear model; its penalty is a Gaussian prior of precision ``alpha total L'L``.
        W: its minimiser, (k, q).
        total: number of observations.

    Returns:
        Nats; comparable between alphas, not between operators L.
    """
    logdet, misfit, penalty, square = (np.asarray(a, float) for a in _laplace(problem, W))
    k = W.shape[0]
    alpha = float(problem.penalty.alpha)
    rank = int(np.linalg.matrix_rank(square, hermitian=True))
    sizes = Sizes(total, k, np.array([k * rank]), W.size - k * rank, gaussian=False)
    precisions = Precisions(np.array([alpha * total]), 1.0)
    if not np.all(np.isfinite([misfit, penalty, logdet])):
        return -np.inf
    return log_evidence(precisions, sizes, float(misfit), np.array([2 * penalty / alpha]), float(logdet))


@jax.jit
def _laplace(problem: LinearEmpirical, W: Head) -> tuple[Array, Array, Array, Array]:
    """Log determinant of the Hessian, misfit, penalty, and L'L."""
    logdet = 2 * jnp.sum(jnp.log(jnp.diag(hessian_factor(problem, W))))
    square = problem.penalty.matrix(W.shape[1]) / problem.penalty.alpha
    return logdet, problem.misfit(problem.scores(W)), problem.penalty.value(W), square
