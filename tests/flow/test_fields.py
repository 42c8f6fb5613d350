"""Fields: registry, sizes of the weights, and what each one promises about its Jacobian."""

import copy
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from joblib.externals.loky.backend.reduction import dumps  # what a search sends its workers

from numdl.flow import DYNAMICS, Dynamics, damped, get_activation, get_dynamics
from numdl.flow.dynamics import antisymmetric, circulant, low_rank, symmetric

pytestmark = pytest.mark.usefixtures("x64")


@functools.partial(jax.jit, static_argnums=0)
def compiled_jacobian(f, theta, u):
    return jax.jacfwd(lambda u: f(0.0, u, theta))(u)


def jacobian(f, theta, u):
    return np.asarray(compiled_jacobian(f, theta, u))


@pytest.mark.quick("*-1", "hamiltonian-5", "plain-5")
@pytest.mark.parametrize("m", [1, 5])
@pytest.mark.parametrize("name", DYNAMICS)
def test_shapes_and_dtype(name, m):
    field = get_dynamics(name)
    if name in ("hamiltonian", "double_hamiltonian", "h1", "second_order", "hyperbolic"):
        m += 1
        with pytest.raises(ValueError, match=f"width {m - 1} has no two halves.*Use width={m}"):
            field.init(0, m - 1, 1.0)
    for dtype in (jnp.float32, jnp.float64):
        theta = field.init(0, m, 1.0, dtype)
        assert all(leaf.dtype == dtype for leaf in theta.values())
        out = jax.jit(field.vector_field(jnp.tanh))(0.0, jnp.ones(m, dtype), theta)
        assert out.shape == (m,)
        assert out.dtype == dtype
        assert np.all(np.isfinite(out))


def test_scale_of_the_matrices():
    # 200 x 200 entries: the standard deviation of the sample deviation is 1 / sqrt(2 * 40000) = 0.0035 relative.
    theta = get_dynamics("plain").init(jax.random.key(1), 200, 0.3)
    assert abs(jnp.std(theta["K"]) * 200**0.5 / 0.3 - 1) < 0.02
    assert abs(np.linalg.norm(theta["K"], 2) / 0.6 - 1) < 0.1
    assert jnp.max(jnp.abs(theta["b"])) <= 0.3


@pytest.mark.quick("16-*")
@pytest.mark.parametrize("name", ["plain", "antisymmetric", "symmetric", "low_rank", "circulant"])
@pytest.mark.parametrize("m", [16, 200])
def test_spectral_norm_of_the_matrices(name, m):
    """A step is moderate for h = 1 / (2 scale), whatever the structure; 20 draws of each."""
    f = get_dynamics(name).vector_field(get_activation("identity"))
    norms = [np.linalg.norm(jacobian(f, get_dynamics(name).init(seed, m, 0.3), jnp.ones(m)), 2) for seed in range(20)]
    assert 0.25 < np.mean(norms) / 0.6 < 1.25
    assert np.max(norms) < 1.2


def test_symmetric_matrix():
    s = jnp.arange(1.0, 11.0)
    K = symmetric.matrix(s, 4)
    np.testing.assert_array_equal(K, K.T)
    np.testing.assert_array_equal(K[np.tril_indices(4)], s)
    theta, u = get_dynamics("symmetric").init(0, 6, 1.0), jax.random.normal(jax.random.key(3), (6,))
    eigenvalues = np.linalg.eigvals(jacobian(get_dynamics("symmetric").vector_field(jnp.tanh), theta, u))
    np.testing.assert_allclose(eigenvalues.imag, 0, atol=1e-12)


@pytest.mark.quick("1", "5")
@pytest.mark.parametrize("m", [1, 2, 5, 8])
def test_circulant_matrix(m):
    theta, u = get_dynamics("circulant").init(0, m, 1.0), jax.random.normal(jax.random.key(3), (m,))
    K = np.array([[theta["c"][(i - j) % m] for j in range(m)] for i in range(m)])
    np.testing.assert_allclose(circulant.product(theta, u), K @ u, atol=1e-14)
    np.testing.assert_allclose(jacobian(lambda t, u, theta: circulant.product(theta, u), theta, u), K, atol=1e-14)
    if m > 2:  # a correlation, K', is not the convolution
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(circulant.product(theta, u), K.T @ u, atol=1e-14)


@pytest.mark.parametrize(("m", "rank"), [(1, 1), (9, 3), (10, 4)])
def test_low_rank_matrix(m, rank):
    theta, u = get_dynamics("low_rank").init(0, m, 1.0), jnp.ones(m)
    K = jacobian(lambda t, u, theta: low_rank.product(theta, u), theta, u)
    np.testing.assert_allclose(K, theta["U"] @ theta["V"].T, atol=1e-14)
    assert np.linalg.matrix_rank(K) == rank


def test_antisymmetric_matrix():
    a = jnp.arange(1.0, 7.0)
    A = antisymmetric.matrix(a, 4)
    np.testing.assert_array_equal(A, -A.T)
    np.testing.assert_array_equal(A[np.tril_indices(4, -1)], a)
    np.testing.assert_array_equal(antisymmetric.matrix(jnp.zeros(0), 1), jnp.zeros((1, 1)))


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_antisymmetric_conserves_or_damps_the_norm(gamma):
    field = get_dynamics("antisymmetric")
    theta = field.init(jax.random.key(2), 6, 1.0)
    f = field.vector_field(get_activation("identity"), gamma=gamma)
    u = jax.random.normal(jax.random.key(3), (6,))
    no_bias = {**theta, "b": jnp.zeros(6)}
    np.testing.assert_allclose(u @ f(0.0, u, no_bias), -gamma * u @ u, rtol=1e-13, atol=1e-13)
    eigenvalues = np.linalg.eigvals(jacobian(field.vector_field(jnp.tanh), theta, u))
    np.testing.assert_allclose(eigenvalues.real, 0, atol=1e-12)


def test_antisymmetric_refuses_negative_damping():
    with pytest.raises(ValueError, match=r"gamma=-1.*needs a finite number >= 0"):
        antisymmetric.vector_field(jnp.tanh, gamma=-1.0)


def test_a_damping_by_name_is_that_of_the_formula():
    field, u = damped(get_dynamics("antisymmetric"), 0.3), jnp.linspace(-1, 1, 6)
    theta = field.init(0, 6, 1.0)
    f = antisymmetric.vector_field(jnp.tanh, gamma=0.3)
    np.testing.assert_array_equal(field.vector_field(jnp.tanh)(0.0, u, theta), f(0.0, u, theta))
    assert damped(get_dynamics("antisymmetric"), 0.3) is field and field.damping == 0.3
    assert np.linalg.norm(f(0.0, u, theta) - antisymmetric.vector_field(jnp.tanh)(0.0, u, theta)) > 0.1
    with pytest.raises(ValueError, match=r"'plain', gamma=0.3.*no damping. Use one of antisymmetric, contractive"):
        damped(get_dynamics("plain"), 0.3)
    for gamma in (-0.1, np.inf):
        with pytest.raises(ValueError, match="needs a finite number >= 0"):
            damped(get_dynamics("antisymmetric"), gamma)


def test_double_symmetric_never_expands():
    field = get_dynamics("double_symmetric")
    theta = field.init(jax.random.key(4), 6, 2.0)
    J = jacobian(field.vector_field(jnp.tanh), theta, jax.random.normal(jax.random.key(5), (6,)))
    np.testing.assert_allclose(J, J.T, atol=1e-14)
    assert np.max(np.linalg.eigvalsh(J)) <= 1e-13


def test_names():
    for name in DYNAMICS:
        assert get_dynamics(name).name == name
    with pytest.raises(ValueError, match="plain, antisymmetric, symmetric, low_rank, circulant, convolution, double"):
        get_dynamics("elliptic")
    with pytest.raises(ValueError, match="tanh, relu"):
        get_activation("swish")


@pytest.mark.parametrize("name", DYNAMICS)
def test_registered_dynamics_are_themselves_after_a_process_boundary(name):
    """Copied by value, their functions were others, which an estimator refused in every worker of a search."""
    field = get_dynamics(name)
    assert pickle.loads(pickle.dumps(field)) is field and copy.deepcopy(field) is field
    if field.damping is not None:
        strong = damped(field, 0.7)
        assert pickle.loads(pickle.dumps(strong)) is strong and copy.deepcopy(strong) is strong


def test_dynamics_of_yours_pass_a_process_boundary_registered_there_or_not(monkeypatch):
    draw = lambda key, m, scale, dtype=None: {}  # noqa: E731 - one of numdl, if it is checked, cannot be copied by value
    own = Dynamics("mine", draw, lambda act, gamma=1.0: lambda t, u, theta: -gamma * u, damping=1.0)
    alone = pickle.loads(dumps(own))
    assert alone.name == "mine" and alone.vector_field(None)(0.0, 2.0, {}) == -2.0
    monkeypatch.setitem(DYNAMICS, "mine", own)
    written = [dumps(one) for one in (own, damped(own, 3.0))]
    assert [pickle.loads(one) for one in written] == [own, damped(own, 3.0)]
    monkeypatch.delitem(DYNAMICS, "mine")
    found = [pickle.loads(one) for one in written]
    assert [one.damping for one in found] == [1.0, 3.0]
    assert [one.vector_field(None)(0.0, 2.0, {}) for one in found] == [-2.0, -6.0]
    changed = own._replace(name="plain")  # not what the registry knows: by value
    assert pickle.loads(dumps(changed)).damping == 1.0
