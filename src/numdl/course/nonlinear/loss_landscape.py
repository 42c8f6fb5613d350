"""Loss landscapes: what does the objective of a network look like around a minimiser, and between two of them?

Two residual networks of one architecture are trained on ``peaks`` from different weights, head and flow then taken
together. Planes through each along two random filter-normalised directions; the straight way from one to the other; the
spectra of Hessian and Gauss-Newton matrix at one of them: few stiff directions, and many that hardly matter.

Source: Li et al., NeurIPS 31 (2018); Ghorbani, Krishnan, Xiao, ICML 2019.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data import TOYS, Scaler
from numdl.models import ResNet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.analysis import Cut, Density, Plane

TITLE = "Loss landscape: two minimisers, what lies around and between them, and the spectrum"
NET = ResNet(2, 8, 4, T=4.0, dynamics="antisymmetric")
PARAMETERS = {
    "alpha": Parameter(1e-6, 1e-10, 1e-1, "penalty on the weights, in units of the mean misfit"),
    "reach": Parameter(0.5, 0.01, 2.0, "how far the planes reach, in sizes of the filters"),
}
ON_THE_WAY = 201  # points of the cut: in a narrow valley a few points would draw a wedge


class Size(NamedTuple):
    """How much is computed."""

    n: int
    iterations: int
    points: int
    probes: int
    steps: int


FULL = Size(n=800, iterations=80, points=41, probes=20, steps=100)
QUICK = Size(n=200, iterations=30, points=31, probes=4, steps=30)


def run(
    quick: bool,
    random_state: int,
    *,
    alpha: float = PARAMETERS["alpha"].default,
    reach: float = PARAMETERS["reach"].default,
) -> Outcome:
    """Train twice, and look around.

    Args:
        quick: fewer points, iterations and probes.
        random_state: seed of points, weights and directions.
        alpha: penalty on the weights, in units of the mean misfit.
        reach: how far the planes reach, in sizes of the filters.

    Returns:
        Barrier, spectra, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _look(QUICK if quick else FULL, random_state, alpha, (-reach, reach))


def scores(p: Any, x: Any) -> Any:
    """Scores of one sample from flow and head together, ``W [u(theta, x); 1]``."""
    return p["head"][:, :-1] @ NET(p["theta"], x) + p["head"][:, -1]


def _look(size: Size, random_state: int, alpha: float, ends: tuple[float, float]) -> Outcome:
    import jax
    import jax.numpy as jnp

    from numdl.analysis import cut, filter_normalised, plane, random_direction, spectrum
    from numdl.problems import LEAST_SQUARES, Empirical
    from numdl.regularize import GroupPenalty

    data = TOYS["peaks-regression"](size.n, random_state)
    x, c = (jnp.asarray(Scaler.fit(a).transform(a)) for a in (data.x, data.c))
    minima = [_minimiser(x, c, size.iterations, seed, alpha) for seed in (random_state, random_state + 1)]
    count = sum(leaf.size for leaf in jax.tree.leaves(minima[0]))
    penalty = GroupPenalty(jnp.full(1, alpha), jnp.zeros(count, jnp.int32))
    problem = Empirical(scores, LEAST_SQUARES, penalty, x, c, jnp.ones(size.n))
    keys = jax.random.split(jax.random.key(random_state))
    planes = []
    for p in minima:
        u, v = (filter_normalised(random_direction(p, key), p) for key in keys)
        planes.append(plane(problem, p, u, v, a=ends, b=ends, points=size.points, batch=32))
    between = cut(problem, *minima, points=ON_THE_WAY, margin=0.25, batch=32)
    spectra = {
        kind: spectrum(problem, minima[0], kind=kind, probes=size.probes, steps=size.steps)
        for kind in ("hessian", "gauss-newton")
    }
    width = spectra["gauss-newton"].largest / 200
    densities = {kind: found.density(width=width) for kind, found in spectra.items()}
    hessian, gauss_newton = spectra.values()
    reached = np.interp((0.0, 1.0), between.t, between.values)
    trace, error = gauss_newton.trace()
    effective = trace / gauss_newton.largest
    stiff, _ = hessian.share_below(hessian.largest / 100)
    numbers = {
        "weights": count,
        "objective": reached,
        "barrier": between.barrier,
        "largest": {kind: found.largest for kind, found in spectra.items()},
        "smallest": {kind: found.smallest for kind, found in spectra.items()},
        "trace_gauss_newton": [trace, error],
        "trace_over_largest": effective,
        "share_below_a_hundredth": stiff,
    }
    claims = [
        at_least(
            "The straight way climbs above both ends by their objective times", between.barrier / reached.max(), 10.0
        ),
        at_most("The trace is the largest eigenvalue times", effective, 0.1 * count),
        at_most(
            "The largest eigenvalues of Hessian and Gauss-Newton differ by",
            100 * abs(hessian.largest / gauss_newton.largest - 1),
            10.0,
            " %",
        ),
        at_most("The most negative eigenvalue of the Hessian is that times", -hessian.smallest / hessian.largest, 0.05),
        at_least("Below a hundredth of the largest eigenvalue there are", 100 * stiff, 80.0, " %"),
    ]
    return Outcome(numbers, claims, partial(_draw, planes, between, densities))


def _minimiser(x: Any, c: Any, iterations: int, seed: int, alpha: float) -> dict[str, Any]:
    """Weights and head after training with the head eliminated."""
    from numdl.course.training import train

    how: dict[str, Any] = {"alpha": alpha, "iterations": iterations, "seed": seed}
    result = train(NET, "least_squares", (x, c), (x, c), lambda s, c: float(np.mean((s - c) ** 2)), **how).result
    return {"theta": result.p, "head": result.aux}


def _draw(planes: list[Plane], between: Cut, densities: dict[str, Density], figure: Figure) -> None:
    """Both planes; below, the way between the minimisers, and the spectra."""
    from numdl.plots.canvas import BLUE, ORANGE, RED
    from numdl.plots.landscape import draw_cut, draw_density, draw_plane

    (above, (left, right)) = figure.subplots(2, 2, height_ratios=[1.35, 1.0])
    for axes, found, name in zip(above, planes, ("first", "second"), strict=True):
        draw_plane(axes, found.a, found.b, found.values)
        axes.plot(0, 0, "*", color=RED, markersize=13, markeredgecolor="white", markeredgewidth=0.8)
        axes.set(title=f"Around the {name} minimiser", aspect="equal")
        axes.set(xlabel="a, first filter-normalised direction", ylabel="b, second one")
    draw_cut(left, between.t, between.values, "objective", BLUE)
    left.set_title("Straight from the first minimiser to the second")
    names = {"hessian": ("Hessian", BLUE, "-"), "gauss-newton": ("Gauss-Newton", ORANGE, "--")}
    for kind, found in densities.items():
        draw_density(right, found.grid, found.values, found.error, *names[kind])
    right.set_title("Eigenvalues at the first minimiser")
    right.legend(loc="upper right")
