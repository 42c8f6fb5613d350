"""Spreadsheets and JSON lines: how do cells and records, each with a type of its own, become columns?"""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from numdl.data.read.arrow import first_line
from numdl.data.read.extras import needed
from numdl.data.read.text.encoding import to_utf8
from numdl.data.read.text.layout import apart, has_header, unit_row
from numdl.data.table.notation import MISSING
from numdl.data.table.table import Table, listed


def read_sheet(call: str, raw: bytes, *, header: bool | None = None, sheet: str | int | None = None) -> Table:
    """Read one sheet of a workbook (.xlsx, .xls, .ods). Needs python-calamine, the extra ``excel``.

    The table is the block of rows that are as wide as most; lines above it are titles, a line of units below the header
    is known as in text, and cells below it are kept.

    Args:
        call: the call to name in an error.
        raw: the whole file.
        header: whether the first row of the table holds names; None guesses.
        sheet: its name, or its number from 1 on; None for the first sheet with a table that holds numbers, else
            the first with any table; hidden ones come last.

    Returns:
        The columns.

    Raises:
        ValueError: python-calamine is not installed, the file is damaged, or there is no such sheet or no table in it.
    """
    calamine = needed(call, "python_calamine", "excel", "workbooks")
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw))
        names = list(book.sheet_names)
        hidden = {sheet.name: sheet.visible != calamine.SheetVisibleEnum.Visible for sheet in book.sheets_metadata}
    except Exception as error:  # errors of the reader have a class for each format, and none in common
        raise ValueError(f"{call}: the workbook cannot be read ({first_line(error)}); save it again.") from None
    wanted = sorted(names, key=lambda name: hidden.get(name, False)) if sheet is None else [_sheet(call, sheet, names)]
    try:
        found = [(name, rows) for name in wanted if (rows := book.get_sheet_by_name(name).to_python())]
    except Exception as error:  # errors of the reader have a class for each format, and none in common
        raise ValueError(f"{call}: the workbook cannot be read ({first_line(error)}); save it again.") from None
    if not found and sheet is not None:
        raise ValueError(f"{call}: the sheet {wanted[0]!r} holds no cell; its sheets are {listed(names)}.")
    if not found:
        raise ValueError(f"{call}: no sheet holds any cell; give a workbook with a table.")
    if len(names) == 1 or sheet is not None:
        return _table(call, found[0][1], header, [])
    return _first_table(call, found, header, names)


def _first_table(
    call: str, found: list[tuple[str, Sequence[Sequence[Any]]]], header: bool | None, names: list[str]
) -> Table:
    """The first sheet with a table that holds numbers: workbooks begin with a cover or a page of remarks."""
    chosen, failed = None, None
    for name, rows in found:
        others = listed([n for n in names if n != name])
        notes = [f"Sheet {name!r} is read, others are not: {others}; --sheet NAME or NUMBER chooses one."]
        try:
            table = _table(call, rows, header, notes)
        except ValueError as error:
            failed = failed or error
            continue
        chosen = chosen or table
        if table.n > 1 and any(column.dtype.kind == "f" for column in table.columns):
            return table
    if chosen is None:
        raise ValueError(f"{failed} The workbook has the sheets {listed(names)}; --sheet NAME or NUMBER chooses one.")
    return chosen


def _sheet(call: str, sheet: str | int, names: list[str]) -> str:
    """Name of the sheet that a name or a number from 1 on means; a name comes first."""
    if sheet in names:
        return str(sheet)
    place = int(sheet) if isinstance(sheet, int) or sheet.isdecimal() else 0
    if not 1 <= place <= len(names):
        raise ValueError(
            f"{call}: there is no sheet {sheet!r}; its {len(names)} sheets are {listed(names)}. Give a name or a "
            "number from 1 on."
        )
    return names[place - 1]


def read_json_lines(call: str, raw: bytes) -> Table:
    """Read one JSON object for each line; its keys name the columns, and an absent key is a missing entry.

    An object within an object becomes columns named by both keys, ``sensor.a``.

    Args:
        call: the call to name in an error.
        raw: the whole file.

    Returns:
        The columns, in the order in which the keys first occur.

    Raises:
        ValueError: a line is no object, an entry is a list, or two keys name one column.
    """
    text, notes = to_utf8(call, raw)
    names: dict[str, None] = {}
    records: list[dict[str, Any]] = []
    for number, line in enumerate(text.decode().split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{call}: line {number} is no JSON ({first_line(error)}); mend that line.") from None
        if not isinstance(record, dict):
            raise ValueError(f"{call}: line {number} is no JSON object; give one object for each line.")
        record = _flat(f"{call}: line {number}", record)
        names.update(dict.fromkeys(record))
        records.append(record)
    if not records or not names:
        raise ValueError(f"{call}: the file holds no record; give one JSON object for each line.")
    columns = tuple(_column([record.get(name) for record in records]) for name in names)
    return Table(tuple(names), columns, tuple(notes))


def _flat(where: str, record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The entries of an object and of those within it, named by the keys on the way."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, list):
            raise ValueError(f"{where} holds a list for {name!r}; give numbers or text.")
        for inner, entry in (_flat(where, value, f"{name}.") if isinstance(value, dict) else {name: value}).items():
            if inner in found:
                raise ValueError(f"{where} has two entries named {inner!r}; rename one.")
            found[inner] = entry
    return found


def _table(call: str, rows: Sequence[Sequence[Any]], header: bool | None, notes: list[str]) -> Table:
    """The table among the cells of a sheet."""
    used = sorted({j for row in rows for j, cell in enumerate(row) if _word(cell)})
    filled = [sum(bool(_word(cell)) for cell in row) for row in rows]
    if not used:
        raise ValueError(f"{call}: the sheet holds no cell; give one with a table.")
    top, bottom = _ends(rows, filled, used[0])
    if titles := sum(count > 0 for count in filled[:top]):
        notes.append(f"{'One row' if titles == 1 else f'{titles} rows'} above the table skipped.")
    if below := sum(count > 0 for count in filled[bottom + 1 :]):
        notes.append(f"{'One row' if below == 1 else f'{below} rows'} below the table skipped.")
    cells = [[row[j] if j < len(row) else None for j in used] for row in rows[top : bottom + 1] if any(map(_word, row))]
    words = [[_word(cell) for cell in row] for row in cells[:50]]
    named = has_header(call, words) if header is None else header
    if named:
        over = rows[top - 1] if top else []
        words[0], joined = apart(words[0], [_word(over[j]) if j < len(over) else "" for j in used])
        notes += joined
    found = unit_row(words) if named else []
    body = cells[(1 if named else 0) + (1 if found else 0) :]
    if not body:
        raise ValueError(f"{call}: the sheet has a header but no rows; give at least one row of data.")
    names = [(words[0][i] if named else "") or f"column{i}" for i in range(len(used))]
    columns = [_column([row[i] for row in body]) for i in range(len(used))]
    units = {name: unit for name, unit in zip(names, found, strict=False) if unit}
    if found:
        notes.append(f"The row below the header is read as units ({', '.join(list(units.values())[:4])}).")
    kept = [i for i in range(len(used)) if names[i] != f"column{i}" or any(_word(row[i]) for row in body)]
    return Table(tuple(names[i] for i in kept), tuple(columns[i] for i in kept), tuple(notes), units)


def _ends(rows: Sequence[Sequence[Any]], filled: list[int], left: int) -> tuple[int, int]:
    """First and last row of the table: titles and remarks fill fewer cells of their rows."""
    most = max(filled)
    top = filled.index(most)
    if top and filled[top - 1] == most - 1 and (most > 3 or not _word(rows[top - 1][left])):
        top -= 1  # a header with one cell empty
    return top, max(i for i, count in enumerate(filled) if 2 * count > most)


def _word(cell: Any) -> str:
    """A cell as text, "" where it is empty; whole numbers without decimal point."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, datetime.timedelta) and cell >= datetime.timedelta(0):
        hours, rest = divmod(cell, datetime.timedelta(hours=1))
        return f"{hours:02d}{str(rest)[1:]}"
    return str(cell).strip()


def _column(values: list[Any]) -> np.ndarray:
    """Numbers where all cells are numbers or missing, else text."""
    fit = [_is_number(value) or (isinstance(value, str) and value.strip() in MISSING) for value in values]
    if all(fit) and any(value is not None and not isinstance(value, str) for value in values):
        return np.array([float(v) if isinstance(v, int | float) else np.nan for v in values], dtype=np.float64)
    words = [_word(value) for value in values]
    return np.array([None if word in MISSING else word for word in words], dtype=object)


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) <= 1 << 53)
