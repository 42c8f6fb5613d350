"""Empirical risk.

What is the mean misfit of any one-sample map plus a penalty, with its slope and curvature from products?

    f(p) = 1/n sum_i w_i loss(apply(p, x_i), c_i) + penalty(p)

The curvature is the Gauss-Newton matrix ``1/n sum_i w_i J_i' H_i J_i`` plus the penalty's Hessian, ``J_i`` the
derivative of the scores and ``H_i`` the loss's Hessian there. Where ``apply`` is linear in p it is the exact Hessian.
A sample may be an image whose pixels are samples of the mean, with scores and targets of their own (segmentation).

Cost: a linearisation is a pass forward and one backward over the samples, as is a product with the curvature. The
dense matrix is gathered in blocks of rows, one pass forward and k backward, and ``n k p^2`` flops.

Source: Schraudolph, Neural Computation 14 (2002) 1723-1738, sec. 3 (the generalised Gauss-Newton matrix).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from numdl.contracts import Linearization, Normal, PyTree, Work
from numdl.problems.blocks import map_rows, sum_rows
from numdl.problems.fits import refuse_pixels, require_parts
from numdl.problems.risk.losses import LEAST_SQUARES, Loss, error_of, misfit_metrics
from numdl.problems.risk.passes import PixelRows, by_pixel, linear_passes, of_mean_one
from numdl.problems.varpro.normal import gram, joined, pulled_rows
from numdl.regularize.penalty import DiagonalPenalty, hessian_at

BLOCK = 2**22
"""Numbers in a block of the Jacobian where no chunk is given."""


class Empirical(eqx.Module, PixelRows):
    """Empirical risk; ``p`` is whatever ``apply`` takes, there is no companion.

    Attributes:
        apply: ``apply(p, x_i) -> (k,)`` for one sample, (pixels k,) of one with pixels. Static: give an object that
            compares by value (a module-level function), else every new one is compiled anew.
        loss: misfit of one sample.
        penalty: has ``value``, ``gradient`` and ``product`` of p, such as ``GroupPenalty``, or ``hessian`` in place of
            ``product``, such as ``SmoothedTotalVariation``.
        x: samples, (n, d).
        c: targets, (n, k), or (n, pixels k).
        w: sample weights of mean 1, no unit, (n,).
        chunk: rows of each shard in a block of a pass over the data; None for all.
        n_shards: into which the rows are divided among devices, see ``numdl.problems.sharding``.
        pixels: of a sample, each with k scores and targets, one pixel after the other; 1 where samples have none.
    """

    apply: Callable = eqx.field(static=True)
    loss: Loss = eqx.field(static=True)
    penalty: Any
    x: Float[Array, "n d"]
    c: Float[Array, "n k"]
    w: Float[Array, " n *pixels"]
    chunk: int | None = eqx.field(static=True, default=None)
    n_shards: int = eqx.field(static=True, default=1)
    pixels: int = eqx.field(static=True, default=1)

    __check_init__ = require_parts

    def scores(self, p: PyTree) -> Float[Array, "rows k"]:
        """``apply(p, x_i)`` for all samples, or for all their pixels."""
        s = map_rows(lambda x: jax.vmap(self.apply, (None, 0))(p, x), self.chunk, self.x, n_shards=self.n_shards)
        return by_pixel(s, self.pixels)

    def value(self, p: PyTree, aux: PyTree) -> tuple[Float[Array, ""], PyTree]:
        """``f(p)``; the companion passes through."""
        return self._misfit(self.scores(p)) + self.penalty.value(p), aux

    def held_out(self, p: PyTree, aux: PyTree) -> Float[Array, ""]:
        """Mean misfit without the penalty: for samples that nothing is fitted to."""
        return self._misfit(self.scores(p))

    def linearize(self, p: PyTree, aux: PyTree) -> Linearization:
        """Value, gradient and matrix-free Gauss-Newton curvature."""
        s, push, pull = linear_passes(self.apply, p, self.x, self.chunk, self.n_shards, self.pixels)
        c, w = self.targets, self.weights
        share = (w / len(s))[:, None]
        data = self._misfit(s)
        rest = share * jax.vmap(self.loss.residual)(s, c)
        gradient = jax.tree.map(jnp.add, pull(rest), self.penalty.gradient(p))

        bend_penalty = hessian_at(self.penalty, p)

        def curvature(v: PyTree) -> PyTree:
            bent = share * jax.vmap(lambda s, c, t: self.loss.hessian(s, c) @ t)(s, c, push(v))
            return jax.tree.map(jnp.add, pull(bent), bend_penalty(v))

        metrics = misfit_metrics(self.loss, s, c, w, data)
        return Linearization(data + self.penalty.value(p), gradient, curvature, aux, metrics)

    def normal(self, p: PyTree, aux: PyTree) -> Normal:
        """Value, gradient and Gauss-Newton matrix, for Levenberg-Marquardt; one block of the Jacobian in memory.

        A penalty that has no ``diagonal`` is part of ``matrix``.

        Raises:
            ValueError: samples have pixels.
        """
        refuse_pixels("Empirical.normal", self.pixels)
        vector, unravel = ravel_pytree(p)
        (n, k), size = self.c.shape, vector.size
        chunk = min(n // self.n_shards, self.chunk or max(1, BLOCK // max(k * size, 1)))

        def block(w: Array, x: Array, c: Array) -> tuple[Array, Array, list[Array], Array]:
            s, jt = pulled_rows(self.apply, p, jnp.broadcast_to(jnp.eye(k, dtype=c.dtype), (x.shape[0], k, k)), x)
            gradient = jnp.einsum("prb,br->p", jt, w[:, None] * jax.vmap(self.loss.residual)(s, c))
            factor = jnp.sqrt(w)[:, None, None] * jax.vmap(self.loss.factor)(s, c)
            wide = jnp.einsum("pkb,brk->prb", jt, factor)
            wrong = s.shape[0] * error_of(self.loss, s, c, w) ** power
            return w @ jax.vmap(self.loss.value)(s, c), gradient, gram(wide, self.n_shards), wrong

        power = 1 if self.loss.classes else 2  # a mean of squares adds up over blocks, its root not
        sums = sum_rows(block, chunk, self.w, self.x, self.c, n_shards=self.n_shards)
        data, gradient, panels, wrong = jax.tree.map(lambda part: part / n, sums)
        matrix = joined(panels)
        if isinstance(self.penalty, DiagonalPenalty):
            diagonal = self.penalty.diagonal
        else:
            bend_penalty = hessian_at(self.penalty, p)
            columns = jax.vmap(lambda e: ravel_pytree(bend_penalty(unravel(e)))[0])
            matrix, diagonal = matrix + columns(jnp.eye(size, dtype=vector.dtype)), jnp.zeros_like(vector)
        return Normal(
            data + self.penalty.value(p),
            gradient + ravel_pytree(self.penalty.gradient(p))[0],
            matrix,
            diagonal,
            aux,
            {"misfit": data, "train_error": wrong ** (1 / power)},
        )

    def bend(self, p: PyTree, d: PyTree) -> PyTree:
        """``1/n sum_i w_i J_i' H_i s_i''(d, d)``, what a straight path along d overlooks, structure of p.

        Args:
            p: parameters.
            d: direction.

        Returns:
            Two passes forward and one backward.
        """
        rows = jax.vmap(self.apply, (None, 0))

        def block(w: Array, x: Array, c: Array) -> PyTree:
            def along(q: PyTree) -> tuple[Array, Array]:
                return jax.jvp(lambda r: rows(r, x), (q,), (d,))

            (s, _), (_, second) = jax.jvp(along, (p,), (d,))
            parts = (by_pixel(part, self.pixels) for part in (s, c, second))
            bent = jax.vmap(lambda s, c, t: self.loss.hessian(s, c) @ t)(*parts).reshape(s.shape)
            share = jnp.repeat(w / (self.x.shape[0] * self.pixels), bent.shape[1] // w.shape[1], axis=1)
            return jax.vjp(lambda q: rows(q, x), p)[1](share * bent)[0]

        return sum_rows(block, self.chunk, self.row_weights, self.x, self.c, n_shards=self.n_shards)

    def residual(self, p: PyTree) -> Float[Array, " N"]:
        """Stacked residual whose half square norm is the objective, for ``LevenbergMarquardtQR``.

        Args:
            p: parameters.

        Returns:
            ``sqrt(w_i/n) (apply(p, x_i) - c_i)`` sample by sample, then the penalty's root.

        Raises:
            ValueError: the loss is not least squares.
        """
        if self.loss.name != LEAST_SQUARES.name:
            instead = "normal" if self.pixels == 1 else "linearize"
            raise ValueError(f"Empirical.residual: the loss is {self.loss.name!r}, needs least_squares. Use {instead}.")
        s = self.scores(p)
        rest = jnp.sqrt(self.weights / len(s))[:, None] * (s - self.targets)
        return jnp.concatenate([rest.reshape(-1), self.penalty.root(p).reshape(-1)])

    def work(self, p: PyTree) -> Work:
        """A matrix costs one pass backward for each score; in blocks of rows products repeat the pass forward."""
        n, k = self.x.shape[0], self.c.shape[1] // self.pixels
        again = 1.0 if self.chunk is not None and self.chunk * self.n_shards < n else 0.0
        return Work(linearize=2.0 + again, trial=2.0 + again, product=2.0 + 2.0 * again, matrix=1.0 + k)

    def rows(self, index: Int[Array, " m"]) -> Empirical:
        """The same problem on a part of the samples; their weights keep their mean of 1."""
        w = self.w[index]
        return dataclasses.replace(self, x=self.x[index], c=self.c[index], w=of_mean_one(w), n_shards=1)

    def _misfit(self, s: Float[Array, "rows k"]) -> Float[Array, ""]:
        return self.weights @ jax.vmap(self.loss.value)(s, self.targets) / len(s)
