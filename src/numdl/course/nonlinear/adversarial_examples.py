"""Adversarial examples: how little must a point move to change its class, and which search finds that little?

A single layer is trained on ``peaks`` in five classes. In two dimensions the distance of a point to the boundary of its
region is known by brute force, from the classes on a fine grid; three searches are held against it. The gradient looks
once, and along a straight line; projected gradients look again on the way; the linearised search is Newton's method for
the nearest point of the boundary.

Source: Moosavi-Dezfooli, Fawzi, Frossard, DeepFool, CVPR 2016; Madry et al., ICLR 2018.
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

    from numdl.analysis import Attack

TITLE = "Adversarial examples: the nearest point of another class, by three searches"
SHOWN = 12
PARAMETERS = {"alpha": Parameter(1e-5, 1e-10, 1.0, "penalty on the weights, in units of the mean misfit")}
FINER = 16  # cells of the fine grid in a cell of the other one, along each axis


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    n: int
    width: int
    iterations: int
    grid: int
    exact: float


FULL = Size(n=1000, width=24, iterations=25, grid=801, exact=90.0)
QUICK = Size(n=250, width=8, iterations=10, grid=201, exact=80.0)


def run(quick: bool, random_state: int, *, alpha: float = PARAMETERS["alpha"].default) -> Outcome:
    """Train, attack, and measure distances by brute force.

    Args:
        quick: fewer points and units.
        random_state: seed of points and weights.
        alpha: penalty on the weights, in units of the mean misfit.

    Returns:
        Distances, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _attack(QUICK if quick else FULL, random_state, alpha)


def _scores(p: Any, x: Any) -> Any:
    import jax.numpy as jnp

    return p["head"] @ jnp.append(jnp.tanh(p["K"] @ x + p["b"]), 1.0)


def _attack(size: Size, random_state: int, alpha: float) -> Outcome:
    from numdl.analysis import GradientSearch, LinearisedSearch, ProjectedSearch, attack
    from numdl.course.training import train

    data = TOYS["peaks-classes"](size.n + 300, random_state)
    x = Scaler.fit(data.x[: size.n]).transform(data.x)
    training, held_out = ((x[rows], data.c[rows]) for rows in (slice(0, size.n), slice(size.n, None)))
    net = ResNet(2, size.width, 0)
    how: dict[str, Any] = {"alpha": alpha, "iterations": size.iterations, "seed": random_state}
    trained = train(net, "softmax", training, held_out, wrong, **how)
    p = {**trained.result.p["opening"], "head": trained.result.aux}
    points, labels = held_out[0], np.argmax(held_out[1], axis=1)
    searches = {"gradient": GradientSearch(), "projected": ProjectedSearch(), "linearised": LinearisedSearch()}
    found = {name: attack(search, _scores, p, points, labels, reach=4.0) for name, search in searches.items()}

    low, high = x.min(axis=0) - 1.0, x.max(axis=0) + 1.0
    axes = [np.linspace(*ends, size.grid) for ends in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes), axis=-1)
    regions = np.argmax(trained.scores(grid.reshape(-1, 2)), axis=1)
    right = found["linearised"].norms > 0  # misclassified points are where they should not be already
    spacing = np.array([axis[1] - axis[0] for axis in axes])
    exact = _distance(trained.scores, points[right], labels[right], grid.reshape(-1, 2), regions, spacing)
    ratios = {name: result.norms[right] / exact for name, result in found.items()}
    share = {name: 100 * float(np.mean(ratio < 1.02)) for name, ratio in ratios.items()}
    numbers = {
        "held_out_error_percent": trained.errors[-1],
        "points": int(right.sum()),
        "median_distance": float(np.median(exact)),
        "median_over_exact": {name: np.median(ratio) for name, ratio in ratios.items()},
        "within_2_percent": share,
    }
    below = min(float(np.min(result.norms[right] - exact)) for result in found.values()) / spacing.max()
    claims = [
        at_least("The linearised search comes within 2 % of the distance for", share["linearised"], size.exact, " %"),
        at_most("The gradient does so for", share["gradient"], 60.0, " %"),
        # A point of the first grid behind the boundary may be a diagonal of a cell farther than the boundary.
        at_least("No search is below the distance on the grid by more than (in cells)", below, -(2**0.5)),
        at_most("Half of the points are nearer to another class than", np.median(exact), 0.3, " deviations"),
    ]
    view = slice(None, None, size.grid // 200)
    picture = (axes[0][view], axes[1][view], regions.reshape(size.grid, size.grid)[view, view])
    return Outcome(numbers, claims, partial(_draw, picture, points[right], _only(found, right), exact, ratios))


def wrong(s: np.ndarray, c: np.ndarray) -> float:
    """Share of misclassified samples, in percent."""
    return 100 * float(np.mean(np.argmax(s, axis=1) != np.argmax(c, axis=1)))


def _only(found: dict[str, Attack], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: result.x[rows] for name, result in found.items()}


def _distance(
    scores: Any, points: np.ndarray, labels: np.ndarray, grid: np.ndarray, regions: np.ndarray, spacing: np.ndarray
) -> np.ndarray:
    """Distance to the nearest point in another class: of the grid, then of a finer one around that point."""
    from scipy.spatial import KDTree

    nearest = np.empty_like(points)
    for label in np.unique(labels):
        others = grid[regions != label]
        nearest[labels == label] = others[KDTree(others).query(points[labels == label])[1]]
    step = np.arange(-2 * FINER, 2 * FINER + 1) / FINER
    around = nearest[:, None] + spacing * np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)
    classes = np.argmax(scores(around.reshape(-1, 2)), axis=1).reshape(around.shape[:2])
    length = np.linalg.norm(around - points[:, None], axis=2)
    return np.min(np.where(classes != labels[:, None], length, np.inf), axis=1)


def _draw(
    picture: tuple, points: np.ndarray, ends: dict[str, np.ndarray], exact: np.ndarray, ratios: dict, figure: Figure
) -> None:
    """Regions with ways of some points to another class; distances found over true ones, and their quotients."""
    from numdl.plots.canvas import BLUE, GREEN, GREY, INK, ORANGE, logarithmic, logarithmic_x

    colors = {"gradient": ORANGE, "projected": GREEN, "linearised": BLUE}
    parts = figure.subplot_mosaic([["map", "ratio"], ["map", "distance"]], width_ratios=[1.25, 1.0])
    x, y, regions = picture
    tints = ["#d6e4f2", "#f8e3cf", "#d9ecdf", "#e7ddf1", "#f3d9d7"]
    parts["map"].contourf(x, y, regions, levels=np.arange(-0.5, 5), colors=tints)
    # Farthest points first: their ways can be seen, and do not lie upon one another.
    shown = _apart(points, np.argsort(-exact), SHOWN)
    for name, color in colors.items():
        for i in shown:
            way = np.stack([points[i], ends[name][i]])
            line = {"linewidth": 1.6 if name == "linearised" else 1.0, "label": name if i == shown[0] else None}
            parts["map"].plot(*way.T, color=color, marker="o", markevery=[1], markersize=3, **line)
    parts["map"].plot(*points[shown].T, "o", color=INK, markersize=4)
    limits = {"xlim": (points[:, 0].min() - 0.2, points[:, 0].max() + 0.2)}
    limits["ylim"] = (points[:, 1].min() - 0.2, points[:, 1].max() + 0.2)
    parts["map"].set(title="Ways to another class", aspect="equal", xlabel="x1, scaled", ylabel="x2, scaled", **limits)
    parts["map"].legend(loc="lower left")
    share = np.arange(1, len(exact) + 1) / len(exact) * 100
    for name, color in colors.items():
        parts["ratio"].plot(np.sort(ratios[name]), share, color=color, label=name)
        parts["distance"].plot(exact, exact * ratios[name], ".", color=color, markersize=3, label=name)
    parts["ratio"].axvline(1, color=GREY, linewidth=0.8, linestyle="--")
    parts["ratio"].set(title="How often", xlabel="distance found over distance to the boundary", xlim=(0.95, 2.0))
    parts["ratio"].set(ylabel="share of points, %", ylim=(0, 101))
    logarithmic_x(parts["distance"])
    logarithmic(parts["distance"], np.concatenate([exact * ratio for ratio in ratios.values()]))
    parts["distance"].plot(np.sort(exact), np.sort(exact), color=GREY, linewidth=0.8, linestyle="--")
    parts["distance"].set(title="How far", xlabel="distance to the boundary", ylabel="distance found")
    for name in ("ratio", "distance"):
        parts[name].legend(loc="lower right")


def _apart(points: np.ndarray, order: np.ndarray, count: int) -> list[int]:
    """The first of an order of points that keep apart from one another."""
    kept: list[int] = []
    for i in order:
        if all(np.linalg.norm(points[i] - points[j]) > 0.45 for j in kept):
            kept.append(int(i))
    return kept[:count]
