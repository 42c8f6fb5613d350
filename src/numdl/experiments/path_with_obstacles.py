"""Can the code that trains networks steer a vehicle around obstacles, and which way does it take?

    x'' = a(t) on [0, 1] from rest to rest,    min 1/2 int ||a||^2 + obstacles + 1/2 W ||(x, x')(1) - goal||^2

An obstacle costs ``1/2 P max(0, 1 - ||x - c||^2 / R^2)^2`` per time. Without obstacles the answer is known: a cubic,
``x = (3 s^2 - 2 s^3) d``, of energy ``6 ||d||^2``. With them a way around can be a local minimum, and multiple shooting
takes a guess of the path that leads to it, where other methods take a guess of the control.

Source: Betts, Practical Methods for Optimal Control, 2nd ed., SIAM 2010, ch. 4 (guesses of states); the cubic is the
minimum-energy transfer of the double integrator, Kirk, Optimal Control Theory, 1970, sec. 5.1.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.experiments.outcome import Outcome, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Paths around obstacles: the way above stays a local minimum, all other guesses find the best way"
CENTRES, RADII = ((0.35, 0.05), (0.65, -0.15), (0.7, 0.4)), (0.2, 0.18, 0.12)
GOAL, PUNISH, HELD = (1.0, 0.0, 0.0, 0.0), 100.0, 1e4
WAYS = {
    "above": ((0.35, 0.35), (0.7, 0.65)),
    "between": ((0.35, 0.3), (0.68, 0.15)),
    "below": ((0.35, -0.25), (0.65, -0.45)),
}


def run(quick: bool, random_state: int) -> Outcome:
    """Straight transfer, then one path for each guess.

    Args:
        quick: fewer steps in time.
        random_state: not used, nothing is random.

    Returns:
        Costs, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _plan(40 if quick else 160)


def newton(t: Any, u: Any, theta: Any) -> Any:
    """Position and velocity under an acceleration."""
    import jax.numpy as jnp

    return jnp.concatenate([u[2:], theta])


def effort(t: Any, u: Any, theta: Any) -> Any:
    """The acceleration."""
    return theta


def effort_and_obstacles(t: Any, u: Any, theta: Any) -> Any:
    """The acceleration, and how deep each obstacle is entered."""
    import jax.numpy as jnp

    inside = 1 - jnp.sum((u[:2] - jnp.asarray(CENTRES)) ** 2, axis=1) / jnp.asarray(RADII) ** 2
    return jnp.concatenate([theta, PUNISH**0.5 * jnp.maximum(inside, 0.0)])


def at_the_end(u: Any) -> Any:
    """The last state, scaled by the root of its weight."""
    return HELD**0.5 * u


def problem_of(nt: int, running: Any) -> Any:
    """The transfer as a control problem of one sample.

    Args:
        nt: number of steps.
        running: residual of the running cost.

    Returns:
        A ``ControlProblem``.
    """
    import jax.numpy as jnp

    from numdl.flow import PiecewiseConstant, get_scheme
    from numdl.problems import LEAST_SQUARES, ControlProblem

    scheme, control = get_scheme("heun"), PiecewiseConstant(nt)
    c = HELD**0.5 * jnp.asarray([GOAL])
    return ControlProblem(
        scheme, newton, control, jnp.zeros((1, 4)), jnp.asarray(1 / nt), c, LEAST_SQUARES, at_the_end, running
    )


def guess_of(nt: int, points: Any) -> np.ndarray:
    """States on a broken line through points, at constant speed in x; (nt + 1, 1, 4)."""
    t = np.linspace(0, 1, nt + 1)
    x, y = np.transpose([(0.0, 0.0), *points, GOAL[:2]])
    place = np.stack([t, np.interp(t, x, y)], axis=1)
    return np.concatenate([place, np.gradient(place, t, axis=0)], axis=1)[:, None]


def _plan(nt: int) -> Outcome:
    import jax.numpy as jnp

    from numdl.optimize import MultipleShooting, NewtonCG, minimize

    free, rest = problem_of(nt, effort), jnp.zeros((nt, 2))
    straight = minimize(free, MultipleShooting(first_damping=1e-12), rest, max_iter=5)[0]
    energy = float(jnp.sum(straight.p**2)) / (2 * nt)
    problem, shooting = problem_of(nt, effort_and_obstacles), MultipleShooting(first_damping=1e-2, tol=1e-6)
    found = {}
    for name, points in WAYS.items():
        guess = jnp.asarray(guess_of(nt, points)).at[0].set(problem.u0)
        found[name] = minimize(problem, shooting, rest, guess, max_iter=60)[0]
    # Single shooting starts from the control of the straight transfer: the best guess without a path.
    alone = minimize(problem, NewtonCG(max_products=60), straight.p, max_iter=60)[0]
    paths = {name: np.asarray(problem.states(result.p))[:, 0] for name, result in {**found, "control": alone}.items()}
    costs = {name: float(problem.value(result.p, None)[0]) for name, result in {**found, "control": alone}.items()}
    fit = max(float(jnp.max(jnp.abs(found[name].aux[:, 0] - paths[name]))) for name in found)
    lengths = {name: float(np.sum(np.hypot(*np.diff(path[:, :2], axis=0).T))) for name, path in paths.items()}
    numbers = {
        "steps": nt,
        "energy_without_obstacles": energy,
        "cost": costs,
        "length": lengths,
        "iterations": {name: len(result.history["work"]) for name, result in found.items()},
        "status": {name: result.status.code for name, result in found.items()},
    }
    best = min(costs[name] for name in found)
    claims = [
        at_most("Without obstacles the energy is off the known 6 by", abs(energy - 6) / 6, 0.02),
        at_most("States found as unknowns are those of the control up to", fit, 1e-4),
        at_least("The way above costs that of the best times", costs["above"] / best, 1.02),
        at_most("From a guess of the control the best way is found, at its cost times", costs["control"] / best, 1.001),
    ]
    return Outcome(numbers, claims, partial(_draw, paths, costs, nt, np.asarray(straight.p), found))


def _draw(paths: dict, costs: dict, nt: int, straight: np.ndarray, found: dict, figure: Figure) -> None:
    """Paths with their guesses, and the controls."""
    from matplotlib.patches import Circle

    from numdl.report.figures.canvas import BLUE, GREEN, GREY, ORANGE, PURPLE

    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1.0])
    for centre, radius in zip(CENTRES, RADII, strict=True):
        left.add_patch(Circle(centre, radius, facecolor=GREY, alpha=0.35, edgecolor="none"))
    for (name, path), color in zip(paths.items(), (BLUE, GREEN, PURPLE, ORANGE), strict=True):
        label = f"{name}: cost {costs[name]:.3g}" if name in found else f"guess of the control: {costs[name]:.3g}"
        left.plot(path[:, 0], path[:, 1], color=color, label=label)
        if name in WAYS:
            guess = guess_of(nt, WAYS[name])[:, 0]
            left.plot(guess[:, 0], guess[:, 1], color=color, linestyle=":", linewidth=1)
            control = np.asarray(found[name].p)
            right.plot((np.arange(nt) + 0.5) / nt, np.hypot(*control.T), color=color, label=name)
    right.plot((np.arange(nt) + 0.5) / nt, np.hypot(*straight.T), color=GREY, label="no obstacles")
    left.set(xlabel="x", ylabel="y", aspect="equal", title="Paths, and their guesses (dotted)")
    left.legend(loc="upper left")
    right.set(xlabel="t", ylabel="acceleration", title="Control")
    right.legend(loc="best")
