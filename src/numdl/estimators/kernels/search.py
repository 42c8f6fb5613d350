"""Which kernels and which hyperparameters explain a target, and how much weight does each of them get?

On few rows all kernels are tried from several starts; the best go on with more rows; all rows are factorised once for
each that is left. Where rows are few, hyperparameters are averaged by Hamiltonian Monte Carlo instead of trusted.

Members are those within ``max(10, n / 10)`` nats of the best Laplace evidence; their weights are the softmax of the
mean of evidence and leave-one-out log density, over 5. No rule was seen to be always best; this one never failed badly.

Sources: Neal, MCMC using Hamiltonian dynamics, Handbook of Markov Chain Monte Carlo, 2011, sec. 5.3; Rasmussen and
Williams, Gaussian Processes for Machine Learning, MIT Press 2006, sec. 5.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from numdl.estimators.kernels.evidence import JITTER, Evidence, Factor, Rows, factorise, left_out

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


class Candidate(NamedTuple):
    """A kernel at its best hyperparameters: log posterior there, curvature, and on how many rows."""

    name: str
    theta: np.ndarray
    hessian: np.ndarray
    n: int
    converged: bool


class Process(NamedTuple):
    """One process: kernel, hyperparameters, share in the mixture, and the factor L L' of its rows."""

    kernel: str
    theta: np.ndarray
    weight: float
    lower: np.ndarray
    dual: np.ndarray
    jitter: float
    raised: bool
    freedom: float


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
    found = [_optimise(Evidence(name, few, box), settings.n_restarts, rng) for name in settings.kernels]
    scored = [(_scores(one, few, box), one) for one in found if one is not None]
    scored = [(sum(scores), one) for scores, one in scored if scores is not None]
    if len(few.y) < n:
        best = sorted(scored, key=lambda pair: -pair[0])[:2]
        more = _part(rows, order[: settings.more])
        scored = [(score, _refine(one, Evidence(one.name, more, box))) for score, one in best]
    refined = {one.name for _, one in scored}
    judged = {one.name: (one, scores) for _, one in scored if (scores := _scores(one, rows, box)) is not None}
    if not judged:
        raise ValueError(
            "KernelRegressor.fit: no kernel gave a matrix with a Cholesky factor, even with 10^6 times the least "
            "jitter. Look for entries of X far beyond all others."
        )
    lost = [name for name in settings.kernels if name not in judged and (len(few.y) == n or name in refined)]
    if lost:
        notes.append(f"Left out, because their matrices have no Cholesky factor: {', '.join(lost)}.")
    evidence, loo = ({name: scores[i] for name, (_, scores) in judged.items()} for i in (0, 1))
    processes, weights = [], gate(evidence, loo, n)
    for name, weight in weights.items():
        one, model = judged[name][0], Evidence(name, rows, box)
        draws = _draws(model, one, rng) if settings.average else [one.theta]
        made = [process for theta in draws if (process := _process(model, theta)) is not None]
        processes += [process._replace(weight=weight / len(made)) for process in made]
    if any(process.raised for process in processes):
        notes.append("Some matrices needed more than the least jitter, see jitter_: rows may be all but equal.")
    converged = all(judged[name][0].converged for name in weights)
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


def _climb(model: Evidence, start: np.ndarray, steps: int) -> tuple[float, np.ndarray, bool]:
    """L-BFGS in units of the prior's spread; log posterior, where, and whether it converged."""

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = model(model.centre + model.spread * u)
        return (-value, -gradient * model.spread) if np.isfinite(value) else (1e10, np.zeros(len(u)))

    low, high = ((end - model.centre) / model.spread for end in (model.low, model.high))
    shrink = 1e-9  # so that rounding does not carry a point on the bound beyond it
    bounds = list(zip(low + shrink, high - shrink, strict=True))
    first = np.clip((start - model.centre) / model.spread, low + shrink, high - shrink)
    options = {"maxiter": steps, "maxfun": 2 * steps + 10, "maxcor": 20, "ftol": 1e-9, "gtol": 1e-3}
    done = minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return -float(done.fun), model.centre + model.spread * done.x, done.status != 1


def _optimise(model: Evidence, starts: int, rng: np.random.Generator) -> Candidate | None:
    """The best of several starts, followed to its end."""
    first = model.centre.copy()
    first[0] = np.log(0.1)
    points = [first]
    for _ in range(starts - 1):
        point = model.centre + 0.5 * model.spread * rng.standard_normal(len(first))
        point[0] = np.log(1e-3)
        points.append(point)
    tried = [_climb(model, point, 30 if starts > 1 else 200) for point in points]
    value, theta, converged = max(tried, key=lambda one: one[0])
    if value <= -1e10:
        return None
    if not converged:
        value, theta, converged = _climb(model, theta, 200)
    return Candidate(model.name, theta, model.hessian(theta), len(model.rows.y), converged)


def _refine(one: Candidate, model: Evidence) -> Candidate:
    """A few steps more on more rows; the data's part of the curvature grows with their number."""
    value, theta, _ = _climb(model, one.theta, 20)
    ratio = len(model.rows.y) / one.n
    prior = np.diag(1 / model.spread**2)
    hessian = prior + ratio * (one.hessian - prior)
    return Candidate(one.name, theta if value > -1e10 else one.theta, hessian, len(model.rows.y), True)


def _factor(model: Evidence, theta: np.ndarray) -> Factor | None:
    return factorise(model.covariance(theta), model.rows, np.exp(theta[0]))


def _process(model: Evidence, theta: np.ndarray) -> Process | None:
    """The process at these hyperparameters, of weight 1."""
    covariance = model.covariance(theta)
    least = JITTER * (covariance.trace() + len(covariance))
    factor = factorise(covariance, model.rows, np.exp(theta[0]))
    if factor is None:
        return None
    shrunk = np.exp(theta[0]) / model.rows.w + factor.jitter
    freedom = len(shrunk) - shrunk @ factor.inverse.diagonal()
    lower = factor.upper.T
    return Process(model.name, theta, 1.0, lower, factor.dual, factor.jitter, factor.jitter > 2 * least, float(freedom))


def _scores(one: Candidate, rows: Rows, box: np.ndarray) -> tuple[float, float] | None:
    """Laplace log evidence and leave-one-out log density on these rows; None where no factor exists."""
    model = Evidence(one.name, rows, box)
    factor = _factor(model, one.theta)
    if factor is None:
        return None
    noise = np.exp(one.theta[0])
    off = (one.theta - model.centre) / model.spread
    prior = np.diag(1 / model.spread**2)
    hessian = prior + len(rows.y) / one.n * (one.hessian - prior)
    spread = -0.5 * np.linalg.slogdet(hessian)[1] - np.log(model.spread).sum()
    mean, variance = left_out(factor, rows)
    density = -0.5 * np.sum((rows.y - mean) ** 2 / variance + np.log(2 * np.pi * variance))
    return (
        model._likelihood(factor, noise) - 0.5 * off @ off + float(spread),
        float(density) + model._within(noise),
    )


def _draws(model: Evidence, one: Candidate, rng: np.random.Generator, draws: int = 12) -> list[np.ndarray]:
    """Hyperparameters from their posterior, by Hamiltonian Monte Carlo with the curvature at the maximum as mass."""
    root = np.linalg.inv(np.linalg.cholesky(one.hessian)).T  # covariance of the Laplace approximation is root root'

    def at(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = model(one.theta + root @ z)
        return value, root.T @ gradient

    z, step, kept = np.zeros(len(one.theta)), 0.5, []
    value, gradient = at(z)
    for i in range(8 + 2 * draws):
        momentum = rng.standard_normal(len(z))
        energy = value - 0.5 * momentum @ momentum
        point, slope, height = z, gradient, value
        for _ in range(6):
            momentum = momentum + 0.5 * step * slope
            point = point + step * momentum
            height, slope = at(point)
            if not np.isfinite(height):
                break
            momentum = momentum + 0.5 * step * slope
        accept = np.log(rng.random()) < height - 0.5 * momentum @ momentum - energy
        if accept:
            z, value, gradient = point, height, slope
        if i < 8:
            step *= 1.2 if accept else 0.6
        elif i % 2:
            kept.append(one.theta + root @ z)
    return kept
