"""What the dynamics say they conserve or bound, on random weights; each check fails for other dynamics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import FIELDS, PiecewiseConstant, energy, final, get_activation, get_field, get_scheme
from numdl.flow.fields import contractive, convolution, m_matrix

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture
def u():
    return jnp.asarray(np.random.default_rng(3).normal(size=6))


@pytest.fixture
def v():
    return jnp.asarray(np.random.default_rng(4).normal(size=6))


WITH_ENERGY = [name for name, field in FIELDS.items() if field.energy is not None]


def jacobian(f, theta, u):
    return np.asarray(jax.jacfwd(lambda u: f(0.0, u, theta))(u))


def test_those_with_an_energy_are_the_hamiltonian_ones():
    assert WITH_ENERGY == ["double_hamiltonian", "h1", "hyperbolic"]


@pytest.mark.parametrize("activation", ["tanh", "sine", "identity", "relu"])
@pytest.mark.parametrize("name", WITH_ENERGY)
def test_the_energy_does_not_change_along_the_flow(name, activation, u):
    field = get_field(name)
    f, theta = field.dynamics(get_activation(activation)), field.init(0, 6, 1.0)
    slope = jax.grad(lambda u: energy(name, activation, u, theta))(u)
    assert np.linalg.norm(slope) > 0.1 and np.linalg.norm(f(0.0, u, theta)) > 0.1
    assert abs(slope @ f(0.0, u, theta)) < 1e-13
    bent = get_field("plain").dynamics(get_activation(activation))(0.0, u, get_field("plain").init(0, 6, 1.0))
    assert abs(slope @ bent) > 1e-3


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if "volume" in field.conserves])
def test_the_volume_is_kept(name, u):
    field = get_field(name)
    assert abs(np.trace(jacobian(field.dynamics(jnp.tanh), field.init(0, 6, 1.0), u))) < 1e-14
    assert abs(np.trace(jacobian(get_field("plain").dynamics(jnp.tanh), get_field("plain").init(0, 6, 1.0), u))) > 1e-3


@pytest.mark.parametrize(("name", "rate"), [("parabolic", 0.0), ("contractive", 0.1)])
def test_distances_never_grow_faster_than_promised(name, rate, u, v):
    field = get_field(name)
    f, theta = field.dynamics(jnp.tanh), field.init(0, 6, 1.0)
    J = jacobian(f, theta, u)
    assert np.linalg.eigvalsh((J + J.T) / 2).max() <= -rate + 1e-12
    assert (u - v) @ (f(0.0, u, theta) - f(0.0, v, theta)) <= -rate * np.sum((u - v) ** 2) + 1e-12


def test_an_m_matrix_lets_nothing_grow_in_the_largest_entry(u, v):
    theta, f = get_field("m_matrix").init(0, 6, 1.0), get_field("m_matrix").dynamics(jnp.tanh)
    M = np.asarray(m_matrix.matrix(theta["a"]))
    np.testing.assert_allclose(M.sum(axis=1), 0, atol=1e-14)
    assert np.all(M - np.diag(np.diag(M)) <= 0) and np.linalg.eigvals(M).real.min() > -1e-12
    J = jacobian(f, theta, u)
    assert np.max(np.diag(J) + np.abs(J - np.diag(np.diag(J))).sum(axis=1)) <= 1e-14
    coeffs = jax.tree.map(lambda a: jnp.broadcast_to(a, (50, *a.shape)), theta)
    ends = [final(get_scheme("rk4"), f, PiecewiseConstant(50), coeffs, u, 0.0, 0.1) for u in (u, v)]
    assert np.max(np.abs(ends[0] - ends[1])) <= np.max(np.abs(u - v))


def test_a_symplectic_flow_keeps_gradients_from_vanishing(u):
    field, nt = get_field("h1"), 64
    f, coeffs = field.dynamics(jnp.tanh), [field.init(seed, 6, 1.0) for seed in range(nt)]
    coeffs = jax.tree.map(lambda *leaves: jnp.stack(leaves), *coeffs)

    def end(u):
        return final(get_scheme("implicit_midpoint"), f, PiecewiseConstant(nt), coeffs, u, 0.0, 0.1)

    J, half = np.asarray(jax.jacfwd(end)(u)), np.eye(3)
    omega = np.block([[np.zeros((3, 3)), half], [-half, np.zeros((3, 3))]])
    np.testing.assert_allclose(J.T @ omega @ J, omega, atol=1e-11)
    assert np.linalg.norm(J, 2) >= 1


@pytest.mark.parametrize("m", [1, 2, 7])
def test_convolution_is_periodic_correlation_with_the_flipped_kernel(m):
    theta, u = {"k": jnp.asarray([1.0, -2.0, 0.5])}, jax.random.normal(jax.random.key(0), (m,))
    K = np.zeros((m, m))
    for i in range(m):
        for j, tap in enumerate((1.0, -2.0, 0.5)):
            K[i, (i - j + 1) % m] += tap
    np.testing.assert_allclose(convolution.product(theta, u), K @ u, atol=1e-14)


def test_what_has_no_energy_or_no_rate_is_refused(u):
    with pytest.raises(ValueError, match=r"'plain'.*conserve none"):
        energy("plain", "tanh", u, {})
    with pytest.raises(ValueError, match=r"'gelu'.*no antiderivative"):
        energy("h1", "gelu", u, {})
    with pytest.raises(ValueError, match=r"gamma=0.*needs a finite gamma > 0"):
        contractive.dynamics(jnp.tanh, gamma=0.0)
