"""Fields: registry, sizes of the weights, and what each one promises about its Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import ACTIVATIONS, FIELDS, get_activation, get_field
from numdl.flow.fields import antisymmetric

pytestmark = pytest.mark.usefixtures("x64")


def jacobian(f, theta, u):
    return np.asarray(jax.jacfwd(lambda u: f(0.0, u, theta))(u))


@pytest.mark.parametrize("m", [1, 5])
@pytest.mark.parametrize("name", FIELDS)
def test_shapes_and_dtype(name, m):
    field = get_field(name)
    for dtype in (jnp.float32, jnp.float64):
        theta = field.init(0, m, 1.0, dtype)
        assert all(leaf.dtype == dtype for leaf in theta.values())
        out = jax.jit(field.dynamics(jnp.tanh))(0.0, jnp.ones(m, dtype), theta)
        assert out.shape == (m,)
        assert out.dtype == dtype
        assert np.all(np.isfinite(out))


def test_scale_of_the_matrices():
    # 200 x 200 entries: the standard deviation of the sample deviation is 1 / sqrt(2 * 40000) = 0.0035 relative.
    theta = get_field("plain").init(jax.random.key(1), 200, 0.3)
    assert abs(jnp.std(theta["K"]) * 200**0.5 / 0.3 - 1) < 0.02
    assert abs(np.linalg.norm(theta["K"], 2) / 0.6 - 1) < 0.1
    assert jnp.max(jnp.abs(theta["b"])) <= 0.3


def test_antisymmetric_matrix():
    a = jnp.arange(1.0, 7.0)
    A = antisymmetric.matrix(a, 4)
    np.testing.assert_array_equal(A, -A.T)
    np.testing.assert_array_equal(A[np.tril_indices(4, -1)], a)
    np.testing.assert_array_equal(antisymmetric.matrix(jnp.zeros(0), 1), jnp.zeros((1, 1)))


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_antisymmetric_conserves_or_damps_the_norm(gamma):
    field = get_field("antisymmetric")
    theta = field.init(jax.random.key(2), 6, 1.0)
    f = field.dynamics(get_activation("identity"), gamma=gamma)
    u = jax.random.normal(jax.random.key(3), (6,))
    no_bias = {**theta, "b": jnp.zeros(6)}
    np.testing.assert_allclose(u @ f(0.0, u, no_bias), -gamma * u @ u, rtol=1e-13, atol=1e-13)
    eigenvalues = np.linalg.eigvals(jacobian(field.dynamics(jnp.tanh), theta, u))
    np.testing.assert_allclose(eigenvalues.real, 0, atol=1e-12)


def test_antisymmetric_refuses_negative_damping():
    with pytest.raises(ValueError, match=r"gamma=-1.*needs a finite gamma >= 0"):
        antisymmetric.dynamics(jnp.tanh, gamma=-1.0)


def test_double_symmetric_never_expands():
    field = get_field("double_symmetric")
    theta = field.init(jax.random.key(4), 6, 2.0)
    J = jacobian(field.dynamics(jnp.tanh), theta, jax.random.normal(jax.random.key(5), (6,)))
    np.testing.assert_allclose(J, J.T, atol=1e-14)
    assert np.max(np.linalg.eigvalsh(J)) <= 1e-13


def test_names():
    for name in FIELDS:
        assert get_field(name).name == name
    with pytest.raises(ValueError, match="plain, antisymmetric, double, double_symmetric"):
        get_field("parabolic")
    with pytest.raises(ValueError, match="tanh, relu"):
        get_activation("swish")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_finite_with_its_slope(name):
    act = get_activation(name)
    z = jnp.array([-1e4, -1.0, -0.1, 0.0, 0.05, 0.1, 1.0, 1e4])
    slopes = jax.vmap(jax.grad(act))(z)
    assert act(z).shape == z.shape
    assert np.all(np.isfinite(act(z)))
    assert np.all(np.isfinite(slopes))
    h = 1e-6
    smooth = np.abs(z) > 0.2 if "relu" in name else np.full(z.shape, True)
    smooth &= np.abs(z) < 1e3
    np.testing.assert_allclose(slopes[smooth], ((act(z + h) - act(z - h)) / (2 * h))[smooth], atol=1e-8)


def test_smooth_relu_meets_both_branches():
    act = get_activation("smooth_relu")
    z = jnp.array([-0.1, 0.0, 0.1, 2.0])
    np.testing.assert_allclose(act(z), [0.0, 0.025, 0.1, 2.0], atol=1e-15)
    np.testing.assert_allclose(jax.vmap(jax.grad(act))(z + 1e-12), [0.0, 0.5, 1.0, 1.0], atol=1e-9)
