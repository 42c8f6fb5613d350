"""Kernel search: which kernels and hyperparameters explain a target, and how much weight does each get?

On few rows all kernels are tried from several starts; the best go on with more rows; all rows are factorised once for
each that is left. Where rows are few, hyperparameters are averaged by Hamiltonian Monte Carlo instead of trusted.

Members are those within ``max(10, n / 5)`` nats of the best Laplace evidence; their weights are the softmax of the
mean of evidence and leave-one-out log density, over 5. No rule was seen to be always best; this one never failed badly.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, sec. 5.4.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import KERNELS, Evidence, Rows, left_out, within
from numdl.estimators.kernels.optimum import Candidate, draw, optimise, refine
from numdl.estimators.kernels.process import Process, condition
from numdl.estimators.kernels.product import Product

SCREEN = 150
"""Rows on which all kernels are tried; up to here hyperparameters are averaged."""

REFINE = 600
"""Rows on which the best go on."""

MIDDLE = 300
"""Rows up to which all kernels go on that few rows let in: there the best two were often not the best on all."""

LARGEST = 6000
"""Rows of a factorisation: more need gigabytes and minutes."""

FACTORS = 2.0
"""Operations of a member over n^3: its factor, its inverse, and this again for the rows left out."""

TEMPERATURE, GATE, NEGLIGIBLE = 5.0, 10.0, 0.01

WIDE = 50
"""Inputs beyond which product kernels are not tried: each factor is a matrix, and each step takes all of them."""

WORTH = 0.1
"""Weight from which on the hyperparameters of a member are averaged: draws are half the time of a small fit."""


class Settings(NamedTuple):
    """What the caller leaves open.

    Attributes:
        kernels: by name.
        n_restarts: starts of each.
        average: whether hyperparameters are averaged.
        few: rows on which all kernels are tried.
        more: rows on which the best two go on.
    """

    kernels: tuple[str, ...]
    n_restarts: int
    average: bool
    few: int
    more: int


class Judged(NamedTuple):
    """A candidate on all rows: its process, Laplace log evidence, log density and error of rows given all others."""

    candidate: Candidate
    process: Process
    evidence: float
    left_out: float
    error: float


class Scored(NamedTuple):
    """What may become a member of a mixture.

    Attributes:
        name: under which its weight is told.
        evidence: Laplace log evidence of all observations.
        left_out: sum of the log densities of the rows given all others.
        converged: whether its search ended by itself.
        members: makes what it brings into a mixture of its weight, one or several, whose weights are shares of it.
        error: root mean square of what all others predict wrongly of a row, in standard deviations of the target;
            infinite where nobody asks.
    """

    name: str
    evidence: float
    left_out: float
    converged: bool
    members: Callable[[float], list[Any]]
    error: float = np.inf


class Search(NamedTuple):
    """What a search found: members with weights of sum 1, the evidence of all that were tried, by name."""

    members: list[Any]
    evidence: dict[str, float]
    converged: bool


def processes(
    rows: Rows, box: np.ndarray, settings: Settings, rng: np.random.Generator, notes: list[str], clock: Clock
) -> list[Scored]:
    """Processes of the best kernels.

    Args:
        rows: the data.
        box: interval of each input (2, d).
        settings: what is open.
        rng: source of starts, subsets and draws.
        notes: what the user should know is appended.
        clock: no kernel but the first is begun when it says that the time is over.

    Returns:
        Those that have a factor on all rows; none if none has.
    """
    n, judged = len(rows.y), []
    order = rng.permutation(n)
    few = part(rows, order[: settings.few])
    tried = settings.kernels
    if rows.x.shape[1] > WIDE and len(tried) > 1:
        tried = tuple(name for name in tried if not isinstance(KERNELS[name], Product))
    for name in tried:
        if judged and clock.over():
            notes.append(f"{clock.ending} before the kernel {name} was tried.")
            break
        clock.tell(f"kernel {name} on {len(few.y):,} rows")
        with clock.guard(needed=not judged):
            model = Evidence(name, few, box, clock.check if judged else None)
            best = optimise(model, settings.n_restarts, rng, curved=len(few.y) == n or name == "linear")
            if best is not None and (one := judge(best, few, box)) is not None:
                judged.append(one)
            continue
        notes.append(f"{clock.ending} while the kernel {name} was tried.")
        break
    if len(few.y) < n:
        screened = [one.candidate for one in _worth_all_rows(_curved(judged, few, box, n, clock), n)]
        screened = screened[: 1 if clock.over() else None]
        tried = tuple(one.name for one in screened)
        judged = _on_all_rows(screened, rows, part(rows, order[: settings.more]), box, clock)
    names = {one.candidate.name for one in judged}
    if not clock.over() and (lost := [name for name in tried if name not in names]):
        notes.append(f"Left out, because their matrices have no Cholesky factor: {', '.join(lost)}.")

    def members(one: Judged, weight: float) -> list[Process]:
        made = [one.process]
        if settings.average and weight >= WORTH and not clock.over():
            with clock.guard(needed=False):
                model = Evidence(one.candidate.name, rows, box, clock.check)
                drawn = [condition(model, theta) for theta in draw(model, one.candidate, rng)]
                made = [process for process, _, _ in filter(None, drawn)] or made
        if any(process.raised for process in made):
            notes.append("Some matrices needed more than the least jitter, see jitter_: rows may be all but equal.")
        return made

    return [
        Scored(
            one.candidate.name,
            one.evidence,
            one.left_out,
            one.candidate.converged,
            functools.partial(members, one),
            one.error,
        )
        for one in judged
    ]


def _curved(judged: list[Judged], few: Rows, box: np.ndarray, n: int, clock: Clock) -> list[Judged]:
    """The same with the curvature of all that go on with more rows.

    Without it their evidence is what it is at most: who is not chosen by that would not be by the right one.
    """
    with clock.guard(needed=False):
        while unknown := [one for one in _worth_all_rows(judged, n) if not one.candidate.curved]:
            candidate = unknown[0].candidate
            hessian = Evidence(candidate.name, few, box, clock.check).hessian(candidate.theta)
            known = judge(candidate._replace(hessian=hessian, curved=True), few, box)
            others = [one for one in judged if one is not unknown[0]]
            judged = others if known is None else [*others, known]
    return judged


def _worth_all_rows(judged: list[Judged], n: int) -> list[Judged]:
    """The best two; all others that these rows let in if n is small, else a straight line that is close to the best."""
    ranked = sorted(judged, key=lambda one: -one.evidence - one.left_out)
    best = max((one.evidence for one in judged), default=0.0)
    if n <= MIDDLE:
        return ranked[:2] + [one for one in ranked[2:] if one.evidence >= best - _reach(SCREEN)]
    return ranked[:2] + [one for one in ranked[2:] if one.candidate.name == "linear" and one.evidence > best - GATE]


def _on_all_rows(found: list[Candidate], rows: Rows, more: Rows, box: np.ndarray, clock: Clock) -> list[Judged]:
    """Candidates that go on with more rows and are judged on all; the first of them whatever the time."""
    judged: list[Judged] = []
    for one in found:
        clock.tell(f"kernel {one.name} on {len(rows.y):,} rows")
        best = one
        with clock.guard(needed=False):
            best = refine(one, Evidence(one.name, more, box, clock.check))
        made = None
        if judged:
            with clock.guard(needed=False):
                clock.check()
                if clock.spare(FACTORS * len(rows.y) ** 3):
                    made = judge(best, rows, box)
                else:
                    clock.late = True
        else:
            made = clock.insist(functools.partial(judge, best, rows, box))
        if made is not None:
            judged.append(made)
    return judged


def mix(scored: list[Scored], n: int) -> Search:
    """Members of those that are let in, with their weights.

    Args:
        scored: what was found; of equal names the one of the larger evidence counts.
        n: number of rows.

    Returns:
        The members.

    Raises:
        ValueError: nothing was found.
    """
    if not scored:
        raise ValueError(
            "fit: no kernel gave a matrix with a Cholesky factor, even with 10^6 times the least jitter. Look for "
            "entries of X far beyond all others."
        )
    by_name = {one.name: one for one in sorted(scored, key=lambda one: one.evidence)}
    evidence = {one.name: by_name[one.name].evidence for one in scored}
    loo = {name: by_name[name].left_out for name in evidence}
    weights, members = gate(evidence, loo, n), []
    for name, weight in weights.items():
        made = by_name[name].members(weight)
        total = sum(member.weight for member in made)
        members += [member._replace(weight=weight * member.weight / total) for member in made]
    converged = all(by_name[name].converged for name in weights)
    return Search(members, evidence, converged)


def gate(evidence: dict[str, float], loo: dict[str, float], n: int) -> dict[str, float]:
    """Weights of the members that are let in, see above.

    Args:
        evidence: Laplace log evidence by name.
        loo: leave-one-out log density by name.
        n: number of rows.

    Returns:
        Weights by name, their sum 1, without those below 1 %.
    """
    best = max(evidence.values())
    inside = [name for name, value in evidence.items() if value >= best - _reach(n)]
    scores = np.array([0.5 * (evidence[name] + loo[name]) for name in inside]) / TEMPERATURE
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    weights[weights < NEGLIGIBLE] = 0.0
    weights /= weights.sum()
    return {name: float(w) for name, w in zip(inside, weights, strict=True) if w}


def _reach(n: int) -> float:
    """Nats below the best that still let a member in."""
    return max(GATE, 0.2 * n)


def part(rows: Rows, index: np.ndarray) -> Rows:
    """Some of the rows, with their share of the spread within rows.

    Args:
        rows: all.
        index: which of them.

    Returns:
        Those, in the order of all.
    """
    index = np.sort(index)
    if len(index) == len(rows.y):
        return rows
    extra = max(float(rows.w.sum()) - len(rows.w), 1e-300)
    share = max(float(rows.w[index].sum()) - len(index), 0.0) / extra
    return Rows(rows.x[index], rows.y[index], rows.w[index], rows.spread * min(share, 1.0))


def judge(one: Candidate, rows: Rows, box: np.ndarray) -> Judged | None:
    """A candidate on these rows.

    Args:
        one: a kernel at its best.
        rows: the data.
        box: interval of each input (2, d).

    Returns:
        What is judged; None where no factor exists.
    """
    model = Evidence(one.name, rows, box)
    made = condition(model, one.theta)
    if made is None:
        return None
    process, factor, precision = made
    off = (one.theta - model.centre) / model.spread
    prior = np.diag(1 / model.spread**2)
    hessian = prior + len(rows.y) / one.n * (one.hessian - prior)
    volume = -0.5 * np.linalg.slogdet(hessian)[1] - np.log(model.spread).sum()
    mean, variance = left_out(rows.y, factor.dual, precision)
    density = -0.5 * np.sum((rows.y - mean) ** 2 / variance + np.log(2 * np.pi * variance))
    noise = float(np.exp(one.theta[0]))
    evidence = model.likelihood(factor, noise) - 0.5 * off @ off + volume
    error = float(np.sqrt(np.average((rows.y - mean) ** 2, weights=rows.w)))
    return Judged(one, process, float(evidence), float(density) + within(rows, noise), error)
