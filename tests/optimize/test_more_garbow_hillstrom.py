"""The standard problems of nonlinear least squares: known minima, from the standard start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from more_garbow_hillstrom import PROBLEMS

from numdl.optimize import LevenbergMarquardtQR, minimize
from numdl.problems import NonlinearLeastSquares

# Where the way leads to a further minimum that the paper knows.
LOCAL = {"Freudenstein-Roth": 48.9842536792, "Biggs": 5.6556499255e-3, "Trigonometric": 2.7950561219e-5}
# The residual's own curvature dominates, and steps are small: not in a thousand.
SLOW = ("Brown-Dennis", "Penalty I", "Penalty II")


def solved(name, max_iter=1000):
    """Sum of squares from the standard start, and the status."""
    found = PROBLEMS[name]
    size = jax.eval_shape(found.residual, found.start).size
    # One sample with m outputs and targets 0: its residual is exactly the problem's.
    posed = NonlinearLeastSquares(lambda p, _: found.residual(p), jnp.zeros((1, 1)), jnp.zeros((1, size)))
    result, _ = minimize(posed, LevenbergMarquardtQR(tol=1e-12), jnp.asarray(found.start), max_iter=max_iter)
    return found.squares(result.p), result.status


@pytest.mark.quick("Rosenbrock", "Meyer", "Chebyquad")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.thorough if k % 4 else ())
        for k, name in enumerate(name for name in PROBLEMS if name not in {*LOCAL, *SLOW})
    ],
)
def test_levenberg_marquardt_by_qr_finds_the_least_sum_of_squares(name, x64):
    squares, status = solved(name)
    assert PROBLEMS[name].reached(squares), (squares, status)


@pytest.mark.parametrize("name", LOCAL)
def test_some_standard_starts_lead_to_a_further_minimum(name, x64):
    squares, _ = solved(name, 200)
    np.testing.assert_allclose(squares, LOCAL[name], rtol=1e-8)


@pytest.mark.parametrize("name", SLOW)
def test_where_the_residual_is_large_and_curved_steps_are_small(name, x64):
    squares, status = solved(name, 200)
    assert status.code == "max_iter" and not PROBLEMS[name].reached(squares)


@pytest.mark.parametrize("name", ["Freudenstein-Roth", "Jennrich-Sampson"])
def test_where_the_jacobian_loses_rank_steps_that_help_nothing_end(name, x64):
    squares, status = solved(name, 200)
    assert status.code == "stalled"
    np.testing.assert_allclose(squares, LOCAL.get(name, PROBLEMS[name].minimum), rtol=1e-10)


def test_level_steps_go_on_while_they_help():
    def code(objective, offset):
        columns = {"objective": objective, "offset": offset, "blur": [1e-16] * 30, "accepted": [1.0] * 30}
        return LevenbergMarquardtQR().status(columns).code

    level, same = [2.0] * 30, [1e-6] * 30
    assert code(level, same) == "stalled"
    assert code(level, [1e-6 * 0.9**k for k in range(30)]) == "running"
    assert code([2.0 - 1e-12 * k for k in range(30)], same) == "running"
