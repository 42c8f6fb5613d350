"""Table of named columns.

What did the file hold: named columns of equal length, numbers or text, and nothing decided yet?
"""

from __future__ import annotations

import difflib
import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from numdl import checks
from numdl.data.table.copies import first_of_equals


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of one length, each either all numbers or all text.

    Numbers, integers and booleans become float64 with NaN for a missing entry; text becomes an object array of ``str``
    with None for a missing entry. Infinite and missing entries are kept: whoever uses a column decides about them.
    Names and text in decomposed form (NFD) are composed (NFC): a category is the same whichever system wrote it.

    Attributes:
        names: column names in file order, all different.
        columns: one array (n,) per name, float64 or object; entries may be not finite.
        notes: sentences about how the file was read, for the user.
        units: unit of a column by its name, where the file tells it.

    Raises:
        ValueError: no column, no row, a repeated name, columns of different length, or entries that are neither numbers
            nor text.
    """

    names: tuple[str, ...]
    columns: tuple[np.ndarray, ...]
    notes: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    _place: dict[str, int] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name, given in (("names", self.names), ("columns", self.columns)):
            if isinstance(given, str) or not hasattr(given, "__iter__"):
                raise TypeError(f"Table({name}={checks.shown(given)}): needs one for each column. Give a tuple.")
        if isinstance(self.notes, str) or not isinstance(self.notes, Sequence):
            raise TypeError(f"Table(notes={checks.shown(self.notes)}): needs several sentences. Give a tuple.")
        if not isinstance(self.units, Mapping):
            raise TypeError(f"Table(units={checks.shown(self.units)}): needs units by name. Give a dictionary.")
        names = tuple(same_name(str(name)) for name in self.names)
        if not names or len(names) != len(self.columns):
            raise ValueError(
                f"Table: got {len(names)} names for {len(self.columns)} columns; give at least one column and one "
                "name for each."
            )
        repeated = sorted(name for name, count in Counter(names).items() if count > 1)
        if repeated:
            raise ValueError(
                f"Table: column names must differ, but {listed(repeated)} occur more than once; rename them "
                "(or add a header line if the file has none)."
            )
        columns = tuple(_as_column(name, values) for name, values in zip(names, self.columns, strict=True))
        lengths = {name: len(column) for name, column in zip(names, columns, strict=True)}
        shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        if lengths[shortest] != lengths[longest]:
            raise ValueError(
                f"Table: column {shortest!r} has {lengths[shortest]} rows but column {longest!r} has "
                f"{lengths[longest]}; give columns of equal length."
            )
        if lengths[longest] == 0:
            raise ValueError("Table: there are zero rows; give a table with at least one row of data.")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "_place", {name: j for j, name in enumerate(names)})

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.columns[0])

    @functools.cached_property
    def different(self) -> np.ndarray:
        """Rows that repeat no earlier one, their numbers from 0."""
        return np.unique(first_of_equals(self.columns))

    def __len__(self) -> int:
        return self.n

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and same_name(name) in self._place

    def column(self, name: str) -> np.ndarray:
        """Values (n,) of one column.

        Args:
            name: a column name.

        Returns:
            float64 or object array (n,), not a copy.

        Raises:
            ValueError: there is no such column; the message lists the names most like it.
        """
        if name not in self:
            raise ValueError(f"Table.column({name!r}): {absent(name, self.names)}")
        return self.columns[self._place[same_name(name)]]

    def select(self, names: Sequence[str]) -> Table:
        """The table with some of its columns.

        Args:
            names: the columns to keep, in this order.

        Returns:
            A table of the same rows.
        """
        return Table(tuple(names), tuple(self.column(name) for name in names), self.notes, self.units)

    def take(self, rows: np.ndarray) -> Table:
        """The table with some of its rows.

        Args:
            rows: their numbers, from 0.

        Returns:
            A table of the same columns.
        """
        return Table(self.names, tuple(column[rows] for column in self.columns), self.notes, self.units)


def same_name(name: str) -> str:
    """A name or category in composed form (NFC), so that it is the same whichever system wrote it.

    Args:
        name: as a file or a user gave it.

    Returns:
        The name by which it is known here.
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def absent(name: str, names: Iterable[str]) -> str:
    """The sentence that says a column is missing and which names come close.

    Args:
        name: what was asked for.
        names: what there is.

    Returns:
        One sentence, for use after the name of the call.
    """
    known = list(names)
    lowered: dict[str, str] = {}
    for candidate in known:
        lowered.setdefault(candidate.lower(), candidate)
    close = [lowered[match] for match in difflib.get_close_matches(str(name).lower(), list(lowered), n=3)]
    hint = f"did you mean {listed(close, ' or ')}?" if close else f"the columns are {listed(known)}."
    return f"there is no column {str(name)!r}; {hint}"


def listed(names: list[str], joiner: str = ", ") -> str:
    """Up to eight names in quotes, and how many more there are.

    Args:
        names: what to list.
        joiner: what stands between.

    Returns:
        A part of a sentence.
    """
    shown = joiner.join(repr(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _as_column(name: str, values: object) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"Table: column {name!r} has shape {array.shape}; give one value per row, shape (n,).")
    if array.dtype.kind in "fiub":
        return array.astype(np.float64, copy=False)
    if array.dtype.kind in "US":
        text = array.astype(str) if array.dtype.kind == "S" else array
        return _composed(np.array(text.tolist(), dtype=object))
    if array.dtype.kind == "O":
        wrong = next((row for row, value in enumerate(array) if not (value is None or isinstance(value, str))), None)
        if wrong is None:
            return _composed(array)
        raise ValueError(
            f"Table: column {name!r}, row {wrong + 1} holds {array[wrong]!r} of type {type(array[wrong]).__name__}; "
            "a text column may hold only str and None."
        )
    raise ValueError(
        f"Table: column {name!r} of columns has type {array.dtype}, needs real numbers or text; convert it."
    )


def _composed(column: np.ndarray) -> np.ndarray:
    if all(word is None or word.isascii() for word in column):
        return column
    return np.array([word if word is None else same_name(word) for word in column], dtype=object)
