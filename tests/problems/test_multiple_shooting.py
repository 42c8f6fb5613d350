"""Control and states as unknowns: one step for linear quadratic problems, the same optimum as by the control alone."""

import dataclasses

import control_problems as cp
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.optimize import LevenbergMarquardt, MultipleShooting, minimize
from numdl.problems.control import riccati_step
from numdl.testing import check_contract

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
    problem, coeffs = cp.network(n=2, nt=4, alpha=0.1)
    check_contract(MultipleShooting(), problem, coeffs)
    result = minimize(problem, MultipleShooting(tol=1e-9), coeffs, max_iter=80)[0]
    assert result.status.converged, result.status
    # A small gradient of the cost itself, with states marched: nothing of the method's own is asked.
    gradient = ravel_pytree(jax.jit(lambda p: problem.linearize(p, None).gradient)(result.p))[0]
    assert jnp.linalg.norm(gradient) < 1e-8
    again = minimize(problem, LevenbergMarquardt(tol=1e-14), result.p, max_iter=5)[0]
    assert again.history["objective"][-1] == pytest.approx(float(problem.value(result.p, None)[0]), rel=1e-12)


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
    result = minimize(problem, MultipleShooting(tol=1e-7), coeffs, guess, max_iter=200)[0]
    assert result.status.converged, result.status
    np.testing.assert_allclose(problem.states(result.p), result.aux, atol=1e-5)
    with pytest.raises(ValueError, match="the objective is"):
        minimize(problem, LevenbergMarquardt(), coeffs, max_iter=2)
