"""Architecture search: which networks are trained, for how long, and which of them predict?

1. Size: the first candidate gets ``SIZING`` iterations from large and from small initial weights; see ``SMOOTH``.
2. Screening: each candidate architecture gets ``SCREEN`` iterations from one start; the log evidence decides.
3. Growth: while the evidence grows, the winner's width is doubled. Beyond the first candidate, no network has more
   weights than there are observed numbers.
4. Training: eight random starts where a step is cheap, fewer where not, are dealt to the winner and to the
   architectures that the evidence cannot tell from it; each is taken to its end, over several levels of depth where
   the user wants them. All steps before see the networks of the first level.
5. Members: starts that fit the data much worse than the one of best evidence are dropped; the others predict
   together.

What the user fixes is not searched. Every step is a call of ``Trainer.advance``, so a plan that is executed again after
an interruption repeats no work.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numdl.estimators.networks.settings import Data, Start
from numdl.estimators.networks.training.search_space import SearchSpace
from numdl.estimators.networks.training.solver_choice import AFFORDABLE, SolverChoice
from numdl.estimators.networks.training.trainer import Run, Trainer
from numdl.models import Network, refined

ROUGH, SMOOTH = (1.0, 0.5), (0.1, 0.25)
"""Factors on the initial weights, in turn for successive starts.

Large weights suit rugged targets: their starts end in different minima, whose mean predicts better (concrete, four
starts: 3.8 to 4.1 with 1 and 0.5, 4.1 with 0.1). Maps of many inputs that are nearly linear need small ones: the 55
inputs of a surrogate saturate large weights, and the fit never leaves there (relative error 0.054, 0.035, 0.0017,
0.0018 with 1, 0.5, 0.25, 0.1). Most tables do not care.
"""

NEARLY_LINEAR = 0.2
"""Share of the variance that a linear model leaves to a map for which small weights are tried at all."""

SIZING = 10
"""Iterations after which the evidence tells rough from smooth; a surrogate gains two nats per observed number."""

DECISIVE = 0.1
"""Nats per observed number by which small initial weights must win, as large ones give the better mean."""

SCREEN = 25
"""Iterations that a candidate gets before its evidence is compared."""

SEARCH_SHARE = 0.3
"""Share of the time budget after which no new architecture is begun: compiling and screening it would be in vain."""

CHEAP, DEAR = 4e9, 4e10
"""Operations of one iteration (``SolverChoice.work``) up to which a fit has eight starts, beyond which it has two."""

FREE = 1e10
"""The same for matrix-free steps, up to which a fit has four starts (digits, three splits: 2.52 % with two starts,
2.44 % with four or six)."""


def search_architectures(trainer: Trainer, wanted: SearchSpace, d: int, n_restarts: int | None, seed: int) -> list[Run]:
    """Execute the plan as far as time allows.

    Args:
        trainer: holds data, deadline and stored runs.
        wanted: what the user fixed.
        d: number of inputs.
        n_restarts: starts wanted; None for what their cost suggests.
        seed: of the first start; the others follow.

    Returns:
        Members, best evidence first; at least one.

    Raises:
        ValueError: no start has a finite objective; where a network overflows, with row, layer and step.
    """
    limit = trainer.settings.max_iter
    smallest, *others = wanted.candidates(d, None if trainer.squares else trainer.data.c.shape[1])
    candidates = [smallest, *(net for net in others if net.n_parameters <= _observed(trainer))]
    gains = choose_gains(trainer, candidates[0], seed)
    first = Start(seed, gains[0])
    if len(candidates) > 1:
        screened = [
            trainer.advance(net, first, min(SCREEN, limit), f"screening {net.title}")
            for i, net in enumerate(candidates)
            if i == 0 or not trainer.spent(SEARCH_SHARE)
        ]
        tried = _begun(trainer, screened)
        runs = indistinguishable(tried + _grow(trainer, wanted, max(tried, key=lambda run: run.score), first))
        leaders = [run.net for run in runs]
    else:
        leaders = candidates
    starts = n_restarts or affordable_restarts([trainer.algebra(net) for net in leaders])
    runs = []
    for i in range(starts):
        net, turn = leaders[i % len(leaders)], i // len(leaders)
        start = Start(seed + turn, gains[turn % len(gains)])
        runs.append(to_the_end(trainer, net, start, wanted.levels, f", start {i + 1} of {starts}"))
    return choose_members(_begun(trainer, runs))


def _observed(trainer: Trainer) -> float:
    """Numbers that were observed, in all processes: more weights than these would be carried by their prior alone."""
    return trainer.data.total * trainer.data.c.shape[1]


def _begun(trainer: Trainer, runs: list[Run | None]) -> list[Run]:
    """Those that could be begun; if none could, the reason is the error."""
    begun = [run for run in runs if run is not None]
    if not begun:
        raise ValueError(next(iter(trainer.refused.values())))
    return begun


def to_the_end(trainer: Trainer, net: Network, start: Start, levels: int, which: str) -> Run | None:
    """Train from one start, through the levels of depth.

    Args:
        trainer: holds data and runs.
        net: of the first level.
        start: random start.
        levels: number of depths.
        which: start this is, for the phase that is shown.

    Returns:
        Run of the last level that time allowed to begin; None where there was no time for any.
    """
    limit, nets = trainer.settings.max_iter, [net]
    for _ in range(levels - 1):
        nets.append(refined(nets[-1]))
    first = 0
    if (nets[-1], start.seed) in trainer.weights:  # an earlier fit has been through the levels
        first = levels - 1
    for level, known in enumerate(nets):
        if (known, start) in trainer.runs:
            first = max(first, level)
    run = trainer.runs.get((nets[first - 1], start)) if first else None
    for level in range(first, levels):
        share = math.ceil(limit * (level + 1) / levels)
        phase = f"training {nets[level].title}{which}"
        ways = {"coarser": run, "finer": nets[level + 1] if level + 1 < levels else None} if levels > 1 else {}
        begun = trainer.advance(nets[level], start, share, phase, **ways)
        run = begun if begun is not None else run
    return run


def choose_gains(trainer: Trainer, net: Network, seed: int) -> tuple[float, ...]:
    """Sizes of the initial weights that the evidence prefers; asked only where the map is nearly linear.

    Args:
        trainer: holds data and runs.
        net: on which the sizes are compared.
        seed: of the two starts that are compared.

    Returns:
        ``ROUGH`` or ``SMOOTH``.
    """
    if not trainer.squares:
        return ROUGH[:1]
    if trainer.weights or unexplained(trainer.data) > NEARLY_LINEAR:
        return ROUGH
    iterations = min(SIZING, trainer.settings.max_iter)
    found = [trainer.advance(net, Start(seed, gains[0]), iterations, "sizing weights") for gains in (ROUGH, SMOOTH)]
    rough, smooth = (-np.inf if run is None else run.score for run in found)
    return SMOOTH if smooth > rough + DECISIVE * trainer.data.total * trainer.data.c.shape[1] else ROUGH


def unexplained(data: Data, rows: int = 10_000) -> float:
    """Share of the targets' variance that a linear model leaves, estimated without bias from the first rows.

    Args:
        data: scaled data, in random order if there are more rows than are used.
        rows: number of rows that are used.

    Returns:
        About 0 for linear maps; 0 where there are too few rows to tell.
    """
    root = np.sqrt(data.w[:rows, None].astype(float))
    a, c = root * np.c_[data.x[:rows], np.ones(len(root))], root * data.c[:rows]
    free = len(a) - a.shape[1]
    if free <= 0:
        return 0.0
    rest = c - a @ np.linalg.lstsq(a, c, rcond=None)[0]
    return float(np.mean(rest**2) / np.mean(c**2) * len(a) / free)


def indistinguishable(runs: list[Run]) -> list[Run]:
    """Runs whose log evidence is as good as the best to the accuracy of its approximation, best first.

    Laplace's approximation errs by about a nat for each parameter that the data determine, so runs that differ by less
    than their effective number of parameters are not told apart. Their mean predicts better than the winner alone
    (test error of eight starts of one architecture against four of each of two: energy 0.415, 0.391; yacht 0.38, 0.30;
    concrete 3.72, 3.81).
    """
    ordered = sorted(runs, key=lambda run: run.score, reverse=True)
    best = ordered[0]
    return [run for run in ordered if run.score >= best.score - max(_determined(run), _determined(best))] or [best]


def _grow(trainer: Trainer, wanted: SearchSpace, best: Run, first: Start) -> list[Run]:
    """Runs of double width each, while the evidence grows and a step stays affordable."""
    grown: list[Run] = []
    while wanted.grows and not trainer.spent(SEARCH_SHARE):
        wider = best.net.widened()
        algebra = trainer.algebra(wider)
        if wider.n_parameters > _observed(trainer) or not algebra.dense or algebra.work > AFFORDABLE:
            break
        iterations = min(SCREEN, trainer.settings.max_iter)
        run = trainer.advance(wider, first, iterations, f"growing to {wider.title}")
        if run is None:
            break
        grown.append(run)
        if run.score <= best.score:
            break
        best = run
    return grown


def affordable_restarts(leaders: list[SolverChoice]) -> int:
    """Eight, four or two starts, by the mean operations of one iteration; a matrix-free one takes longer for them."""
    work = float(np.mean([algebra.work for algebra in leaders]))
    if not all(algebra.dense for algebra in leaders):
        return 4 if work <= FREE else 2
    return 8 if work <= CHEAP else 4 if work <= DEAR else 2


def choose_members(runs: list[Run]) -> list[Run]:
    """Runs that predict together: those whose training error is within a factor 3 of the run of best evidence.

    Differences of evidence between restarts are tens of nats, so weights proportional to the evidence would select a
    single run; the mean over restarts predicts better than the best of them.
    """
    ordered = sorted(runs, key=lambda run: run.score, reverse=True)
    reference = _misfit(ordered[0])
    return [run for run in ordered if _misfit(run) <= 9 * reference or run is ordered[0]]


def search_table(trainer: Trainer) -> list[dict[str, Any]]:
    """Every run with what became of it."""
    return [
        {
            "network": run.net.title,
            "seed": run.start.seed,
            "gain": run.start.gain,
            "weights": run.net.n_parameters,
            "iterations": run.progress.iteration,
            "log_evidence": float(run.progress.best.score),
        }
        for run in trainer.runs.values()
    ]


def _misfit(run: Run) -> float:
    return _at_best(run, "misfit", np.inf)


def _determined(run: Run) -> float:
    return _at_best(run, "effective_dof", 0.0)


def _at_best(run: Run, name: str, otherwise: float) -> float:
    """An entry of the history at the best point."""
    column = run.progress.history.get(name, ())
    return float(column[min(run.progress.best.iteration, len(column) - 1)]) if len(column) else otherwise
