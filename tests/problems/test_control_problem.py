"""Cost, sensitivity, adjoint and optimality system of control problems, against differentiation."""

import dataclasses

import control_problems as cp
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl import control
from numdl.control import ControlProblem
from numdl.flow import serial
from numdl.optimize import LBFGS, LevenbergMarquardt, NewtonCG, ProjectedGaussNewton, minimize
from numdl.problems import SOFTMAX
from numdl.testing import check_curvature, check_gradient

pytestmark = pytest.mark.usefixtures("x64")
adjoint_states, optimality, sensitivity = (
    eqx.filter_jit(f) for f in (control.adjoint_states, control.optimality, control.sensitivity)
)
hamiltonian, paths = control.hamiltonian, eqx.filter_jit(ControlProblem.states)


def close(found, expected, rtol=1e-12):
    found, expected = ravel_pytree(found)[0], ravel_pytree(expected)[0]
    assert found.shape == expected.shape
    assert jnp.linalg.norm(found - expected) <= rtol * jnp.linalg.norm(expected)


def cost_by_loops(problem, coeffs):
    """The formula of the module, sample by sample and step by step: the running cost is one more state."""
    h, nt = np.broadcast_to(problem.h, problem.control.nt), problem.control.nt
    total = 0.0

    def rates(t, uz, theta):
        u = uz[:-1]
        return jnp.append(problem.f(t, u, theta), jnp.sum(problem.running(t, u, theta) ** 2) / 2)

    @jax.jit
    def step(t, h, u, cell):
        return problem.scheme.step(rates, t, h, u, lambda s: problem.control.at(cell, s))

    for u, c in zip(problem.u0, problem.c, strict=True):
        u, t = jnp.append(u, 0.0), 0.0
        for j in range(nt):
            cell = jax.tree.map(lambda a, j=j: a[j], problem.control.cells(coeffs))
            u, t = step(t, h[j], u, cell), t + h[j]
        total += u[-1] + problem.loss.value(problem.output(u[:-1]), c)
    return total / problem.u0.shape[0] + problem.penalty.value(coeffs)


@pytest.mark.quick("heun-True", "rk4-False", "implicit_midpoint-True")
@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("scheme", ["heun", "rk4", "implicit_midpoint"])
def test_the_cost_is_that_of_the_formula_and_the_states_those_of_the_march(linear, scheme):
    problem, coeffs = cp.network(linear=linear, scheme=scheme)
    close(eqx.filter_jit(problem.value)(coeffs, None)[0], cost_by_loops(problem, coeffs), 1e-14)
    u = serial(problem.scheme, problem.f, problem.control, coeffs, problem.u0[1], 0.0, problem.h)
    close(paths(problem, coeffs)[:, 1], u, 1e-14)


def test_slope_and_curvature():
    problem, coeffs = cp.network(loss=SOFTMAX)
    lin = problem.linearize(coeffs, None)
    check_gradient(jax.jit(lambda p: (problem.value(p, None)[0], problem.linearize(p, None).gradient)), coeffs)
    check_curvature(jax.jit(lin.curvature), coeffs, jax.random.key(0))
    close(lin.gradient, jax.jit(jax.grad(lambda p: problem.value(p, None)[0]))(coeffs))
    close(lin.value, problem.value(coeffs, None)[0], 1e-14)
    # Gauss-Newton's matrix is the Hessian of the cost with scores and residuals linearised: another definition.
    flat, back = ravel_pytree(coeffs)

    def march(p):
        return problem._march(back(p))

    def convex(p):
        (s, r), (ds, dr) = jax.jvp(march, (jax.lax.stop_gradient(flat),), (p - flat,))
        return problem._cost(s + ds, r + dr) + problem.penalty.value(back(p))

    normal = eqx.filter_jit(problem.normal)(coeffs, None)
    close(normal.matrix, jax.jit(jax.hessian(convex))(flat), 1e-11)


def test_linear_quadratic_problems_have_their_exact_hessian():
    problem, coeffs = cp.regulator(nt=6)
    flat = jax.jit(jax.hessian(lambda v: problem.value(v[:, None], None)[0]))(coeffs[:, 0])
    close(eqx.filter_jit(problem.normal)(coeffs, None).matrix, flat)


@pytest.mark.quick("TrustRegion")
@pytest.mark.parametrize("method", [NewtonCG(), LBFGS()], ids=lambda method: type(method).__name__)
def test_every_kind_of_method_lowers_it(method):
    problem, coeffs = cp.network(n=2, scheme="euler")
    result, _ = minimize(problem, method, coeffs, max_iter=40)
    assert ravel_pytree(problem.linearize(result.p, None).gradient)[0] @ jnp.ones(30) == pytest.approx(0, abs=1e-3)
    assert result.history["objective"][-1] < 0.7 * result.history["objective"][0]


@pytest.mark.quick("True")
@pytest.mark.parametrize("linear", [False, True])
def test_sensitivity_and_adjoint_are_the_derivatives(linear):
    problem, coeffs = cp.network(linear=linear)
    change = jax.tree.map(jnp.cos, coeffs)
    moved = sensitivity(problem, coeffs, change)
    close(moved, jax.jit(lambda p, v: jax.jvp(problem.states, (p,), (v,))[1])(coeffs, change))
    states = paths(problem, coeffs)
    lam = adjoint_states(problem, coeffs, states)
    slope = optimality(problem, coeffs, states, lam).stationarity
    close(slope, jax.jit(lambda p: problem.linearize(p, None).gradient)(coeffs))
    by_start = jax.jit(jax.grad(lambda u: dataclasses.replace(problem, u0=u).value(coeffs, None)[0]))(problem.u0)
    close(lam[0] / problem.u0.shape[0], by_start)


def test_sensitivity_and_adjoint_fit_each_other():
    """<lambda_T, v_T> = sum of <lambda_j+1, dPhi/dtheta change_j>: their duality."""
    problem, coeffs = cp.network(alpha=0, running=None)
    change = jax.tree.map(jnp.cos, coeffs)
    states = paths(problem, coeffs)
    lam, moved = adjoint_states(problem, coeffs, states), sensitivity(problem, coeffs, change)
    slope = optimality(problem, coeffs, states, lam).stationarity
    left = jnp.sum(lam[-1] * moved[-1]) / problem.u0.shape[0]
    close(left, ravel_pytree(slope)[0] @ ravel_pytree(change)[0])


def test_sensitivity_solves_the_sensitivity_equation():
    problem, coeffs = cp.network()
    change = jax.tree.map(jnp.sin, coeffs)

    def both(t, uv, theta):
        weights, moved = theta
        rate, slope = jax.jvp(lambda u, w: problem.f(t, u, w), (uv[:2], weights), (uv[2:], moved))
        return jnp.concatenate([rate, slope])

    start = jnp.concatenate([problem.u0[0], jnp.zeros(2)])
    path = serial(problem.scheme, both, problem.control, (coeffs, change), start, 0.0, problem.h)
    close(sensitivity(problem, coeffs, change)[:, 0], path[:, 2:])


@pytest.mark.quick("heun-3")
@pytest.mark.parametrize(("scheme", "order"), [("euler", 1), ("heun", 3), ("rk4", 4)])
def test_the_continuous_adjoint_comes_near_with_its_order(scheme, order):
    # Heun's is one better: its defect in lambda' v is h^2/4 of the product of (k1 - k2) of both, h^4 in each step.
    gaps = []
    for nt in (128, 256):
        problem, coeffs = cp.network(nt=nt, scheme=scheme, uneven=False, alpha=0, running=None)
        t = jnp.arange(nt + 0.0)[:, None] // (nt // 8)
        coeffs = {"K": jnp.sin(t + jnp.arange(4.0)).reshape(nt, 2, 2), "b": jnp.cos(t + jnp.arange(2.0))}
        states = paths(problem, coeffs)
        pair = (adjoint_states(problem, coeffs, states, continuous=kind) for kind in (True, False))
        gaps.append(float(jnp.linalg.norm(jnp.subtract(*pair)[0])))
    assert np.log2(gaps[-2] / gaps[-1]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize(("scheme", "order"), [("euler", 1), ("heun", 3), ("rk4", 4)])
def test_the_continuous_adjoint_is_that_of_the_running_cost_too(scheme, order):
    gaps = []
    for nt in (40, 80):
        problem, coeffs = cp.regulator(nt=nt, scheme=scheme)
        lams = [adjoint_states(problem, coeffs, paths(problem, coeffs), continuous=kind) for kind in (True, False)]
        gaps.append(float(jnp.linalg.norm(lams[0][0] - lams[1][0])))
    assert np.log2(gaps[0] / gaps[1]) == pytest.approx(order, abs=0.1)


def test_hamiltonian_gives_both_equations():
    problem, coeffs = cp.network()
    theta, u, lam = jax.tree.map(lambda a: a[0], coeffs), jnp.array([0.2, -0.4]), jnp.array([1.0, 2.0])
    by_lam = jax.grad(hamiltonian, argnums=3)(problem, 0.3, u, lam, theta)
    close(by_lam, problem.f(0.3, u, theta))
    running = lambda u: jnp.sum(problem.running(0.3, u, theta) ** 2) / 2  # noqa: E731
    by_u = jax.grad(hamiltonian, argnums=2)(problem, 0.3, u, lam, theta)
    close(by_u, jax.jacobian(lambda u: problem.f(0.3, u, theta))(u).T @ lam + jax.grad(running)(u))


def test_hamiltonian_is_constant_along_the_optimal_path_of_an_autonomous_problem():
    """H has no explicit time: dH/dt = 0 along solutions of the optimality system, up to the order of the rule."""
    spread = []
    for nt in (50, 100):
        problem, coeffs = cp.regulator(nt=nt, scheme="euler")
        problem = dataclasses.replace(problem, f=still)
        p = minimize(problem, LevenbergMarquardt(first_damping=1e-12), coeffs, max_iter=4)[0].p
        u = paths(problem, p)
        lam = adjoint_states(problem, p, u)
        energies = jax.vmap(hamiltonian, (None, None, 0, 0, 0))(problem, 0.0, u[:-1, 0], lam[:-1, 0], p)
        spread.append(float(jnp.ptp(energies)))
    assert spread[0] / spread[1] == pytest.approx(2, abs=0.3) and spread[1] < 0.1


def still(t, u, theta):
    return cp.oscillator(jnp.pi / 2, u, theta)


def test_the_optimality_system_vanishes_at_the_optimum_within_bounds():
    problem, coeffs = cp.regulator(nt=10)
    low, high = jnp.full_like(coeffs, -0.3), jnp.full_like(coeffs, 0.25)
    p = minimize(problem, ProjectedGaussNewton(low, high, tol=1e-13), coeffs, max_iter=50)[0].p
    assert jnp.any(p == -0.3) or jnp.any(p == 0.25)
    states = paths(problem, p)
    parts = optimality(problem, p, states, adjoint_states(problem, p, states), lower=low, upper=high)
    assert max(float(jnp.max(jnp.abs(part))) for part in parts) < 1e-9
    free = optimality(problem, p, states, adjoint_states(problem, p, states))
    assert jnp.max(jnp.abs(free.stationarity)) > 1e-3


def test_the_system_sees_each_of_its_parts():
    problem, coeffs = cp.network()
    states = paths(problem, coeffs)
    lam = adjoint_states(problem, coeffs, states)
    exact = optimality(problem, coeffs, states, lam)
    assert max(jnp.max(jnp.abs(exact.state)), jnp.max(jnp.abs(exact.adjoint))) < 1e-14
    wrong = optimality(problem, coeffs, states.at[2].add(0.1), lam)
    assert jnp.all(jnp.any(wrong.state != exact.state, axis=(1, 2)) == (jnp.arange(5) // 1 == 1) + (jnp.arange(5) == 2))
    late = optimality(problem, coeffs, states, jnp.roll(lam, -1, axis=0))  # the planted mutant: lambda_j for lambda_j+1
    gradient = ravel_pytree(exact.stationarity)[0]
    assert jnp.linalg.norm(ravel_pytree(late.stationarity)[0] - gradient) > 1e-2 * jnp.linalg.norm(gradient)


def test_rows_are_samples():
    problem, coeffs = cp.network(n=3)
    parts = [problem.rows(jnp.array([i])).value(coeffs, None)[0] for i in range(3)]
    close(problem.value(coeffs, None)[0], sum(parts) / 3)


def test_lists_and_numbers_become_arrays():
    problem, coeffs = cp.regulator()
    again = dataclasses.replace(problem, u0=problem.u0.tolist(), h=float(problem.h), c=problem.c.tolist())
    assert again.value(coeffs, None)[0] == problem.value(coeffs, None)[0]
