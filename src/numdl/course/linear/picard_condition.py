"""Picard condition of ill-posed problems: what makes a problem ill-posed, and where does the noise drown the data?

Shaw's integral equation, 100 points. The coefficients of exact data fall faster than the singular values; those of
noisy data stop falling at the level of the noise, and their quotients, the solution without regularisation, explode.

Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 3.3.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data.problems.inverse_problems import shaw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.regularize.ridge import Picard

TITLE = "Picard condition: data must fade faster than the singular values, and noise does not"
PARAMETERS = {"noise": Parameter(1e-3, 1e-6, 0.5, "noise over the root mean square of the data")}


def run(quick: bool, random_state: int, *, noise: float = PARAMETERS["noise"].default) -> Outcome:
    """Decompose the problem once, look at exact and at noisy data.

    Args:
        quick: fewer points.
        random_state: seed of the noise.
        noise: noise over the root mean square of the data.

    Returns:
        Levels, claims and figure.
    """
    from numdl.regularize.ridge import decompose, picard

    problem = shaw(40 if quick else 100)
    n, deviation = len(problem.b), problem.deviation(noise)
    data = {"exact": problem.b, "noisy": problem.noisy(noise, random_state)}
    plots = {name: picard(decompose(problem.A, b[:, None])) for name, b in data.items()}
    noisy = decompose(problem.A, data["noisy"][:, None])
    naive = np.linalg.lstsq(problem.A, data["noisy"], rcond=0)[0]
    kept = noisy.basis[:, : plots["noisy"].usable]
    truncated = kept @ (kept.T @ np.linalg.pinv(problem.A, rcond=1e-13) @ data["noisy"])
    size = np.linalg.norm(problem.x)
    errors = {name: float(np.linalg.norm(x - problem.x) / size) for name, x in (("naive", naive), ("kept", truncated))}
    numbers = {
        "points": n,
        "condition": float(np.linalg.cond(problem.A)),
        "noise": {"true": deviation, "seen": plots["noisy"].noise},
        "usable": {name: plot.usable for name, plot in plots.items()},
        "relative_error": errors,
    }
    off = max(plots["noisy"].noise / deviation, deviation / plots["noisy"].noise)
    claims = [
        at_least("The condition number is", numbers["condition"], 1e14),
        at_least("Without regularisation the relative error is", errors["naive"], 1e3),
        at_least(
            "The directions that the Picard plot trusts lower it by a factor of", errors["naive"] / errors["kept"], 1e8
        ),
        # Twenty directions are above rounding, and the level is the median of the eight weakest coefficients.
        at_most("The noise seen in the plot is off, up or down, by a factor of", off, 4.0),
    ]
    return Outcome(numbers, claims, partial(_draw, problem.x, truncated, plots))


def _draw(x: np.ndarray, found: np.ndarray, plots: dict[str, Picard], figure: Figure) -> None:
    """Both plots on one scale, and the solution that the usable directions give."""
    from numdl.plots.canvas import BLUE, GREEN, GREY, ORANGE, logarithmic

    parts = figure.subplot_mosaic([["exact", "noisy"], ["x", "x"]], height_ratios=[1.3, 1.0])
    for name in ("exact", "noisy"):
        axes, plot = parts[name], plots[name]
        number = np.arange(1, len(plot.values) + 1)
        axes.plot(number, plot.values, color=BLUE, label="singular values")
        axes.plot(number, plot.coefficients, "o", color=ORANGE, markersize=4, label="coefficients of the data")
        axes.plot(number, plot.solution, "x", color=GREEN, markersize=5, label="their quotients")
        logarithmic(axes, np.concatenate([plots["exact"].values, plots["noisy"].solution]))
        axes.set(
            title=f"{name.capitalize()} data, {plot.usable} directions usable",
            xlabel="direction",
            ylabel="size",
            ylim=(1e-20, 1e16),
            xticks=range(0, len(number) + 1, 5),
        )
        if plot.noise > 0:
            axes.axhline(plot.noise, color=GREY, linestyle="--", linewidth=1, label="level of the noise")
    parts["noisy"].legend(loc="upper left", ncols=2)
    t = np.pi * (np.arange(len(x)) + 0.5) / len(x) - np.pi / 2
    parts["x"].plot(t, x, color=GREY, linestyle="--", label="truth")
    parts["x"].plot(t, found, color=BLUE, label="from the usable directions of noisy data")
    parts["x"].set(xlabel="angle", ylabel="x")
    parts["x"].legend()
