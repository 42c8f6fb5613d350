"""Path planning with obstacles: can the code that trains networks plan a path around obstacles, and is it the shortest?

    x' = v(t) on [0, 1],    min 1/2 int ||v||^2 dt + 1/2 W ||x(1) - goal||^2,    x outside of discs

This is transport of least energy. Its paths have constant speed and are the shortest of their kind: the straight line,
of energy ``||d||^2 / 2`` (at the end held by W: ``||d||^2 / (2 + 2 / W)``), and around discs tangents and arcs, of
energy ``length^2 / 2``. Being inside of a disc of radius R costs ``1/2 P max(0, 1 - ||x - c||^2 / R^2)^2`` per time; P
rides along as a state that rests, so that a continuation in P compiles nothing. Every way between the discs is a local
minimum, found from a broken line by multiple shooting, and by Gauss-Newton steps of the velocity alone. With bounds on
the velocity the vehicle has to take the time it needs across.

Sources: Betts, Practical Methods for Optimal Control, 2nd ed., SIAM 2010, ch. 4; Nocedal and Wright, Numerical
Optimization, sec. 17.1 (quadratic penalty); do Carmo, Differential Geometry of Curves and Surfaces, sec. 4.4 (energy
and length).
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Training code plans paths: each way around the obstacles is the shortest of its kind, at one speed"
CENTRES, RADII = np.array([(0.35, 0.05), (0.65, -0.2), (0.72, 0.3)]), np.array([0.2, 0.18, 0.12])
MARGIN = 0.005
"""Width of the ring around a disc that counts as the disc: steps are chords."""
GOAL, HELD = np.array([1.0, 0.0]), 1e4
PENALTIES = (1e1, 1e2, 1e3, 1e4, 1e5)
PARAMETERS = {"across": Parameter(0.7, 0.6, 2.0, "bound on the velocity across, where there is one")}
WAYS = {
    "above": (((0.35, 0.3), (0.72, 0.45)), {0: 1, 2: 1}),
    "between": (((0.35, 0.3), (0.68, 0.1)), {0: 1}),
    "below": (((0.35, -0.2), (0.65, -0.4)), {1: -1}),
}
"""Corners of the guess, and the discs that the way touches: 1 where it passes with the disc on its right, else -1."""


class Way(NamedTuple):
    """A path found, (nt + 1, 2), its velocity (nt, 2), its energy, and how far it is from stationary."""

    x: np.ndarray
    v: np.ndarray
    energy: float
    slope: float

    @property
    def speed(self) -> np.ndarray:
        """In each step."""
        return np.hypot(*self.v.T)


def run(quick: bool, random_state: int, *, across: float = PARAMETERS["across"].default) -> Outcome:
    """Straight transport, then the ways around by two methods, then one with bounds.

    Args:
        quick: fewer steps in time.
        random_state: not used, nothing is random.
        across: bound on the velocity across, where there is one.

    Returns:
        Energies, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _plan(40 if quick else 160, across)


def velocity(t: Any, u: Any, theta: Any) -> Any:
    """The place moves with the control; the root of P rests."""
    import jax.numpy as jnp

    return jnp.append(theta, 0.0)


def effort(t: Any, u: Any, theta: Any) -> Any:
    """The velocity, and how deep each disc is entered."""
    import jax.numpy as jnp

    inside = 1 - jnp.sum((u[:2] - jnp.asarray(CENTRES)) ** 2, axis=1) / jnp.asarray(RADII + MARGIN) ** 2
    return jnp.concatenate([theta, u[2] * jnp.maximum(inside, 0.0)])


def at_the_end(u: Any) -> Any:
    """The last place, scaled by the root of its weight."""
    return HELD**0.5 * u[:2]


def transport(nt: int, punish: float) -> Any:
    """Transport of one sample, as a control problem.

    Args:
        nt: number of steps.
        punish: P, weight of the discs, no unit.

    Returns:
        A ``ControlProblem``.
    """
    import jax.numpy as jnp

    from numdl.control import ControlProblem
    from numdl.flow import PiecewiseConstant, get_scheme
    from numdl.problems import LEAST_SQUARES

    u0, c = jnp.asarray([[0.0, 0.0, punish**0.5]]), HELD**0.5 * jnp.asarray(GOAL[None])
    h = jnp.asarray(1 / nt)
    return ControlProblem(
        get_scheme("euler"), velocity, PiecewiseConstant(nt), u0, h, c, LEAST_SQUARES, at_the_end, effort
    )


def broken_line(nt: int, points: Any) -> np.ndarray:
    """Places on the line through points, at one speed, (nt + 1, 2)."""
    corners = np.array([(0.0, 0.0), *points, GOAL])
    far = np.append(0.0, np.cumsum(np.hypot(*np.diff(corners, axis=0).T)))
    s = np.linspace(0, far[-1], nt + 1)
    return np.stack([np.interp(s, far, corners[:, i]) for i in (0, 1)], axis=1)


def clearance(x: np.ndarray) -> float:
    """Least distance of a broken line from the discs, chords included; negative inside."""
    a, d = x[:-1, None], np.diff(x, axis=0)[:, None]
    share = np.clip(np.sum((CENTRES - a) * d, axis=-1) / np.sum(d**2, axis=-1), 0, 1)
    return float(np.min(np.linalg.norm(a + share[..., None] * d - CENTRES, axis=-1) - RADII))


def taut(touched: dict[int, int]) -> float:
    """Length of a rope from the origin to the goal around discs: tangents and arcs.

    Args:
        touched: discs in their order, and on which side of the rope they are, see ``WAYS``.

    Returns:
        The length, no unit.
    """
    which = list(touched)
    points = np.array([(0.0, 0.0), *CENTRES[which], GOAL])
    left = np.array([0.0, *(side * (RADII[disc] + MARGIN) for disc, side in touched.items()), 0.0])
    d = np.diff(points, axis=0)
    far, rise = np.hypot(*d.T), np.diff(left)
    # The tangent that passes two centres at the distances ``left`` is turned against the line between them.
    angles = np.arctan2(d[:, 1], d[:, 0]) + np.arcsin(rise / far)
    return float(np.sum(np.sqrt(far**2 - rise**2)) - left[1:-1] @ np.diff(angles))


@cache
def _compiled() -> tuple[Any, Any]:
    """States of a control, and the projected gradient: one program for all ways."""
    import jax

    from numdl.control import adjoint_states, optimality

    def slope(problem: Any, v: Any, states: Any, low: Any, high: Any) -> Any:
        return optimality(problem, v, states, adjoint_states(problem, v, states), lower=low, upper=high).stationarity

    return jax.jit(lambda problem, v: problem.states(v)), jax.jit(slope)


def found_by(method: Any, nt: int, guess: np.ndarray, *, by_states: bool = False, bounds: tuple = ()) -> Way:
    """A way from a guess of its path, the discs hardened step by step.

    Args:
        method: of ``minimize``.
        nt: number of steps.
        guess: of the path, (nt + 1, 2).
        by_states: whether the method moves states besides the velocity, and so begins with velocity 0.
        bounds: of the velocity, both (2,); none without.

    Returns:
        The way of the last P.
    """
    import jax.numpy as jnp

    from numdl.optimize import minimize

    marched, left_over = _compiled()
    x, v = guess, jnp.zeros((nt, 2)) if by_states else jnp.asarray(nt * np.diff(guess, axis=0))
    for punish in PENALTIES:
        problem = transport(nt, punish)
        states = jnp.asarray(np.concatenate([x, np.full((nt + 1, 1), punish**0.5)], axis=1))[:, None]
        v = minimize(problem, method, v, states if by_states else None, max_iter=100)[0].p
        states = marched(problem, v)
        x = np.asarray(states)[:, 0, :2]
    none = (-jnp.inf, jnp.inf)
    low, high = (jnp.broadcast_to(bound, v.shape) for bound in bounds or none)
    slope = left_over(problem, v, states, low, high)
    return Way(x, np.asarray(v), float(jnp.sum(v**2)) / (2 * nt), float(jnp.linalg.norm(slope)))


def _plan(nt: int, across: float) -> Outcome:
    import jax.numpy as jnp

    from numdl.control import MultipleShooting
    from numdl.optimize import NewtonCG, ProjectedGaussNewton, minimize

    shooting, newton = MultipleShooting(first_damping=1e-2, tol=1e-7), NewtonCG(max_products=200, tol=1e-10)
    free = transport(nt, 0.0)
    straight = minimize(free, shooting, jnp.zeros((nt, 2)), max_iter=100)[0].p
    known = float(GOAL @ GOAL) / (2 + 2 / HELD)
    guesses = {name: broken_line(nt, corners) for name, (corners, _) in WAYS.items()}
    ways = {name: found_by(shooting, nt, guess, by_states=True) for name, guess in guesses.items()}
    again = {name: found_by(newton, nt, guess) for name, guess in guesses.items()}
    low, high = jnp.asarray([-jnp.inf, -across]), jnp.asarray([jnp.inf, across])
    projected = ProjectedGaussNewton(jnp.tile(low, (nt, 1)), jnp.tile(high, (nt, 1)), max_products=200)
    bounded = found_by(projected, nt, guesses["between"], bounds=(low, high))
    every = [*ways.values(), *again.values(), bounded]
    ropes = {name: taut(touched) for name, (_, touched) in WAYS.items()}
    lengths = {name: float(np.mean(way.speed)) for name, way in ways.items()}
    numbers = {
        "steps": nt,
        "cost_of_the_straight_line": float(free.value(straight)[0]),
        "rope": ropes,
        "length": lengths,
        "energy": {name: way.energy for name, way in ways.items()},
        "energy_with_bounds": bounded.energy,
        "clearance": {name: clearance(way.x) for name, way in ways.items()},
        "gradient": {name: way.slope for name, way in ways.items()},
        "steps_at_a_bound": int(np.sum(np.abs(bounded.v[:, 1]) == across)),
    }
    reached = float(np.max(np.abs(bounded.v[:, 1])))
    off = abs(float(free.value(straight)[0]) / known - 1)
    claims = [
        at_most("Without obstacles the cost is that of the straight line up to", off, 1e-10),
        at_least("All paths keep out of the discs: the least distance is", min(clearance(way.x) for way in every), 0.0),
        at_most("At all of them the (projected) gradient is", max(way.slope for way in every), 1e-5),
        at_most(
            "Shooting and Gauss-Newton find velocities that differ by",
            max(float(np.max(np.abs(ways[name].v - again[name].v))) for name in ways),
            1e-3,
        ),
        at_most(
            "The speed of a way varies by",
            max(float(np.ptp(way.speed) / np.mean(way.speed)) for way in ways.values()),
            0.02,
        ),
        at_most(
            "Its length is off that of a taut rope by", max(abs(lengths[name] / ropes[name] - 1) for name in ways), 1e-3
        ),
        at_most("Bounded, the velocity across is off its bound by", abs(reached - across), 0.0),
        at_least("The bound costs energy: times", bounded.energy / ways["between"].energy, 1.001),
    ]
    return Outcome(numbers, claims, partial(_draw, nt, across, ways, bounded, guesses))


def _draw(nt: int, across: float, ways: dict, bounded: Way, guesses: dict, figure: Figure) -> None:
    """Paths with their guesses, speeds, and the velocity across."""
    from matplotlib.patches import Circle

    from numdl.plots.canvas import BLUE, GREEN, GREY, ORANGE, PURPLE

    parts = figure.subplot_mosaic([["paths", "speed"], ["paths", "across"]], width_ratios=[1.5, 1.0])
    paths, t = parts["paths"], (np.arange(nt) + 0.5) / nt
    for centre, radius in zip(CENTRES, RADII, strict=True):
        paths.add_patch(Circle(centre, radius, facecolor=GREY, alpha=0.35, edgecolor="none"))
    for (name, way), color in zip(ways.items(), (BLUE, GREEN, PURPLE), strict=True):
        paths.plot(*way.x.T, color=color, label=f"{name}: energy {way.energy:.3f}")
        paths.plot(*guesses[name].T, color=color, linestyle=":", linewidth=1)
        parts["speed"].plot(t, way.speed, color=color)
    paths.plot(*bounded.x.T, color=ORANGE, label=f"between, bounded: {bounded.energy:.3f}")
    parts["speed"].plot(t, bounded.speed, color=ORANGE)
    parts["across"].plot(t, ways["between"].v[:, 1], color=GREEN)
    parts["across"].plot(t, bounded.v[:, 1], color=ORANGE)
    for bound in (-across, across):
        parts["across"].axhline(bound, color=GREY, linewidth=1, linestyle="--")
    paths.set(xlabel="x", ylabel="y", aspect="equal", title="Paths, and their guesses (dotted)")
    paths.legend(loc="upper left")
    parts["speed"].set(xlabel="t", ylabel="speed", title="Speed", ylim=(0, None))
    parts["across"].set(xlabel="t", ylabel="velocity across", title="Bounded (dashed)")
