"""Proximal maps: they minimise what they say, and projections stay where they are."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from numdl.regularize import L1, Box, non_negative

pytestmark = pytest.mark.usefixtures("x64")
Q = np.array([-2.0, -0.3, 0.0, 0.2, 5.0])


def minimisers(r, t, bounds):
    """``argmin r(p) + (p - q)^2 / (2 t)`` for each entry, by SciPy."""
    return [minimize_scalar(lambda p, q=q: r(p) + (p - q) ** 2 / (2 * t), bounds=bounds, method="bounded").x for q in Q]


@pytest.mark.parametrize("t", [0.1, 1.0, 3.0])
def test_soft_thresholding_minimises(t):
    found = L1(jnp.asarray(0.5)).prox(jnp.asarray(Q), t)
    np.testing.assert_allclose(found, minimisers(lambda p: 0.5 * abs(p), t, (-6, 6)), atol=1e-4)
    with pytest.raises(AssertionError):  # planted: t forgotten
        np.testing.assert_allclose(
            L1(jnp.asarray(0.5)).prox(jnp.asarray(Q), 2 * t), minimisers(lambda p: 0.5 * abs(p), t, (-6, 6)), atol=1e-4
        )


def test_free_entries_are_not_shrunk():
    prox = L1(jnp.asarray(0.5), jnp.asarray([1.0, 0, 1, 0, 1]))
    found = prox.prox(jnp.asarray(Q), 1.0)
    np.testing.assert_array_equal(found[1::2], Q[1::2])
    np.testing.assert_allclose(prox.value(jnp.asarray(Q)), 0.5 * 7.0)


@pytest.mark.parametrize("t", [0.1, 3.0])
def test_projections_minimise_for_every_t(t):
    box = Box(-1.0, 0.5)
    found = box.prox(jnp.asarray(Q), t)
    np.testing.assert_allclose(found, minimisers(lambda p: 0.0, t, (-1.0, 0.5)), atol=1e-4)
    np.testing.assert_array_equal(box.prox(found, t), found)
    assert box.value(found) == 0 and np.isinf(box.value(jnp.asarray(Q)))


def test_pytrees_and_bounds_by_leaf():
    p = {"a": jnp.asarray([-1.0, 2.0]), "b": jnp.asarray([[3.0]])}
    found = Box({"a": jnp.asarray([0.0, 0.0]), "b": jnp.asarray([[0.0]])}, 1.0).prox(p, 1.0)
    np.testing.assert_array_equal(found["a"], [0.0, 1.0])
    np.testing.assert_array_equal(found["b"], [[1.0]])
    np.testing.assert_array_equal(non_negative().prox(p, 1.0)["a"], [0.0, 2.0])
    assert non_negative().value(found) == 0
