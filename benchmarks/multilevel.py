"""How much work and time does training from coarse to fine save, and does the automatic rule beat fixed schedules?

Levenberg-Marquardt with eliminated head on three tasks, three levels of depth up to 16. ``single`` is training at full
depth; its objective after 40 iterations, and after 20, are the targets. ``automatic`` is the rule of
``numdl.optimize.cascadic``, ``after_k`` leaves each coarse level after k iterations. Work is in passes through the
network of full depth and includes what the rule looks at; seconds are of runs whose steps were compiled before. Saved
is the median over seeds; a run that does not reach the target counts as minus infinity.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import jax
import numpy as np

from benchmarks._common import Run, median, table
from numdl.data import TOYS, Scaler
from numdl.experiments.multilevel import spent, train
from numdl.models import ResNet
from numdl.optimize import Refinement

TASKS = {
    "peaks": ("least_squares", ResNet(2, 8, 16, dynamics="antisymmetric"), 1e-8),
    "swiss-roll": ("logistic", ResNet(2, 8, 16, T=2.0, dynamics="antisymmetric"), 1e-6),
    "double-circles": ("logistic", ResNet(2, 4, 16, T=2.0, dynamics="antisymmetric"), 1e-6),
}
LEVELS, SHORT, LONG, MOST = 3, 20, 40, 90


@dataclasses.dataclass(frozen=True)
class After(Refinement):
    """A fixed schedule: each level is left after ``window`` steps."""

    def due(self, error: float, progress: float) -> bool:
        """Always, where it looks."""
        return np.isfinite(error)


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
    """Our side on every task, seed and rule."""
    with jax.enable_x64(True):
        for task in run.chosen(tuple(TASKS), 1):
            for seed in range(run.seeds or (1 if run.quick else 3)):
                _measure(run, task, seed)


def _measure(run: Run, task: str, seed: int) -> None:
    loss, net, alpha = TASKS[task]
    how: dict[str, Any] = {"alpha": alpha, "seed": seed}
    data = samples(task)
    if seed == 0:  # compiles
        train(net, loss, *data, iterations=1, **how)
        train(net, loss, *data, iterations=LEVELS, levels=LEVELS, rule=After(window=1), **how)
    single = train(net, loss, *data, iterations=LONG, **how).history
    targets = {name: float(single["objective"][k - 1]) for name, k in (("short", SHORT), ("long", LONG))}
    keys = {"task": task, "seed": seed}
    paid = {f"{column}_{name}": spent(single, t, column) for name, t in targets.items() for column in _COLUMNS}
    run.record("ours", "single", keys, **targets, **paid)
    for method, rule in RULES.items():
        history = train(
            net, loss, *data, iterations=MOST, levels=LEVELS, rule=rule, target=targets["long"], **how
        ).history
        values = {f"{column}_{name}": spent(history, t, column) for name, t in targets.items() for column in _COLUMNS}
        saved = {f"saved_{name}": 1 - value / paid[name] for name, value in values.items()}
        steps = [int(np.sum(history["level"] == level)) for level in range(LEVELS - 1)]
        run.record("ours", method, keys, **values, **saved, steps=steps)


_COLUMNS = ("work", "seconds")


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Median saved share of work and time for each task and rule, and over all runs."""
    summary, rows = {}, []
    names = [f"saved_{column}_{target}" for target in ("short", "long") for column in _COLUMNS]
    for task in (*TASKS, "all"):
        for method in RULES:
            own = [r for r in records if r["method"] == method and task in (r["task"], "all")]
            if not own:
                continue
            # A target that was not reached is stored as null.
            values = {name: median(-np.inf if r[name] is None else r[name] for r in own) for name in names}
            summary[f"{task} {method}"] = values
            rows.append([task, method, *values.values()])
    table("Saved by three levels at equal objective", ["task", "rule", *names], rows)
    return summary
