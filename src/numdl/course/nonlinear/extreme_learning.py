"""Extreme learning machines: what is training a layer worth, against drawing it and solving for the head only?

The same layers, ``tanh(K x + b)`` with the same first weights, on ``peaks``: once as they are drawn, with the best head
(an extreme learning machine), once after training with the head eliminated. Each unit bends along the line
``K_i x + b_i = 0``; training moves these lines to where the function bends.

Source: Huang, Zhu and Siew, Neurocomputing 70 (2006) 489-501.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least
from numdl.data import Scaler
from numdl.data.problems.toys import peaks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Extreme learning: a layer that is drawn needs many times the units of one that is trained"
GRID = 81
PARAMETERS = {"noise": Parameter(0.0, 0.0, 1.0, "standard deviation of the noise in the targets, over theirs")}


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    n: int
    drawn: tuple[int, ...]
    trained: tuple[int, ...]
    draws: int
    iterations: int
    gain: float
    units: float


FULL = Size(1500, (4, 8, 16, 32, 64, 128, 256), (4, 8, 16, 32), draws=10, iterations=200, gain=10.0, units=2.0)
QUICK = Size(400, (4, 8, 16, 32), (16,), draws=3, iterations=60, gain=2.0, units=1.3)


def run(quick: bool, random_state: int, *, noise: float = PARAMETERS["noise"].default) -> Outcome:
    """Draw and train layers.

    Args:
        quick: fewer points, widths and iterations.
        random_state: seed of points and weights.
        noise: standard deviation of that in the targets, over theirs.

    Returns:
        Errors, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _compare(QUICK if quick else FULL, random_state, noise)


def _compare(size: Size, random_state: int, noise: float) -> Outcome:
    from numdl.course.training import peaks_surface, train
    from numdl.models import ResNet

    training, held_out, inputs, _ = peaks_surface(size.n, random_state, noise)
    how: dict[str, Any] = {"alpha": 1e-12, "iterations": size.iterations, "seed": random_state}
    runs = {m: train(ResNet(2, m, 0), "least_squares", training, held_out, _rms, **how) for m in size.trained}
    seeds = range(random_state, random_state + size.draws)
    drawn = np.array([[_drawn_error(m, seed, training, held_out) for seed in seeds] for m in size.drawn])
    trained = np.array([run.errors[-1] for run in runs.values()])
    middle = np.median(drawn, axis=1)
    m = size.trained[-1]
    worse = np.flatnonzero(middle > trained[-1])
    units = size.drawn[worse[-1]] / m if worse.size else 0.0
    same = float(np.interp(np.log(m), np.log(size.drawn), np.log(middle)))
    numbers = {
        "drawn": {"widths": size.drawn, "held_out_error": drawn},
        "trained": {"widths": size.trained, "held_out_error": trained},
        "iterations": {width: len(run.errors) for width, run in runs.items()},
    }
    claims = [
        at_least(
            f"At {m} units training lowers the held-out error by a factor of", np.exp(same) / trained[-1], size.gain
        ),
        at_least(
            f"A drawn layer is worse than the trained one of {m} units even with its units times", units, size.units
        ),
    ]
    axis = np.linspace(-3, 3, GRID)
    first = ResNet(2, m, 0).init(random_state_key(random_state))["opening"]
    layers = {"drawn": first, "trained": runs[m].result.p["opening"]}
    lines = {name: _in_plane(layer, inputs) for name, layer in layers.items()}
    return Outcome(numbers, claims, partial(_draw, axis, lines, size, drawn, trained))


def random_state_key(seed: int) -> Any:
    """The key from which ``train`` draws the first weights."""
    import jax

    return jax.random.key(seed)


def _rms(s: np.ndarray, c: np.ndarray) -> float:
    """Root mean square error; targets have deviation 1."""
    return float(np.sqrt(np.mean((s - c) ** 2)))


def _drawn_error(m: int, seed: int, training: tuple, held_out: tuple) -> float:
    """Held-out error of the best head on a drawn layer."""
    from numdl.models import ResNet

    layer = ResNet(2, m, 0).init(random_state_key(seed))["opening"]
    K, b = (np.asarray(layer[name]) for name in ("K", "b"))
    u, v = (np.column_stack([np.tanh(x @ K.T + b), np.ones(len(x))]) for x, _ in (training, held_out))
    head = np.linalg.lstsq(u, training[1], rcond=1e-12)[0]
    return _rms(v @ head, held_out[1])


def _in_plane(layer: Any, inputs: Scaler) -> np.ndarray:
    """Lines ``a x1 + b x2 + c = 0`` on which the units bend, in the original coordinates, (m, 3)."""
    K, b = np.asarray(layer["K"]), np.asarray(layer["b"])
    zero = inputs.transform(np.zeros((1, 2)))[0]
    slope = inputs.transform(np.eye(2)) - zero
    return np.column_stack([K @ slope.T, K @ zero + b])


def _draw(
    axis: np.ndarray, lines: dict[str, np.ndarray], size: Size, drawn: np.ndarray, trained: np.ndarray, figure: Figure
) -> None:
    """Where the units bend, drawn and trained, over the function; and the errors over the width."""
    from numdl.plots.canvas import BLUE, INK, ORANGE, logarithmic, logarithmic_x

    parts = figure.subplot_mosaic([["drawn", "error"], ["trained", "error"]], width_ratios=[1.0, 1.6])
    surface = peaks(*np.meshgrid(axis, axis))
    for name, rows in lines.items():
        axes = parts[name]
        axes.imshow(surface, origin="lower", extent=(-3, 3, -3, 3), cmap="viridis", alpha=0.6, vmin=-7, vmax=9)
        for a, b, c in rows:
            foot = -c * np.array([a, b]) / (a * a + b * b)
            along = 10 * np.array([-b, a]) / np.hypot(a, b)
            axes.plot(*np.stack([foot - along, foot + along]).T, color=INK, linewidth=0.9)
        axes.set(
            title=f"{len(rows)} units {name}", aspect="equal", xlim=(-3, 3), ylim=(-3, 3), xlabel="x1", ylabel="x2"
        )
        axes.grid(False)
    axes = parts["error"]
    axes.plot(size.drawn, np.median(drawn, axis=1), "o-", color=ORANGE, markersize=4, label="drawn, median")
    low, high = drawn.min(axis=1), drawn.max(axis=1)
    axes.fill_between(size.drawn, low, high, color=ORANGE, alpha=0.2, linewidth=0, label=f"{size.draws} draws")
    axes.plot(size.trained, trained, "s-", color=BLUE, markersize=4, label="trained")
    logarithmic(axes, np.concatenate([low, high, trained]))
    logarithmic_x(axes)
    ticks = sorted({*size.drawn, *size.trained})
    axes.set_xticks(ticks, [str(m) for m in ticks])
    axes.set(title="Error over the width", xlabel="width of the layer", ylabel="held-out error over deviation")
    axes.legend(loc="lower left")
