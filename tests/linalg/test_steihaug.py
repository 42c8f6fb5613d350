"""Steihaug's method: the dense solution inside the ball, the boundary outside, never an increase of the model."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.linalg import steihaug

pytestmark = pytest.mark.usefixtures("x64")
P = 6


def system(smallest=0.5, seed=0):
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.normal(size=(P, P)))[0]
    h = jnp.asarray(q @ np.diag(np.linspace(smallest, 10.0, P)) @ q.T)
    return h, jnp.asarray(rng.normal(size=P)), jnp.asarray(rng.uniform(0.5, 2.0, size=P))


@functools.partial(jax.jit, static_argnames="max_products")
def solve(h, g, radius, scale, forcing=1e-13, max_products=50):
    return steihaug(lambda v: h @ v, g, radius, scale=scale, forcing=forcing, max_products=max_products)


def decrease(h, g, x):
    return float(-(g @ x + 0.5 * x @ (h @ x)))


def length(x, scale):
    return float(jnp.sqrt(x @ (scale * x)))


def test_inside_it_is_the_dense_solution():
    h, g, scale = system()
    found = solve(h, g, jnp.asarray(1e3), scale)
    np.testing.assert_allclose(found.x, -jnp.linalg.solve(h, g), rtol=1e-10)
    assert not found.boundary and found.products <= P + 1
    np.testing.assert_allclose(found.predicted, 0.5 * g @ jnp.linalg.solve(h, g), rtol=1e-10)


@pytest.mark.parametrize("radius", [1e-3, 0.1, 0.3])
def test_outside_it_stops_on_the_boundary(radius):
    h, g, scale = system()
    found = solve(h, g, jnp.asarray(radius), scale)
    assert found.boundary
    np.testing.assert_allclose(length(found.x, scale), radius, rtol=1e-10)
    np.testing.assert_allclose(found.predicted, decrease(h, g, found.x), rtol=1e-10)
    # at least as good as the best step along the (preconditioned) gradient within the ball
    d = -g / scale
    t = min(float(-(g @ d) / (d @ h @ d)), radius / length(d, scale))
    assert found.predicted >= decrease(h, g, t * d) * (1 - 1e-12)


def test_a_tiny_ball_gives_the_steepest_descent_of_its_norm():
    h, g, scale = system()
    found = solve(h, g, jnp.asarray(1e-8), scale)
    d = -g / scale
    np.testing.assert_allclose(found.x, 1e-8 * d / length(d, scale), rtol=1e-6)


def test_negative_curvature_leads_to_the_boundary():
    h, g, scale = system(smallest=-5.0)
    found = solve(h, g, jnp.asarray(100.0), scale)
    assert found.boundary and found.predicted > 0
    np.testing.assert_allclose(length(found.x, scale), 100.0, rtol=1e-10)


def test_zero_curvature_leads_to_the_boundary():
    _, g, scale = system()
    found = solve(jnp.zeros((P, P)), g, jnp.asarray(2.0), scale)
    np.testing.assert_allclose(length(found.x, scale), 2.0, rtol=1e-10)


def test_a_zero_gradient_needs_no_step():
    h, _, scale = system()
    found = solve(h, jnp.zeros(P), jnp.asarray(1.0), scale)
    assert found.products == 0 and not np.any(found.x) and found.predicted == 0.0 and not found.boundary


@pytest.mark.parametrize("forcing", [0.5, 1e-2, 1e-6])
def test_the_residual_falls_by_the_forcing_factor(forcing):
    h, g, scale = system(smallest=1e-3)
    found = solve(h, g, jnp.asarray(1e6), scale, forcing)
    rest = h @ found.x + g
    assert rest @ (rest / scale) <= forcing**2 * (g @ (g / scale))
    exact = solve(h, g, jnp.asarray(1e6), scale)
    # Where the factor is small, both predictions agree to rounding.
    assert found.products < exact.products and 0 < found.predicted <= exact.predicted * (1 + 1e-13)


def test_products_are_limited():
    h, g, scale = system(smallest=1e-3)
    assert solve(h, g, jnp.asarray(1e6), scale, 1e-13, max_products=2).products == 2


def test_preconditioning_with_the_diagonal_solves_diagonal_systems_at_once():
    d = jnp.asarray(np.logspace(-6, 6, P))
    found = solve(jnp.diag(d), jnp.ones(P), jnp.asarray(1e9), d)
    assert found.products == 1
    np.testing.assert_allclose(found.x, -1 / d, rtol=1e-12)


@pytest.mark.parametrize("unit", [2.0**-665, 2.0**510])
@pytest.mark.parametrize("radius", [0.3, 1e3])
def test_the_unit_of_the_gradient_changes_no_digit(unit, radius):
    """As squares of 1e-200 vanish, no step was taken and none was said to be needed."""
    h, g, scale = system()
    found, apart = solve(h, g, radius, scale), solve(h, unit * g, unit * radius, scale)
    np.testing.assert_array_equal(apart.x, unit * found.x)
    assert found.products == apart.products and found.boundary == apart.boundary
    np.testing.assert_array_equal(apart.predicted, unit * (unit * found.predicted))


def test_a_tiny_gradient_and_negative_curvature_lead_to_the_boundary():
    h, g, scale = system(smallest=-5.0)
    found = solve(h, 1e-200 * g, 1.0, scale)
    assert found.boundary
    np.testing.assert_allclose(length(found.x, scale), 1.0, rtol=1e-10)


def test_what_is_not_finite_promises_no_decrease():
    """A NaN is above no target: the start was returned as solved where a traced scale had one."""
    h, g, scale = system()
    for wrong in ((jnp.nan * h, g, 1.0, scale), (h, jnp.nan * g, 1.0, scale), (h, g, 1.0, jnp.nan * scale)):
        assert np.isnan(solve(*wrong).predicted)
