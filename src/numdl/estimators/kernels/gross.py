"""Which rows hold gross errors of the target, where the map is not linear?

Processes of three kernels are fitted to at most `MOST` rows, again and again to pseudo-data of the pseudo-Huber loss,
see `numdl.estimators.common.robust`. Rows are judged as all others predict them, over the deviation that these predict:
so nothing hides by pulling the map towards itself, and what is hard to predict is no error. Rows beyond the cut are
left out, all others are in the end fitted as they are.

Friedman's function, 100 and 200 rows, a tenth of them wrong by 20 to 100, three seeds: all of them and at most one
other row were found, with noise 0.5 and without any.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numdl.estimators.common.robust import Fit, Seen, robust_rounds
from numdl.estimators.common.weights import of_mean_one
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.mixture import Mixture, combine, each_left_out, few_threads, mean_over, moments
from numdl.estimators.kernels.search import SCREEN, Settings, mix, processes
from numdl.estimators.kernels.tables import gather

KERNELS = ("linear", "rbf", "legendre")
"""That are tried."""

MOST, FEW = 1000, 300
"""Rows on which processes are conditioned, and on which the best two are refined."""

ROUNDS, TOLERANCE = 8, 0.3
"""Fits at most, and how far they must settle: hyperparameters move them as well."""


class GrossErrors(NamedTuple):
    """What was found.

    Attributes:
        held: weights of the rows (n,), 0 for gross errors.
        settled: whether another round would change nothing that matters.
        message: a sentence.
    """

    held: np.ndarray
    settled: bool
    message: str


def gross_errors(
    call: str, X: np.ndarray, c: np.ndarray, weights: np.ndarray, rng: np.random.Generator, clock: Clock
) -> GrossErrors:
    """Look for rows whose target contradicts all others.

    Args:
        call: the call to name.
        X: rows (n, d), finite.
        c: targets (n, k), finite; a row is left out for any of them.
        weights: of the rows (n,), not negative.
        rng: source of starts and subsets.
        clock: half of its time may pass; an interruption ends the search.

    Returns:
        The weights without them.
    """
    used, turn = np.flatnonzero(weights > 0), 0
    seed = int(rng.integers(2**31))

    def refit(seen: Seen) -> Fit:
        nonlocal turn
        turn += 1
        clock.tell(f"gross errors, round {turn}")
        clock.share(0.5 * turn / ROUNDS)
        whole, held = c.copy(), weights.copy()
        whole[used], held[used[~seen.kept]] = seen.targets, 0.0
        return _judged(call, X, c, whole, of_mean_one(held), used, np.random.default_rng(seed), clock)

    found = robust_rounds(c[used], weights[used], refit, ROUNDS, TOLERANCE, lambda: clock.interrupted, plain=True)
    clock.late = False
    clock.share(1.0)
    held = weights.copy()
    held[used[~found.seen.kept]] = 0.0
    return GrossErrors(held, found.settled, found.message)


def _judged(
    call: str,
    X: np.ndarray,
    c: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
    used: np.ndarray,
    rng: np.random.Generator,
    clock: Clock,
) -> Fit:
    """A mixture for each target, and what it says of the rows."""
    table = gather(call, X, seen, weights, MOST, rng)
    x = np.ascontiguousarray(table.scaler.transform(X[used])[:, table.active])
    inside = table.group[used] >= 0
    mean, off, freedom = np.empty((len(used), c.shape[1])), np.empty((len(used), c.shape[1])), []
    with few_threads(len(table.rows[0].y)):
        for j, rows in enumerate(table.rows):
            center, scale = table.targets.center[j], table.targets.scale[j]
            settings = Settings(KERNELS, 2, False, SCREEN, FEW)
            mixture = Mixture(
                mix(processes(rows, table.box, settings, rng, [], clock), len(rows.y)).members, rows, table.box
            )
            means, variances = moments(mixture, x, std=True)
            alone, deviation = combine(mixture.weights, means, np.asarray(variances))
            own = used[inside]
            y = (seen[own, j] - center) / scale
            each = each_left_out(mixture, table.group[own], y, table.weights[own])
            alone[inside], deviation[inside] = combine(mixture.weights, *each)
            mean[:, j] = mixture.weights @ means * scale + center
            off[:, j] = ((c[used, j] - center) / scale - alone) / deviation
            freedom.append(mean_over(mixture, lambda one: one.freedom))
    return Fit(mean, np.array(freedom), off)
