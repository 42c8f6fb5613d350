"""Dynamics on graphs: against dense matrices and the graph Laplacian, what they promise, refusals."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.csgraph import laplacian
from sklearn.neighbors import NearestNeighbors

from numdl.flow import get_activation, on_graph
from numdl.models import ResNet, lipschitz_bound
from numdl.regularize.graph import neighbour_weights

pytestmark = pytest.mark.usefixtures("x64", "unchecked")  # arrays of NumPy are taken too

N, C = 9, 4


def graph(seed=0):
    x = np.random.default_rng(seed).standard_normal((N, 2))
    distances, neighbours = NearestNeighbors(n_neighbors=3).fit(x).kneighbors()
    return neighbour_weights(neighbours, distances)


W = graph()


def gradient(weights):
    """G as a matrix by loops."""
    W = np.asarray(weights.todense())
    edges = [(i, j) for i in range(N) for j in range(i + 1, N) if W[i, j] > 0]
    G = np.zeros((len(edges), N))
    for e, (i, j) in enumerate(edges):
        G[e, i], G[e, j] = W[i, j] ** 0.5, -(W[i, j] ** 0.5)
    return G


def test_a_layer_is_that_of_dense_matrices():
    rng, G = np.random.default_rng(0), gradient(W)
    field = on_graph("parabolic", W)
    theta = field.init(0, N * C, 1.0)
    K, b = np.kron(G, theta["K"]), np.tile(theta["b"], len(G))
    u = rng.standard_normal(N * C)
    expected = -K.T @ np.tanh(K @ u + b)
    f = field.vector_field(get_activation("tanh"))
    np.testing.assert_allclose(f(0.0, u, theta), expected, atol=1e-13)
    np.testing.assert_allclose(jax.vmap(lambda u: f(0.0, u, theta))(np.stack([u, u])), [expected] * 2, atol=1e-13)


def test_the_linear_layer_is_the_graph_laplacian():
    f = on_graph("parabolic", W).vector_field(get_activation("identity"))
    u = np.random.default_rng(0).standard_normal((N, C))
    found = f(0.0, u.ravel(), {"K": jnp.eye(C), "b": jnp.zeros(C)})
    np.testing.assert_allclose(found, -(laplacian(scipy.sparse.csr_array(W)) @ u).ravel(), atol=1e-13)


def flow(name, scheme, **more):
    return ResNet(N * C, N * C, 6, 3.0, on_graph(name, W), scheme, opening=False, **more)


def test_diffusion_moves_no_two_states_apart():
    net, rng = flow("parabolic", "euler"), np.random.default_rng(0)
    step = jax.jit(net.batch)
    for seed in range(30):
        theta = jax.tree.map(lambda leaf: leaf / 2, net.init(seed))
        assert lipschitz_bound(net, theta) == 1.0
        x = rng.standard_normal((2, 20, N * C))
        before, after = (np.linalg.norm(a - b, axis=1) for a, b in (x, (step(theta, x[0]), step(theta, x[1]))))
        assert (after <= before * (1 + 1e-12)).all()
        wrong = jax.tree.map(lambda leaf: 16 * leaf, theta)  # the mutant: steps that are too long
        assert lipschitz_bound(net, wrong) > 1.0
    assert np.linalg.norm(step(wrong, x[0]) - step(wrong, x[1]), axis=1).max() > before.max()


@pytest.mark.parametrize("name", ["hyperbolic", "double_hamiltonian"])
def test_waves_keep_their_energy_and_come_back(name):
    field, drift = on_graph(name, W), []
    potential = lambda z: jnp.logaddexp(z, -z) - jnp.log(2.0)  # noqa: E731
    layer = field.init(0, N * C, 1.0)
    u = jnp.asarray(np.random.default_rng(1).standard_normal(N * C))
    for depth in (20, 40):
        net = ResNet(N * C, N * C, depth, 3.0, field, "verlet", opening=False, march="reversible")
        theta = {"flow": jax.tree.map(lambda leaf, depth=depth: jnp.stack([leaf] * depth), layer)}
        end = net(theta, u)
        drift.append(abs(field.energy(potential, end, layer) - field.energy(potential, u, layer)))
        stored = ResNet(N * C, N * C, depth, 3.0, field, "verlet", opening=False)
        slopes = [jax.grad(lambda u, one=one, theta=theta: jnp.sum(one(theta, u) ** 2))(u) for one in (net, stored)]
        np.testing.assert_allclose(*slopes, atol=1e-11)
    assert np.log2(drift[0] / drift[1]) == pytest.approx(2, abs=0.3) and drift[1] < 1e-2


def test_nodes_have_no_order():
    order = np.random.default_rng(0).permutation(N)
    u = np.random.default_rng(1).standard_normal((N, C))
    theta = on_graph("parabolic", W).init(0, N * C, 1.0) | {"b": jnp.zeros(C)}
    act = get_activation("tanh")  # odd, so that neither do the ends of an edge
    f, g = (on_graph("parabolic", w).vector_field(act) for w in (W, scipy.sparse.csr_array(W)[order][:, order]))
    found = np.asarray(f(0.0, u.ravel(), theta)).reshape(N, C)[order]
    np.testing.assert_allclose(found.ravel(), g(0.0, u[order].ravel(), theta), atol=1e-13)
    assert on_graph("parabolic", W) is on_graph("parabolic", W.todense())


def test_edges_lead_to_the_larger_number():
    """With offsets, or an activation that is not odd, the ends of an edge are told apart."""
    path = np.diag([1.0, 1.0], 1) + np.diag([1.0, 1.0], -1)
    u = np.array([1.0, 3.0, -2.0])
    for act, b in (("relu", 0.0), ("tanh", 0.7)):
        f = on_graph("parabolic", path).vector_field(get_activation(act))
        act, theta = get_activation(act), {"K": jnp.ones((1, 1)), "b": jnp.full(1, b)}
        first, second = act(u[0] - u[1] + b), act(u[1] - u[2] + b)
        np.testing.assert_allclose(f(0.0, u, theta), [-first, first - second, second], atol=1e-13)
        assert np.abs(f(0.0, u[::-1], theta)[::-1] - f(0.0, u, theta)).max() > 0.1  # of the nodes in reverse order


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: on_graph("plain", W), "Use one of 'parabolic'"),
        (lambda: on_graph("parabolic", np.eye(3)), "has no edge"),
        (lambda: on_graph("parabolic", np.zeros((0, 0))), "needs a symmetric matrix >= 0"),
        (lambda: on_graph("parabolic", scipy.sparse.coo_array((0, 0))), "needs a symmetric matrix >= 0"),
        (lambda: on_graph("parabolic", 1e-320 * np.ones((2, 2))), "the largest is 1e-320, needs one from 1e-60"),
        (lambda: on_graph("parabolic", 1e300 * np.ones((2, 2))), r"the largest is 1e\+300, needs one from 1e-60"),
        (lambda: on_graph("parabolic", np.triu(np.ones((3, 3)))), "needs a symmetric matrix >= 0"),
        (lambda: on_graph("parabolic", -np.ones((3, 3))), "needs a symmetric matrix >= 0"),
        (lambda: on_graph("parabolic", np.full((3, 3), np.nan)), "NaN"),
        (lambda: on_graph("parabolic", W).init(0, N + 1, 1.0), f"needs a multiple of {N} nodes"),
        (lambda: on_graph("hyperbolic", W).init(0, N, 1.0), "needs an even number of channels"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_graphs_of_the_same_size_have_names_of_their_own():
    path = np.diag([1.0, 1.0], 1)
    names = [on_graph("parabolic", W + W.T).name for W in (path, 2 * path, path + np.eye(3, k=2), path)]
    assert names[0] == names[3] and len(set(names)) == 3


def test_dynamics_of_graphs_are_themselves_after_a_process_boundary():
    field = on_graph("parabolic", W)
    assert pickle.loads(pickle.dumps(field)) is field
