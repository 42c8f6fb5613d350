"""Input validation: what is refused before any work starts, and in which words?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils import validation as of_sklearn
from sklearn.utils.multiclass import check_classification_targets

from numdl import checks

if TYPE_CHECKING:
    from numdl.linalg import TSQR


@contextlib.contextmanager
def in_words(call: str, needs: str) -> Iterator[None]:
    """Refusals of scikit-learn keep their text and get what all refusals have: the call, what is needed, what to try.

    Args:
        call: the call to name.
        needs: the argument, what it needs, and the next thing to try.

    Yields:
        Nothing.

    Raises:
        TypeError: as inside.
        ValueError: as inside.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{call}: {error} {needs}") from error


def validate_data(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """As the function of this name of scikit-learn, `in_words`.

    Args:
        estimator: gets the number and names of columns.
        X: as given.
        *y: as given, if there are targets.
        **options: of the function.

    Returns:
        X, or X and y.
    """
    call = f"{type(estimator).__name__}{'.fit' if y else ''}"
    needs = f"X needs to be a table of numbers (n, d){', y to have a row for each of its rows' if y else ''}. Check it."
    with in_words(call, needs):
        return of_sklearn.validate_data(estimator, X, *y, **options)


def checked_table(estimator: Any, call: str, X: Any, *y: Any, **options: Any) -> Any:
    """Rows as finite numbers, and the targets beside them.

    Args:
        estimator: gets the number and names of columns, or has them.
        call: the call to name.
        X: as given.
        *y: as given, if there are targets, (n,) or (n, k).
        **options: of scikit-learn's ``validate_data``; ``dtype`` is "numeric" where text is no number.

    Returns:
        X (n, d), float64, or X and y.

    Raises:
        ValueError: no such table, or an entry is not finite.
    """
    if y:
        require_finite_targets(call, y[0])
        options = {"multi_output": True} | options
    found = validate_data(estimator, X, *y, **{"dtype": "numeric", "ensure_all_finite": False} | options)
    names = getattr(estimator, "feature_names_in_", None)
    rows = _as_numbers(call, found[0] if y else found, names)
    require_finite(call, "X", rows, names)
    return (rows, found[1]) if y else rows


def _as_numbers(call: str, rows: np.ndarray, names: Any) -> np.ndarray:
    """As float64; text, which frames with several kinds of columns bring, is refused by its place."""
    try:
        return np.asarray(rows, np.float64)
    except (TypeError, ValueError):
        for index, entry in np.ndenumerate(rows):
            try:
                float(entry)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{call}: X holds {checks.shown(entry)} at {checks.place(index, names)}, needs numbers. Encode "
                    "text first, for example with sklearn.preprocessing.OneHotEncoder in a pipeline."
                ) from None
        raise


BEYOND = 1e100
"""Standard deviations from the rows of a fit at which squares of squares still do not overflow."""


def require_near(call: str, x: np.ndarray, columns: np.ndarray, names: Any = None) -> np.ndarray:
    """Refuse rows so far from those of the fit that a kernel overflows.

    Args:
        call: the call to name.
        x: scaled rows (n, p).
        columns: number of each in the table (p,).
        names: of the columns of the table; None if they have none.

    Returns:
        x.

    Raises:
        ValueError: names the first entry.
    """
    far = np.abs(x) > BEYOND
    if far.any():
        i, j = np.argwhere(far)[0]
        where = checks.place((i, columns[j]), names)
        raise ValueError(
            f"{call}: X at {where} is more than {BEYOND:g} standard deviations from the rows of the fit, needs less. "
            "Check its unit, or remove the row."
        )
    return x


def sample_weights(call: str, sample_weight: Any, X: Any) -> np.ndarray:
    """Relative weights of rows, 1 where none are given, (n,).

    Args:
        call: the call to name.
        sample_weight: as given.
        X: the rows.

    Returns:
        Not negative and finite, float64; their sum is ``Weighed.n``, whatever factor all were multiplied by.
    """
    weights = raw_weights(call, sample_weight, X)
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


def labels_of(call: str, y: Any) -> np.ndarray:
    """Labels as given, (n,); (n, 1) with a warning.

    Args:
        call: the call to name.
        y: as given.

    Returns:
        The labels.
    """
    with in_words(call, "y needs one label per row. Check it."):
        y = of_sklearn.column_or_1d(y, warn=True)
        check_classification_targets(y)
    return y


def targets_beside(call: str, name: str, y: Any, n: int) -> np.ndarray:
    """Targets of rows that are not trained on.

    Args:
        call: the call to name.
        name: of the argument.
        y: as given.
        n: number of the rows.

    Returns:
        (n, k), float64.

    Raises:
        ValueError: not finite numbers, or not one row of them for each row of X.
    """
    y = np.asarray(checks.finite(call, name, y), np.float64)
    if y.ndim not in (1, 2) or len(y) != n:
        raise ValueError(_other_rows(call, name, y, n))
    return y if y.ndim == 2 else y[:, None]


def _other_rows(call: str, name: str, y: np.ndarray, n: int) -> str:
    found = len(y) if y.ndim in (1, 2) and len(y) != n else f"shape {y.shape}"
    return f"{call}: X{name[1:]} has {n} rows and {name} {found}, needs one target per row. Check both."


def labels_beside(call: str, name: str, y: Any, n: int) -> np.ndarray:
    """Labels of rows that are not trained on.

    Args:
        call: the call to name.
        name: of the argument.
        y: as given.
        n: number of the rows.

    Returns:
        (n,).

    Raises:
        ValueError: not one label for each row.
    """
    y = np.asarray(y)
    if y.dtype.kind == "c":
        checks.real(call, name, y)
    if y.shape not in ((n,), (n, 1)):
        raise ValueError(_other_rows(call, name, y, n))
    return y.ravel()


def require_seed(call: str, random_state: Any) -> None:
    """Refuse what is no seed.

    Args:
        call: the call to name.
        random_state: as given.
    """
    with in_words(f"{call}(random_state)", "It needs a seed, a RandomState of NumPy or None. Give random_state=0."):
        check_random_state(random_state)


def is_auto(value: Any) -> bool:
    """Whether a parameter is left to the estimator."""
    return isinstance(value, str) and value == "auto"


def require_finite(call: str, what: str, values: np.ndarray, names: Any = None) -> None:
    """Refuse NaN and infinity, naming the first column and row.

    Args:
        call: the call to name.
        what: ``"X"`` or ``"y"``.
        values: (n,) or (n, d) numbers.
        names: column names; None if they have none.

    Raises:
        ValueError: an entry is not finite.
    """
    hint = "Remove or impute them first, for example with sklearn.impute.SimpleImputer."
    checks.finite(call, what, values, columns=names, hint=hint)


def require_finite_targets(call: str, y: Any) -> None:
    """Refuse targets with NaN or infinity, naming the row; whatever is no table of numbers is left to other checks.

    Args:
        call: the call to name.
        y: as given by the user.

    Raises:
        ValueError: an entry is not finite.
    """
    values = np.asarray(y)
    if values.dtype.kind == "f" and values.ndim in (1, 2) and values.size:
        require_finite(call, "y", values)


def require_varying(call: str, y: Float[np.ndarray, "n k"]) -> None:
    """Refuse targets that never change.

    Args:
        call: the call to name.
        y: targets, (n, k).

    Raises:
        ValueError: fewer than two rows, or a constant column.
    """
    if len(y) < 2:
        raise ValueError(f"{call}: n_samples = {len(y)}, a network needs at least 2 rows. Give more data.")
    constant = np.flatnonzero(np.ptp(y, axis=0) == 0)
    if len(constant):
        where = f"target column {int(constant[0])}" if y.shape[1] > 1 else "the target"
        raise ValueError(
            f"{call}: {where} is constant ({y[0, constant[0]]:g} in all {len(y)} rows), there is nothing to learn. "
            "Check the target, or leave this column out."
        )


def encode_labels(call: str, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Classes, sorted, and the number of the class of each row.

    Args:
        call: the call to name.
        y: labels as given, (n,); (n, 1) with a warning.

    Returns:
        Classes and codes (n,).

    Raises:
        ValueError: no labels, several columns, or one class only.
    """
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = of_sklearn.column_or_1d(y, warn=True)
    with in_words(call, "y needs one label per row. Check it."):
        check_classification_targets(y)
    if y.ndim != 1:
        raise ValueError(f"{call}: y has shape {y.shape}, needs (n,): one label per row. Fit one model per column.")
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{call}: y holds one class only ({checks.shown(classes[0])}), needs at least two classes.")
    return classes, codes


def require_classes(call: str, codes: np.ndarray) -> None:
    """Refuse rows of positive weight that are all of one class, or none.

    Args:
        call: the call to name.
        codes: of these rows, (n,), or targets (n, k).

    Raises:
        ValueError: fewer than two classes.
    """
    if not len(codes) or (codes == codes[0]).all():
        raise ValueError(
            f"{call}: all rows of positive weight belong to one class, needs at least two classes. Give a positive "
            "weight to rows of another class."
        )


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
    try:
        factors = np.asarray(compute_sample_weight(class_weight, y), np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{call}: {error} {hint}") from error
    if not (np.isfinite(factors) & (factors >= 0)).all():
        raise ValueError(f"{call}: {class_weight!r} holds what is no weight. {hint}")
    return factors
