"""Control problems whose solution is known, by the code that trains networks: transport, free and within bounds."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from numdl.control import ControlProblem, adjoint_states, optimality
from numdl.flow import PiecewiseConstant, get_scheme
from numdl.optimize import NewtonCG, ProjectedGaussNewton, minimize
from numdl.problems import LEAST_SQUARES

pytestmark = pytest.mark.usefixtures("x64")
NT, HELD = 24, 1e6


def velocity(t, u, theta):
    return theta


def acceleration(t, u, theta):
    return jnp.concatenate([u[1:], theta])


def effort(t, u, theta):
    return theta


def held(u):
    return HELD**0.5 * u


def transport(f, start, goal, T):
    c = HELD**0.5 * jnp.asarray(goal)
    control, h = PiecewiseConstant(NT), jnp.asarray(T / NT)
    return ControlProblem(get_scheme("heun"), f, control, jnp.asarray(start), h, c, LEAST_SQUARES, held, effort)


def test_transport_of_least_energy_goes_straight_at_one_speed():
    start, goal, T = np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([[3.0, 0.0], [5.0, -2.0]]), 2.0
    problem = transport(velocity, start, goal, T)
    p = minimize(problem, NewtonCG(), jnp.zeros((NT, 2)), max_iter=20)[0].p
    d = np.mean(goal - start, axis=0)  # one control moves both: by the mean way
    np.testing.assert_allclose(p, np.broadcast_to(d / (T + 1 / HELD), (NT, 2)), rtol=1e-9)
    energy = np.sum(p**2) * T / NT / 2
    assert energy == pytest.approx(d @ d / (2 * T), rel=3 / (HELD * T))


def test_a_bounded_acceleration_from_rest_to_rest_is_a_cut_off_line():
    """The costate of the velocity is linear in time: ``a = clip(k (1 - 2 t))``, k from the distance."""
    most, t = 5.0, (np.arange(NT) + 0.5) / NT

    def line(k):
        return np.clip(k * (1 - 2 * t), -most, most)

    k = scipy.optimize.brentq(lambda k: line(k) @ (0.5 - t) / NT - 1.0, 1.0, 1e3)
    assert k == pytest.approx((most**3 / (12 * (most / 4 - 1))) ** 0.5, rel=0.05)  # in continuous time
    problem = transport(acceleration, [[0.0, 0.0]], [[1.0, 0.0]], 1.0)
    result = minimize(problem, ProjectedGaussNewton(-most, most, tol=1e-10), jnp.zeros((NT, 1)), max_iter=100)[0]
    np.testing.assert_allclose(result.p[:, 0], line(k), atol=1e-3)
    assert np.sum(np.abs(result.p) == most) == np.sum(np.abs(line(k)) == most) > 0
    states, bound = problem.states(result.p), jnp.full((NT, 1), most)
    lam = adjoint_states(problem, result.p, states)
    slope = optimality(problem, result.p, states, lam, lower=-bound, upper=bound).stationarity
    assert jnp.max(jnp.abs(slope)) < 1e-8
    np.testing.assert_allclose(np.diff(lam[1:, 0, 1], 2), 0.0, atol=1e-6)  # the costate is a line
