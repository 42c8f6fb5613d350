"""Solvers of optimistix in the loop: the iterates of its own driver, the contract, honest passes, and the domain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_problems as sp
from convex_problems import Smooth

from numdl.optimize import Optimistix, minimize
from numdl.testing import check_contract

optimistix = pytest.importorskip("optimistix")
pytestmark = pytest.mark.usefixtures("x64")
MINIMISERS = {
    "bfgs": optimistix.BFGS(1e-8, 1e-8),
    "l-bfgs": optimistix.LBFGS(1e-8, 1e-8),
    "nonlinear cg": optimistix.NonlinearCG(1e-8, 1e-8),
    "gradient descent": optimistix.GradientDescent(1e-3, 1e-8, 1e-8),
}
SQUARES = {
    "levenberg-marquardt": optimistix.LevenbergMarquardt(1e-8, 1e-8),
    "dogleg": optimistix.Dogleg(1e-8, 1e-8),
    "gauss-newton": optimistix.GaussNewton(1e-8, 1e-8),
}
PROBLEM, START = sp.Residuals(sp.rosenbrock, jnp.asarray(0.0)), np.array([-1.2, 1.0])


@pytest.mark.quick("bfgs", "nonlinear cg")
@pytest.mark.parametrize("name", MINIMISERS)
def test_minimisers_take_the_steps_of_their_own_driver(name):
    solver, start = MINIMISERS[name], jnp.asarray(START)
    check_contract(Optimistix(solver), PROBLEM, start)
    theirs = optimistix.minimise(lambda p, _: PROBLEM.value(p, None)[0], solver, start, max_steps=40, throw=False)
    result, progress = minimize(PROBLEM, Optimistix(solver), start, max_iter=40)
    np.testing.assert_allclose(progress.iterate.p, theirs.value, rtol=1e-9)
    history = result.history
    assert len(history["work"]) == theirs.stats["num_steps"]
    np.testing.assert_array_equal(np.diff(history["work"], prepend=0.0), 2.0)
    lin = PROBLEM.linearize(start, None)
    assert history["objective"][0] == pytest.approx(float(lin.value))
    assert history["gradient_norm"][0] == pytest.approx(float(jnp.linalg.norm(lin.gradient)))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.thorough if k else ()) for k, name in enumerate(SQUARES)]
)
def test_least_squares_solvers_take_the_steps_of_their_own_driver(name):
    solver, problem, start = SQUARES[name], sp.decay(alpha=1e-6), jnp.asarray(sp.DECAY_START)
    head = problem.first_head(start)
    check_contract(Optimistix(solver), problem, start, head)
    theirs = optimistix.least_squares(lambda p, _: problem.residual(p), solver, start, max_steps=8, throw=False)
    result, progress = minimize(problem, Optimistix(solver), start, head, max_iter=8)
    np.testing.assert_allclose(progress.iterate.p, theirs.value, rtol=1e-9)
    np.testing.assert_allclose(result.aux, problem.value(result.p, head)[1], rtol=1e-9)
    np.testing.assert_array_equal(np.diff(result.history["work"], prepend=0.0), 4.0)


def test_a_head_is_solved_for_and_never_differentiated():
    problem, start = sp.decay(alpha=1e-6), jnp.asarray(sp.DECAY_START)
    result, _ = minimize(problem, Optimistix(MINIMISERS["bfgs"]), start, problem.first_head(start), max_iter=200)
    assert result.status.converged
    gradient = problem.linearize(result.p, result.aux).gradient
    assert np.linalg.norm(gradient) < 1e-6
    assert np.all(np.diff(result.history["objective"]) <= 0)


def test_a_tree_of_single_precision_keeps_its_dtypes():
    problem = Smooth(lambda p: jnp.sum((p["a"] - 1) ** 2) + (p["b"][0] + 2) ** 2)
    start = {"a": jnp.zeros(3, jnp.float32), "b": [jnp.zeros((), jnp.float32)]}
    check_contract(Optimistix(optimistix.BFGS(1e-4, 1e-4)), problem, start)
    result, _ = minimize(problem, Optimistix(optimistix.BFGS(1e-4, 1e-4)), start)
    assert result.status.converged
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(result.p))
    np.testing.assert_allclose(result.p["b"][0], -2, rtol=1e-4)


def test_out_of_the_domain_is_refused_or_a_failure():
    barrier, start = Smooth(lambda p: jnp.sum(p - jnp.log(p))), jnp.asarray([4.0, 4.0])
    result, _ = minimize(barrier, Optimistix(MINIMISERS["bfgs"]), start, max_iter=100)
    np.testing.assert_allclose(result.p, 1.0, rtol=1e-6)
    long = Optimistix(optimistix.GradientDescent(10.0, 1e-8, 1e-8))
    result, progress = minimize(barrier, long, start, max_iter=100)
    assert result.status.code == "failed" and np.isfinite(progress.iterate.value)
    np.testing.assert_array_equal(result.p, start)
    with pytest.raises(ValueError, match="nan at the start"):
        minimize(barrier, Optimistix(MINIMISERS["bfgs"]), -start)


def test_what_is_no_solver_or_has_no_residual_is_refused():
    with pytest.raises(TypeError, match=r"Optimistix\(solver=3.0\): it has no init, step, terminate"):
        minimize(PROBLEM, Optimistix(3.0), jnp.asarray(START))
    with pytest.raises(TypeError, match=r"needs a ResidualProblem: 'Smooth' has no residual\(p\)"):
        minimize(Smooth(lambda p: p @ p), Optimistix(SQUARES["dogleg"]), jnp.asarray(START))
