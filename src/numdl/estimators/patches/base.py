"""What do classifier and regressor on image patches share: parameters, checks, fit, features, files?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from numdl import checks
from numdl.contracts import Status
from numdl.estimators.common.intake import generator
from numdl.estimators.common.reporting import ReportMixin
from numdl.estimators.common.saving import SaveMixin, require_classes, require_numbers
from numdl.estimators.common.weights import of_mean_one
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.mixture import few_threads
from numdl.estimators.patches.features import pooled, rooted
from numdl.estimators.patches.filters import Filters
from numdl.estimators.patches.head import ROWS
from numdl.estimators.patches.intake import Pixels, checked_images, described, reduced, require_labels
from numdl.estimators.patches.search import Found, grown, require_memory

ENDED = {
    "criterion": "more filters would not pay",
    "most": "as many as are tried",
    "memory": "more would not fit into the memory",
    "time": "more would not fit into the time",
    "given": "as given",
    "interrupted": "the search was interrupted",
}
"""Why there are not more filters, in words."""


SHOWN, MISTAKES = 64, 24
"""Filters and mistakes on a page."""


class PatchFeaturesBase(SaveMixin, ReportMixin, BaseEstimator):
    """What regressor and classifier share; see there for the parameters."""

    _label = "numdl patches"
    _of_columns = False
    filters_: Filters
    pixels_: Pixels
    n_features_in_: int

    def __init__(
        self,
        n_filters: int | str = "auto",
        alpha: float | str = "gcv",
        *,
        image_shape: Any = None,
        mirror: bool | str = "auto",
        time_budget: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_filters = n_filters
        self.alpha = alpha
        self.image_shape = image_shape
        self.mirror = mirror
        self.time_budget = time_budget
        self.random_state = random_state

    def _check(self) -> np.random.Generator:
        """Refuse parameters; the source of draws."""
        name = type(self).__name__
        if isinstance(self.n_filters, str):
            checks.choice(name, "n_filters", self.n_filters, ("auto",))
        else:
            checks.whole(name, "n_filters", self.n_filters, least=2, most=100_000)
        if isinstance(self.alpha, str):
            checks.choice(name, "alpha", self.alpha, ("gcv",))
        else:
            checks.number(name, "alpha", self.alpha, above=0)
        if isinstance(self.mirror, str):
            checks.choice(name, "mirror", self.mirror, ("auto",))
        else:
            checks.flag(name, "mirror", self.mirror)
        if self.time_budget is not None:
            checks.number(name, "time_budget", self.time_budget, above=0)
        return generator(name, self.random_state)

    @property
    def _share(self) -> float:
        """Of the time, for filters and head."""
        return 1.0

    def _begin(self, X: Any, y: Any, observe: Any) -> tuple[str, np.random.Generator, np.ndarray, Clock]:
        """The call to name, the source of draws, the images of a fit, all checked, and a clock that runs."""
        call, rng = f"{type(self).__name__}.fit", self._check()
        if observe is not None:
            checks.function(call, "observe", observe, "a dictionary -> anything")
        clock = Clock(self.time_budget, observe)
        clock.share(self._share)
        images = checked_images(call, X, self.image_shape)
        require_labels(call, len(images), y)
        require_memory(call, images, self.n_filters, self.mirror)
        return call, rng, images, clock

    def _images(self, X: Any, call: str) -> np.ndarray:
        """Checked images of the size of the filters."""
        check_is_fitted(self, "filters_")
        return reduced(checked_images(f"{type(self).__name__}.{call}", X, self.image_shape, self.pixels_))

    def _learn(
        self,
        images: np.ndarray,
        c: np.ndarray,
        weights: np.ndarray,
        rng: np.random.Generator,
        clock: Clock,
    ) -> tuple[Found, np.ndarray, np.ndarray]:
        """Set filters and head; the fit, left-out targets of the rows that have a weight, and these weights."""
        self.pixels_, self.rooted_ = described(images), True
        self.n_features_in_ = int(np.prod(images.shape[1:]))
        used = weights > 0
        w = of_mean_one(weights[used])
        small = reduced(images if used.all() else images[used])
        with few_threads(len(w)):
            found = grown(
                small,
                c[used],
                w,
                count=None if isinstance(self.n_filters, str) else int(self.n_filters),
                alpha=None if isinstance(self.alpha, str) else float(self.alpha),
                mirror=None if isinstance(self.mirror, str) else bool(self.mirror),
                rng=rng,
                clock=clock,
            )
            left = clock.insist(lambda: found.columns.left_out(found.head))
        m = found.head.size
        self.filters_, self.mirror_, self.alpha_ = found.filters, found.folded, found.head.alpha
        self.mean_, self.scale_ = found.columns.mean[:m], found.columns.scale[:m]
        self.weights_ = found.columns.coef(found.head).astype(np.float32)
        self.offset_ = found.columns.c_mean
        self.effective_dof_, self.stages_, self.mirrored_ = found.head.freedom, found.stages, found.mirrored
        code = "interrupted" if clock.interrupted else "time_budget" if found.ended == "time" else "converged"
        why = ENDED["given" if not isinstance(self.n_filters, str) and found.ended == "most" else found.ended]
        self._ended = f"{len(self.filters_.weights)} filters, {why}"
        self.status_ = Status(code, f"{self._ended[0].upper()}{self._ended[1:]}; alpha = {self.alpha_:.3g}.")
        return found, left, w

    def _scores(self, images: np.ndarray) -> np.ndarray:
        """What the head says of images of the size of the filters, (n, k), block by block."""
        scores = np.empty((len(images), len(self.offset_)))
        for rows, x in self._scaled(images):
            scores[rows] = x @ self.weights_
        return scores + self.offset_

    def _scaled(self, images: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Blocks of rows and their scaled features.

        Yields:
            A slice of the rows, and their features.
        """
        inverse = np.float32(1.0) / self.scale_
        for i in range(0, len(images), ROWS):
            rows = slice(i, i + ROWS)
            x = rooted(pooled(self.filters_, images[rows], folded=self.mirror_))
            x -= self.mean_
            x *= inverse
            with few_threads(len(x)):
                yield rows, x

    def _facts(self) -> dict[str, str]:
        height, width, channels = self.pixels_.shape
        shape, size, grid = self.filters_.shape, self.filters_.size, self.filters_.grid
        small = "" if shape[:2] == (height, width) else f", reduced to {shape[0]} x {shape[1]}"
        asked = np.isfinite(self.mirrored_).all()
        told = f", criterion {self.mirrored_[0]:.4g} with and {self.mirrored_[1]:.4g} without" if asked else ""
        return {
            "Images": f"{height} x {width}, {channels} channel{'s' if channels > 1 else ''}{small}",
            "Filters": f"{self._ended}; patches of {size[0]} x {size[1]}, averages over {grid[0]} x {grid[1]} cells",
            "Mirror images": f"{'taken for the same' if self.mirror_ else 'told apart'}{told}",
            "Alpha": f"{self.alpha_:.3g}" + (", by GCV" if isinstance(self.alpha, str) else ""),
            "Effective parameters": f"{self.effective_dof_:.0f} of {len(self.weights_):,}",
            "Criterion by filters": ", ".join(f"{int(k)}: {value:.4g}" for k, value in self.stages_),
        }

    def _record(self) -> dict[str, Any]:
        return {
            "model": "patches",
            "n_parameters": int(self.weights_.size),
            "pictures": {"filters": _shown(self.filters_.weights[::2][:SHOWN].transpose(0, 2, 3, 1))},
        }

    def summary(self, X: Any = None, y: Any = None, **fields: Any) -> Any:
        """What a report shows, as plain arrays; of classes with pictures of the mistakes that were most certain.

        Args:
            X: held-out images; None leaves out everything that needs them.
            y: their targets.
            **fields: as for all estimators, see ``ReportMixin.summary``.

        Returns:
            ``numdl.report.FitSummary``.
        """
        found = super().summary(X, y, **fields)
        if found.probability is None or found.c is None:
            return found
        wrong = np.flatnonzero(found.c != found.prediction)
        wrong = wrong[np.argsort(-found.probability[wrong].max(axis=1), kind="stable")][:MISTAKES]
        images = self._images(X, "summary")[wrong].astype(float)
        low, high = self.pixels_.low, self.pixels_.high
        images = np.clip((images - low) / max(high - low, 1e-30), 0, 1)
        images = _visible(images)
        return dataclasses.replace(found, pictures={**found.pictures, "mistakes": images, "mistaken": wrong})

    def export(self, path: Any) -> Any:
        """Write the predictions as a Python module that needs NumPy only, in double precision.

        Args:
            path: the file to make or replace, .py.

        Returns:
            The file.

        Raises:
            NotFittedError: not fitted.
            CannotExport: a network takes part, or there are too many numbers; a ValueError that says why.
            TypeError: path is no name of a file.
            ValueError: another ending.
            OSError: the file cannot be written.
        """
        from numdl.export.write import export

        check_is_fitted(self, "filters_")
        return export(self, checks.path(f"{type(self).__name__}.export", path))

    def _require_sound(self) -> None:
        """Refuse contents of a file that give no predictions, or others: features were means before they had roots."""
        if not getattr(self, "rooted_", False):
            raise ValueError("it was made before features had square roots. Fit it anew.")
        height, width, channels = self.pixels_.shape
        rows = np.random.default_rng(0).uniform(self.pixels_.low, self.pixels_.high, (3, height, width, channels))
        model: Any = self
        (p, k), patch = self.weights_.shape, self.filters_.weights.shape
        shapes = {"mean_": (p,), "scale_": (p,), "offset_": (k,)}
        if (
            any(getattr(self, name).shape != needed for name, needed in shapes.items())
            or patch[1] != channels
            or 0 in patch
        ):
            raise ValueError(f"weights {(p, k)} and filters {patch} do not belong to the other arrays")
        if tuple(self.filters_.shape) != (height, width, channels) or not self.filters_.contrast >= 0:
            raise ValueError(f"filters of images {self.filters_.shape}, of contrast {self.filters_.contrast}")
        if hasattr(self, "predict_proba"):
            require_classes(model.classes_)
            if model.calibration_.offset.shape != (k,):
                raise ValueError(f"{k} scores, calibrated are {len(model.calibration_.offset)}")
            return require_numbers([model.predict_proba(rows)], len(model.classes_))
        require_numbers([model.predict(rows)], len(self.offset_))


def _shown(filters: np.ndarray) -> np.ndarray:
    """Filters (m, h, w, C) as pictures: grey where they are zero, each on its own scale."""
    filters = _visible(filters)
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    return 0.5 + 0.5 * filters / np.maximum(largest, 1e-30)


def _visible(images: np.ndarray) -> np.ndarray:
    """Images (m, h, w, C) with one or three channels: the mean of others."""
    return images if images.shape[3] in (1, 3) else images.mean(axis=3, keepdims=True)
