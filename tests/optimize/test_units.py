"""Curve fits in any units: Levenberg-Marquardt must not see them."""

import jax.numpy as jnp
import numpy as np
import pytest

from numdl.contracts import Status
from numdl.optimize import LevenbergMarquardt, minimize
from numdl.optimize.parts.steps import level_status, trial_status
from numdl.problems import NonlinearLeastSquares

pytestmark = pytest.mark.usefixtures("x64")


def peak(p, x):
    return p[0] * jnp.exp(-0.5 * ((x - p[1]) / p[2]) ** 2)


def power(p, x):
    return p[0] * x ** p[1]


PROBLEMS = {
    "peak": (peak, np.linspace(0.8e-9, 1.6e-9, 81), [8e5, 1.1e-9, 2e-10], [1e6, 1.2e-9, 1e-10]),
    "power": (power, np.linspace(1.0, 50.0, 40), [1e-10, 1.0], [3e-12, 2.5]),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_parameters_of_all_sizes_are_found(name):
    model, x, start, truth = PROBLEMS[name]
    c = np.asarray(model(jnp.asarray(truth), x[:, None]))
    problem = NonlinearLeastSquares(model, jnp.asarray(x[:, None]), jnp.asarray(c))
    result, _ = minimize(problem, LevenbergMarquardt(), jnp.asarray(start), max_iter=60)
    np.testing.assert_allclose(result.p, truth, rtol=1e-8)


def test_a_plateau_with_a_large_scaled_gradient_is_no_minimum():
    history = {"objective": [1.0] * 8, "accepted": [1.0] * 8, "scaled_gradient": [0.5] * 8}
    plateau = trial_status(history, 1e-8, "damping")
    assert plateau.code == "converged"
    found = level_status(history, plateau, 1e-8)
    assert found.code == "stalled" and "0.5" in found.message
    assert level_status(history | {"scaled_gradient": [1e-6] * 8}, plateau, 1e-8) == plateau
    exact = history | {"objective": [1.0] + [1e-25] * 7}
    assert level_status(exact, Status("converged", ""), 1e-8).code == "converged"
