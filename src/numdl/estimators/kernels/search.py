"""Which kernels and which hyperparameters explain a target, and how much weight does each of them get?

On few rows all kernels are tried from several starts; the best go on with more rows; all rows are factorised once for
each that is left. Where rows are few, hyperparameters are averaged by Hamiltonian Monte Carlo instead of trusted.

Members are those within ``max(10, n / 10)`` nats of the best Laplace evidence; their weights are the softmax of the
mean of evidence and leave-one-out log density, over 5. No rule was seen to be always best; this one never failed badly.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, sec. 5.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numdl.estimators.kernels.evidence import JITTER, Evidence, Factor, Rows, factorise, left_out, within
from numdl.estimators.kernels.optimum import Candidate, draw, optimise, refine

SCREEN = 150
"""Rows on which all kernels are tried; up to here hyperparameters are averaged."""

REFINE = 600
"""Rows on which the best go on."""

LARGEST = 6000
"""Rows of a factorisation: more need gigabytes and minutes."""

TEMPERATURE, GATE, NEGLIGIBLE = 5.0, 10.0, 0.01


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


class Process(NamedTuple):
    """One process, as predictions and files need it.

    Attributes:
        kernel: its name.
        theta: hyperparameters (p,).
        weight: share in the mixture.
        lower: L of the covariance L L' of the rows with noise and jitter (n, n).
        dual: solution of L L' dual = y (n,).
        jitter: variance added for the sake of rounding.
        raised: whether it is more than the least.
        freedom: effective degrees of freedom.
    """

    kernel: str
    theta: np.ndarray
    weight: float
    lower: np.ndarray
    dual: np.ndarray
    jitter: float
    raised: bool
    freedom: float


class Judged(NamedTuple):
    """A candidate on all rows: its process, Laplace log evidence and leave-one-out log density."""

    candidate: Candidate
    process: Process
    evidence: float
    left_out: float


class Search(NamedTuple):
    """What a search found: members, scores of all kernels tried on all rows (evidence, leave-one-out), notes."""

    processes: list[Process]
    chosen: tuple[str, ...]
    evidence: dict[str, float]
    left_out: dict[str, float]
    notes: list[str]
    converged: bool


def search(rows: Rows, box: np.ndarray, settings: Settings, rng: np.random.Generator) -> Search:
    """Members for one target.

    Args:
        rows: the data.
        box: lowest and highest value of each input (2, d).
        settings: what is open.
        rng: source of starts, subsets and draws.

    Returns:
        The members with weights of sum 1.

    Raises:
        ValueError: no kernel gives a positive definite matrix.
    """
    n, notes = len(rows.y), []
    order = rng.permutation(n)
    few = _part(rows, order[: settings.few])
    found = [optimise(Evidence(name, few, box), settings.n_restarts, rng) for name in settings.kernels]
    judged = [one for best in found if best is not None and (one := _judge(best, few, box)) is not None]
    tried = settings.kernels
    if len(few.y) < n:
        judged = sorted(judged, key=lambda one: -one.evidence - one.left_out)[:2]
        tried = tuple(one.candidate.name for one in judged)
        more = _part(rows, order[: settings.more])
        found = [refine(one.candidate, Evidence(one.candidate.name, more, box)) for one in judged]
        judged = [one for best in found if (one := _judge(best, rows, box)) is not None]
    if not judged:
        raise ValueError(
            "KernelRegressor.fit: no kernel gave a matrix with a Cholesky factor, even with 10^6 times the least "
            "jitter. Look for entries of X far beyond all others."
        )
    by_name = {one.candidate.name: one for one in judged}
    if lost := [name for name in tried if name not in by_name]:
        notes.append(f"Left out, because their matrices have no Cholesky factor: {', '.join(lost)}.")
    evidence = {name: one.evidence for name, one in by_name.items()}
    loo = {name: one.left_out for name, one in by_name.items()}
    processes, weights = [], gate(evidence, loo, n)
    for name, weight in weights.items():
        made = [by_name[name].process]
        if settings.average:
            model = Evidence(name, rows, box)
            drawn = [_process(model, theta) for theta in draw(model, by_name[name].candidate, rng)]
            made = [one[0] for one in drawn if one is not None] or made
        processes += [process._replace(weight=weight / len(made)) for process in made]
    if any(process.raised for process in processes):
        notes.append("Some matrices needed more than the least jitter, see jitter_: rows may be all but equal.")
    converged = all(by_name[name].candidate.converged for name in weights)
    return Search(processes, tuple(weights), evidence, loo, notes, converged)


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
    inside = [name for name, value in evidence.items() if value >= best - max(GATE, 0.1 * n)]
    scores = np.array([0.5 * (evidence[name] + loo[name]) for name in inside]) / TEMPERATURE
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    weights[weights < NEGLIGIBLE] = 0.0
    weights /= weights.sum()
    return {name: float(w) for name, w in zip(inside, weights, strict=True) if w}


def _part(rows: Rows, index: np.ndarray) -> Rows:
    """Some of the rows, with their share of the spread within rows."""
    index = np.sort(index)
    if len(index) == len(rows.y):
        return rows
    extra = max(float(rows.w.sum()) - len(rows.w), 1e-300)
    share = max(float(rows.w[index].sum()) - len(index), 0.0) / extra
    return Rows(rows.x[index], rows.y[index], rows.w[index], rows.spread * min(share, 1.0))


def _process(model: Evidence, theta: np.ndarray) -> tuple[Process, Factor, np.ndarray] | None:
    """The process at these hyperparameters, of weight 1, its factor and the diagonal of its inverse; None without."""
    covariance = model.covariance(theta)
    least = JITTER * (covariance.trace() + len(covariance))
    factor = factorise(covariance, model.rows, np.exp(theta[0]))
    if factor is None:
        return None
    precision = factor.inverse.diagonal()
    freedom = len(precision) - (np.exp(theta[0]) / model.rows.w + factor.jitter) @ precision
    raised, lower = factor.jitter > 2 * least, factor.upper.T
    process = Process(model.name, theta, 1.0, lower, factor.dual, factor.jitter, bool(raised), float(freedom))
    return process, factor, precision


def _judge(one: Candidate, rows: Rows, box: np.ndarray) -> Judged | None:
    """A candidate on these rows; None where no factor exists."""
    model = Evidence(one.name, rows, box)
    made = _process(model, one.theta)
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
    return Judged(one, process, float(evidence), float(density) + within(rows, noise))
