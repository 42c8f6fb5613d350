"""Regression that chooses its model: linear, processes, sparse polynomials or small networks, by evidence, mixed."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from numdl import checks
from numdl.contracts.threads import one_blas_thread
from numdl.estimators.auto import many
from numdl.estimators.auto.boosted import beside
from numdl.estimators.auto.chaos import expansions
from numdl.estimators.auto.member import Network
from numdl.estimators.auto.plan import plan
from numdl.estimators.auto.training import LEAST, Training
from numdl.estimators.common.intake import is_auto
from numdl.estimators.kernels.base import MixtureRegressor
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import KERNELS, Rows
from numdl.estimators.kernels.search import FACTORS, REFINE, SCREEN, Scored, Search, Settings, processes

N_NETWORKS = 6
"""Networks that are tried."""

FEWEST, SOLVED = 40, 1e-3
"""Networks are not tried on fewer rows, nor where a process predicts each row to this share of the deviation of the
target from all others: there they never won, and cost most of the time."""


class AutoRegressor(MixtureRegressor):
    """The model that explains the targets best, or several as good: one evidence from linear to infinite width.

    Candidates are Bayesian ridge regression and the Gaussian processes of `KernelRegressor`, which are networks of
    infinite width; up to 600 rows sparse expansions in Legendre polynomials (polynomial chaos); and small networks:
    residual ones and single layers, with a precision for each input. Their log evidence is on one scale; those close
    to the best predict together, see `numdl.estimators.kernels.search`. From 150 rows on boosted trees join them where
    rows that they have not seen speak for it, see `numdl.estimators.auto.boosted`. Nothing is compiled: a fit to some
    hundred rows takes a second or a few. Each target gets a model of its own.

    Beyond 4000 different rows, or where a budget does not allow to factorise all of them, members are a process that
    predicts each row from the nearest ones, boosted trees and three residual networks, trained on few rows first;
    weights are those that err least on rows predicted from all others, see `numdl.estimators.auto.many`. Time and
    memory then grow with the number of rows.

    Args:
        n_networks: networks that are tried, at most 6 kinds of start; "auto" for 6, or none on fewer than 40 rows and
            where processes leave nothing to explain, and 3 beyond 4000 rows; 0 for none.
        time_budget: seconds at most for the search, or None. The first candidate is judged whatever it takes.
        target_transform: "log" to see positive targets by their logarithm, None as they are, "auto" by the logarithm
            where it is decisively more probable, see `numdl.estimators.kernels.logarithm`; each target for itself.
            Predictions are in units of the target whatever it is.
        loss: "squared", or "pseudo-huber" where some targets hold gross errors: rows that a robust fit of processes
            contradicts are left out, ``status_`` says how many; see ``numdl.estimators.kernels.gross``.
        random_state: seed or generator of starts, subsets and draws.

    Attributes:
        weights_: weight of each member in the mixture by name, a dictionary for each target, in a list.
        log_evidence_: log density of the targets, in nats, by the best candidate, (k,) or a number.
        evidence_: the same for each candidate that was judged on all rows, a dictionary for each target. Beyond 4000
            rows both are sums of the log density of each row given all others, extrapolated from a sample.
        effective_dof_: effective degrees of freedom, (k,) or a number.
        noise_: standard deviation of one observation, in units of the target, or of its logarithm where that is seen,
            (k,) or a number.
        relevance_: root mean square over the rows of the derivative of the mean, in standard deviations of target and
            input, (d,) or (k, d); 0 for a constant column, and for steps of trees. "Target" is here what is seen of it.
        lengths_: ``1 / relevance_`` in units of the input, (d,) or (k, d).
        leave_one_out_: prediction of each row from all others, hyperparameters fixed, (n,) or (n, k); of more than
            6000 different rows about this many are asked, the others are not a number.
        leave_one_out_std_: its standard deviation.
        jitter_: largest variance, over that of the targets, that was added for the sake of rounding.
        mixtures_: the members of each target.
        logarithm_: which targets are seen by their logarithm (k,).
        gain_: nats that it gains on at most 150 rows, 0 where nobody asked, (k,) or a number.
        status_: what was found, in a sentence.

    Sources: MacKay, Neural Computation 4, 1992; Neal, Bayesian Learning for Neural Networks, Springer 1996, ch. 2;
    Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006; and those of the modules of
    ``numdl.estimators.kernels`` and ``numdl.estimators.auto``.

    Examples:
        >>> import numpy as np
        >>> from numdl import AutoRegressor
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> model = AutoRegressor(random_state=0).fit(x, np.sin(3 * x[:, 0]))
        >>> mean, deviation = model.predict([[0.5]], return_std=True)
        >>> round(float(mean[0]), 3)
        0.997
    """

    _label = "numdl auto"
    _about = "Members"
    _all_rows = True

    def __init__(
        self,
        *,
        n_networks: int | str = "auto",
        time_budget: float | None = None,
        target_transform: str | None = "auto",
        loss: str = "squared",
        random_state: Any = None,
    ) -> None:
        self.n_networks = n_networks
        self.time_budget = time_budget
        self.target_transform = target_transform
        self.loss = loss
        self.random_state = random_state

    def _check(self) -> None:
        super()._check()
        name = type(self).__name__
        if not is_auto(self.n_networks):
            checks.whole(name, "n_networks", self.n_networks, least=0)
        if self.time_budget is not None:
            checks.number(name, "time_budget", self.time_budget, above=0)

    def _search(self, rows: Rows, box: np.ndarray, rng: np.random.Generator, notes: list[str], clock: Clock) -> Search:
        n = len(rows.y)
        if n <= many.MANY and (n <= REFINE or clock.spare(2 * FACTORS * n**3)):
            found = super()._search(rows, box, rng, notes, clock)
            return beside(found, rows, box, rng, clock)
        count = many.NETWORKS if self.n_networks == "auto" else int(self.n_networks)
        with one_blas_thread():
            return many.search(rows, count, rng, notes, clock)

    def _candidates(
        self, rows: Rows, box: np.ndarray, rng: np.random.Generator, notes: list[str], clock: Clock
    ) -> list[Scored]:
        n = len(rows.y)
        found = processes(rows, box, Settings(tuple(KERNELS), 2, n <= SCREEN, SCREEN, REFINE), rng, notes, clock)
        count = N_NETWORKS if self.n_networks == "auto" else int(self.n_networks)
        if found and not clock.over():
            found = found + expansions(rows, clock)
        if self.n_networks == "auto" and (n < FEWEST or any(one.error < SOLVED for one in found)):
            return found
        return found + _networks(rows, count, rng, notes, clock, needed=not found)


def _alone(network: Network, weight: float) -> list[Network]:
    """A network brings itself into a mixture, whatever its weight."""
    return [network]


def _networks(
    rows: Rows, count: int, rng: np.random.Generator, notes: list[str], clock: Clock, *, needed: bool
) -> list[Scored]:
    """Networks from several starts: all for some steps, then the better half to the end."""
    begun: list[tuple[str, Training]] = []
    for i, start in enumerate(plan(rows.x.shape[1], count), start=1):
        if not (needed and not begun) and clock.over():
            notes.append(f"{clock.ending} before network {i} of {count} was tried.")
            break
        clock.tell(f"network {i} of {count}, {start.spec.name}")
        with clock.guard(needed=needed and not begun):
            training = Training(rows, start.spec, rng, start.noise, start.gain)
            begun.append((f"{start.spec.name} ({i})", training))
            training.advance(LEAST, deadline=clock.end)
    ranked = sorted(begun, key=lambda one: -max(one[1].seen, default=-np.inf))
    for name, training in ranked[: -(-len(ranked) // 2)]:
        if not clock.over():
            clock.tell(f"network {name} to its end")
            with clock.guard(needed=False):
                training.advance(deadline=clock.end)
    clock.over()  # those that were followed may have been cut short
    found: list[Scored] = []
    for name, training in begun:
        if needed and not found:
            one = clock.insist(functools.partial(_scored, name, training))
        else:
            one = None
            with clock.guard(needed=False):
                one = _scored(name, training)
        if one is not None:
            found.append(one)
        elif not clock.interrupted:
            notes.append(f"Network {name} is left out: its evidence was not finite.")
    return found


def _scored(name: str, training: Training) -> Scored | None:
    """A network as a candidate, None where nothing of it is finite."""
    one = training.network()
    return None if one is None else Scored(name, one.evidence, one.density, one.settled, functools.partial(_alone, one))
