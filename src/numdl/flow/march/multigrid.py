"""How are all steps of a recursion taken at once, when each needs the one before: multigrid reduction in time.

For states ``u_{j+1} = step_j(u_j) + g_j``, j < nt, from ``u_0``, every c-th one is a C-point. A cycle

1. relaxes: from each C-point, all intervals at the same time, c steps to the next one (F-relaxation, then C, then F),
2. corrects the C-points by the same recursion with steps c times as long, started from the defects of the fine one
   (full approximation scheme), which is solved in the same way, and on the coarsest level step by step.

What is not yet exact after k cycles lies behind the first ``2 k c`` states (FCF), so ``nt / (2 c)`` cycles give the
answer of the serial recursion whatever the coarse steps do; good ones give it in a few.

Cost of a cycle on p processors: about ``2 nt / p`` fine steps, ``3 nt / p`` on all coarser levels together times
``1 / (c - 1)``, and a message to the next processor for each sweep; memory: the states of all levels.

Sources: Falgout, Friedhoff, Kolev, MacLachlan and Schroder, Parallel time integration with multigrid, SIAM J. Sci.
Comput. 36 (2014) C635; Guenther, Ruthotto, Schroder, Cyr and Gauger, Layer-parallel training of deep residual neural
networks, SIAM J. Math. Data Sci. 2 (2020) 1-23.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import PyTree
from numdl.flow.march.all_at_once import Propagate, one_by_one


class Cycles(NamedTuple):
    """How the levels are visited.

    Attributes:
        factor: c, steps of an interval, at least 2.
        most: cycles at most.
        tol: residual, relative to the largest state, that ends it.
        f_cycle: whether a coarse level is visited again on the way back (F-cycle) or once (V-cycle).
        fcf: whether the relaxation is FCF, or F.
        place: applied to every array whose leading axis runs over intervals; says where its parts live.
    """

    factor: int
    most: int
    tol: float
    f_cycle: bool
    fcf: bool
    place: Callable[[PyTree], PyTree]


class Recursion(NamedTuple):
    """Solution of a recursion.

    Attributes:
        states: (nt + 1, ...).
        residuals: (most,), largest absolute defect at a C-point before each cycle, over the largest state; NaN for
            cycles that were not needed.
    """

    states: Float[Array, "times ..."]
    residuals: Float[Array, " cycles"]


def solve_recursion(propagate: Propagate, data: Sequence[PyTree], g: Array, start: Array, cycles: Cycles) -> Recursion:
    """States ``u_{j+1} = propagate(data_j, u_j) + g_j`` by multigrid reduction in time.

    Args:
        propagate: one step.
        data: for each level, from fine to coarse, what its steps need: leaves with a leading axis ``nt / c^level``.
        g: right-hand side, (nt, ...).
        start: u_0.
        cycles: how to visit the levels.

    Returns:
        States and residuals. One level alone, or no sample, is marched step by step, with no residuals.
    """
    c, n_levels = cycles.factor, len(data)
    if n_levels == 1 or not start.size:
        return Recursion(one_by_one(propagate, data[0], g, start), jnp.full(cycles.most, jnp.nan, start.dtype))
    propagate = jax.jit(propagate)  # traced once on each level, wherever a cycle needs it
    grouped = [cycles.place(jax.tree.map(lambda leaf: leaf.reshape(-1, c, *leaf.shape[1:]), d)) for d in data[:-1]]

    # C-points are held by the interval that ends at them: K rows are divided evenly among devices, K + 1 are not.
    def starts(ends: Array) -> Array:
        """Where the intervals begin: each at the end of the one before, which the next device may hold."""
        before = cycles.place(jnp.roll(ends, 1, axis=0))  # one message between neighbours; a concatenation takes four
        return cycles.place(before.at[0].set(start))

    def sweep(level: int, ends: Array, g: Array) -> Array:
        """The states behind the start of each interval, its end included, (K, c, ...)."""
        right = cycles.place(g.reshape(-1, c, *g.shape[1:]))
        found = jax.vmap(functools.partial(one_by_one, propagate))(grouped[level], right, starts(ends))
        return cycles.place(found[:, 1:])

    def fill(level: int, ends: Array, g: Array) -> Array:
        """All states of a level but the first, from its C-points."""
        inner = sweep(level, ends, g)[:, :-1]
        return jnp.concatenate([inner, ends[:, None]], axis=1).reshape(-1, *ends.shape[1:])

    def cycle(level: int, ends: Array, g: Array, again: bool) -> tuple[Array, Array]:
        """Better C-points of a level, and the defects of the given ones behind the relaxation."""

        def relax(_: Any, pair: tuple[Array, Array]) -> tuple[Array, Array]:
            return pair[1], sweep(level, pair[1], g)[:, -1]

        # One loop instead of two sweeps: each copy of the step in the program takes its time to compile.
        ends, after = jax.lax.fori_loop(0, 2 if cycles.fcf else 1, relax, (ends, ends))
        right = after - jax.vmap(propagate)(data[level + 1], starts(ends))
        if level + 2 == n_levels:
            coarse = one_by_one(propagate, data[-1], right, start)[1:]
        else:
            coarse = ends
            for repeat in (again, False) if again else (False,):
                points = coarse.reshape(-1, c, *coarse.shape[1:])[:, -1]
                coarse = fill(level + 1, cycle(level + 1, points, right, repeat)[0], right)
        return coarse, after - ends

    def first(level: int, g: Array) -> Array:
        """First C-points of a level: a march on the coarsest one, and sweeps from there."""
        right = g.reshape(-1, c, *g.shape[1:]).sum(1)  # a source acts at the end of the interval
        if level + 2 == n_levels:
            return one_by_one(propagate, data[-1], right, start)[1:]
        return fill(level + 1, first(level + 1, right), right)

    def better(state: tuple) -> tuple:
        ends, residuals, k = state
        new, defect = cycle(0, ends, g, cycles.f_cycle)
        size = jnp.maximum(jnp.max(jnp.abs(start)), jnp.max(jnp.abs(ends))) + jnp.finfo(ends.dtype).tiny
        return new, residuals.at[k].set(jnp.max(jnp.abs(defect)) / size), k + 1

    def needed(state: tuple) -> Array:
        _, residuals, k = state
        return (k < cycles.most) & ~((k > 0) & (residuals[k - 1] <= cycles.tol))

    unknown = jnp.full(cycles.most, jnp.nan, start.dtype)
    ends, residuals, _ = jax.lax.while_loop(needed, better, (first(0, g), unknown, jnp.asarray(0)))
    inner = sweep(0, ends, g)[:, :-1]
    states = jnp.concatenate([starts(ends)[:, None], inner], axis=1).reshape(-1, *start.shape)
    return Recursion(jnp.concatenate([states, ends[-1:]]), residuals)
