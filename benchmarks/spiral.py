"""Spiral of Onken and Ruthotto: what does the derivative of the steps gain over the adjoint equation, in loss and time?

Discretise-optimise (``exact``, ours) and optimise-discretise (adaptive, state and adjoint solved by diffrax to relative
tolerances 1e-2 and 1e-7) from the same random weights: 300 steps of Adam at rate 0.1, whose last loss may lie on a jump
far above the best one, and with which order Taylor's remainder falls at the start. The exact derivative also allows
Gauss-Newton. Seconds are those after compilation. The paper has losses of 0.33 to 0.45 for discretise-optimise and 1.4
to 142 for optimise-discretise.

Source: Onken and Ruthotto, arXiv:2005.13420, sec. 4; formulas and methods are those of the experiment spiral-ode.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from benchmarks._common import Run, median, table
from numdl.course.dynamics import spiral_ode as spiral

GAUSS_NEWTON = "gauss-newton"
COLUMNS = (
    "least_loss",
    "median_loss",
    "largest_loss",
    "median_best",
    "seconds",
    "order",
    "steps_below_goal",
    "seeds_below_goal",
)


def run(run: Run) -> None:
    """Adam in three ways, Gauss-Newton and Taylor tables, for each seed."""
    steps = 20 if run.quick else spiral.ADAM_STEPS
    seeds = range(run.seeds or (1 if run.quick else 5))
    with jax.enable_x64(True):
        for name in spiral.ways():
            side = "ours" if name == "exact" else "theirs"
            left = [seed for seed in seeds if run.wants(side, name, seed=seed)]
            for seed, found in zip(left, spiral.adam(name, left, steps) if left else [], strict=True):
                taylor = spiral.taylor_tables(spiral.first_weights(seed), seed)[name]
                best = float(np.nanmin(found.losses))
                values = {"loss": float(found.losses[-1]), "best_loss": best, "seconds": found.seconds}
                run.record(side, name, {"seed": seed}, **values, order=taylor.order, taylor=taylor._asdict())
        spiral.gauss_newton(0, steps=1)  # compiles
        for seed in seeds:
            if run.wants("ours", GAUSS_NEWTON, seed=seed):
                found = spiral.gauss_newton(seed)
                values = {"loss": float(found.losses[-1]), "best_loss": float(found.losses.min())}
                needed = spiral.steps_needed(found.losses)
                run.record("ours", GAUSS_NEWTON, {"seed": seed}, **values, seconds=found.seconds, below_goal=needed)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Losses and seconds over the seeds, and the order with which Taylor's remainder falls."""
    summary, rows = {}, []
    for method in (*spiral.ways(), GAUSS_NEWTON):
        own = [r for r in records if r["method"] == method]
        if not own:
            continue
        # What is not finite is stored as null.
        losses = [np.inf if r["loss"] is None else r["loss"] for r in own]
        values = {"least_loss": min(losses), "median_loss": median(losses), "largest_loss": max(losses)}
        values["median_best"] = median(r["best_loss"] for r in own)
        values["seconds"] = median(r["seconds"] for r in own)
        if method == GAUSS_NEWTON:
            needed = [np.inf if r["below_goal"] is None else r["below_goal"] for r in own]
            values |= {"steps_below_goal": median(needed), "seeds_below_goal": sum(np.isfinite(needed))}
        else:
            values["order"] = median(r["order"] for r in own)
        summary[method] = values
        rows.append([method, *map(values.get, COLUMNS)])
    table(f"Spiral, goal {spiral.GOAL}", ["method", *COLUMNS], rows)
    return summary
