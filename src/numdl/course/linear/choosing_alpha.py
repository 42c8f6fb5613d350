"""Choice of the regularisation parameter.

Which criterion chooses alpha well: L-curve, generalised cross validation, or the discrepancy principle?

A blurred signal of 200 points, 0.1 % noise, many draws. Each criterion looks at the same path; its choice is judged by
the error of the solution over that of the best alpha. The discrepancy principle is told the noise.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data.problems.inverse_problems import deblurring

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Choosing alpha: L-curve, GCV and the discrepancy principle on many draws of noise"
PARAMETERS = {"noise": Parameter(1e-3, 1e-6, 0.5, "noise over the root mean square of the data")}


def run(quick: bool, random_state: int, *, noise: float = PARAMETERS["noise"].default) -> Outcome:
    """Choose on every draw by every criterion.

    Args:
        quick: fewer draws.
        random_state: seed of the noise.
        noise: noise over the root mean square of the data.

    Returns:
        Ratios of errors, claims and figure.
    """
    from numdl.regularize.ridge import alpha_grid, decompose, ridge_path
    from numdl.regularize.selectors import GUARD, discrepancy, gcv, l_curve

    problem, draws = deblurring(200), 15 if quick else 100
    norm = problem.deviation(noise) * len(problem.b) ** 0.5
    selectors: dict[str, Any] = {
        "GCV": gcv,
        "guarded GCV": partial(gcv, guard=GUARD),
        "L-curve": l_curve,
        "discrepancy": partial(discrepancy, noise=norm),
    }
    rng = np.random.default_rng(random_state)
    ratios: dict[str, list[float]] = {name: [] for name in selectors}
    first: dict[str, Any] = {}
    for _ in range(draws):
        d = decompose(problem.A, problem.noisy(noise, rng)[:, None])
        path = ridge_path(d, alpha_grid(d, 120))
        errors = np.array([np.linalg.norm(d.solution(alpha)[0][:, 0] - problem.x) for alpha in path.alphas])
        choices = {name: selector(path) for name, selector in selectors.items()}
        for name, choice in choices.items():
            ratios[name].append(float(errors[choice] / errors.min()))
        first = first or {"path": path, "choices": choices, "errors": errors / np.linalg.norm(problem.x)}
    medians, worst = ({name: float(f(r)) for name, r in ratios.items()} for f in (np.median, np.max))
    numbers = {"draws": draws, "median_ratio": medians, "worst_ratio": worst}
    claims = [
        at_most("Guarded GCV errs more than the best alpha by a median factor of", medians["guarded GCV"], 1.1),
        at_most("In its worst draw by a factor of", worst["guarded GCV"], 2.0),
        at_most("The discrepancy principle by a median factor of", medians["discrepancy"], 1.2),
    ]
    if not quick:
        claims.append(at_least("GCV without guard in its worst draw by a factor of", worst["GCV"], 2.0))
    return Outcome(numbers, claims, partial(_draw, first, ratios))


def _draw(first: dict[str, Any], ratios: dict[str, list[float]], figure: Figure) -> None:
    """The L-curve and the errors of the first draw with all choices; the ratios of all draws."""
    from numdl.plots.canvas import CYCLE, GREY, logarithmic, logarithmic_x

    path, choices, errors = first["path"], first["choices"], first["errors"]
    (curve, error), (below, right) = figure.subplots(2, 2)
    curve.plot(path.residuals, path.seminorms, color=GREY)
    logarithmic_x(curve)
    logarithmic(curve, path.seminorms)
    curve.set(title="L-curve of the first draw", xlabel="residual", ylabel="size of the solution")
    error.plot(path.alphas, errors, color=GREY)
    logarithmic_x(error)
    logarithmic(error, errors)
    error.set(title="Error of the first draw", xlabel="alpha", ylabel="relative error")
    criterion = choices["GCV"].criterion
    below.plot(path.alphas, criterion, color=GREY)
    logarithmic_x(below)
    logarithmic(below, criterion[np.isfinite(criterion)])
    below.set(title="GCV of the first draw", xlabel="alpha", ylabel="criterion")
    # Choices may fall together: rings around one another.
    for k, (color, (name, choice)) in enumerate(zip(CYCLE, choices.items(), strict=False)):
        i, ring = choice.index, {"color": color, "markersize": 13 - 3 * k, "fillstyle": "none", "markeredgewidth": 1.6}
        for axes, x, y in ((curve, path.residuals, path.seminorms), (error, path.alphas, errors)):
            axes.plot(x[i], y[i], "o", label=name, **ring)
        below.plot(path.alphas[i], criterion[i], "o", **ring)
    curve.legend()
    for color, (name, found) in zip(CYCLE, ratios.items(), strict=False):
        right.plot(np.linspace(0, 100, len(found)), np.sort(found), color=color, label=name)
    right.set(
        title=f"Error over that of the best alpha, {len(ratios['GCV'])} draws",
        ylim=(0.95, 3),
        xlabel="% of the draws",
        ylabel="ratio",
    )
    right.legend()
