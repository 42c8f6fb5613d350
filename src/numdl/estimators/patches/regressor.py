"""Which number is a picture of? Whitened patches, thresholds, averages, and a solved head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

from numdl.estimators.common.intake import require_varying, targets_beside
from numdl.estimators.common.weights import sample_weights
from numdl.estimators.patches.base import PatchFeaturesBase


class PatchFeaturesRegressor(MultiOutputMixin, RegressorMixin, PatchFeaturesBase):
    """Numbers that belong to images, by responses to whitened patches of the training images, with a ridge head.

    As ``PatchFeaturesClassifier``; parameters are the same, but for ``class_weight``. Targets are scaled to deviation 1
    for the head, so that several count alike.

    Args:
        n_filters: number of filters, at least 2, or "auto".
        alpha: penalty of the mean misfit of scaled features, positive, or "gcv"; raised to where rounding ends.
        image_shape: (height, width) or (height, width, channels) of one image where X holds rows, channels of a pixel
            beside each other; None for arrays of images. Images over 48 pixels a side are reduced to at most 48 by
            means over rectangles of pixels.
        mirror: whether an image and its mirror image mean the same; "auto" to find out by the criterion.
        time_budget: seconds at most for the fit, positive, or None. 16 filters are fitted whatever it takes.
            What is found then depends on the machine.
        random_state: seed or generator that draws the patches.

    Attributes:
        filters_: the filters.
        weights_: of the head, (features, targets).
        mirror_: whether mirror images are taken for the same.
        alpha_: of the head.
        effective_dof_: effective degrees of freedom of one target, intercept included.
        stages_: number of filters and criterion of each stage, (stages, 2).
        leave_one_out_: prediction of each row given all others, (n,) or (n, k); rows without weight are predicted.
        left_out_std_: root of the mean square of their errors, a number or (k,).
        status_: what was found, in a sentence.

    Examples:
        >>> import numpy as np
        >>> from numdl.estimators import PatchFeaturesRegressor
        >>> X = np.random.default_rng(0).random((60, 8, 8))
        >>> X[:30, :, :4] += 1
        >>> brightness = X.mean(axis=(1, 2))
        >>> model = PatchFeaturesRegressor(8, random_state=0).fit(X, brightness)
        >>> bool(abs(model.predict(X[:5]) - brightness[:5]).max() < 0.25 * brightness.std())
        True
    """

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, observe: Callable[[dict[str, Any]], object] | None = None
    ) -> Self:
        """Draw filters, solve the head.

        Args:
            X: images, (n, H, W), (n, H, W, C), or rows (n, H W C) with ``image_shape``.
            y: targets, (n,) or (n, k).
            sample_weight: relative weight of each row, (n,), not negative; a factor on all of them changes nothing.
            observe: called with a dictionary before each stage: ``phase``, what is tried, and ``seconds``.

        Returns:
            The fitted estimator. Ctrl-C ends the search with what there is, status ``interrupted``.

        Raises:
            ValueError: a parameter or the data cannot be used.
        """
        call, rng, images, clock = self._begin(X, y, observe)
        self._flat = np.ndim(y) == 1
        c = targets_beside(call, "y", y, len(images))
        weights = sample_weights(call, sample_weight, c)
        used = weights > 0
        require_varying(call, c[used])
        spread = c[used].std(axis=0)
        _, left, w = self._learn(images, c / spread, weights, rng, clock)
        self._spread = spread
        errors = left * spread - c[used]
        std = np.sqrt(w @ errors**2 / w.sum())
        self.left_out_std_ = float(std[0]) if self._flat else std
        told = np.empty(c.shape)
        told[used] = left * spread
        if not used.all():
            told[~used] = self.predict(images[~used]).reshape(-1, c.shape[1])
        self.leave_one_out_ = told[:, 0] if self._flat else told
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Targets of images.

        Args:
            X: images as in the fit.

        Returns:
            (n,) or (n, k), as the targets were given.

        Raises:
            NotFittedError: not fitted.
            ValueError: images of another size or unit than in the fit, or pixels that are not finite.
        """
        mean = self._scores(self._images(X, "predict")) * self._spread
        return mean[:, 0] if self._flat else mean

    def _facts(self) -> dict[str, str]:
        told = ", ".join(f"{value:.4g}" for value in np.ravel(self.left_out_std_))
        return super()._facts() | {"Left-out rows": f"root of the mean square error {told}"}
