"""Classification of the swiss roll: how does a flow make two intertwined spirals separable by a plane?

Two classes of 513 points each on spirals of two turns; every second pair of points is held out, so that 514 train and
512 test. The network opens to width 8 and takes 16 antisymmetric Euler steps on [0, 20]; the logistic head is
eliminated. At each depth the best separating plane of the states is computed by the solver of the head, which shows
where the classes come apart.

Source: Haber, Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 5.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data import TOYS, Scaler

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pair = tuple[np.ndarray, np.ndarray]

TITLE = "Swiss roll: a flow takes two spirals apart until a plane separates them"
DEPTH = 16
ALPHA = 1e-5
GRID = 161
SNAPSHOTS = (0, DEPTH // 2, DEPTH)
PARAMETERS = {
    "T": Parameter(20.0, 0.5, 40.0, "time at which the flow ends, whose 16 steps are of length T / 16"),
    "width": Parameter(8, 2, 16, "width of the network"),
}
FOLLOWED = 24  # points of each class whose way through the network is drawn


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    n: int
    iterations: int
    error: float


FULL = Size(n=513, iterations=60, error=1.0)
QUICK = Size(n=257, iterations=20, error=20.0)


class Flow(NamedTuple):
    """What the figure shows: states along two directions, and how separable they are at each depth.

    ``views[j]`` (n, 2) are the states at depth j: along the normal of the last separating plane, shifted so that the
    plane is at 0, and along the direction of largest variance within the plane.
    """

    views: np.ndarray
    labels: np.ndarray
    plane_error: np.ndarray


def run(
    quick: bool,
    random_state: int,
    *,
    T: float = PARAMETERS["T"].default,
    width: float = PARAMETERS["width"].default,
) -> Outcome:
    """Train the network, and look at the states on their way.

    Args:
        quick: fewer points and iterations.
        random_state: seed of the weights.
        T: time at which the flow ends.
        width: of the network.

    Returns:
        Errors, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _separate(QUICK if quick else FULL, random_state, T, int(width))


def _separate(size: Size, random_state: int, T: float, width: int) -> Outcome:
    from numdl.course.training import train
    from numdl.models import ResNet

    training, held_out, scale = spirals(size.n)
    net = ResNet(2, width, DEPTH, T=T, dynamics="antisymmetric")
    how = {"alpha": ALPHA, "iterations": size.iterations, "seed": random_state}
    trained = train(net, "logistic", training, held_out, wrong, **how)
    flow = _follow(trained, training, held_out)
    errors = {
        "training": wrong(trained.scores(training[0]), training[1]),
        "held_out": wrong(trained.scores(held_out[0]), held_out[1]),
        "plane_in_the_inputs": _plane_error(trained.problem, *training, *held_out),
    }
    numbers = {
        "rows": {"training": len(training[0]), "held_out": len(held_out[0])},
        "weights": net.n_parameters,
        "error_percent": errors,
        "plane_error_percent_by_depth": flow.plane_error,
        "iterations": len(trained.errors),
        "status": trained.result.status.code,
    }
    claims = [
        at_most("The network misses of the held-out points", errors["held_out"], size.error, " %"),
        at_least("The best line between the spirals misses", errors["plane_in_the_inputs"], 25.0, " %"),
        at_least("At the start of the flow the best plane misses", flow.plane_error[0], 5.0, " %"),
        at_most("At its end the best plane misses", flow.plane_error[-1], size.error, " %"),
    ]
    axis = np.linspace(-1.35, 1.35, GRID)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    regions = trained.scores(scale.transform(grid)).reshape(GRID, GRID)
    points = scale.inverse(held_out[0])
    return Outcome(numbers, claims, partial(_draw, axis, regions, points, flow, trained.errors))


def spirals(n: int) -> tuple[Pair, Pair, Scaler]:
    """Two spirals of n points each, every second pair of points held out.

    Args:
        n: points of a class.

    Returns:
        Training and held-out part, each inputs (rows, 2) and classes 0 and 1 (rows, 1), and the scaler of the inputs.
    """
    data = TOYS["swiss-roll"](n)
    kept = np.arange(len(data.x)) // 2 % 2 == 0
    scale = Scaler.fit(data.x[kept])
    training, held_out = ((scale.transform(data.x[part]), data.c[part, 1:]) for part in (kept, ~kept))
    return training, held_out, scale


def draw_regions(axes: Axes, axis: np.ndarray, regions: np.ndarray, x: np.ndarray, labels: np.ndarray) -> None:
    """Decision regions of two classes, with points.

    Args:
        axes: where to draw.
        axis: places of the grid along both axes, (g,).
        regions: scores on the grid, (g, g), positive for class 1.
        x: points, (n, 2).
        labels: 0 or 1, (n,).
    """
    from numdl.plots.canvas import BLUE, ORANGE

    axes.contourf(axis, axis, regions > 0, levels=[-0.5, 0.5, 1.5], colors=["#cfe0f2", "#f8dcc3"])
    axes.scatter(*x.T, c=np.where(labels > 0.5, ORANGE, BLUE), s=5, linewidths=0)


def wrong(scores: np.ndarray, c: np.ndarray) -> float:
    """Share of samples on the wrong side, in percent.

    Args:
        scores: (n, 1), positive for class 1.
        c: (n, 1), 0 or 1.

    Returns:
        Percent.
    """
    return 100 * float(np.mean((scores > 0) != (c > 0.5)))


def _plane_error(problem: Any, u: Any, c: Any, u_test: Any, c_test: Any) -> float:
    """Error of the best logistic plane through features u, on others, in percent."""
    import jax

    # Standardised by the training part, so that one penalty suits every depth.
    scale = Scaler.fit(np.asarray(u))
    u, u_test = (scale.transform(np.asarray(a)) for a in (u, u_test))
    return wrong(np.asarray(jax.jit(_plane_scores)(problem, u, u_test)), c_test)


def _plane_scores(problem: Any, u: Any, u_test: Any) -> Any:
    import jax.numpy as jnp

    head = problem.solve(u, jnp.zeros((1, u.shape[1] + 1), u.dtype)).W
    return problem.scores(u_test, head)


def _follow(trained: Any, training: tuple, held_out: tuple) -> Flow:
    """States of the held-out points at every depth, seen along the separating plane."""
    import jax

    net, theta = trained.problem.features, trained.result.p
    path = jax.jit(jax.vmap(lambda x: net.trajectory(theta, x)))
    seen, tested = (np.moveaxis(np.asarray(path(x)), 1, 0) for x in (training[0], held_out[0]))
    error = [_plane_error(trained.problem, u, training[1], v, held_out[1]) for u, v in zip(seen, tested, strict=True)]
    *normal, shift = np.asarray(trained.result.aux)[0]
    length = np.linalg.norm(normal)
    across = np.array(normal) / length
    last = tested[-1] - tested[-1].mean(axis=0)
    along = np.linalg.svd(last - np.outer(last @ across, across), full_matrices=False)[2][0]
    views = tested @ np.column_stack([across, along])
    views[..., 0] += shift / length
    return Flow(views, held_out[1][:, 0], np.array(error))


def _draw(
    axis: np.ndarray, regions: np.ndarray, points: np.ndarray, flow: Flow, errors: np.ndarray, figure: Figure
) -> None:
    """Decision regions, ways of some points, what planes achieve at each depth; below, all points at three depths."""
    from numdl.plots.canvas import BLUE, GREEN, GREY, INK, ORANGE

    (left, middle, right), below = figure.subplots(2, 3)
    colors = np.where(flow.labels > 0.5, ORANGE, BLUE)
    draw_regions(left, axis, regions, points, flow.labels)
    left.set(aspect="equal", title="Decision regions, held-out points", xlabel="x1", ylabel="x2")
    for index in np.linspace(0, len(colors) - 1, 2 * FOLLOWED).astype(int):
        middle.plot(*flow.views[:, index].T, color=colors[index], linewidth=0.7, alpha=0.8)
        middle.plot(*flow.views[-1, index], color=colors[index], marker="o", markersize=3)
    middle.set_title("Ways of some points, ending at the dots")
    depth = len(flow.plane_error) - 1
    label = "of the best plane at each step"
    right.plot(np.arange(depth + 1), flow.plane_error, color=INK, marker="o", markersize=3, label=label)
    label = f"of the network, over {len(errors)} iterations"
    right.plot(np.linspace(0, depth, len(errors)), errors, color=GREEN, label=label)
    right.set(title="Held-out error", xlabel="step", ylabel="%", ylim=(0, 75), xticks=range(0, depth + 1, 4))
    right.legend(loc="upper right")
    for axes, depth in zip(below, SNAPSHOTS, strict=True):
        axes.scatter(*flow.views[depth].T, c=colors, s=5, linewidths=0)
        axes.set_title(f"States after {depth} of {DEPTH} steps")
    for axes in (middle, *below):
        axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
        axes.set(xlabel="distance to the separating plane", ylabel="along it")
