"""Duplicate rows: which rows of a table are equal to earlier ones, and which of them are copies?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

LOOKED = 8
"""Columns by which most tables show at once that no row has an equal."""


FEW = 20
"""Values of a target up to which equal inputs may agree in it as ratings and classes do."""

REPEATED = 4
"""Times that ``FEW`` different rows occur in the mean, above which they are categories and no copies."""

BY_CHANCE = 4
"""Pairs that agree, over those that do where inputs and targets are independent, up to which that is chance."""

UNLIKELY = 0.01
"""Probability below which equal targets of equal inputs are no chance."""


def first_of_equals(columns: Sequence[np.ndarray]) -> np.ndarray:
    """For each row the first one that is equal in all columns.

    Args:
        columns: arrays (n,) of numbers or text; missing entries are equal.

    Returns:
        Row numbers (n,), from 0; its own where no earlier row is equal.
    """
    group = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        if column.dtype.kind == "O":
            places: dict[object, int] = {}
            codes = np.array([places.setdefault(word, len(places)) for word in column])
        else:
            codes = np.unique(column, return_inverse=True)[1].ravel()
        group = group * (int(codes.max()) + 1) + codes
        group = np.unique(group, return_inverse=True)[1].ravel()
        if group.max() == len(group) - 1:  # all rows differ
            return np.arange(len(group))
    return np.unique(group, return_index=True)[1][group]


def kept_together(X: Float[np.ndarray, "n d"], c: Float[np.ndarray, "n k"]) -> Int[np.ndarray, " n"]:
    """Which rows must not lie on both sides of a split: those that are equal where agreement is no chance.

    Besides copies these are all equal rows of a table most of whose different rows have a value of their own in some
    input. In a table of categories equal rows are the answers of many to the same questions: were they kept together,
    what occurs at a place in the test would never occur there in training. (Survivors of the Titanic by sex and class
    have twelve different rows; whole answers were withheld, and all of the test was wrong.)

    Args:
        X: inputs (n, d).
        c: targets (n, k).

    Returns:
        The first of the rows that belong together, from 0; of others its own number, (n,).
    """
    equal = first_of_equals([*c.T, *X.T])
    different, times = np.unique(equal, return_counts=True)
    if len(different) == len(X):
        return equal
    if _of_categories(len(X), X[different], c[different]):
        return np.arange(len(X))
    if len(different) > FEW and np.gcd.reduce(times) > 1:  # a file that holds another one several times
        return equal
    if any(len(np.unique(column)) > len(different) / 2 for column in X[different].T):
        return equal
    return first_copies(np.ones(len(X)), X, c)


def first_copies(weights: Float[np.ndarray, " n"], X: Any, c: Float[np.ndarray, "n k"]) -> Int[np.ndarray, " n"]:
    """Which earlier row each row is a copy of.

    Rows that agree in inputs and targets to all digits are no repeated measurements. As such they would say that
    there is no noise, and a row that is left out would be predicted by its twin: cross validation then asks for
    interpolation. Rows count as copies where agreement is no chance: far more pairs agree than would with independent
    inputs and targets, and most of the different rows have a value of their own in some target, of more than ``FEW``
    if equal inputs have several; or rows of equal inputs always have equal targets, and most of them have a value of
    their own in some input, or most rows have no twin and so many pairs do not agree by chance.

    Args:
        weights: not negative, (n,).
        X: inputs (n, d). Of a sparse matrix or an operator no row is taken for a copy.
        c: targets (n, k), finite.

    Returns:
        The first of equal rows that have weight, from 0; of a row without a twin its own number, (n,).
    """
    alone = np.arange(len(weights))
    if not isinstance(X, np.ndarray):
        return alone
    rows = np.flatnonzero(weights > 0)
    for column in [*c.T[:LOOKED], *X.T[:LOOKED]]:  # a row has no equal where one of its entries has none
        _, at, count = np.unique(column[rows], return_inverse=True, return_counts=True)
        rows = rows[count[at] > 1]
    first = alone.copy()
    first[rows] = rows[first_of_equals([*c[rows].T, *X[rows].T])] if len(rows) else rows
    left, n = np.flatnonzero((weights > 0) & (first == alone)), np.count_nonzero(weights)
    if len(left) == n or _of_categories(int(n), X[left], c[left]):
        return alone
    own, x = len(left) / 2, X[left]
    if BY_CHANCE * _pairs(x) * _pairs(c[left]) * n * (n - 1) / 2 > n - len(left):
        return alone
    values = max(len(np.unique(column)) for column in c[left].T)
    settled = len(np.unique(x, axis=0)) == len(x)  # equal inputs always have equal targets
    if values > own and (settled or values > FEW):
        return first
    shares = [np.unique(column, return_counts=True)[1] / len(left) for column in c[left].T]
    chance = float(np.prod([share @ share for share in shares])) ** (n - len(left))
    single = np.count_nonzero(np.bincount(first[weights > 0]) == 1)
    rare = (single > n / 2 and chance < UNLIKELY) or any(len(np.unique(column)) > own for column in x.T)
    return first if settled and rare else alone


def _of_categories(n: int, x: np.ndarray, c: np.ndarray) -> bool:
    """Whether so few of n rows differ, and by so few values, that they tell who belongs to which group."""
    if not (len(x) <= FEW and n > REPEATED * len(x)):
        return False
    return all(len(np.unique(column)) <= max(2, len(x) / 2) for column in (*x.T, *c.T))


def _pairs(rows: np.ndarray) -> float:
    """Share of the pairs of different rows that agree in these columns."""
    times = np.unique(rows, axis=0, return_counts=True)[1].astype(float)
    return float(times @ (times - 1)) / max(len(rows) * (len(rows) - 1), 1)
