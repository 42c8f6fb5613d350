"""Both methods: known minimisers, no step up, no number that is not finite, and the contract of optimisers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_problems as sp
from scipy.optimize import least_squares

from numdl.optimize import LevenbergMarquardt, NewtonCG, minimize
from numdl.optimize.least_squares.levenberg_marquardt import _safe_factor
from numdl.problems import laplace_metrics, probed_metrics
from numdl.testing import check_contract

pytestmark = pytest.mark.usefixtures("x64")
methods = pytest.mark.parametrize("method", [LevenbergMarquardt, NewtonCG])
START = np.array([-1.2, 1.0])


@methods
def test_contract(method):
    check_contract(method(), sp.Residuals(sp.rosenbrock, jnp.asarray(0.0)), jnp.asarray(START))


@pytest.mark.quick("method0")
@pytest.mark.parametrize("method", [LevenbergMarquardt(laplace_metrics), NewtonCG(probed_metrics)])
def test_contract_with_variable_projection_and_evidence(method):
    problem, theta = sp.decay(1e-3), jnp.asarray(sp.DECAY_START)
    last = check_contract(method, problem, theta, problem.first_head(theta))
    assert last.metrics["gamma"].shape == (2,) and np.isfinite(last.metrics["logdet"])


@methods
def test_rosenbrock(method):
    result, _ = minimize(sp.Residuals(sp.rosenbrock, jnp.asarray(0.0)), method(), jnp.asarray(START), max_iter=100)
    np.testing.assert_allclose(result.p, [1.0, 1.0], rtol=1e-7)
    assert result.status.code in ("converged", "stalled")


@methods
def test_rosenbrock_with_penalty_agrees_with_scipy(method):
    alpha = 0.1
    result, _ = minimize(
        sp.Residuals(sp.rosenbrock, jnp.asarray(alpha)), method(tol=1e-14), jnp.asarray(START), max_iter=200
    )

    def stacked(p):
        return np.append([10 * (p[1] - p[0] ** 2), 1 - p[0]], np.sqrt(alpha) * p)

    oracle = least_squares(stacked, START, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    np.testing.assert_allclose(result.p, oracle.x, atol=1e-6)


@pytest.mark.quick("float64-*", "float32-LevenbergMarquardt")
@methods
@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_two_exponentials(method, dtype):
    problem = sp.decay(dtype=dtype)
    theta = jnp.asarray(sp.DECAY_START, dtype)
    result, _ = minimize(problem, method(tol=1e-14), theta, problem.first_head(theta), max_iter=60)
    exact = dtype == jnp.float64
    assert result.p.dtype == dtype and result.history["objective"][-1] < (1e-18 if exact else 1e-9)
    np.testing.assert_allclose(np.exp(result.p), sp.RATES, rtol=1e-7 if exact else 1e-2)
    np.testing.assert_allclose(result.aux, sp.FACTORS, rtol=1e-7 if exact else 1e-2)


@methods
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_objective_never_rises(method, noise):
    problem, theta = sp.decay(1e-4, noise), jnp.asarray([2.0, -2.0])
    result, _ = minimize(problem, method(tol=0.0), theta, problem.first_head(theta), max_iter=40)
    assert np.all(np.diff(result.history["objective"]) <= 0)
    result, _ = minimize(sp.Residuals(sp.rosenbrock, jnp.asarray(0.0)), method(), jnp.asarray(START), max_iter=40)
    assert np.all(np.diff(result.history["objective"]) <= 0)
    assert np.max(result.history["trials"]) > 1, "no trial was ever rejected: this shows nothing"


@methods
@pytest.mark.parametrize(("residual", "start", "answer"), [(sp.logarithm, 20.0, 1.0), (sp.overflow, -1.0, 0.0)])
def test_trials_that_are_no_numbers_are_never_accepted(method, residual, start, answer):
    seen = []

    def observe(progress):
        seen.append((float(progress.iterate.p[0]), float(progress.iterate.value)))

    problem = sp.Residuals(residual, jnp.asarray(0.0))
    eager = method(first_damping=1e-10) if method is LevenbergMarquardt else method(first_radius=1e3)
    result, _ = minimize(problem, eager, jnp.full(1, start), max_iter=100, observe=observe)
    assert np.all(np.isfinite(seen))
    assert result.history["trials"][0] > 1, "the first trial was fine: this shows nothing"
    np.testing.assert_allclose(result.p, answer, atol=1e-5)


@methods
def test_nothing_to_lower_is_a_stall(method):
    problem = sp.Residuals(sp.flat, jnp.asarray(0.0))
    result, progress = minimize(problem, method(), jnp.asarray(START), max_iter=50)
    assert result.status.code == "stalled" and progress.iteration == 3
    assert not np.any(result.history["accepted"])
    np.testing.assert_array_equal(result.p, START)
    assert np.isfinite(jax.tree.leaves(progress.iterate.state)).all()


@methods
def test_steps_that_fail_leave_the_iterate_as_it_is(method):
    problem, p = sp.Residuals(sp.flat, jnp.asarray(0.0)), jnp.asarray(START)
    first = method().init(problem, p, None)
    after = method().step(problem, first)
    np.testing.assert_array_equal(after.p, first.p)
    assert float(after.value) == float(problem.value(p, None)[0]) and float(after.metrics["accepted"]) == 0.0
    assert int(after.metrics["trials"]) == method().max_trials


def test_levenberg_marquardt_takes_full_steps_near_the_answer():
    problem, theta = sp.decay(), jnp.asarray(sp.DECAY_START)
    result, _ = minimize(problem, LevenbergMarquardt(tol=0.0), theta, problem.first_head(theta), max_iter=15)
    assert np.min(result.history["damping"]) < 1e-3 * result.history["damping"][0]
    gradients = result.history["gradient_norm"]
    assert np.min(gradients) < 1e-9 * gradients[0]


@pytest.mark.parametrize("values", [[1.0, 0.0, 0.0], [1.0, 1e-20, -1e-14]])
def test_a_semidefinite_matrix_has_a_finite_factor(values):
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    matrix = q @ np.diag(values) @ q.T
    factor = _safe_factor(jnp.asarray((matrix + matrix.T) / 2))
    assert np.all(np.isfinite(factor))
    np.testing.assert_allclose(factor @ factor.T, matrix, atol=1e-9)


@pytest.mark.parametrize("floor", [1e-3, 1.0])
def test_the_damping_of_a_weight_that_is_hardly_seen_has_a_floor(floor):
    """One step in coordinates where the matrix is diagonal; planted: the floor of another method.

    Unknowns without penalty may have any units, and have no floor."""
    sizes, mu = np.array([1.0, 1e-4]), 0.5
    problem = sp.Residuals(lambda p: jnp.asarray(sizes) * (p - 1.0), jnp.asarray(1e-30))
    free = sp.Residuals(problem.residual, jnp.asarray(0.0))
    step = np.asarray(_stepped(LevenbergMarquardt(floor=floor, first_damping=mu), free).p)
    np.testing.assert_allclose(step, 1 / (1 + mu), rtol=1e-12)

    def moved(floor):
        return np.asarray(_stepped(LevenbergMarquardt(floor=floor, first_damping=mu), problem).p)

    seen = sizes**2 / np.mean(sizes**2)
    weights = np.maximum(seen, floor)
    np.testing.assert_allclose(moved(floor), seen / (seen + mu * weights), rtol=1e-12)
    assert not np.allclose(moved(1.001 - floor), seen / (seen + mu * weights), rtol=1e-2)


def _stepped(method, problem):
    start = jnp.zeros(2)
    return method.step(problem, method.init(problem, start, None))
