"""Columns of words that a reader leaves: which of them are numbers in another notation?"""

from __future__ import annotations

from collections.abc import Sequence

from numdl.data.table.notation import interpret
from numdl.data.table.table import Table, listed


def understood(table: Table, decimal: str | None, text: Sequence[str] = ()) -> Table:
    """Turn the columns of words that are numbers in another notation into numbers.

    Args:
        table: as a reader gave it.
        decimal: decimal sign of the file, None if it shows none.
        text: columns that stay text.

    Returns:
        The table, with a note for each notation that was met and the units that cells carried.
    """
    columns, units = list(table.columns), dict(table.units)
    met: dict[tuple[str, ...], list[str]] = {}
    for j, (name, column) in enumerate(zip(table.names, table.columns, strict=True)):
        if column.dtype.kind != "O" or name in text:
            continue
        reading = interpret(column, decimal)
        if reading.values is None:
            continue
        columns[j] = reading.values
        if reading.unit:
            units[name] = reading.unit
        if reading.notation:
            met.setdefault(reading.notation, []).append(name)
    notes = [f"{_columns(names)} read as numbers with {', '.join(notation)}." for notation, names in met.items()]
    return Table(table.names, tuple(columns), (*table.notes, *notes), units)


def _columns(names: list[str]) -> str:
    return f"Column {names[0]!r} is" if len(names) == 1 else f"Columns {listed(names)} are"
