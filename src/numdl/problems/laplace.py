"""How many parameters do the data determine, and how probable are the data under this model?

Laplace's approximation at a reduced problem's linearisation. With everything per mean over samples, and H the
Gauss-Newton matrix of the full problem (theta and head), ``log det H = log det H_WW + log det (S + diag(alpha))`` and

    gamma_g = N_g - alpha_g tr_g(H^-1)    for each group of theta and for the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from numdl.contracts import PyTree
from numdl.problems.heads import head_mask
from numdl.problems.normal import Normal

if TYPE_CHECKING:
    from numdl.problems.varpro import VarPro


def laplace_metrics(
    problem: "VarPro", theta: PyTree, normal: Normal, factor: Float[Array, "p p"]
) -> dict[str, Array]:
    """Effective numbers of parameters, square norms and log determinant, for ``numdl.regularize.evidence``.

    Args:
        problem: separable problem.
        theta: where it was linearised.
        normal: its normal equations there.
        factor: lower Cholesky factor of ``normal.matrix + diag(normal.diagonal)``.

    Returns:
        ``gamma (G+1,)`` and ``squares (G+1,)`` (the head last), ``logdet ()`` of the full Gauss-Newton matrix.
    """
    groups = problem.penalty.alpha.shape[0]
    labels = problem.penalty.labels
    inverse = solve_triangular(factor, jnp.eye(factor.shape[0], dtype=factor.dtype), lower=True)
    determined = 1 - normal.diagonal * jnp.sum(inverse**2, axis=0)
    k, q = normal.aux.shape
    mask = head_mask(k, q - problem.intercept, problem.intercept, normal.aux.dtype)
    trace = normal.head_trace + jnp.sum((inverse @ normal.coupling) ** 2)
    vector = ravel_pytree(theta)[0]
    if problem.penalty.reference is not None:
        vector = vector - problem.penalty.reference
    per_group = jax.ops.segment_sum(jnp.stack([determined, vector**2], axis=1), labels, groups)
    gamma = jnp.append(per_group[:, 0], jnp.sum(mask) - problem.alpha_head * trace)
    squares = jnp.append(per_group[:, 1], jnp.sum(mask * normal.aux**2))
    return {"gamma": gamma, "squares": squares, "logdet": 2 * jnp.sum(jnp.log(jnp.diag(factor))) + normal.head_logdet}
