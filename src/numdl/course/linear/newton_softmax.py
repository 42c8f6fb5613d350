"""Newton's method for softmax regression.

How many iterations do gradient descent and Newton's method need on softmax regression?

Handwritten digits, 8 x 8 pixels, ten classes, a penalty of 1e-4 on the weights: convex, with a unique minimiser. All
methods start at zero. Steepest descent is linear at a rate that the condition number sets, L-BFGS superlinear, Newton's
method quadratic in the end.

Source: Nocedal and Wright, Numerical Optimization, 2006, ch. 3 and 7.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Newton against gradient descent on softmax regression: digits, from zero"
PARAMETERS = {"alpha": Parameter(1e-4, 1e-8, 1.0, "penalty on the weights, in units of the mean misfit")}


def run(quick: bool, random_state: int, *, alpha: float = PARAMETERS["alpha"].default) -> Outcome:
    """Lower the same objective by all methods.

    Args:
        quick: fewer samples, classes and iterations.
        random_state: which samples.
        alpha: penalty on the weights, in units of the mean misfit.

    Returns:
        Gaps, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _compare(*((100, 3, 40) if quick else (1500, 10, 400)), random_state, alpha)


def _compare(n: int, classes: int, iterations: int, seed: int, alpha: float) -> Outcome:
    import jax.numpy as jnp

    from numdl.course.digits import load_digits
    from numdl.optimize import LBFGS, InexactNewton, Newton, SteepestDescent, minimize
    from numdl.problems import SOFTMAX, linear_empirical
    from numdl.regularize import OperatorPenalty

    pixels, labels = load_digits()
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(labels < classes))[:n]
    x, c = pixels[rows] / 16, np.eye(classes)[labels[rows]]
    problem = linear_empirical(SOFTMAX, OperatorPenalty(jnp.asarray(alpha)), x, c, np.ones(n))
    start = jnp.zeros((classes, x.shape[1] + 1))
    methods = {
        "steepest descent": (SteepestDescent(tol=1e-12), iterations),
        "L-BFGS": (LBFGS(tol=1e-12), iterations),
        "Newton-CG": (InexactNewton(tol=1e-12), 40),
        "Newton": (Newton(tol=1e-12), 20),
    }
    found = {name: minimize(problem, m, start, max_iter=most)[0] for name, (m, most) in methods.items()}
    values = {name: np.append(r.history["objective"], float(problem.value(r.p)[0])) for name, r in found.items()}
    least = min(v.min() for v in values.values())
    gaps = {name: np.maximum(v - least, 1e-16) for name, v in values.items()}
    needed = {name: int(np.argmax(g < 1e-8)) if (g < 1e-8).any() else None for name, g in gaps.items()}
    numbers = {
        "samples": n,
        "least_objective": least,
        "iterations_to_1e-8": needed,
        "last_gap": {name: g[-1] for name, g in gaps.items()},
        "status": {name: r.status.code for name, r in found.items()},
    }
    newton = needed["Newton"] if needed["Newton"] is not None else np.nan
    gap = gaps["steepest descent"]
    claims = [
        at_most("Newton's method is within 1e-8 of the minimum after iterations", newton, 15),
        at_least("Steepest descent is then above it by", gap[min(int(np.nan_to_num(newton)), len(gap) - 1)], 1e-3),
        at_least(f"After {len(gap) - 1} iterations it is still above it by", gap[-1], 1e-6),
    ]
    return Outcome(numbers, claims, partial(_draw, gaps))


def _draw(gaps: dict[str, np.ndarray], figure: Figure) -> None:
    """Distance of the objective to the minimum, all iterations and the first few."""
    from numdl.plots.canvas import CYCLE, logarithmic

    left, right = figure.subplots(1, 2, sharey=True)
    for color, (name, gap) in zip(CYCLE, gaps.items(), strict=False):
        left.plot(gap, color=color, label=name)
        right.plot(gap[:31], "o-", color=color, markersize=3, label=name)
    logarithmic(left, np.concatenate(list(gaps.values())))
    left.set(title="All iterations", xlabel="iteration", ylabel="objective above the minimum")
    right.set(title="The first 30", xlabel="iteration")
    right.legend()
