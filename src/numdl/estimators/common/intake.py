"""What is refused before any work starts, and in which words?"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float


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
    table = values.reshape(len(values), -1)
    bad = ~np.isfinite(table)
    if not bad.any():
        return
    row, column = (int(i) for i in np.argwhere(bad)[0])
    kind = "NaN" if np.isnan(table[row, column]) else "infinity"
    place = repr(str(names[column])) if names is not None else str(column)
    where = f"column {place}, row {row + 1}" if values.ndim > 1 else f"row {row + 1}"
    raise ValueError(
        f"{call}: Input {what} contains {kind} at {where} ({int(bad.sum())} such entries in all). "
        "Remove or impute them first, for example with sklearn.impute.SimpleImputer."
    )


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


def shown(label: Any) -> str:
    """A label as the user wrote it: without NumPy's type around it."""
    return repr(label.item() if isinstance(label, np.generic) else label)


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


def require_mesh(call: str, mesh: Any) -> None:
    """Refuse what is no mesh.

    Args:
        call: the call to name.
        mesh: as given; None for one device.

    Raises:
        ValueError: it has no named axes.
    """
    if mesh is not None and not hasattr(mesh, "axis_names"):
        raise ValueError(
            f"{call}(mesh={mesh!r}): needs a jax.sharding.Mesh. Use jax.make_mesh((devices,), ('data',)), or None."
        )


def require_choice(call: str, name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not among the allowed ones.

    Args:
        call: the call to name.
        name: of the parameter.
        value: as given.
        allowed: all words.

    Raises:
        ValueError: unknown word.
    """
    if value not in allowed:
        raise ValueError(f"{call}({name}={value!r}): unknown. Use one of {', '.join(map(repr, allowed))}.")


def require_number(
    call: str, name: str, value: Any, *, least: float, whole: bool = False, strict: bool = False
) -> None:
    """Refuse what is not a number in range.

    Args:
        call: the call to name.
        name: of the parameter.
        value: as given.
        least: lower bound.
        whole: whether it must be an integer.
        strict: whether the bound itself is refused.

    Raises:
        ValueError: not a number, not whole, or too small.
    """
    kind = "a whole number" if whole else "a number"
    sign = ">" if strict else ">="
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    fits = number and np.isfinite(value) and (value > least if strict else value >= least)
    if not fits or (whole and int(value) != value):
        raise ValueError(f"{call}({name}={value!r}): needs {kind} {sign} {least:g}. Give another {name}.")
