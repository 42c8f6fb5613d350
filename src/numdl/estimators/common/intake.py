"""Input validation: what is refused before any work starts, and in which words?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.utils import check_random_state
from sklearn.utils import validation as of_sklearn
from sklearn.utils.multiclass import check_classification_targets

from numdl import checks


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
        told = str(error).partition("\n[")[0]  # without the array that was given, as of complex numbers
        raise type(error)(f"{call}: {told} {needs}") from error


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


def known_codes(call: str, name: str, y: Any, n: int, classes: np.ndarray) -> np.ndarray:
    """Numbers of the classes of rows that are not trained on.

    Args:
        call: the call to name.
        name: of the argument.
        y: their labels, as given.
        n: number of the rows.
        classes: of the fit, sorted.

    Returns:
        (n,).

    Raises:
        ValueError: not one label for each row, or one that is no class of the fit.
    """
    y = labels_beside(call, name, y, n)
    unknown = ~np.isin(y, classes)
    if unknown.any():
        raise ValueError(
            f"{call}: {name} holds {checks.shown(y[unknown][0])}, which is no class of y. Drop these rows."
        )
    return np.searchsorted(classes, y)


def require_seed(call: str, random_state: Any) -> None:
    """Refuse what is no seed.

    Args:
        call: the call to name.
        random_state: as given.
    """
    with in_words(f"{call}(random_state)", "It needs a seed, a RandomState of NumPy or None. Give random_state=0."):
        check_random_state(random_state)


def generator(call: str, random_state: Any) -> np.random.Generator:
    """NumPy's generator of what scikit-learn or NumPy allow as ``random_state``.

    Args:
        call: the call to name.
        random_state: as given.

    Returns:
        The generator.
    """
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31 - 1)
    return checks.generator(call, random_state)


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
