"""Which class is a picture of? Whitened patches, thresholds, averages, and a solved head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import ClassifierMixin

from numdl.contracts.threads import one_blas_thread
from numdl.estimators.common.intake import encode_labels, require_classes
from numdl.estimators.common.probabilities import LogProbabilities
from numdl.estimators.common.weights import sample_weights, with_class_weight
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.patches.base import PatchFeaturesBase
from numdl.estimators.patches.calibration import Calibration, calibrated, crossed, with_own_share
from numdl.estimators.patches.certifying import CertifiedMixin
from numdl.estimators.patches.head import Columns
from numdl.report.calibration import certainty_groups


class Learned(NamedTuple):
    """Rows of a fit that have a weight, and what is known of them.

    Attributes:
        images: (n, H, W, C), as given.
        codes: of their classes, (n,).
        w: weights of mean 1, (n,).
        left_out: log probabilities of each row by the others, (n, k).
        columns: their features.
        rng: source of further draws.
    """

    images: np.ndarray
    codes: np.ndarray
    w: np.ndarray
    left_out: np.ndarray
    columns: Columns
    rng: np.random.Generator


class PatchFeaturesClassifier(CertifiedMixin, LogProbabilities, ClassifierMixin, PatchFeaturesBase):
    """Classes of images by responses to whitened patches of the training images, with a ridge head.

    Responses beyond a threshold, of both signs, are averaged over the cells of a grid; the head is solved, and how
    strongly it is held follows from generalised cross validation. The number of filters doubles while that falls and
    the time allows. Each row is then left out exactly, which calibrates the probabilities. Nothing is compiled.

    Args:
        n_filters: number of filters, at least 2, or "auto".
        alpha: penalty of the mean misfit of scaled features, positive, or "gcv"; raised to where rounding ends.
        image_shape: (height, width) or (height, width, channels) of one image where X holds rows, channels of a pixel
            beside each other; None for arrays of images. Images over 48 pixels a side are reduced to at most 48 by
            means over rectangles of pixels.
        mirror: whether an image and its mirror image mean the same; "auto" to find out by the criterion.
        class_weight: factors on the weights of rows: None, "balanced" for the same total of each class, or a dictionary
            from labels.
        time_budget: seconds at most for the fit, positive, or None. 16 filters are fitted whatever it takes.
            What is found then depends on the machine.
        random_state: seed or generator that draws the patches.

    Attributes:
        classes_: labels in sorted order.
        filters_: the filters.
        weights_: of the head, (features, classes).
        mirror_: whether mirror images are taken for the same.
        alpha_: of the head.
        effective_dof_: effective degrees of freedom of one class, intercept included.
        stages_: number of filters and criterion of each stage, (stages, 2).
        leave_one_out_: log probabilities of the classes for each row, (n, k): its scores are those without it, and they
            become probabilities by what the other folds of rows tell; rows without weight are predicted.
        log_loss_: of these, in nats.
        left_out_error_: share of rows that are wrong without themselves.
        calibration_error_: mean distance of certainty and frequency of being right there.
        status_: what was found, in a sentence.

    Sources: those of the modules of ``numdl.estimators.patches``.

    Examples:
        >>> import numpy as np
        >>> from numdl.estimators import PatchFeaturesClassifier
        >>> X = np.random.default_rng(0).random((60, 8, 8))
        >>> X[:30, :, :4] += 1  # bright on the left
        >>> model = PatchFeaturesClassifier(8, random_state=0).fit(X, np.repeat(["left", "none"], 30))
        >>> model.predict(X[[0, -1]]).tolist()
        ['left', 'none']
    """

    calibration_: Calibration

    def __init__(
        self,
        n_filters: int | str = "auto",
        alpha: float | str = "gcv",
        *,
        image_shape: Any = None,
        mirror: bool | str = "auto",
        class_weight: Any = None,
        time_budget: float | None = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            n_filters,
            alpha,
            image_shape=image_shape,
            mirror=mirror,
            time_budget=time_budget,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, observe: Callable[[dict[str, Any]], object] | None = None
    ) -> Self:
        """Draw filters, solve the head, calibrate it.

        Args:
            X: images, (n, H, W), (n, H, W, C), or rows (n, H W C) with ``image_shape``.
            y: labels, (n,).
            sample_weight: relative weight of each row, (n,), not negative; a factor on all of them changes nothing.
            observe: called with a dictionary before each stage: ``phase``, what is tried, and ``seconds``.

        Returns:
            The fitted estimator. Ctrl-C ends the search with what there is, status ``interrupted``.

        Raises:
            ValueError: a parameter or the data cannot be used.
        """
        self._fit(X, y, sample_weight, observe)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, observe: Any) -> tuple[Learned, Clock]:
        """The fit, and what others may go on with."""
        call, rng, images, clock = self._begin(X, y, observe)
        self.classes_, codes = encode_labels(call, y)
        weights = with_class_weight(self, sample_weights(call, sample_weight, codes[:, None]), y)
        require_classes(call, codes[weights > 0])
        k, used = len(self.classes_), weights > 0
        c = np.eye(k)[codes]
        found, left, w = self._learn(images, c, weights, rng, clock)
        left, again = with_own_share(left, c[used], w), Clock(None)
        with one_blas_thread():
            self.calibration_ = again.insist(lambda: calibrated(left, codes[used], w))
            told = again.insist(lambda: crossed(left, codes[used], w))
        clock.interrupted |= again.interrupted
        if clock.interrupted:
            self.status_ = self.status_._replace(code="interrupted")
        self.log_loss_ = -float(w @ told[np.arange(len(w)), codes[used]]) / float(w.sum())
        self.left_out_error_ = float(w @ (told.argmax(axis=1) != codes[used])) / float(w.sum())
        self.calibration_error_ = certainty_groups(np.exp(told), codes[used], w).error
        self.leave_one_out_ = np.empty((len(codes), k))
        self.leave_one_out_[used] = told
        if not used.all():
            self.leave_one_out_[~used] = self.predict_log_proba(images[~used])
        return Learned(images[used], codes[used], w, told, found.columns, rng), clock

    def predict(self, X: Any) -> np.ndarray:
        """Most probable labels.

        Args:
            X: images as in the fit.

        Returns:
            (n,), of the type given to ``fit``.

        Raises:
            NotFittedError: not fitted.
            ValueError: images of another size or unit than in the fit, or pixels that are not finite.
        """
        found = self._log_p(X, "predict")  # which refuses to predict before a fit
        return self.classes_[found.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes.

        Args:
            X: images as in the fit.

        Returns:
            Rows that sum to 1, columns in the order of ``classes_``, (n, k).

        Raises:
            NotFittedError: not fitted.
            ValueError: images of another size or unit than in the fit, or pixels that are not finite.
        """
        return np.exp(self._log_p(X, "predict_proba"))

    def _log_p(self, X: Any, call: str) -> np.ndarray:
        scores = self._scores(self._images(X, call))
        return self.calibration_.log_p(scores)

    def _facts(self) -> dict[str, str]:
        return super()._facts() | {
            "Left-out rows": f"{100 * self.left_out_error_:.2f} % wrong, log loss {self.log_loss_:.4f} nats",
            "Calibration error": f"{self.calibration_error_:.4f} of left-out rows",
        }
