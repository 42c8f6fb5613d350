"""Summary and report of a fit: what can be shown of any fitted estimator?"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from numdl import checks
from numdl.checks import shown
from numdl.data.table.scale import FLAT
from numdl.estimators.common.effects import BAND, effects
from numdl.estimators.common.intake import labels_beside, targets_beside
from numdl.estimators.common.region import RegionMixin
from numdl.estimators.common.robust import expects_gross_errors
from numdl.report.measures import as_seen

if TYPE_CHECKING:
    from numdl.report import FitSummary


class ReportMixin:
    """Estimators that sum up their fit and write a page about it.

    What all fits have in common is found here; what is special a family says in ``_facts`` and ``_record``.
    """

    _label: ClassVar[str] = "numdl"
    """Name in tables of scores."""

    _of_columns: ClassVar[bool] = True
    """Whether inputs are columns that mean something each; those of images are not."""

    def summary(
        self,
        X: Any = None,
        y: Any = None,
        *,
        title: str | None = None,
        inputs: Mapping[str, Sequence[int]] | None = None,
        **fields: Any,
    ) -> FitSummary:
        """What a report shows, as plain arrays.

        Args:
            X: held-out rows, (n, d); None leaves out everything that needs rows.
            y: their targets.
            title: heading.
            inputs: columns of X that belong together, by name, as those of one text column; None for each its own.
            **fields: fields of ``numdl.report.FitSummary`` that replace those found here; ``facts`` are added to.

        Returns:
            The summary.

        Raises:
            TypeError: inputs is no dictionary.
            ValueError: X and y do not belong together, y holds a label that is no class of the fit, or inputs names
                columns that X has not.
        """
        from numdl.report import FitSummary

        check_is_fitted(self)
        _require_inputs(inputs, X)
        classes = getattr(self, "classes_", None)
        found: dict[str, Any] = {
            "title": title or type(self).__name__,
            "task": "regression" if classes is None else "classification",
            "status": self.status_,  # type: ignore[attr-defined]
            "score_name": "RMSE" if classes is None else "error %",
            "class_names": [] if classes is None else [str(label) for label in classes],
        } | self._record()
        told: dict[str, str] = {}
        if X is not None and y is not None:
            found |= self._judged(X, y) if classes is None else self._judged_classes(X, y, classes)
            if isinstance(self, RegionMixin):
                count = int(self.is_outside(X).sum())
                told = {"Extrapolations": f"{count} of {np.shape(X)[0]} rows shown lie outside the training rows"}
            if self._of_columns and not sparse.issparse(X) and np.ndim(X) == 2 and np.shape(X)[0]:
                by_log = judged_by_logarithm(self, found["c"]) if classes is None else np.zeros(0, bool)
                seen = partial(self._centres, by_log=by_log) if by_log.any() else self.predict  # type: ignore[attr-defined]
                found |= effects(self, X, inputs, as_seen(found["c"], by_log), seen, self._with_band)
        return FitSummary(
            **found | fields | {"facts": self._facts() | self._constant() | told | fields.get("facts", {})}
        )

    def report(self, path: str | Path, X: Any = None, y: Any = None, *, title: str | None = None) -> None:
        """Write one self-contained HTML page about the fit.

        Args:
            path: of the page.
            X: rows to judge the fit by, (n, d); best rows that were not trained on.
            y: their targets.
            title: heading.
        """
        from numdl.report import write_page

        write_page(self.summary(X, y, title=title), path)

    def _constant(self) -> dict[str, str]:
        """Columns that were constant in the rows of the fit, and so have no part in it."""
        scaler = getattr(self, "_scaler", None)
        scale = getattr(getattr(self, "features_", None), "deviation", np.zeros(0)) if scaler is None else scaler.scale
        places = np.flatnonzero(np.asarray(scale) >= FLAT)
        if not len(places):
            return {}
        names = getattr(self, "feature_names_in_", None)
        told = [str(j) if names is None else shown(names[j]) for j in places[:5]]
        return {"Constant inputs": f"{', '.join(told)}{' ...' if len(places) > 5 else ''}: left out"}

    def _tells_deviations(self) -> bool:
        """Whether ``predict`` of this fit has standard deviations."""
        return "return_std" in inspect.signature(self.predict).parameters  # type: ignore[attr-defined]

    def _with_band(self, X: Any) -> list[np.ndarray]:
        """Mean, and the ends of the central 90 % of new observations where ``predict`` tells deviations."""
        if not self._tells_deviations():
            return [self.predict(X)]  # type: ignore[attr-defined]
        mean, std = self.predict(X, return_std=True)  # type: ignore[attr-defined]
        return [mean, mean - BAND * std, mean + BAND * std]

    def _below(self, X: Any, c: np.ndarray) -> np.ndarray | None:
        """Predicted probability of targets below c (n, k), where predictions are not normal distributions."""
        return None

    def _facts(self) -> dict[str, str]:
        """What was fitted, name and value in words."""
        raise NotImplementedError(type(self).__name__)

    def _record(self) -> dict[str, Any]:
        """Fields of the summary that this family knows: model, number of parameters, history, weights or path."""
        raise NotImplementedError(type(self).__name__)

    def _judged_classes(self, X: Any, y: Any, classes: np.ndarray) -> dict[str, Any]:
        """Wrong predictions on the rows given, beside the most frequent class."""
        answers = self.predict(X)  # type: ignore[attr-defined]
        y = labels_beside("summary", "y", y, len(answers))
        unknown = ~np.isin(y, classes)
        if unknown.any():
            raise ValueError(f"report: y holds {shown(y[unknown][0])}, which is no class of the fit. Drop these rows.")
        codes, predicted = (np.searchsorted(classes, labels) for labels in (y, answers))
        errors = (100 * np.mean(predicted != codes), 100 * (1 - np.bincount(codes).max() / len(codes)))
        found: dict[str, Any] = {"c": codes, "prediction": predicted}
        if hasattr(self, "predict_proba"):
            found["probability"] = self.predict_proba(X)  # type: ignore[attr-defined]
        return found | self._score_rows("most frequent class", errors)

    def _judged(self, X: Any, y: Any) -> dict[str, Any]:
        """Errors on the rows given, beside the mean of the targets; with intervals where there are some."""
        predict, tells = self.predict, self._tells_deviations()  # type: ignore[attr-defined]
        mean, std = predict(X, return_std=True) if tells else (predict(X), None)
        c, wanted = targets_beside("summary", "y", y, len(mean)), mean[:, None] if mean.ndim == 1 else mean
        if c.shape != wanted.shape:
            raise ValueError(f"summary(y of shape {np.shape(y)}): needs {wanted.shape[1]} targets as in fit. Check it.")
        found: dict[str, Any] = {"c": c} if std is None else {"c": c, "interval": std.reshape(c.shape)}
        found["prediction"] = mean = wanted
        if (below := self._below(X, c)) is not None:
            found["below"] = below
        name, by_log = "mean of the targets", judged_by_logarithm(self, c)
        if by_log.any():
            found["logarithm"] = np.asarray(self.logarithm_, float)  # type: ignore[attr-defined]
            found["median"] = self.predict_quantiles(X, [0.5])[0].reshape(c.shape)  # type: ignore[attr-defined]
            c, mean = as_seen(c, by_log), predicted_as_seen(self, X, by_log).reshape(c.shape)
            found["score_name"] = (
                "RMS error of the logarithm" if by_log.all() else "RMSE, by logarithms of some targets"
            )
            name = "mean of the logarithms" if by_log.all() else name
        errors = (np.sqrt(np.mean((mean - c) ** 2)), np.sqrt(np.mean((c - c.mean(axis=0)) ** 2)))
        if expects_gross_errors(self):
            errors = (np.median(np.abs(mean - c)), np.median(np.abs(c - c.mean(axis=0))))
            found["score_name"] = (
                found.get("score_name", "RMSE").replace("RMSE", "median error").replace("RMS", "median")
            )
        return found | self._score_rows(name, errors)

    def _score_rows(self, trivial: str, errors: tuple[Any, Any]) -> dict[str, Any]:
        """The table of scores: the fit, and what ignores the inputs."""
        pairs = zip((self._label, trivial), errors, strict=True)
        return {"scores": [{"name": name, "test": float(error)} for name, error in pairs]}


def judged_by_logarithm(model: Any, *targets: np.ndarray) -> np.ndarray:
    """Targets whose errors count by their logarithm: the model sees them so, and all of them are positive.

    Args:
        model: a fitted regressor.
        *targets: rows that it is judged on, (n, k) or (n,).

    Returns:
        bool (k,).
    """
    each = [c.reshape(len(c), -1) for c in targets]
    seen = np.asarray(getattr(model, "logarithm_", np.zeros(each[0].shape[1], bool)))
    return seen & np.all([(c > 0).all(axis=0) for c in each], axis=0)


def predicted_as_seen(model: Any, X: Any, by_log: np.ndarray) -> np.ndarray:
    """Means, and logarithms of the medians of the targets that are judged by them.

    A mean lies above the median by half the variance of the logarithm, so that it would seem to err where it does not.

    Args:
        model: a fitted regressor.
        X: rows, (n, d).
        by_log: which targets, bool (k,).

    Returns:
        (n,) or (n, k), as ``predict`` gives them.
    """
    if not by_log.any():
        return model.predict(X)
    logarithms = np.log(np.maximum(model.predict_quantiles(X, [0.5])[0], np.finfo(float).tiny))
    return logarithms if by_log.all() else np.where(by_log, logarithms, model.predict(X))


def _require_inputs(inputs: Any, X: Any) -> None:
    """Refuse what does not name columns of X."""
    if inputs is None:
        return
    hint = "Give a dictionary from names to lists of columns of X, such as {'colour': [0, 1]}, or None."
    checks.instance("summary", "inputs", inputs, Mapping, hint)
    d = np.shape(X)[1] if np.ndim(X) == 2 else np.inf
    for name, columns in inputs.items():
        if not all(isinstance(j, int | np.integer) and 0 <= j < d for j in np.ravel(np.asarray(columns, object))):
            raise ValueError(f"summary(inputs[{shown(name)}]={shown(columns)}): needs columns of X, from 0 on. {hint}")
