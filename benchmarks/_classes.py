"""Which points and which reduced problem do the comparisons on peaks in five classes share?

As in the course: five bands of equal height of the surface on a grid of 256 x 256 points over [-3, 3]^2, and as many
points, drawn with replacement, from each band.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._common import Run, median, timed
from benchmarks.peaks import peaks

CLASSES, SIDE = 5, 256
TRAINING, HELD_OUT = 1000, 2000


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


def measure(run: Run, method: str, net: Any, seed: int, **settings: Any) -> None:
    """Train twice, the second time without compilation, and record error, seconds and passes over the data."""
    import jax

    if not run.wants("ours", method, seed=seed):
        return
    with jax.enable_x64(True):
        jax.clear_caches()
        (error, passes, steps), cold = timed(lambda: fit(net, seed, **settings))
        _, warm = timed(lambda: fit(net, seed, **settings))
    values = {"error": error, "cold": cold, "seconds": warm, "passes": passes, "steps": steps}
    run.record("ours", method, {"seed": seed}, **values, ms_per_pass=1e3 * warm / passes, **settings)


def fit(
    net: Any, seed: int, *, alpha: float, alpha_head: float, iterations: int, eliminate: bool = True
) -> tuple[float, float, int]:
    """Held-out error in per cent, passes over the data and steps of Newton-CG, the head eliminated or moved along."""
    import jax
    import jax.numpy as jnp

    from numdl.optimize import NewtonCG, minimize
    from numdl.problems import SOFTMAX, VarPro, coupled
    from numdl.regularize import GroupPenalty

    x, y, x_val, y_val = parts(seed)
    theta = jax.tree.map(jnp.asarray, net.init(seed, np.float64))
    penalty = GroupPenalty(jnp.asarray(np.array([alpha])), jnp.asarray(np.zeros(net.n_parameters, int)))
    data = (jnp.asarray(a) for a in (x, np.eye(CLASSES)[y], np.ones(len(x))))
    problem = VarPro(net, SOFTMAX, *data, penalty, jnp.asarray(np.array(alpha_head)))
    head = problem.first_head(theta)
    if eliminate:
        result, _ = minimize(problem, NewtonCG(), theta, head, max_iter=iterations)
        theta, head = result.p, result.aux
    else:
        result, _ = minimize(coupled(problem, theta), NewtonCG(), {"theta": theta, "W": head}, max_iter=iterations)
        theta, head = result.p["theta"], result.p["W"]
    u = np.asarray(net.batch(theta, jnp.asarray(x_val)))
    weights = np.asarray(head)
    predicted = np.argmax(u @ weights[:, :-1].T + weights[:, -1], axis=1)
    history = result.history
    return 100 * float(np.mean(predicted != y_val)), float(history["work"][-1]), len(history["seconds"])


def medians(records: list[dict[str, Any]], method: str) -> dict[str, float]:
    """Medians over the seeds of one method."""
    same = [r for r in records if r["method"] == method]
    keys = ("error", "cold", "seconds", "ms_per_pass")
    return {key: median(r[key] for r in same) for key in keys} | {"seeds": len(same)}
