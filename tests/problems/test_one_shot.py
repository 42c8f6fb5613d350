"""State, adjoint and control that improve together: the optimum of the control alone, by inexact sweeps."""

import dataclasses

import control_problems as cp
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.control import ControlProblem, OneShot, adjoint_states, shots
from numdl.optimize import LBFGS, minimize

pytestmark = pytest.mark.usefixtures("x64")


class Frozen(ControlProblem):
    """A mutant: its adjoints never move."""

    def shots(self, p, U, Lambda, blocks):
        shot = super().shots(p, U, Lambda, blocks)
        return shot._replace(missed_adjoint=0 * shot.missed_adjoint)


def test_shots_that_fit_give_cost_gradient_and_nothing_missed():
    problem, coeffs = cp.network(n=2, nt=6)
    states = problem.states(coeffs)
    lam = eqx.filter_jit(adjoint_states)(problem, coeffs, states) / 2
    shot = jax.jit(lambda problem, p, U, L: shots(problem, p, U, L, 3))(problem, coeffs, states[2:6:2], lam[2:6:2])
    lin = jax.jit(lambda problem, p: problem.linearize(p, None)._replace(curvature=None))(problem, coeffs)
    np.testing.assert_allclose(shot.value, lin.value, rtol=1e-13)
    np.testing.assert_allclose(ravel_pytree(shot.gradient)[0], ravel_pytree(lin.gradient)[0], atol=1e-13)
    np.testing.assert_allclose(shot.states, states, atol=1e-14)
    assert jnp.max(jnp.abs(shot.missed)) < 1e-14 and jnp.max(jnp.abs(shot.missed_adjoint)) < 1e-13
    # The planted mutant: adjoints that are not divided by the number of samples.
    assert jnp.max(jnp.abs(shots(problem, coeffs, states[2:6:2], 2 * lam[2:6:2], 3).missed_adjoint)) > 1e-2


def test_a_linear_quadratic_problem_gets_riccatis_control_and_its_adjoints():
    problem, coeffs, exact, _, progress = cp.solved_regulator(OneShot(tol=1e-11), max_iter=300)
    lam = eqx.filter_jit(adjoint_states)(problem, exact, problem.states(exact))[10:20:10] / 2
    np.testing.assert_allclose(progress.iterate.state.multipliers, lam, atol=1e-10)
    fields = {field.name: getattr(problem, field.name) for field in dataclasses.fields(problem)}
    mutant = minimize(Frozen(**fields), OneShot(), coeffs, max_iter=300)[0]
    assert jnp.max(jnp.abs(mutant.p - exact)) > 1e-3


@pytest.mark.thorough
def test_a_network_gets_the_optimum_of_the_control_alone_and_the_contract_is_kept():
    cp.trained_network(OneShot(tol=1e-9), max_iter=500, slope=1e-7)


@pytest.mark.quick("8-2")
@pytest.mark.parametrize(("nt", "n"), [(8, 2), (1, 1)])
def test_with_one_block_it_is_lbfgs(nt, n):
    problem, coeffs = cp.network(nt=nt, n=n)
    one, other = (minimize(problem, method, coeffs, max_iter=12)[0] for method in (OneShot(blocks=1), LBFGS()))
    steps = min(len(one.history["work"]), len(other.history["work"]))
    np.testing.assert_allclose(
        one.history["objective"][:steps], other.history["objective"][:steps], rtol=1e-9, atol=1e-12
    )


def test_blocks_that_do_not_divide_the_steps_are_refused():
    problem, coeffs = cp.regulator(nt=20)
    with pytest.raises(ValueError, match=r"shots\(blocks=3\): needs a divisor of the 20 steps"):
        minimize(problem, OneShot(blocks=3), coeffs)
