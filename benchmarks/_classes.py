"""Which points and which reduced problem do the comparisons on peaks in five classes share?

As in the course: five bands of equal height of the surface on a grid of 256 x 256 points over [-3, 3]^2, and as many
points, drawn with replacement, from each band.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks._common import Run, median
from benchmarks.peaks import peaks

CLASSES, SIDE = 5, 256
TRAINING, HELD_OUT = 1000, 2000


class Fit(NamedTuple):
    """Held-out error in per cent, seconds of training, passes over the data (None where they are not counted)."""

    error: float
    seconds: float
    passes: float | None


def points(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """``n`` points (n, 2) and their classes (n,), as many of each class."""
    axis = np.linspace(-3, 3, SIDE)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    height = peaks(grid)
    share = (height - height.min()) / np.ptp(height)
    band = np.clip(np.ceil(CLASSES * share).astype(int) - 1, 0, CLASSES - 1)
    chosen = [rng.choice(np.flatnonzero(band == k), n // CLASSES) for k in range(CLASSES)]
    index = rng.permutation(np.concatenate(chosen))
    return grid[index], band[index]


def parts(seed: int) -> tuple[np.ndarray, ...]:
    """Training and held-out points, in units of the training part's mean and deviation, with their classes."""
    rng = np.random.default_rng(seed)
    (x, y), (x_val, y_val) = points(rng, TRAINING), points(rng, HELD_OUT)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    return (x - mean) / scale, y, (x_val - mean) / scale, y_val


def measure(run: Run, method: str, seed: int, fit: Callable[..., Fit], **settings: Any) -> None:
    """Train twice, the second time without compilation; record error, seconds in the optimiser and passes."""
    import jax

    if not run.wants("ours", method, seed=seed):
        return
    with jax.enable_x64(True):
        jax.clear_caches()
        first = fit(seed=seed, **settings)
        warm = fit(seed=seed, **settings)
    values = {"error": warm.error, "cold": first.seconds, "seconds": warm.seconds, "passes": warm.passes}
    each = 1e3 * warm.seconds / warm.passes if warm.passes else None
    run.record("ours", method, {"seed": seed}, **values, ms_per_pass=each, **settings)


def newton(net: Any, *, seed: int, alpha: float, alpha_head: float, iterations: int, eliminate: bool = True) -> Fit:
    """Newton-CG, the head eliminated or moved along."""
    from numdl.optimize import NewtonCG, minimize
    from numdl.problems import full_problem

    problem, theta, held = reduced(net, seed, alpha, alpha_head)
    head = problem.first_head(theta)
    if eliminate:
        result, _ = minimize(problem, NewtonCG(), theta, head, max_iter=iterations)
        return judged(problem, result, result.p, result.aux, held)
    result, _ = minimize(full_problem(problem, theta), NewtonCG(), {"theta": theta, "W": head}, max_iter=iterations)
    return judged(problem, result, result.p["theta"], result.p["W"], held)


def sgd(net: Any, *, seed: int, alpha: float, alpha_head: float, rate: float, batch: int, epochs: int) -> Fit:
    """Stochastic gradients with momentum 0.9 on theta and head, from a head of zeros."""
    from numdl.optimize import StochasticGradient, minimize_stochastic
    from numdl.problems import full_problem

    problem, theta, held = reduced(net, seed, alpha, alpha_head)
    start = {"theta": theta, "W": problem.first_head(theta)}
    result, _ = minimize_stochastic(
        full_problem(problem, theta),
        StochasticGradient(_momentum()),
        start,
        batch=batch,
        epochs=epochs,
        rate=rate,
        key=seed,
    )
    return judged(problem, result, result.p["theta"], result.p["W"], held)


@functools.cache
def _momentum() -> Any:
    """Made once: every new transformation is compiled anew."""
    import optax

    return optax.sgd(1.0, momentum=0.9)


def reduced(net: Any, seed: int, alpha: float, alpha_head: float) -> tuple[Any, Any, tuple[Any, np.ndarray]]:
    """Reduced problem on the training points of a seed, start, held-out points and classes."""
    import jax
    import jax.numpy as jnp

    from numdl.problems import SOFTMAX, VarPro
    from numdl.regularize import GroupPenalty

    x, y, x_val, y_val = parts(seed)
    theta = jax.tree.map(jnp.asarray, net.init(seed, np.float64))
    penalty = GroupPenalty(jnp.asarray(np.array([alpha])), jnp.asarray(np.zeros(net.n_parameters, int)))
    x, c, w = (jnp.asarray(a) for a in (x, np.eye(CLASSES)[y], np.ones(len(x))))
    problem = VarPro(net, SOFTMAX, x, c, w, penalty, jnp.asarray(np.array(alpha_head)))
    return problem, theta, (jnp.asarray(x_val), y_val)


def judged(problem: Any, result: Any, theta: Any, head: Any, held: tuple[Any, np.ndarray]) -> Fit:
    """What a run reached; only the time in the optimiser counts."""
    import jax

    x, y = held
    u = jax.jit(problem.features.batch)(theta, x)
    predicted = np.argmax(np.asarray(problem.scores(u, head)), axis=1)
    error = 100 * float(np.mean(predicted != y))
    return Fit(error, float(result.history["seconds"][-1]), float(result.history["work"][-1]))


def medians(records: list[dict[str, Any]], method: str) -> dict[str, float]:
    """Medians over the seeds of one method."""
    same = [r for r in records if r["method"] == method]
    keys = ("error", "cold", "seconds", "ms_per_pass")
    found = {key: [r[key] for r in same if r[key] is not None] for key in keys}
    return {key: median(values) for key, values in found.items()} | {"seeds": len(same)}
