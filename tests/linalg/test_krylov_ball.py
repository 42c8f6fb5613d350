"""The model in a ball: the answer of a dense oracle, convex or not, and Moré and Sorensen's conditions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from numdl.linalg import krylov_model, lowest_in_ball, steihaug

pytestmark = pytest.mark.usefixtures("x64")
SIZE = 12
RNG = np.random.default_rng(0)
Q = np.linalg.qr(RNG.normal(size=(SIZE, SIZE)))[0]
G = RNG.normal(size=SIZE)
SPECTRA = {
    "convex": np.geomspace(0.01, 10, SIZE),
    "indefinite": np.linspace(-2, 5, SIZE),
    "concave": -np.arange(1.0, 13),
}
spectra = pytest.mark.parametrize("name", SPECTRA)


def dense(H, g, radius):
    """The secular equation by bracketing, in eigenvectors."""
    values, vectors = np.linalg.eigh(H)
    c = vectors.T @ g
    length = lambda shift: np.linalg.norm(c / (values + shift))  # noqa: E731
    least = max(0.0, -values[0])
    if values[0] > 0 and length(0.0) <= radius:
        return vectors @ (-c / values), 0.0
    shift = brentq(lambda s: 1 / length(s) - 1 / radius, least + 1e-13, least + 2 * np.linalg.norm(g) / radius)
    return vectors @ (-c / (values + shift)), shift


@functools.partial(jax.jit, static_argnames=("max_products", "symmetric"))
def compiled_solve(H, g, radius, **options):
    return lowest_in_ball(krylov_model(lambda v: H @ v, g, radius, **options), radius)


def solve(H, g, radius, **options):
    return compiled_solve(jnp.asarray(H), jnp.asarray(g), jnp.asarray(radius), **options)


@functools.partial(jax.jit, static_argnames="max_products")
def cut_off(H, max_products):
    return steihaug(
        lambda v: H @ v, jnp.asarray(G), jnp.asarray(1.0), scale=jnp.ones(SIZE), forcing=0.0, max_products=max_products
    )


@pytest.mark.quick("True-0.1-*", "False-1.0-*", "True-1000.0-indefinite")
@spectra
@pytest.mark.parametrize("radius", [0.1, 1.0, 1e3])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_whole_space_gives_the_answer_of_the_dense_oracle(name, radius, symmetric):
    H = Q @ np.diag(SPECTRA[name]) @ Q.T
    x, shift = dense(H, G, radius)
    found = solve(H, G, radius, forcing=0.0, symmetric=symmetric)
    np.testing.assert_allclose(found.x, x, atol=1e-7 * max(1, np.linalg.norm(x)))
    np.testing.assert_allclose(found.predicted, -(G @ x + 0.5 * x @ H @ x), rtol=1e-8)
    assert bool(found.boundary) == (shift > 0) and int(found.products) == SIZE


@spectra
def test_a_smaller_ball_needs_no_product(name):
    H = Q @ np.diag(SPECTRA[name]) @ Q.T
    model = krylov_model(lambda v: jnp.asarray(H) @ v, jnp.asarray(G), jnp.asarray(2.0), forcing=0.0)
    for radius in (1.0, 0.3, 1e-3):
        found = lowest_in_ball(model, jnp.asarray(radius))
        np.testing.assert_allclose(found.x, dense(H, G, radius)[0], atol=1e-8)


@pytest.mark.quick("indefinite")
@spectra
def test_a_small_space_is_never_worse_than_steihaug_with_as_many_products(name):
    H = Q @ np.diag(SPECTRA[name]) @ Q.T
    for count in (1, 2, 4, 7):
        theirs = cut_off(jnp.asarray(H), count)
        ours = solve(H, G, 1.0, forcing=0.0, max_products=count)
        assert float(ours.predicted) >= float(theirs.predicted) * (1 - 1e-12)


def test_the_forcing_is_kept_with_few_products():
    H = Q @ np.diag(np.r_[np.ones(8), np.full(4, 5.0)]) @ Q.T
    found = solve(H, G, 0.5, forcing=1e-10)
    assert int(found.products) == 2, "two eigenvalues, two products"
    np.testing.assert_allclose(found.x, dense(H, G, 0.5)[0], atol=1e-8)


def test_an_operator_that_is_not_symmetric_is_seen_by_its_symmetric_part():
    skew = RNG.normal(size=(SIZE, SIZE))
    H = Q @ np.diag(SPECTRA["indefinite"]) @ Q.T
    found = solve(H + 0.5 * (skew - skew.T), G, 1.0, forcing=0.0, symmetric=False)
    np.testing.assert_allclose(found.x, dense(H, G, 1.0)[0], atol=1e-8)
    planted = solve(H + 0.5 * (skew - skew.T), G, 1.0, forcing=0.0, symmetric=True)
    assert np.linalg.norm(planted.x - found.x) > 1e-3


def test_the_hard_case_and_no_gradient():
    H, g = np.diag([-1.0, 1.0, 2.0]), np.array([0.0, 0.1, 0.1])
    # Krylov spaces of g do not see the lowest eigenvector; the answer is the best in the space that they see.
    found = solve(H, g, 1.0, forcing=0.0)
    np.testing.assert_allclose(found.x, [0.0, -0.1, -0.05], atol=1e-12)
    none = jax.jit(lambda g: solve(H, g, 1.0))(jnp.zeros(3))
    assert not np.any(none.x) and int(none.products) == 0


def test_the_square_of_a_tiny_gradient_is_not_needed():
    """As squares of 1e-200 vanish, no step was taken and none was said to be needed."""
    found = lowest_in_ball(krylov_model(lambda v: 2.0 * v, jnp.full(3, 2e-200), jnp.array(1.0)), jnp.array(1.0))
    np.testing.assert_allclose(found.x, np.full(3, -1e-200), rtol=1e-12)
