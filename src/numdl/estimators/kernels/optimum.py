"""Which hyperparameters explain the rows best, and which others do nearly as well?

L-BFGS climbs the log posterior in units of the prior's spread. Around the maximum, Hamiltonian Monte Carlo draws from
the posterior itself, with the curvature at the maximum as mass: the Laplace approximation is where it starts.

Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, sec. 5.4; Neal, MCMC using
Hamiltonian dynamics, Handbook of Markov Chain Monte Carlo, 2011, sec. 5.3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from numdl.estimators.kernels.evidence import Evidence


class Candidate(NamedTuple):
    """A kernel at its best hyperparameters: log posterior there, curvature, and on how many rows."""

    name: str
    theta: np.ndarray
    hessian: np.ndarray
    n: int
    converged: bool


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


def optimise(model: Evidence, starts: int, rng: np.random.Generator) -> Candidate | None:
    """The best of several starts, followed to its end.

    The first start says that much is noise: from there the climb does not end where short lengths imitate noise.

    Args:
        model: to climb.
        starts: their number; all but the first are drawn from the prior.
        rng: source of the draws.

    Returns:
        The maximum, or None where the log posterior is nowhere finite.
    """
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


def refine(one: Candidate, model: Evidence) -> Candidate:
    """A few steps more on more rows; the data's part of the curvature grows with their number.

    Args:
        one: where to start.
        model: to climb, on more rows.

    Returns:
        A better point; that it is the maximum is not asked for.
    """
    value, theta, _ = _climb(model, one.theta, 20)
    ratio = len(model.rows.y) / one.n
    prior = np.diag(1 / model.spread**2)
    hessian = prior + ratio * (one.hessian - prior)
    return Candidate(one.name, theta if value > -1e10 else one.theta, hessian, len(model.rows.y), True)


def draw(model: Evidence, one: Candidate, rng: np.random.Generator, draws: int = 12) -> list[np.ndarray]:
    """Hyperparameters from their posterior.

    Args:
        model: the log posterior.
        one: its maximum.
        rng: source of the draws.
        draws: their number.

    Returns:
        Each (p,).
    """
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
