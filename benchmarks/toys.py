"""Which toy problems does which dynamics separate, at which depth and in which time?

Seven sets of points in the plane with two classes, 513 to train and 513 held out, all scaled alike. Networks of width 4
without opening (two inputs, two zeros) flow on [0, 20]; the logistic head is eliminated, Levenberg-Marquardt moves the
rest and stops when the training part says so: at a mean misfit of 0.005, or after 60 steps. Each step of a flow has
its own weights up to 640 in all; larger ones have 16 coefficients of cubic splines in time, and from 256 steps on they
march without storing their states. Octave's seconds on the swiss roll (one core, another machine) are quoted, not
measured here.
"""

from __future__ import annotations

import functools
import itertools
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks._common import Run, median, ratio, standardise, table

SETS = ("swiss-roll", "ellipses", "double-circles", "double-moons", "donuts", "spirals", "peaks-classes")
SETTINGS = {"spirals": {"classes": 2, "turns": 1.5}, "peaks-classes": {"classes": 2}}
SCHEMES = {
    "plain": "euler",
    "antisymmetric": "euler",
    "parabolic": "euler",
    "hamiltonian": "symplectic_euler",
    "second_order": "symplectic_euler",
}
"""VectorField with the scheme that steps them."""

DEPTHS, DEEP = (8, 16, 32, 64), (256, 1024)
OCTAVE = {16: 29.0, 32: 19.0, 64: 42.0}
"""Seconds of a Hamiltonian network with so many layers on the swiss roll, 99.8 to 100 % right."""

N, WIDTH, T = 513, 4, 20.0
MOST_WEIGHTS, COEFFICIENTS = 640, 16
ALPHA, ALPHA_HEAD, ENOUGH, STEPS = 1e-3, 1e-5, 5e-3, 60
"""Penalties by the swiss roll: 1e-5 on the weights left 0 to 23 % wrong with 16 layers, 1e-4 up to 0.2, 1e-3 none."""


@functools.cache
def points(name: str) -> tuple[np.ndarray, ...]:
    """Training and held-out points in units of the training part's mean and deviation, with their classes (513, 1)."""
    from numdl.data import TOYS

    data = TOYS[name](N if name == "swiss-roll" else 2 * N, 0, **SETTINGS.get(name, {}))
    row = np.arange(2 * N)
    # Along the roll both classes take turns in being held out.
    kept = np.isin(row % 4, (0, 3)) if name == "swiss-roll" else row < N
    x, x_val = standardise(data.x[kept], data.x[~kept])
    return x, data.c[kept, 1:], x_val, data.c[~kept, 1:]


def network(dynamics: str, depth: int) -> Any:
    """Width 4, no opening; deep ones recompute or undo their steps, large ones have weights on splines."""
    from numdl.models import ResNet

    net = ResNet(2, WIDTH, depth, T=T, dynamics=dynamics, scheme=SCHEMES[dynamics], opening=False)
    if net.n_parameters > MOST_WEIGHTS:
        net = replace(net, control="spline", coefficients=COEFFICIENTS)
    if depth in DEEP:
        net = replace(net, march="checkpointed" if SCHEMES[dynamics] == "euler" else "reversible")
    return net


def fit(net: Any, name: str, seed: int, steps: int = STEPS) -> dict[str, Any]:
    """Train; errors in per cent, seconds in the optimiser, steps."""
    import jax
    import jax.numpy as jnp

    from numdl.contracts import Status
    from numdl.optimize import LevenbergMarquardt, minimize
    from numdl.problems import LOGISTIC, VarPro
    from numdl.regularize import GroupPenalty

    x, c, x_val, c_val = points(name)
    theta = jax.tree.map(jnp.asarray, net.init(seed, np.float64))
    penalty = GroupPenalty(jnp.asarray(np.array([ALPHA])), jnp.asarray(np.zeros(net.n_parameters, int)))
    inputs, targets, ones = (jnp.asarray(a) for a in (x, c, np.ones(len(x))))
    problem = VarPro(net, LOGISTIC, inputs, targets, ones, penalty, jnp.asarray(np.array(ALPHA_HEAD)))

    def enough(progress: Any) -> Status | None:
        return Status("converged", "The misfit is small.") if progress.history["misfit"][-1] < ENOUGH else None

    head = problem.first_head(theta)
    result, _ = minimize(problem, LevenbergMarquardt(), theta, head, max_iter=steps, observe=enough)
    batch = jax.jit(net.batch)

    def wrong(x: np.ndarray, c: np.ndarray) -> float:
        scores = np.asarray(problem.scores(batch(result.p, jnp.asarray(x)), result.aux))
        return 100 * float(np.mean((scores > 0) != (c > 0.5)))

    found = {"error": wrong(x_val, c_val), "train_error": wrong(x, c)}
    return found | {"seconds": float(result.history["seconds"][-1]), "steps": len(result.history["seconds"])}


def run(run: Run) -> None:
    """Every set with every network; one compilation for each network, before what is timed."""
    import jax

    every = [("hamiltonian", 16)] if run.quick else itertools.product(SCHEMES, (*DEPTHS, *DEEP))
    for dynamics, depth in every:
        seeds = range(run.seeds or (1 if run.quick or depth in DEEP else 3))
        names = run.sets or SETS
        keys = [{"set": name, "depth": depth, "seed": seed} for name in names for seed in seeds]
        wanted = [key for key in keys if run.wants("ours", dynamics, **key)]
        if not wanted:
            continue
        net = network(dynamics, depth)
        with jax.enable_x64(True):
            jax.clear_caches()
            start = time.perf_counter()
            fit(net, names[0], 0, steps=1)
            compiling = time.perf_counter() - start
            for key in wanted:
                values = fit(net, key["set"], key["seed"])
                run.record("ours", dynamics, key, **values, weights=net.n_parameters, compiling=compiling)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the seeds; what the Hamiltonian networks reach, and Octave's seconds over ours."""
    cells: dict[tuple, list[dict[str, Any]]] = {}
    for r in records:
        cells.setdefault((r["set"], r["method"], r["depth"]), []).append(r)
    depths = sorted({depth for _, _, depth in cells})
    for key, unit in (("error", "% held out wrong"), ("seconds", "s")):
        middle = {cell: median(r[key] for r in found) for cell, found in cells.items()}
        pairs = dict.fromkeys(cell[:2] for cell in cells)
        rows = [(*pair, *(middle.get((*pair, depth)) for depth in depths)) for pair in sorted(pairs)]
        table(f"Toy problems, {unit}, median over seeds", ("set", "dynamics", *map(str, depths)), rows)
    roll = {depth: cells.get(("swiss-roll", "hamiltonian", depth), []) for depth in OCTAVE}
    rings = {depth: cells.get(("double-circles", "hamiltonian", depth), []) for depth in OCTAVE}
    slowest = {depth: max((r["seconds"] for r in found), default=None) for depth, found in roll.items()}
    faster = {depth: ratio(OCTAVE[depth], seconds) for depth, seconds in slowest.items()}
    errors = {
        name: [[r["error"] for r in found] for found in by_depth.values()]
        for name, by_depth in (("swiss roll", roll), ("double circles", rings))
    }
    met = {
        **{f"{name} 100 % at the median seed": all(median(e) == 0 for e in found) for name, found in errors.items()},
        **{
            f"{name} 100 % with every seed": all(max(e, default=1) == 0 for e in found)
            for name, found in errors.items()
        },
        "at least 20x faster than Octave": all(value is not None and value >= 20 for value in faster.values()),
    }
    best: dict[str, dict[str, float]] = {}
    for (name, dynamics, _), found in cells.items():
        error, of_set = median(r["error"] for r in found), best.setdefault(name, {})
        of_set[dynamics] = min(error, of_set.get(dynamics, 100.0))
    return {
        "best_median_error": best,
        "octave_seconds_quoted": OCTAVE,
        "slowest_seconds": slowest,
        "times_faster_with_the_slowest_seed": faster,
        "requirements": met,
    }
