"""Multiple shooting.

Can an unstable flow be steered from a guess of its path, where the march of a guessed control leads nowhere?

    u' = u^3 + v on [0, 2],              from 1.5 to 0: with v = 0 the march ends in no number
    phi'' = 4 sin(phi) - phi'/10 + v,    on [0, 6], a pendulum that swings up from phi = pi to rest at phi = 0

The effort ``c^2/2 int v^2 dt`` and the distance from the target count. Multiple shooting, the augmented Lagrangian and
one-shot optimisation get a straight line as the path and v = 0; Gauss-Newton steps of the control alone (single
shooting, Newton-CG) get v = 0, or the control that would lead along the line if nothing were disturbed.
It is not their curvature that fails: with 60 steps and 300 iterations, a trust region with exact Hessians ends at a
gradient of 2e-3 (3864 passes), L-BFGS at 7e-3 (888), Levenberg-Marquardt with the whole matrix at 1e-5 (18335).

Sources: Bock and Plitt, A multiple shooting algorithm for direct solution of optimal control problems, IFAC 1984;
Ascher, Mattheij and Russell, Numerical Solution of Boundary Value Problems, SIAM 1995, sec. 4.1 (single shooting).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Unstable flows: with states as unknowns a dozen steps do what a marched control does not in 300"
SHOOTING, PLAIN, PRICED, ONCE, SINGLE = (
    "multiple shooting",
    "the same, Gauss-Newton",
    "augmented Lagrangian",
    "one-shot, 2 blocks",
    "single shooting",
)
ALL = (SHOOTING, PLAIN, PRICED, ONCE, SINGLE)
PARAMETERS = {
    "effort": Parameter(0.2, 0.05, 1.0, "root c of the price of the control, which is c^2 / 2"),
    "friction": Parameter(0.1, 0.0, 1.0, "what slows the pendulum down, times its rate"),
}
FLOOR = 1e-16
"""What is smaller is drawn here."""
SHOWN = (0, 1, 2, 4)
"""Iterations whose paths are drawn, besides the last."""


class Run(NamedTuple):
    """What a method did.

    Attributes:
        work: passes before each step and at the end, (steps,).
        gradient: its norm there, with missed states.
        missed: largest entry of missed states there; None where there are none.
        paths: states at some iterations.
        cost: of the control in the end.
        converged: whether the method says so.
    """

    work: np.ndarray
    gradient: np.ndarray
    missed: np.ndarray | None
    paths: dict[int, np.ndarray]
    cost: float
    converged: bool


def cubic(t: Any, u: Any, theta: Any) -> Any:
    """A flow that leaves all numbers in finite time."""
    return u**3 + theta


def pendulum(friction: float, t: Any, u: Any, theta: Any) -> Any:
    """Angle from upright, and its rate."""
    import jax.numpy as jnp

    return jnp.stack([u[1], 4 * jnp.sin(u[0]) - friction * u[1] + theta[0]])


def running(effort: float, t: Any, u: Any, theta: Any) -> Any:
    """Residual of the running cost."""
    return effort * theta


def weighted(u: Any) -> Any:
    """The last state, as the loss sees it."""
    return 10 * u


def steered(f: Any, nt: int, T: float, start: Any, effort: float) -> tuple[Any, Any, Any]:
    """A flow to be brought to rest at 0, no control, and the straight path.

    Args:
        f: right-hand side.
        nt: number of steps.
        T: time to do so.
        start: first state, (m,).
        effort: root of the price of the control.

    Returns:
        ``ControlProblem``, controls (nt, 1), states (nt + 1, 1, m).
    """
    import jax.numpy as jnp

    from numdl.control import ControlProblem
    from numdl.flow import PiecewiseConstant, get_scheme
    from numdl.problems import LEAST_SQUARES

    u0 = jnp.asarray(start)[None]
    problem = ControlProblem(
        get_scheme("heun"),
        f,
        PiecewiseConstant(nt),
        u0,
        jnp.asarray(T / nt),
        0 * u0,
        LEAST_SQUARES,
        weighted,
        partial(running, effort),
    )
    return problem, jnp.zeros((nt, 1)), jnp.linspace(u0, 0 * u0, nt + 1)


def followed(problem: Any, method: Any, v: Any, states: Any = None, *, steps: int = 300) -> Run:
    """Run a method and keep what it did.

    Args:
        problem: as from ``steered``.
        method: of ``minimize``.
        v: first control.
        states: first path; None for a method without, or to begin at rest.
        steps: at most.

    Returns:
        The run.
    """
    from numdl.optimize import minimize

    paths: dict[int, np.ndarray] = {} if states is None else {0: np.asarray(states)[:, 0]}

    def keep(progress: Any) -> None:
        if states is not None:
            paths[progress.iteration] = np.asarray(progress.iterate.aux)[:, 0]

    result, _ = minimize(problem, method, v, states, max_iter=steps, observe=keep)
    history = result.history
    last = max(paths, default=0)
    shown = {i: path for i, path in paths.items() if i in SHOWN or i == last}
    return Run(
        np.append(0.0, history["work"][:-1]),
        history["gradient_norm"],
        history.get("missed"),
        shown,
        float(problem.value(result.p)[0]),
        result.status.converged,
    )


def run(
    quick: bool,
    random_state: int,
    *,
    effort: float = PARAMETERS["effort"].default,
    friction: float = PARAMETERS["friction"].default,
) -> Outcome:
    """The flow that explodes, then the pendulum by three or five methods.

    Args:
        quick: coarser steps and fewer methods, which each take seconds to compile.
        random_state: not used, nothing is random.
        effort: root of the price of the control.
        friction: what slows the pendulum down, times its rate.

    Returns:
        Runs, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _steer(*((60, (SHOOTING, PRICED, SINGLE)) if quick else (240, ALL)), effort, friction)


def _steer(nt: int, names: tuple[str, ...], effort: float, friction: float) -> Outcome:
    import jax.numpy as jnp

    from numdl.control import AugmentedLagrangian, MultipleShooting, OneShot
    from numdl.optimize import NewtonCG

    problem, rest, line = steered(cubic, nt, 2.0, [1.5], effort)
    exploding = float(problem.value(rest)[0])
    tamed = followed(problem, MultipleShooting(), rest, line)
    along = nt / 2.0 * jnp.diff(line, axis=0)[:, 0] - line[:-1, 0] ** 3
    fitted = float(problem.value(along)[0])

    problem, rest, line = steered(partial(pendulum, friction), nt, 6.0, [np.pi, 0.0], effort)
    methods = {
        SHOOTING: MultipleShooting(),
        PLAIN: MultipleShooting(exact=False),
        PRICED: AugmentedLagrangian(),
        ONCE: OneShot(),
        SINGLE: NewtonCG(max_products=100),
    }
    runs = {name: followed(problem, methods[name], rest, None if name == SINGLE else line) for name in names}
    shot, priced, single = runs[SHOOTING], runs[PRICED], runs[SINGLE]
    numbers = {
        "steps": nt,
        "cost_of_the_line_followed_blindly": fitted,
        "cost_of_the_cubic": tamed.cost,
        "steps_for_the_cubic": len(tamed.work),
        "iterations": {name: len(one.work) for name, one in runs.items()},
        "passes": {name: float(one.work[-1]) for name, one in runs.items()},
        "gradient": {name: float(one.gradient[-1]) for name, one in runs.items()},
        "cost": {name: one.cost for name, one in runs.items()},
    }
    claims = [
        at_most("With v = 0 the march ends in no number: finite costs are", float(np.isfinite(exploding)), 0),
        at_most("Multiple shooting steers it to a gradient of", float(tamed.gradient[-1]), 1e-7),
        at_most("for which it takes steps,", len(tamed.work), 12),
        at_most("It swings the pendulum up to a gradient of", float(shot.gradient[-1]), 1e-7),
        at_least("Single shooting has spent more passes, times", float(single.work[-1] / shot.work[-1]), 10.0),
        at_least("and its least gradient is still", float(np.min(single.gradient)), 1e-5),
        at_most("The augmented Lagrangian reaches a gradient of", float(priced.gradient[-1]), 1e-7),
        at_least("The swing near the line costs more than the one it finds, times", shot.cost / priced.cost, 1.1),
    ]
    if PLAIN in runs:
        more = float(runs[PLAIN].work[-1] / shot.work[-1])
        claims.append(at_least("Without the curvature of the dynamics shooting takes more passes, times", more, 5.0))
    if ONCE in runs:
        claims.append(at_least("One-shot does not get there: its cost is, times", runs[ONCE].cost / shot.cost, 2.0))
    return Outcome(numbers, claims, partial(_draw, nt, tamed, runs))


def _draw(nt: int, tamed: Run, runs: dict[str, Run], figure: Figure) -> None:
    """Paths at some iterations, and gradients and missed states over the passes."""
    from numdl.plots.canvas import BLUE, GREEN, GREY, ORANGE, PURPLE, logarithmic

    parts = figure.subplot_mosaic([["cubic", "angle"], ["gradient", "missed"]])
    for name, one, T in (("cubic", tamed, 2.0), ("angle", runs[SHOOTING], 6.0)):
        last, t = max(one.paths), np.linspace(0, T, nt + 1)
        for i, path in sorted(one.paths.items()):
            color, width, alpha = (BLUE, 2.0, 1.0) if i == last else (GREY, 1.0, 0.4 + 0.1 * i)
            parts[name].plot(t, path[:, 0], label=f"step {i}", color=color, linewidth=width, alpha=alpha)
    priced = runs[PRICED].paths
    parts["angle"].plot(
        np.linspace(0, 6.0, nt + 1), priced[max(priced)][:, 0], color=GREEN, linestyle="--", label=PRICED
    )
    parts["cubic"].set(xlabel="t", ylabel="u", title="u' = u^3 + v, by multiple shooting")
    parts["angle"].set(xlabel="t", ylabel="phi", title="Pendulum, by multiple shooting")
    for name, color in zip(ALL, (BLUE, GREY, GREEN, PURPLE, ORANGE), strict=True):
        for part in ("gradient", "missed"):
            values = getattr(runs[name], part) if name in runs else None
            if values is not None:
                parts[part].plot(runs[name].work, np.maximum(values, FLOOR), color=color, label=name, linewidth=1.2)
    for part, title in (("gradient", "Gradient and missed states, norm"), ("missed", "Missed states, largest entry")):
        known = [getattr(one, part) for one in runs.values() if getattr(one, part) is not None]
        logarithmic(parts[part], np.maximum(np.concatenate(known), FLOOR))
        parts[part].set(xlabel="passes over the steps", title=title)
    for name in ("cubic", "angle", "gradient"):
        parts[name].legend(loc="best")
