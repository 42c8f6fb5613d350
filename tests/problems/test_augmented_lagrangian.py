"""States that are priced, not forced: the optimum of the control alone, with multipliers that are its adjoints."""

import dataclasses

import control_problems as cp
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.control import AugmentedLagrangian, adjoint_states
from numdl.optimize import minimize

pytestmark = pytest.mark.usefixtures("x64")


def explosive(t, u, theta):
    return u**3 + theta


def cheap(t, u, theta):
    return 0.1 * theta


class Receding(AugmentedLagrangian):
    """A mutant: its multipliers go the wrong way."""

    def _updated(self, state, c, inner):
        new = super()._updated(state, c, inner)
        return new._replace(multipliers=2 * state.multipliers - new.multipliers)


def test_a_linear_quadratic_problem_gets_riccatis_control_and_its_adjoints():
    problem, coeffs, exact, result, progress = cp.solved_regulator(AugmentedLagrangian(tol=1e-11), max_iter=40)
    states = problem.states(exact)
    assert jnp.max(jnp.abs(result.aux - states)) < 1e-10
    lam = eqx.filter_jit(adjoint_states)(problem, exact, states)[1:].reshape(20, 4) / 2
    np.testing.assert_allclose(progress.iterate.state.multipliers, lam, atol=1e-10)
    assert result.history["weight"][-1] < 1e4, "the weight closed the gaps, not the multipliers"
    mutant = minimize(problem, Receding(tol=1e-11), coeffs, max_iter=40)[0]
    assert not mutant.status.converged


@pytest.mark.thorough
def test_a_network_gets_the_optimum_of_the_control_alone_and_the_contract_is_kept():
    problem, result, progress = cp.trained_network(AugmentedLagrangian(tol=1e-10), max_iter=80, slope=1e-8)
    lam = eqx.filter_jit(adjoint_states)(problem, result.p, problem.states(result.p))[1:].reshape(4, 4) / 2
    np.testing.assert_allclose(progress.iterate.state.multipliers, lam, atol=1e-7)


def test_a_flow_that_explodes_is_steered_though_nothing_is_known_of_its_path():
    base, _ = cp.regulator(nt=40)
    problem = dataclasses.replace(base, f=explosive, running=cheap, u0=jnp.array([[1.5]]), c=jnp.array([[0.0]]))
    coeffs = jnp.zeros((40, 1))
    assert not jnp.isfinite(problem.value(coeffs, None)[0])
    result = minimize(problem, AugmentedLagrangian(), coeffs, max_iter=60)[0]
    assert result.status.converged, result.status
    np.testing.assert_allclose(problem.states(result.p), result.aux, atol=1e-5)


@pytest.mark.thorough
def test_one_step_and_one_sample_are_enough():
    problem, coeffs = cp.network(n=1, nt=1, alpha=0.1)
    result = minimize(problem, AugmentedLagrangian(), coeffs, max_iter=60)[0]
    assert result.status.converged, result.status
    assert jnp.linalg.norm(ravel_pytree(problem.linearize(result.p, None).gradient)[0]) < 1e-7
