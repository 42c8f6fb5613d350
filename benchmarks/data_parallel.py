"""Do rows that are divided among processes give the same iterates, in how much of the time, and what would more give?

``gauss-newton``: a residual network (8 layers of width 8) on 8192 samples of a smooth function of two inputs, variable
projection with least squares, Levenberg-Marquardt with the dense matrix, penalties 1e-2, five steps. ``softmax``: a
linear softmax model on 32768 samples of 128 features, ten classes, penalty 1e-3, Newton-CG, six steps.

One and two processes are started, each bound to a core of its own, joined by ``jax.distributed`` on gloo. ``seconds``
is the median of three runs from the same start, compiled before; ``gap`` the largest difference of any unknown after
any step from those of one process, relative to the largest unknown. ``whole`` is one process on both cores.

The cost model: an operation (a matrix with its gradient, a value; a linearisation, a product) takes
``flops(P) / rate + messages latency log2 P + 2 (1 - 1/P) bytes / bandwidth``, with ``flops(P) = shared / P + copied``.
``shared`` and ``copied`` come from XLA's count for P = 1 and 2, ``rate`` from the seconds of one process, latency and
bandwidth from all-reduces of 8 bytes and 8 MB between two. It is checked by XLA's count of flops and messages for 4 and
8 devices of one process, more than there are cores: operations are counted there, no times. Factorisations by LAPACK
(Cholesky of p^2 numbers, QR of each shard) are outside XLA's count; ``p^3 / 3`` flops of the former are added to
``copied`` for each matrix.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._common import BenchmarkError, Run, ratio, table
from benchmarks._processes import REPEATS, Compiled, join, median_seconds, started

PROBLEMS = ("gauss-newton", "softmax")
COUNTED = (1, 2, 4, 8)
PREDICTED = tuple(2**k for k in range(11))


def run(run: Run) -> None:
    """Our side; there is no other."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchmarkError(
            f"benchmark data_parallel: {len(cores)} core is free, needs 2. Run it on a larger machine."
        )
    for problem in PROBLEMS:
        keys = {"problem": problem}
        with tempfile.TemporaryDirectory() as folder:

            def run_here(
                what: str, cores: list[list[int]], at: Path = Path(folder), name: str = problem
            ) -> dict[str, Any]:
                return start(what, name, run.quick, at, cores)[0]

            if run.wants("ours", "counted", **keys):
                run.record("ours", "counted", keys, **run_here("count", [cores]))
            if not run.wants("ours", "2 processes", **keys):
                continue
            run.record("ours", "1 process, 2 cores", keys, **run_here("time", [cores]))
            run.record("ours", "1 process, 1 core", keys, **run_here("time", [cores[:1]]))
            two = run_here("time", [[core] for core in cores[:2]])
            one, other = (np.load(Path(folder) / f"{count}.npy") for count in (1, 2))
            run.record("ours", "2 processes", keys, gap=relative(other, one), steps=len(one), **two)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest number."""
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))


def start(what: str, problem: str, quick: bool, folder: Path, cores: list[list[int]]) -> list[dict[str, Any]]:
    """Start a process for each entry of ``cores``, bound to these; what each of them found."""
    task = {"what": what, "problem": problem, "quick": quick, "folder": str(folder)}
    return started("data_parallel", task, cores, devices=8 if what == "count" else 1)


def work(task: dict[str, Any]) -> dict[str, Any]:
    """What one of the processes does."""
    join(task)
    import jax

    with jax.enable_x64(True):
        if task["what"] == "count":
            return count(task["problem"], task["quick"])
        mesh = None if task["count"] == 1 else jax.make_mesh((task["count"],), ("data",))
        problem, method, p, aux = made(task["problem"], task["quick"], mesh)
        found, seconds = stepped(problem, method, p, aux, task["problem"], REPEATS)
        if task["index"] == 0:
            np.save(Path(task["folder"]) / f"{task['count']}.npy", found)
        operations = {name: median_seconds(call) for name, call in of(problem, p, aux).items()}
        exchange = {} if mesh is None else {str(size): median_seconds(reduction(mesh, size), 20) for size in (1, 2**20)}
        return {"seconds": seconds, "operations": operations, "exchange": exchange}


def made(name: str, quick: bool, mesh: Any) -> tuple[Any, Any, Any, Any]:
    """Problem, method and start."""
    import jax
    import jax.numpy as jnp

    from numdl.models import ResNet
    from numdl.optimize import InexactNewton, LevenbergMarquardt
    from numdl.problems import LEAST_SQUARES, SOFTMAX, VarPro, linear_empirical
    from numdl.problems.sharding import count_shards, divide
    from numdl.regularize import GroupPenalty, OperatorPenalty

    rng = np.random.default_rng(0)
    if name == "gauss-newton":
        n = 1000 if quick else 8192
        x = rng.uniform(-2, 2, (n, 2))
        c = np.sin(2 * x[:, :1]) * np.exp(-(x[:, 1:] ** 2))
        net = ResNet(2, width=8, depth=2 if quick else 8, T=2.0)
        theta = net.init(0, np.float64)
        size = sum(leaf.size for leaf in jax.tree.leaves(theta))
        penalty = GroupPenalty(jnp.full(1, 1e-2), jnp.zeros(size, int))
        w, x, c = divide(mesh, np.ones(n), x, c)
        problem = VarPro(net, LEAST_SQUARES, x, c, w, penalty, jnp.asarray(1e-2), n_shards=count_shards(mesh))
        return problem, LevenbergMarquardt(), theta, problem.first_head(theta)
    n, d, k = (2000, 16, 3) if quick else (32768, 128, 10)
    x = rng.normal(size=(n, d))
    c = np.eye(k)[np.argmax(x @ rng.normal(size=(d, k)) + 5 * rng.normal(size=(n, k)), axis=1)]
    penalty = OperatorPenalty(jnp.asarray(1e-3))
    return linear_empirical(SOFTMAX, penalty, x, c, np.ones(n), mesh=mesh), InexactNewton(), jnp.zeros((k, d + 1)), None


def stepped(problem: Any, method: Any, p: Any, aux: Any, name: str, repeats: int) -> tuple[np.ndarray, float]:
    """Unknowns after each step, (steps, p), and the median time of all steps."""
    from jax.flatten_util import ravel_pytree

    from numdl.optimize import minimize

    steps, times = 5 if name == "gauss-newton" else 6, []
    seen: list[np.ndarray] = []

    def observe(progress: Any) -> None:
        seen.append(np.asarray(ravel_pytree(progress.iterate.p)[0]))

    for _ in range(1 + repeats):  # the first one compiles
        seen.clear()
        began = time.perf_counter()
        minimize(problem, method, p, aux, max_iter=steps, observe=observe)
        times.append(time.perf_counter() - began)
    return np.stack(seen), statistics.median(times[1:] or times)


def of(problem: Any, p: Any, aux: Any) -> dict[str, Callable[[], Any]]:
    """The operations of a step, compiled when first called; ``lower`` tells what they consist of."""
    import jax

    def product(problem: Any, p: Any) -> Any:
        return problem.linearize(p, aux).curvature(p)

    calls = {
        "value": lambda problem, p: problem.value(p, aux)[0],
        "linearize": lambda problem, p: slope(problem, p, aux),
    }
    calls |= {"linearize and product": product}
    if hasattr(problem, "normal"):
        calls = {"value": calls["value"], "matrix": lambda problem, p: numbers(problem.normal(p, aux))}
    return {name: Counted(jax.jit(call), problem, p) for name, call in calls.items()}


def slope(problem: Any, p: Any, aux: Any) -> Any:
    """Value and gradient."""
    lin = problem.linearize(p, aux)
    return lin.value, lin.gradient


def numbers(normal: Any) -> Any:
    """What Levenberg-Marquardt takes of the normal equations."""
    return normal.value, normal.gradient, normal.matrix


class Counted(Compiled):
    """A compiled call whose operations XLA counts."""

    def counts(self) -> dict[str, float]:
        """Flops of one device as XLA counts them, messages, and numbers that they carry."""
        text = self.program.as_text()
        found = re.findall(r"= (\([^)]*\)|\S+) (?:all-reduce|all-gather|all-to-all|collective-permute)\(", text)
        shapes = [shape for result in found for shape in re.findall(r"[a-z]\w*\[([0-9,]*)\]", result)]
        sizes = [math.prod(int(k) for k in shape.split(",") if k) for shape in shapes]
        analysis = self.program.cost_analysis()
        return {"flops": float(analysis["flops"]), "messages": len(found), "numbers": int(sum(sizes))}


def count(name: str, quick: bool) -> dict[str, Any]:
    """Operations on 1 to 8 devices of one process, and how far their steps are from those of one."""
    import jax

    counts, gaps, first = {}, {}, None
    for n_shards in COUNTED:
        mesh = None if n_shards == 1 else jax.sharding.Mesh(np.array(jax.devices()[:n_shards]), ("data",))
        problem, method, p, aux = made(name, quick, mesh)
        counts[str(n_shards)] = {key: call.counts() for key, call in of(problem, p, aux).items()}
        found = stepped(problem, method, p, aux, name, 0)[0]
        first = found if first is None else first
        gaps[str(n_shards)] = relative(found, first)
    return {"counts": counts, "gaps": gaps, "copied": found.shape[1] ** 3 / 3 if name == "gauss-newton" else 0.0}


def reduction(mesh: Any, size: int) -> Callable[[], Any]:
    """One all-reduce of so many numbers."""
    import jax

    from numdl.problems.sharding import place

    rows = place(mesh, np.ones((mesh.size, size)))
    return Compiled(jax.jit(lambda rows: rows.sum(0)), rows)


def model(one: dict, two: dict, counted: dict, name: str) -> dict[str, Any]:
    """The cost model of an operation: its check at 4 and 8, and what it predicts."""
    counts = {int(n_shards): found[name] for n_shards, found in counted["counts"].items()}
    extra = counted["copied"] if name == "matrix" else 0.0
    copied = max(2 * counts[2]["flops"] - counts[1]["flops"], 0.0)
    shared = counts[1]["flops"] - copied
    rate = (counts[1]["flops"] + extra) / one["operations"][name]
    latency = two["exchange"]["1"]
    bandwidth = 8 * (2**20 - 1) / max(two["exchange"][str(2**20)] - latency, 1e-12)
    messages, carried = counts[2]["messages"], 8 * counts[2]["numbers"]

    def seconds(n_shards: int) -> float:
        exchanged = 2 * (1 - 1 / n_shards) * carried / bandwidth if n_shards > 1 else 0.0
        return (shared / n_shards + copied + extra) / rate + messages * latency * math.log2(n_shards) + exchanged

    speed_up = {str(n_shards): seconds(1) / seconds(n_shards) for n_shards in PREDICTED}
    flops = {str(p): counts[p]["flops"] / (shared / p + copied) - 1 for p in COUNTED[2:]}
    return {
        "copied_share": (copied + extra) / (shared + copied + extra),
        "messages": messages,
        "messages_counted": {str(p): counts[p]["messages"] for p in COUNTED},
        "numbers_counted": {str(p): counts[p]["numbers"] for p in COUNTED},
        "flops_counted_over_predicted_minus_1": flops,
        "flops_per_second": rate,
        "latency": latency,
        "bytes_per_second": bandwidth,
        "predicted_over_measured_seconds_of_two": seconds(2) / two["operations"][name],
        "predicted_speed_up": speed_up,
        "best_processes": max(PREDICTED, key=lambda n_shards: speed_up[str(n_shards)]),
    }


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Ratios of times, gaps, and the model of each operation."""
    by = {(r["problem"], r["method"]): r for r in records}
    rows, predicted, summary = [], [], {}
    for problem in dict.fromkeys(r["problem"] for r in records):
        one, whole, two, counted = (
            by[problem, method] for method in ("1 process, 1 core", "1 process, 2 cores", "2 processes", "counted")
        )
        models = {name: model(one, two, counted, name) for name in one["operations"]}
        summary[problem] = {
            "largest_gap_of_two_processes": two["gap"],
            "largest_gap_of_devices": max(counted["gaps"].values()),
            "speed_up_of_two_processes": ratio(one["seconds"], two["seconds"]),
            "speed_up_of_two_threads": ratio(one["seconds"], whole["seconds"]),
            "models": models,
        }
        rows.append(
            (problem, one["seconds"], whole["seconds"], two["seconds"], two["gap"], max(counted["gaps"].values()))
        )
        for name, m in models.items():
            error = max(abs(e) for e in m["flops_counted_over_predicted_minus_1"].values())
            check = m["predicted_over_measured_seconds_of_two"]
            gains = (m["predicted_speed_up"][str(p)] for p in (2, 8, 64, 1024))
            predicted.append((problem, name, m["messages"], m["copied_share"], error, check, *gains))
    header = (
        "problem",
        "1 process, 1 core [s]",
        "1 on 2 cores [s]",
        "2 processes [s]",
        "gap",
        "gap at 2, 4, 8 devices",
    )
    table("Rows divided among processes", header, rows)
    header = ("problem", "operation", "messages", "copied", "flops off at 4, 8", "model/2 [s]", "2", "8", "64", "1024")
    table("Predicted speed-up", header, predicted)
    return summary


if __name__ == "__main__":
    print(json.dumps(work(json.loads(sys.argv[1]))), flush=True)
