"""Softmax regression on random features: a convex problem whose scores are as nonlinear as its features."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state

from numdl.estimators.common.intake import checked_table, encode_labels, require_classes
from numdl.estimators.common.probabilities import LogProbabilities
from numdl.estimators.common.weights import copies_once, raw_weights, relative, with_class_weight
from numdl.estimators.linear.classifier import SoftmaxClassifier
from numdl.estimators.linear.parameters import check_linear_parameters
from numdl.estimators.random_features.base import RandomFeaturesBase


class RandomFeaturesClassifier(LogProbabilities, ClassifierMixin, RandomFeaturesBase):
    """``SoftmaxClassifier`` on features ``sigma(K x + b)`` with drawn K and b; see there for what is minimised.

    The features of all rows are held: n m numbers for n rows and m features.

    Args:
        width: number m of features.
        activation: "sine" (approximates a Gaussian kernel), "tanh" or "relu".
        alpha: the penalty's size on the coefficients of the features, or what chooses it; see ``SoftmaxClassifier``.
        scale: standard deviation of ``K x`` on scaled inputs. "auto" takes the power of two from 1/16 to 16 with which
            ridge regression of the classes' indicators errs least on rows left out, of at most 2000.
        standardize: whether each column of X is scaled to deviation 1; otherwise all share one factor, for columns
            whose units agree, as those of pixels do.
        solver: see ``SoftmaxClassifier``.
        max_iter: steps at most, for each alpha.
        tol: norm of the gradient, relative to max(1, objective), at which a fit ends.
        dtype: of features and fit, "float64" or "float32".
        class_weight: see ``SoftmaxClassifier``.
        verbose: print every so many steps; 0 for none.
        random_state: of the features, of the rows that choose the scale, and of the folds.

    Attributes:
        classes_: labels in sorted order.
        scale_: used for K.
        features_: rows in the units of the data to features.
        softmax_: the fitted ``SoftmaxClassifier`` of the features, with ``alpha_``, ``path_``, ``coef_`` and
            ``coef_std_``.
        n_iter_: its number of steps.
        status_: why its fit ended.

    Sources: Rahimi and Recht, NIPS 20 (2007); Huang, Zhu and Siew, Neurocomputing 70 (2006).

    Examples:
        >>> import numpy as np
        >>> from numdl import RandomFeaturesClassifier
        >>> x = np.linspace(-1, 1, 40)[:, None]
        >>> model = RandomFeaturesClassifier(50, random_state=0).fit(x, np.where(abs(x[:, 0]) < 0.5, "in", "out"))
        >>> model.predict([[0.0], [0.9]]).tolist()
        ['in', 'out']
    """

    def __init__(
        self,
        width: int = 500,
        activation: str = "sine",
        alpha: float | str = "auto",
        scale: float | str = "auto",
        *,
        standardize: bool = True,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-6,
        dtype: str = "float64",
        class_weight: Any = None,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.width = width
        self.activation = activation
        self.alpha = alpha
        self.scale = scale
        self.standardize = standardize
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.dtype = dtype
        self.class_weight = class_weight
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Draw features and fit on ``X (n, d)`` and labels ``y (n,)``.

        Args:
            X: samples, (n, d), numbers.
            y: labels, (n,).
            sample_weight: relative weights of the rows, such as ``1 / sigma^2``, (n,), not negative.

        Returns:
            The fitted estimator. Ctrl-C ends the fit at the best point so far, with status ``interrupted``.

        Raises:
            ValueError: a parameter or the data cannot be used; the message names what and where.
        """
        call = f"{type(self).__name__}.fit"
        self._check_map_parameters()
        check_linear_parameters(self)
        X, y = checked_table(self, call, X, y, y_numeric=False)
        classes, codes = encode_labels(call, y)
        counted = copies_once(raw_weights(call, sample_weight, X), X, codes[:, None])
        weights = with_class_weight(self, relative(counted), y)
        used = weights > 0
        require_classes(call, codes[used])
        self._draw(X[used], np.eye(len(classes))[codes[used]], weights[used])
        features = self.features_(X, self.dtype)
        folds = int(check_random_state(self.random_state).randint(2**31 - 1))
        settings = {name: getattr(self, name) for name in ("alpha", "solver", "max_iter", "tol", "dtype", "verbose")}
        softmax = SoftmaxClassifier(standardize=False, random_state=folds, **settings)
        self.softmax_ = softmax.fit(features, classes[codes], sample_weight=weights)
        self.classes_, self.n_iter_, self.status_ = softmax.classes_, softmax.n_iter_, softmax.status_
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores, (n, k); for two classes their difference, (n,).

        Args:
            X: rows, (n, d).

        Returns:
            Larger is more probable; columns in the order of ``classes_``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        return self._asked("decision_function", X)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable labels, (n,).

        Args:
            X: rows, (n, d).

        Returns:
            Labels of the type given to ``fit``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        return self._asked("predict", X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, (n, k).

        Args:
            X: rows, (n, d).

        Returns:
            Rows that sum to 1, columns in the order of ``classes_``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        return self._asked("predict_proba", X)

    def _log_p(self, X: Any, call: str) -> np.ndarray:
        return self._asked("predict_log_proba", X)

    def _asked(self, method: str, X: Any) -> np.ndarray:
        """What the softmax says of the features, in blocks of rows."""
        X = self._rows(X, method)
        answers = [getattr(self.softmax_, method)(block) for _, block in self.features_.blocks(X, self.dtype)]
        return np.concatenate(answers)
