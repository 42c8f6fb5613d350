"""Certified nonlinear regression: the problems of NIST from both starts, and curve fitting in general."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nist_regression import PROBLEMS, digits

from numdl.optimize import LevenbergMarquardt, LevenbergMarquardtQR, minimize
from numdl.problems import NonlinearLeastSquares
from numdl.testing import check_contract


def posed(name):
    found = PROBLEMS[name]

    def model(b, x):
        return jnp.atleast_1d(found.model(b, x))

    return NonlinearLeastSquares(model, jnp.asarray(found.x), jnp.asarray(found.c))


@pytest.mark.quick("Misra1a", "DanWood", "MGH17", "Lanczos1", "Thurber", "BoxBOD", "MGH10", "Rat43")
@pytest.mark.parametrize("name", PROBLEMS)
def test_certified_sums_of_squares_belong_to_the_certified_parameters(name, x64):
    found, problem = PROBLEMS[name], posed(name)
    squares = 2 * len(found.x) * float(jax.jit(lambda p: problem.value(p)[0])(jnp.asarray(found.certified)))
    np.testing.assert_allclose(squares, found.squares, rtol=1e-9, atol=1e-20)


@pytest.mark.quick("Misra1a", "DanWood", "MGH17", "Lanczos1", "Thurber", "BoxBOD", "MGH10", "Rat43")
@pytest.mark.parametrize("name", PROBLEMS)
def test_levenberg_marquardt_by_qr_finds_the_certified_parameters(name, x64):
    found, problem = PROBLEMS[name], posed(name)
    for which, start in enumerate(found.starts):
        result, _ = minimize(problem, LevenbergMarquardtQR(tol=1e-12), jnp.asarray(start), max_iter=1000)
        assert result.status.converged and digits(result.p, found.certified) >= 10, (which, result)


@pytest.mark.parametrize("name", ["BoxBOD", "MGH10"])
def test_without_acceleration_far_starts_lead_astray(name, x64):
    found, problem = PROBLEMS[name], posed(name)
    method = LevenbergMarquardtQR(acceleration=False, tol=1e-12)
    result, _ = minimize(problem, method, jnp.asarray(found.starts[0]), max_iter=1000)
    assert digits(result.p, found.certified) < 1


def test_of_points_that_are_level_to_rounding_the_last_is_returned(x64):
    found, problem = PROBLEMS["ENSO"], posed("ENSO")
    result, progress = minimize(problem, LevenbergMarquardtQR(tol=1e-12), jnp.asarray(found.starts[1]), max_iter=1000)
    np.testing.assert_array_equal(result.p, progress.iterate.p)
    # mutant: the least value that was computed belongs to an earlier point, of 7 digits
    assert float(progress.iterate.value) < float(problem.value(result.p)[0])


def test_normal_equations_find_the_same_minimum_with_fewer_digits(x64):
    found, problem = PROBLEMS["Misra1a"], posed("Misra1a")
    result, _ = minimize(problem, LevenbergMarquardt(tol=0.0), jnp.asarray(found.starts[1]), max_iter=200)
    assert digits(result.p, found.certified) > 4


def test_contract_and_gradient(x64):
    found, problem = PROBLEMS["Misra1a"], posed("Misra1a")
    p = jnp.asarray(found.starts[1])
    check_contract(LevenbergMarquardtQR(), problem, p)
    check_contract(LevenbergMarquardtQR(acceleration=False), problem, p)
    lin, normal = problem.linearize(p), problem.normal(p)
    slope = jax.grad(lambda q: problem.value(q)[0])(p)
    np.testing.assert_allclose(lin.gradient, slope, rtol=1e-10)
    np.testing.assert_allclose(normal.gradient, slope, rtol=1e-10)
    v = jnp.asarray([1.0, 1e-6])
    np.testing.assert_allclose(lin.curvature(v), normal.matrix @ v, rtol=1e-10)
    step = 1e-6 * found.starts[1]
    moved = problem.value(p + step)[0] - problem.value(p - step)[0]
    np.testing.assert_allclose(moved, 2 * slope @ step, rtol=1e-5)
    assert abs(moved / (2 * (2 * slope) @ step) - 1) > 0.4  # mutant: the gradient of the sum of squares, not of half


def test_a_part_of_the_rows_is_a_problem_and_none_is_not(x64):
    problem = posed("Misra1a")
    half = problem.rows(jnp.arange(7))
    assert half.x.shape == (7, 1) and np.isfinite(float(half.value(jnp.asarray([240.0, 5e-4]))[0]))
    with pytest.raises(ValueError, match="same positive number"):
        problem.rows(jnp.arange(0))
