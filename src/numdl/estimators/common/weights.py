"""Sample weights: what do the weights of rows amount to, whatever factor all of them were multiplied by?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.utils import compute_sample_weight
from sklearn.utils import validation as of_sklearn

from numdl.checks import shown
from numdl.data.table.copies import first_copies
from numdl.estimators.common.intake import in_words

if TYPE_CHECKING:
    from numdl.linalg import TSQR


def sample_weights(call: str, sample_weight: Any, X: Any) -> np.ndarray:
    """Relative weights of rows, 1 where none are given, (n,).

    Args:
        call: the call to name.
        sample_weight: as given.
        X: the rows.

    Returns:
        Not negative and finite, float64; their sum is ``Weighed.n``, whatever factor all were multiplied by.
    """
    return relative(raw_weights(call, sample_weight, X))


def relative(weights: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """``sample_weights`` of weights that have been checked.

    Args:
        weights: not negative and finite, (n,).

    Returns:
        (n,), of the sum ``Weighed.n``.
    """
    if not weights.any():
        return weights
    # Twelve digits: what a factor on all weights changes by rounding must not change the way of an optimisation.
    digits, power = np.frexp(weights / weights.max())
    weights = np.ldexp(np.rint(np.ldexp(digits, 40)), power - 40)
    return weights * weighed(weights).factor


def raw_weights(call: str, sample_weight: Any, X: Any) -> np.ndarray:
    """Weights of rows as they were given, 1 where none are, (n,): for rows that others follow.

    Args:
        call: the call to name.
        sample_weight: as given.
        X: the rows.

    Returns:
        Not negative and finite, float64.
    """
    with in_words(call, "sample_weight needs a number >= 0 for each row. Check it."):
        return of_sklearn._check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)


def copies_once(weights: Float[np.ndarray, " n"], X: Any, c: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """Weights with which the first of equal rows stands for its copies, so that they count as one observation.

    Args:
        weights: not negative, (n,).
        X: inputs (n, d).
        c: targets (n, k), finite.

    Returns:
        The first of ``first_copies`` has the weight of all of them, the others 0, (n,).
    """
    return np.bincount(first_copies(weights, X, c), weights, len(weights))


def of_mean_one(weights: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The weights with mean 1 over the rows that have one, for likelihoods: these count rows.

    Args:
        weights: not negative, (n,).

    Returns:
        (n,).
    """
    return weights / weights[weights > 0].mean() if weights.any() else weights


LIGHT = 0.1
"""Share of the rows, the lightest ones, that count as the next heavier one where the noise of a typical row is asked:
a few rows that somebody all but left out say nothing about it."""


def weighed(weights: Float[np.ndarray, " n"], before: np.ndarray | None = None) -> Weighed:
    """What the weights of rows amount to.

    Args:
        weights: as given, not negative, (n,).
        before: ``sums`` of rows seen earlier; None for none.

    Returns:
        All rows together.
    """
    w = weights[weights > 0]
    if not len(w):
        return Weighed(np.zeros(5) if before is None else before)
    unit = w.max() if before is None or before[0] == 0 else before[0]
    w = w / unit
    light = np.maximum(w, np.quantile(w, LIGHT))
    sums = np.array([0.0, len(w), w.sum(), w @ w, (1 / light).sum()])
    sums = sums if before is None else sums + before
    sums[0] = unit
    return Weighed(sums)


class Weighed(NamedTuple):
    """Sums over rows of positive weight, the weights in units of one of them.

    Attributes:
        sums: this unit, and the sums of 1, w, w^2 and 1/w, (5,).
    """

    sums: Float[np.ndarray, " 5"]

    @property
    def n(self) -> float:
        """Observations that the rows stand for, ``(sum w)^2 / sum w^2``.

        Source: Kish, Survey Sampling, Wiley 1965, sec. 11.7.
        """
        return float(self.sums[2] * self.factor)

    @property
    def factor(self) -> float:
        """On weights in the unit, so that their sum is n; 1 for equal weights."""
        return float(self.sums[2] / self.sums[3]) if self.sums[3] > 0 else 1.0

    @property
    def typical(self) -> float:
        """Noise variance of a row like those of the fit, over that of a row of mean weight.

        Where weights are ``1 / sigma_i^2`` it is the mean of sigma_i^2 over that of the mean weight; 1 for equal ones.
        """
        return float(self.sums[4] * self.sums[2] / self.sums[1] ** 2) if self.sums[1] > 0 else 1.0


def typical_noise(weights: Float[np.ndarray, " n"]) -> float:
    """``Weighed.typical`` of all rows.

    Args:
        weights: not negative, (n,).

    Returns:
        No unit.
    """
    return weighed(weights).typical


def in_relative_weights(state: TSQR, sums: Float[np.ndarray, " 5"]) -> TSQR:
    """Condensed rows, added with raw weights, as relative weights would have condensed them.

    Args:
        state: from ``tsqr_update``.
        sums: of ``weighed``, for the same rows.

    Returns:
        The same triangle times a number.
    """
    unit, factor = sums[0], Weighed(sums).factor
    return state if unit in (0, factor) else state._replace(triangle=state.triangle * np.sqrt(factor / unit))


def with_class_weight(estimator: Any, weights: Float[np.ndarray, " n"], y: Any) -> Float[np.ndarray, " n"]:
    """Relative weights of rows times the factors of their classes.

    Args:
        estimator: has ``class_weight``.
        weights: relative, (n,).
        y: labels (n,).

    Returns:
        Relative weights, (n,).

    Raises:
        ValueError: ``class_weight`` is none, or names labels that y does not hold.
    """
    if estimator.class_weight is None:
        return weights
    call = f"{type(estimator).__name__}(class_weight)"
    return relative(weights * class_factors(call, estimator.class_weight, y))


def class_factors(call: str, class_weight: Any, y: Any) -> np.ndarray:
    """Factor on the weight of each row by its class.

    Args:
        call: the call to name.
        class_weight: "balanced", or a dictionary from labels.
        y: labels (n,).

    Returns:
        (n,), not negative.

    Raises:
        ValueError: it is none of these.
    """
    hint = "Give 'balanced', or a dictionary with a number >= 0 for each label."
    if isinstance(class_weight, Mapping):
        labels = set(np.asarray(y).tolist())
        unknown = [label for label in class_weight if label not in labels]
        if unknown:
            some = ", ".join(map(shown, sorted(labels, key=str)[:5])) + (" ..." if len(labels) > 5 else "")
            raise ValueError(f"{call}: {shown(unknown[0])} is no label of y, which holds {some}. {hint}")
    try:
        factors = np.asarray(compute_sample_weight(class_weight, y), np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{call}: {error} {hint}") from error
    if not (np.isfinite(factors) & (factors >= 0)).all():
        raise ValueError(f"{call}: {class_weight!r} holds what is no weight. {hint}")
    return factors
