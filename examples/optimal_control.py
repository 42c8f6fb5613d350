"""Steer a system at least cost: by a Riccati step, by multiple shooting, by E-MSA; then a pendulum, from a guess.

Half the squared distance from the target at the end and half the integral of ``running^2`` count, see
``numdl.problems.ControlProblem``; a residual network is the case where the control is its weights.
"""

import jax
import jax.numpy as jnp

from numdl.control import (
    ControlProblem,
    MultipleShooting,
    SuccessiveApproximations,
    adjoint_states,
    optimality,
    riccati_step,
)
from numdl.flow import PiecewiseConstant, get_scheme
from numdl.optimize import minimize


def cart(t, u, v):
    """Rates of position and speed, u (2,), that a force v (1,) moves."""
    return jnp.stack([u[1], v[0]])


def pendulum(t, u, v):
    """Rates of the angle from upright and of its speed."""
    return jnp.stack([u[1], 4 * jnp.sin(u[0]) - 0.1 * u[1] + v[0]])


def effort(t, u, v):
    return v


def weighted(u):
    return 50 * u


def steered(f, start, T, nt, output=None):
    """The problem of bringing u' = f(t, u, v) to rest at 0, in nt steps of Heun's scheme, with one v on each."""
    u0 = jnp.asarray([start])  # a row for each sample: here one
    return ControlProblem(
        get_scheme("heun"), f, PiecewiseConstant(nt), u0, h=T / nt, c=0 * u0, output=output, running=effort
    )


with jax.enable_x64(True):
    problem, rest = steered(cart, [1.0, 0.0], 2.0, 20), jnp.zeros((20, 1))
    riccati = rest + riccati_step(problem, rest)  # linear dynamics, quadratic cost: one step is the answer
    shot, _ = minimize(problem, MultipleShooting(), rest)
    layerwise, _ = minimize(problem, SuccessiveApproximations(inner_steps=2, tol=1e-12), rest)
    before, after = (problem.value(control)[0] for control in (rest, riccati))
    print(f"cost {before:.2f} at rest, {after:.6f} by the Riccati step")
    for name, result in (("multiple shooting", shot), ("E-MSA", layerwise)):
        apart = jnp.max(jnp.abs(result.p - riccati))
        print(f"{name}: the same control to {apart:.0e}, after {result.history['work'][-1]:.0f} passes")

    # Hanging down, to swing up: no guess of the control leads there, a straight line is guess enough of the path.
    problem, rest = steered(pendulum, [jnp.pi, 0.0], 6.0, 60, weighted), jnp.zeros((60, 1))
    line = jnp.linspace(problem.u0, 0 * problem.u0, 61)  # states at all times, (61, 1, 2)
    result, _ = minimize(problem, MultipleShooting(), rest, line)
    print("pendulum:", result.status.message)

    states = problem.states(result.p)  # marched from the start by the control alone
    print(f"ends at angle {states[-1, 0, 0]:.3f}, speed {states[-1, 0, 1]:.3f}; path kept by the method:", end=" ")
    print(f"{jnp.max(jnp.abs(result.aux - states)):.0e} apart from it")
    # Pontryagin's system by itself: do state and adjoint fit, and is the Hamiltonian stationary in every step?
    missed = optimality(problem, result.p, result.aux, adjoint_states(problem, result.p, result.aux))
    print(*(f"{name} equation {jnp.max(jnp.abs(part)):.0e}" for name, part in missed._asdict().items()), sep=", ")
