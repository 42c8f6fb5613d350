"""Certified classes of images: what do classifiers of images say of changes, by trial and by proof?

Each member's scores are bounded as closely as is known of it: those that are smooth in the features by their slopes at
the image and what these miss at most, others by a Lipschitz bound. Their sum, by the exponents of the members, is held
against the margin of the true class, less what rounding may take of it: `RELATIVE` of the log probabilities of patches
and of a network, which is ten times what was measured and no proof, and that of features and of a kernel as derived.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from numdl import checks
from numdl.contracts.threads import one_blas_thread
from numdl.estimators.common.intake import known_codes
from numdl.estimators.patches.calibration import Calibration
from numdl.estimators.patches.certified import Bounds, Changes, Seen, largest
from numdl.estimators.patches.features import pooled, rooted
from numdl.estimators.patches.filters import Filters
from numdl.estimators.patches.intake import LARGEST, Pixels, checked_images, reduced, reduced_norm, rounding
from numdl.estimators.patches.stability import ImageStability, image_stability, mixed

START = 1e-3
"""Length over the range of the pixels where the search for a certified one begins."""

JUDGED = 40
"""Images that are judged at most."""

RELATIVE = 1e-5
"""Rounding of log probabilities in float32, over 1 and the largest of them: images alone and among others give 1e-6."""

BLOCK = 32
"""Images whose slopes are kept at once."""

Pair = tuple[int, int]
"""Codes of two classes: whose score counts, and whose is subtracted."""


class Looked(NamedTuple):
    """What proofs and slopes need of n images.

    Attributes:
        seen: by the filters.
        slopes: of scores by features, (n, m, k), by member.
    """

    seen: list[Seen]
    slopes: dict[str, np.ndarray]

    def slope(self, i: int, beta: dict[str, float]) -> np.ndarray:
        """That of image i with exponents, (m, k)."""
        return sum(beta[name] * slopes[i] for name, slopes in self.slopes.items())  # type: ignore[return-value]


class Known(NamedTuple):
    """Bounds that hold for all images.

    Attributes:
        bounds: of the features.
        bent: by member that sees features, what its slope misses at most: of the difference of each class and each,
            (k, k); nothing for what is linear.
        crude: by member that does not, how far differences of its scores move at most, by what is seen and the length.
        rounding: by member whose scores are no log probabilities, that of differences by what is seen, (k, k).
    """

    bounds: Bounds
    bent: dict[str, Callable[[Changes], np.ndarray]]
    crude: dict[str, Callable[[Seen, float], float]]
    rounding: dict[str, Callable[[Seen], np.ndarray]]


class CertifiedMixin:
    """Classifiers of images whose members are bounded; of patches alone where nothing else is said."""

    filters_: Filters
    pixels_: Pixels
    classes_: np.ndarray
    calibration_: Calibration
    weights_: np.ndarray
    scale_: np.ndarray
    mirror_: bool
    image_shape: Any
    _images: Callable[[Any, str], np.ndarray]
    _scores: Callable[[np.ndarray], np.ndarray]

    @one_blas_thread()
    def certified_radius(self, X: Any, y: Any) -> np.ndarray:
        """Length of changes, in the unit of the pixels, up to which none of an image takes its true class from it.

        Lengths are Euclidean, over all pixels and channels. What is proved is found by halving, about a tenth below
        what the bound of ``numdl.estimators.patches.certified`` would give; it takes 10 to 100 ms for each image.

        Counted is that pixels are rounded to float32 before and after the change (images of 8 x 8 pixels about 100,000
        lose a length of 0.19), and an allowance for the rounding of features and scores, which differ for an image
        alone and among others. The allowance is derived for features and a kernel, with roundings taken as
        independent, and measured for patches and a network: no proof in the strict sense. Not counted is the rounding
        of the bounds themselves, in float64.

        Args:
            X: images as in the fit.
            y: their true labels, (n,).

        Returns:
            (n,); 0 where another class is told.

        Raises:
            NotFittedError: not fitted.
            ValueError: images of another size or unit than in the fit, pixels that are not finite, or labels that are
                none of the fit.
        """
        check_is_fitted(self, "filters_")
        call = f"{type(self).__name__}.certified_radius"
        given = checked_images(call, X, self.image_shape, self.pixels_)
        codes = known_codes(call, "y", y, len(given), self.classes_)
        images, lost = reduced(given), rounding(given)
        bounds, found = Bounds(self.filters_, folded=self.mirror_), np.zeros(len(codes))
        scores, known = self._member_scores(images), self._known(bounds)
        for i in range(0, len(codes), BLOCK):
            some = slice(i, i + BLOCK)
            told = {name: values[some] for name, values in scores.items()}
            found[some] = self._radii(known, told, self._look(bounds, images[some]), codes[some], self._beta)
            found[some] = np.maximum(found[some] - lost[some], 0.0)
        return found

    @one_blas_thread()
    def stability(self, X: Any = None, y: Any = None, *, lengths: Any = (0.1, 0.3)) -> ImageStability:
        """What small changes of images do to their classes, and for how many it is proved that they do nothing.

        Args:
            X: images as in the fit, of more than 40 evenly spaced ones; None for 16 of random pixels, between the
                least and the largest of the fit.
            y: their true labels, (n,); None for the classes that the model tells.
            lengths: Euclidean lengths of changes, in the unit of the pixels, positive.

        Returns:
            Shares that stay right, growth by layers, certified lengths, sentences; see
            ``numdl.estimators.patches.stability``, and `certified_radius` for what of rounding is counted.

        Raises:
            NotFittedError: not fitted.
            ValueError: images of another size or unit than in the fit, pixels that are not finite, labels that are
                none of the fit, or a length that is not positive or beyond 1e15.
        """
        check_is_fitted(self, "filters_")
        call, known = f"{type(self).__name__}.stability", self.pixels_
        if X is None:
            X = np.random.default_rng(0).uniform(known.low, known.high, (16, *known.shape))
        images = checked_images(call, X, self.image_shape, known)
        codes = None if y is None else known_codes(call, "y", y, len(images), self.classes_)
        sizes = np.sort(np.asarray(checks.finite(call, "lengths", lengths, ("q",)), float))
        if not len(sizes) or sizes[0] <= 0:
            raise ValueError(
                f"{call}(lengths={checks.shown(lengths)}): needs positive lengths. Give lengths=(0.1, 0.3)."
            )
        if sizes[-1] >= LARGEST:
            raise ValueError(
                f"{call}(lengths={checks.shown(lengths)}): needs lengths below {LARGEST:g}, pixels beyond overflow in "
                "float32. Give lengths=(0.1, 0.3)."
            )
        rows = np.linspace(0, len(images) - 1, min(len(images), JUDGED)).round().astype(int)
        return image_stability(self, images[rows], None if codes is None else codes[rows], sizes)

    def _layers(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """What images of the size of the filters are in each layer before the scores, (n, q) each."""
        averages = pooled(self.filters_, images, folded=self.mirror_)
        return {"averages of responses": averages, "roots of averages": rooted(averages.copy()) / self.scale_}

    @property
    def _beta(self) -> dict[str, float]:
        """Exponents of the members, by name."""
        return {"patches": 1.0}

    def _look(self, bounds: Bounds, images: np.ndarray) -> Looked:
        """What proofs and slopes need of images of the size of the filters."""
        all_seen = [bounds.see(image) for image in images]
        return Looked(all_seen, self._feature_slopes(all_seen))

    def _known(self, bounds: Bounds) -> Known:
        """Bounds of the members."""
        return Known(bounds, {}, {}, {})

    def _radii(
        self, known: Known, scores: dict[str, np.ndarray], looked: Looked, codes: np.ndarray, beta: dict[str, float]
    ) -> np.ndarray:
        """Certified lengths of images by their scores, with any exponents of the members, (n,)."""
        told = mixed(scores, beta)
        radii, (bounds, bent, crude, rounded) = np.zeros(len(codes)), known
        sizes = sum(beta[n] * (1 + np.abs(u).max(axis=1)) for n, u in scores.items() if n not in rounded and beta[n])
        allowance = np.broadcast_to(RELATIVE * sizes, len(codes))
        unit = START * max(self.pixels_.high - self.pixels_.low, 1e-30)
        for i in np.flatnonzero(told.argmax(axis=1) == codes).tolist():
            seen, code = looked.seen[i], codes[i]
            others = np.arange(len(self.classes_)) != code
            margin = (told[i, code] - told[i])[others] - allowance[i]
            margin -= sum(beta[name] * of(seen)[code, others] for name, of in rounded.items() if beta[name])
            V = looked.slope(i, beta)
            apart = (V[:, [code]] - V)[:, others].T

            def kept(
                eps: float,
                seen: Seen = seen,
                code: int = code,
                others: np.ndarray = others,
                margin: np.ndarray = margin,
                apart: np.ndarray = apart,
            ) -> bool:
                fall = sum(beta[name] * of(seen, eps) for name, of in crude.items() if beta[name])
                if not (fall < margin).all():  # the rest takes longer
                    return False
                changes = bounds.changes(seen, eps)
                fall = fall + sum(beta[name] * of(changes)[code, others] for name, of in bent.items() if beta[name])
                return bool((fall + changes.along(apart) + changes.rounded(apart) < margin).all())

            radii[i] = largest(kept, unit) if (margin > 0).all() else 0.0
        return radii / reduced_norm(self.pixels_.shape[:2])

    def _feature_slopes(self, all_seen: Sequence[Seen]) -> dict[str, np.ndarray]:
        """Derivatives of scores by the features of images, (images, m, k), of members that see features."""
        V = (self.weights_ / self.scale_[:, None]).astype(float) @ self.calibration_.matrix
        return {"patches": np.broadcast_to(V, (len(all_seen), *V.shape))}

    def _margin_slope(self, bounds: Bounds, image: np.ndarray, seen: Seen, V: np.ndarray, pair: Pair) -> np.ndarray:
        """Derivative of the difference of two log probabilities by the pixels, (H, W, C); V by features, (m, k)."""
        code, other = pair
        roots = np.sqrt(np.maximum(seen.averages, 0.0))
        g = np.divide(V[:, code] - V[:, other], 2 * roots, out=np.zeros(len(V)), where=roots > 0)
        return bounds.slope(image, seen, g)

    def _member_scores(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Scores of the members for images of the size of the filters, (n, k) each."""
        return {"patches": self.calibration_.log_p(self._scores(images))}
