"""What is the dense Gauss-Newton matrix of a reduced problem, gathered in blocks of samples?

For a sample with scores s, ``F'F`` the Hessian of the loss in s and ``G = du/dtheta``: the rows ``F W G`` are pulled
back one by one (``r`` passes backward). Least squares has ``F = I``, and ``W'W = R'R`` needs only ``r = min(k, m)``
rows. The head is eliminated by the Schur complement

    S = J'J - B B',    B = J' basis    (least squares, basis of the ridge projection)
    S = J'J - B B',    B = C L^-T      (other losses, C = J'F (x) z' the mixed block, L L' the head's Hessian)

Memory: one block of rows ``chunk * r * p`` and a few (p, p) matrices. Flops: ``2 n r p^2`` and one pass each way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from numdl.contracts import PyTree
from numdl.problems.heads import SquaresHead, head_mask
from numdl.problems.metrics import misfit_metrics
from numdl.problems.rows import sum_rows

if TYPE_CHECKING:
    from numdl.problems.varpro import VarPro


class Normal(NamedTuple):
    """Reduced problem near theta with its curvature as a matrix.

    Attributes:
        value: objective.
        gradient: (p,), penalty included.
        matrix: (p, p) Schur complement of the misfit; the penalty's diagonal is not in it.
        diagonal: (p,) the penalty's diagonal.
        aux: the head W.
        coupling: (p, q) columns with ``||L^-1 coupling||^2`` = what theta's uncertainty adds to the head's covariance
            trace, L the Cholesky factor of the penalised matrix.
        head_trace: trace of the penalised block of the head's inverse Hessian.
        head_logdet: log determinant of the head's Hessian.
        metrics: scalars for the history.
    """

    value: Float[Array, ""]
    gradient: Float[Array, " p"]
    matrix: Float[Array, "p p"]
    diagonal: Float[Array, " p"]
    aux: Float[Array, "k q"]
    coupling: Float[Array, "p b"]
    head_trace: Float[Array, ""]
    head_logdet: Float[Array, ""]
    metrics: dict[str, Array]


def normal_equations(problem: "VarPro", theta: PyTree, aux: Float[Array, "k q"]) -> Normal:
    """Value, gradient and dense curvature of a reduced problem.

    Args:
        problem: separable problem.
        theta: unknowns.
        aux: start of the inner solver.

    Returns:
        The pieces of the normal equations, everything per mean over samples.
    """
    u = problem.embed(theta)
    head = problem.solve(u, aux)
    s = problem.scores(u, head.W)
    data = problem.misfit(s)
    value = data + problem.head_penalty(head.W) + problem.penalty.value(theta)
    assemble = _squares_blocks if isinstance(head, SquaresHead) else _newton_blocks
    gradient, matrix, coupling, head_trace, head_logdet = assemble(problem, theta, head, u, s)
    return Normal(
        value,
        gradient + ravel_pytree(problem.penalty.gradient(theta))[0],
        matrix,
        problem.penalty.diagonal,
        head.W,
        coupling,
        head_trace,
        head_logdet,
        misfit_metrics(problem.loss, s, problem.c, problem.w, data),
    )


def pulled_rows(problem: VarPro, theta: PyTree, rows: Float[Array, "b r m"], x: Float[Array, "b d"]) -> Array:
    """``rows_i du_i/dtheta`` for every sample of a block, laid out (p, r, b).

    The samples run fastest: products over samples then stream through memory.
    """

    def one(x: Array, rows: Array) -> Array:
        _, pull = jax.vjp(lambda q: problem.features(q, x), theta)
        return jax.vmap(lambda row: ravel_pytree(pull(row)[0])[0], out_axes=-1)(rows)

    return jax.vmap(one, (0, 0), out_axes=-1)(x, rows)


def _squares_blocks(problem: VarPro, theta: PyTree, head: SquaresHead, u: Array, s: Array) -> tuple:
    n, m = u.shape
    weights = head.W[:, :m]
    k = weights.shape[0]
    rest = s - problem.c
    if k > m:  # rotate the outputs: only m directions of the residual are seen by theta
        rotation, weights = jnp.linalg.qr(weights)
        rest = rest @ rotation
    r = weights.shape[0]

    def block(w: Array, x: Array, rest: Array, basis: Array) -> tuple[Array, Array, Array]:
        root = jnp.sqrt(w / n)
        jt = pulled_rows(problem, theta, jnp.broadcast_to(weights, (x.shape[0], r, m)), x) * root
        p = jt.shape[0]
        wide = jt.reshape(p, -1)
        gradient = wide @ (root[:, None] * rest).T.reshape(-1)
        return gradient, wide @ wide.T, (jt.reshape(p * r, -1) @ basis).reshape(p, r, -1)

    # The basis already carries sqrt(w/n); a row that was seen before has weight 0 in jt and drops out.
    gradient, gram, b = sum_rows(block, problem.chunk, problem.w, problem.x, rest, head.basis)
    flat_b = b.reshape(b.shape[0], -1)
    head_trace = k * jnp.sum(head.scale**2)
    return gradient, gram - flat_b @ flat_b.T, (b * head.scale).reshape(b.shape[0], -1), head_trace, k * head.logdet


def _newton_blocks(problem: VarPro, theta: PyTree, head: object, u: Array, s: Array) -> tuple:
    n, m = u.shape
    k, q = head.W.shape  # type: ignore[attr-defined]
    weights = head.W[:, :m]  # type: ignore[attr-defined]
    z = jnp.concatenate([u, jnp.ones((n, 1), u.dtype)], axis=1) if problem.intercept else u

    def block(w: Array, x: Array, c: Array, s: Array, z: Array) -> tuple[Array, Array, Array]:
        root = jnp.sqrt(w / n)
        f = jax.vmap(problem.loss.factor)(s, c) * root[:, None, None]  # (b, r, k)
        rest = jax.vmap(problem.loss.residual)(s, c) * root[:, None]
        rows = jnp.concatenate([f @ weights, (rest @ weights)[:, None]], axis=1)
        jt = pulled_rows(problem, theta, rows, x)  # (p, r + 1, b)
        p = jt.shape[0]
        gradient = jt[:, -1] @ root
        jt = jt[:, :-1]
        wide = jt.reshape(p, -1)
        lifted = jnp.einsum("prb,brk->pkb", jt, f)
        mixed = (lifted.reshape(p * k, -1) @ z).reshape(p, k * q)
        return gradient, wide @ wide.T, mixed

    gradient, gram, mixed = sum_rows(block, problem.chunk, problem.w, problem.x, problem.c, s, z)
    factor = head.factor  # type: ignore[attr-defined]
    b = solve_triangular(factor, mixed.T, lower=True).T
    penalised = head_mask(k, m, problem.intercept, u.dtype).reshape(-1)
    inverse_root = solve_triangular(factor, jnp.eye(k * q, dtype=u.dtype), lower=True)
    coupling = (b @ inverse_root) * penalised
    head_trace = jnp.sum(inverse_root**2 * penalised)
    return gradient, gram - b @ b.T, coupling, head_trace, 2 * jnp.sum(jnp.log(jnp.diag(factor)))
