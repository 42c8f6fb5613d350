"""Semi-supervised classification on a graph: which class, if few points have labels and neighbours rarely differ?"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted

from numdl import checks
from numdl.contracts import Status
from numdl.estimators.common.intake import checked_table, labels_of
from numdl.estimators.common.saving import SaveMixin, require_classes, require_numbers
from numdl.regularize.graph import graph_laplacian, local_scales, neighbour_weights, spread_labels


class GraphRegularizedClassifier(SaveMixin, ClassifierMixin, BaseEstimator):
    """Least squares on the labelled points, smooth along the graph of all points.

        min_f  1/(2 l) sum over the l labelled ||f_i - c_i||^2  +  alpha/2 trace(f' L f)

    with one-hot c and the graph Laplacian L of the nearest neighbours. Rows with the label -1 have none, as in
    scikit-learn's ``semi_supervised``.

    Args:
        n_neighbors: points that each point is joined with.
        alpha: positive; small values keep the given labels.
        weights: "gaussian" with local scaling, or "connectivity".
        normalized: whether L is ``I - D^-1/2 W D^-1/2`` instead of ``D - W``: of digits with one label for each class
            (median of ten draws) 90 % are right instead of 86 %, of two moons 99.5 % with both.
        method: "direct", "cg" or "auto", see ``numdl.regularize.graph.spread_labels``.

    Attributes:
        classes_: labels in sorted order, -1 left out.
        label_distributions_: shares of the classes at the points of ``fit``, (n, k).
        transduction_: their labels, (n,).
        status_: whether all points are joined to a label.

    Sources: Zhu, Ghahramani and Lafferty, ICML 2003; Belkin, Matveeva and Niyogi, COLT 2004.

    Examples:
        >>> import numpy as np
        >>> from numdl import GraphRegularizedClassifier
        >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
        >>> model = GraphRegularizedClassifier(n_neighbors=2).fit(X, [0, -1, -1, 1, -1, -1])
        >>> model.transduction_
        array([0, 0, 0, 1, 1, 1])
    """

    n_features_in_: int
    feature_names_in_: np.ndarray

    _left_out = ("_index", "_scales")

    def __init__(
        self,
        n_neighbors: int = 10,
        alpha: float = 1e-3,
        *,
        weights: str = "gaussian",
        normalized: bool = True,
        method: str = "auto",
    ) -> None:
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.weights = weights
        self.normalized = normalized
        self.method = method

    def fit(self, X: Any, y: Any) -> Self:
        """Spread the labels over all rows.

        Args:
            X: points, (n, d), labelled or not, in columns of comparable units.
            y: labels, (n,); -1 for none.

        Returns:
            The fitted estimator.

        Raises:
            ValueError: a parameter or the data cannot be used.
        """
        call = type(self).__name__
        checks.whole(call, "n_neighbors", self.n_neighbors, least=1)
        checks.number(call, "alpha", self.alpha, above=0)
        checks.choice(call, "weights", self.weights, ("gaussian", "connectivity"))
        checks.choice(call, "method", self.method, ("auto", "direct", "cg"))
        X, y = checked_table(self, f"{call}.fit", X, y, y_numeric=False, dtype=np.float64)
        y = labels_of(f"{call}.fit", y)
        labelled = y != -1 if y.dtype.kind in "iufb" else np.ones(len(y), bool)
        if len(X) < 2 or not labelled.any():
            raise ValueError(
                f"{call}.fit: n_samples = {len(X)}, {labelled.sum()} of them labelled, needs at least 2 and 1. Add "
                "rows, or labels other than -1."
            )
        self.classes_, codes = np.unique(y[labelled], return_inverse=True)
        c = np.zeros((len(X), len(self.classes_)))
        c[labelled, codes] = 1.0
        self._build(X)
        distances, neighbours = self._index.kneighbors()
        W = neighbour_weights(neighbours, distances, self.weights)
        f = spread_labels(graph_laplacian(W, normalized=self.normalized), c, labelled, self.alpha, method=self.method)
        unknown = np.isnan(f[:, 0])
        f[unknown] = c[labelled].mean(axis=0)
        self.label_distributions_ = _shares(f)
        self.transduction_ = self.classes_[np.argmax(self.label_distributions_, axis=1)]
        self.n_iter_ = 1
        self.status_ = Status("converged", "All points are joined to a label.")
        if unknown.any():
            self.status_ = Status(
                "converged",
                f"{unknown.sum()} of {len(X)} points are in parts of the graph without a label and got the shares of "
                "the labels. Label one there, or raise n_neighbors.",
            )
            warnings.warn(f"{call}: {self.status_.message}", ConvergenceWarning, stacklevel=2)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Shares of the classes at new points: those of their neighbours in ``fit``, weighted as the graph is.

        Args:
            X: rows, (n, d).

        Returns:
            Rows that sum to 1, columns in the order of ``classes_``, (n, k).

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        check_is_fitted(self, "label_distributions_")
        X = checked_table(self, f"{type(self).__name__}.predict", X, reset=False, dtype=np.float64)
        distances, neighbours = self._index.kneighbors(X)
        w = np.ones_like(distances)
        if self.weights == "gaussian":
            scales = local_scales(distances)[:, None] * self._scales[neighbours]
            # relative to the nearest: far from all points every weight would vanish
            w = np.exp((distances[:, :1] ** 2 - distances**2) / scales)
        f = np.einsum("nq,nqk->nk", w, self.label_distributions_[neighbours])
        return f / w.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Labels of new points: the class with the largest share among their neighbours.

        Args:
            X: rows, (n, d).

        Returns:
            (n,).

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        shares = self.predict_proba(X)
        return self.classes_[np.argmax(shares, axis=1)]

    def _restore(self) -> None:
        self._build(self._points)

    def _require_sound(self) -> None:
        """Refuse contents of a file that do not belong together, whatever its checksum says."""
        (n, d), k = self._points.shape, len(self.classes_)
        shares = self.label_distributions_
        if self.n_features_in_ != d or shares.shape != (n, k) or self.transduction_.shape != (n,):
            raise ValueError(f"{n} points of {d} inputs, {self.n_features_in_} expected, and shares {shares.shape}")
        require_classes(self.classes_)
        require_numbers([shares, self.predict_proba(self._points)], k)

    def _build(self, X: Float[np.ndarray, "n d"]) -> None:
        """Index of the points, and their local scales."""
        self._points = X
        self._index = NearestNeighbors(n_neighbors=min(int(self.n_neighbors), len(X) - 1)).fit(X)
        self._scales = local_scales(self._index.kneighbors()[0])


def _shares(f: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """Rows that sum to 1; for ``D - W`` they do but for rounding, which may leave negative zeros."""
    f = np.maximum(f, 0.0)
    total = f.sum(axis=1, keepdims=True)
    return np.where(total > 0, f / np.where(total > 0, total, 1.0), 1 / f.shape[1])
