"""Variable projection (VarPro).

What remains of a separable problem when its linear part is always solved to optimality?

    phi(theta) = min_W  1/n sum_i w_i loss(W [u(theta, x_i); 1], c_i) + alpha_W/2 ||W_m||^2  +  penalty(theta)

Since the gradient in W vanishes at the minimiser, ``grad phi = d/dtheta`` at fixed W (envelope theorem): value and
gradient belong to the same function, head penalty included. The curvature is the Gauss-Newton matrix of the full
problem with W eliminated (Schur complement): Kaufman's approximation for least squares, GNvpro for other losses. The
full Golub-Pereyra derivative of the residual is available through ``residual``.

Cost of a linearisation: one pass forward and ``min(k, m)`` (least squares) or k (other losses) passes backward over
the n samples, and ``2 n r p^2`` flops where the matrix is formed.

A sample may be an image whose pixels are samples of the mean, with features, targets and the same head (segmentation).

Sources: Golub and Pereyra (1973); Kaufman, BIT 15 (1975); O'Leary and Rust, Comput. Optim. Appl. 54 (2013); Newman,
Chung, Chung, Ruthotto, SIAM J. Sci. Comput. 44 (2022).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import FeatureMap, Linearization, Normal, PyTree, Work
from numdl.problems.blocks import map_rows, over_samples
from numdl.problems.fits import require_parts
from numdl.problems.risk.losses import LEAST_SQUARES, Loss, misfit_metrics
from numdl.problems.risk.passes import PixelRows, Pull, Push, by_pixel, linear_passes, of_mean_one
from numdl.problems.varpro.heads import Head, NewtonHead, head_mask, newton_head, squares_head
from numdl.problems.varpro.normal import normal_equations
from numdl.regularize.penalty import GroupPenalty

DERIVATIVES = ("kaufman", "golub-pereyra", "gauss-newton")
"""Curvatures of ``VarPro.linearize``."""


class VarPro(eqx.Module, PixelRows):
    """Separable problem reduced to its nonlinear unknowns; ``p`` is theta, ``aux`` is the head W.

    Attributes:
        features: ``features(theta, x_i) -> (m,)`` for one sample, (pixels m,) of one with pixels. Static: give an
            object that compares by value (a ``ResNet``, a module-level function), else every new one is compiled anew.
        loss: misfit of one sample.
        x: samples, (n, d).
        c: targets, (n, k), or (n, pixels k).
        w: weights of mean 1 of the samples, (n,), or of their pixels, (n, pixels).
        penalty: penalty on theta.
        alpha_head: penalty on the head, (), >= 0; other losses than least squares need more than 0. For least squares
            it may be one for each output, (k,).
        intercept: whether the head has a free constant.
        chunk: rows of each shard in a block of a pass over the data; None for all.
        derivative: curvature of ``linearize``, H the Hessian of the misfit in the scores. ``"kaufman"``: ``J'HJ`` with
            W eliminated. ``"golub-pereyra"``: ``J'HJ + alpha_W dW'dW`` with the full derivative ``dW/dtheta`` in J and
            dW. ``"gauss-newton"``: ``J'HJ`` with the same J, the Gauss-Newton matrix of the reduced misfit alone. All
            add the Hessian of the penalty on theta.
        curvature_rows: the first so many rows give the matrix of ``normal``; None for all. Value and gradient always
            see all rows.
        sampled: softmax only: the matrix of ``normal`` from one drawn row per sample instead of k.
        n_shards: into which the rows are divided among devices, see ``numdl.problems.sharding``.
        pixels: of a sample, each with m features and k targets, one pixel after the other; 1 where samples have none.
    """

    features: Callable = eqx.field(static=True)
    loss: Loss = eqx.field(static=True)
    x: Float[Array, "n d"]
    c: Float[Array, "n k"]
    w: Float[Array, " n *pixels"]
    penalty: GroupPenalty
    alpha_head: Float[Array, ""] | Float[Array, " k"]
    intercept: bool = eqx.field(static=True, default=True)
    chunk: int | None = eqx.field(static=True, default=None)
    derivative: Literal["kaufman", "golub-pereyra", "gauss-newton"] = eqx.field(static=True, default="kaufman")
    curvature_rows: int | None = eqx.field(static=True, default=None)
    sampled: bool = eqx.field(static=True, default=False)
    n_shards: int = eqx.field(static=True, default=1)
    pixels: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        """Refuse parts that are none, and a curvature that there is not.

        Raises:
            ValueError: the derivative is unknown, or as ``require_parts``.
        """
        if self.derivative not in DERIVATIVES:
            raise ValueError(f"VarPro(derivative={self.derivative!r}): unknown. Use one of {', '.join(DERIVATIVES)}.")
        require_parts(self)

    @property
    def squares(self) -> bool:
        """Whether the misfit is least squares, so that the head is solved for directly."""
        return self.loss.name == LEAST_SQUARES.name

    def _width(self, theta: PyTree) -> int:
        """Number m of features of a sample, or of a pixel."""
        if isinstance(self.features, FeatureMap):
            width = self.features.width
        else:
            one = jax.ShapeDtypeStruct(self.x.shape[1:], self.x.dtype)
            width = jax.eval_shape(self.features, theta, one).shape[0]
        if width % self.pixels:
            raise ValueError(
                f"VarPro(pixels={self.pixels}): a sample has {width} features, needs as many for each pixel. Use a "
                "network whose features are images of that many pixels."
            )
        return width // self.pixels

    def first_head(self, theta: PyTree) -> Float[Array, "k q"]:
        """Zero head of the right shape, the start of the inner solver."""
        shape = self.c.shape[1] // self.pixels, self._width(theta) + self.intercept
        return jax.device_put(np.zeros(shape, self.c.dtype))

    def embed(self, theta: PyTree) -> Float[Array, "rows m"]:
        """Features of all samples, or of all their pixels."""
        rows = lambda x: over_samples(self.features)(theta, x)  # noqa: E731
        return by_pixel(map_rows(rows, self.chunk, self.x, n_shards=self.n_shards), self.pixels)

    def passes(self, theta: PyTree) -> tuple[Float[Array, "rows m"], Push, Pull]:
        """Features with products with their derivative and its transpose."""
        return linear_passes(self.features, theta, self.x, self.chunk, self.n_shards, self.pixels)

    def solve(self, u: Float[Array, "n m"], aux: Float[Array, "k q"]) -> Head:
        """Best head for given features; ``aux`` starts the inner iteration where there is one."""
        if self.squares:
            c, w, shards = self.targets, self.weights, self.n_shards
            return squares_head(u, c, w, self.alpha_head, intercept=self.intercept, n_shards=shards)
        return self.iterate(u, aux)

    def iterate(
        self, u: Float[Array, "n m"], start: Float[Array, "k q"], enough: Float[Array, ""] | float = 0.0
    ) -> NewtonHead:
        """Head by Newton's method, whatever the loss; see ``newton_head`` for ``enough``."""
        c, w, intercept = self.targets, self.weights, self.intercept
        return newton_head(self.loss, u, c, w, self.alpha_head, start, intercept=intercept, enough=enough)

    def value(self, p: PyTree, aux: Float[Array, "k q"]) -> tuple[Float[Array, ""], Float[Array, "k q"]]:
        """Reduced objective and the head that belongs to it; one pass forward. Its first two derivatives are exact.

        A head that is iterated for moves by the implicit function theorem: the iteration has no reverse derivative.
        """
        u = self.embed(p)
        if self.squares:
            head = self.solve(u, aux).W
        else:
            solved = self.iterate(*jax.lax.stop_gradient((u, aux)))
            head = self._moved(u, jax.lax.stop_gradient(solved))
        s = self.scores(u, head)
        return self.misfit(s) + self.head_penalty(head) + self.penalty.value(p), head

    def misfit(self, s: Float[Array, "n k"]) -> Float[Array, ""]:
        """Weighted mean misfit of given scores."""
        return self.weights @ jax.vmap(self.loss.value)(s, self.targets) / len(s)

    def held_out(self, theta: PyTree, head: Float[Array, "k q"]) -> Float[Array, ""]:
        """Mean misfit with a given head, without penalties: for samples that nothing is fitted to."""
        return self.misfit(self.scores(self.embed(theta), head))

    def scores(self, u: Float[Array, "n m"], head: Float[Array, "k q"]) -> Float[Array, "n k"]:
        """``W [u; 1]`` for each row."""
        m = u.shape[1]
        return u @ head[:, :m].T + (head[:, m] if self.intercept else 0.0)

    def head_penalty(self, head: Float[Array, "k q"]) -> Float[Array, ""]:
        """``alpha_W/2 ||W_m||^2``, intercept left out."""
        k, q = head.shape
        mask = head_mask(k, q - self.intercept, self.intercept, head.dtype)
        return 0.5 * jnp.sum(self.alpha_head * jnp.sum(mask * head**2, axis=1))

    def moving_head(self, theta: PyTree, solved: Head, steps: int = 1) -> Float[Array, "k q"]:
        """The optimal head as a differentiable function of theta, near where it was solved.

        A Newton step from the solution with the Hessian held fixed does not move W but carries, by the implicit
        function theorem, its exact first derivative. Each further step carries one derivative more, because its error
        is that of the step before times the change of the Hessian.
        """
        return self._moved(self.embed(theta), jax.lax.stop_gradient(solved), steps)

    def _moved(self, u: Float[Array, "n m"], solved: Head, steps: int = 1) -> Float[Array, "k q"]:
        """``moving_head`` of features; where these do not move it is the head that was solved for, to the last bit."""
        slope = jax.grad(lambda head, u: self.misfit(self.scores(u, head)) + self.head_penalty(head))
        head, left = solved.W, jax.lax.stop_gradient(slope(solved.W, jax.lax.stop_gradient(u)))
        for _ in range(steps):
            head = head - solved.inverse(slope(head, u) - left)
        return head

    def residual(self, theta: PyTree) -> Float[Array, " N"]:
        """Stacked residual of the reduced least-squares problem; its first two derivatives are exact (Golub-Pereyra).

        ``[sqrt(w/n) (W [u; 1] - c); sqrt(alpha) theta; sqrt(alpha_W) W_m]``, half its square norm is the objective.

        Args:
            theta: unknowns.

        Returns:
            Residuals of all samples and outputs (sample by sample), penalties of theta, penalties of the head.

        Raises:
            ValueError: the loss is not least squares.
        """
        if not self.squares:
            raise ValueError(f"VarPro.residual: the loss is {self.loss.name!r}, needs least_squares. Use linearize.")
        solved = jax.tree.map(jax.lax.stop_gradient, self.solve(self.embed(theta), self.first_head(theta)))
        head = self.moving_head(theta, solved, steps=2)
        s = self.scores(self.embed(theta), head)
        rest = jnp.sqrt(self.weights / len(s))[:, None] * (s - self.targets)
        free = head[:, : head.shape[1] - self.intercept]
        return jnp.concatenate(
            [rest.reshape(-1), self.penalty.root(theta), (jnp.sqrt(self.alpha_head)[..., None] * free).reshape(-1)]
        )

    def linearize(self, p: PyTree, aux: Float[Array, "k q"]) -> Linearization:
        """Value, gradient and matrix-free curvature; a product costs one pass forward and one backward."""
        passes = self.passes(p)
        return self.linearize_at(p, passes, self.solve(passes[0], aux))

    def linearize_at(self, p: PyTree, passes: tuple[Float[Array, "n m"], Push, Pull], solved: Head) -> Linearization:
        """``linearize`` from the features with their passes and a head that are known already."""
        u, push, pull = passes
        c, w = self.targets, self.weights
        head = jax.lax.stop_gradient(solved.W)
        s = self.scores(u, head)
        m = u.shape[1]
        share = (w / len(s))[:, None]
        rest = share * jax.vmap(self.loss.residual)(s, c)
        data = self.misfit(s)
        value = data + self.head_penalty(head) + self.penalty.value(p)
        gradient = jax.tree.map(jnp.add, pull(rest @ head[:, :m]), self.penalty.gradient(p))

        def bend(t: Array) -> Array:  # Hessian of the misfit in the scores
            return share * jax.vmap(lambda s, c, t: self.loss.hessian(s, c) @ t)(s, c, t)

        def kaufman(v: PyTree) -> PyTree:
            ds = push(v) @ head[:, :m].T
            curved = bend(ds)
            lifted = curved.T @ u
            lifted = jnp.concatenate([lifted, curved.sum(0)[:, None]], axis=1) if self.intercept else lifted
            curved = curved - bend(self.scores(u, solved.inverse(lifted)))
            return jax.tree.map(jnp.add, pull(curved @ head[:, :m]), self.penalty.product(v))

        held = jnp.asarray(self.derivative == "golub-pereyra", head.dtype)  # whether the penalty on the head bends

        def full(v: PyTree) -> PyTree:
            def both(theta: PyTree) -> tuple[Array, Array]:
                moving = self.moving_head(theta, solved)
                free = moving[:, : moving.shape[1] - self.intercept]
                return self.scores(self.embed(theta), moving), held * jnp.sqrt(self.alpha_head)[..., None] * free

            (ds, dw), back = jax.jvp(both, (p,), (v,))[1], jax.vjp(both, p)[1]
            return jax.tree.map(jnp.add, back((bend(ds), dw))[0], self.penalty.product(v))

        curvature = kaufman if self.derivative == "kaufman" else full
        metrics = misfit_metrics(self.loss, s, c, w, data) | solved.metrics
        return Linearization(value, gradient, curvature, head, metrics)

    def normal(self, p: PyTree, aux: Float[Array, "k q"]) -> Normal:
        """Value, gradient and curvature as a matrix."""
        return normal_equations(self, p, aux)

    def work(self, p: PyTree) -> Work:
        """Passes through the features; what is solved for the head afterwards has no part in it.

        In blocks of rows the features are evaluated again for each derivative.
        """
        n, k = self.x.shape[0], self.c.shape[1] // self.pixels
        again = 1.0 if self.chunk is not None and self.chunk * self.n_shards < n else 0.0
        backward = min(k, self._width(p)) if self.squares else (1 if self.sampled else k) + 1
        seen = n if self.curvature_rows is None else min(n, self.curvature_rows)
        gradient = 0.0 if seen == n else 2.0
        return Work(
            linearize=2.0 + again,
            product=2.0 + 2.0 * again,
            matrix=1.0 + gradient + (1.0 + backward) * seen / n,
        )

    def rows(self, index: Array) -> VarPro:
        """The same problem on a part of the samples; their weights keep their mean of 1."""
        w = self.w[index]
        return dataclasses.replace(self, x=self.x[index], c=self.c[index], w=of_mean_one(w), n_shards=1)

    def with_targets(self, c: Float[Array, "n k"]) -> VarPro:
        """The same problem with other targets, as in units of their noise; nothing is compiled anew."""
        c = checks.finite("VarPro", "c", c, (len(self.c), "k" if self.pixels == 1 else self.c.shape[1]))
        return eqx.tree_at(lambda one: one.c, self, c)

    def with_alpha(self, alpha: Array, alpha_head: Array) -> VarPro:
        """The same problem with other penalty parameters; nothing is compiled anew or looked at again."""
        none, one_or_each = (
            "Use 0 for no penalty.",
            (self.c.shape[1] // self.pixels,) if np.ndim(alpha_head) == 1 else (),
        )
        alpha = checks.finite("VarPro", "alpha", alpha, ("G",), least=0, hint=none)
        alpha_head = checks.finite("VarPro", "alpha_head", alpha_head, one_or_each, least=0, hint=none)
        return eqx.tree_at(lambda one: (one.penalty.alpha, one.alpha_head), self, (alpha, jnp.asarray(alpha_head)))
