"""Jacobian products over all samples.

How do the scores of all samples move with the parameters, and what does a change of scores say about them?
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import PyTree
from numdl.problems.blocks import map_rows, over_samples, sum_rows

Push = Callable[[PyTree], Float[Array, "n k"]]
Pull = Callable[[Float[Array, "n k"]], PyTree]


def linear_passes(
    apply: Callable[[PyTree, Array], Array],
    p: PyTree,
    x: Float[Array, "n d"],
    chunk: int | None,
    n_shards: int = 1,
    pixels: int = 1,
) -> tuple[Float[Array, "rows k"], Push, Pull]:
    """Scores at p with their derivative J and its transpose, as products.

    All rows at once: the states of the forward pass are kept, and each product is one pass. In blocks of rows nothing
    is kept, and each product repeats the forward pass of its block.

    Args:
        apply: ``apply(p, x_i) -> (pixels k,)`` for one sample.
        p: parameters.
        x: samples, (n, d).
        chunk: rows of each shard in a block; None for all.
        n_shards: into which the rows are divided; a divisor of n.
        pixels: rows of scores of one sample, one after the other.

    Returns:
        ``apply(p, x_i)`` for all samples, (n pixels, k), ``v -> J v`` and ``r -> J' r`` in the same rows.
    """
    if pixels > 1:
        s, push, pull = linear_passes(apply, p, x, chunk, n_shards)
        return by_pixel(s, pixels), lambda v: by_pixel(push(v), pixels), lambda r: pull(r.reshape(s.shape))
    rows = over_samples(apply)
    if chunk is None or chunk * n_shards >= x.shape[0]:
        s, push = jax.linearize(lambda q: rows(q, x), p)
        transposed = jax.linear_transpose(push, p)
        return s, push, lambda r: transposed(r)[0]

    def push_blocks(v: PyTree) -> Array:
        return map_rows(lambda x: jax.jvp(lambda q: rows(q, x), (p,), (v,))[1], chunk, x, n_shards=n_shards)

    def pull_blocks(r: Array) -> PyTree:
        def block(w: Array, x: Array, r: Array) -> PyTree:
            return jax.vjp(lambda q: rows(q, x), p)[1](w[:, None] * r)[0]

        return sum_rows(block, chunk, jnp.ones(x.shape[0], r.dtype), x, r, n_shards=n_shards)

    return map_rows(lambda x: rows(p, x), chunk, x, n_shards=n_shards), push_blocks, pull_blocks


def by_pixel(s: Float[Array, "n many"], pixels: int) -> Float[Array, "rows k"]:
    """Numbers of samples as numbers of their pixels.

    Args:
        s: those of one pixel after the other, (n, pixels k).
        pixels: of a sample; with 1 nothing changes.

    Returns:
        (n pixels, k).
    """
    return s if pixels == 1 else s.reshape(s.shape[0] * pixels, -1)


def of_mean_one(w: Float[Array, " n *pixels"]) -> Float[Array, " n *pixels"]:
    """Weights over their mean; those of pixels may all be 0, and stay it.

    Args:
        w: weights, not negative.

    Returns:
        The shape of w.
    """
    mean = jnp.mean(w)
    return w / (mean if w.ndim == 1 else jnp.where(mean > 0, mean, 1.0))


class PixelRows:
    """Rows of a misfit, one for each sample or each of its pixels, of a problem with ``c``, ``w`` and ``pixels``."""

    @property
    def row_weights(self: Any) -> Float[Array, " n #pixels"]:
        """Weights by sample: one for each of its pixels, or one for all."""
        return self.w.reshape(len(self.w), -1)

    @property
    def targets(self: Any) -> Float[Array, "rows k"]:
        """Targets of all samples, or of all their pixels."""
        return by_pixel(self.c, self.pixels)

    @property
    def weights(self: Any) -> Float[Array, " rows"]:
        """Weights of mean 1 of all samples, or of all their pixels."""
        return self.w.reshape(-1) if self.w.ndim > 1 or self.pixels == 1 else jnp.repeat(self.w, self.pixels)
