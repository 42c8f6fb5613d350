"""Blocks of samples: how do we pass over the samples in blocks, so that memory does not grow with their number?

A block starts at ``min(i * chunk, n - chunk)``: all blocks have the same shape (one compilation, no padded copy of the
data), and the last one overlaps its predecessor. Overlapping rows are dropped (``map_rows``) or weigh nothing
(``sum_rows``). Where the rows are divided among devices (``numdl.problems.sharding``), a block takes the same rows of
each shard: all devices work on it, and no row moves.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from numdl.contracts import PyTree


def map_rows(fn: Callable[..., Array], chunk: int | None, *arrays: Array, n_shards: int = 1) -> Array:
    """Apply ``fn`` to blocks of rows and put the results one below the other.

    Args:
        fn: maps arrays of ``b`` rows to an array of ``b`` rows, each row from its own row alone.
        chunk: rows of each shard in a block, at least 1; None for all rows at once.
        arrays: arrays of the same number of rows n.
        n_shards: into which the rows are divided; a divisor of n.

    Returns:
        Array of n rows.
    """
    n = arrays[0].shape[0] // n_shards
    if chunk is None or chunk >= n:
        return fn(*arrays)
    starts, first_new = _starts(n, chunk)
    blocks = jax.lax.map(lambda i: fn(*_block(arrays, i, chunk, n_shards)), starts)
    shape = blocks.shape[2:]
    blocks = jnp.moveaxis(blocks.reshape(-1, n_shards, chunk, *shape), 1, 0)
    rows = jnp.concatenate([blocks[:, :-1].reshape(n_shards, -1, *shape), blocks[:, -1, first_new:]], axis=1)
    return rows.reshape(-1, *shape)


def sum_rows(fn: Callable[..., PyTree], chunk: int | None, weights: Array, *arrays: Array, n_shards: int = 1) -> PyTree:
    """Add ``fn(weights, *arrays)`` over blocks of rows.

    Args:
        fn: returns a tree of arrays that is additive in the rows and linear in their weights.
        chunk: rows of each shard in a block, at least 1; None for all rows at once.
        weights: (n,), or (n, pixels), no unit.
        arrays: arrays of n rows.
        n_shards: into which the rows are divided; a divisor of n.

    Returns:
        The tree that ``fn`` returns for all rows.
    """
    n = weights.shape[0] // n_shards
    if chunk is None or chunk >= n:
        return fn(weights, *arrays)
    starts, first_new = _starts(n, chunk)
    seen = jnp.zeros((len(starts), chunk), weights.dtype).at[-1, :first_new].set(1.0)

    def add(total: PyTree, start_and_seen: tuple[Array, Array]) -> tuple[PyTree, None]:
        start, done = start_and_seen
        w, *rest = _block((weights, *arrays), start, chunk, n_shards)
        return jax.tree.map(jnp.add, total, fn((w.T * (1 - jnp.tile(done, n_shards))).T, *rest)), None

    shapes = jax.eval_shape(lambda: fn(*_block((weights, *arrays), 0, chunk, n_shards)))
    zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    return jax.lax.scan(add, zero, (starts, seen))[0]


def _starts(n: int, chunk: int) -> tuple[Array, int]:
    """First rows of the blocks, and how many rows of the last block were seen before."""
    count = -(-n // chunk)
    return jnp.minimum(jnp.arange(count) * chunk, n - chunk), count * chunk - n


def _block(arrays: tuple[Array, ...], start: Array | int, chunk: int, n_shards: int) -> list[Array]:
    """From each shard the rows from ``start`` on."""

    def block(a: Array) -> Array:
        own = a.reshape(n_shards, -1, *a.shape[1:])
        return jax.lax.dynamic_slice_in_dim(own, start, chunk, axis=1).reshape(n_shards * chunk, *a.shape[1:])

    return [block(a) for a in arrays]


def over_samples(apply: Callable[[PyTree, Array], Array]) -> Callable[[PyTree, Array], Array]:
    """A function of parameters and one sample, for all rows at once.

    Args:
        apply: ``apply(p, x_i) -> (k,)``; where it has a method ``batch(p, x) -> (n, k)``, as networks do, that is used.

    Returns:
        ``(p, x) -> (n, k)``.
    """
    batch = getattr(apply, "batch", None)
    return jax.vmap(apply, (None, 0)) if batch is None else batch
