"""The Riccati recursion against dense matrices, and one control from many methods."""

import control_problems as cp
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.flatten_util import ravel_pytree

from numdl import control
from numdl.control import AugmentedLagrangian, ControlProblem, MultipleShooting, SuccessiveApproximations
from numdl.linalg import LinearQuadratic, follow, riccati
from numdl.optimize import LevenbergMarquardt, Newton, NewtonCG, minimize

pytestmark = pytest.mark.usefixtures("x64")
adjoint_states, linear_quadratic = eqx.filter_jit(control.adjoint_states), eqx.filter_jit(control.linear_quadratic)
riccati_step, paths = eqx.filter_jit(control.riccati_step), eqx.filter_jit(ControlProblem.states)


def random_problem(N=4, m=3, w=2, seed=0):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(N, m + w, m + w))
    H = root @ root.transpose(0, 2, 1)
    last = rng.normal(size=(m, m))
    arrays = (
        rng.normal(size=(N, m, m)),
        rng.normal(size=(N, m, w)),
        rng.normal(size=(N, m)),
        np.concatenate([H[:, :m, :m], (last @ last.T)[None]]),
        H[:, m:, :m],
        H[:, m:, m:],
        rng.normal(size=(N + 1, m)),
        rng.normal(size=(N, w)),
    )
    return LinearQuadratic(*(jnp.asarray(a) for a in arrays)), jnp.asarray(rng.normal(size=m))


def cost(problem, x, v):
    quadratic = jnp.einsum("ja,jab,jb", x, problem.Q, x) / 2 + jnp.einsum("jv,jvw,jw", v, problem.R, v) / 2
    return quadratic + jnp.einsum("jw,jwa,ja", v, problem.S, x[:-1]) + jnp.sum(problem.q * x) + jnp.sum(problem.r * v)


def by_kkt(problem, x0):
    """Minimiser and multipliers from the dense system of Karush, Kuhn and Tucker: another definition."""
    N, m, w = problem.B.shape
    size = (N + 1) * m

    def split(z):
        return z[:size].reshape(N + 1, m), z[size:].reshape(N, w)

    def missed(z):
        x, v = split(z)
        ahead = jnp.einsum("jab,jb->ja", problem.A, x[:-1]) + jnp.einsum("jaw,jw->ja", problem.B, v) + problem.b
        return jnp.concatenate([x0 - x[0], (ahead - x[1:]).reshape(-1)])

    z = jnp.zeros(size + N * w)
    total = lambda z: cost(problem, *split(z))  # noqa: E731
    H, g, C = jax.jit(lambda z: (jax.hessian(total)(z), jax.grad(total)(z), jax.jacobian(missed)(z)))(z)
    zero = np.zeros((size, size))
    solved = np.linalg.solve(np.block([[H, C.T], [C, zero]]), -np.concatenate([g, missed(z)]))
    return *split(solved[: z.size]), solved[z.size :].reshape(N + 1, m)


def test_states_controls_and_multipliers_are_those_of_the_dense_system():
    problem, x0 = random_problem()
    feedback = riccati(problem)
    x, v = follow(problem, feedback, x0)
    expected = by_kkt(problem, x0)
    lam = jnp.einsum("jab,jb->ja", feedback.P, x) + feedback.p
    for found, right in zip((x, v, lam), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-9)
    # The planted mutant: a recursion that forgets the coupling of state and control.
    mutant = follow(problem, riccati(problem._replace(S=0 * problem.S)), x0)[1]
    assert np.max(np.abs(mutant - expected[1])) > 1e-2


def test_the_cost_to_go_is_what_the_path_costs():
    problem, x0 = random_problem(N=3, m=2, w=1, seed=1)
    problem = problem._replace(b=0 * problem.b, q=0 * problem.q, r=0 * problem.r)
    feedback = riccati(problem)
    np.testing.assert_allclose(x0 @ feedback.P[0] @ x0 / 2, cost(problem, *follow(problem, feedback, x0)), rtol=1e-12)
    np.testing.assert_allclose(feedback.P, feedback.P.transpose(0, 2, 1), rtol=1e-14)


def test_the_gain_of_a_long_horizon_is_that_of_the_algebraic_equation():
    problem, _ = random_problem(N=1, m=3, w=2, seed=2)
    A, B, Q, S, R = problem.A[0], problem.B[0], problem.Q[0], problem.S[0], problem.R[0]
    N = 60
    stages = (jnp.broadcast_to(a, (N, *a.shape)) for a in (A, B, jnp.zeros(3)))
    ends = jnp.broadcast_to(Q, (N + 1, 3, 3)), *(jnp.broadcast_to(a, (N, *a.shape)) for a in (S, R))
    found = riccati(LinearQuadratic(*stages, *ends, jnp.zeros((N + 1, 3)), jnp.zeros((N, 2))))
    P = scipy.linalg.solve_discrete_are(A, B, Q, R, s=S.T)
    np.testing.assert_allclose(found.P[0], P, rtol=1e-10)


def test_the_step_is_gauss_newtons():
    problem, coeffs = cp.network(n=3, nt=4)
    normal = eqx.filter_jit(problem.normal)(coeffs, None)
    for damping in (0.0, 0.5):
        step = ravel_pytree(riccati_step(problem, coeffs, damping))[0]
        dense = -np.linalg.solve(normal.matrix + damping * np.eye(24), normal.gradient)
        np.testing.assert_allclose(step, dense, rtol=0, atol=1e-12 * np.linalg.norm(dense))


def test_the_multipliers_of_a_full_step_are_the_adjoints():
    """For a linear quadratic problem: P x + p at the new states is dJ/dx there."""
    problem, coeffs = cp.regulator(n=2)
    states = paths(problem, coeffs)
    local = linear_quadratic(problem, coeffs, states)
    feedback = riccati(local)
    x, v = follow(local, feedback, jnp.zeros(4))
    lam = (jnp.einsum("jab,jb->ja", feedback.P, x) + feedback.p).reshape(states.shape)
    best = coeffs + v
    np.testing.assert_allclose(2 * lam, adjoint_states(problem, best, paths(problem, best)), atol=1e-12)


@pytest.mark.thorough
def test_all_ways_give_the_same_control_of_a_linear_quadratic_problem():
    problem, coeffs = cp.regulator(nt=20, n=2)
    states = paths(problem, coeffs)
    exact = coeffs + riccati_step(problem, coeffs)
    # Multiple shooting: one step from states that fit nothing.
    guess = jnp.broadcast_to(states[:1], states.shape)
    local = linear_quadratic(problem, coeffs, guess)
    shot = coeffs + follow(local, riccati(local), jnp.zeros(4))[1]
    found = [shot]
    for method in (MultipleShooting(tol=1e-12), AugmentedLagrangian(tol=1e-11)):
        found.append(minimize(problem, method, coeffs, guess, max_iter=40)[0].p)
    msa = SuccessiveApproximations(Newton(), inner_steps=1, tol=1e-13)
    for method in (LevenbergMarquardt(first_damping=1e-10), NewtonCG(tol=0.0), msa):
        found.append(minimize(problem, method, coeffs, max_iter=100)[0].p)
    gaps = [float(jnp.max(jnp.abs(p - exact))) for p in found]
    # A trust region judges values: near the minimum their rounding hides a distance of its root.
    assert gaps.pop(4) < 1e-9 and max(gaps) < 1e-10


def test_coupled_layers_are_refused():
    with pytest.raises(ValueError, match="PiecewiseLinear"):
        riccati_step(*cp.network(linear=True))
