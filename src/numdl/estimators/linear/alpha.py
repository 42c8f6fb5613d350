"""Hyperparameter choice for linear classifiers.

Which alpha does a linear classifier get: by cross validation, by leaving one out approximately, by the evidence?

All three judge a path of alphas, two for each factor of 10, from large to small, each fit started from its
predecessor. The path goes on while its best alpha is the last one but for a few, down to 1e-10; then the minimum of a
parabola through the best three points in log alpha is tried as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from numdl.contracts import Status
from numdl.contracts.interrupts import within_search
from numdl.estimators.linear.fit import Solved, Solver
from numdl.problems import LinearEmpirical
from numdl.problems.risk.dense_linear import DenseLinear
from numdl.problems.risk.loo import approximate_loo, laplace_evidence
from numdl.problems.sharding import divide

STEP = 10**0.5
LARGEST, SMALLEST = 10.0, 1e-10
PATIENCE = 4
"""Alphas below the best one before the path ends."""
FOLDS = 5

Problem = LinearEmpirical | DenseLinear
Criterion = Callable[[Problem, Solved], float]


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


def choose_alpha(problem: Problem, solver: Solver, criterion: Criterion, start: Float[np.ndarray, "k q"]) -> Choice:
    """Follow the path from large to small alphas and keep the best fit.

    Args:
        problem: on all rows.
        solver: at one alpha.
        criterion: smaller is better.
        start: weights to begin from, (k, q).

    Returns:
        The choice. After Ctrl-C it is made among the alphas judged so far, with status ``interrupted``.

    Raises:
        KeyboardInterrupt: Ctrl-C came before the first alpha was judged.
    """
    tried: dict[float, tuple[float, Solved]] = {}

    def attempt(alpha: float, W: Float[np.ndarray, "k q"]) -> None:
        there = problem.with_alpha(np.asarray(alpha, W.dtype))  # type: ignore[arg-type]
        solved = _finished(solver.solve(there, W))
        score = criterion(there, solved)
        tried[alpha] = (score if np.isfinite(score) else np.inf, solved)

    try:
        edge = _follow(tried, attempt, start)
    except KeyboardInterrupt:
        if not tried or within_search():
            raise
        edge = ""
        message = f"Ctrl-C came after {len(tried)} alphas; the best of them is kept."
        best = _best(tried)
        tried[best] = (tried[best][0], tried[best][1]._replace(status=Status("interrupted", message)))
    best, order = _best(tried), sorted(tried, reverse=True)
    path = {
        "alpha": np.array(order),
        "criterion": np.array([tried[a][0] for a in order]),
        "objective": np.array([tried[a][1].history["objective"][-1] for a in order]),
        "iterations": np.array([tried[a][1].iterations for a in order]),
    }
    return Choice(best, tried[best][1], path, edge)


def _follow(tried: dict[float, tuple[float, Solved]], attempt: Callable, start: Float[np.ndarray, "k q"]) -> str:
    """Attempt the alphas of the path, then the one between; returns at which edge the best one is."""
    alpha, since = LARGEST, 0
    while alpha > 0.9 * SMALLEST and since <= PATIENCE:
        attempt(alpha, tried[min(tried)][1].W if tried else start)
        since = sum(a < _best(tried) for a in tried)
        alpha /= STEP
    grid, best = sorted(tried), _best(tried)
    edge = {grid[0]: "smallest", grid[-1]: "largest"}.get(best, "")
    if not edge:
        i = grid.index(best)
        attempt(_parabola(grid[i - 1 : i + 2], [tried[a][0] for a in grid[i - 1 : i + 2]]), tried[best][1].W)
    return edge


def _best(tried: dict[float, tuple[float, Solved]]) -> float:
    """The alpha of the smallest criterion; the larger one of two alike."""
    return min(sorted(tried, reverse=True), key=lambda a: tried[a][0])


def _finished(solved: Solved) -> Solved:
    """The same, unless Ctrl-C ended it: a half-done fit is not judged."""
    if solved.status.code == "interrupted":
        raise KeyboardInterrupt
    return solved


def _parabola(alphas: list[float], scores: list[float]) -> float:
    """Where the parabola through three points, the middle one the lowest, is lowest; in log alpha, evenly spaced."""
    low, middle, high = scores
    bend = low - 2 * middle + high
    shift = 0.5 * (low - high) / bend if np.isfinite(bend) and bend > 0 else 0.25
    return alphas[1] * STEP ** float(np.clip(shift, -0.5, 0.5))


def leave_one_out(dense: DenseLinear, total: float) -> Criterion:
    """Mean loss of each observation under the fit without it, see ``numdl.problems.risk.loo``."""

    def criterion(problem: Problem, solved: Solved) -> float:
        return approximate_loo(dense.with_alpha(float(problem.penalty.alpha)), solved.W, total)

    return criterion


def minus_evidence(dense: DenseLinear, total: float) -> Criterion:
    """Minus the log evidence for each observation."""

    def criterion(problem: Problem, solved: Solved) -> float:
        return -laplace_evidence(dense.with_alpha(float(problem.penalty.alpha)), solved.W, total) / total

    return criterion


def cross_validation(
    solver: Solver, fold: np.ndarray, w: Float[np.ndarray, " n"], mesh: jax.sharding.Mesh | None = None
) -> Criterion:
    """Mean loss of held-out rows over the folds; a fold's fits start from each other along the path.

    The rows left out get weight 0: all folds have the same shapes, and nothing is compiled anew.

    Args:
        solver: at one alpha.
        fold: number of the fold each row is left out in, (n,).
        w: sample weights of mean 1, (n,).
        mesh: devices among which the rows are divided; None for the default device.

    Returns:
        The criterion.
    """
    starts: dict[int, Float[np.ndarray, "k q"]] = {}

    def criterion(problem: Problem, solved: Solved) -> float:
        total, dense = 0.0, isinstance(problem, DenseLinear)

        def weighted(w: np.ndarray) -> Any:
            return dataclasses.replace(problem, w=w if dense else divide(mesh, w)[0])

        for i in np.unique(fold):
            kept = np.where(fold == i, 0.0, w)
            part = weighted((kept / kept.mean()).astype(w.dtype))
            starts[i] = _finished(solver.solve(part, starts.get(i, solved.W))).W
            held = weighted(np.where(fold == i, w, 0.0).astype(w.dtype))
            total += float(held.misfit(held.scores(starts[i])) if dense else _misfit(held, starts[i]))
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


_misfit = jax.jit(lambda problem, W: problem.misfit(problem.scores(W)))
