"""Which networks are trained, for how long, and which of them predict?

1. Screening: each candidate architecture gets ``SCREEN`` iterations from one start; the log evidence decides.
2. Growth: while the evidence grows, the winner's width is doubled.
3. Training: the winner is taken to its end, and so are more random starts: eight where a step is cheap, fewer where
   not.
4. Members: restarts that fit the data much worse than the one of best evidence are dropped; the others predict
   together.

Starts alternate between two sizes of the initial weights, see ``numdl.estimators.runs.GAINS``.

What the user fixes is not searched. Every step is a call of ``Trainer.advance``, so a plan that is executed again after
an interruption repeats no work.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from numdl.estimators.runs import Run, Trainer
from numdl.models import ResNet

SCREEN = 25
"""Iterations that a candidate gets before its evidence is compared."""

CLASS_WIDTH = 64
"""Features of a classifier: 32 err more on digits and spambase, 128 cost more and gain nothing sure."""

CLASS_HEAD = 1500
"""Entries of a classifier's head at most: every step factors its Hessian, which has one row for each of them."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What the user asks of the network; None where the evidence chooses."""

    width: int | None
    depth: int | None
    dynamics: str | None
    T: float
    scheme: str
    control: str
    activation: str

    def network(self, d: int, width: int, depth: int, dynamics: str) -> ResNet:
        """Network with the open choices filled in."""
        return ResNet(
            d=d,
            width=self.width or width,
            depth=depth if self.depth is None else self.depth,
            T=self.T,
            dynamics=self.dynamics or dynamics,
            scheme=self.scheme,
            control=self.control,
            activation=self.activation,
        )

    def candidates(self, d: int, classes: int | None = None) -> list[ResNet]:
        """Networks to screen, cheapest first.

        Args:
            d: number of inputs.
            classes: number of scores of a classifier; None for regression.

        Returns:
            One wide layer for classes: its evidence does not predict which width or depth errs least, and a narrow
            state is a bottleneck for ten classes. Several networks for regression.
        """
        if classes is not None:
            return [self.network(d, min(CLASS_WIDTH, max(CLASS_HEAD // classes, 8)), 0, "plain")]
        nets = [
            self.network(d, 8, 4, "antisymmetric"),
            self.network(d, 16, 2, "plain"),
        ]
        return list(dict.fromkeys(nets))


SEARCH_SHARE = 0.3
"""Share of the time budget after which no new architecture is begun: compiling and screening it would be in vain."""

CHEAP, DEAR = 1e9, 2e10
"""Operations of one iteration (see ``Algebra.work``) up to which a fit has eight starts, beyond which it has two."""

GROWTH = 4e10
"""Operations of one iteration beyond which wider networks are not tried: a few seconds on two cores."""


def carry_out(trainer: Trainer, wanted: Architecture, d: int, n_restarts: int | None, seed: int) -> list[Run]:
    """Execute the plan as far as time allows.

    Args:
        trainer: holds data, deadline and stored runs.
        wanted: what the user fixed.
        d: number of inputs.
        n_restarts: starts wanted; None for what their cost suggests.
        seed: of the first start; the others follow.

    Returns:
        Members, best evidence first; at least one.
    """
    limit = trainer.settings.max_iter
    candidates = wanted.candidates(d, None if trainer.squares else trainer.data.c.shape[1])
    if len(candidates) > 1:
        screened = [
            trainer.advance(net, seed, min(SCREEN, limit), f"screening {name_of(net)}")
            for i, net in enumerate(candidates)
            if i == 0 or not trainer.spent(SEARCH_SHARE)
        ]
        best = max((run for run in screened if run is not None), key=_score)
        best = _grow(trainer, wanted, best, seed, min(SCREEN, limit))
    else:
        best = trainer.advance(candidates[0], seed, 1, f"training {name_of(candidates[0])}")
        assert best is not None  # the first run always begins
    net, starts = best.net, n_restarts or affordable_restarts(best)
    runs = [
        trainer.advance(net, seed + i, limit, f"training {name_of(net)}, start {i + 1} of {starts}")
        for i in range(starts)
    ]
    return choose_members([run for run in runs if run is not None])


def _grow(trainer: Trainer, wanted: Architecture, best: Run, seed: int, iterations: int) -> Run:
    """Double the width while the evidence grows and a step stays affordable."""
    while wanted.width is None and not trainer.spent(SEARCH_SHARE):
        wider = dataclasses.replace(best.net, width=2 * best.net.width)
        algebra = trainer.algebra(wider)
        if not algebra.dense or algebra.work > GROWTH:
            break
        run = trainer.advance(wider, seed, iterations, f"growing to {name_of(wider)}")
        if run is None or _score(run) <= _score(best):
            break
        best = run
    return best


def affordable_restarts(run: Run) -> int:
    """Eight, four or two starts, by the operations of one iteration; matrix-free ones gain little."""
    work = run.algebra.work if run.algebra.dense else np.inf
    return 8 if work <= CHEAP else 4 if work <= DEAR else 2


def choose_members(runs: list[Run]) -> list[Run]:
    """Runs that predict together: those whose training error is within a factor 3 of the run of best evidence.

    Differences of evidence between restarts are tens of nats, so weights proportional to the evidence would select a
    single run; the mean over restarts predicts better than the best of them.
    """
    ordered = sorted(runs, key=_score, reverse=True)
    reference = _misfit(ordered[0])
    return [run for run in ordered if _misfit(run) <= 9 * reference or run is ordered[0]]


def search_table(trainer: Trainer) -> list[dict[str, Any]]:
    """Every run with what became of it."""
    return [
        {
            "network": name_of(run.net),
            "seed": run.seed,
            "weights": run.net.n_parameters,
            "iterations": run.progress.iteration,
            "log_evidence": float(run.score),
        }
        for run in trainer.runs.values()
    ]


def name_of(net: ResNet) -> str:
    """Architecture in a few words."""
    if net.depth == 0:
        return f"single layer {net.width}"
    return f"{net.dynamics} {net.width}x{net.depth}"


def _score(run: Run) -> float:
    return run.score if np.isfinite(run.score) else -np.inf


def _misfit(run: Run) -> float:
    iteration = min(run.progress.best.iteration, run.progress.iteration - 1)
    return float(run.progress.history["misfit"][max(iteration, 0)]) if run.progress.iteration else np.inf
