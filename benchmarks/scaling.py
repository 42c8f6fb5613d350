"""How do time and memory of an iteration grow with samples and weights, and does the cost model choose well?

Least squares with one output: 10 standard normal inputs, a smooth target with 5 % noise, a plain network of two steps
whose width gives the weights, penalties as the noise suggests. The contenders take the steps the estimators take,
numbers for the evidence included: the dense matrix at once, the same in blocks of rows, from a part of the rows where
the cost model would take a part, and matrix-free trust regions with the conjugate gradients they need.

A matrix-free iteration is another thing than a dense one. So, besides the seconds of a step, each method fits from the
same start until its objective is where the dense one is after ``STEPS`` steps (between steps, its logarithm is
interpolated): the seconds of that, over ``STEPS``, are its seconds per dense iteration, by which the choice is
judged. Compilation is left out, the methods take turns, and medians over the turns are reported. Memory is
the largest resident memory during a fit above that before it. Cells whose predicted need is too large are left out,
and recorded as such.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._common import Run, median, table
from benchmarks.memory import peak

ROWS = (1_000, 10_000, 100_000, 1_000_000)
WIDTHS = (5, 10, 19, 35, 67, 220)
"""115, 330, 969, 2905, 9849 and 99660 weights."""
COLUMNS = 10
STEPS = 10
TURNS = 3
SECONDS = 90.0
"""Of a single iteration, beyond which a cell is left out."""
PATIENCE = 60.0
"""Seconds after which a fit is no longer continued and no further turn is begun."""
ALLOWED = 10 * 2**30
"""Bytes that a method may need by prediction."""
RATE = 1e10
"""Operations in a second, for the predictions alone."""
MISS = 1.3
"""Ratio of the choice's seconds to the best's above which it counts as a miss."""
BLOCK = 2048
"""Rows in a block where the cost model would take all of them at once."""


class Contender(NamedTuple):
    """One way to take a step, or the reason why it is not taken."""

    problem: Any
    method: Any
    skipped: str | None


def data(n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Inputs ``(n, 10)``, standardised targets ``(n, 1)``, and the variance of their noise."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, COLUMNS))
    y = np.sin(x[:, 0] * x[:, 1]) + np.tanh(x[:, 2]) + 0.5 * x[:, 3] ** 2 + x[:, 4]
    y = (y - y.mean()) / y.std() + 0.05 * rng.standard_normal(n)
    return x, y[:, None], 0.05**2


def network(width: int) -> Any:
    """Plain network of two steps."""
    from numdl.models import ResNet

    return ResNet(COLUMNS, width, 2)


def algebra(n: int, net: Any, solver: str = "auto") -> Any:
    """Choice of the cost model for one output and the default memory, more where the matrix would not fit."""
    from numdl.estimators.networks.settings import Settings
    from numdl.estimators.networks.training.solver_choice import choose_algebra

    budget = Settings.memory_budget if solver == "auto" else max(Settings.memory_budget, 6 * 8 * net.n_parameters**2)
    return choose_algebra(n, 1, net, squares=True, memory_budget=budget, itemsize=8, solver=solver)


def choice(n: int, net: Any) -> str:
    """The contender that the cost model chooses as it is now."""
    chosen = algebra(n, net)
    if not chosen.dense:
        return "matrix-free"
    return "part" if chosen.curvature_rows is not None else "dense" if chosen.chunk is None else "blocks"


def contenders(n: int, net: Any) -> dict[str, Contender]:
    """All ways to take a step."""
    import jax.numpy as jnp

    from numdl.optimize import LevenbergMarquardt, NewtonCG
    from numdl.problems import LEAST_SQUARES, VarPro, laplace_metrics, probed_metrics
    from numdl.regularize import GroupPenalty

    x, c, noise = data(n)
    p, alpha = net.n_parameters, noise / n
    free, dense = (algebra(n, net, solver) for solver in ("matrix-free", "dense"))
    x, c, w = (jnp.asarray(a) for a in (x, c, np.ones(n)))
    penalty = GroupPenalty(jnp.asarray(np.array([alpha])), jnp.asarray(np.zeros(p, np.int32)))
    formed, products = LevenbergMarquardt(laplace_metrics, tol=0.0), NewtonCG(probed_metrics, tol=0.0)

    def contender(method: Any, chunk: int | None, rows: int | None, need: float, work: float) -> Contender:
        skipped = None
        if need > ALLOWED:
            skipped = f"would need {need / 2**30:.0f} GiB"
        elif work / RATE > SECONDS:
            skipped = f"would take about {work / RATE:.0f} s per iteration"
        problem = VarPro(
            net, LEAST_SQUARES, x, c, w, penalty, jnp.asarray(np.array(alpha)), chunk=chunk, curvature_rows=rows
        )
        return Contender(problem, method, skipped)

    matrices, factors = 6.0 * 8 * p**2, 2.0 * p**3
    found = {"dense": contender(formed, None, None, matrices + 3.0 * 8 * n * p, 2.0 * n * p**2 + factors)}
    if n > BLOCK:
        found["blocks"] = contender(formed, dense.chunk or BLOCK, None, matrices, 2.0 * n * p**2 + factors)
    if dense.curvature_rows is not None:
        work = 2.0 * dense.curvature_rows * p**2 + factors
        found["part"] = contender(formed, dense.chunk, dense.curvature_rows, matrices, work)
    found["matrix-free"] = contender(products, free.chunk, None, 0.0, 4.0 * 70 * n * p)
    return found


class Fit(NamedTuple):
    """A short fit: objective before each step and at the end, seconds until there, products of all steps."""

    values: np.ndarray
    seconds: np.ndarray
    products: float


def fit(given: Contender, theta: Any, most: int, target: float = 0.0, patience: float = PATIENCE) -> Fit:
    """Up to ``most`` steps from ``theta``, until the target or the end of patience."""
    from numdl.contracts import Status
    from numdl.optimize import minimize

    values = []

    def watch(progress: Any) -> Status | None:
        values.append(float(progress.iterate.value))
        return Status("converged", "The target is reached.") if values[-1] <= target else None

    head = given.problem.first_head(theta)
    _, progress = minimize(given.problem, given.method, theta, head, max_iter=most, time_budget=patience, observe=watch)
    history = progress.history
    return Fit(
        np.array([history["objective"][0], *values]),
        np.array([0.0, *history["seconds"]]),
        float(np.sum(history.get("products", 0.0))),
    )


def until(found: Fit, target: float) -> float | None:
    """Seconds until the target, between steps on a line through the logarithms; None where it was not reached."""
    if found.values[-1] > target:
        return None
    return float(np.interp(-np.log(target), -np.log(found.values), found.seconds))


def resident() -> int:
    """Resident memory of this process now, MiB, after what is free was given back and the peak forgotten; Linux."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def measure(run: Run, n: int, width: int) -> None:
    """One cell: all contenders in turns."""
    net = network(width)
    keys = {"n": n, "weights": net.n_parameters}
    found = contenders(n, net)
    theta = net.init(0, np.float64)
    able = {name: c for name, c in found.items() if c.skipped is None}
    for name in found.keys() - able.keys():
        run.record("ours", name, keys, skipped=found[name].skipped)
    memory = {}
    for name, c in able.items():
        fit(c, theta, 1)  # compiles
        before = resident()
        fit(c, theta, 1)
        memory[name] = max(peak() - before, 0)
    fits: dict[str, list[Fit]] = {name: [] for name in able}
    target, patience, spent = 0.0, PATIENCE, 0.0
    for _ in range(TURNS):
        for name, c in able.items():
            first = target == 0.0
            got = fit(c, theta, STEPS if first else 20 * STEPS, target, patience)
            if first:
                target, patience = got.values[-1], 1.0 + 4.0 * got.seconds[-1]
                steps = len(got.values) - 1
            fits[name].append(got)
            spent += got.seconds[-1]
        if spent > PATIENCE:
            break
    for name in able:
        times = [until(f, target) for f in fits[name]]
        reached = all(t is not None for t in times)
        run.record(
            "ours",
            name,
            keys,
            step_seconds=median(f.seconds[-1] / (len(f.values) - 1) for f in fits[name]),
            seconds=median(t for t in times if t is not None) / steps if reached else None,
            steps=len(fits[name][0].values) - 1,
            products=fits[name][0].products,
            objective=fits[name][0].values[-1],
            dense_steps=steps,
            peak_MiB=memory[name],
            turns=len(fits[name]),
        )


def cells(run: Run) -> Iterator[tuple[int, int]]:
    """Numbers of samples and widths, the cheap ones first; ``--sets`` names samples, or cells as ``10000x969``."""
    widths = WIDTHS[:2] if run.quick else WIDTHS
    known = {str(n): [(n, width) for width in widths] for n in ROWS}
    known |= {f"{n}x{network(width).n_parameters}": [(n, width)] for n in ROWS for width in widths}
    named = run.chosen(list(known), quick=1) if run.sets or run.quick else known
    yield from sorted({cell for name in named for cell in known[name]}, key=np.prod)


def run(run: Run) -> None:
    """Our side; there is no other."""
    import jax

    with jax.enable_x64(True):
        for n, width in cells(run):
            if run.wants("ours", "matrix-free", n=n, weights=network(width).n_parameters):
                measure(run, n, width)
                jax.clear_caches()
    draw(run.records, run.path.with_suffix(".svg"))


def grouped(records: list[dict[str, Any]]) -> Iterator[tuple[int, int, dict[str, dict[str, Any]], str]]:
    """Samples, weights, records by method, and the method that the cost model chooses, for each cell."""
    nets = {net.n_parameters: net for net in map(network, WIDTHS)}
    for n, p in sorted({(r["n"], r["weights"]) for r in records}):
        yield n, p, {r["method"]: r for r in records if (r["n"], r["weights"]) == (n, p)}, choice(n, nets[p])


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds and memory for each cell, and how far the choice is from the best.

    A choice that does not get where another one gets is infinitely far (null in the file, and ``reached`` is false).
    """
    cells: dict[str, Any] = {}
    rows, losses = [], []
    for n, p, cell, chosen in grouped(records):
        seconds = {name: r["seconds"] for name, r in cell.items() if r.get("seconds")}
        best = min(seconds, key=lambda name: seconds[name]) if seconds else None
        tried = [name for name, r in cell.items() if "skipped" not in r]
        loss = None
        if best and chosen in tried and len(tried) > 1:
            loss = seconds[chosen] / seconds[best] if chosen in seconds else np.inf
            losses.append(loss)
        cells[f"n={n} weights={p}"] = {
            "chosen": chosen,
            "best": best,
            "chosen_over_best": loss,
            "reached": None if loss is None else chosen in seconds,
        }
        for name, r in cell.items():
            keys = ("step_seconds", "seconds", "products", "peak_MiB", "skipped")
            mark = " *" if name == chosen else ""
            rows.append((n, p, name + mark, *(r.get(key) for key in keys), loss if mark else None))
    header = ("n", "weights", "method", "s/step", "s/dense step", "products", "MiB", "skipped", "over best")
    table("Scaling: the choice is marked *", header, rows)
    misses = sum(loss > MISS for loss in losses)
    return {"cells": cells, "measured": len(losses), "misses": misses, "worst": max(losses, default=None)}


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """Seconds per dense iteration and memory against weights, one column for each number of samples, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = sorted({r["n"] for r in records})
    chosen = {(n, p): name for n, p, _, name in grouped(records)}
    names = {"dense": "o", "blocks": "s", "part": "^", "matrix-free": "D"}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "scaling", "font.size": 8}):
        figure = Figure(figsize=(2.4 * len(rows), 4.6), layout="constrained")
        grid = figure.subplots(2, len(rows), squeeze=False, sharex=True, sharey="row")
        for n, column in zip(rows, grid.T, strict=True):
            for key, axes in zip(("seconds", "peak_MiB"), column, strict=True):
                for i, (name, marker) in enumerate(names.items()):
                    mine = sorted(
                        (r for r in records if r["n"] == n and r["method"] == name and r.get(key)),
                        key=lambda r: r["weights"],
                    )
                    x, y = ([r[field] for r in mine] for field in ("weights", key))
                    axes.plot(x, y, f"{marker}-", color=f"C{i}", ms=3, lw=1, label=name)
                    taken = [r for r in mine if chosen[n, r["weights"]] == name]
                    x, y = ([r[field] for r in taken] for field in ("weights", key))
                    axes.plot(x, y, "o", color="k", mfc="none", ms=8, label="chosen" if i == 0 else None)
                axes.set(xscale="log", yscale="log")
            column[0].set_title(f"{n:,} samples")
            column[1].set_xlabel("weights")
        grid[0, 0].set_ylabel("seconds per dense iteration")
        grid[1, 0].set_ylabel("MiB added by a step")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
        figure.savefig(path, metadata={"Date": None})
