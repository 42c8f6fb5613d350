"""Discretise-optimise against optimise-discretise.

Should one discretise and then optimise, or optimise and then discretise, to learn the right-hand side of a spiral?

    u' = V tanh(K u^3 + b) + c,    u(0) = (2, 0),    loss = sum over 30 times in [0, 1.5] of ||u(t_i) - d_i||^2

with 50 hidden units and the data of ``u' = A' u^3``, ``A = [-0.1, 2; -2, -0.1]``. Discretise-optimise takes one step of
the classical Runge-Kutta scheme between observations and differentiates that exactly. Optimise-discretise solves state
and adjoint equation adaptively, each to a tolerance: its gradient is not the derivative of its loss, which Taylor's
formula shows. An exact Jacobian also allows Gauss-Newton.

Source: Onken and Ruthotto, Discretize-optimize vs. optimize-discretize for time-series regression and continuous
normalizing flows, arXiv:2005.13420, sec. 4. There 300 steps of Adam ended at losses of 0.33 to 0.45 and 1.4 to 142.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Spiral: a loosely solved adjoint misleads, the derivative of a discretisation does not"
T, TIMES, HIDDEN = 1.5, 30, 50
START, A = (2.0, 0.0), ((-0.1, 2.0), (-2.0, -0.1))
TOLERANCES = (1e-2, 1e-7)
RATE, ADAM_STEPS, NEWTON_STEPS, QUICK_STEPS, GOAL = 0.1, 300, 30, 24, 0.33
PARAMETERS = {"tolerance": Parameter(1e-2, 1e-6, 0.1, "relative tolerance of the adjoint that is solved loosely")}


class Taylor(NamedTuple):
    """``|L(p + h v) - L(p)|`` and ``|L(p + h v) - L(p) - h <g, v>|`` at steps h, each (steps,)."""

    h: np.ndarray
    without: np.ndarray
    with_slope: np.ndarray

    @property
    def order(self) -> float:
        """With which power of h the error fell over the last two of the steps, each a quarter of the one before."""
        return float(np.log(self.with_slope[-3] / self.with_slope[-1]) / np.log(16))


class Descent(NamedTuple):
    """Losses before each step, (steps,), weights after the last one, and seconds if they were measured."""

    losses: np.ndarray
    theta: Any
    seconds: float


def run(quick: bool, random_state: int, *, tolerance: float = PARAMETERS["tolerance"].default) -> Outcome:
    """Taylor tables of both gradients, Gauss-Newton, and Adam with each of them.

    Args:
        quick: without Adam.
        random_state: seed of the weights and of the direction.
        tolerance: relative one of the adjoint that is solved loosely.

    Returns:
        Losses, claims and figure.
    """
    import jax

    seeds = range(random_state, random_state + (3 if quick else 5))
    with jax.enable_x64(True):
        newton = [gauss_newton(seed, QUICK_STEPS if quick else NEWTON_STEPS) for seed in seeds]
        trained = min(newton, key=lambda found: found.losses[-1]).theta
        tables = {"start": taylor_tables(first_weights(random_state), random_state, tolerance)}
        tables["trained"] = taylor_tables(trained, random_state, tolerance)
        adams = {} if quick else {name: adam(name, seeds[:3], loose=tolerance) for name in ways(tolerance)}
        fit = marched(trained)
    needed = [steps_needed(found.losses) for found in newton]
    coarse, fine = (tables["start"][_name(rtol)].order for rtol in (tolerance, TOLERANCES[1]))
    ends = {name: [found.losses[-1] for found in each] for name, each in adams.items()}
    numbers = {
        "gauss_newton": {"steps_below_goal": needed, "loss": [found.losses[-1] for found in newton]},
        "taylor": {
            at: {way: t._asdict() | {"order": t.order} for way, t in each.items()} for at, each in tables.items()
        },
        "adam": ends,
    }
    exact = [table["exact"].order for table in tables.values()]
    claims = [
        at_most(f"Gauss-Newton's median start is below a loss of {GOAL} after", float(np.median(needed)), 29, " steps"),
        at_least("The derivative of the discretisation is exact: the error falls with order", min(exact), 1.9),
        at_most(f"The adjoint at a tolerance of {tolerance:g} has an error that falls with order", coarse, 1.5),
        at_least("That at 1e-7 with", fine, 1.5),
    ]
    if not quick:
        middle = {name: float(np.median(losses)) for name, losses in ends.items()}
        claims += [
            at_most("Adam with the exact derivative ends, at the median, at a loss of", middle["exact"], 1.0),
            at_least(
                f"With the adjoint at {tolerance:g} its loss is larger by a factor of",
                middle[_name(tolerance)] / middle["exact"],
                2,
            ),
        ]
    return Outcome(numbers, claims, partial(_draw, fit, newton, adams, tables))


def first_weights(seed: int) -> dict[str, Any]:
    """Uniform weights of Glorot and Bengio, no shifts."""
    import jax.numpy as jnp

    rng, size = np.random.default_rng(seed), (6 / (2 + HIDDEN)) ** 0.5
    K, V = rng.uniform(-size, size, (HIDDEN, 2)), rng.uniform(-size, size, (2, HIDDEN))
    return {"K": jnp.asarray(K), "b": jnp.zeros(HIDDEN), "V": jnp.asarray(V), "c": jnp.zeros(2)}


def field(t: Any, u: Any, theta: dict[str, Any]) -> Any:
    """``V tanh(K u^3 + b) + c``."""
    import jax.numpy as jnp

    return theta["V"] @ jnp.tanh(theta["K"] @ u**3 + theta["b"]) + theta["c"]


def runge_kutta(theta: Any) -> Any:
    """States at the 30 times, by one step of order 4 between two of them."""
    import jax
    import jax.numpy as jnp

    from numdl.flow import BasisInTime, get_scheme, serial

    nt = TIMES - 1
    layers = jax.tree.map(lambda leaf: leaf[None], theta)
    return serial(get_scheme("rk4"), field, BasisInTime(nt, 1, "legendre"), layers, jnp.array(START), 0.0, T / nt)


def marched(theta: Any) -> np.ndarray:
    """States at the 30 times, as ``runge_kutta`` has them."""
    V, K, b, c = (np.asarray(theta[name]) for name in "VKbc")
    return _in_numpy(lambda u: V @ np.tanh(K @ u**3 + b) + c)


def _in_numpy(f: Callable[[np.ndarray], np.ndarray], refine: int = 1) -> np.ndarray:
    """States at the 30 times by ``refine`` steps of order 4 between two of them; compiles nothing."""
    u, h, states = np.array(START), T / (TIMES - 1) / refine, [np.array(START)]
    for _ in range(refine * (TIMES - 1)):
        slope, total = np.zeros_like(u), np.zeros_like(u)
        for at, weight in ((0.0, 1.0), (0.5, 2.0), (0.5, 2.0), (1.0, 1.0)):
            slope = f(u + at * h * slope)
            total += weight * slope
        u = u + h / 6 * total
        states.append(u)
    return np.stack(states[::refine])


def backwards(theta: Any, rtol: Any) -> Any:
    """States at the 30 times, adaptively; their derivative solves the adjoint equation backwards, adaptively too."""
    try:
        import diffrax
    except ImportError:
        raise ImportError("experiment 'spiral-ode' needs the package diffrax. Install numdl[ode].") from None
    import jax.numpy as jnp

    found = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Dopri5(),
        0.0,
        T,
        None,
        jnp.array(START),
        args=theta,
        saveat=diffrax.SaveAt(ts=jnp.linspace(0.0, T, TIMES)),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=1e-2 * rtol),
        adjoint=diffrax.BacksolveAdjoint(),
        throw=False,
    )
    return found.ys


@functools.cache
def data() -> np.ndarray:
    """What is to be learned, (30, 2): to 10 digits, by 64 steps between two times."""
    return _in_numpy(lambda u: u**3 @ np.asarray(A), refine=64)


def losses() -> dict[str, Callable[..., Any]]:
    """``loss(theta, rtol, d)`` by how it is differentiated; the exact one has no tolerance."""
    import jax.numpy as jnp

    return {
        "exact": lambda theta, rtol, d: jnp.sum((runge_kutta(theta) - d) ** 2),
        "adjoint": lambda theta, rtol, d: jnp.sum((backwards(theta, rtol) - d) ** 2),
    }


def ways(loose: float = TOLERANCES[0]) -> dict[str, tuple[str, float]]:
    """Name to the key of its loss and its tolerance, of which one is loose."""
    return {"exact": ("exact", 0.0)} | {_name(rtol): ("adjoint", rtol) for rtol in (loose, TOLERANCES[1])}


def gauss_newton(seed: int, steps: int = NEWTON_STEPS) -> Descent:
    """Levenberg-Marquardt on the exactly differentiated loss.

    The penalty is too small to be seen in a loss. It tells the method that all weights have one unit, so that its
    damping holds those of saturated units, too, which the data do not see: without, most starts stall.
    """
    import jax.numpy as jnp

    from numdl.optimize import LevenbergMarquardt, minimize
    from numdl.problems import LEAST_SQUARES, Empirical
    from numdl.regularize import GroupPenalty

    theta = first_weights(seed)
    penalty = GroupPenalty(jnp.full(1, 1e-12), jnp.zeros(sum(leaf.size for leaf in theta.values()), jnp.int32))
    observed = jnp.asarray(data().reshape(1, -1))
    problem = Empirical(_states, LEAST_SQUARES, penalty, jnp.zeros((1, 1)), observed, jnp.ones(1))
    result, _ = minimize(problem, LevenbergMarquardt(first_damping=1.0), theta, max_iter=steps)
    return Descent(2 * result.history["objective"], result.p, float(result.history["seconds"][-1]))


def steps_needed(losses: np.ndarray, goal: float = GOAL) -> float:
    """Steps until the loss is below the goal; infinite if it never was."""
    below = np.flatnonzero(losses < goal)
    return float(below[0]) if below.size else np.inf


def adam(name: str, seeds: Iterable[int], steps: int = ADAM_STEPS, loose: float = TOLERANCES[0]) -> list[Descent]:
    """Adam by one of ``ways``, from several starts; the seconds are those after compilation.

    Args:
        name: key of ``ways``.
        seeds: of the weights.
        steps: number of gradients.
        loose: tolerance of ``ways``.

    Returns:
        One descent for each seed.
    """
    import jax
    import jax.numpy as jnp
    import optax

    from numdl.optimize.smooth.stochastic_gradient import moved

    key, rtol = ways(loose)[name]
    rtol, rate = jnp.asarray(rtol), jnp.asarray(RATE)
    loss, method = losses()[key], optax.adam(1.0)

    def go(theta: Any, rtol: Any, d: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            theta, memory = carry
            value, slope = jax.value_and_grad(loss)(theta, rtol, d)
            return moved(method, theta, slope, memory, rate), value

        (theta, _), values = jax.lax.scan(step, (theta, method.init(theta)), None, length=steps)
        return theta, values

    compiled = jax.jit(go).lower(first_weights(0), rtol, data()).compile()
    found = []
    for seed in seeds:
        began = time.perf_counter()
        theta, values = jax.block_until_ready(compiled(first_weights(seed), rtol, data()))
        found.append(Descent(np.asarray(values), theta, time.perf_counter() - began))
    return found


def taylor_tables(theta: Any, seed: int, loose: float = TOLERANCES[0]) -> dict[str, Taylor]:
    """Errors of Taylor's formula along one random direction, for each of ``ways``."""
    from jax.flatten_util import ravel_pytree

    flat, unravel = ravel_pytree(theta)
    v = np.random.default_rng(seed).standard_normal(flat.size)
    v /= np.linalg.norm(v)
    h, d, tables = 0.25 ** np.arange(2, 9), data(), {}
    for name, (key, rtol) in ways(loose).items():
        both = _compiled(key)
        value, slope = both(theta, rtol, d)
        moved = np.array([float(both(unravel(flat + step * v), rtol, d)[0]) for step in h])
        along = float(ravel_pytree(slope)[0] @ v)
        tables[name] = Taylor(h, np.abs(moved - float(value)), np.abs(moved - float(value) - h * along))
    return tables


def _states(theta: Any, x: Any) -> Any:
    """The model that Gauss-Newton sees; there is one sample, and nothing in it is used."""
    return runge_kutta(theta).reshape(-1)


@functools.cache
def _compiled(key: str) -> Callable[..., Any]:
    import jax

    return jax.jit(jax.value_and_grad(losses()[key]))


def _name(rtol: float) -> str:
    return f"adjoint, {rtol:g}"


def _draw(fit: np.ndarray, newton: list[Descent], adams: dict, tables: dict, figure: Figure) -> None:
    """The fit and all losses; below, Taylor's formula at the start and after training."""
    from numdl.plots.canvas import BLUE, GREEN, GREY, ORANGE, PURPLE, logarithmic, logarithmic_x

    (left, right), below = figure.subplots(2, 2)
    colors = dict(zip(tables["start"], (BLUE, ORANGE, PURPLE), strict=True))
    left.plot(*data().T, "o", color=GREY, markersize=5, label="observed")
    left.plot(*fit.T, color=GREEN, label="best of Gauss-Newton")
    left.set(title="The spiral", xlabel="first state", ylabel="second state", aspect="equal")
    left.legend()
    lines = [("Gauss-Newton", GREEN, found) for found in newton]
    lines += [(f"Adam, {name}", colors[name], found) for name, each in adams.items() for found in each]
    seen: set[str] = set()
    for label, color, found in lines:
        right.plot(found.losses, color=color, linewidth=1.2, label=None if label in seen else label)
        seen.add(label)
    right.axhline(GOAL, color=GREY, linestyle="--", linewidth=1)
    right.set(title="Loss", xlabel="step", ylabel="loss")
    logarithmic(right, np.concatenate([found.losses for _, _, found in lines]))
    right.legend()
    for axes, (at, each) in zip(below, tables.items(), strict=True):
        for name, table in each.items():
            axes.plot(table.h, table.with_slope, color=colors[name], marker="o", markersize=3, label=name)
        table = each["exact"]
        axes.plot(table.h, table.without, color=GREY, linestyle=":", label="without the gradient")
        logarithmic_x(axes)
        logarithmic(axes, np.concatenate([t.with_slope for t in each.values()]))
        where = "at the start" if at == "start" else "after Gauss-Newton"
        axes.set(title=f"Error of Taylor's formula {where}", xlabel="step h", ylabel="error")
        axes.legend()
