"""Several files as one table: which files does a pattern mean, and how are their rows joined?"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from numdl.data.read.sources import STANDARD_INPUT
from numdl.data.table.notation import plain_number
from numdl.data.table.table import Table, listed, same_name

COLONS = 3
"""What joins paths that a name may hold at most, as ``12:30:00.csv`` does twice."""


def joined(paths: Sequence[Path]) -> Path:
    """Several files as one path, as in the variable PATH: ``a.csv:b.csv``.

    Args:
        paths: at least one, as they were named.

    Returns:
        The path that `apart` and `matching` take apart.
    """
    return Path(os.pathsep.join(map(str, paths)))


def apart(path: Path) -> list[Path]:
    """The files or patterns that `joined` put together; the path itself if there is a file of its name.

    Names may hold what joins: of up to ``COLONS`` more words, the longest name that there is counts.
    """
    words, found = str(path).split(os.pathsep), []
    if len(words) == 1 or not all(words) or os.path.exists(path):  # of Path it fails for very long names
        return [path]
    while words:
        names = [os.pathsep.join(words[: 1 + more]) for more in range(min(COLONS, len(words) - 1), 0, -1)]
        name = next((name for name in names if os.path.exists(name) or _matches(name)), words[0])
        found.append(Path(name))
        del words[: 1 + name.count(os.pathsep)]
    return found


def _matches(name: str) -> list[str]:
    """Files of a pattern."""
    return glob.glob(name, recursive=True) if glob.has_magic(name) else []


def arguments(path: Path) -> list[str]:
    """The words by which a command takes it; a name that looks like an option is one of this folder."""
    words = [str(one) for one in apart(path)]
    return [f"./{word}" if word.startswith("-") and word != STANDARD_INPUT else word for word in words]


def called(path: Path) -> str:
    """What a page calls a file, a pattern or several files."""
    names = [one.name for one in apart(path)]
    return ", ".join(names) if len(names) < 4 else f"{len(names)} files, {names[0]} first"


def matching(path: Path) -> list[Path]:
    """The files that a path or a pattern such as ``runs/*.csv`` means, in the order of their names.

    Args:
        path: a file; a pattern if there is no file of this name; or several of them, `joined`.

    Returns:
        One or several files; the path itself if nothing matches.
    """
    found: list[Path] = []
    for one in apart(path):
        named = [] if one.exists() else _matches(str(one))
        found += [Path(name) for name in sorted(named)] or [one]
    return found


def stacked(call: str, names: Sequence[str], tables: Sequence[Table]) -> Table:
    """The rows of several tables with the same columns, one below the other.

    Args:
        call: the call to name in an error.
        names: of the files.
        tables: one for each file.

    Returns:
        One table, columns in the order of the first.

    Raises:
        ValueError: a table has other columns or units than the first.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    for name, table in zip(names[1:], tables[1:], strict=True):
        other = set(table.names) ^ set(first.names)
        if other:
            raise ValueError(
                f"{call}: {names[0]} and {name} do not have the same columns ({listed(sorted(other))} only in one); "
                "give files of one kind."
            )
        if dict(table.units) != dict(first.units):
            raise ValueError(f"{call}: {names[0]} and {name} have columns in different units; give files of one kind.")
    columns = [_joined([table.column(name) for table in tables]) for name in first.names]
    notes = dict.fromkeys(note for table in tables for note in table.notes)
    return Table(first.names, tuple(columns), (f"The rows of {len(tables)} files are joined.", *notes), first.units)


def without(table: Table, na: Sequence[str]) -> Table:
    """The table with further words or numbers as missing entries.

    Args:
        table: as it was read.
        na: words and numbers, such as "-999" or "off".

    Returns:
        The same columns; a column of words that is one of numbers without these words becomes one.
    """
    if not na:
        return table
    words = set(map(same_name, na))
    numbers = [value for value in map(plain_number, na) if value is not None]
    columns = []
    for column in table.columns:
        if column.dtype.kind == "f":
            columns.append(np.where(np.isin(column, numbers), np.nan, column) if numbers else column)
        else:
            columns.append(np.array([None if word in words else word for word in column], dtype=object))
    return Table(table.names, tuple(columns), table.notes, table.units)


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    if all(column.dtype.kind == columns[0].dtype.kind for column in columns):
        return np.concatenate(columns)
    words = [
        [None if np.isnan(v) else f"{v:.17g}" for v in column] if column.dtype.kind == "f" else column.tolist()
        for column in columns
    ]
    return np.array([word for part in words for word in part], dtype=object)
