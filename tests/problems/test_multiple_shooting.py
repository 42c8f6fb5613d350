"""Control and states as unknowns: one step for linear quadratic problems, the same optimum as by the control alone."""

import dataclasses

import control_problems as cp
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.control import ControlProblem, MultipleShooting, lagrangian, riccati_step
from numdl.optimize import LevenbergMarquardt, minimize

pytestmark = pytest.mark.usefixtures("x64")


def test_parts_at_the_states_of_the_control_are_those_of_the_march():
    problem, coeffs = cp.network()
    cost, missed = eqx.filter_jit(lambda problem, p: problem.apart(p, problem.states(p)))(problem, coeffs)
    np.testing.assert_allclose(cost, problem.value(coeffs, None)[0], rtol=1e-14)
    assert jnp.max(jnp.abs(missed)) < 1e-15


def test_one_step_solves_a_linear_quadratic_problem():
    problem, coeffs = cp.regulator(nt=20, n=2)
    exact = coeffs + eqx.filter_jit(riccati_step)(problem, coeffs)
    result = minimize(problem, MultipleShooting(first_damping=1e-14, tol=1e-12), coeffs, max_iter=3)[0]
    assert result.status.converged and len(result.history["work"]) == 2
    assert jnp.max(jnp.abs(result.p - exact)) < 1e-10
    assert jnp.max(jnp.abs(result.aux - problem.states(exact))) < 1e-10
    assert (
        result.history["work"][0] == 3 + 2 + 1 + 1
    )  # states and weights of a layer, one trial; both values, and parts


def test_a_network_gets_the_optimum_of_the_control_alone_and_the_contract_is_kept():
    problem, result, _ = cp.trained_network(MultipleShooting(tol=1e-9), max_iter=80, slope=1e-8)
    again = minimize(problem, LevenbergMarquardt(tol=1e-14), result.p, max_iter=5)[0]
    assert again.history["objective"][-1] == pytest.approx(float(problem.value(result.p, None)[0]), rel=1e-12)


class WrongSign(ControlProblem):
    """A mutant: its model opens the gaps of the states instead of closing them."""

    def local(self, p, states):
        local = super().local(p, states)
        return local._replace(b=-local.b)


class Uncoupled(ControlProblem):
    """A mutant: its model forgets that control and state of a step have common costs."""

    def local(self, p, states):
        local = super().local(p, states)
        return local._replace(S=0 * local.S)


@pytest.mark.parametrize("mutant", [WrongSign, Uncoupled])
def test_one_step_of_a_mutant_does_not_solve_it(mutant):
    problem, coeffs = cp.regulator(nt=20, n=2)
    exact = coeffs + eqx.filter_jit(riccati_step)(problem, coeffs)
    fields = {field.name: getattr(problem, field.name) for field in dataclasses.fields(problem)}
    method = MultipleShooting(first_damping=1e-14, exact=False)
    result = minimize(mutant(**fields), method, coeffs, max_iter=1)[0]
    assert jnp.max(jnp.abs(result.p - exact)) > 1e-3


def test_one_step_and_one_sample_are_enough():
    problem, coeffs = cp.network(n=1, nt=1, alpha=0.1)
    result = minimize(problem, MultipleShooting(), coeffs, max_iter=40)[0]
    assert result.status.converged, result.status
    assert jnp.linalg.norm(ravel_pytree(problem.linearize(result.p, None).gradient)[0]) < 1e-7


def test_the_lagrangian_bends_as_its_second_derivative_says():
    problem, coeffs = cp.network(n=2, nt=3)
    rng = np.random.default_rng(0)
    states, x = (jnp.asarray(rng.normal(size=(4, 2, 2))) for _ in range(2))
    multipliers, x = jnp.asarray(rng.normal(size=(3, 4))), x.at[0].set(0.0)
    v = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), coeffs)

    @jax.jit
    def second(problem, multipliers):
        def along(t):
            cost, missed = problem.apart(jax.tree.map(lambda p, v: p + t * v, coeffs, v), states + t * x)
            return cost + jnp.sum(multipliers * missed.reshape(3, 4))

        return jax.grad(jax.grad(along))(0.0)

    @jax.jit
    def quadratic(problem, multipliers):
        exact = lagrangian(problem, coeffs, states, multipliers, problem.local(coeffs, states))
        dx, dv = x.reshape(4, 4), jax.vmap(lambda layer: ravel_pytree(layer)[0])(v)
        square = jnp.einsum("ja,jab,jb", dx, exact.Q, dx) + jnp.einsum("jv,jvw,jw", dv, exact.R, dv)
        return square + 2 * jnp.einsum("jw,jwa,ja", dv, exact.S, dx[:-1])

    np.testing.assert_allclose(quadratic(problem, multipliers), second(problem, multipliers), rtol=1e-11)
    # The planted mutant: multipliers of the wrong sign.
    assert abs(quadratic(problem, -multipliers) - second(problem, multipliers)) > 1e-2


def explosive(t, u, theta):
    """Every march from a wrong state leaves the numbers within the horizon."""
    return u**3 + theta


def cheap(t, u, theta):
    return 0.1 * theta


def test_a_flow_that_explodes_is_steered_from_a_guess_of_its_path():
    base, _ = cp.regulator(nt=40)
    problem = dataclasses.replace(base, f=explosive, running=cheap, u0=jnp.array([[1.5]]), c=jnp.array([[0.0]]))
    coeffs = jnp.zeros((40, 1))
    assert not jnp.isfinite(problem.value(coeffs, None)[0])
    guess = jnp.linspace(1.5, 0.0, 41)[:, None, None]
    result = minimize(problem, MultipleShooting(tol=1e-7), coeffs, guess, max_iter=12)[0]
    assert result.status.converged, result.status
    # Multipliers are large on an unstable flow: without what they weigh, steps shrink the gradient slowly.
    slow = minimize(problem, MultipleShooting(tol=1e-7, exact=False), coeffs, guess, max_iter=200)[0]
    assert slow.status.converged and len(slow.history["work"]) > 3 * len(result.history["work"])
    np.testing.assert_allclose(slow.p, result.p, atol=1e-5)
    np.testing.assert_allclose(problem.states(result.p), result.aux, atol=1e-5)
    with pytest.raises(ValueError, match="the objective is"):
        minimize(problem, LevenbergMarquardt(), coeffs, max_iter=2)
