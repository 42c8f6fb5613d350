"""Softmax and logistic regression.

Which class, if scores are linear in the features: softmax for any number of classes, logistic for two?
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from numdl.estimators.linear.base import LinearClassifier


class SoftmaxClassifier(LinearClassifier):
    """Softmax regression for k >= 2 classes, with a quadratic penalty whose size is found.

        min_W  mean_i w_i (-log softmax(W [x_i; 1])_{c_i}) + alpha/2 ||L (W_m - W_ref)'||^2

    The intercepts are not penalised. ``alpha = 1 / (n C)`` is that of scikit-learn's ``LogisticRegression(C)``.

    Args:
        alpha: the penalty's size, not negative, in units of the mean loss; or what chooses it: ``"loo"`` (approximate
            leave-one-out by one Newton step), ``"cv"`` (five folds), ``"evidence"`` (Laplace's approximation),
            ``"auto"`` (leave-one-out up to 1000 unknowns, else folds).
        operator: L on the features, None for the identity, an array (r, d) or a lineax operator. With ``standardize``
            it acts on the coefficients of standardised features.
        p_ref: prior coefficients, (d,) or (k, d), in the units of ``coef_``; None for zero.
        standardize: whether features get mean 0 and deviation 1 first, so that one alpha suits them all. Leave it out
            where their units agree, as those of pixels do.
        solver: ``"newton-cg"``, ``"lbfgs"``, ``"gauss-newton"`` (dense), ``"steepest-descent"``, ``"nonlinear-cg"``, or
            ``"auto"``: dense up to 400 unknowns, else ``"newton-cg"``.
        max_iter: steps at most, for each alpha.
        tol: norm of the gradient, relative to max(1, objective), at which a fit ends.
        dtype: ``"float64"`` or ``"float32"``.
        warm_start: whether a fit begins at the last one.
        verbose: print every so many steps; 0 for none.
        random_state: of the folds.
        class_weight: factors on the weights of rows: None, "balanced" for the same total of each class, or a dictionary
            from labels.

    Attributes:
        coef_: (k, d), for the features as given.
        intercept_: (k,), with mean 0 in the standardised features.
        coef_std_: standard errors of ``coef_`` from the Fisher information, in the same shape: how far the coefficients
            move with the labels, not how far the penalty holds them from the truth; see
            ``numdl.estimators.linear.errors``. For at most 2000 unknowns, as they need the matrix.
        intercept_std_: those of ``intercept_``.
        classes_: labels in sorted order.
        alpha_: the penalty's size.
        path_: columns ``alpha``, ``criterion``, ``objective`` and ``iterations``: every alpha that was tried.
        status_: why the fit ended, code and sentence.
        history_: one array per recorded quantity, of the fit at ``alpha_``.
        n_iter_: its number of steps.
        solver_: what ``"auto"`` stood for.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from numdl import SoftmaxClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SoftmaxClassifier().fit(X, y)
        >>> bool(model.score(X, y) > 0.95)
        True
    """

    def _targets(self, codes: np.ndarray) -> tuple[str, np.ndarray]:
        return "softmax", np.eye(len(self.classes_))[codes]

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores, (n, k); for two classes their difference, (n,).

        Args:
            X: rows, (n, d).

        Returns:
            Larger is more probable; columns in the order of ``classes_``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        scores = self._scores(X, "decision_function")
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, (n, k).

        Args:
            X: rows, (n, d).

        Returns:
            Rows that sum to 1, columns in the order of ``classes_``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        return softmax(self._scores(X, "predict_proba"), axis=1)

    def _log_p(self, X: Any, call: str) -> np.ndarray:
        return log_softmax(self._scores(X, call), axis=1)


class LogisticClassifier(LinearClassifier):
    """Logistic regression for two classes: one score, positive for the second of ``classes_``.

    Parameters and attributes of ``SoftmaxClassifier``, with ``coef_ (1, d)`` and ``intercept_ (1,)``. At the same
    alpha it is not the softmax of two classes, whose scores share the penalty: that one has twice the alpha there.

    Examples:
        >>> import numpy as np
        >>> from numdl import LogisticClassifier
        >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
        >>> LogisticClassifier(alpha=0.1).fit(X, ["no", "no", "yes", "yes"]).predict([[-3.0], [3.0]])
        array(['no', 'yes'], dtype='<U3')
    """

    def _codes(self, call: str, y: Any) -> np.ndarray:
        codes = super()._codes(call, y)
        if len(self.classes_) > 2:
            raise ValueError(
                f"{call}: Only binary classification is supported. The type of the target is multiclass: y holds "
                f"{len(self.classes_)} classes. Use SoftmaxClassifier."
            )
        return codes

    def _targets(self, codes: np.ndarray) -> tuple[str, np.ndarray]:
        return "logistic", codes.astype(np.float64)[:, None]

    def decision_function(self, X: Any) -> np.ndarray:
        """The score, (n,), positive for the second class.

        Args:
            X: rows, (n, d).

        Returns:
            Logarithm of the odds.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        return self._scores(X, "decision_function")[:, 0]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of both classes, (n, 2).

        Args:
            X: rows, (n, d).

        Returns:
            Rows that sum to 1, columns in the order of ``classes_``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        scores = self._scores(X, "predict_proba")[:, 0]
        return np.column_stack([expit(-scores), expit(scores)])

    def _log_p(self, X: Any, call: str) -> np.ndarray:
        scores = self._scores(X, call)[:, 0]
        return np.column_stack([log_expit(-scores), log_expit(scores)])

    def __sklearn_tags__(self) -> Any:
        """Two classes only."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
