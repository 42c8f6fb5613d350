"""Gauss-Newton normal matrix of variable projection.

What is the dense Gauss-Newton matrix of a reduced problem, gathered in blocks of samples?

For a sample with scores s, ``F'F`` the Hessian of the loss in s and ``G = du/dtheta``: the rows ``F W G`` are pulled
back one by one (``r`` passes backward). Least squares has ``F = I``, and ``W'W = R'R`` needs only ``r = min(k, m)``
rows. The head is eliminated by the Schur complement

    S = J'J - B B',    B = J' basis    (least squares, basis of the ridge projection)
    S = J'J - B B',    B = C L^-T      (other losses, C = J'F (x) z' the mixed block, L L' the head's Hessian)

Memory: one block of rows ``chunk * r * p`` and a few (p, p) matrices. Flops: ``2 n r p^2`` and one pass each way.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from numdl.contracts import Normal, PyTree
from numdl.problems.blocks import over_samples, sum_rows
from numdl.problems.fits import refuse_pixels, require_theta
from numdl.problems.risk.losses import misfit_metrics
from numdl.problems.sharding import first_rows, in_turn
from numdl.problems.varpro.heads import Head, NewtonHead, SquaresHead, factorise, head_mask, squares_head

if TYPE_CHECKING:
    from numdl.problems.varpro.varpro import VarPro


PANELS, WIDE = 4, 128
"""Of a symmetric product, and columns up to which it is formed whole."""


class Eliminated(NamedTuple):
    """What an eliminated head says of itself, for the evidence.

    Attributes:
        coupling: (p, q) columns with ``||L^-1 coupling||^2`` = what theta's uncertainty adds to the head's covariance
            trace, L the Cholesky factor of the penalised matrix.
        trace: of the penalised block of the head's inverse Hessian, of each output if it has its alpha.
        logdet: log determinant of the head's Hessian.
    """

    coupling: Float[Array, "p b"]
    trace: Float[Array, ""] | Float[Array, " k"]
    logdet: Float[Array, ""]


def normal_equations(problem: VarPro, theta: PyTree, aux: Float[Array, "k q"] | None) -> Normal:
    """Value, gradient and dense curvature of a reduced problem.

    Args:
        problem: separable problem.
        theta: unknowns.
        aux: start of the inner solver; None for zero.

    Returns:
        The pieces of the normal equations, everything per mean over samples.

    Raises:
        ValueError: samples have pixels.
    """
    require_theta("normal_equations", problem, theta, aux)
    u = problem.embed(theta)
    return normal_at(problem, theta, u, problem.solve(u, problem.first_head(theta) if aux is None else aux))


def normal_at(problem: VarPro, theta: PyTree, u: Float[Array, "n m"], head: Head) -> Normal:
    """``normal_equations`` from features (n, m) and a head, with its own Hessian, that are known already."""
    refuse_pixels("normal_equations", problem.pixels)
    n = problem.x.shape[0]
    s = problem.scores(u, head.W)
    data = problem.misfit(s)
    value = data + problem.head_penalty(head.W) + problem.penalty.value(theta)
    used = n if problem.curvature_rows is None else min(n, problem.curvature_rows)
    blocks: Callable = _squares_blocks if problem.squares else _newton_blocks
    if used == n:
        gradient, matrix, eliminated = blocks(problem, theta, head, u, s, whole=True)
    else:
        # The matrix comes from the first rows (the estimator shuffles), the gradient from all of them.
        w, x, c, u, s_seen = first_rows(used, problem.n_shards, problem.w, problem.x, problem.c, u, s)
        part = dataclasses.replace(problem, x=x, c=c, w=w)
        _, matrix, eliminated = blocks(part, theta, head, u, s_seen, whole=False)
        gradient = misfit_gradient(problem, theta, head.W, s)
    return Normal(
        value,
        gradient + ravel_pytree(problem.penalty.gradient(theta))[0],
        matrix,
        problem.penalty.diagonal,
        head.W,
        misfit_metrics(problem.loss, s, problem.c, problem.w, data) | head.metrics,
        eliminated,
    )


def misfit_gradient(problem: VarPro, theta: PyTree, head: Float[Array, "k q"], s: Float[Array, "n k"]) -> Array:
    """Gradient of the misfit at fixed head, one pass backward; (p,)."""
    m = head.shape[1] - problem.intercept
    du = jax.vmap(problem.loss.residual)(s, problem.c) @ head[:, :m] / s.shape[0]

    def block(w: Array, x: Array, du: Array) -> Array:
        def weighted(q: PyTree) -> Array:
            return jnp.sum(over_samples(problem.features)(q, x) * (w[:, None] * du))

        return ravel_pytree(jax.grad(weighted)(theta))[0]

    return sum_rows(block, problem.chunk, problem.w, problem.x, du, n_shards=problem.n_shards)


def pulled_rows(
    apply: Callable[[PyTree, Array], Array], p: PyTree, rows: Float[Array, "b r m"], x: Float[Array, "b d"]
) -> tuple[Float[Array, "b m"], Float[Array, "p r b"]]:
    """``u_i = apply(p, x_i)`` and ``rows_i du_i/dp`` for every sample of a block.

    The samples run fastest in the latter: products over samples then stream through memory.
    """

    def one(x: Array, rows: Array) -> tuple[Array, Array]:
        u, pull = jax.vjp(lambda q: apply(q, x), p)
        return u, jax.vmap(lambda row: ravel_pytree(pull(row)[0])[0], out_axes=-1)(rows)

    return jax.vmap(one, (0, 0), out_axes=(0, -1))(x, rows)


def gram(jt: Float[Array, "p r b"], n_shards: int) -> list[Array]:
    """Panels of the lower half of ``sum_rb jt_prb jt_qrb``, which `joined` puts together; they add over blocks.

    XLA has no symmetric product. Four panels do 5/8 of the work of the whole: .19 -> .15 CPU s for 684 x 10,000 and
    .59 -> .36 for 2320 x 2000, where BLAS' dsyrk takes .10 and .22.
    """
    p = jt.shape[0]
    if n_shards > 1:  # wide matrices would have rows of all samples, which shall not leave their devices
        left, product = jt, "prb,qrb->pq"  # copies one factor: 0.38 s instead of 0.34 s, 600 x 2 x 4000
    else:
        left, product = jt.reshape(p, -1), "pb,qb->pq"
    ends = [p * i // PANELS for i in range(PANELS + 1)] if p > WIDE else [0, p]
    return [jnp.einsum(product, left[start:end], left[:end]) for start, end in itertools.pairwise(ends)]


def joined(panels: list[Array]) -> Float[Array, "p p"]:
    """The symmetric matrix that panels of its lower half make up."""
    p = panels[-1].shape[1]
    lower = jnp.concatenate([jnp.pad(panel, ((0, 0), (0, p - panel.shape[1]))) for panel in panels])
    return jnp.where(jnp.tri(p, dtype=bool), lower, lower.T) if len(panels) > 1 else lower


def _squares_blocks(
    problem: VarPro, theta: PyTree, head: SquaresHead, u: Array, s: Array, *, whole: bool
) -> tuple[Array, Array, Eliminated]:
    """Gradient of the misfit, Schur complement and what the head says of itself.

    ``whole``: whether these are the rows that the head was solved on; else only its W is theirs.
    """
    n, m = u.shape
    if not whole:
        solved = squares_head(
            u, problem.c, problem.w, problem.alpha_head, intercept=problem.intercept, n_shards=problem.n_shards
        )
        head = solved._replace(W=head.W)
    weights = head.W[:, :m]
    k = weights.shape[0]
    rest = s - problem.c
    if k > m and len(head.scale) == 1:  # rotate the outputs: only m directions of the residual are seen by theta
        rotation, weights = jnp.linalg.qr(weights)
        rest = rest @ rotation
    r = weights.shape[0]

    def block(w: Array, x: Array, rest: Array, basis: Array) -> tuple[Array, list[Array], Array]:
        root = jnp.sqrt(w / n)
        jt = pulled_rows(problem.features, theta, jnp.broadcast_to(weights, (x.shape[0], r, m)), x)[1] * root
        p = jt.shape[0]
        gradient = jnp.einsum("prb,br->p", jt, root[:, None] * rest)
        return gradient, gram(jt, problem.n_shards), (jt.reshape(p * r, -1) @ basis).reshape(p, r, -1)

    # The basis already carries sqrt(w/n); a row that was seen before has weight 0 in jt and drops out.
    gradient, panels, b = sum_rows(
        block, problem.chunk, problem.w, problem.x, rest, head.basis, n_shards=problem.n_shards
    )
    b = b * head.filter
    flat_b = b.reshape(b.shape[0], -1)
    eliminated = Eliminated((b * head.scale).reshape(b.shape[0], -1), *head.spectrum(intercept=problem.intercept))
    return gradient, joined(panels) - flat_b @ flat_b.T, eliminated


def _newton_blocks(
    problem: VarPro, theta: PyTree, head: NewtonHead, u: Array, s: Array, *, whole: bool
) -> tuple[Array, Array, Eliminated]:
    """The same, for a head with a Hessian of its own."""
    n, m = u.shape
    k, q = head.W.shape
    weights = head.W[:, :m]
    z = jnp.concatenate([u, jnp.ones((n, 1), u.dtype)], axis=1) if problem.intercept else u

    rest = jax.vmap(problem.loss.residual)(s, problem.c)
    f = sampled_factor(s, problem.n_shards) if problem.sampled else jax.vmap(problem.loss.factor)(s, problem.c)

    def block(w: Array, x: Array, rest: Array, f: Array, z: Array) -> tuple[Array, list[Array], Array]:
        root = jnp.sqrt(w / n)
        f = f * root[:, None, None]  # (b, r, k)
        rows = jnp.concatenate([f @ weights, ((root[:, None] * rest) @ weights)[:, None]], axis=1)
        jt = pulled_rows(problem.features, theta, rows, x)[1]  # (p, r + 1, b)
        p = jt.shape[0]
        gradient = jt[:, -1] @ root
        jt = jt[:, :-1]
        lifted = jnp.einsum("prb,brk->pkb", jt, f)
        mixed = (lifted.reshape(p * k, -1) @ z).reshape(p, k * q)
        return gradient, gram(jt, problem.n_shards), mixed

    gradient, panels, mixed = sum_rows(
        block, problem.chunk, problem.w, problem.x, rest, f, z, n_shards=problem.n_shards
    )
    # Mixed block and head's Hessian from the same factors: only then is the Schur complement semidefinite.
    same = whole and not problem.sampled
    factor = head.factor if same else factorise(f, problem.w / n, z, problem.alpha_head, intercept=problem.intercept)
    b = solve_triangular(factor, mixed.T, lower=True).T
    penalised = head_mask(k, m, problem.intercept, u.dtype).reshape(-1)
    inverse_root = solve_triangular(factor, jnp.eye(k * q, dtype=u.dtype), lower=True)
    coupling = (b @ inverse_root) * penalised
    logdet = 2 * jnp.sum(jnp.log(jnp.diag(factor)))
    return gradient, joined(panels) - b @ b.T, Eliminated(coupling, jnp.sum(inverse_root**2 * penalised), logdet)


def sampled_factor(s: Float[Array, "n k"], n_shards: int = 1) -> Float[Array, "n 1 k"]:
    """One row per sample whose outer product has the softmax Hessian as expectation.

    ``f = p - e_j`` with class j drawn with probability ``p_j``: ``E f f' = diag(p) - p p'``. The matrix gets k times
    cheaper. The draws are the same in every iteration, so that the method stays deterministic, and belong to the rows
    of the data, into however many ``n_shards`` these are divided.

    Source: Martens, New insights and perspectives on the natural gradient method, JMLR 21 (2020), sec. 5.
    """
    probability = jax.nn.softmax(s)
    draw = in_turn(jax.random.uniform(jax.random.key(0), (s.shape[0], 1), s.dtype), n_shards)
    drawn = jnp.minimum(jnp.sum(jnp.cumsum(probability, axis=1) < draw, axis=1), s.shape[1] - 1)
    return (probability - jax.nn.one_hot(drawn, s.shape[1], dtype=s.dtype))[:, None]
