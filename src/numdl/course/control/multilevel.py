"""Multilevel training over depth.

How much of the training of a deep network can shallow ones do, and who says when to refine?

The peaks surface: a residual network of 16 steps is trained for a fixed number of iterations, then once more over three
levels of depth 4, 8 and 16 by the rule of ``numdl.optimize.drivers.cascadic``, until it has the same objective; so
from each of five starts. Work is counted in passes through the network of full depth; a pass through half its steps
counts half.

Source: Chang, Meng, Haber, Tung, Begert, Multi-level residual networks from dynamical systems view, ICLR 2018 (fixed
schedules; 42 % less work in theory with two refinements).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.contracts import Result
    from numdl.models import ResNet
    from numdl.optimize import Progress, Refinement

TITLE = "Multilevel training: shallow networks teach a deep one, refined when they have no more to teach"
LEVELS = 3
PARAMETERS = {
    "alpha": Parameter(1e-8, 1e-12, 1e-2, "penalty on the weights, in units of the mean misfit"),
    "noise": Parameter(0.0, 0.0, 1.0, "standard deviation of the noise in the targets, over theirs"),
}


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    n: int
    width: int
    depth: int
    iterations: int
    starts: int
    saved: float


FULL = Size(n=2000, width=8, depth=16, iterations=40, starts=5, saved=42.0)
QUICK = Size(n=300, width=8, depth=8, iterations=30, starts=3, saved=10.0)


def run(
    quick: bool,
    random_state: int,
    *,
    alpha: float = PARAMETERS["alpha"].default,
    noise: float = PARAMETERS["noise"].default,
) -> Outcome:
    """Train at full depth and over levels.

    Args:
        quick: a smaller network, fewer points and iterations.
        random_state: seed of points and weights.
        alpha: penalty on the weights, in units of the mean misfit.
        noise: standard deviation of that in the targets, over theirs.

    Returns:
        Work, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _both(QUICK if quick else FULL, random_state, alpha, noise)


def train(
    net: ResNet,
    loss: str,
    x: np.ndarray,
    c: np.ndarray,
    *,
    alpha: float,
    seed: int,
    iterations: int,
    levels: int = 1,
    rule: Refinement | None = None,
    kind: str = "same",
    target: float = -np.inf,
) -> Result:
    """Levenberg-Marquardt with eliminated head, from coarse to fine.

    Args:
        net: network of full depth.
        loss: key of ``numdl.problems.LOSSES``.
        x: samples, (n, d).
        c: targets, (n, k).
        alpha: penalty on opening and head, and on the integral of the squared flow weights over a unit of time.
        seed: of the first weights.
        iterations: at most, over all levels.
        levels: number of depths.
        rule: when to refine; None for the library's.
        kind: of prolongation, see ``numdl.flow.controls.prolong``.
        target: objective at which the finest level ends.

    Returns:
        What came out.
    """
    from numdl.contracts import Status
    from numdl.course.training import reduced
    from numdl.models import coarsened, prolonged, refined
    from numdl.optimize import LevenbergMarquardt, Refinement, minimize_cascadic

    first = coarsened(net, levels)
    nets = [first]
    while nets[-1].depth < net.depth:
        nets.append(refined(nets[-1]))
    problems = [reduced(part, loss, part.init(seed), x, c, alpha) for part in nets]

    def observe(progress: Progress) -> Status | None:
        history = progress.history
        if history["level"][-1] < levels - 1 or history["objective"][-1] > target:
            return None
        return Status("converged", f"The objective is below {target:.3g}.")

    theta = first.init(seed)
    result, _ = minimize_cascadic(
        problems,
        LevenbergMarquardt(tol=0.0),
        theta,
        problems[0].first_head(theta),
        prolong=lambda level, p: prolonged(nets[level], p, kind),
        rule=Refinement() if rule is None else rule,
        max_iter=iterations,
        observe=observe,
    )
    return result


def spent(history: Mapping[str, np.ndarray], target: float, column: str = "work") -> float:
    """What a run had spent when its finest level first had an objective.

    Args:
        history: of ``minimize_cascadic``.
        target: objective to reach.
        column: ``"work"`` or ``"seconds"``.

    Returns:
        Entry of the column at the end of the step that led there; infinite where none did.
    """
    level = np.asarray(history["level"])
    reached = np.flatnonzero((level == level.max()) & (np.asarray(history["objective"]) <= target))
    # Entry i of the objective belongs to the point that step i left.
    return float(history[column][max(reached[0] - 1, 0)]) if len(reached) else np.inf


def _both(size: Size, random_state: int, alpha: float, noise: float) -> Outcome:
    from numdl.course.training import peaks_surface
    from numdl.models import ResNet

    (x, c), *_ = peaks_surface(size.n, random_state, noise)
    net = ResNet(2, size.width, size.depth, dynamics="antisymmetric")
    depths = [size.depth // 2 ** (LEVELS - 1 - level) for level in range(LEVELS)]
    rows, histories = [], []
    for seed in range(random_state, random_state + size.starts):
        how: dict[str, Any] = {"alpha": alpha, "seed": seed}
        single = train(net, "least_squares", x, c, iterations=size.iterations, **how).history
        several = train(net, "least_squares", x, c, iterations=2 * size.iterations, levels=LEVELS, **how).history
        target = float(single["objective"][-1])
        whole, paid = spent(single, target), spent(several, target)
        row = {
            "objective": target,
            "objective_over_levels": float(several["objective"][-1]),
            "passes": whole,
            "passes_over_levels": paid,
            "saved_percent": 100 * (1 - paid / whole),
        }
        steps = {f"iterations_on_{depth}": int(np.sum(several["level"] == i)) for i, depth in enumerate(depths)}
        rows.append(row | steps)
        histories.append((single, several))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    saved = columns["saved_percent"]
    middle = int(np.argsort(saved)[size.starts // 2])
    what = f"To the same objective, the median of {size.starts} starts saves by three levels passes of"
    claims = [at_least(what, saved[middle], size.saved, " %")]
    return Outcome(columns, claims, partial(_draw, *histories[middle], depths, columns["objective"][middle]))


def _before(work: np.ndarray) -> np.ndarray:
    """What each step had before it, as the objective is that of the point it left."""
    return np.append(0.0, work[:-1])


def _draw(
    single: Mapping[str, Any], several: Mapping[str, Any], depths: list[int], target: float, figure: Figure
) -> None:
    """Objective over work on the left; what the rule compares on the right."""
    from numdl.plots.canvas import BLUE, GREEN, GREY, ORANGE, PURPLE, logarithmic

    left, right = figure.subplots(1, 2)
    left.plot(_before(single["work"]), single["objective"], color=GREY, label=f"{depths[-1]} steps from the start")
    level, cost = np.asarray(several["level"]), _before(several["work"])
    colors = (ORANGE, GREEN, BLUE)
    for i, (depth, color) in enumerate(zip(depths, colors, strict=True)):
        on = level == i
        left.plot(cost[on], several["objective"][on], color=color, marker=".", label=f"{depth} steps")
    left.axhline(target, color=GREY, linestyle="--", linewidth=1)
    logarithmic(left, np.concatenate([single["objective"], several["objective"]]))
    left.set(xlabel=f"passes through {depths[-1]} steps", ylabel="objective", title="Objective of each level")
    left.legend()
    error, gained = (np.asarray(several[name]) for name in ("discretisation_error", "progress"))
    looked = np.flatnonzero(np.isfinite(error))
    right.plot(looked + 1, error[looked], color=PURPLE, marker="o", label="discretisation error")
    right.plot(looked + 1, gained[looked], color="black", marker="s", label="progress since the last look")
    logarithmic(right, np.concatenate([error[looked], gained[looked]]))
    for k in np.flatnonzero(np.diff(level)):
        right.axvline(k + 1, color=GREY, linestyle="--", linewidth=1)
    right.set(
        xlabel="iteration", ylabel="relative to the objective", title="Refined when the error exceeds the progress"
    )
    right.legend()
