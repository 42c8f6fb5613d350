"""Which alpha does a linear classifier get: by cross validation, by leaving one out approximately, by the evidence?

All three judge a path of alphas, four for each factor of 100, from large to small, each fit started from its
predecessor. The path goes on while its best alpha is the last one but for a few, down to 1e-10; then the minimum of a
parabola through the best three points in log alpha is tried as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.estimators.linear_fit import Solved, Solver
from numdl.problems import LinearEmpirical
from numdl.problems.loo import approximate_loo, laplace_evidence

STEP = 10**0.5
LARGEST, SMALLEST = 10.0, 1e-10
PATIENCE = 4
"""Alphas below the best one before the path ends."""
FOLDS = 5

Criterion = Callable[[LinearEmpirical, Solved], float]


class Choice(NamedTuple):
    """What a path has chosen.

    Attributes:
        alpha: the best one.
        solved: fit there, on all rows.
        path: columns ``alpha``, ``criterion``, ``objective`` and ``iterations``, one row for each alpha tried.
        edge: ``"largest"`` or ``"smallest"`` where the best one is at an end of what was allowed, else empty.
    """

    alpha: float
    solved: Solved
    path: dict[str, np.ndarray]
    edge: str


def choose_alpha(problem: LinearEmpirical, solver: Solver, criterion: Criterion, start: Float[Array, "k q"]) -> Choice:
    """Follow the path from large to small alphas and keep the best fit.

    Args:
        problem: on all rows.
        solver: at one alpha.
        criterion: smaller is better.
        start: weights to begin from, (k, q).

    Returns:
        The choice.
    """
    tried: dict[float, tuple[float, Solved]] = {}

    def attempt(alpha: float, W: Float[Array, "k q"]) -> None:
        there = problem.with_alpha(jnp.asarray(np.asarray(alpha, W.dtype)))
        solved = solver.solve(there, W)
        score = criterion(there, solved)
        tried[alpha] = (score if np.isfinite(score) else np.inf, solved)

    alpha, since = LARGEST, 0
    while alpha > 0.9 * SMALLEST and since <= PATIENCE:
        attempt(alpha, tried[min(tried)][1].W if tried else start)
        best = min(tried, key=lambda a: tried[a][0])
        since = sum(a < best for a in tried)
        alpha /= STEP
    grid = sorted(tried)
    best = min(grid, key=lambda a: tried[a][0])
    edge = {grid[0]: "smallest", grid[-1]: "largest"}.get(best, "")
    if not edge:
        i = grid.index(best)
        attempt(_parabola(grid[i - 1 : i + 2], [tried[a][0] for a in grid[i - 1 : i + 2]]), tried[best][1].W)
        best = min(tried, key=lambda a: tried[a][0])
    order = sorted(tried, reverse=True)
    path = {
        "alpha": np.array(order),
        "criterion": np.array([tried[a][0] for a in order]),
        "objective": np.array([tried[a][1].history["objective"][-1] for a in order]),
        "iterations": np.array([tried[a][1].iterations for a in order]),
    }
    return Choice(best, tried[best][1], path, edge)


def _parabola(alphas: list[float], scores: list[float]) -> float:
    """Where the parabola through three points, the middle one the lowest, is lowest; in log alpha, evenly spaced."""
    low, middle, high = scores
    bend = low - 2 * middle + high
    shift = 0.5 * (low - high) / bend if np.isfinite(bend) and bend > 0 else 0.25
    return alphas[1] * STEP ** float(np.clip(shift, -0.5, 0.5))


def leave_one_out(total: float) -> Criterion:
    """Mean loss of each observation under the fit without it, see ``numdl.problems.loo``."""

    def criterion(problem: LinearEmpirical, solved: Solved) -> float:
        return float(_loo(problem, solved.W, jnp.asarray(np.asarray(total, solved.W.dtype))))

    return criterion


def minus_evidence(total: float) -> Criterion:
    """Minus the log evidence for each observation."""

    def criterion(problem: LinearEmpirical, solved: Solved) -> float:
        return -laplace_evidence(problem, solved.W, total) / total

    return criterion


def cross_validation(solver: Solver, fold: np.ndarray) -> Criterion:
    """Mean loss of held-out rows over the folds; a fold's fits start from each other along the path.

    The rows left out get weight 0: all folds have the same shapes, and nothing is compiled anew.

    Args:
        solver: at one alpha.
        fold: number of the fold each row is left out in, (n,).

    Returns:
        The criterion.
    """
    starts: dict[int, Float[Array, "k q"]] = {}

    def criterion(problem: LinearEmpirical, solved: Solved) -> float:
        total = 0.0
        w = np.asarray(problem.w)
        for i in np.unique(fold):
            kept = np.where(fold == i, 0.0, w)
            part = dataclasses.replace(problem, w=jnp.asarray((kept / kept.mean()).astype(w.dtype)))
            starts[i] = solver.solve(part, starts.get(i, solved.W)).W
            held = jnp.asarray(np.where(fold == i, w, 0.0).astype(w.dtype))
            total += float(_misfit(dataclasses.replace(problem, w=held), starts[i]))
        return total

    return criterion


def stratified_folds(codes: np.ndarray, seed: int) -> np.ndarray:
    """Folds of nearly equal size, in which the classes are dealt round, in random order; (n,)."""
    n = len(codes)
    shuffled = np.random.default_rng(seed).permutation(n)
    order = shuffled[np.argsort(codes[shuffled], kind="stable")]
    fold = np.empty(n, int)
    fold[order] = np.arange(n) % min(FOLDS, n)
    return fold


_loo = jax.jit(approximate_loo)
_misfit = jax.jit(lambda problem, W: problem.misfit(problem.scores(W)))
