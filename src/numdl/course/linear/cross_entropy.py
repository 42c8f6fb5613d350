"""Cross entropy against least squares for classification: why cross entropy, and not least squares, for classes?

Two classes on a line, one weight, no intercept. Along the weight, least squares on the sigmoid is flat where the
weight is far too small: not convex, and a descent that starts there does not move. Cross entropy is convex, with a
slope that grows with the mistake.

Source: Bishop, Pattern Recognition and Machine Learning, 2006, sec. 4.3.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Why cross entropy: least squares on a sigmoid is not convex, and flat where it is most wrong"
LIMIT, RATE = 12.0, 2.0
PARAMETERS = {
    "spread": Parameter(0.6, 0.05, 3.0, "standard deviation of the points around -1 and 1"),
    "start": Parameter(-10.0, -12.0, 12.0, "weight at which the descents begin"),
}


def run(
    quick: bool,
    random_state: int,
    *,
    spread: float = PARAMETERS["spread"].default,
    start: float = PARAMETERS["start"].default,
) -> Outcome:
    """Both misfits along the weight, their bends, and gradient descent from a wrong start.

    Args:
        quick: fewer points and steps.
        random_state: seed of the points.
        spread: standard deviation of the points around -1 and 1.
        start: weight at which the descents begin.

    Returns:
        Bends, claims and figure.
    """
    rng = np.random.default_rng(random_state)
    n, steps = (40, 50) if quick else (200, 200)
    labels = np.arange(n) % 2
    x = np.where(labels == 1, 1.0, -1.0) + spread * rng.standard_normal(n)
    w = np.linspace(-LIMIT, LIMIT, 481)
    names = ("least squares", "cross entropy")
    curves = {name: np.array([_misfit(name, weight, x, labels)[0] for weight in w]) for name in names}
    bends = {name: np.gradient(np.gradient(values, w), w)[2:-2] for name, values in curves.items()}
    ways = {name: [start] for name in names}
    for name, way in ways.items():
        for _ in range(steps):
            way.append(way[-1] - RATE * _misfit(name, way[-1], x, labels)[1])
    slopes = {name: -_misfit(name, start, x, labels)[1] for name in names}
    numbers = {
        "least_bend": {name: bend.min() for name, bend in bends.items()},
        "slope_at_the_start": slopes,
        "weight_at_the_end": {name: way[-1] for name, way in ways.items()},
    }
    claims = [
        at_most("The least bend of least squares along the weight is", bends["least squares"].min(), -1e-3),
        at_least("That of cross entropy is", bends["cross entropy"].min(), 0.0),
        at_least(
            "At a wrong start the slope of cross entropy is steeper by a factor of",
            slopes[names[1]] / slopes[names[0]],
            20.0,
        ),
        at_most(f"After {steps} steps the descent on least squares is at a weight of", ways["least squares"][-1], 0.0),
        at_least("That on cross entropy at a weight of", ways["cross entropy"][-1], 1.0),
    ]
    return Outcome(numbers, claims, partial(_draw, w, curves, bends, ways))


def _misfit(name: str, weight: float, x: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean misfit and its slope."""
    s = weight * x
    chance = 1 / (1 + np.exp(-s))
    if name == "cross entropy":
        return float(np.mean(np.logaddexp(0, s) - labels * s)), float(np.mean((chance - labels) * x))
    away = chance - labels
    return float(np.mean(away**2) / 2), float(np.mean(away * chance * (1 - chance) * x))


def _draw(w: np.ndarray, curves: dict, bends: dict, ways: dict, figure: Figure) -> None:
    """Misfits, their second derivatives, and the ways of the descents."""
    from numdl.plots.canvas import CYCLE, GREY

    parts = figure.subplot_mosaic([["least squares", "cross entropy"], ["bend", "way"]])
    for color, (name, values) in zip(CYCLE, curves.items(), strict=False):
        axes = parts[name]
        axes.plot(w, values, color=color)
        axes.plot(ways[name], np.interp(ways[name], w, values), "o", color=color, markersize=4, alpha=0.6)
        axes.set(title=f"{name.capitalize()}, steps of gradient descent as dots", xlabel="weight", ylabel="mean misfit")
        parts["bend"].plot(w[2:-2], bends[name], color=color, label=name)
        parts["way"].plot(ways[name], color=color, label=name)
    parts["bend"].axhline(0, color=GREY, linewidth=1)
    parts["bend"].set(title="Second derivative: negative is not convex", xlabel="weight", ylabel="second derivative")
    parts["way"].set(title=f"Descent from {ways['cross entropy'][0]:g}", xlabel="step", ylabel="weight")
    for name in ("bend", "way"):
        parts[name].legend()
