"""Columns: what does one column hold, numbers, text, dates, names of the rows, or nothing that varies?"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from numdl.data.table.dates import is_date
from numdl.data.table.notation import interpret, is_missing, plain_number

Task = Literal["regression", "classification"]


def missing(column: np.ndarray) -> np.ndarray:
    """Which entries of a column are missing: NaN, None or one of `numdl.data.table.notation.MISSING`.

    Args:
        column: float64 or object (n,).

    Returns:
        bool (n,).
    """
    if column.dtype.kind == "f":
        return np.isnan(column)
    return np.fromiter(map(is_missing, column), dtype=bool, count=len(column))


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
            "values in this column are); fill the gaps, or say what is done about them (--missing drop, --missing "
            "impute)."
        )
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        infinite = ~np.isfinite(column)
        raise ValueError(
            f"{call}: column {name!r}, row {int(infinite.argmax()) + 1} is infinite ({int(infinite.sum())} of "
            f"{len(column)} values in this column are); correct or remove these rows, or take such entries for missing "
            "ones (--na inf --missing impute)."
        )


@dataclass(frozen=True)
class Kind:
    """What a column holds.

    Attributes:
        name: "number", "text" or "date", which a model can use; "empty", "constant", "identifier" or "names", which
            tell it nothing; "unreadable" where words look like numbers and cannot be read.
        why: for what a model cannot use, the reason, to follow the name of the column.
        values: float64 (n,) of a column of numbers, NaN where an entry is missing.
        distinct: how many different entries there are.
    """

    name: Literal["number", "text", "date", "empty", "constant", "identifier", "names", "unreadable"]
    why: str = ""
    values: np.ndarray | None = None
    distinct: int = 0


MOSTLY = 0.9
"""Share of the different rows from which on words that occur in one of them only name these rows."""


def kind_of(column: np.ndarray, unnamed: bool = False, different: np.ndarray | None = None) -> Kind:
    """Decide what a column holds, from all its entries.

    Args:
        column: float64 or object (n,).
        unnamed: whether the file gives it no name, as to the row numbers of a table that was written.
        different: rows of the table that repeat no earlier one, from 0; None for all.

    Returns:
        The kind.
    """
    reading = None if column.dtype.kind == "f" else interpret(column)
    values = column if reading is None else reading.values
    if values is not None:
        different = np.unique(values)
        distinct = int((~np.isnan(different)).sum())
        if distinct == 0:
            return Kind("empty", "it holds nothing")
        if distinct == 1:
            return Kind("constant", "it is constant", values, 1)
        if unnamed and len(values) > 2 and not np.isnan(values).any() and np.all(np.diff(values) == 1):
            return Kind("identifier", "it has no name and counts the rows", values, distinct)
        return Kind("number", "", values, distinct)
    assert reading is not None
    words = dict.fromkeys(word for word in column if not is_missing(word))  # in order: notes name the first one
    if not words:
        return Kind("empty", "it holds nothing")
    if reading.identifier:
        return Kind("identifier", "its whole numbers are beyond 2^53: they name things", None, len(words))
    if reading.problem is not None:
        return Kind("unreadable", f"row {reading.problem[0] + 1}: {reading.problem[1]}", None, len(words))
    if len(words) == 1:
        return Kind("constant", "it is constant", None, 1)
    dates = [is_date(word) for word in words] if any(map(is_date, itertools.islice(words, 200))) else [False]
    if all(dates):
        return Kind("date", f"it holds dates or times ({next(iter(words))})", None, len(words))
    if sum(dates) > 0.5 * len(dates):
        other = next(word for word, date in zip(words, dates, strict=True) if not date)
        row = int(np.flatnonzero(column == other)[0])
        return Kind("unreadable", f"row {row + 1}: {other!r} is no date or time, as others are", None, len(words))
    if len(words) == len(column):
        return Kind("names", "it is text that is different in every row", None, len(words))
    rows = column if different is None else column[different]
    once = sum(count == 1 for count in Counter(word for word in rows if not is_missing(word)).values())
    if len(words) > 2 and once >= MOSTLY * len(rows):
        why = f"it is text that names rows: {once} of {len(rows)} different rows have a word of their own"
        return Kind("names", why, None, len(words))
    return Kind("text", "", None, len(words))


def is_number_column(call: str, name: str, column: np.ndarray) -> bool:
    """Whether a column is meant as numbers, judged by the entries that are not missing.

    Args:
        call: the call to name in an error.
        name: column name.
        column: float64 or object (n,).

    Returns:
        True if all entries are numbers in one notation, False if they are categories.

    Raises:
        ValueError: the entries look like numbers and cannot be read as such; names the first.
    """
    if column.dtype.kind == "f":
        return True
    reading = interpret(column)
    if reading.problem is not None:
        raise unreadable(call, name, f"row {reading.problem[0] + 1}: {reading.problem[1]}")
    return reading.values is not None


def unreadable(call: str, name: str, why: str) -> ValueError:
    """The error for words that look like numbers and cannot be read.

    Args:
        call: the call to name.
        name: column name.
        why: row, cell and reason.

    Returns:
        The error, to be raised.
    """
    return ValueError(
        f"{call}: column {name!r}, {why}; correct the file, leave the column out (--drop), or say that it is text "
        "(--text)."
    )


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
    values = interpret(column).values
    if values is None:
        is_number_column(call, name, column)
        row = next(row for row, word in enumerate(column) if plain_number(word) is None)
        raise ValueError(
            f"{call}: column {name!r}, row {row + 1}: {column[row]!r} is not a number; correct or remove it."
        )
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

    Examples:
        >>> import numpy as np
        >>> from numdl.data import guess_task
        >>> guess_task(np.array([0.0, 1.0] * 20)), guess_task(np.linspace(0, 1, 40))
        ('classification', 'regression')
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
        parsed = interpret(np.array([None if word is None else str(word) for word in column], dtype=object)).values
        if parsed is None:
            return "classification"
        column = parsed
    values = column[np.isfinite(column)]
    distinct = np.unique(values)
    whole = bool(np.all(distinct == np.rint(distinct)))
    return "classification" if whole and len(distinct) <= 20 and len(values) >= 10 * len(distinct) > 0 else "regression"
