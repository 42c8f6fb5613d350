"""How much work and time does training from coarse to fine save, and does the automatic rule beat fixed schedules?

Levenberg-Marquardt with eliminated head on three tasks, three levels of depth up to 16, twenty starts each. ``single``
is training at full depth; the median over starts of its objective after 40 iterations is the target of all runs of a
task. ``automatic`` is the rule of ``numdl.optimize.drivers.cascadic``, ``after_k`` leaves each coarse level after k
iterations.
Starts end in different minima, so a rule is charged for all its runs, those that miss the target included: expected
cost to the target = cost of all runs / number of runs that reach it; saved = 1 - that of a rule / that of ``single``.
Work is in passes through the network of full depth and includes what the rule looks at; seconds are of runs whose steps
were compiled before.
"""

from __future__ import annotations

import dataclasses
import itertools
from functools import cache
from typing import Any

import jax
import numpy as np

from benchmarks._common import Run, median, table
from numdl.course.control.multilevel import spent, train
from numdl.data import TOYS, Scaler
from numdl.models import ResNet
from numdl.optimize import Refinement

TASKS = {
    "peaks": ("least_squares", ResNet(2, 8, 16, dynamics="antisymmetric"), 1e-8),
    "swiss-roll": ("logistic", ResNet(2, 8, 16, T=2.0, dynamics="antisymmetric"), 1e-6),
    "double-circles": ("logistic", ResNet(2, 4, 16, T=2.0, dynamics="antisymmetric"), 1e-6),
}
LEVELS, LONG, MOST, STARTS = 3, 40, 90, 20


@dataclasses.dataclass(frozen=True)
class After(Refinement):
    """A fixed schedule: each level is left after ``window`` steps."""

    def due(self, error: float, progress: float) -> bool:
        """Always, where it looks."""
        return np.isfinite(error)


COSTS = ("work", "seconds")
RULES = {
    "automatic": Refinement(),
    "after_5": After(window=5),
    "after_10": After(window=10),
    "after_20": After(window=20),
}


@cache
def samples(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Scaled samples and targets."""
    if task == "peaks":
        data = TOYS["peaks-regression"](500, 0)
        return Scaler.fit(data.x).transform(data.x), Scaler.fit(data.c).transform(data.c)
    data = TOYS[task](257) if task == "swiss-roll" else TOYS[task](500, 0)
    return Scaler.fit(data.x).transform(data.x), data.c[:, 1:]


def run(run: Run) -> None:
    """Our side on every task, start and rule."""
    with jax.enable_x64(True):
        for task in run.chosen(tuple(TASKS), 1):
            _measure(run, task, range(run.seeds or (2 if run.quick else STARTS)))


def _measure(run: Run, task: str, seeds: range) -> None:
    loss, net, alpha = TASKS[task]
    how: dict[str, Any] = {"net": net, "loss": loss, "x": samples(task)[0], "c": samples(task)[1], "alpha": alpha}
    train(**how, seed=0, iterations=1)  # compiles
    train(**how, seed=0, iterations=LEVELS, levels=LEVELS, rule=After(window=1))
    singles = {seed: train(**how, seed=seed, iterations=MOST).history for seed in seeds}
    target = median(float(history["objective"][LONG - 1]) for history in singles.values())
    for seed in seeds:
        _record(run, "single", {"task": task, "seed": seed}, singles[seed], target)
    for (method, rule), seed in itertools.product(RULES.items(), seeds):
        history = train(**how, seed=seed, iterations=MOST, levels=LEVELS, rule=rule, target=target).history
        steps = [int(np.sum(history["level"] == level)) for level in range(LEVELS)]
        _record(run, method, {"task": task, "seed": seed}, history, target, steps=steps)


def _record(run: Run, method: str, keys: dict[str, Any], history: Any, target: float, **more: Any) -> None:
    """Cost up to the target, or of the whole run where it was missed."""
    reached = bool(np.isfinite(spent(history, target)))
    cost = {name: spent(history, target, name) if reached else float(history[name][-1]) for name in COSTS}
    run.record("ours", method, keys, **cost, reached=reached, target=target, **more)


def expected(records: list[dict[str, Any]], cost: str) -> float:
    """Expected cost to the target of runs that are begun anew until one reaches it; infinite where none did."""
    reached = sum(r["reached"] for r in records)
    return sum(r[cost] for r in records) / reached if reached else np.inf


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Share of runs that reach the target and saved shares of work and time, for each task and rule."""
    summary, rows = {}, []
    for task, method in itertools.product(TASKS, ("single", *RULES)):
        own = [r for r in records if (r["task"], r["method"]) == (task, method)]
        whole = [r for r in records if (r["task"], r["method"]) == (task, "single")]
        if not own:
            continue
        values = {"reached": sum(r["reached"] for r in own) / len(own)}
        values |= {f"saved_{cost}": 1 - expected(own, cost) / expected(whole, cost) for cost in COSTS}
        summary[f"{task} {method}"] = values
        rows.append([task, method, *values.values()])
    for method in RULES:
        saved = [median(v[f"saved_{cost}"] for k, v in summary.items() if k.endswith(f" {method}")) for cost in COSTS]
        summary[f"median of tasks {method}"] = dict(zip((f"saved_{cost}" for cost in COSTS), saved, strict=True))
        rows.append(["median", method, None, *saved])
    table("Saved by three levels at equal objective", ["task", "rule", "reached", "saved work", "saved seconds"], rows)
    return summary
