"""Footers of tables: which of the last rows are no measurement, but empty, a remark, or a sum of those above?

Rows that repeat the header, where several tables were joined, are none either.
"""

from __future__ import annotations

import numpy as np

from numdl.data.read.text.layout import EXTREME, SUMMARY, is_numeral
from numdl.data.table.column import missing
from numdl.data.table.dates import is_date
from numdl.data.table.notation import interpret, is_missing
from numdl.data.table.table import Table

_LOOKED = 20


def without_footer(table: Table) -> Table:
    """The table without the last rows that are none of it.

    These are empty; or hold one word and nothing else, which no row above does; or begin with a word for a sum or mean,
    which the column of this word holds nowhere else. Where this column holds numbers or dates, words for extremes and
    counts count as well. In another column such a word counts if the numbers beside it, but for the first column and
    constant ones, are sums or means of those above.

    Args:
        table: as a reader of text or sheets gave it, n rows.

    Returns:
        The first rows, at least one, with a note about those that are left out.
    """
    last = table.n - 1
    if not _entries(table, last):
        last = max(int(np.flatnonzero(~missing(column))[-1:].max(initial=0)) for column in table.columns)
    end = last + 1
    while end > max(last + 1 - _LOOKED, 1) and _is_remark(table, end - 1):
        end -= 1
    notes = []
    if last + 1 < table.n:
        notes.append(f"{_rows(table.n - last - 1)} without entries at the end skipped.")
    if end <= last:
        found = [table.columns[j][end] for j in _entries(table, end)]
        shown = str(next((entry for entry in found if isinstance(entry, str)), found[0] if found else ""))
        notes.append(f"{_rows(last + 1 - end)} below the table skipped ({shown[:40]!r}).")
    if not notes:
        return table
    kept = table.take(np.arange(end))
    return Table(kept.names, kept.columns, (*table.notes, *notes), table.units)


def without_headers(table: Table) -> Table:
    """The table without rows that repeat its header, or the units below it: files that were joined as they are.

    Only where a column is one of numbers or dates without them and none with them. Else nothing tells a header that
    repeats from a first row of data, which was taken for one, and its equals.

    Args:
        table: as a reader of text or sheets gave it, n rows.

    Returns:
        The other rows, with a note where some are left out.
    """
    if any(column.dtype.kind == "f" for column in table.columns):
        return table  # a column with its name among its entries is none of numbers
    repeated = np.all([column == name for name, column in zip(table.names, table.columns, strict=True)], axis=0)
    if not repeated.any():
        return table
    if table.units:
        for row in np.flatnonzero(repeated[:-1]) + 1:
            pairs = [
                (column[row], table.units.get(name)) for name, column in zip(table.names, table.columns, strict=True)
            ]
            repeated[row] |= all(is_missing(word) or word.strip("[]()<> ") == unit for word, unit in pairs)
    if repeated.all():
        return table
    kept = table.take(np.flatnonzero(~repeated))
    pairs = zip(without_footer(kept).columns, table.columns, strict=True)
    if not any(_measured(rest) and not _measured(column) for rest, column in pairs):
        return table
    count = int(repeated.sum())
    which = "One line that repeats" if count == 1 else f"{count} lines that repeat"
    note = f"{which} the header skipped; rows are counted without."
    return Table(kept.names, kept.columns, (*table.notes, note), table.units)


def _measured(column: np.ndarray) -> bool:
    """Whether all entries of a column of words are numbers in one notation, or dates."""
    words = column[~missing(column)]
    reading = interpret(words)
    return reading.values is not None or reading.identifier or (len(words) > 0 and all(map(is_date, words)))


def _rows(count: int) -> str:
    return "One row" if count == 1 else f"{count} rows"


def _entries(table: Table, row: int) -> list[int]:
    """Columns that hold something in a row."""
    return [j for j, column in enumerate(table.columns) if not missing(column[row : row + 1])[0]]


def _is_remark(table: Table, row: int) -> bool:
    entries = _entries(table, row)
    if not entries:
        return True
    column = table.columns[entries[0]]
    word = column[row]
    if not isinstance(word, str) or is_numeral(word) or is_date(word):
        return _sums_up(table, row, entries)
    if len(entries) == 1 and len(table.names) > 2 and row:
        fewest = np.sum([~missing(other[:row]) for other in table.columns], axis=0).min()
        return bool(fewest > 1)
    above = [other for other in column[:row] if other is not None]
    if entries[0] or word in above:  # a summary is named in the first column, or told by its numbers
        return _sums_up(table, row, entries)
    measured = sum(is_numeral(other) or is_date(other) for other in above[:200]) > 0.5 * len(above[:200])
    return bool(SUMMARY.fullmatch(word) or (measured and EXTREME.fullmatch(word)))


def _sums_up(table: Table, row: int, entries: list[int]) -> bool:
    """Whether a word says that a row is a sum or mean, and the numbers beside it are those of their columns."""
    texts = [table.columns[j] for j in entries if isinstance(table.columns[j][row], str)]
    if not any(SUMMARY.fullmatch(column[row]) and column[row] not in column[:row] for column in texts):
        return False
    agree = []
    for column in (table.columns[j] for j in entries if j and table.columns[j].dtype.kind == "f"):
        above = column[:row][np.isfinite(column[:row])]
        if len(np.unique(above)) > 1:
            room = 1e-3 * np.abs(column[row])
            agree.append(min(abs(above.sum() - column[row]), abs(above.mean() - column[row])) <= room)
    return bool(agree) and all(agree)
