"""Random features: how far do random features come on a smooth surface, and what do more of them cost?

``peaks`` without noise, 1000 points to train on, 1000 held out. The weights of one layer are drawn once and never
trained; only the linear head is solved for, its penalty chosen by GCV. Against ridge regression on the inputs, and for
three activations over the width.

Source: Rahimi and Recht, Advances in Neural Information Processing Systems 20, 2007.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data import TOYS
from numdl.data.problems.toys import peaks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Random features on peaks: a layer that is never trained, and a head that is solved for"
ACTIVATIONS = ("sine", "tanh", "relu")
GRID = 81
PARAMETERS = {
    "noise": Parameter(0.0, 0.0, 5.0, "standard deviation of the noise in the targets, in units of the surface")
}


def run(quick: bool, random_state: int, *, noise: float = PARAMETERS["noise"].default) -> Outcome:
    """Fit all widths and activations.

    Args:
        quick: fewer points and widths.
        random_state: seed of points and weights.
        noise: standard deviation of that in the targets, in units of the surface.

    Returns:
        Errors, claims and figure.
    """
    from numdl.estimators import RandomFeaturesRegressor, TikhonovRegressor

    n, widths = (300, (20, 80)) if quick else (1000, (10, 20, 50, 100, 200, 400))
    data = TOYS["peaks-regression"](n + 1000, random_state)
    x, held, truth = data.x[:n], data.x[n:], data.c[n:, 0]
    y = data.c[:n, 0] + noise * np.random.default_rng(random_state + 1).standard_normal(n)

    def error(model: TikhonovRegressor | RandomFeaturesRegressor) -> float:
        return float(0.5 * np.mean((model.predict(held) - truth) ** 2))

    models = {
        name: [RandomFeaturesRegressor(m, name, random_state=random_state).fit(x, y) for m in widths]
        for name in ACTIVATIONS
    }
    errors = {name: np.array([error(model) for model in row]) for name, row in models.items()}
    line = error(TikhonovRegressor().fit(x, y))
    best = min(values[-1] for values in errors.values())
    numbers = {"rows": n, "widths": widths, "held_out_error": errors, "ridge": line}
    claims = [
        at_least("Ridge regression errs more than the widest layer by a factor of", line / best, 10 if quick else 1e4),
        at_most("The held-out error of the widest layer is", best, 0.1 if quick else 1e-4),
        at_most("The narrowest layer of sines has the error of the line times", errors["sine"][0] / line, 1.0),
    ]
    axis = np.linspace(-3, 3, GRID)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    surfaces = {"peaks": peaks(grid[..., 0], grid[..., 1])}
    for j in (0, len(widths) - 1):
        found = models["sine"][j].predict(grid.reshape(-1, 2)).reshape(GRID, GRID)
        surfaces[f"{widths[j]} random sines"] = found
    return Outcome(numbers, claims, partial(_draw, axis, surfaces, np.array(widths), errors, line))


def _draw(axis: np.ndarray, surfaces: dict, widths: np.ndarray, errors: dict, line: float, figure: Figure) -> None:
    """Surface and predictions on one scale, and the errors over the width."""
    from numdl.plots.canvas import CYCLE, GREY, logarithmic, logarithmic_x

    parts = figure.subplot_mosaic([["a", "b", "c"], ["curve", "curve", "curve"]], height_ratios=[1.1, 1.0])
    curve = parts.pop("curve")
    for axes, (name, values) in zip(parts.values(), surfaces.items(), strict=True):
        axes.contourf(axis, axis, values, levels=np.linspace(-7, 9, 33), cmap="viridis", extend="both")
        axes.set(title=name, aspect="equal", xlabel="x1", ylabel="x2")
        axes.grid(False)
    for color, (name, values) in zip(CYCLE, errors.items(), strict=False):
        curve.plot(widths, values, "o-", color=color, markersize=4, label=name)
    curve.axhline(line, color=GREY, linestyle="--", linewidth=1, label="ridge on the inputs")
    logarithmic(curve, np.concatenate([*errors.values(), [line]]))
    logarithmic_x(curve)
    curve.set_xticks(widths, [str(m) for m in widths])
    curve.set(xlabel="width of the layer", ylabel="held-out error")
    curve.legend(loc="lower left")
