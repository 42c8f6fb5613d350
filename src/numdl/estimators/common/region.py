"""Extrapolation: which rows lie outside the region of the training rows?

A row is outside if one of its inputs lies beyond the range of the fit by more than six mean distances of neighbours
(``numdl.estimators.kernels.tables.MARGIN``); if a column that was constant in the fit has another value; or if its
distance from the mean in the metric of the inputs' covariance S, ``(x - m)' (S + eps I)^-1 (x - m)``, is more than
``FURTHER`` times the largest of the fit: that finds rows whose inputs are each usual and together are not. Holes
between the training rows are inside. All is asked of scaled inputs and costs ``n d^2``.

Source: Weisberg, Applied Linear Regression, Wiley 2005, sec. 8.1 (leverages above the largest are extrapolations).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numdl.data import Scaler

FURTHER = 1.5
"""Of new rows from the distribution of the fit, one in n lies beyond the largest distance, and next to none so far."""

RIDGE = 1e-8
"""Added to S over its mean diagonal: how exactly inputs have to follow each other to be tied."""

SAME = 1e-9
"""Relative difference up to which a value counts as that of a constant column."""


class RegionMixin:
    """Estimators that know the rows of their fit."""

    def is_outside(self, X: Any) -> np.ndarray:
        """Which rows lie outside the region of the training rows, see `numdl.estimators.common.region`.

        Args:
            X: rows, (n, d).

        Returns:
            True where a prediction is an extrapolation, (n,).

        Raises:
            NotFittedError: not fitted.
            ValueError: X is not what it was fitted on.
        """
        from sklearn.utils.validation import check_is_fitted

        from numdl.estimators.common.intake import checked_table

        check_is_fitted(self)
        found = outside(self, checked_table(self, f"{type(self).__name__}.is_outside", X, reset=False))
        assert found is not None
        return found


def outside(model: Any, x: np.ndarray) -> np.ndarray | None:
    """The same of a fitted estimator, or of what a file holds of one.

    Args:
        model: with its attributes.
        x: rows (n, d), finite.

    Returns:
        (n,), or None where the model does not keep rows.
    """
    if hasattr(model, "mixtures_"):
        mixture = model.mixtures_[0]
        seen, box = mixture.rows.x, mixture.box
    elif hasattr(model, "mixture_"):
        seen, box = model.mixture_.x, model.mixture_.box
    else:
        return None
    scaler = Scaler(*(getattr(model._scaler, name) for name in Scaler._fields))
    z = scaler.transform(x)[:, model._active]
    flat = scaler.flat
    found = (np.abs(x - scaler.center) > SAME * np.abs(scaler.center))[:, flat].any(axis=1)
    if flat.all():
        return np.asarray(found)
    found |= ((z < box[0]) | (z > box[1])).any(axis=1)
    mean = seen.mean(axis=0)
    S = np.atleast_2d(np.cov(seen, rowvar=False, bias=True))
    root = np.linalg.cholesky(S + RIDGE * np.trace(S) / len(S) * np.eye(len(S)))
    far, near = (np.sum(np.linalg.solve(root, (rows - mean).T) ** 2, axis=0) for rows in (z, seen))
    return np.asarray(found | (far > FURTHER * near.max()))
