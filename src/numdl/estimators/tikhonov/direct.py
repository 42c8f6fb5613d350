"""Direct Tikhonov solver by one decomposition.

How is a regularised linear problem solved that fits in memory: one decomposition, then any alpha?
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.model_selection import check_cv

from numdl.contracts import Status
from numdl.estimators.tikhonov.criteria import NEED_NOISE, Solved, selector_of
from numdl.estimators.tikhonov.noise import Noise, estimated_noise, for_estimate
from numdl.linalg import TSQR, least_squares
from numdl.regularize.ridge import (
    Filter,
    RidgeDecomposition,
    RidgePath,
    alpha_grid,
    decompose,
    fold_errors,
    leave_one_out,
    prepare_folds,
    ridge_path,
    tikhonov,
    truncated,
    truncation_grid,
)
from numdl.regularize.selectors import search

Paths = Callable[[np.ndarray], RidgePath]


class Table(NamedTuple):
    """A linear problem with its penalty.

    Attributes:
        a: (n, p).
        b: (n, k).
        weights: observations each row stands for, positive, (n,).
        operator: L, (q, p); None for the identity.
        reference: where the penalty is zero, (p, k); None for the origin.
        intercept: whether there is a free intercept.
    """

    a: Float[np.ndarray, "n p"]
    b: Float[np.ndarray, "n k"]
    weights: Float[np.ndarray, " n"]
    operator: Float[np.ndarray, "q p"] | None
    reference: Float[np.ndarray, "p k"] | None
    intercept: bool

    @property
    def options(self) -> dict[str, Any]:
        """Keywords of ``decompose`` and ``prepare_folds``."""
        return {"weights": self.weights, "reference": self.reference, "intercept": self.intercept}

    def of_targets(self, targets: list[int]) -> Table:
        """The same problem for some of the targets."""
        reference = None if self.reference is None else self.reference[:, targets]
        return self._replace(b=self.b[:, targets], reference=reference)


def solve_directly(
    table: Table, alpha: float | str, noise: float | None, *, truncate: bool, per_target: bool, cv: Any
) -> tuple[RidgeDecomposition, list[Solved]]:
    """Decompose once, choose, and solve.

    Args:
        table: the problem.
        alpha: number, or name of the criterion.
        noise: standard deviation of the error of one target value; None estimates it where it is needed.
        truncate: whether directions are dropped instead of filtered.
        per_target: whether each target gets its own alpha.
        cv: folds for "cv".

    Returns:
        The decomposition and the solutions.

    Raises:
        ValueError: a criterion cannot be met, or null spaces meet.
    """
    whole = decompose(
        table.a, table.b, table.operator, keep_left=isinstance(alpha, str) and alpha == "loo", **table.options
    )
    return whole, choose(whole, alpha, noise, truncate=truncate, per_target=per_target, table=table, cv=cv)


def choose(
    whole: RidgeDecomposition,
    alpha: float | str,
    noise: float | None,
    *,
    truncate: bool,
    per_target: bool,
    table: Table | None = None,
    cv: Any = 5,
) -> list[Solved]:
    """Choose alpha and solve, from a decomposition.

    Args:
        whole: the decomposition.
        alpha: number, or name of the criterion.
        noise: standard deviation of the error of one target value; None estimates it where it is needed.
        truncate: whether directions are dropped instead of filtered.
        per_target: whether each target gets its own alpha.
        table: the rows, for "cv" and to refine without penalty; None where they are gone.
        cv: folds for "cv".

    Returns:
        The solutions, with the noise level of each where it was needed.

    Raises:
        ValueError: a criterion cannot be met.
    """
    k = len(whole.outside)
    solutions = []
    for targets in [[j] for j in range(k)] if per_target else [list(range(k))]:
        part = _of_targets(whole, targets)
        level = Noise(noise or 0.0)
        if alpha in NEED_NOISE and noise is None:  # targets that share no alpha share no noise either
            level = estimated_noise(part, f"TikhonovRegressor(alpha={alpha!r})")
        rows = None if table is None else table.of_targets(targets)
        solved = _one(part, targets, rows, alpha, level, truncate, cv)
        solutions.append(solved._replace(noise=level.level if alpha in NEED_NOISE else None))
    return solutions


def scaled(state: TSQR) -> tuple[TSQR, Float[np.ndarray, " p"]]:
    """Condensed rows with columns of unit variance, and the deviations they had; constant columns keep theirs as 1.

    Args:
        state: from ``tsqr_update``.

    Returns:
        The scaled state, and the deviations, (p,).
    """
    p, triangle = state.columns, state.triangle
    spread = np.linalg.norm(triangle[1:, 1 : p + 1], axis=0)
    scale = np.where(spread > 1e-12 * np.abs(triangle[0, 1 : p + 1]), spread, triangle[0, 0]) / triangle[0, 0]
    return state._replace(triangle=triangle / np.concatenate([[1.0], scale, np.ones(len(triangle) - 1 - p)])), scale


def _one(
    part: RidgeDecomposition,
    targets: list[int],
    table: Table | None,
    alpha: float | str,
    noise: Noise,
    truncate: bool,
    cv: Any,
) -> Solved:
    """Targets that share an alpha."""
    filter = truncated if truncate else tikhonov
    path = choice = None
    chosen = alpha
    if isinstance(chosen, str):
        paths = _paths(part, table, chosen, cv, filter)
        selector = selector_of(chosen, noise.level, part.n * len(targets))
        if chosen == "discrepancy" and noise.source:
            selector = for_estimate(selector, noise.level, part.n * len(targets), extends=not truncate)
        if truncate:  # every truncation is on the grid
            path, choice = search(paths, selector, truncation_grid(part), extensions=0, levels=0)
            choice = dataclasses.replace(choice, edge="")  # there is nothing beyond keeping all, or none
        else:
            path, choice = search(paths, selector, alpha_grid(part))
        chosen = choice.alpha
    refined = _unpenalised(table) if table is not None and chosen == 0 and not truncate else None
    unknowns, intercept = refined or part.solution(chosen, filter)
    kept = len(unknowns) if refined else filter(part.c, part.s, np.array([float(chosen)])).kept.sum()
    status = Status(
        "converged", choice.message + noise.message if choice else f"Solved with the given alpha = {chosen:.3g}."
    )
    return Solved(targets, unknowns, intercept, float(chosen), float(kept + part.free), choice, path, status, 0)


def _unpenalised(table: Table) -> tuple[np.ndarray, np.ndarray] | None:
    """Unknowns and intercept to all digits of the table; None where the table leaves a choice."""
    ones = np.ones((len(table.a), int(table.intercept)))
    if table.a.shape[1] + ones.shape[1] > len(table.a):
        return None
    a, b = np.hstack([ones, table.a]), table.b
    if np.ptp(table.weights):  # equal weights say nothing, and their root would round every entry
        root = np.sqrt(table.weights)[:, None]
        a, b = root * a, root * b
    found = least_squares(a, b)
    if len(found.dependent):
        return None
    free, unknowns = np.split(found.coefficients, [ones.shape[1]])
    return unknowns, free.sum(axis=0)  # the sum of no row is zero


def _paths(part: RidgeDecomposition, table: Table | None, criterion: str, cv: Any, filter: Filter) -> Paths:
    """The path as a function of alphas, with what the criterion needs."""
    if criterion == "loo":
        return lambda alphas: leave_one_out(part, alphas, filter)
    if criterion != "cv" or table is None:
        return lambda alphas: ridge_path(part, alphas, filter)
    splitter: Any = check_cv(cv)
    rows = splitter.split(table.a, table.b)
    folds = prepare_folds(table.a, table.b, rows, table.operator, **table.options)
    return lambda alphas: fold_errors(ridge_path(part, alphas, filter), folds, filter)


def _of_targets(whole: RidgeDecomposition, targets: list[int]) -> RidgeDecomposition:
    """The same decomposition for some of the targets."""
    return whole._replace(
        coefficients=whole.coefficients[:, targets],
        outside=whole.outside[targets],
        offset=whole.offset[:, targets],
        y_mean=whole.y_mean[targets],
        rest=None if whole.rest is None else whole.rest[:, targets],
    )
