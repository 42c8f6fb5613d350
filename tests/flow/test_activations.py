"""Activations: value, slope and bend against formulas, at 0, beside kinks, for large arguments, in both precisions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_expit, ndtr

from numdl.flow import ACTIVATIONS, get_activation
from numdl.flow.activations import smooth_relu

pytestmark = pytest.mark.usefixtures("x64")
Z = np.array([-1e4, -300.0, -30.0, -5.0, -1.0, -0.3, -1e-8, 0.0, 1e-8, 0.05, 0.2, 1.0, 5.0, 30.0, 300.0, 1e4])
CORNER = np.array([-0.1 - 1e-9, -0.1 + 1e-9, 0.1 - 1e-9, 0.1 + 1e-9])


def density(z):
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def sech2(z):
    return 4 * expit(2 * z) * expit(-2 * z)


# Value, first and second derivative.
FORMULAS = {
    "tanh": (np.tanh, sech2, lambda z: -2 * np.tanh(z) * sech2(z)),
    "sine": (np.sin, np.cos, lambda z: -np.sin(z)),
    "identity": (lambda z: z, np.ones_like, np.zeros_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0), np.zeros_like),
    "smooth_relu": (
        lambda z: np.where(z <= -0.1, 0, np.where(z >= 0.1, z, (z + 0.1) ** 2 / 0.4)),
        lambda z: np.clip((z + 0.1) / 0.2, 0, 1),
        lambda z: 5.0 * (np.abs(z) < 0.1),
    ),
    "softplus": (lambda z: -log_expit(-z), expit, lambda z: expit(z) * expit(-z)),
    "gelu": (lambda z: z * ndtr(z), lambda z: ndtr(z) + z * density(z), lambda z: (2 - z**2) * density(z)),
    "silu": (
        lambda z: z * expit(z),
        lambda z: expit(z) * (1 + z * expit(-z)),
        lambda z: expit(z) * expit(-z) * (2 + z * (expit(-z) - expit(z))),
    ),
}


@functools.partial(jax.jit, static_argnums=0)
def derivatives(act, z):
    first = jax.grad(act)
    return act(z), jax.vmap(first)(z), jax.vmap(jax.grad(first))(z), jax.vmap(jax.jacfwd(jax.jacfwd(act)))(z)


def test_every_activation_has_its_formula():
    assert FORMULAS.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FORMULAS)
def test_value_slope_and_bend(name, dtype):
    z = np.concatenate([Z, CORNER] if dtype == "float64" else [Z]).astype(dtype)
    value, slope, bend, forward = derivatives(get_activation(name), jnp.asarray(z))
    tolerance = 32 * np.finfo(dtype).eps
    for found, formula in zip((value, slope, bend, forward), (*FORMULAS[name], FORMULAS[name][2]), strict=True):
        assert found.dtype == dtype and found.shape == z.shape
        np.testing.assert_allclose(found, formula(z.astype(float)), rtol=tolerance, atol=tolerance)


@pytest.mark.quick("*-float32")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FORMULAS)
def test_the_largest_numbers_stay_finite(name, dtype):
    z = jnp.asarray([-1e30, 1e30], dtype)
    assert all(np.all(np.isfinite(found)) for found in derivatives(get_activation(name), z))


@pytest.mark.parametrize("width", [0.1, 0.25, 3.0])
def test_the_corner_of_smooth_relu_meets_both_branches(width):
    z = jnp.asarray([-width, 0.0, width])
    value, slope, _, _ = derivatives(functools.partial(smooth_relu, width=width), z)
    np.testing.assert_allclose(value, [0.0, width / 4, width], rtol=1e-15)
    np.testing.assert_array_equal(slope, [0.0, 0.5, 1.0])


def test_a_clipped_parabola_is_seen():
    """The mistake that this file found: JAX halves the slope of clip at its ends."""

    def clipped(z, width=0.1):
        return jnp.where(z > width, z, (jnp.clip(z, -width, width) + width) ** 2 / (4 * width))

    assert derivatives(clipped, jnp.asarray([0.1]))[1] == 0.5


def test_the_approximate_gelu_is_seen():
    value = derivatives(jax.nn.gelu, jnp.asarray(Z))[0]
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(value, FORMULAS["gelu"][0](Z), atol=1e-5)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="tanh, relu"):
        get_activation("swish")


def test_the_slope_of_tanh_is_kept_as_one_array():
    def kept(act):
        return len(jax.tree.leaves(jax.vjp(act, jnp.ones(7))[1]))

    assert kept(ACTIVATIONS["tanh"]) == 1 < kept(lambda z: jnp.sinh(z) / jnp.cosh(z))  # the mutant
