"""Input validation: what is refused before any work starts, and in which words?"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

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
