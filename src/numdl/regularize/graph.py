"""Graph Laplacian.

What is smooth on a cloud of points: functions that change little between neighbours, by the graph Laplacian?

Neighbours are joined by weights ``W = W' >= 0``; with degrees ``D = diag(W 1)`` the Laplacian is ``L = D - W`` and
``f' L f = 1/2 sum_ij W_ij (f_i - f_j)^2``; the normalised one is ``I - D^-1/2 W D^-1/2``. Both are symmetric, not
negative, and have one zero eigenvalue for each connected part.

Sources: von Luxburg, Statistics and Computing 17 (2007) 395-416; Zelnik-Manor and Perona, NIPS 17 (2004), sec. 2 (local
scaling); Zhu, Ghahramani and Lafferty, ICML 2003 (harmonic functions); Belkin, Matveeva and Niyogi, COLT 2004.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg, eigsh, splu

from numdl import checks

DENSE = 1000
"""Points up to which all eigenvectors are computed."""

DIRECT = 20_000
"""Points up to which "auto" factorises; beyond it, the factors of a graph outgrow conjugate gradients."""


def local_scales(distances: Float[np.ndarray, "n q"]) -> Float[np.ndarray, " n"]:
    """Distance to the last neighbour of each point; 1 where all of them are copies of it.

    Args:
        distances: to the nearest neighbours, ascending, (n, q).

    Returns:
        (n,), in the unit of the distances.
    """
    last = distances[:, -1]
    return np.where(last > 0, last, 1.0)


def neighbour_weights(
    neighbours: Int[np.ndarray, "n q"], distances: Float[np.ndarray, "n q"], kind: str = "gaussian"
) -> Any:
    """Symmetric weights of the graph that joins each point with its q nearest.

    Args:
        neighbours: numbers of the points nearest to each, itself left out, (n, q).
        distances: to them, ascending, (n, q); as ``kneighbors`` of scikit-learn gives both.
        kind: "gaussian" for ``exp(-d_ij^2 / (s_i s_j))``, s the distance to the q-th neighbour, or "connectivity" for
            1.

    Returns:
        Sparse array (n, n), zero diagonal; joined are points of which one is a neighbour of the other.

    Raises:
        ValueError: unknown kind.
    """
    n, q = neighbours.shape
    checks.choice("neighbour_weights", "kind", kind, ("gaussian", "connectivity"))
    values = np.ones((n, q))
    if kind == "gaussian":
        scales = local_scales(distances)
        values = np.exp(-(distances**2) / (scales[:, None] * scales[neighbours]))
    rows = np.repeat(np.arange(n), q)
    one_way = scipy.sparse.csr_array((values.ravel(), (rows, neighbours.ravel())), shape=(n, n))
    return one_way.maximum(one_way.T).tocsr()


def graph_laplacian(weights: Any, *, normalized: bool = False) -> Any:
    """``D - W``, or ``I - D^-1/2 W D^-1/2`` (rows of isolated points are zero in both).

    Args:
        weights: W, sparse, symmetric, not negative, zero diagonal, (n, n).
        normalized: which of them.

    Returns:
        Sparse array, (n, n).

    Examples:
        >>> from scipy import sparse
        >>> from numdl.regularize.graph import graph_laplacian
        >>> W = sparse.csr_array([[0.0, 1.0, 0.0], [1.0, 0.0, 2.0], [0.0, 2.0, 0.0]])
        >>> graph_laplacian(W).toarray()
        array([[ 1., -1.,  0.],
               [-1.,  3., -2.],
               [ 0., -2.,  2.]])
    """
    degrees = np.asarray(weights.sum(axis=1)).ravel()
    L = scipy.sparse.diags_array(degrees) - weights
    if normalized:
        root = scipy.sparse.diags_array(np.where(degrees > 0, 1 / np.sqrt(np.where(degrees > 0, degrees, 1)), 0.0))
        L = root @ L @ root
    return L.tocsr()


def smoothest(laplacian: Any, k: int) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "n k"]]:
    """The k smallest eigenvalues of a Laplacian and their vectors.

    Args:
        laplacian: symmetric, not negative, (n, n).
        k: how many, 1 to n.

    Returns:
        Eigenvalues, ascending, (k,), and orthonormal vectors, (n, k).

    Raises:
        ValueError: there are not so many.
    """
    n = laplacian.shape[0]
    k = checks.whole("smoothest", "k", k, least=1, most=n, hint=f"The graph has {n} points.")
    if n <= DENSE or k > n // 2:
        values, vectors = np.linalg.eigh(laplacian.toarray())
        return values[:k], vectors[:, :k]
    # Shifted a little below zero the matrix is definite, and its inverse has the wanted values far from all others.
    shift = -1e-3 * float(laplacian.diagonal().mean())
    values, vectors = eigsh(laplacian.tocsc(), k, sigma=shift, v0=np.ones(n))
    order = np.argsort(values)
    return values[order], vectors[:, order]


def spectral_clusters(weights: Any, k: int, seed: int = 0) -> Int[np.ndarray, " n"]:
    """Parts of a graph that few weights join: k-means on the smoothest vectors, rows scaled to length 1.

    Args:
        weights: W, (n, n).
        k: number of parts.
        seed: of k-means.

    Returns:
        Number of the part of each point, (n,).

    Source: Ng, Jordan and Weiss, NIPS 14 (2001).
    """
    from sklearn.cluster import k_means

    vectors = smoothest(graph_laplacian(weights, normalized=True), k)[1]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = vectors / np.where(lengths > 0, lengths, 1.0)
    n_init: Any = 10
    return np.asarray(k_means(rows, k, n_init=n_init, random_state=seed)[1])


def spread_labels(
    laplacian: Any,
    c: Float[np.ndarray, "n k"],
    labelled: Bool[np.ndarray, " n"],
    alpha: float,
    *,
    method: str = "auto",
) -> Float[np.ndarray, "n k"]:
    """Minimise ``1/(2 l) sum over the l labelled ||f_i - c_i||^2 + alpha/2 sum_j f_j' L f_j``.

    For ``alpha -> 0`` labelled points keep their values and all others become harmonic. For ``D - W`` values stay
    within those of the labels.

    Args:
        laplacian: L, symmetric, not negative, (n, n).
        c: values, read at labelled points only, (n, k).
        labelled: which points are, (n,).
        alpha: positive.
        method: "direct" factorises, "cg" needs products only, "auto" takes the first up to 20000 points.

    Returns:
        f, (n, k); NaN in parts of the graph without any label, where f is not determined.

    Raises:
        ValueError: no label, an alpha that is not positive, or an unknown method.
    """
    if not labelled.any():
        raise ValueError("spread_labels: no point is labelled, needs at least one. Label a point.")
    checks.number("spread_labels", "alpha", alpha, above=0, hint="Give a small one.")
    checks.choice("spread_labels", "method", method, ("auto", "direct", "cg"))
    part = connected_components(laplacian, directed=False)[1]
    known = np.flatnonzero(np.isin(part, part[labelled]))
    fixed = labelled[known].astype(float) / labelled.sum()
    A = (scipy.sparse.diags_array(fixed) + alpha * laplacian[known][:, known]).tocsc()
    right = fixed[:, None] * np.where(labelled[known, None], c[known], 0.0)
    f = np.full(c.shape, np.nan)
    if method == "direct" or (method == "auto" and len(known) <= DIRECT):
        f[known] = splu(A, permc_spec="MMD_AT_PLUS_A").solve(right)
    else:
        jacobi = scipy.sparse.diags_array(1 / A.diagonal())
        for j in range(c.shape[1]):
            f[known, j] = cg(A, right[:, j], rtol=1e-10, maxiter=10 * len(known), M=jacobi)[0]
    return f
