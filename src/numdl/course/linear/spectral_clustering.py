"""Spectral clustering on a graph Laplacian: what does the graph of neighbours know that distances do not?

Two moons that interlace. K-means cuts them straight; the smoothest vectors of the graph Laplacian are constant on each
moon, so that clusters are found without any label, and one label for each moon reaches all its points.

Sources: Ng, Jordan and Weiss, NIPS 14 (2001); von Luxburg, Statistics and Computing 17 (2007) 395-416; Belkin, Niyogi
and Sindhwani, JMLR 7 (2006), sec. 4.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Spectral clustering: two moons by the graph Laplacian, without labels and with one each"
PARAMETERS = {
    "noise": Parameter(0.08, 0.0, 0.3, "standard deviation of the points across their moon"),
    "neighbours": Parameter(10, 3, 50, "edges of a point to its nearest ones"),
}


def run(
    quick: bool,
    random_state: int,
    *,
    noise: float = PARAMETERS["noise"].default,
    neighbours: float = PARAMETERS["neighbours"].default,
) -> Outcome:
    """Cluster and spread labels.

    Args:
        quick: fewer points.
        random_state: seed of the points, of k-means and of the labels.
        noise: standard deviation of the points across their moon.
        neighbours: edges of a point to its nearest ones.

    Returns:
        Shares of points in the right moon, eigenvalues, claims and figure.
    """
    from sklearn.cluster import k_means
    from sklearn.neighbors import NearestNeighbors

    from numdl.data import TOYS
    from numdl.regularize.graph import graph_laplacian, neighbour_weights, smoothest, spectral_clusters, spread_labels

    data = TOYS["double-moons"](300 if quick else 2000, random_state=random_state, noise=noise)
    x, moon = data.x, data.labels
    distances, nearest_points = NearestNeighbors(n_neighbors=int(neighbours)).fit(x).kneighbors()
    weights = neighbour_weights(nearest_points, distances)
    laplacian = graph_laplacian(weights, normalized=True)
    values, vectors = smoothest(laplacian, 4)
    rng = np.random.default_rng(random_state)
    labelled = np.zeros(len(x), bool)
    labelled[[rng.choice(np.flatnonzero(moon == j)) for j in (0, 1)]] = True
    spread = spread_labels(graph_laplacian(weights), data.c, labelled, 1e-6)
    nearest = moon[labelled][np.argmin(np.linalg.norm(x[:, None] - x[labelled], axis=2), axis=1)]
    found = {
        "k-means": k_means(x, 2, random_state=random_state)[1],
        "spectral": spectral_clusters(weights, 2, seed=random_state),
        "one label each": spread.argmax(axis=1),
        "nearest label": nearest,
    }
    for name in ("k-means", "spectral"):
        found[name] = _named(found[name], moon)
    right = {name: float(np.mean(labels == moon)) for name, labels in found.items()}
    numbers = {"right": right, "eigenvalues": values, "points": len(x)}
    most = 0.9 if quick else 0.97
    claims = [
        at_least("Spectral clustering puts into the right moon a share of", right["spectral"], most),
        at_most("K-means only", right["k-means"], 0.92),
        at_least("One label for each moon, spread over the graph, is right for", right["one label each"], most),
        at_most("The nearest of these labels only for", right["nearest label"], 0.95),
        at_least("The third eigenvalue is above the second by a factor of", values[2] / max(values[1], 1e-15), 1.5),
    ]
    return Outcome(
        numbers, claims, partial(_draw, x, vectors[:, 1] * np.sign(vectors[:, 1] @ (moon - 0.5)), found, right)
    )


def _named(clusters: np.ndarray, moon: np.ndarray) -> np.ndarray:
    """Clusters 0 and 1 have no names: they get those of the moons that fit better."""
    return clusters if np.mean(clusters == moon) >= 0.5 else 1 - clusters


def _draw(x: np.ndarray, second: np.ndarray, found: dict[str, Any], right: dict[str, float], figure: Figure) -> None:
    """Points in the colours of each answer, and the second vector over them."""
    from numdl.plots.canvas import BLUE, ORANGE

    panels = figure.subplots(1, 3, sharey=True)
    for ax, name in zip(panels, ("k-means", "spectral"), strict=False):
        ax.scatter(*x.T, c=np.where(found[name] == 0, BLUE, ORANGE), s=6)
        ax.set(title=f"{name}: {100 * right[name]:.1f} % right", xlabel="x₁")
    points = panels[2].scatter(*x.T, c=second, s=6, cmap="coolwarm")
    figure.colorbar(points, ax=panels[2], label="second vector")
    panels[2].set(title="Second smoothest vector", xlabel="x₁")
    panels[0].set_ylabel("x₂")
