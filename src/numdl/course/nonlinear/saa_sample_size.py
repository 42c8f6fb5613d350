"""Sample size of sample average approximation.

How many samples does a sample average need before its minimiser is one for all data?

A layer of ``tanh`` units with its head fits a noisy curve: the mean over n samples is minimised for growing n and asked
what it says about held-out ones. All start at the minimiser for all samples, so that no other valley blurs the picture.
With p unknowns and noise of variance ``s^2`` the means are about

    training  s^2/2 (1 - p/n) ,    held out  s^2/2 (1 + p/n) ,

so that the gap falls like 1/n. The resampling rule has to find out where it is small without held-out data to spare.

Sources: Shapiro, Dentcheva, Ruszczynski, Lectures on Stochastic Programming, SIAM 2009, sec. 5.1; Amemiya, Advanced
Econometrics, Harvard University Press 1985, sec. 4.5 (both means, for nonlinear least squares).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "SAA: how training and held-out misfit meet as the sample grows, and where a resampling rule stops"
WIDTH = 6
ALPHA = 1e-8  # against heads that few samples do not determine
HELD_OUT = 20000
PARAMETERS = {"noise": Parameter(0.3, 0.01, 2.0, "standard deviation of the noise in the curve")}


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    n: tuple[int, ...]
    draws: int
    iterations: int
    first: int
    tol: float
    slope: float
    excess: float


FULL = Size((50, 100, 200, 400, 800, 1600, 3200, 6400), 10, 40, first=50, tol=0.15, slope=0.25, excess=1.1)
QUICK = Size((60, 240, 960), 3, 15, first=480, tol=0.3, slope=0.7, excess=1.5)


def run(quick: bool, random_state: int, *, noise: float = PARAMETERS["noise"].default) -> Outcome:
    """Minimise sample averages of growing size.

    Args:
        quick: fewer and smaller samples.
        random_state: seed of points, noise, samples and weights.
        noise: standard deviation of that in the curve.

    Returns:
        Misfits, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _grow(QUICK if quick else FULL, random_state, noise)


def _grow(size: Size, random_state: int, noise: float) -> Outcome:
    import dataclasses

    import jax
    import jax.numpy as jnp

    from numdl.models import ResNet
    from numdl.optimize import LevenbergMarquardt, minimize, minimize_sample_average
    from numdl.optimize.parts.held_out import held_out_value
    from numdl.problems import LEAST_SQUARES, VarPro
    from numdl.regularize import GroupPenalty

    total = size.n[-1]
    rng = np.random.default_rng(random_state)
    x = rng.uniform(-2, 2, (total + HELD_OUT, 1))
    c = np.sin(2 * x) + 0.5 * np.cos(4 * x) + noise * rng.standard_normal(x.shape)
    net = ResNet(1, WIDTH, 0)
    theta = net.init(jax.random.key(random_state), np.float64)
    penalty = GroupPenalty(jnp.full(1, ALPHA), jnp.zeros(net.n_parameters, jnp.int32))

    def on(rows: slice) -> VarPro:
        weights = jnp.ones(len(x[rows]))
        return VarPro(
            net, LEAST_SQUARES, jnp.asarray(x[rows]), jnp.asarray(c[rows]), weights, penalty, jnp.asarray(ALPHA)
        )

    everything, held_out = on(slice(0, total)), on(slice(total, None))
    head, method = everything.first_head(theta), LevenbergMarquardt()
    best = minimize(everything, method, theta, head, max_iter=5 * size.iterations)[0]
    misfits = np.empty((len(size.n), size.draws, 2))
    for i, n in enumerate(size.n):
        for j in range(size.draws if n < total else 1):
            # Weights choose the sample: all sizes have one shape, and one compilation.
            w = np.zeros(total)
            w[rng.permutation(total)[:n]] = total / n
            sample = dataclasses.replace(everything, w=jnp.asarray(w))
            result = minimize(sample, method, best.p, best.aux, max_iter=size.iterations)[0]
            misfits[i, j] = [float(held_out_value(part, result.p, result.aux)) for part in (sample, held_out)]
    misfits[-1, 1:] = misfits[-1, 0]
    means = misfits.mean(axis=1)
    gap = means[:, 1] - means[:, 0]
    ruled = minimize_sample_average(
        everything, method, theta, head, first=size.first, tol=size.tol, max_iter=size.iterations, key=random_state,
        validation=held_out,
    )  # fmt: skip
    slope = float(np.polyfit(np.log(size.n), np.log(np.maximum(gap, 1e-12)), 1)[0])
    reached = ruled.history["validation"][-1]
    numbers = {
        "n": size.n,
        "unknowns": net.n_parameters + head.size,
        "misfit": {"training": means[:, 0], "held_out": means[:, 1]},
        "slope_of_the_gap": slope,
        "resampled": ruled.history,
        "ended": ruled.status.code,
    }
    claims = [
        at_most("The gap falls like a power of n; its exponent differs from -1 by", abs(slope + 1), size.slope),
        at_least("The smallest sample's held-out misfit is its training misfit times", means[0, 1] / means[0, 0], 1.5),
        at_most("The resampling rule ends with the held-out misfit of all samples times", reached / means[-1, 1],
                size.excess),
    ]  # fmt: skip
    return Outcome(numbers, claims, partial(_draw, numbers, misfits))


def _draw(numbers: dict[str, Any], misfits: np.ndarray, figure: Figure) -> None:
    """Both misfits and their gap over n, with the theory; the path of the resampling rule."""
    from numdl.plots.canvas import BLUE, GREEN, GREY, ORANGE, logarithmic, logarithmic_x

    n, ruled, p = np.array(numbers["n"]), numbers["resampled"], numbers["unknowns"]
    floor = numbers["misfit"]["training"][-1] / (1 - p / n[-1])
    left, right = figure.subplots(1, 2)
    for k, (name, color, sign) in enumerate((("training", ORANGE, -1), ("held out", BLUE, 1))):
        left.plot(n, misfits[:, :, k], ".", color=color, markersize=3)
        left.plot(n, misfits[:, :, k].mean(axis=1), color=color, label=name)
        theory = floor * (1 + sign * p / n)
        left.plot(n[theory > 0], theory[theory > 0], "--", color=GREY, linewidth=1)
    left.plot(ruled["n"], ruled["validation"], "s-", color=GREEN, label="resampling rule, held out")
    left.set(title="Misfit", xlabel="samples n", ylabel="half the mean square", ylim=(0, 4 * floor))
    left.legend()
    right.plot(
        n, misfits[:, :, 1].mean(axis=1) - misfits[:, :, 0].mean(axis=1), "o-", color=BLUE, label="gap, measured"
    )
    right.plot(n, 2 * floor * p / n, "--", color=GREY, label="s^2 p / n")
    bound = np.asarray(ruled["gap"]) + 1.645 * np.asarray(ruled["error"])
    bound[bound <= 0] = np.nan  # all samples have no gap to more
    right.plot(ruled["n"], bound, "s-", color=GREEN, label="bound of the resampling rule")
    logarithmic(right, 2 * floor * p / n)
    right.set(title="Held-out less training misfit", xlabel="samples n", ylabel="half the mean square")
    for axes in (left, right):
        logarithmic_x(axes)
    right.legend()
