"""Optimal transport of samples by a residual network.

Which paths does a residual network plan for its samples, and what do they cost?

    u' = V(t) tanh(K(t) u + b(t)) on [0, 1],    u(0) = x,    score 8 u_1(1)

No layer opens and the head is fixed: all that training can do is to carry the classes to the two sides of a line, by
RK4 with weights for each step. Three penalties choose among the ways that lead there: on the weights, on their
derivative in time, and on the kinetic energy ``1/n sum_i 1/2 int ||u_i'||^2 dt``. By Cauchy and Schwarz a path costs
at least ``distance^2 / 2``, attained on the straight line at one speed; so least energy makes paths short and straight.

Paths of a flow never meet, as a differential equation has one solution through each point. In the plane the image of a
circle thus stays around the image of what it surrounds (Jordan), and so does its convex hull: whatever the weights, no
line separates the two. With one dimension more, the inside is lifted out. Samples between which a thin cut goes can be
parted in the plane, too: where training has converged, that costs 1.1 to 1.6 times as much as space (before, anything).

Sources: E, Han and Li, A mean-field optimal control formulation of deep learning, Res. Math. Sci. 6:10 (2019); Onken,
Wu Fung, Li and Ruthotto, OT-Flow, AAAI 2021 (energy); Dupont, Doucet and Teh, Augmented neural ODEs, NeurIPS 2019.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import PyTree
from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data import TOYS, Scaler
from numdl.regularize import GroupPenalty, TimeSmoothness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.control import ControlProblem

TITLE = "Training plans paths: least energy draws them straight, and in the plane none leaves a circle"
DEPTH, UNITS, SHARP = 8, 8, 8.0
PENALTIES = {"weights": (1e-4, 0.0, 0.0), "weights in time": (1e-5, 1e-3, 0.0), "energy": (1e-5, 1e-5, 1.0)}
"""What is mainly penalised, and how much: weights, their derivative in time, kinetic energy, times what may be set."""
PARAMETERS = {"energy": Parameter(5e-2, 1e-3, 1.0, "price of kinetic energy in the third way to plan")}
RADII = {"outer": 1.0, "inner": 0.5}
SHOWN = 24  # paths that are drawn

SPACE = 3
"""Dimensions in which all is computed."""
Samples = tuple[np.ndarray, np.ndarray]


class Size(NamedTuple):
    """How many samples, steps of L-BFGS for moons (four times as many for circles), starts, claimed error in %."""

    n: int
    iterations: int
    starts: int
    error: float


FULL = Size(n=400, iterations=250, starts=3, error=2.0)
QUICK = Size(n=80, iterations=80, starts=2, error=6.0)


class WeightPenalty(eqx.Module):
    """Sum of a penalty on weights and one on their derivative in time."""

    size: GroupPenalty
    time: TimeSmoothness

    def value(self, theta: PyTree) -> Float[Array, ""]:
        """Both together."""
        return self.size.value(theta) + self.time.value(theta)

    def gradient(self, theta: PyTree) -> PyTree:
        """Derivative, structure of theta."""
        return jax.tree.map(jnp.add, self.size.gradient(theta), self.time.gradient(theta))

    def product(self, v: PyTree) -> PyTree:
        """Hessian times v, structure of v."""
        return jax.tree.map(jnp.add, self.size.product(v), self.time.product(v))


class Planned(NamedTuple):
    """Weights, paths (times, n, m) of held-out samples, whether these are of class 1, and the objective in training."""

    theta: dict[str, np.ndarray]
    paths: np.ndarray
    labels: np.ndarray
    objective: float

    @property
    def missed(self) -> float:
        """Samples that end on the wrong side, in percent."""
        return 100 * float(np.mean((self.paths[-1, :, 0] > 0) != self.labels))

    def travel(self) -> dict[str, float]:
        """Mean length, ratio of all lengths to all distances of the ends, mean energy and its ratio to the least."""
        steps = np.linalg.norm(np.diff(self.paths, axis=0), axis=-1)
        far, energy = np.linalg.norm(self.paths[-1] - self.paths[0], axis=-1), DEPTH * np.sum(steps**2, axis=0) / 2
        return {
            "length": float(np.mean(steps.sum(axis=0))),
            "length_to_distance": float(np.sum(steps) / np.sum(far)),
            "energy": float(np.mean(energy)),
            "energy_to_least": float(2 * np.sum(energy) / np.sum(far**2)),
        }


def run(quick: bool, random_state: int, *, energy: float = PARAMETERS["energy"].default) -> Outcome:
    """Plan paths for two moons under three penalties, then for two circles in the plane and in space.

    Args:
        quick: fewer samples and iterations.
        random_state: seed of samples and weights.
        energy: price of kinetic energy.

    Returns:
        Lengths, energies, claims and figure.
    """
    with jax.enable_x64(True):
        return _plan(QUICK if quick else FULL, random_state, energy)


def velocity(t: Any, u: Float[Array, " q"], theta: dict[str, Array]) -> Float[Array, " q"]:
    """The place moves; the last entry of the state, the root of the price of energy, rests."""
    return jnp.append(theta["V"] @ jnp.tanh(theta["K"] @ u[:-1] + theta["b"]), 0.0)


def effort(t: Any, u: Float[Array, " q"], theta: dict[str, Array]) -> Float[Array, " q"]:
    """Velocity times the root of its price."""
    return u[-1] * velocity(t, u, theta)


def score(u: Float[Array, " q"]) -> Float[Array, " 1"]:
    """On which side of the line ``u_1 = 0``."""
    return SHARP * u[:1]


def transport(x: np.ndarray, c: np.ndarray, m: int, strengths: tuple[float, float, float]) -> ControlProblem:
    """Control of samples in m dimensions.

    Args:
        x: samples, (n, 2).
        c: classes 0 and 1, (n, 1).
        m: dimension, at least 2; x is padded with zeros.
        strengths: of weights, their derivative in time, and kinetic energy.

    Returns:
        The problem.
    """
    from numdl.control import ControlProblem
    from numdl.flow import PiecewiseConstant, get_scheme
    from numdl.problems import LOGISTIC

    size, time, energy = strengths
    u0 = np.column_stack([x, np.zeros((len(x), m - 2)), np.full(len(x), energy**0.5)])
    group = GroupPenalty(jnp.full(1, size), jnp.zeros(DEPTH * UNITS * (2 * m + 1), jnp.int32))
    penalty = WeightPenalty(group, TimeSmoothness(jnp.asarray(time), jnp.asarray(1 / DEPTH)))
    control, h = PiecewiseConstant(DEPTH), jnp.asarray(1 / DEPTH)
    return ControlProblem(
        get_scheme("rk4"), velocity, control, jnp.asarray(u0), h, jnp.asarray(c), LOGISTIC, score, effort, penalty
    )


def planned(
    training: Samples, held_out: Samples, m: int, strengths: tuple[float, float, float], size: Size, seed: tuple
) -> Planned:
    """Train in m dimensions under penalties, from random weights.

    The plane is computed in space, by the program for both: where weights of the third dimension are zero, so are all
    derivatives by them.
    """
    from numdl.optimize import LBFGS, minimize

    rng = np.random.default_rng(seed)
    theta = {
        "V": 0.5 * rng.standard_normal((DEPTH, m, UNITS)),
        "K": rng.standard_normal((DEPTH, UNITS, m)),
        "b": rng.uniform(-1, 1, (DEPTH, UNITS)),
    }
    flat = SPACE - m
    padding = {"V": ((0, 0), (0, flat), (0, 0)), "K": ((0, 0), (0, 0), (0, flat)), "b": ((0, 0), (0, 0))}
    start = {name: jnp.asarray(np.pad(value, padding[name])) for name, value in theta.items()}
    result, _ = minimize(transport(*training, SPACE, strengths), LBFGS(), start, None, max_iter=size.iterations)
    theta = {
        "V": np.asarray(result.p["V"])[:, :m],
        "K": np.asarray(result.p["K"])[..., :m],
        "b": np.asarray(result.p["b"]),
    }
    return Planned(theta, paths_of(theta, held_out[0]), held_out[1][:, 0] > 0.5, result.history["objective"][-1])


def paths_of(theta: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Where the flow takes samples (n, 2), at all times: (times, n, m). In NumPy, which compiles nothing."""
    nt, m = theta["V"].shape[:2]
    u, h = np.column_stack([x, np.zeros((len(x), m - 2))]), 1 / nt
    path = [u]
    for V, K, b in zip(*(theta[name] for name in "VKb"), strict=True):
        slope, total = np.zeros_like(u), np.zeros_like(u)
        for c, weight in ((0.0, 1.0), (0.5, 2.0), (0.5, 2.0), (1.0, 1.0)):  # RK4, weights constant in a step
            slope = np.tanh((u + c * h * slope) @ K.T + b) @ V.T
            total += weight * slope
        u = u + h / 6 * total
        path.append(u)
    return np.stack(path)


def _plan(size: Size, seed: int, energy: float) -> Outcome:
    data = TOYS["double-moons"](2 * size.n, seed, noise=0.05)
    x, c = Scaler.fit(data.x[::2]).transform(data.x), data.c[:, 1:]
    priced = {name: (size, time, energy * price) for name, (size, time, price) in PENALTIES.items()}
    # Some starts end in ways around that are local minima: the best of several counts.
    starts = [(seed, start) for start in range(size.starts)]
    moons = {
        name: min(
            (planned((x[::2], c[::2]), (x[1::2], c[1::2]), 2, priced[name], size, start) for start in starts),
            key=lambda plan: plan.objective,
        )
        for name in PENALTIES
    }
    travel = {name: plan.travel() for name, plan in moons.items()}
    missed = {name: plan.missed for name, plan in moons.items()}

    data = TOYS["double-circles"](size.n, seed)
    scale, angles = Scaler.fit(data.x), np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    training = (scale.transform(data.x), data.c[:, 1:])
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    closed = scale.transform(np.concatenate([radius * ring for radius in RADII.values()]))
    inside = np.repeat([[0.0], [1.0]], len(ring), axis=0)
    longer = size._replace(iterations=4 * size.iterations)
    circles = {m: planned(training, (closed, inside), m, priced["energy"], longer, starts[0]) for m in (2, 3)}
    scores = {m: SHARP * plan.paths[-1, :, 0].reshape(2, -1) for m, plan in circles.items()}
    (outer, inner), (outside, lifted) = scores[2], scores[3]
    around = min(outer.max() - inner.max(), inner.min() - outer.min())
    price = circles[2].objective / circles[3].objective
    numbers = {
        "samples": size.n,
        "missed_percent": missed,
        "travel": travel,
        "circles": {"missed_percent": {f"{m} dimensions": plan.missed for m, plan in circles.items()}},
        "objective_in_the_plane_over_that_in_space": price,
    }
    free, least = travel["weights"], travel["energy"]
    claims = [
        at_most("Of the moons' held-out points each penalty misses", max(missed.values()), size.error, " %"),
        at_least("With penalised weights, lengths are distances times", free["length_to_distance"], 1.15),
        at_most("With penalised energy, lengths are distances times", least["length_to_distance"], 1.08),
        at_least("Paths of penalised weights are longer: times", free["length"] / least["length"], 3.0),
        at_least("The least energy between their ends is exceeded: times", free["energy_to_least"], 1.7),
        at_most("With penalised energy: times", least["energy_to_least"], 1.2),
        at_least("In the plane the outer circle's scores reach beyond the inner's on both sides by", around, 0.0),
        at_least("In the plane the flow has to cut the circles, and misses", circles[2].missed, 0.1, " %"),
        at_most("With a third dimension it misses", circles[3].missed, 0.0, " %"),
        at_least("and keeps the scores apart by", lifted.min() - outside.max(), 1.0),
        at_least("In the plane the objective is higher: times", price, 1.05),
    ]
    return Outcome(numbers, claims, partial(_draw, moons, _moments(moons["energy"]), circles, angles, scores))


def _moments(plan: Planned) -> dict[float, tuple[np.ndarray, ...]]:
    """At three times: axis, velocity (2, k, k) and, on a finer axis, which score a state there will have."""
    reach = float(np.abs(plan.paths).max()) + 0.2
    coarse, fine = np.linspace(-reach, reach, 13), np.linspace(-reach, reach, 81)
    places, grid = (np.stack(np.meshgrid(axis, axis)).reshape(2, -1) for axis in (coarse, fine))
    found = {}
    for start in (0, DEPTH // 2, DEPTH - 1):
        V, K, b = (plan.theta[name][start] for name in "VKb")
        v = V @ np.tanh(K @ places + b[:, None])
        # Weights that move nothing before a time leave the states where they are.
        later = {**plan.theta, "V": np.where(np.arange(DEPTH)[:, None, None] < start, 0.0, plan.theta["V"])}
        last = paths_of(later, grid.T)[-1, :, 0]
        found[start / DEPTH] = coarse, v.reshape(2, 13, 13), fine, last.reshape(81, 81)
    return found


def _draw(
    moons: dict[str, Planned],
    moments: dict,
    circles: dict[int, Planned],
    angles: np.ndarray,
    scores: dict[int, np.ndarray],
    figure: Figure,
) -> None:
    """Paths under each penalty; velocity and boundary at three times; circles in the plane, in space, and scores."""
    from numdl.plots.canvas import BLUE, GREY, ORANGE

    above, middle, below = figure.subplots(3, 3)
    colors = np.where(moons["energy"].labels, ORANGE, BLUE)
    for axes, (name, plan) in zip(above, moons.items(), strict=True):
        _paths(axes, plan.paths, colors, np.linspace(0, len(colors) - 1, 2 * SHOWN).astype(int))
        ratio = plan.travel()["length_to_distance"]
        axes.set(title=f"{name.capitalize()} penalised: {ratio:.2f} of distance", xlabel="u1", ylabel="u2")
    plan = moons["energy"]
    for axes, (t, (coarse, v, fine, last)) in zip(middle, moments.items(), strict=True):
        axes.scatter(*plan.paths[round(t * DEPTH)].T, c=colors, s=4, linewidths=0)
        axes.quiver(coarse, coarse, *v, color=GREY, width=0.004)
        axes.contour(fine, fine, last, levels=[0.0], colors="black", linewidths=1)
        axes.set(title=f"Velocity and boundary, t = {t:.2f}", xlabel="u1", ylabel="u2", aspect="equal")
    half = len(angles)
    colors = np.where(circles[2].labels, ORANGE, BLUE)
    chosen = np.linspace(0, 2 * half, 2 * SHOWN, endpoint=False).astype(int)
    for axes, (m, plan) in zip(below, circles.items(), strict=False):
        _paths(axes, plan.paths[..., [0, m - 1]], colors, chosen)
        for part, color in ((slice(0, half), BLUE), (slice(half, None), ORANGE)):
            axes.plot(*plan.paths[-1, part][:, [0, m - 1]].T, color=color, linewidth=1.5)
        axes.set(title=f"Circles in {m} dimensions: {plan.missed:.2g} % missed", xlabel="u1", ylabel=f"u{m}")
    for m, style in ((2, "-"), (3, "--")):
        for values, color, name in zip(scores[m], (BLUE, ORANGE), RADII, strict=True):
            below[2].plot(angles, values, style, color=color, linewidth=1, label=f"{name}, {m} dimensions")
    below[2].axhline(0, color="black", linewidth=0.8)
    low, high = below[2].get_ylim()
    below[2].set(
        title="Scores along the circles", xlabel="angle", ylabel="score", ylim=(low, high + 0.5 * (high - low))
    )
    below[2].legend(fontsize=7, ncols=2, loc="upper center")


def _paths(axes: Any, paths: np.ndarray, colors: np.ndarray, chosen: np.ndarray) -> None:
    """Paths (times, n, 2) of chosen samples from where they start to dots, and the line that is to separate them."""
    for index in chosen:
        axes.plot(*paths[:, index].T, color=colors[index], linewidth=0.7)
        axes.plot(*paths[-1, index], "o", color=colors[index], markersize=2.5)
    axes.axvline(0, color="black", linewidth=1)
