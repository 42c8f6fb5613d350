"""Jacobian products over all samples.

How do the scores of all samples move with the parameters, and what does a change of scores say about them?
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import PyTree
from numdl.problems.blocks import map_rows, over_samples, sum_rows

Push = Callable[[PyTree], Float[Array, "n k"]]
Pull = Callable[[Float[Array, "n k"]], PyTree]


def linear_passes(
    apply: Callable[[PyTree, Array], Array], p: PyTree, x: Float[Array, "n d"], chunk: int | None, n_shards: int = 1
) -> tuple[Float[Array, "n k"], Push, Pull]:
    """Scores at p with their derivative J and its transpose, as products.

    All rows at once: the states of the forward pass are kept, and each product is one pass. In blocks of rows nothing
    is kept, and each product repeats the forward pass of its block.

    Args:
        apply: ``apply(p, x_i) -> (k,)`` for one sample.
        p: parameters.
        x: samples, (n, d).
        chunk: rows of each shard in a block; None for all.
        n_shards: into which the rows are divided; a divisor of n.

    Returns:
        ``apply(p, x_i)`` for all samples, ``v -> J v`` and ``r -> J' r``.
    """
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
