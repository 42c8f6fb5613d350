"""Spectral preconditioner: what is near the inverse of a linear model's Hessian, and cheap?

The Hessian is ``sum_i share_i H_i (x) z_i z_i' + I (x) P``: all outputs share the features. In the eigenvectors Q of
the features' gram matrix it is treated at two levels:

* the ``rank`` leading directions with all couplings of the classes: one dense matrix of order ``k rank``, from a
  sample of the rows;
* the others by the diagonal, which for a softmax acts on the differences of the classes only: the misfit does not see a
  common shift of all scores, there the penalty stands alone.

Measured on Fashion-MNIST (60000 x 785, softmax, alpha = 1e-4): 34 products to a relative gap of 6e-7, 50 to 1e-9. With
the mean curvature of each class in all eigenvectors it takes 682 to 1e-6, with one dense factor for each class 276 to
7e-6: the first does not see that rare pixels belong to samples that are certain, the second not the common shift.

Source: the splitting is ours; the two levels are those of Nabben and Vuik, SIAM J. Sci. Comput. 27 (2006), without the
coarse correction of the remainder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from numdl.problems.risk.losses import SOFTMAX, Loss
from numdl.problems.varpro.heads import head_hessian
from numdl.regularize.operator_penalty import OperatorPenalty

Head = Float[Array, "k q"]


class SpectralBasis(NamedTuple):
    """What is computed once for some features.

    Attributes:
        Q: eigenvectors of the gram matrix, largest eigenvalue first, (q, q).
        rotated: ``Q'z`` of a sample of the rows, float32, (q, m).
        share: weights of these rows, summing to 1, float32, (m,).
        leading: zeros (rank,), whose length is the number of directions with all couplings.
    """

    Q: Float[Array, "q q"]
    rotated: Float[Array, "q m"]
    share: Float[Array, " m"]
    leading: Float[Array, " rank"]


def spectral_basis(
    z: Float[np.ndarray, "q n"], w: Float[np.ndarray, " n"], *, rank: int = 100, rows: int = 6000
) -> SpectralBasis:
    """Eigenvectors of ``z diag(w) z'`` and a sample of rows in them.

    Args:
        z: features in float32, one row for each, (q, n).
        w: sample weights, no unit, (n,).
        rank: directions with all couplings, at most.
        rows: size of the sample, at most; drawn without replacement by a fixed seed.

    Returns:
        The basis, Q in the dtype of w. Cost: ``2 q^2 n`` flops in float32 and one eigendecomposition.
    """
    q, n = z.shape
    gram = (z * w.astype(np.float32)) @ z.T
    Q = np.linalg.eigh(gram.astype(np.float64))[1][:, ::-1]
    some = np.arange(n) if n <= rows else np.sort(np.random.default_rng(0).choice(n, rows, replace=False))
    rotated = np.ascontiguousarray(Q.T.astype(np.float32)) @ z[:, some]
    share = w[some] / np.sum(w[some])
    return SpectralBasis(
        jnp.asarray(Q.astype(w.dtype)),
        jnp.asarray(rotated),
        jnp.asarray(share.astype(np.float32)),
        jnp.asarray(np.zeros(min(rank, q), np.float32)),
    )


def spectral_inverse(
    basis: SpectralBasis, loss: Loss, penalty: OperatorPenalty, W: Head
) -> Callable[[Float[Array, "k q"]], Float[Array, "k q"]]:
    """The two-level preconditioner at W.

    Args:
        basis: of the features.
        loss: misfit of one sample.
        penalty: penalty on W.
        W: where the loss is expanded, (k, q).

    Returns:
        ``R -> M^-1 R``, symmetric and positive definite.
    """
    Q, rotated, share, leading = basis
    rank, (k, q) = leading.shape[0], W.shape
    scores = ((W @ Q).astype(rotated.dtype) @ rotated).T
    # Hessians of the losses do not depend on the targets.
    factors = jax.vmap(lambda s: loss.factor(s, s))(scores)
    turned = penalty.matrix(q) @ Q
    stiffness = jnp.sum(Q * turned, axis=0)
    couplings = head_hessian(factors, share, rotated[:rank].T).astype(W.dtype)
    couplings = couplings + jnp.kron(jnp.eye(k, dtype=W.dtype), Q[:, :rank].T @ turned[:, :rank])
    # In float32 the couplings are known to 1e-7 of their largest entries.
    floor = 1e-7 * jnp.max(jnp.diag(couplings))
    factor = jnp.linalg.cholesky(couplings + floor * jnp.eye(k * rank, dtype=W.dtype))
    bends = (rotated**2 @ (share[:, None] * jnp.sum(factors**2, axis=1))).T.astype(W.dtype)
    diagonal = bends + stiffness + floor

    def inverse(R: Float[Array, "k q"]) -> Float[Array, "k q"]:
        turned = R @ Q
        head = cho_solve((factor, True), turned[:, :rank].reshape(-1)).reshape(k, rank)
        rest = turned[:, rank:]
        if loss.name == SOFTMAX.name:
            common = jnp.mean(rest, axis=0)
            rest = (rest - common) / diagonal[:, rank:]
            rest = rest - jnp.mean(rest, axis=0) + common / (stiffness[rank:] + floor)
        else:
            rest = rest / diagonal[:, rank:]
        return jnp.concatenate([head, rest], axis=1) @ Q.T

    return inverse
