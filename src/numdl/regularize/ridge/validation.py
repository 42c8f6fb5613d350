"""Cross validation of alpha: how well would each alpha predict observations that were left out?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.regularize.ridge.decomposition import RidgeDecomposition, decompose
from numdl.regularize.ridge.filters import Filter, require_alphas, tikhonov
from numdl.regularize.ridge.path import RidgePath, ridge_path


def leave_one_out(
    decomposition: RidgeDecomposition,
    alphas: Float[np.ndarray, " m"],
    filter: Filter = tikhonov,
    *,
    whole_rows: bool = False,
) -> RidgePath:
    """The path with exact leave-one-out errors from one decomposition, without refitting.

    ``e_i = r_i / (1 - h_i)`` with h the diagonal of the influence matrix; a row of weight w counts as w observations,
    of which one is left out: ``e_i = r_i / (1 - h_i / w_i)``, or the row as a whole. Where the fit passes through an
    observation whatever its value (h = 1), the error is infinite.

    Cost: ``2 n r m (1 + k)`` operations for m alphas.

    Args:
        decomposition: from ``decompose(keep_left=True)``.
        alphas: penalty parameters, positive, ascending, (m,).
        filter: how directions are kept.
        whole_rows: whether a row is left out with all its weight, which then says how precise it is.

    Returns:
        The path with ``errors (m, n)``, mean over the targets.

    Raises:
        ValueError: the decomposition was made without its left vectors.

    Source: Golub, Heath and Wahba, Technometrics 21 (1979) 215-223; Allen, Technometrics 16 (1974) 125-127 (PRESS).
    """
    d = checks.instance("leave_one_out", "decomposition", decomposition, RidgeDecomposition, "Use decompose.")
    require_alphas("leave_one_out", alphas)
    if d.left is None or d.rest is None or d.weights is None:
        raise ValueError("leave_one_out: the decomposition has no left vectors. Use decompose(keep_left=True).")
    path = ridge_path(d, alphas, filter)
    kept, lost = filter(d.c, d.s, path.alphas)
    share = d.weights / d.n
    leverage = (d.left**2 @ kept.T).T + share * d.free
    inside = 1.0 - (leverage if whole_rows else leverage / d.weights)
    errors = np.zeros_like(inside)
    for j in range(path.k):
        errors += (d.rest[:, j] + (lost * d.coefficients[:, j]) @ d.left.T) ** 2
    exact = inside <= d.left.shape[1] * np.finfo(float).eps
    errors = np.where(exact, np.inf, errors / (share * path.k * np.where(exact, 1.0, inside) ** 2))
    return path._replace(errors=errors, weights=d.weights)


class Fold(NamedTuple):
    """One fold of cross validation, ready for all alphas.

    Attributes:
        decomposition: of the rows to fit on.
        reach: rows left out along its directions, (rows, r).
        known: what they should predict beyond means and reference, (rows, k).
        weights: observations they stand for, (rows,).
    """

    decomposition: RidgeDecomposition
    reach: Float[np.ndarray, "rows r"]
    known: Float[np.ndarray, "rows k"]
    weights: Float[np.ndarray, " rows"]


def prepare_folds(
    a: Float[np.ndarray, "n p"],
    b: Float[np.ndarray, "n k"],
    folds: Iterable[tuple[np.ndarray, np.ndarray]],
    operator: Float[np.ndarray, "q p"] | None = None,
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    reference: Float[np.ndarray, "p k"] | None = None,
    intercept: bool = False,
) -> list[Fold]:
    """One decomposition for each fold.

    Args:
        a: matrix, (n, p).
        b: targets, (n, k).
        folds: pairs of row numbers: to fit on, to check on; as scikit-learn's splitters give.
        operator: L, (q, p); None for the identity.
        weights: observations each row stands for, not negative, (n,).
        reference: X0, (p, k).
        intercept: whether there is a free intercept.

    Returns:
        The folds in which a row of positive weight is left out.

    Raises:
        ValueError: there is none, they are no pairs of row numbers, or an array is not finite or of another shape.
    """
    call = "prepare_folds"
    a = checks.finite(call, "a", a, ("n", "p"))
    n, p = a.shape
    b = checks.finite(call, "b", b, (n, "k"))
    w = np.ones(n) if weights is None else np.asarray(checks.finite(call, "weights", weights, (n,)))
    if np.any(w < 0):
        raise ValueError(f"{call}(weights): the smallest is {w.min():g}, needs numbers >= 0. Use 0 for no row.")
    if operator is not None:
        checks.finite(call, "operator", operator, ("q", p))
    if reference is not None:
        checks.finite(call, "reference", reference, (p, b.shape[1]))
    prepared = []
    for fit, check in _pairs(folds, n):
        if not w[check].any():
            continue
        d = decompose(a[fit], b[fit], operator, weights=w[fit], reference=reference, intercept=intercept)
        rows = a[check] - d.x_mean
        known = b[check] - d.y_mean - rows @ d.offset
        prepared.append(Fold(d, rows @ d.basis, known, w[check]))
    if not prepared:
        raise ValueError("prepare_folds(folds): there is no fold. Give at least one pair of row numbers.")
    return prepared


def _pairs(folds: Any, n: int) -> list[Any]:
    """Pairs of row numbers, all of them rows that there are."""
    pairs = list(folds) if isinstance(folds, Iterable) and not isinstance(folds, str) else [folds]
    for pair in pairs:
        rows = (
            [np.asarray(part) for part in pair] if isinstance(pair, tuple | list) and len(pair) == 2 else [np.zeros(1)]
        )
        if any(part.dtype.kind not in "iu" or part.ndim != 1 or np.any((part < 0) | (part >= n)) for part in rows):
            raise ValueError(
                f"prepare_folds(folds={checks.shown(pair)}): needs pairs of arrays of row numbers from 0 to {n - 1}. "
                "Use the splits of a scikit-learn splitter, such as KFold(5).split(a)."
            )
    return pairs


def fold_errors(path: RidgePath, folds: list[Fold], filter: Filter = tikhonov) -> RidgePath:
    """The path with the errors of cross validation, all alphas at once.

    Args:
        path: at the wanted alphas, from all rows.
        folds: from ``prepare_folds``.
        filter: how directions are kept.

    Returns:
        The path with ``errors (m, folds)``: mean squared errors of the rows left out, over all targets.

    Raises:
        TypeError: path or folds are none.

    Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, sec. 7.10.
    """
    checks.instance("fold_errors", "path", path, RidgePath)
    require_alphas("fold_errors", path.alphas)
    if not isinstance(folds, list | tuple) or not folds or not all(isinstance(fold, Fold) for fold in folds):
        raise TypeError(f"fold_errors(folds={checks.shown(folds)}): needs a list of folds. Use prepare_folds.")
    checks.function("fold_errors", "filter", filter, "(c, s, alphas) -> Shares")
    errors = []
    for d, reach, known, weights in folds:
        kept, _ = filter(d.c, d.s, path.alphas)
        gain = np.divide(kept, d.c, out=np.zeros_like(kept), where=d.c > 0)
        squares = np.zeros(len(path.alphas))
        for j in range(path.k):
            squares += (known[:, j] - (gain * d.coefficients[:, j]) @ reach.T) ** 2 @ weights
        errors.append(squares / (weights.sum() * path.k))
    return path._replace(errors=np.array(errors).T, weights=np.array([fold.weights.sum() for fold in folds]))
