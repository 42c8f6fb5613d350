"""Outliers of the target: which rows hold gross errors, where the map is not linear?

Processes of three kernels are fitted to at most `MOST` rows, again and again to pseudo-data of the pseudo-Huber loss,
see `numdl.estimators.common.robust`. Rows are judged as all others predict them, over the deviation that these predict:
so nothing hides by pulling the map towards itself, and what is hard to predict is no error. Rows beyond the cut are
left out, all others are in the end fitted as they are. Of more than `ASKED` rows some are looked at so, and the others
judged once by the last fit.

Friedman's function, 100 and 200 rows, a tenth of them wrong by 20 to 100, three seeds: all of them and at most one
other row were found, with noise 0.5 and without any.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numdl.estimators.common.robust import CUT, Fit, Seen, robust_rounds
from numdl.estimators.common.weights import of_mean_one
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.mixture import Mixture, combine, each_left_out, few_threads, mean_over, moments
from numdl.estimators.kernels.search import SCREEN, Settings, mix, processes
from numdl.estimators.kernels.tables import Table, gather

KERNELS = ("linear", "rbf", "legendre")
"""That are tried."""

MOST, FEW = 1000, 300
"""Rows on which processes are conditioned, and on which the best two are refined."""

ASKED = 4000
"""Rows that the rounds look at; what they say holds for all others."""

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
    call: str,
    X: np.ndarray,
    c: np.ndarray,
    weights: np.ndarray,
    rng: np.random.Generator,
    clock: Clock,
    share: tuple[float, float] = (0.0, 0.5),
) -> GrossErrors:
    """Look for rows whose target contradicts all others.

    Args:
        call: the call to name.
        X: rows (n, d), finite.
        c: targets (n, k), finite; a row is left out for any of them.
        weights: of the rows (n,), not negative.
        rng: source of starts and subsets.
        clock: an interruption ends the search.
        share: parts of its time at which the search begins, and has to end.

    Returns:
        The weights without them.
    """
    used, turn = np.flatnonzero(weights > 0), 0
    seed, some = int(rng.integers(2**31)), used
    if len(used) > ASKED:
        some = np.sort(np.random.default_rng(seed).permutation(used)[:ASKED])
    part, targets, given, last = X[some], c[some], weights[some], None

    def refit(seen: Seen) -> Fit:
        nonlocal turn, last
        turn += 1
        clock.tell(f"gross errors, round {turn}")
        clock.share(share[0] + (share[1] - share[0]) * turn / ROUNDS)
        held = np.where(seen.kept, given, 0.0)
        last = _fitted(call, part, seen.targets, of_mean_one(held), np.random.default_rng(seed), clock)
        return last.judged(part, targets, seen.targets)

    found = robust_rounds(targets, given, refit, ROUNDS, TOLERANCE, lambda: clock.interrupted, plain=True)
    clock.late = False
    clock.share(1.0)
    held, message = weights.copy(), found.message
    held[some[~found.seen.kept]] = 0.0
    if len(some) < len(used) and last is not None:
        clock.tell("gross errors of all rows")
        others = np.setdiff1d(used, some, assume_unique=True)
        held[others[last.far(X[others], c[others], CUT[1] * found.seen.scale)]] = 0.0
        count = int((held[used] == 0).sum())
        message = f"Pseudo-Huber loss: {count} of {len(used)} rows lie far off and are left out, as {turn} rounds "
        message += f"on {len(some)} of them say." + ("" if found.settled else " The rounds had not settled.")
    return GrossErrors(held, found.settled, message)


class _Judge(NamedTuple):
    """A mixture for each target, fitted to some rows.

    Attributes:
        table: those rows.
        mixtures: one for each target.
    """

    table: Table
    mixtures: list[Mixture]

    def judged(self, X: np.ndarray, c: np.ndarray, seen: np.ndarray) -> Fit:
        """What it says of the rows of the fit, of each as all others predict it."""
        x, inside = self._scaled(X), self.table.group >= 0
        mean, off, freedom = np.empty(c.shape), np.empty(c.shape), []
        own = np.flatnonzero(inside)
        with few_threads(len(self.table.rows[0].y)):
            for j, mixture in enumerate(self.mixtures):
                center, scale = self.table.targets.center[j], self.table.targets.scale[j]
                means, variances = moments(mixture, x, std=True)
                alone, deviation = combine(mixture.weights, means, np.asarray(variances))
                y = (seen[own, j] - center) / scale
                each = each_left_out(mixture, self.table.group[own], y, self.table.weights[own])
                alone[own], deviation[own] = combine(mixture.weights, *each)
                mean[:, j] = mixture.weights @ means * scale + center
                off[:, j] = ((c[:, j] - center) / scale - alone) / deviation
                freedom.append(mean_over(mixture, lambda one: one.freedom))
        return Fit(mean, np.array(freedom), off)

    def far(self, X: np.ndarray, c: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Which new rows lie farther off than so many predicted deviations (n,): deviations of those in doubt only."""
        x, found = self._scaled(X), np.zeros(len(X), bool)
        with few_threads(len(self.table.rows[0].y)):
            for j, mixture in enumerate(self.mixtures):
                y = (c[:, j] - self.table.targets.center[j]) / self.table.targets.scale[j]
                away = np.abs(y - mixture.weights @ moments(mixture, x, std=False)[0])
                least = np.sqrt(min(member.noise for member in mixture.members))  # no deviation is smaller
                doubt = np.flatnonzero(away > most[j] * least)
                means, variances = moments(mixture, x[doubt], std=True)
                found[doubt] |= away[doubt] > most[j] * combine(mixture.weights, means, np.asarray(variances))[1]
        return found

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self.table.scaler.transform(X)[:, self.table.active])


def _fitted(
    call: str, X: np.ndarray, seen: np.ndarray, weights: np.ndarray, rng: np.random.Generator, clock: Clock
) -> _Judge:
    table, mixtures = gather(call, X, seen, weights, MOST, rng), []
    settings = Settings(KERNELS, 2, False, SCREEN, FEW)
    with few_threads(len(table.rows[0].y)):
        for rows in table.rows:
            members = mix(processes(rows, table.box, settings, rng, [], clock), len(rows.y)).members
            mixtures.append(Mixture(members, rows, table.box))
    return _Judge(table, mixtures)
