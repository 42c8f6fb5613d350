"""How far is a Levenberg-Marquardt step from its floor, one symmetric product and one Cholesky factor by BLAS?

Residual networks (antisymmetric, forward Euler, 8 inputs) with 684 weights and 10,000 rows, and 2320 weights and 2000
rows, in float64: a step of variable projection evaluates features and head, forms the Gauss-Newton matrix in the blocks
that the estimators choose, factorises it once and evaluates the trial. The floor is ``dsyrk`` of a Jacobian of that
size and ``potrf`` of its square. CPU seconds of one thread of BLAS, medians of calls that take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import cholesky
from scipy.linalg.blas import dsyrk
from threadpoolctl import threadpool_limits

from benchmarks._common import Run, median, ratio, table
from numdl.estimators.networks.training.solver_choice import choose_algebra
from numdl.models import ResNet
from numdl.optimize import LevenbergMarquardt
from numdl.problems import VarPro
from numdl.problems.risk.losses import LEAST_SQUARES
from numdl.regularize import GroupPenalty

CASES = {"10000 x 684": (10_000, 8, 17), "2000 x 2320": (2000, 16, 16)}
"""Rows, width and depth of the network."""

REPEATS = 9


def ours(n: int, width: int, depth: int) -> tuple[Callable[[], Any], int, str]:
    """A step of the library, the number of its unknowns, and its blocks."""
    net = ResNet(d=8, width=width, depth=depth, T=3.0, dynamics="antisymmetric")
    p = net.n_parameters
    x = jnp.asarray(np.random.default_rng(0).standard_normal((n, 8)))
    y = jnp.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3]
    choice = choose_algebra(n, 1, net, squares=True, memory_budget=2**30, itemsize=8)
    penalty = GroupPenalty(jnp.full(1, 1e-3), jnp.zeros(p, jnp.int32))
    problem = VarPro(net, LEAST_SQUARES, x, y, jnp.ones(n), penalty, jnp.asarray(1e-3), chunk=choice.chunk)
    theta = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), net.init(0))
    method = LevenbergMarquardt()
    start = method.init(problem, theta, problem.first_head(theta))
    step = jax.jit(lambda problem, iterate: method.step(problem, iterate))
    return lambda: jax.block_until_ready(step(problem, start)), p, str(choice.chunk or n)


def floor(n: int, p: int) -> Callable[[], Any]:
    """The symmetric product and the factor."""
    a = np.random.default_rng(0).standard_normal((p, n))
    matrix = a @ a.T + np.eye(p)
    return lambda: (dsyrk(1.0, a.T, trans=1), cholesky(matrix, check_finite=False))


def run(run: Run) -> None:
    """Both in turn, for each size."""
    with jax.enable_x64(True), threadpool_limits(1):
        for name in run.chosen(tuple(CASES), 1):
            step, p, block = ours(*CASES[name])
            calls = {("ours", "levenberg_marquardt"): step, ("theirs", "dsyrk_potrf"): floor(CASES[name][0], p)}
            seconds = {key: [] for key in calls}
            for round_ in range(1 + (2 if run.quick else REPEATS)):
                for key, call in calls.items():
                    start = time.process_time()
                    call()
                    if round_:  # the first compiles
                        seconds[key].append(time.process_time() - start)
            for (side, method), each in seconds.items():
                if run.wants(side, method, set=name):
                    run.record(side, method, {"set": name}, cpu_seconds=median(each), block=block)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """CPU seconds of the step over those of the floor."""
    found, rows = {}, []
    for name in CASES:
        each = {r["side"]: r["cpu_seconds"] for r in records if r["set"] == name}
        found[name] = ratio(each.get("ours"), each.get("theirs"))
        rows.append([name, each.get("ours"), each.get("theirs"), found[name]])
    table("CPU seconds of a Levenberg-Marquardt step", ["rows x weights", "step", "dsyrk and potrf", "ratio"], rows)
    known = [value for value in found.values() if value is not None]
    return {"step_over_floor": found, "requirements": {"at most 1.8": max(known) <= 1.8 if known else None}}
