"""Columns and features: numbers, missing values, one-hot encoding.

What does one column hold: numbers, text, or numbers with a few entries that are not?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from numdl.data.table.table import MISSING, Table

Task = Literal["regression", "classification"]


def missing(column: np.ndarray) -> np.ndarray:
    """Which entries of a column are missing: NaN, None or one of ``'', NA, NaN, nan, null, NULL``.

    Args:
        column: float64 or object (n,).

    Returns:
        bool (n,).
    """
    if column.dtype.kind == "f":
        return np.isnan(column)
    return np.fromiter((word is None or word in MISSING for word in column), dtype=bool, count=len(column))


def refuse_missing(call: str, name: str, column: np.ndarray) -> None:
    """Refuse a column with missing or infinite entries.

    Args:
        call: the call to name in an error.
        name: column name.
        column: float64 or object (n,).

    Raises:
        ValueError: with the column, the first data row (from 1) and how many there are.
    """
    gaps = missing(column)
    if gaps.any():
        raise ValueError(
            f"{call}: column {name!r}, row {int(gaps.argmax()) + 1} is missing ({int(gaps.sum())} of {len(column)} "
            "values in this column are); fill the gaps, or remove these rows or the column."
        )
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        infinite = ~np.isfinite(column)
        raise ValueError(
            f"{call}: column {name!r}, row {int(infinite.argmax()) + 1} is infinite ({int(infinite.sum())} of "
            f"{len(column)} values in this column are); correct or remove these rows."
        )


def is_number_column(call: str, name: str, column: np.ndarray) -> bool:
    """Whether a column is meant as numbers, judged by the entries that are not missing.

    Args:
        call: the call to name in an error.
        name: column name.
        column: float64 or object (n,).

    Returns:
        True if all entries are numbers, False if less than 90 % are.

    Raises:
        ValueError: at least 90 % of the entries, but not all, are numbers; names the first that is not.
    """
    if column.dtype.kind == "f":
        return True
    present = column[~missing(column)]
    verdict = {word: _number(word) is not None for word in set(present)}
    good = sum(verdict[word] for word in present)
    if good == len(present) and good > 0:
        return True
    if good < 0.9 * len(present) or good == 0:
        return False
    _refuse_word(call, name, column)
    return False


def numbers(call: str, name: str, column: np.ndarray) -> Float[np.ndarray, " n"]:
    """The values of a column of numbers, whichever way they are stored.

    Args:
        call: the call to name in an error.
        name: column name.
        column: float64 or object (n,), nothing missing.

    Returns:
        Finite float64 (n,).

    Raises:
        ValueError: an entry is missing, infinite or no number; names column and row.
    """
    refuse_missing(call, name, column)
    if column.dtype.kind == "f":
        return column
    _refuse_word(call, name, column)
    values = np.array([_number(word) for word in column], dtype=np.float64)
    refuse_missing(call, name, values)
    return values


def texts(column: np.ndarray) -> np.ndarray:
    """The entries of a column as text; whole numbers without decimal point, so that 2.0 meets the category "2".

    Args:
        column: float64 or object (n,), nothing missing.

    Returns:
        object (n,) of ``str``.
    """
    if column.dtype.kind != "f":
        return column
    return np.array([str(int(v)) if v == np.rint(v) else repr(float(v)) for v in column], dtype=object)


def guess_task(column: np.ndarray) -> Task:
    """Regression or classification, guessed from the target alone.

    Classification, if the target

    * is text (that is not numbers throughout) or boolean, or
    * has only whole numbers, at most 20 different ones, and at least ten rows for each (n >= 10 times their number).

    Else regression. A score from 1 to 10 on many rows therefore counts as classes: say so if you mean a number.

    Args:
        column: target (n,), float64, bool or object; entries that are not finite are passed over.

    Returns:
        "regression" or "classification".

    Raises:
        ValueError: no column, or not of numbers or text.
    """
    column = np.asarray(column)
    if column.ndim != 1 or column.dtype.kind not in "biufUSO":
        raise ValueError(
            f"guess_task(column of shape {column.shape} and dtype {column.dtype}): needs (n,) numbers or text. Give "
            "one column."
        )
    if column.dtype.kind == "b":
        return "classification"
    if column.dtype.kind not in "fiu":
        parsed = [None if word is None else _number(str(word)) for word in column]
        if any(value is None for value in parsed):
            return "classification"
        column = np.array(parsed, dtype=np.float64)
    values = column[np.isfinite(column)]
    distinct = np.unique(values)
    whole = bool(np.all(distinct == np.rint(distinct)))
    return "classification" if whole and len(distinct) <= 20 and len(values) >= 10 * len(distinct) > 0 else "regression"


def _refuse_word(call: str, name: str, column: np.ndarray) -> None:
    for row, word in enumerate(column):
        if word is not None and word not in MISSING and _number(word) is None:
            raise ValueError(f"{call}: column {name!r}, row {row + 1}: {word!r} is not a number; correct or remove it.")


def _number(word: str) -> float | None:
    if "_" in word:  # Python takes 1_000 for a number, no file format does
        return None
    try:
        return float(word)
    except ValueError:
        return None


MAX_CATEGORIES = 50
"""Columns a text column may become; beyond that its rarest values share the last one."""


@dataclass(frozen=True)
class Feature:
    """One column the model uses.

    Attributes:
        name: column name.
        kind: "number" or "text".
        common: text values with a column of their own, sorted.
        rare: text values that share one column, sorted.
    """

    name: str
    kind: str
    common: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns this one becomes."""
        if self.kind == "number":
            return (self.name,)
        return tuple(f"{self.name}={value}" for value in self.common) + ((f"{self.name}=(rare)",) if self.rare else ())


def choose_features(call: str, table: Table, targets: tuple[str, ...]) -> tuple[tuple[Feature, ...], list[str]]:
    """Decide what each column but the targets becomes.

    Args:
        call: the call to name in an error.
        table: training rows.
        targets: columns to leave out.

    Returns:
        The columns in use, and one sentence for each column that is dropped.

    Raises:
        ValueError: missing or infinite entries, or text among numbers.
    """
    features: list[Feature] = []
    notes: list[str] = []
    for name, column in zip(table.names, table.columns, strict=True):
        if name in targets:
            continue
        refuse_missing(call, name, column)
        number = is_number_column(call, name, column)
        values = numbers(call, name, column) if number else column
        distinct = len(np.unique(values)) if number else len(set(values))
        if distinct == 1:
            notes.append(f"Column {name!r} is dropped: it is constant.")
        elif number:
            features.append(Feature(name, "number"))
        elif distinct == len(values):
            notes.append(f"Column {name!r} is dropped: it is text that is different in every row.")
        else:
            features.append(_text_feature(name, column))
    return tuple(features), notes


def _text_feature(name: str, column: np.ndarray) -> Feature:
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore", max_categories=MAX_CATEGORIES).fit(column[:, None])
    infrequent = encoder.infrequent_categories_[0]
    rare = tuple(str(value) for value in infrequent) if infrequent is not None else ()
    common = tuple(sorted({str(value) for value in encoder.categories_[0]} - set(rare)))
    return Feature(name, "text", common, rare)


def one_hot(feature: Feature, column: np.ndarray) -> Float[np.ndarray, "n m"]:
    """Zeros and ones for the values of a text column; a value not seen in training gives zeros.

    Args:
        feature: its values, of kind "text".
        column: object (n,) of ``str``.

    Returns:
        (n, number of outputs).
    """
    size = len(feature.common)
    places = {value: j for j, value in enumerate(feature.common)} | dict.fromkeys(feature.rare, size)
    # one more place for what training did not have; scikit-learn's encoder, which chose the values, would do the same
    rows = np.eye(size + bool(feature.rare) + 1)[:, :-1]
    return rows[[places.get(word, -1) for word in column]]
