"""Non-convexity of a single layer.

Why has even a single layer many minimisers, and what do they have to do with one another?

Two units, ``act(w_1 x) + act(w_2 x)``, are fitted to values of the same form, so that the objective is a function of
w_1 and w_2 and can be drawn. Exchanging the units leaves it as it is: with tanh two minimisers are one network, and
between them it has to be climbed. With sines there are others that are no minimiser of the whole, and most starts end
in one of them.

Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, sec. 8.2.2.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Claim, Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.analysis import Cut, MultiStart

TITLE = "Non-convexity: one layer has many minimisers, some by symmetry and some not"
TRUE = {"tanh": (0.7, 3.0), "sine": (1.0, 3.5)}
LIMIT = 6.0
N = 100
PARAMETERS = {"reach": Parameter(3.0, 0.5, 6.0, "the samples are evenly spaced from -reach to reach")}


class Seen(NamedTuple):
    """What is known of one objective: values (points, points) on the axis, ends of all runs, minima, a cut."""

    values: np.ndarray
    ends: MultiStart
    minima: np.ndarray
    networks: np.ndarray
    between: Cut
    bend: float


def run(quick: bool, random_state: int, *, reach: float = PARAMETERS["reach"].default) -> Outcome:
    """Draw the objectives, lower them from many starts, and count.

    Args:
        quick: fewer starts and points.
        random_state: seed of the starts.
        reach: the samples are evenly spaced from -reach to reach.

    Returns:
        Counts, claims and figure.
    """
    import jax

    count, points = (24, 41) if quick else (100, 121)
    axis = np.linspace(-LIMIT, LIMIT, points)
    with jax.enable_x64(True):
        starts = np.random.default_rng(random_state).uniform(-LIMIT, LIMIT, (count, 2))
        seen = {name: _look(name, axis, starts, reach) for name in TRUE}
    numbers = {
        name: {
            "minima": int(s.minima.max() + 1),
            "networks": int(s.networks.max() + 1),
            "share_at_the_lowest_percent": _share(s),
            "barrier": s.between.barrier,
            "least_curvature_between": s.bend,
        }
        for name, s in seen.items()
    }
    smooth, rough = seen["tanh"], seen["sine"]
    lowest = {name: int(np.unique(s.minima[s.ends.values < 1e-10]).size) for name, s in seen.items()}
    claims = [
        Claim("tanh: 2 minimisers have the lowest value", lowest["tanh"] == 2, str(lowest["tanh"])),
        Claim(
            "They are one network, its units exchanged", int(smooth.networks.max()) == 0, str(smooth.networks.max() + 1)
        ),
        at_least("Between them the objective climbs to", smooth.between.barrier, 1e-2),
        at_most("Half way the least eigenvalue of the Hessian is", smooth.bend, -1e-3),
        at_least("sine: minima that are not the same network are", rough.networks.max() + 1, 3),
        at_most("Of the starts with sines the share that ends lowest is", _share(rough), 60.0, " %"),
    ]
    return Outcome(numbers, claims, partial(_draw, axis, starts, seen))


def _share(seen: Seen) -> float:
    return 100 * float(np.mean(seen.ends.values < 1e-10))


def _tanh_units(w: Any, x: Any) -> Any:
    import jax.numpy as jnp

    return jnp.sum(jnp.tanh(w * x[0]), keepdims=True)


def _sine_units(w: Any, x: Any) -> Any:
    import jax.numpy as jnp

    return jnp.sum(jnp.sin(w * x[0]), keepdims=True)


def _look(name: str, axis: np.ndarray, starts: np.ndarray, reach: float) -> Seen:
    import jax.numpy as jnp

    from numdl.analysis import cut, eigenpairs, multistart, plane
    from numdl.optimize import NewtonCG
    from numdl.problems import LEAST_SQUARES, Empirical
    from numdl.regularize import GroupPenalty

    units = _tanh_units if name == "tanh" else _sine_units
    x = jnp.asarray(np.linspace(-reach, reach, N)[:, None])
    true = jnp.asarray(TRUE[name])
    c = jnp.stack([units(true, row) for row in x])
    none = GroupPenalty(jnp.zeros(1), jnp.zeros(2, jnp.int32))
    problem = Empirical(units, LEAST_SQUARES, none, x, c, jnp.ones(N))
    across, up = jnp.eye(2)
    ends = (axis[0], axis[-1])
    grid = plane(problem, jnp.zeros(2), across, up, a=ends, b=ends, points=len(axis))
    found = multistart(problem, NewtonCG(first_radius=0.3), [jnp.asarray(s) for s in starts], max_iter=60, batch=25)
    slope = 1e-6
    minima, networks = (found.minima(1e-3, slope=slope, canonical=f) for f in (None, jnp.sort))
    bend = eigenpairs(problem, jnp.full(2, true.mean()), which="smallest", count=1).values[0]
    between = cut(problem, true, true[::-1], points=101, margin=0.25)
    return Seen(grid.values, found, minima, networks, between, float(bend))


def _draw(axis: np.ndarray, starts: np.ndarray, seen: dict[str, Seen], figure: Figure) -> None:
    """Contours with the ends of all runs; below, the way between two minimisers, and the final values."""
    from numdl.plots.canvas import BLUE, INK, ORANGE, RED
    from numdl.plots.landscape import draw_cut, draw_plane

    parts = figure.subplot_mosaic([["tanh", "sine"], ["cut", "values"]], height_ratios=[1.35, 1.0])
    for (name, s), color in zip(seen.items(), (BLUE, ORANGE), strict=True):
        axes = parts[name]
        draw_plane(axes, axis, axis, np.maximum(s.values, 1e-3), "objective, cut off at 0.001")
        points = np.asarray(s.ends.points)
        inside = np.all(np.abs(points) <= LIMIT, axis=1) & (s.minima >= 0)
        lowest = inside & (s.ends.values < 1e-10)
        style: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "white", "markeredgewidth": 0.8}
        axes.plot(*points[inside & ~lowest].T, "o", color=INK, markersize=6, label="other minima", **style)
        axes.plot(*points[lowest].T, "*", color=RED, markersize=13, label="lowest", **style)
        axes.plot(axis, axis, color="white", linewidth=0.8, linestyle="--")
        axes.set(title=f"{name}: {len(starts)} starts end here", aspect="equal", xlabel="w1", ylabel="w2")
        top = s.between.barrier
        draw_cut(parts["cut"], s.between.t, s.between.values / top, f"{name}, divided by {top:.2g}", color)
        order = np.sort(s.ends.values)
        parts["values"].plot(np.arange(1, len(order) + 1), np.maximum(order, 1e-16), ".", color=color, label=name)
    # There is room in this one of the two.
    parts["tanh"].legend(loc="lower left")
    parts["cut"].set_yscale("linear")
    parts["cut"].set(
        title="From a lowest point to its mirror image", ylabel="objective over the barrier", ylim=(-0.05, 2)
    )
    parts["values"].set(title="Where the runs end", xlabel="run, sorted by its final value", ylabel="final objective")
    parts["cut"].legend(loc="upper center")
    parts["values"].legend(loc="upper left")
