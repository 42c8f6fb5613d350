"""Optimality system of Pontryagin's maximum principle.

Which equations hold at an optimal control: state, adjoint and a stationary Hamiltonian?

With ``lambda(t)`` the derivative of a sample's cost by its state at t, and ``H(t, u, lambda, theta) = lambda' f + L``:

    u'      =  dH/dlambda,   u(0) = u0
    lambda' = -dH/du,        lambda(T) = d loss / du
    0       =  mean over samples of dH/dtheta + dR/dtheta        (within bounds: the projected gradient)

H is minimal over theta at an optimal control. Li et al. take ``-lambda``, for which ``lambda' f - L`` is maximal. The
discrete system has ``lambda_j = d/du [lambda_j+1' Phi_j(u_j, theta) + L_j(u_j, theta)]`` in place of the second line:
its stationarity is the gradient of the discrete cost to rounding, that of the continuous one up to the scheme's order.

Sources: Pontryagin et al., The Mathematical Theory of Optimal Processes, 1962; Li, Chen, Tai and E, Maximum principle
based algorithms for deep learning, JMLR 18 (2018), sec. 2 and 5.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree, Steps
from numdl.control.fits import full_bounds, require_like, require_problem, require_states
from numdl.control.problem import ControlProblem
from numdl.control.stage import stage_hamiltonian


class Optimality(NamedTuple):
    """Residuals of the optimality system; all vanish at an optimal control with its states and adjoints.

    Attributes:
        state: ``u_j+1 - Phi_j(u_j)``, (nt, n, m).
        adjoint: ``lambda_j - d/du [...]``, and at the end ``lambda_nt - d loss / du``, (nt + 1, n, m).
        stationarity: ``theta - P(theta - g)``, P the projection on the bounds, structure of the coefficients; without
            bounds the gradient g.
    """

    state: Float[Array, "nt n m"]
    adjoint: Float[Array, "times n m"]
    stationarity: PyTree


def hamiltonian(
    problem: ControlProblem, t: Float[Array, ""] | float, u: Float[Array, " m"], lam: Float[Array, " m"], theta: PyTree
) -> Float[Array, ""]:
    """``H = lambda' f(t, u, theta) + L(t, u, theta)`` of one sample.

    Args:
        problem: gives f and L.
        t: time.
        u: state, (m,).
        lam: adjoint, (m,), in cost per unit of the state.
        theta: weights at t.

    Returns:
        Cost per time, ().

    Raises:
        ValueError: u and lam are not one state and its adjoint, or an entry is not finite.
        TypeError: the problem is none, or the weights are not those of one layer.
    """
    require_problem("hamiltonian", problem, theta, "theta")
    checks.scalar("hamiltonian", "t", t)
    checks.finite("hamiltonian", "u", u)
    checks.finite("hamiltonian", "lam", lam)
    if jnp.ndim(u) != 1 or jnp.shape(lam) != jnp.shape(u):
        raise ValueError(
            f"hamiltonian(u of shape {jnp.shape(u)}, lam of shape {jnp.shape(lam)}): needs one sample, (m,) for both. "
            "Use jax.vmap for many."
        )
    u, lam = jnp.asarray(u), jnp.asarray(lam)
    if not any(map(checks.traced, jax.tree.leaves((t, u, theta)))):
        checks.shape_of("hamiltonian", "u, theta", problem.f, t, u, theta, needs="the weights of one layer")
    rate = lam @ problem.f(t, u, theta)
    return rate if problem.running is None else rate + jnp.sum(problem.running(t, u, theta) ** 2) / 2


def sensitivity(problem: ControlProblem, coeffs: PyTree, change: PyTree) -> Float[Array, "times n m"]:
    """How all states move with the control: ``v_j+1 = dPhi_j/du v_j + dPhi_j/dtheta change_j``, ``v_0 = 0``.

    It is also what the scheme makes of the sensitivity equation ``v' = df/du v + df/dtheta change``: the tangent of a
    Runge-Kutta step is the step of the tangent equation.

    Args:
        problem: scheme, dynamics and start.
        coeffs: coefficients of the control.
        change: their change, same structure.

    Returns:
        (nt + 1, n, m), from one pass with tangents.

    Raises:
        ValueError: the change has another structure or shapes.
    """
    require_problem("sensitivity", problem, coeffs)
    require_like("sensitivity", "change", coeffs, change)
    stages, moved = jax.jvp(problem.stages, (coeffs,), (change,))
    moved = moved.cell

    def forward(pair: tuple[Array, Array], step: tuple[Steps, PyTree]) -> tuple[tuple[Array, Array], Array]:
        stage, cell = step

        def one(u: Array, v: Array) -> tuple[Array, Array]:
            return jax.jvp(lambda cell, u: problem.advance(stage._replace(cell=cell), u), (stage.cell, u), (cell, v))

        u, v = jax.vmap(one)(*pair)
        return (u, v), v

    zero = jnp.zeros_like(problem.u0)
    return jnp.concatenate([zero[None], jax.lax.scan(forward, (problem.u0, zero), (stages, moved))[1]])


def adjoint_states(
    problem: ControlProblem, coeffs: PyTree, states: Float[Array, "times n m"], *, continuous: bool = False
) -> Float[Array, "times n m"]:
    """Adjoints of all samples at all times.

    Args:
        problem: the control problem.
        coeffs: coefficients of the control.
        states: (nt + 1, n, m), as from ``problem.states``.
        continuous: solve ``lambda' = -dH/du`` by the scheme itself, backwards together with the state from each of
            the given ones; else the adjoint of the scheme.

    Returns:
        (nt + 1, n, m), in cost of a sample per unit of the state.

    Raises:
        ValueError: the states have another shape.
    """
    require_problem("adjoint_states", problem, coeffs)
    stages = problem.stages(coeffs)
    require_states("adjoint_states", "states", problem, len(stages.t), states)
    ends = jax.vmap(jax.grad(problem.terminal))(states[-1], problem.c)

    def discrete(stage: Steps, u: Array, after: Array, lam: Array) -> Array:
        return jax.grad(stage_hamiltonian, argnums=2)(problem, stage, u, lam)

    def equation(stage: Steps, u: Array, after: Array, lam: Array) -> Array:
        m = u.shape[0]

        def rates(t: Array, both: Array, theta: PyTree) -> Array:
            slope = jax.grad(hamiltonian, argnums=2)(problem, t, both[:m], both[m:], theta)
            return jnp.concatenate([problem.f(t, both[:m], theta), -slope])

        def weights(c: float) -> PyTree:
            return problem.control.at(stage.cell, 1.0 - c)

        both = jnp.concatenate([after, lam])
        return problem.scheme.step(rates, stage.t + stage.h, -stage.h, both, weights)[m:]

    back = jax.vmap(equation if continuous else discrete, (None, 0, 0, 0))

    def backward(lam: Array, step: tuple[Steps, Array, Array]) -> tuple[Array, Array]:
        lam = back(*step, lam)
        return lam, lam

    steps = stages, states[:-1], states[1:]
    return jnp.concatenate([jax.lax.scan(backward, ends, steps, reverse=True)[1], ends[None]])


def optimality(
    problem: ControlProblem,
    coeffs: PyTree,
    states: Float[Array, "times n m"],
    adjoints: Float[Array, "times n m"],
    *,
    lower: PyTree = None,
    upper: PyTree = None,
) -> Optimality:
    """Residuals of the discrete optimality system; every step by itself, nothing is marched.

    Args:
        problem: the control problem.
        coeffs: coefficients of the control.
        states: (nt + 1, n, m), need not fit the control.
        adjoints: (nt + 1, n, m), likewise.
        lower: bounds of the coefficients, their structure or one number for all; None for none.
        upper: likewise.

    Returns:
        The residuals. With exact states and adjoints and without bounds ``stationarity`` is the gradient of the cost.

    Raises:
        ValueError: states, adjoints or bounds have another shape, or a lower bound is above the upper one.
    """
    require_problem("optimality", problem, coeffs)
    low, high = full_bounds("optimality", coeffs, lower, upper)
    stages, pull = jax.vjp(problem.stages, coeffs)
    for what, given in (("states", states), ("adjoints", adjoints)):
        require_states("optimality", what, problem, len(stages.t), given)

    def every(stage: Steps, u: Array, lam: Array) -> tuple[Array, PyTree, Array]:
        """What a step makes of a state, and both slopes of its Hamiltonian."""
        slopes = jax.grad(lambda cell, u: stage_hamiltonian(problem, stage._replace(cell=cell), u, lam), (0, 1))
        return problem.advance(stage, u), *slopes(stage.cell, u)

    onward, by_cell, by_state = jax.vmap(jax.vmap(every, (None, 0, 0)))(stages, states[:-1], adjoints[1:])
    ends = jax.vmap(jax.grad(problem.terminal))(states[-1], problem.c)
    means = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=1), by_cell)
    (gradient,) = pull(Steps(jnp.zeros_like(stages.t), jnp.zeros_like(stages.h), means))
    if problem.penalty is not None:
        gradient = jax.tree.map(jnp.add, gradient, problem.penalty.gradient(coeffs))
    stationarity = gradient
    if not (lower is None and upper is None):
        stationarity = jax.tree.map(lambda p, g, a, b: p - jnp.clip(p - g, a, b), coeffs, gradient, low, high)
    wrong = adjoints - jnp.concatenate([by_state, ends[None]])
    return Optimality(states[1:] - onward, wrong, stationarity)
