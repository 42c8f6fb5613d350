"""The spiral's data against SciPy's integrator, and the exact derivative against the discretised adjoint."""

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from numdl.course.dynamics import spiral_ode as spiral
from numdl.testing import check_gradient


def test_the_data_solve_the_equation():
    def rate(t, u):
        return np.array(spiral.A).T @ u**3

    times = np.linspace(0, spiral.T, spiral.TIMES)
    expected = solve_ivp(rate, (0, spiral.T), spiral.START, "DOP853", times, rtol=1e-12, atol=1e-12).y.T
    np.testing.assert_allclose(spiral.data(), expected, rtol=0, atol=1e-9)
    swapped = solve_ivp(lambda t, u: np.array(spiral.A) @ u**3, (0, spiral.T), spiral.START, t_eval=times).y.T
    assert np.max(np.abs(spiral.data() - swapped)) > 1  # a matrix that was not transposed is seen


def test_the_gradient_of_the_discretisation_is_exact_and_a_wrong_one_is_seen(x64):
    loss = jax.jit(jax.value_and_grad(lambda theta: spiral.losses()["exact"](theta, 0.0, spiral.data())))
    theta = spiral.first_weights(0)
    check_gradient(loss, theta)
    with pytest.raises(AssertionError):
        check_gradient(lambda p: (lambda v, g: (v, g | {"c": 1.001 * g["c"]}))(*loss(p)), theta)


def test_steps_are_counted_until_the_loss_is_below_the_goal():
    assert spiral.steps_needed(np.array([3.0, 0.5, 0.3, 0.4])) == 2
    assert spiral.steps_needed(np.array([3.0])) == np.inf
    table = spiral.Taylor(0.25 ** np.arange(4), np.ones(4), 16.0 ** -np.arange(4))
    assert table.order == pytest.approx(2)


def test_the_march_of_the_figure_is_the_one_that_was_trained():
    with jax.enable_x64(True):
        theta = spiral.first_weights(0)
        np.testing.assert_allclose(spiral.marched(theta), spiral.runge_kutta(theta), rtol=1e-13, atol=1e-14)
