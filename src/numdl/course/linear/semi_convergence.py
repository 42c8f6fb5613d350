"""Semi-convergence of iterative regularisation.

Why do more iterations make a solution worse, and how does a hybrid method end that?

An image of a head, blurred, 1 % noise. CGLS finds the strong directions first, so its error falls and rises again:
the number of iterations is its regularisation parameter. Hybrid LSQR builds the same spaces, regularises within them,
and stays at the bottom.

Source: Hansen, Discrete Inverse Problems, SIAM 2010, ch. 6.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data.problems.inverse_problems import image_deblurring

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Semi-convergence: CGLS gets better, then worse; hybrid LSQR stays"
PARAMETERS = {"noise": Parameter(0.01, 1e-5, 0.5, "noise over the root mean square of the data")}


def run(quick: bool, random_state: int, *, noise: float = PARAMETERS["noise"].default) -> Outcome:
    """Run both methods, hybrid LSQR with several budgets of steps.

    Args:
        quick: a smaller image and fewer iterations.
        random_state: seed of the noise.
        noise: noise over the root mean square of the data.

    Returns:
        Errors, claims and figure.
    """
    from numdl.linalg import Convolution2D, cgls
    from numdl.regularize.iterative import hybrid_lsqr, iterate_by_gcv

    n, steps = (20, 150) if quick else (40, 400)
    problem = image_deblurring(n)
    b, size = problem.noisy(noise, random_state), np.linalg.norm(problem.x)
    A = Convolution2D(np.asarray(problem.kernel), (n, n))

    def error(x: np.ndarray) -> float:
        return float(np.linalg.norm(x - problem.x) / size)

    plain = cgls(A, b, max_iter=steps, tol=0.0, keep_iterates=True)
    assert plain.iterates is not None  # they were asked for
    curve = np.array([error(x) for x in plain.iterates])
    _, stopped = iterate_by_gcv(cgls, A, b, max_iter=steps, weight=1.4)
    budgets = np.unique(np.geomspace(2, steps, 8 if quick else 12).astype(int))
    hybrid = [hybrid_lsqr(A, b, max_iter=int(budget)) for budget in budgets]
    errors = np.array([error(found.x) for found in hybrid])
    best = int(np.argmin(curve))
    numbers = {
        "unknowns": n * n,
        "cgls": {"best": best, "least_error": curve[best], "last_error": curve[-1], "stopped_by_gcv": stopped},
        "hybrid": {"alpha": hybrid[-1].alpha, "steps": hybrid[-1].history["step"][-1], "error": errors[-1]},
    }
    claims = [
        at_least("The last iterate of CGLS errs more than its best by a factor of", curve[-1] / curve[best], 2.0),
        at_most("Hybrid LSQR errs more than the best iterate by a factor of", errors[-1] / curve[best], 1.1),
    ]
    pictures = {
        "truth": problem.x,
        "data": b,
        f"CGLS, {best} iterations (best)": plain.iterates[best],
        f"CGLS, {steps} iterations": plain.iterates[-1],
        "hybrid LSQR": hybrid[-1].x,
    }
    return Outcome(numbers, claims, partial(_draw, pictures, n, curve, stopped, budgets, errors))


def _draw(
    pictures: dict[str, np.ndarray],
    n: int,
    curve: np.ndarray,
    stopped: int,
    budgets: np.ndarray,
    errors: np.ndarray,
    figure: Figure,
) -> None:
    """Errors over iterations; below, the pictures on one scale."""
    from numdl.plots.canvas import BLUE, GREY, ORANGE, logarithmic, logarithmic_x

    names = list(pictures)
    layout: Any = [["curve"] * len(names), names]
    parts = figure.subplot_mosaic(layout, height_ratios=[1.4, 1.0])
    axes = parts.pop("curve")
    axes.plot(np.arange(1, len(curve)), curve[1:], color=BLUE, label="CGLS")
    axes.plot(budgets, errors, "o-", color=ORANGE, markersize=4, label="hybrid LSQR, stopped after so many steps")
    axes.axvline(stopped, color=GREY, linestyle="--", linewidth=1, label="where GCV stops CGLS")
    logarithmic_x(axes)
    logarithmic(axes, np.concatenate([curve[1:], errors]))
    axes.set(xlabel="iteration", ylabel="relative error")
    axes.legend()
    for name, part in parts.items():
        part.imshow(pictures[name].reshape(n, n), cmap="gray", vmin=0, vmax=0.6)
        part.set_title(name)
        part.set_axis_off()
