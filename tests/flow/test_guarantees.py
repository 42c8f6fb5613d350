"""What the dynamics say they conserve or bound, on random weights; each check fails for other dynamics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.analysis.stability import guarantees
from numdl.analysis.stability.layers import layers_of_net
from numdl.flow import DYNAMICS, Guarantee, PiecewiseConstant, energy, final, get_activation, get_dynamics, get_scheme
from numdl.flow.dynamics import contractive, convolution, m_matrix
from numdl.models import ResNet

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture
def u():
    return jnp.asarray(np.random.default_rng(3).normal(size=6))


@pytest.fixture
def v():
    return jnp.asarray(np.random.default_rng(4).normal(size=6))


WITH_ENERGY = [name for name, field in DYNAMICS.items() if field.energy is not None]


def jacobian(f, theta, u):
    return np.asarray(jax.jacfwd(lambda u: f(0.0, u, theta))(u))


def test_those_with_an_energy_are_the_hamiltonian_ones():
    assert WITH_ENERGY == ["double_hamiltonian", "h1", "hyperbolic"]


@pytest.mark.quick("double_hamiltonian-tanh", "h1-sine", "hyperbolic-relu", "hyperbolic-identity")
@pytest.mark.parametrize("activation", ["tanh", "sine", "identity", "relu"])
@pytest.mark.parametrize("name", WITH_ENERGY)
def test_the_energy_does_not_change_along_the_flow(name, activation, u):
    field = get_dynamics(name)
    f, theta = field.vector_field(get_activation(activation)), field.init(0, 6, 1.0)
    slope = jax.grad(lambda u: energy(name, activation, u, theta))(u)
    assert np.linalg.norm(slope) > 0.1 and np.linalg.norm(f(0.0, u, theta)) > 0.1
    assert abs(slope @ f(0.0, u, theta)) < 1e-13
    bent = get_dynamics("plain").vector_field(get_activation(activation))(0.0, u, get_dynamics("plain").init(0, 6, 1.0))
    assert abs(slope @ bent) > 1e-3


@pytest.mark.parametrize("name", [name for name, field in DYNAMICS.items() if Guarantee.VOLUME in field.guarantees])
def test_the_volume_is_kept(name, u):
    field = get_dynamics(name)
    assert abs(np.trace(jacobian(field.vector_field(jnp.tanh), field.init(0, 6, 1.0), u))) < 1e-14
    assert (
        abs(np.trace(jacobian(get_dynamics("plain").vector_field(jnp.tanh), get_dynamics("plain").init(0, 6, 1.0), u)))
        > 1e-3
    )


@pytest.mark.parametrize(("name", "rate"), [("parabolic", 0.0), ("contractive", 0.1)])
def test_distances_never_grow_faster_than_promised(name, rate, u, v):
    field = get_dynamics(name)
    f, theta = field.vector_field(jnp.tanh), field.init(0, 6, 1.0)
    J = jacobian(f, theta, u)
    assert np.linalg.eigvalsh((J + J.T) / 2).max() <= -rate + 1e-12
    assert (u - v) @ (f(0.0, u, theta) - f(0.0, v, theta)) <= -rate * np.sum((u - v) ** 2) + 1e-12


def springs(rates, h, field="hyperbolic", scheme="rk4"):
    """Two springs ``y'' = -k^2 y`` with rates (layers, 2): network, weights, states of 3 samples and noise, layers."""
    nt = len(rates)
    net = ResNet(
        4, 4, nt, T=nt * h, dynamics=field, scheme=scheme, activation="identity", opening=False, control="constant"
    )
    theta = {"flow": {"K": jnp.asarray(rates)[:, :, None] * jnp.eye(2), "b": jnp.zeros((nt, 2))}}
    x = jnp.asarray(np.random.default_rng(5).normal(size=(2, 3, 4)))
    go = jax.jit(jax.vmap(lambda row: net.trajectory(theta, row)))
    path, near = (np.moveaxis(np.asarray(go(part)), 1, 0) for part in (x[0], x.sum(0)))
    return net, theta, path, near, layers_of_net(net, theta, x[0, 0])


def test_waves_stay_within_theorem_2_while_weights_do_not_move():
    nt, h = 40, 0.1
    rates = np.tile([2.0, 0.1], (nt, 1))
    net, _, path, near, layers = springs(rates, h)
    found = guarantees.pairs(path, near, net, layers, np.full(nt, 2.0))
    apart = np.concatenate([path - near, np.diff(path, axis=1)], axis=1)[0]
    a, b = np.linalg.norm(apart[:, :2], axis=1), np.linalg.norm(apart[:, 2:], axis=1)
    bounds = np.hypot(a + nt * h * b, 2.0 * a + b) / np.hypot(a, b)
    assert np.min(np.abs(bounds - found.promised[-1])) < 1e-12
    assert np.all(found.spread <= (1 + 1e-9) * found.promised) and np.max(found.spread[1:] / found.promised[1:]) > 0.5
    own = get_dynamics("hyperbolic")

    def pushed_away(activation):  # the mutant: y'' = +K' act(K y)
        f = own.vector_field(activation)
        return lambda t, u, theta: jnp.concatenate([f.first(t, u[2:], theta), -f.second(t, u[:2], theta)])

    net, _, path, near, layers = springs(rates, h, own._replace(name="pushed", vector_field=pushed_away))
    found = guarantees.pairs(path, near, net, layers, np.full(nt, 2.0))
    assert np.max(found.spread / found.promised) > 10


def test_weights_that_move_may_drive_waves_apart_without_breaking_a_promise(monkeypatch):
    """Each spring is strong for a quarter of its period and weak for the next: each time it swings 4 times as far."""
    h = np.pi / 4 / 8
    omega = np.tile(np.repeat([2.0, 0.5], [8, 32]), 3)
    net, _, path, near, layers = springs(np.stack([omega, omega], axis=1), h)
    found = guarantees.pairs(path, near, net, layers, omega)
    assert found.spread.max() > 50 and np.all(found.spread <= (1 + 1e-9) * found.promised)
    # The mutant, theorem 2 for weights as if they did not move, would blame the dynamics.
    monkeypatch.setattr(guarantees, "_frozen", lambda net, layers: np.arange(len(omega)) > 0)
    found = guarantees.pairs(path, near, net, layers, omega)
    assert np.any(found.spread > 1.1 * found.promised)


def test_nothing_is_promised_for_activations_that_decrease():
    x = np.random.default_rng(5).normal(size=(3, 2, 4))
    for activation, allowed in (("tanh", 1.0), ("sine", np.inf)):
        net = ResNet(4, 4, 2, dynamics="contractive", activation=activation)
        found = guarantees.pairs(x, x + 1.0, net, layers_of_net(net, net.init(0), jnp.zeros(4)), np.ones(2))
        assert np.all(found.promised == allowed)


def test_energy_changes_are_those_of_a_spring():
    """Forward Euler multiplies the energy ``(v^2 + y^2) / 2`` by ``1 + h^2`` in every step; Verlet keeps it to h^3."""
    changes = {}
    for scheme in ("euler", "verlet"):
        net, theta, path, _, layers = springs(np.ones((4, 2)), 0.1, scheme=scheme)
        changes[scheme] = guarantees.energy_changes(net, theta, layers, list(path))
    np.testing.assert_allclose(changes["euler"], 0.01, rtol=1e-12)
    assert changes["verlet"].shape == (4,) and changes["verlet"].max() < 1e-3
    net = ResNet(4, 4, 2)
    assert guarantees.energy_changes(net, {}, layers, []).size == 0


def test_an_m_matrix_lets_nothing_grow_in_the_largest_entry(u, v):
    theta, f = get_dynamics("m_matrix").init(0, 6, 1.0), get_dynamics("m_matrix").vector_field(jnp.tanh)
    M = np.asarray(m_matrix.matrix(theta["a"]))
    np.testing.assert_allclose(M.sum(axis=1), 0, atol=1e-14)
    assert np.all(M - np.diag(np.diag(M)) <= 0) and np.linalg.eigvals(M).real.min() > -1e-12
    J = jacobian(f, theta, u)
    assert np.max(np.diag(J) + np.abs(J - np.diag(np.diag(J))).sum(axis=1)) <= 1e-14
    coeffs = jax.tree.map(lambda a: jnp.broadcast_to(a, (50, *a.shape)), theta)
    ends = [final(get_scheme("rk4"), f, PiecewiseConstant(50), coeffs, u, 0.0, 0.1) for u in (u, v)]
    assert np.max(np.abs(ends[0] - ends[1])) <= np.max(np.abs(u - v))


def test_a_symplectic_flow_keeps_gradients_from_vanishing(u):
    field, nt = get_dynamics("h1"), 64
    f, coeffs = field.vector_field(jnp.tanh), [field.init(seed, 6, 1.0) for seed in range(nt)]
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
    with pytest.raises(ValueError, match=r"gamma=0.*needs a finite number > 0"):
        contractive.vector_field(jnp.tanh, gamma=0.0)
