"""The drawn layer: its features by loops, the kernel it approximates, and what cannot be built."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.models import RandomFeatures


@pytest.mark.parametrize("activation", ["sine", "tanh", "relu"])
def test_features_are_those_of_the_formula(activation):
    net = RandomFeatures(3, 5, activation, 2.0)
    K, b = net.init(0)
    x = np.array([0.3, -1.0, 2.0])
    by_hand = {"sine": np.sin, "tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}[activation]
    expected = [by_hand(sum(K[i, j] * x[j] for j in range(3)) + b[i]) for i in range(5)]
    with jax.enable_x64(True):
        np.testing.assert_allclose(net.features(net.init(0), jnp.asarray(x)), expected, atol=1e-14)


def kernel_error(scale, assumed):
    """Largest error of the sampled kernel in units of its standard deviation, on fixed pairs."""
    m, d = 20000, 4
    net = RandomFeatures(d, m, "sine", scale)
    points = np.random.default_rng(1).normal(size=(6, d))
    K, b = net.init(2)
    features = np.sin(points @ K.T + b)
    squares = np.sum((points[:, None] - points) ** 2, axis=2)
    return np.max(np.abs(features @ features.T / m - 0.5 * np.exp(-(assumed**2) * squares / (2 * d)))) * np.sqrt(m)


def test_sines_approximate_the_gaussian_kernel():
    # a product of two sines has deviation below 1/2: four of them hold for 21 pairs but in one case of 800
    assert kernel_error(1.5, 1.5) < 2.0
    assert kernel_error(1.5, 1.0) > 20.0  # mutant: another bandwidth


def test_scale_and_seed():
    one, two = RandomFeatures(2, 7, scale=1.0).init(3), RandomFeatures(2, 7, scale=4.0).init(3)
    np.testing.assert_allclose(two.K, 4 * one.K)
    np.testing.assert_array_equal(two.b, one.b)
    assert not np.array_equal(RandomFeatures(2, 7).init(4).K, one.K)


@pytest.mark.parametrize("options", [{"d": 0}, {"width": 0}, {"scale": 0.0}, {"scale": np.nan}, {"activation": "cos"}])
def test_what_cannot_be_built(options):
    with pytest.raises(ValueError, match=r"RandomFeatures\(|unknown activation"):
        RandomFeatures(**({"d": 2, "width": 3} | options))
