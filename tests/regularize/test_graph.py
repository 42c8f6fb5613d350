"""The graph Laplacian: its quadratic form by loops, spectra, clusters, and labels that spread harmonically."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import make_circles
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from numdl.regularize import graph
from numdl.regularize.graph import graph_laplacian, neighbour_weights, smoothest, spectral_clusters, spread_labels


def weights_of(x, q=5, kind="gaussian"):
    distances, neighbours = NearestNeighbors(n_neighbors=q).fit(x).kneighbors()
    return neighbour_weights(neighbours, distances, kind)


def cloud(n=40, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2))


def quadratic_form(W, f, normalized):
    """``1/2 sum_ij W_ij (f_i - f_j)^2`` with loops."""
    W = W.toarray()
    degree = W.sum(axis=1)
    if normalized:
        f = f / np.sqrt(degree)
    return 0.5 * sum(W[i, j] * (f[i] - f[j]) ** 2 for i in range(len(f)) for j in range(len(f)))


@pytest.mark.parametrize("kind", ["gaussian", "connectivity"])
@pytest.mark.parametrize("normalized", [False, True])
def test_quadratic_form_is_the_sum_over_edges(kind, normalized):
    W = weights_of(cloud(), kind=kind)
    L = graph_laplacian(W, normalized=normalized)
    f = np.random.default_rng(1).normal(size=40)
    np.testing.assert_allclose(f @ (L @ f), quadratic_form(W, f, normalized), rtol=1e-12)
    assert abs(f @ (L @ f) / quadratic_form(W, f, not normalized) - 1) > 0.01  # mutant: the other Laplacian
    np.testing.assert_allclose(L.toarray(), L.toarray().T, atol=1e-15)
    assert np.linalg.eigvalsh(L.toarray())[0] > -1e-12


def test_weights_scale_locally():
    x = cloud()
    W = weights_of(x)
    np.testing.assert_allclose(weights_of(1000 * x).toarray(), W.toarray(), atol=1e-12)
    assert np.all((W.data > 0) & (W.data <= 1))
    assert W.diagonal().max() == 0
    distances = np.sort(np.linalg.norm(x[:, None] - x, axis=2), axis=1)[:, 5]
    i, j = (int(a[0]) for a in W.nonzero())
    expected = np.exp(-np.sum((x[i] - x[j]) ** 2) / (distances[i] * distances[j]))
    np.testing.assert_allclose(W[i, j], expected)


def test_copies_of_a_point_are_joined():
    W = weights_of(np.zeros((8, 2)), q=3)
    assert np.all(W.data == 1)


def test_eigenvectors_agree_with_the_dense_ones(monkeypatch):
    L = graph_laplacian(weights_of(cloud(200), q=8))
    dense = smoothest(L, 4)
    monkeypatch.setattr(graph, "DENSE", 0)
    values, vectors = smoothest(L, 4)
    np.testing.assert_allclose(values, dense[0], atol=1e-9)
    np.testing.assert_allclose(L @ vectors, vectors * values, atol=1e-8)
    assert abs(values[0]) < 1e-10


def test_the_circle_has_its_known_spectrum():
    n = 12
    ring = scipy.sparse.csr_array(np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1))
    exact = np.sort(2 - 2 * np.cos(2 * np.pi * np.arange(n) / n))
    np.testing.assert_allclose(smoothest(graph_laplacian(ring), 5)[0], exact[:5], atol=1e-12)


def test_rings_are_told_apart():
    x, ring = make_circles(300, noise=0.04, factor=0.5, random_state=0)
    assert adjusted_rand_score(ring, spectral_clusters(weights_of(x, 8), 2)) == 1.0


@pytest.mark.parametrize("method", ["direct", "cg"])
def test_spread_labels_is_the_dense_minimiser(method):
    L = graph_laplacian(weights_of(cloud(), q=8))
    c = np.random.default_rng(2).normal(size=(40, 2))
    labelled = np.arange(40) % 7 == 0
    f = spread_labels(L, c, labelled, 0.3, method=method)
    M = np.diag(labelled / labelled.sum())
    np.testing.assert_allclose(f, np.linalg.solve(M + 0.3 * L.toarray(), M @ c), atol=1e-7)
    wrong = np.linalg.solve(np.diag(labelled * 1.0) + 0.3 * L.toarray(), labelled[:, None] * c)
    assert np.max(np.abs(f - wrong)) > 1e-2  # mutant: the sum instead of the mean


def test_a_chain_interpolates_linearly():
    n = 11
    chain = scipy.sparse.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[-1, 1])
    ends = np.zeros((n, 1))
    ends[-1] = 1.0
    labelled = np.isin(np.arange(n), [0, n - 1])
    f = spread_labels(graph_laplacian(chain), ends, labelled, 1e-9)
    np.testing.assert_allclose(f[:, 0], np.linspace(0, 1, n), atol=1e-7)


def test_parts_without_label_stay_open():
    W = scipy.sparse.block_diag([scipy.sparse.coo_array(np.ones((3, 3)) - np.eye(3))] * 2, format="csr")
    f = spread_labels(graph_laplacian(W), np.full((6, 1), 2.0), np.arange(6) == 1, 1e-3)
    np.testing.assert_allclose(f[:3, 0], 2.0)
    assert np.isnan(f[3:]).all()


def test_what_cannot_be_asked_is_refused():
    L, c, none = graph_laplacian(weights_of(cloud())), np.zeros((40, 1)), np.zeros(40, bool)
    with pytest.raises(ValueError, match="no point is labelled"):
        spread_labels(L, c, none, 1.0)
    with pytest.raises(ValueError, match=r"alpha=0.0\): needs a finite number > 0"):
        spread_labels(L, c, ~none, 0.0)
    with pytest.raises(ValueError, match="Use one of 'auto', 'direct', 'cg'"):
        spread_labels(L, c, ~none, 1.0, method="qr")
    with pytest.raises(ValueError, match=r"smoothest\(k=41\)"):
        smoothest(L, 41)
    with pytest.raises(ValueError, match="Use one of 'gaussian', 'connectivity'"):
        weights_of(cloud(), kind="rbf")
