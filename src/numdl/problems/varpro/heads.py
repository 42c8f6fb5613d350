"""Linear heads: least squares and Newton.

Which head W is best for given features, and how does it answer when the features move?

The head solves the convex inner problem of variable projection,

    W = argmin  1/n sum_i w_i loss(W [u_i; 1], c_i) + alpha/2 ||W_m||^2 ,

``W_m`` the first m columns: the intercept is not penalised. Both solvers return, besides W, what the outer problem
needs of the inner Hessian H: its inverse, its determinant and the trace of the penalised block of the inverse.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Bool, Float, Int

from numdl.linalg.triangular import triangle_svd
from numdl.problems.risk.losses import Loss
from numdl.problems.sharding import tall_qr


class SquaresHead(NamedTuple):
    """Least-squares head with the singular value decomposition of the weighted, centred features.

    With ``sqrt(w/n) (U - mean) = Q diag(sigma) V'``, ``filter = sigma / sqrt(sigma^2 + alpha)`` and
    ``scale = 1 / sqrt(sigma^2 + alpha)`` (both zero where sigma is below rounding and alpha is 0); one row for all
    outputs where they share alpha (h = 1), else one for each (h = k):

    Attributes:
        W: (k, m+1), or (k, m) without intercept.
        basis: (n, m+1) ``[Q, sqrt(w/n)]``, orthonormal: ``basis diag(filter)^2 basis'`` is the ridge projection.
        filter: (h, m+1), 1 for the intercept.
        scale: (h, m+1) lengths that turn ``J' basis diag(filter)`` into ``J' Z H^-1`` up to the rotation V; 0 for the
            intercept.
        V: (m, m).
        center: (m,) weighted mean of the features; zero without intercept.
        logdet: log determinant of the inner Hessian of one output, (h,).
    """

    W: Float[Array, "k q"]
    basis: Float[Array, "n q"]
    filter: Float[Array, "h q"]
    scale: Float[Array, "h q"]
    V: Float[Array, "m m"]
    center: Float[Array, " m"]
    logdet: Float[Array, " h"]

    def inverse(self, g: Float[Array, "k q"]) -> Float[Array, "k q"]:
        """Inverse of the inner Hessian ``I (x) (Z'Z/n + alpha D)`` times g, with the layout of W."""
        m = self.V.shape[0]
        intercept = g.shape[1] > m
        inner = g[:, :m] - (g[:, m:] * self.center if intercept else 0.0)
        inner = ((inner @ self.V) * self.scale[:, :m] ** 2) @ self.V.T
        if not intercept:
            return inner
        return jnp.concatenate([inner, g[:, m:] - inner @ self.center[:, None]], axis=1)

    def spectrum(self, *, intercept: bool) -> tuple[Float[Array, ""] | Float[Array, " k"], Float[Array, ""]]:
        """Trace of the penalised block of the inverse inner Hessian, of each output with its alpha; log determinant."""
        k, trace = self.W.shape[0], jnp.sum(self.scale**2, axis=1)
        return trace if len(trace) == k > 1 else k * trace[0], k * jnp.mean(self.logdet)

    @property
    def metrics(self) -> dict[str, Array]:
        """None: nothing is left to be told of a direct solution."""
        return {}


class NewtonHead(NamedTuple):
    """Head of a smooth convex loss with the Cholesky factor of its Hessian (unknowns ordered as ``W.reshape(-1)``).

    Attributes:
        W: (k, m+1), or (k, m) without intercept.
        factor: lower triangle of the factor at ``base``, (kq, kq).
        base: where the Hessian belongs to: W itself, or the head before the last step if W was already good enough.
        gradient: of the inner problem at W, (k, m+1) or (k, m).
        steps: number of Hessians that were formed and factorised.
    """

    W: Float[Array, "k q"]
    factor: Float[Array, "kq kq"]
    base: Float[Array, "k q"]
    gradient: Float[Array, "k q"]
    steps: Int[Array, ""]

    def inverse(self, g: Float[Array, "k q"]) -> Float[Array, "k q"]:
        """Inverse of the inner Hessian times g, with the layout of W."""
        return cho_solve((self.factor, True), g.reshape(-1)).reshape(g.shape)

    def spectrum(self, *, intercept: bool) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Trace of the penalised block of the inverse inner Hessian, and its log determinant."""
        k, q = self.W.shape
        mask = head_mask(k, q - intercept, intercept, self.W.dtype).reshape(-1)
        root = solve_triangular(self.factor, jnp.eye(mask.shape[0], dtype=mask.dtype), lower=True)
        return jnp.sum(root**2 * mask), 2 * jnp.sum(jnp.log(jnp.diag(self.factor)))

    @property
    def metrics(self) -> dict[str, Array]:
        """``head_gradient``, the norm of the gradient that the iteration left."""
        return {"head_gradient": jnp.linalg.norm(self.gradient)}

    @property
    def decrement(self) -> Float[Array, ""]:
        """``sqrt(g' H^-1 g)``: to first order the distance of W from the best head in the norm of H."""
        return jnp.linalg.norm(solve_triangular(self.factor, self.gradient.reshape(-1), lower=True))


def squares_head(
    u: Float[Array, "n m"],
    c: Float[Array, "n k"],
    w: Float[Array, " n"],
    alpha: Float[Array, ""] | Float[Array, " k"],
    *,
    intercept: bool,
    n_shards: int = 1,
) -> SquaresHead:
    """Ridge head by QR of the features and SVD of the triangle; rank-deficient features are truncated.

    Cost: one QR of an (n, m) matrix, ``2 n m^2`` flops; no product ``U'U`` is formed, so its condition is not squared.

    Args:
        u: features, (n, m).
        c: targets, (n, k).
        w: sample weights of mean 1, no unit, (n,).
        alpha: head penalty of the mean misfit, not negative, () or one for each output (k,).
        intercept: whether a free column of ones is added.
        n_shards: into which the rows are divided; a divisor of n.

    Returns:
        The head with its factors.

    Source: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973); Hansen, Discrete Inverse Problems, SIAM 2010, ch. 4.
    """
    n, m = u.shape
    root = jnp.sqrt(w / n)
    center = (w @ u) / n if intercept else jnp.zeros(m, u.dtype)
    offset = (w @ c) / n if intercept else jnp.zeros(c.shape[1], c.dtype)
    z, y = root[:, None] * (u - center), root[:, None] * (c - offset)
    q, r = tall_qr(z, n_shards)
    left, sigma, vt = triangle_svd(r)
    # Relative to the features as they are, not to the centred ones: constant features must vanish.
    size = jnp.maximum(sigma[0], jnp.max(jnp.abs(center)))
    keep = sigma > max(n, m) * jnp.finfo(u.dtype).eps * size
    alpha = jnp.reshape(alpha, (-1, 1))
    alive = keep | (alpha > 0)
    safe = jnp.where(alive, sigma**2 + alpha, 1.0)
    scale = jnp.where(alive, 1 / jnp.sqrt(safe), 0.0)
    gain = jnp.where(keep, sigma * scale, 0.0)
    basis = q @ left
    weights = (scale * gain * (left.T @ (q.T @ y)).T) @ vt
    if intercept:
        weights = jnp.concatenate([weights, (offset - weights @ center)[:, None]], axis=1)
        basis = jnp.concatenate([basis, root[:, None]], axis=1)
        gain, scale = (jnp.pad(a, ((0, 0), (0, 1)), constant_values=b) for a, b in ((gain, 1.0), (scale, 0.0)))
    return SquaresHead(weights, basis, gain, scale, vt.T, center, jnp.sum(jnp.where(alive, jnp.log(safe), 0.0), axis=1))


Head = SquaresHead | NewtonHead
"""A head as variable projection asks it: by ``W``, ``inverse``, ``spectrum`` and ``metrics``."""


class _Search(NamedTuple):
    """State of ``newton_head``: the best head so far, and the trial ``W + t direction`` that comes next."""

    W: Float[Array, "k q"]
    value: Float[Array, ""]
    gradient: Float[Array, "k q"]
    base: Float[Array, "k q"]
    factor: Float[Array, "kq kq"]
    direction: Float[Array, "k q"]
    t: Float[Array, ""]
    steps: Int[Array, ""]
    done: Bool[Array, ""]


def newton_head(
    loss: Loss,
    u: Float[Array, "n m"],
    c: Float[Array, "n k"],
    w: Float[Array, " n"],
    alpha: Float[Array, ""],
    start: Float[Array, "k q"],
    *,
    intercept: bool,
    tol: float = 1e-10,
    enough: Float[Array, ""] | float = 0.0,
    max_iter: int = 30,
) -> NewtonHead:
    """Head of a smooth convex loss by Newton's method with an Armijo line search, from the better of ``start`` and 0.

    Args:
        loss: misfit of one sample.
        u: features, (n, m).
        c: targets, (n, k).
        w: sample weights of mean 1, (n,).
        alpha: head penalty of the mean misfit, positive, ().
        start: first guess, (k, m+1) or (k, m).
        intercept: whether a free column of ones is added.
        tol: on the norm of the gradient relative to 1 + the loss, no unit.
        enough: decrement after a step, with the Hessian before it, that suffices as well, if it is at most a quarter of
            that before the step (the quadratic phase, where decrements can be trusted); 0 for none. A head that is left
            for this reason has no Hessian of its own.
        max_iter: Newton steps at most.

    Returns:
        The head with the last Hessian's Cholesky factor and the gradient that is left.

    Source: Newman, Chung, Chung, Ruthotto, Train Like a (Var)Pro, SIAM J. Sci. Comput. 44 (2022), sec. 3.
    """
    n = u.shape[0]
    z = jnp.concatenate([u, jnp.ones((n, 1), u.dtype)], axis=1) if intercept else u
    penalised = head_mask(start.shape[0], u.shape[1], intercept, u.dtype)
    share = w / n

    def evaluate(weights: Array) -> tuple[Array, Array]:
        s = z @ weights.T
        value = share @ jax.vmap(loss.value)(s, c) + 0.5 * alpha * jnp.sum(penalised * weights**2)
        return value, (share[:, None] * jax.vmap(loss.residual)(s, c)).T @ z + alpha * penalised * weights

    def curve(weights: Array) -> Array:
        return factorise(jax.vmap(loss.factor)(z @ weights.T, c), share, z, alpha, intercept=intercept)

    def attempt(last: _Search) -> _Search:
        first = last.steps == 0
        trial = last.W + last.t * last.direction
        value, gradient = evaluate(trial)
        # Near the minimum the decrease drowns in rounding long before the gradient does.
        rounding = 10 * jnp.finfo(u.dtype).eps * (1 + last.value)
        falls = value <= last.value + 1e-4 * last.t * jnp.sum(last.direction * last.gradient) + rounding
        flatter = jnp.linalg.norm(gradient) < 0.5 * jnp.linalg.norm(last.gradient)
        good = falls & (first | flatter | (value < last.value - rounding))
        # In the first trial the start is held against 0: if it is worse, the second trial is 0 itself.
        shorter = jnp.where(first, 0.0, last.t / 2)
        stuck = ~good & (falls | (last.t <= 1e-8))
        pairs = zip((trial, value, gradient), (last.W, last.value, last.gradient), strict=True)
        W, value, gradient = (jnp.where(good, new, old) for new, old in pairs)
        known = NewtonHead(W, last.factor, last.base, gradient, last.steps)
        before = jnp.linalg.norm(last.factor.T @ (W - last.base).reshape(-1))
        near = ~first & (known.decrement < enough) & (known.decrement <= before / 4)
        anew = good & ~near
        factor = jax.lax.cond(anew, lambda: curve(W), lambda: last.factor)
        newton = -cho_solve((factor, True), gradient.reshape(-1)).reshape(W.shape)
        steps = last.steps + anew.astype(last.steps.dtype)
        flat = jnp.linalg.norm(gradient) <= tol * (1 + value)
        done = stuck | (good & (near | flat | (steps > max_iter)))
        direction, t = jnp.where(good, newton, last.direction), jnp.where(good, 1.0, shorter)
        return _Search(W, value, gradient, jnp.where(anew, W, last.base), factor, direction, t, steps, done)

    # Where the features moved far, an old head may saturate every score: nothing bends there, no Newton step helps.
    zero = jnp.zeros_like(start)
    value = share @ jax.vmap(loss.value)(jnp.zeros_like(c), c)
    first = _Search(
        zero, value, zero, zero, jnp.eye(start.size, dtype=u.dtype), start, jnp.ones((), u.dtype), jnp.asarray(0),
        jnp.asarray(False),
    )  # fmt: skip
    last = jax.lax.while_loop(lambda s: ~s.done, attempt, first)
    # Features that are not finite have no trial that is good, and nothing that may look like a solution.
    gradient = jnp.where(last.steps > 0, last.gradient, jnp.nan)
    return NewtonHead(last.W, last.factor, last.base, gradient, last.steps)


def head_mask(k: int, m: int, intercept: bool, dtype: Any) -> Float[Array, "k q"]:
    """1 for penalised entries of W, 0 for the intercepts."""
    ones = jnp.ones((k, m), dtype)
    return jnp.concatenate([ones, jnp.zeros((k, 1), dtype)], axis=1) if intercept else ones


def head_hessian(f: Float[Array, "n r k"], share: Float[Array, " n"], z: Float[Array, "n q"]) -> Float[Array, "kq kq"]:
    """``sum_i share_i (f_i'f_i) (x) z_i z_i'``, unknowns ordered as ``W.reshape(-1)``.

    One product ``z' diag z`` for each pair of outputs: ``n q^2 k (k+1)`` flops, r k times fewer than the product of
    the ``(n r, k q)`` matrix of all rows, which is never formed.
    """
    k, q = f.shape[2], z.shape[1]
    inner = share * jnp.einsum("nra,nrb->abn", f, f)
    row, column = np.triu_indices(k)
    pairs = jax.lax.map(lambda curve: z.T @ (curve[:, None] * z), inner[row, column])
    which = np.zeros((k, k), int)
    which[row, column] = which[column, row] = np.arange(len(row))
    return pairs[which].transpose(0, 2, 1, 3).reshape(k * q, k * q)


def factorise(
    f: Float[Array, "n r k"],
    share: Float[Array, " n"],
    z: Float[Array, "n q"],
    alpha: Float[Array, ""],
    *,
    intercept: bool,
) -> Float[Array, "kq kq"]:
    """Cholesky factor of the head's Hessian with its penalty.

    A loss that does not see a common shift of all scores (softmax: its factors are zero there, to rounding) leaves the
    mean of the intercepts free; the Hessian gets the ones of that direction, which changes neither minimiser nor steps.

    Args:
        f: factors of the loss's Hessians, ``f_i'f_i`` the Hessian in the scores, (n, r, k).
        share: weights that sum to 1, (n,).
        z: features, with the column of ones if there is an intercept, (n, q).
        alpha: head penalty, ().
        intercept: whether the last column of z is the intercept's.

    Returns:
        Lower triangle; a shift of ten roundings of the mean diagonal keeps it defined.
    """
    k, q = f.shape[2], z.shape[1]
    h = head_hessian(f, share, z) + jnp.diag(alpha * head_mask(k, q - intercept, intercept, z.dtype).reshape(-1))
    if intercept and k > 1:
        free = jnp.zeros((k, q), z.dtype).at[:, -1].set(1.0).reshape(-1)
        blind = jnp.sum(jnp.sum(f, axis=2) ** 2) <= (100 * jnp.finfo(z.dtype).eps) ** 2 * jnp.sum(f**2)
        h = h + jnp.where(blind, 1.0, 0.0) * jnp.outer(free, free)
    shift = 10 * jnp.finfo(z.dtype).eps * jnp.trace(h) / h.shape[0]
    return jnp.linalg.cholesky(h + shift * jnp.eye(h.shape[0], dtype=h.dtype))
