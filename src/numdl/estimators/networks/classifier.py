"""Network classifiers.

What makes classifiers of the networks: cross entropy instead of squares, probabilities instead of values?
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from numdl.estimators.common.intake import encode_labels, known_codes, require_classes
from numdl.estimators.common.probabilities import LogProbabilities
from numdl.estimators.common.weights import with_class_weight
from numdl.estimators.networks.base import NetworkBase


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class NetworkClassifier(LogProbabilities, ClassifierMixin, NetworkBase):
    """Networks for classes, whatever their family; the probabilities of the members are averaged."""

    class_weight: Any = None

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, (n, classes).

        Args:
            X: rows, (n, d).

        Returns:
            Rows that sum to 1, columns in the order of ``classes_``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        return self._probabilities(X, "predict_proba")

    def _log_p(self, X: Any, call: str) -> np.ndarray:
        from scipy.special import log_expit, log_softmax, logsumexp

        scores = self._member_scores(self._scaled(X, call))
        if scores.shape[2] == 1:
            each = np.concatenate([log_expit(-scores), log_expit(scores)], axis=2)
        else:
            each = log_softmax(scores, axis=2)
        return logsumexp(each, axis=0) - np.log(len(each))

    def _probabilities(self, X: Any, call: str) -> np.ndarray:
        from scipy.special import expit, softmax

        scores = self._member_scores(self._scaled(X, call))
        if scores.shape[2] == 1:
            positive = expit(scores[:, :, 0]).mean(axis=0)
            return np.stack([1 - positive, positive], axis=1)
        return softmax(scores, axis=2).mean(axis=0)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable labels, (n,).

        Args:
            X: rows, (n, d).

        Returns:
            Labels of the type given to ``fit``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[np.argmax(probabilities, axis=1)]

    def _loss(self, k: int) -> str:
        return "logistic" if k == 1 else "softmax"

    def _targets(self, call: str, y: Any) -> np.ndarray:
        self.classes_, codes = encode_labels(call, y)
        return self._one_hot(codes)

    def _weights(self, call: str, sample_weight: Any, X: np.ndarray, y: Any, c: np.ndarray) -> np.ndarray:
        codes = c @ np.arange(1.0, c.shape[1] + 1)[:, None]
        return with_class_weight(self, super()._weights(call, sample_weight, X, y, codes), y)

    def _require_targets(self, call: str, c: np.ndarray) -> None:
        require_classes(call, c)  # a class of several may have weight 0

    def _one_hot(self, codes: np.ndarray) -> np.ndarray:
        if len(self.classes_) == 2:
            return codes.astype(np.float64)[:, None]
        return np.eye(len(self.classes_))[codes]

    def _scale_targets(self, c: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return c

    def _encode(self, call: str, y: Any, n: int) -> np.ndarray:
        return self._one_hot(self._codes(call, "y_val", y, n))

    def _codes(self, call: str, name: str, y: Any, n: int) -> np.ndarray:
        """Numbers of the classes of rows that are not trained on, (n,)."""
        return known_codes(call, name, y, n, self.classes_)

    def _encode_scale(self, c: np.ndarray) -> np.ndarray:
        return c
