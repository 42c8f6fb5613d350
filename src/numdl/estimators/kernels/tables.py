"""How do rows, targets and weights become what processes are fitted to: different rows, scaled, none without weight?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import svd

from numdl.data import Scaler
from numdl.estimators.kernels.evidence import Rows

MARGIN = 6.0
"""By which an interval is wider than the rows on either side, over the mean distance of neighbours.

Of rows drawn from the same interval, new ones lie beyond the old ones in one of d inputs with probability 2 d / n.
With 1 instead of 6, errors at 200 rows were up to 24 times as large, for these rows alone.
"""

STRAIGHT = 0.6
"""Error of a ridge on columns as they are over that on columns without their tails, below which they keep them.

A target that is a sum of columns, as balances are, is none of squashed ones: of 0.28 deviations 0.002 is left, of 0.15
0.05, of 0.80 0.17. Ratios from 0.6 on told nothing about the error that processes make.
"""

ASKED, WIDEST = 3000, 300
"""Rows that this is asked of, and inputs up to which it is."""


class Table(NamedTuple):
    """A table as the processes see it.

    Attributes:
        rows: for each target.
        box: interval of each active input (2, active).
        active: which inputs are not constant (d,).
        scaler: of the inputs.
        targets: of the targets.
        group: row of ``rows`` that each row given belongs to, -1 where it is not used (n,).
        y: targets as given (n, k).
        weights: as given (n,); 0 where the row is not used.
        notes: what the user should know.
    """

    rows: list[Rows]
    box: np.ndarray
    active: np.ndarray
    scaler: Scaler
    targets: Scaler
    group: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    notes: list[str]


def gather(
    call: str,
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    largest: int,
    rng: np.random.Generator,
    *,
    straight: bool = True,
) -> Table:
    """Join equal rows, scale, and leave out what has no weight.

    Args:
        call: the call to name.
        x: rows (n, d), finite.
        y: targets (n, k), finite.
        weights: (n,), not negative.
        largest: number of different rows that can be factorised.
        rng: source of a subset where there are more.
        straight: whether heavy-tailed inputs may stay as they are, if targets are straight in them; a logarithm that
            goes on straight is an exponential.

    Returns:
        The table.

    Raises:
        ValueError: no row has weight.
    """
    used = weights > 0
    if not used.any():
        raise ValueError(f"{call}: all weights are 0. Give at least one row a positive weight.")
    places, inverse = np.unique(x[used], axis=0, return_inverse=True)
    group, notes = np.full(len(x), -1), []
    group[used] = inverse.ravel()
    if len(places) > largest:
        notes.append(
            f"{len(places)} different rows are more than a factorisation takes: {largest} of them, drawn at random, "
            "were used."
        )
        kept = np.sort(rng.permutation(len(places))[:largest])
        position = np.full(len(places) + 1, -1)
        position[kept] = np.arange(largest)
        places, group = places[kept], position[group]
        weights = np.where(group >= 0, weights, 0.0)
        used = group >= 0
    index, w, c = group[used], weights[used], y[used]
    total = np.bincount(index, w)
    unit = np.abs(c).max(axis=0)
    unit[unit == 0] = 1.0
    c = c / unit  # squares of what is huge or tiny are no numbers
    means = np.stack([np.bincount(index, w * column) / total for column in c.T], axis=1)
    spread = w @ (c - means[index]) ** 2
    center, scale = _of_targets(means, total, spread)
    scaler = _of_inputs(places, (means - center) / scale, total, straight=straight)
    z = scaler.transform(places)
    active = np.ptp(z, axis=0) > 0
    active[0] |= not active.any()  # a process needs an input, constant or not
    z = np.ascontiguousarray(z[:, active])
    margin = MARGIN * np.ptp(z, axis=0) / (len(z) + 1)
    margin[margin == 0] = 1.0
    box = np.stack([z.min(axis=0) - margin, z.max(axis=0) + margin])
    rows = [
        Rows(z, (means[:, j] - center[j]) / scale[j], total, float(spread[j] / scale[j] ** 2))
        for j in range(y.shape[1])
    ]
    plain = np.zeros(len(unit), bool)
    targets = Scaler(center * unit, scale * unit, plain, plain)
    return Table(rows, box, active, scaler, targets, group, y, weights, notes)


def _of_inputs(x: np.ndarray, y: np.ndarray, total: np.ndarray, *, straight: bool) -> Scaler:
    """Without their tails, unless targets (n, k) are straight in the inputs as they are, see ``STRAIGHT``.

    Where rows are hardly more than inputs, errors of rows left out are those of rounding, and tell nothing.
    """
    without = Scaler.fit(x, total, tails="auto")
    if (
        not straight
        or not 2 * x.shape[1] < len(x)
        or x.shape[1] > WIDEST
        or not (without.squash | without.logarithmic).any()
    ):
        return without
    plain, few = Scaler.fit(x, total), slice(None, None, -(-len(x) // ASKED))
    errors = [_of_ridge(scaler.scaled(x[few]), y[few], total[few]) for scaler in (plain, without)]
    return plain if errors[0] < STRAIGHT * errors[1] else without


def _of_ridge(z: np.ndarray, y: np.ndarray, total: np.ndarray) -> float:
    """Root mean square of what a ridge predicts wrongly of rows left out, with the best penalty."""
    share = total / total.sum()
    root = np.sqrt(share)[:, None]
    z, y = root * (z - share @ z), root * (y - share @ y)
    u, s, _ = svd(z, full_matrices=False, lapack_driver="gesvd")
    b, errors = u.T @ y, []
    for alpha in np.logspace(-12, 2, 29):
        kept = s**2 / (s**2 + alpha)
        own = np.square(u) @ kept + share
        if own.max() < 1 - 1e-9:
            errors.append(float(np.linalg.norm((y - u @ (kept[:, None] * b)) / (1 - own)[:, None])))
    return min(errors, default=np.inf)


def _of_targets(means: np.ndarray, total: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the targets, from the means and the spread within equal rows; 1 for the deviation if none.

    So rows of weight 2 and repeated rows give the same numbers, to the last bit. Targets are at most 1.
    """
    share = total / total.sum()
    center = share @ means
    deviation = np.sqrt(share @ (means - center) ** 2 + spread / total.sum())
    flat = deviation <= 8 * np.finfo(float).eps
    return np.where(flat, means[0], center), np.where(flat, 1.0, deviation)
