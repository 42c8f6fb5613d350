"""Comparison of criteria for alpha.

Which alpha would each criterion choose on the same data, and which of them is to be trusted?
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.model_selection import KFold

from numdl.estimators.tikhonov.criteria import selector_of
from numdl.estimators.tikhonov.operators import as_matrix, penalty_operator
from numdl.regularize.ridge import (
    Fold,
    Picard,
    RidgeDecomposition,
    RidgePath,
    alpha_grid,
    decompose,
    fold_errors,
    noise_level,
    picard,
    prepare_folds,
    ridge_path,
)
from numdl.regularize.selectors import Choice, cross_validation, mean_error, search

if TYPE_CHECKING:
    from numdl.report import SelectionSummary

NAMES = {"gcv": "GCV", "discrepancy": "discrepancy", "l-curve": "L-curve", "cv": "cross validation"}
"""The four criteria side by side, in the order in which equals are preferred."""


class Row(NamedTuple):
    """What one criterion says.

    Attributes:
        name: of the criterion.
        alpha: its choice; NaN if it cannot choose.
        freedom: effective degrees of freedom there.
        error: cross-validated root mean squared error there, over all targets, in their unit.
        message: the choice in a sentence, or why there is none.
        edge: whether the choice lies at the edge of the grid.
    """

    name: str
    alpha: float
    freedom: float
    error: float
    message: str
    edge: bool


class Comparison(NamedTuple):
    """All criteria on the same data.

    Attributes:
        path: on one grid, with the errors of all folds.
        rows: one for each criterion.
        criteria: values of each criterion that has them on the grid, each (m,).
        recommended: position in ``rows``.
        reason: in a sentence.
        picard: coefficients against singular values.
        noise: standard deviation of the error of one target value, given or estimated; 0 if not known.
    """

    path: RidgePath
    rows: tuple[Row, ...]
    criteria: dict[str, Float[np.ndarray, " m"]]
    recommended: int
    reason: str
    picard: Picard
    noise: float

    @property
    def alpha(self) -> float:
        """The recommended penalty of the mean misfit."""
        return self.rows[self.recommended].alpha

    def summary(self, title: str, facts: dict[str, str]) -> SelectionSummary:
        """What the page of a selection shows.

        Args:
            title: heading.
            facts: what was judged, name and value.

        Returns:
            Plain arrays and text.
        """
        from numdl.report import SelectionSummary

        path = self.path
        mean, spread = mean_error(path)
        return SelectionSummary(
            title=title,
            facts=facts,
            rows=[row._asdict() for row in self.rows],
            recommended=self.recommended,
            reason=self.reason,
            alphas=path.alphas,
            criteria=self.criteria,
            residuals=path.residuals,
            seminorms=path.seminorms,
            freedom=path.freedom,
            error=np.sqrt(mean),
            error_high=np.sqrt(mean + spread),
            values=self.picard.values,
            coefficients=self.picard.coefficients,
            noise=self.picard.noise,
            verdict=self.picard.message,
        )


def compare_criteria(
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "n k"],
    operator: Any = "identity",
    *,
    operator_shape: tuple[int, int] | None = None,
    noise: float | None = None,
    intercept: bool = True,
    standardize: bool = True,
    folds: int = 5,
    random_state: int = 0,
) -> Comparison:
    """Ask GCV, discrepancy, L-curve and cross validation, and recommend one of them.

    Recommended is the first in this order whose cross-validated error is within one standard error of the least (of the
    difference, fold by fold) and whose choice is not at an edge.

    Args:
        x: samples, (n, d), finite, at least two rows.
        y: targets, (n, k), finite.
        operator: L, as for ``TikhonovRegressor``.
        operator_shape: as for ``TikhonovRegressor``.
        noise: standard deviation of the error of one target value, in its unit; None estimates it.
        intercept: whether there is a free intercept.
        standardize: whether columns are scaled to unit variance first.
        folds: number of folds, at most n.
        random_state: of the folds.

    Returns:
        The comparison.

    Raises:
        ValueError: fewer than two rows, an operator that does not fit, or null spaces that meet.
    """
    if len(x) < 2:
        raise ValueError(f"compare_criteria: n_samples = {len(x)}, needs at least 2. Give more rows.")
    if standardize:
        spread = x.std(axis=0)
        x = x / np.where(spread > 1e-12 * np.abs(x.mean(axis=0)), spread, 1.0)
    matrix = as_matrix(penalty_operator("compare_criteria", operator, operator_shape, x.shape[1]))
    d = decompose(x, y, matrix, intercept=intercept)
    splits = KFold(min(folds, len(x)), shuffle=True, random_state=random_state).split(x)
    prepared = prepare_folds(x, y, splits, matrix, intercept=intercept)
    grid = alpha_grid(d)
    level = noise_level(d) if noise is None else float(noise)
    answers = {name: _ask(name, d, prepared, grid, level) for name in NAMES}
    rows = tuple(_row(name, answer, d, prepared) for name, answer in answers.items())
    chosen = [row.alpha for row in rows if np.isfinite(row.alpha)]
    path = fold_errors(ridge_path(d, np.geomspace(min(grid[0], *chosen) / 2, max(grid[-1], *chosen), 200)), prepared)
    best, reason = _recommend(rows, d, prepared)
    criteria = {
        "GCV": selector_of("gcv", 0.0, 1.0)(path).criterion,
        "cross validation": cross_validation(path).criterion,
    }
    return Comparison(path, rows, criteria, best, reason, picard(d), level)


def _ask(name: str, d: RidgeDecomposition, folds: list[Fold], grid: np.ndarray, noise: float) -> Choice | str:
    """A criterion's choice, or why it has none."""
    if name == "discrepancy" and not noise > 0:
        return "The data do not tell their noise level; give it to use the discrepancy principle."
    paths: Callable[[np.ndarray], RidgePath] = partial(ridge_path, d)
    if name == "cv":
        paths = lambda alphas: fold_errors(ridge_path(d, alphas), folds)  # noqa: E731
    try:
        return search(paths, selector_of(name, noise, d.n * len(d.outside)), grid)[1]
    except ValueError as error:
        return str(error)


def _row(name: str, answer: Choice | str, d: RidgeDecomposition, folds: list[Fold]) -> Row:
    if isinstance(answer, str):
        return Row(NAMES[name], np.nan, np.nan, np.nan, answer, False)
    there = fold_errors(ridge_path(d, np.array([answer.alpha])), folds)
    error = float(np.sqrt(mean_error(there)[0][0]))
    return Row(NAMES[name], answer.alpha, float(there.freedom[0]), error, answer.message, bool(answer.edge))


def _recommend(rows: tuple[Row, ...], d: RidgeDecomposition, folds: list[Fold]) -> tuple[int, str]:
    """First criterion that is as good as the best, and why."""
    able = [i for i, row in enumerate(rows) if np.isfinite(row.alpha)]
    alphas = np.array([rows[i].alpha for i in able])
    order = np.argsort(alphas, kind="stable")
    distinct, back = np.unique(alphas, return_inverse=True)
    path = fold_errors(ridge_path(d, distinct), folds)
    least = int(np.argmin(mean_error(path)[0][back]))
    errors = np.asarray(path.errors)
    behind, doubt = mean_error(path._replace(errors=errors - errors[back[least]]))
    good = [j for j in range(len(able)) if behind[back[j]] <= doubt[back[j]]]
    inside = [j for j in good if not rows[able[j]].edge]
    chosen = (inside or good)[0]
    row, decades = rows[able[chosen]], float(np.log10(alphas[order[-1]] / alphas[order[0]]))
    if len(able) > 1 and decades < 1:
        agree = f"All {len(able)} criteria agree within a factor of {10**decades:.2g}"
    else:
        agree = f"The criteria differ by a factor of {10**decades:.2g} in alpha"
    if chosen == least:
        why = f"{row.name} has the least cross-validated error"
    else:
        why = f"{row.name} predicts as well as {rows[able[least]].name}, the best, within one standard error"
    edge = "; its choice is at the edge of the grid, so the penalty may not matter" if row.edge else ""
    return able[chosen], f"{agree}; {why}{edge}."
