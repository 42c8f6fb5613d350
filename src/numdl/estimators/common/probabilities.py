"""Logarithms of class probabilities: what do all classifiers make of those that they compute?"""

from __future__ import annotations

from typing import Any

import numpy as np


class LogProbabilities:
    """Classifiers that compute logarithms of probabilities, finite where these underflow, in ``_log_p``."""

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities, finite where these underflow, (n, k).

        Args:
            X: rows, (n, d).

        Returns:
            Columns in the order of ``classes_``.

        Raises:
            NotFittedError: not fitted.
            ValueError: wrong columns, or entries that are not finite.
        """
        return self._log_p(X, "predict_log_proba")

    def decision_function(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities, (n, k); for two classes their difference, (n,).

        Args:
            X: rows, (n, d).

        Returns:
            Larger is more probable; columns in the order of ``classes_``.

        Raises:
            NotFittedError: not fitted.
            ValueError: wrong columns, or entries that are not finite.
        """
        scores = self._log_p(X, "decision_function")
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def _log_p(self, X: Any, call: str) -> np.ndarray:
        """Logarithms of the probabilities (n, k) of checked rows; ``call`` is the method to name."""
        raise NotImplementedError(type(self).__name__)
