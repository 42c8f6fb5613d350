"""Regression on peaks: depth against width.

What does depth buy on a smooth surface, against a line and against networks of one layer?

Regression on ``peaks`` without noise: 2000 points to train on, 1000 held out, uniform in [-3, 3]^2. The deep network
has 8 antisymmetric Euler steps of width 8 on [0, 5]. It is compared with ridge regression, with a single layer of the
same width and with a single layer of as many weights. Errors are ``1/(2v) sum (s_i - c_i)^2`` on the held-out points,
in the units of the surface.

On so smooth a surface in two dimensions the wide single layer, trained in the same way, needs fewer iterations than the
deep network and ends lower, at a higher cost per iteration; the figure shows it. What depth buys is accuracy
at a given width: the features stay eight.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data.problems.toys import peaks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Peaks regression: a deep network of width 8 against ridge regression and single layers"
T = 5.0
ALPHA = 1e-10  # noise-free data: only enough to keep the matrices regular
GRID = 81
PARAMETERS = {
    "width": Parameter(8, 2, 12, "width of the deep network and of the narrow layer"),
    "depth": Parameter(8, 1, 16, "steps of the deep network"),
}


class Size(NamedTuple):
    """How much is computed (the wide layer is the dearest per iteration, 0 leaves it out) and what is then claimed."""

    n: int
    iterations: int
    wide_iterations: int
    error: float
    gain_depth: float
    gain_ridge: float


FULL = Size(n=2000, iterations=150, wide_iterations=40, error=1e-5, gain_depth=1e3, gain_ridge=1e5)
QUICK = Size(n=500, iterations=20, wide_iterations=0, error=0.3, gain_depth=1.5, gain_ridge=3.0)


def run(
    quick: bool,
    random_state: int,
    *,
    width: float = PARAMETERS["width"].default,
    depth: float = PARAMETERS["depth"].default,
) -> Outcome:
    """Train the three networks and ridge regression, and compare them.

    Args:
        quick: fewer points and iterations.
        random_state: seed of points and weights.
        width: of the deep network and of the narrow layer.
        depth: steps of the deep network.

    Returns:
        Errors, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _compare(QUICK if quick else FULL, random_state, int(width), int(depth))


def _compare(size: Size, random_state: int, width: int, depth: int) -> Outcome:
    from sklearn.linear_model import RidgeCV

    from numdl.course.training import peaks_surface, train
    from numdl.models import ResNet

    training, held_out, inputs, target = peaks_surface(size.n, random_state)
    variance = float(target.scale[0] ** 2)

    def error(scores: np.ndarray, c: np.ndarray) -> float:
        return 0.5 * variance * float(np.mean((scores - c) ** 2))

    deep = ResNet(2, width, depth, T=T, dynamics="antisymmetric")
    nets = {"deep": (deep, size.iterations), "layer": (ResNet(2, width, 0), size.iterations)}
    if size.wide_iterations:
        nets["wide"] = (ResNet(2, deep.n_parameters // 3, 0), size.wide_iterations)  # width m has 3 m weights here
    trained = {
        name: train(
            net, "least_squares", training, held_out, error, alpha=ALPHA, iterations=iterations, seed=random_state
        )
        for name, (net, iterations) in nets.items()
    }
    errors = {name: float(model.errors[-1]) for name, model in trained.items()}
    ridge = RidgeCV(np.logspace(-8, 4, 25)).fit(training[0], training[1][:, 0])
    errors["ridge"] = error(ridge.predict(held_out[0])[:, None], held_out[1])
    errors["mean"] = error(np.zeros_like(held_out[1]), held_out[1])
    numbers = {
        "rows": size.n,
        "held_out_error": errors,
        "weights": {name: net.n_parameters for name, (net, _) in nets.items()},
        "iterations": {name: len(model.errors) for name, model in trained.items()},
        "status": {name: model.result.status.code for name, model in trained.items()},
    }
    layer, line = errors["layer"] / errors["deep"], errors["ridge"] / errors["deep"]
    claims = [
        at_most("The held-out error of the deep network is", errors["deep"], size.error),
        at_least("A single layer of the same width errs more by a factor of", layer, size.gain_depth),
        at_least("Ridge regression errs more by a factor of", line, size.gain_ridge),
    ]
    axis = np.linspace(-3, 3, GRID)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    surface = target.inverse(trained["deep"].scores(inputs.transform(grid.reshape(-1, 2)))).reshape(GRID, GRID)
    curves = {
        f"{'deep' if net.depth else 'single layer'}, width {net.width}": trained[name].errors
        for name, (net, _) in nets.items()
    }
    truth = peaks(grid[..., 0], grid[..., 1])
    return Outcome(numbers, claims, partial(_draw, axis, truth, surface, curves, errors["ridge"]))


def _draw(
    axis: np.ndarray, truth: np.ndarray, surface: np.ndarray, curves: dict[str, Any], ridge: float, figure: Figure
) -> None:
    """Surface and prediction on one scale, their distance, and the errors over the iterations."""
    from matplotlib.ticker import MaxNLocator

    from numdl.plots.canvas import CYCLE, GREY, logarithmic

    parts = figure.subplot_mosaic([["truth", "net", "miss"], ["curve", "curve", "curve"]], height_ratios=[1.1, 1.0])
    levels = np.linspace(-7, 9, 33)
    for name, values, title in (("truth", truth, "peaks"), ("net", surface, "deep network")):
        drawn = parts[name].contourf(axis, axis, values, levels=levels, cmap="viridis", extend="both")
        parts[name].set_title(title)
    figure.colorbar(drawn, ax=parts["net"], shrink=0.7)
    miss = np.log10(np.maximum(np.abs(surface - truth), 1e-16))
    drawn = parts["miss"].imshow(miss, origin="lower", extent=(-3, 3, -3, 3), cmap="magma", interpolation="bilinear")
    parts["miss"].set_title("log10 of their distance")
    figure.colorbar(drawn, ax=parts["miss"], shrink=0.7)
    curve = parts.pop("curve")
    for axes in parts.values():
        axes.set(aspect="equal", xlabel="x1", ylabel="x2")
        axes.grid(False)
    for color, (label, errors) in zip(CYCLE, curves.items(), strict=False):
        curve.plot(np.arange(1, len(errors) + 1), errors, color=color, label=label)
    curve.axhline(ridge, color=GREY, linestyle="--", linewidth=1, label="ridge")
    logarithmic(curve, np.concatenate([*curves.values(), [ridge]]))
    curve.set(xlabel="iteration", ylabel="held-out error")
    curve.xaxis.set_major_locator(MaxNLocator(integer=True))
    curve.legend()
