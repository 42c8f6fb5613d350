"""Universal approximation by a single layer.

How fast does one layer of m units approach a smooth function, if its weights are trained?

``W [tanh(K x + b); 1]`` is fitted to ``peaks`` without noise, the head eliminated, the layer trained by
Levenberg-Marquardt from several starts. For functions with a bounded first moment of their Fourier transform there are
layers whose root mean square error falls as ``1 / sqrt(m)`` in any dimension; for a function as smooth as this one
training finds more.

Source: Barron, IEEE Trans. Inf. Theory 39 (1993) 930-945, thm. 1; Cybenko, Math. Control Signals Syst. 2 (1989).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data.problems.toys import peaks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Universal approximation: the error of one trained layer over its width"
GRID = 81
PARAMETERS = {"noise": Parameter(0.0, 0.0, 1.0, "standard deviation of the noise in the targets, over theirs")}


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    n: int
    widths: tuple[int, ...]
    starts: int
    iterations: int
    rate: float
    gain: float


FULL = Size(n=1000, widths=(1, 2, 4, 8, 16, 32), starts=2, iterations=120, rate=-0.75, gain=15.0)
QUICK = Size(n=400, widths=(2, 6, 16), starts=1, iterations=60, rate=-0.4, gain=2.0)


def run(quick: bool, random_state: int, *, noise: float = PARAMETERS["noise"].default) -> Outcome:
    """Train layers of all widths.

    Args:
        quick: fewer points, widths and iterations.
        random_state: seed of points and weights.
        noise: standard deviation of that in the targets, over theirs.

    Returns:
        Errors, rate, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _approximate(QUICK if quick else FULL, random_state, noise)


def _approximate(size: Size, random_state: int, noise: float) -> Outcome:
    from numdl.course.training import peaks_surface, train
    from numdl.models import ResNet

    training, held_out, inputs, target = peaks_surface(size.n, random_state, noise)
    axis = np.linspace(-3, 3, GRID)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    how: dict[str, Any] = {"alpha": 1e-12, "iterations": size.iterations}
    errors, surfaces = [], {}
    for m in size.widths:
        seeds = range(random_state, random_state + size.starts)
        runs = [train(ResNet(2, m, 0), "least_squares", training, held_out, _rms, seed=seed, **how) for seed in seeds]
        errors.append([trained.errors[-1] for trained in runs])
        best = runs[int(np.argmin(errors[-1]))]
        scores = best.scores(inputs.transform(grid.reshape(-1, 2)))
        surfaces[m] = target.inverse(scores).reshape(GRID, GRID)
    found = np.array(errors)
    widths, lowest = np.array(size.widths), found.min(axis=1)
    rate = float(np.polyfit(np.log(widths), np.log(lowest), 1)[0])
    numbers = {"widths": widths, "held_out_error": found, "rate": rate, "starts": size.starts}
    claims = [
        at_most("The error falls as a power of the width, with an exponent of", rate, size.rate),
        at_least("From the narrowest to the widest layer it falls by a factor of", lowest[0] / lowest[-1], size.gain),
        at_least("The narrowest layer leaves of the deviation a share of", lowest[0], 0.5),
    ]
    truth = peaks(grid[..., 0], grid[..., 1])
    shown = [size.widths[1], size.widths[len(size.widths) // 2], size.widths[-1]]
    return Outcome(numbers, claims, partial(_draw, axis, truth, {m: surfaces[m] for m in shown}, widths, found, rate))


def _rms(s: np.ndarray, c: np.ndarray) -> float:
    """Root mean square error; targets have deviation 1."""
    return float(np.sqrt(np.mean((s - c) ** 2)))


def _draw(
    axis: np.ndarray,
    truth: np.ndarray,
    surfaces: dict[int, np.ndarray],
    widths: np.ndarray,
    errors: np.ndarray,
    rate: float,
    figure: Figure,
) -> None:
    """Surface and fits on one scale; below, the error over the width with the guaranteed rate."""
    from numdl.plots.canvas import BLUE, GREY, ORANGE, logarithmic, logarithmic_x

    shown = {"peaks": truth, **{f"{m} unit{'s' if m > 1 else ''}": values for m, values in surfaces.items()}}
    parts = figure.subplot_mosaic([list(shown), ["error"] * len(shown)], height_ratios=[1.0, 1.2])
    for name, values in shown.items():
        axes = parts[name]
        axes.contourf(axis, axis, values, levels=np.linspace(-7, 9, 33), cmap="viridis", extend="both")
        axes.set(title=name, aspect="equal", xlabel="x1", ylabel="x2")
        axes.grid(False)
    axes, lowest = parts["error"], errors.min(axis=1)
    axes.plot(widths, errors, ".", color=BLUE, alpha=0.5, label=["each start", *[None] * (errors.shape[1] - 1)])
    axes.plot(widths, lowest, "o-", color=BLUE, markersize=4, label="best start")
    fit = np.exp(np.mean(np.log(lowest)) + rate * (np.log(widths) - np.mean(np.log(widths))))
    axes.plot(widths, fit, color=ORANGE, linestyle="--", linewidth=1, label=f"width to the power {rate:.1f}")
    axes.plot(widths, lowest[0] / widths**0.5, color=GREY, linestyle=":", label="guaranteed rate, power -0.5")
    logarithmic(axes, errors)
    logarithmic_x(axes)
    axes.set_xticks(widths, [str(m) for m in widths])
    axes.set(xlabel="width of the layer", ylabel="held-out error over deviation")
    axes.legend(loc="lower left")
