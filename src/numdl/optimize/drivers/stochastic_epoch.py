"""Epoch of mini-batches: what happens in one pass over the data in batches, as one compiled loop?

The rows are shuffled by a key, cut into batches of B, and every batch is a step. The last batch may be short: its empty
places weigh nothing. Data, rates and the number of valid rows are arguments; nothing is compiled anew for others.

A batch whose objective or gradient is not finite says that the last step led out of the domain: that step is undone,
with the memory of the method and the average, and the next steps are shorter. The batch itself is lost.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from numdl.contracts import Iterate, PyTree
from numdl.optimize.parts.packing import packing

SHORTER = 0.5  # what a rejection does to the damping
LONGER = 2.0 ** (1 / 64)  # 64 accepted steps make up for one rejection


class Point(NamedTuple):
    """What a rejected step gives back.

    Attributes:
        iterate: unknowns, companion and memory of the method, without metrics.
        mean: average of ``(p, aux)`` over the steps that are averaged; None without averaging.
        averaged: how many steps that are, ().
    """

    iterate: Iterate
    mean: PyTree
    averaged: Array


class Tally(NamedTuple):
    """Sums over the accepted batches of an epoch.

    Attributes:
        rows: rows of these batches, ().
        objective: rows times the batch's objective before its step, ().
        gradient_norm: rows times the norm of the batch's gradient, ().
        rejected: number of batches that were not finite, ().
    """

    rows: Array
    objective: Array
    gradient_norm: Array
    rejected: Array


class Chain(NamedTuple):
    """A run between two batches; arrays only.

    Attributes:
        now: where it stands; no batch has looked at this point yet.
        safe: the point before, whose objective and gradient were finite.
        damping: factor on the rate, in (0, 1], ().
        first: objective of the first batch of the last call, ().
        tally: sums over the epoch so far.
    """

    now: Point
    safe: Point
    damping: Array
    first: Array
    tally: Tally


def shuffled(key: Array, length: int, valid: Int[Array, ""]) -> Int[Array, " length"]:
    """Random order of the rows ``0 .. valid-1``, followed by the rest.

    Args:
        key: JAX random key.
        length: number of rows, valid or not.
        valid: number of valid rows.

    Returns:
        A permutation of ``0 .. length-1``.
    """
    draws = jax.random.uniform(key, (length,), jnp.float32)
    place = jnp.arange(length)
    # Two sorting keys: draws may be equal, and no row that is not valid may come before one that is.
    return jax.lax.sort((place >= valid, draws, place), num_keys=2)[2]


def take(problem: Any, index: Int[Array, " b"], inside: Bool[Array, " b"]) -> Any:
    """The problem on one batch, an unbiased estimate of the problem on all rows.

    Args:
        problem: has samples ``x (n, d)``, targets ``c (n, k)`` and weights ``w (n,)``.
        index: rows of the batch.
        inside: which of its places count; at least one.

    Returns:
        The mean over the places that count; unlike ``problem.rows`` weights are not scaled to a mean of 1 in the
        batch, which would give rows of small weight more than their share.
    """
    share = inside * (index.shape[0] / jnp.sum(inside))
    weights = (problem.w[index].T * share.astype(problem.w.dtype)).T  # of samples, or of their pixels
    return dataclasses.replace(problem, x=problem.x[index], c=problem.c[index], w=weights)


def blank(problem: Any, batch: int) -> Any:
    """The problem on a batch of zeros: the shapes that ``method.init`` looks at, without compiling anything."""
    arrays = ((name, getattr(problem, name)) for name in "xcw")
    rows = {name: jnp.asarray(np.zeros((batch, *array.shape[1:]), array.dtype)) for name, array in arrays}
    return dataclasses.replace(problem, **rows)


@partial(jax.jit, static_argnames=("batch",))
def run_epoch(
    method: Any,
    problem: Any,
    chain: Chain,
    key: Array,
    valid: Int[Array, ""],
    rates: Float[Array, " steps"],
    average: Bool[Array, ""],
    *,
    batch: int,
) -> Chain:
    """One step for each batch of the valid rows.

    Args:
        method: ``step(problem, iterate, rate) -> Iterate`` with ``value`` and ``metrics["gradient_norm"]`` at the
            point the step left.
        problem: data; rows from ``valid`` on are padding.
        chain: where the run stands.
        key: of the shuffle.
        valid: number of rows, at least 1.
        rates: step lengths before damping, one for each batch of the padded data.
        average: whether the steps are averaged.
        batch: rows of a batch B, at least 1.

    Returns:
        The chain after ``ceil(valid / B)`` batches.
    """
    order = shuffled(key, problem.x.shape[0], valid)
    order = jnp.pad(order, (0, rates.shape[0] * batch - order.shape[0]))
    place = jnp.arange(batch)
    pack, unpack = packing(chain.now)

    def body(i: Array, chain: Chain) -> Chain:
        index = jax.lax.dynamic_slice_in_dim(order, i * batch, batch)
        inside = i * batch + place < valid
        now = unpack(chain.now)
        iterate = now.iterate
        after = method.step(take(problem, index, inside), iterate, rates[i] * chain.damping)
        norm = after.metrics["gradient_norm"]
        good = jnp.isfinite(after.value) & jnp.isfinite(norm)
        moved = pack(_averaged(now, after._replace(value=iterate.value, metrics={}), average))
        return Chain(
            _choose(good, moved, chain.safe),
            _choose(good, chain.now, chain.safe),
            jnp.where(good, jnp.minimum(1, chain.damping * LONGER), chain.damping * SHORTER),
            jnp.where(i == 0, after.value, chain.first),
            _add(chain.tally, good, jnp.sum(inside, dtype=jnp.int32), after.value, norm),
        )

    chain = chain._replace(now=pack(chain.now), safe=pack(chain.safe))
    chain = jax.lax.fori_loop(0, (valid + batch - 1) // batch, body, chain)
    return chain._replace(now=unpack(chain.now), safe=unpack(chain.safe))


@jax.jit
def evaluate(method: Any, problem: Any, p: PyTree, aux: PyTree) -> Float[Array, ""]:
    """Objective of a problem at a point, as the method sees it."""
    return method.evaluate(problem, p, aux)


@partial(jax.jit, static_argnames=("batch",))
def verified(method: Any, problem: Any, chain: Chain, *, batch: int) -> Point:
    """The last point, or the one before where the objective is not finite on a batch: no batch has seen it yet.

    Args:
        method: has ``evaluate``.
        problem: data; the first rows are the batch.
        chain: where the run ended.
        batch: rows of a batch.

    Returns:
        ``chain.now`` or ``chain.safe``.
    """
    index = jnp.arange(batch) % problem.x.shape[0]
    sample = take(problem, index, jnp.arange(batch) < problem.x.shape[0])
    value = method.evaluate(sample, chain.now.iterate.p, chain.now.iterate.aux)
    return jax.tree.map(lambda a, b: jnp.where(jnp.isfinite(value), a, b), chain.now, chain.safe)


def _averaged(before: Point, iterate: Iterate, average: Array) -> Point:
    """The point after a step, counted into the average if it is to be."""
    averaged = before.averaged + average
    if before.mean is None:
        return Point(iterate, None, averaged)
    share = jnp.where(average, 1.0, 0.0) / jnp.maximum(averaged, 1)
    mean = jax.tree.map(
        lambda m, a: m + share.astype(m.dtype) * (a - m), before.mean, (iterate.p, iterate.aux)
    )  # share is 1 at the first step: whatever stood there before is gone
    return Point(iterate, mean, averaged)


def _choose(good: Array, yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(good, a, b), yes, no)


def _add(tally: Tally, good: Array, rows: Array, value: Array, norm: Array) -> Tally:
    return Tally(
        tally.rows + jnp.where(good, rows, 0),
        tally.objective + jnp.where(good, rows * value, 0),
        tally.gradient_norm + jnp.where(good, rows * norm, 0),
        tally.rejected + ~good,
    )
