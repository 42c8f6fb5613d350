"""Input validation: what is refused before any work starts, and in which words?"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from numdl import checks


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
        y = column_or_1d(y, warn=True)
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
