"""Forward sensitivities against the adjoint method.

What does the gradient of a control cost, by the sensitivity equation and by the adjoint one?

    forwards:   v_j+1 = dPhi_j/du v_j + dPhi_j/dtheta e_i,   v_0 = 0,    dJ/dtheta_i = mean of  dloss/du' v_nt
    backwards:  lambda_j = (dPhi_j/du)' lambda_j+1,          lambda_nt = dloss/du,
                dJ/dtheta_j = mean of  (dPhi_j/dtheta)' lambda_j+1

Both are the derivative of the discrete cost. The sensitivity equation is solved once for each parameter, the adjoint
one once for all: over the number of layers the former costs its square. Operations are those that the compiler counts
in the whole march, loops written out; tanh counts apart. Seconds are shown and nothing is claimed of them.

Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, ch. 3 and 4.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Sensitivities cost a march for each parameter, the adjoint one for all: it wins from a few on"
T, REPEATS = 1.0, 5
PARAMETERS = {
    "width": Parameter(3, 1, 8, "width of the network"),
    "samples": Parameter(4, 1, 64, "samples that are marched"),
}
COUNTS = (1, 2, 4, 8)
"""Numbers of parameters of which the derivatives are wanted, at one depth."""
FORWARD, BACKWARD, AUTOMATIC = "sensitivity", "adjoint", "automatic"


def run(
    quick: bool,
    random_state: int,
    *,
    width: float = PARAMETERS["width"].default,
    samples: float = PARAMETERS["samples"].default,
) -> Outcome:
    """Gradients, operations and seconds over depth, and over the number of parameters that are asked for.

    Args:
        quick: up to 8 layers instead of 64.
        random_state: seed of weights and samples.
        width: of the network.
        samples: that are marched.

    Returns:
        Counts, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _measure((2, 4, 8) if quick else (2, 4, 8, 16, 32, 64), random_state, int(width), int(samples))


def network(nt: int, seed: int, width: int, samples: int) -> tuple[Any, Any]:
    """A plain network of nt layers as a control problem, and random weights."""
    import jax.numpy as jnp

    from numdl.control import ControlProblem
    from numdl.flow import PiecewiseConstant, get_activation, get_dynamics, get_scheme

    rng = np.random.default_rng(seed)
    u0, c = (jnp.asarray(rng.standard_normal((samples, width))) for _ in range(2))
    weights = {"K": rng.standard_normal((nt, width, width)), "b": rng.standard_normal((nt, width))}
    f = get_dynamics("plain").vector_field(get_activation("tanh"))
    problem = ControlProblem(get_scheme("euler"), f, PiecewiseConstant(nt), u0, jnp.asarray(T / nt), c)
    return problem, {name: jnp.asarray(leaf) for name, leaf in weights.items()}


def forwards(problem: Any, coeffs: Any, directions: Any) -> Any:
    """Derivatives of the cost along directions, (directions,), from as many sensitivity equations."""
    import jax
    import jax.numpy as jnp

    from numdl.control import sensitivity

    ends = jax.vmap(jax.grad(problem.terminal))(problem.states(coeffs)[-1], problem.c)

    def along(direction: Any) -> Any:
        return jnp.vdot(ends, sensitivity(problem, coeffs, direction)[-1]) / len(ends)

    return jax.vmap(along)(directions)


def backwards(problem: Any, coeffs: Any) -> Any:
    """The gradient from states and adjoints, (parameters,)."""
    from jax.flatten_util import ravel_pytree

    from numdl.control import adjoint_states, optimality

    states = problem.states(coeffs)
    return ravel_pytree(optimality(problem, coeffs, states, adjoint_states(problem, coeffs, states)).stationarity)[0]


def automatic(problem: Any, coeffs: Any) -> Any:
    """The gradient by reverse differentiation of the cost, (parameters,)."""
    import jax
    from jax.flatten_util import ravel_pytree

    return ravel_pytree(jax.grad(lambda p: problem.value(p)[0])(coeffs))[0]


def units(coeffs: Any, count: int) -> Any:
    """The first directions of the axes, structure of the coefficients with the leading axis ``count``."""
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    flat, unravel = ravel_pytree(coeffs)
    return jax.vmap(unravel)(jnp.eye(count, flat.size))


def operations(call: Callable, *args: Any) -> float:
    """Floating-point operations of a compiled call. In a loop the compiler counts one turn: they are written out."""
    import jax

    def unrolled(*args: Any) -> Any:
        with jax.disable_jit():
            return call(*args)

    counted: Any = jax.jit(unrolled).lower(*args).cost_analysis()
    return float(counted["flops"])


def seconds(call: Callable, *args: Any) -> tuple[np.ndarray, float]:
    """Result of a compiled call, and the least of a few times."""
    import jax

    compiled, spent = jax.jit(call), []
    found = np.asarray(compiled(*args))
    for _ in range(REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        spent.append(time.perf_counter() - began)
    return found, min(spent)


def _measure(depths: tuple[int, ...], seed: int, width: int, samples: int) -> Outcome:
    # Not of the automatic one: its loop, written out, adds up slices in full arrays, nt times.
    flops: dict[str, list[float]] = {FORWARD: [], BACKWARD: []}
    spent: dict[str, list[float]] = {FORWARD: [], BACKWARD: [], AUTOMATIC: []}
    wrong, parameters = [], []
    for nt in depths:
        problem, coeffs = network(nt, seed, width, samples)
        parameters.append(nt * width * (width + 1))
        calls = {
            FORWARD: (forwards, problem, coeffs, units(coeffs, parameters[-1])),
            BACKWARD: (backwards, problem, coeffs),
            AUTOMATIC: (automatic, problem, coeffs),
        }
        found = {}
        for name, call in calls.items():
            found[name], lasted = seconds(*call)
            spent[name].append(lasted)
            if name in flops:
                flops[name].append(operations(*call))
        exact = found[AUTOMATIC]
        wrong += [np.linalg.norm(found[name] - exact) / np.linalg.norm(exact) for name in (FORWARD, BACKWARD)]
    problem, coeffs = network(depths[1], seed, width, samples)
    few = np.array([operations(forwards, problem, coeffs, units(coeffs, count)) for count in COUNTS])
    crossing = float(np.interp(flops[BACKWARD][1], few, COUNTS))
    growth = {name: float(np.diff(np.log2(counts[-2:]))[0]) for name, counts in flops.items()}
    ratio = np.array(flops[FORWARD]) / np.array(flops[BACKWARD])
    numbers = {
        "layers": depths,
        "parameters": parameters,
        "operations": flops,
        "seconds": spent,
        "operations_for_few_parameters": dict(zip(map(str, COUNTS), few, strict=True)),
        "crossing": crossing,
        "difference_from_automatic": max(wrong),
    }
    claims = [
        at_most("Both are the automatic gradient up to", float(max(wrong)), 1e-12),
        at_least("Twice as many layers: sensitivities cost more by two to the power", growth[FORWARD], 1.8),
        at_most("and the adjoint by two to the power", growth[BACKWARD], 1.1),
        at_least("All parameters of the deepest network: sensitivities cost times", float(ratio[-1]), 20.0),
        at_most("For one parameter they cost times", float(few[0] / flops[BACKWARD][1]), 0.9),
        at_most("The adjoint is the cheaper one from a number of parameters of", crossing, 10.0),
    ]
    return Outcome(numbers, claims, partial(_draw, np.array(parameters), flops, spent, few, depths[1]))


def _draw(parameters: np.ndarray, flops: dict, spent: dict, few: np.ndarray, nt: int, figure: Figure) -> None:
    """Operations and seconds over all parameters, operations for few of them."""
    from numdl.plots.canvas import BLUE, GREY, ORANGE, logarithmic, logarithmic_x

    colors = {FORWARD: ORANGE, BACKWARD: BLUE, AUTOMATIC: GREY}
    left, middle, right = figure.subplots(1, 3)
    for axes, columns, what in ((left, flops, "operations"), (middle, spent, "seconds")):
        for name, values in columns.items():
            axes.plot(parameters, values, "o--" if name == AUTOMATIC else "o-", color=colors[name], label=name)
        logarithmic_x(axes)
        logarithmic(axes, np.concatenate([np.asarray(values) for values in columns.values()]))
        axes.set_xticks(parameters, [str(count) for count in parameters])
        axes.set(xlabel="parameters, as the network gets deeper", ylabel=what, title=f"Whole gradient: {what}")
    middle.legend(loc="upper left")
    right.plot(COUNTS, few, "o-", color=ORANGE)
    right.axhline(flops[BACKWARD][1], color=BLUE)
    right.set(
        xlabel="parameters asked for", ylabel="operations", ylim=(0, None), title=f"{nt} layers, some derivatives"
    )
