"""Delimited text files (CSV, TSV): what does a text table hold, row by row?

Encoding, quotes and layout are settled first (`numdl.data.read.text`); Arrow parses what remains. A row that does not
fit is refused with its number, unless it is a footer: text below the table that is no row.

A quote opens where a field begins, closes before a delimiter or the end of a line, and is doubled inside. One that is
never closed swallows rows without a word, whatever reads the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from numdl.data.read.arrow import first_line, from_arrow
from numdl.data.read.footer import without_footer, without_headers
from numdl.data.read.headed import plain_text
from numdl.data.read.text.encoding import to_utf8
from numdl.data.read.text.layout import Layout, declared, fields, is_numeral, sniff
from numdl.data.read.understand import understood
from numdl.data.table.notation import MISSING
from numdl.data.table.table import Table

_BLOCK, _MOST_BLOCK = 1 << 20, 1 << 30
_MANY_COLUMNS = 1000
_FOOTER_BYTES, _FOOTER_LINES = 1 << 13, 20

_QUOTE, _NEWLINES = ord('"'), (ord("\n"), ord("\r"))


def read_delimited(
    call: str,
    raw: bytes,
    *,
    blanks: bool = False,
    text: Sequence[str] = (),
    header: bool | None = None,
    extension: str = ".csv",
) -> Table:
    """Read a CSV, TSV or white-space separated file.

    Args:
        call: the call to name in an error.
        raw: the whole file.
        blanks: whether runs of blanks may separate columns.
        text: columns that stay text even if all entries look like numbers.
        header: whether the first line holds names; None guesses.
        extension: of the file's name, for files whose header says what they hold (`numdl.data.read.headed`).

    Returns:
        Its columns; the entries of `data.table.notation.MISSING` are missing, text is stripped of surrounding blanks.

    Raises:
        ValueError: no text, no data row, a quote that is not closed, or rows of different length.
    """
    content, notes = to_utf8(call, raw)
    plain = plain_text(call, content, extension)
    content, text, notes = plain.content, (*text, *plain.text), [*notes, *plain.notes]
    if plain.names:
        layout = declared(content, plain.delimiter, plain.names, plain.decimal)
    else:
        layout = sniff(call, content, blanks=blanks, header=header)
    quoted = check_quotes(call, content, layout.delimiter)
    rows: Any = memoryview(content)[layout.start :]
    if layout.delimiter == " ":
        rows = b"\n".join(b" ".join(line.split()) for line in bytes(rows).splitlines())
    if not bytes(rows).strip():
        raise ValueError(f"{call}: the file has a header but no rows; give at least one row of data.")
    arrow, footer = _parse(call, rows, layout, text, quoted, footers=not plain.names)
    empty = [
        i
        for i, (name, column) in enumerate(zip(layout.names, arrow.columns, strict=True))
        if name == f"column{i}" and not any(plain.names[i : i + 1]) and column.null_count == len(column) and i > 0
    ]
    if empty and len(empty) < arrow.num_columns:
        arrow = arrow.select([i for i in range(arrow.num_columns) if i not in set(empty)])
        notes.append(f"{'One column' if len(empty) == 1 else f'{len(empty)} columns'} without name and values skipped.")
    table = from_arrow(call, arrow)
    comma = ["Numbers are read with a decimal comma."] if layout.decimal == "," else []
    notes = [*notes, *layout.notes, *comma, *footer, *table.notes]
    units = layout.units | {name: unit for name, unit in plain.units.items() if name in table.names}
    table = Table(table.names, table.columns, tuple(notes), units)
    if not plain.names:
        table = without_footer(without_headers(table))
    return understood(table, layout.decimal, text)


def _parse(
    call: str, rows: Any, layout: Layout, text: Sequence[str], quoted: bool, *, footers: bool
) -> tuple[Any, list[str]]:
    """The table, and a note if there was a footer below it."""
    import pyarrow as pa

    try:
        return _arrow(rows, layout, text, quoted), []
    except pa.ArrowInvalid as error:
        end = _footer(rows, layout) if footers else None
        if end is not None:
            table, _ = _parse(call, rows[:end], layout, text, quoted, footers=True)
            shown = bytes(rows[end:]).decode().split("\n")[0].strip()[:40]
            return table, [f"What stands below the table is skipped ({shown!r})."]
        bad = _ragged(rows, layout, quoted)
        if bad is not None:
            raise ValueError(
                f"{call}: data row {bad.number} has {bad.actual_columns} fields where {bad.expected_columns} are "
                f"expected ({bad.text[:60]!r}); mend that row, or quote values that contain the delimiter."
            ) from None
        raise ValueError(
            f"{call}: the text is no table ({first_line(error)}); check delimiter, quotes and encoding."
        ) from None


def _footer(rows: Any, layout: Layout) -> int | None:
    """Where the lines below the table begin: narrower than the table, and sentences rather than values cut off."""
    tail = bytes(rows[-_FOOTER_BYTES:])
    lines = tail.splitlines(keepends=True)
    end = at = len(lines)
    for at in reversed(range(max(0, len(lines) - _FOOTER_LINES), len(lines))):
        line = lines[at].decode(errors="replace")
        filled = [field for field in fields(line, layout.delimiter) if field]
        if not filled:
            continue
        apart = at > 0 and not lines[at - 1].strip()
        sentence = apart or any(sign in filled[0] for sign in " :#=") or filled[0][0] in "-*"
        if len(filled) >= len(layout.names) or is_numeral(filled[0]) or not sentence:
            break
        end = at
    if end == len(lines):
        return None
    return len(rows) - sum(len(line) for line in lines[end:])


def _arrow(rows: Any, layout: Layout, text: Sequence[str], quoted: bool, on_invalid: Any = None) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    first = bytes(rows[: 1 << 26]).find(b"\n")
    return arrow_csv.read_csv(
        pa.BufferReader(rows),
        # rows are numbered only without threads, which costs time: so only when looking for the row at fault
        read_options=arrow_csv.ReadOptions(
            column_names=list(layout.names),
            use_threads=on_invalid is None,
            block_size=min(max(_BLOCK, 8 * first), _MOST_BLOCK),
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=layout.delimiter, invalid_row_handler=on_invalid, newlines_in_values=quoted
        ),
        convert_options=arrow_csv.ConvertOptions(
            # Arrow prepares them for each column anew; those left out are found by `interpret`
            null_values=sorted(MISSING) if len(layout.names) < _MANY_COLUMNS else ["", "NaN", "nan", "NA"],
            strings_can_be_null=True,
            decimal_point=layout.decimal or ".",
            column_types={name: pa.string() for name in text if name in layout.names},
        ),
    )


def _ragged(rows: Any, layout: Layout, quoted: bool) -> Any:
    import pyarrow as pa

    found: list[Any] = []

    def remember(row: Any) -> str:
        found.append(row)
        return "error"

    with contextlib.suppress(pa.ArrowInvalid):
        _arrow(rows, layout, (), quoted, on_invalid=remember)
    return found[0] if found else None


def check_quotes(call: str, text: bytes, delimiter: str) -> bool:
    """Refuse a quote that is not closed, or closed within a field.

    Args:
        call: the call to name in an error.
        text: the whole file in UTF-8.
        delimiter: one character.

    Returns:
        Whether any field is quoted.

    Raises:
        ValueError: names the line in which the quote is opened.
    """
    if b'"' not in text:
        return False
    letters = np.frombuffer(text, np.uint8)
    places = np.flatnonzero(letters == _QUOTE)
    edge = np.zeros(256, dtype=bool)
    edge[[*_NEWLINES, ord(delimiter)]] = True
    opens = np.ones(len(places), dtype=bool)
    inner = places > 0
    opens[inner] = edge[letters[places[inner] - 1]]
    closes = np.ones(len(places), dtype=bool)
    inner = places < len(letters) - 1
    closes[inner] = edge[letters[places[inner] + 1]]
    beside = np.zeros(len(places) + 1, dtype=bool)  # whether quote i stands right behind quote i - 1
    beside[1:-1] = np.diff(places) == 1
    # every other quote opens a field or is the second of a double, and the others close one or are the first
    usual = (opens | beside[:-1])[0::2].all() and (closes | beside[1:])[1::2].all() and len(places) % 2 == 0
    if not usual:
        _walk(call, text, places, opens, closes)
    return bool(opens.any())


def _walk(call: str, text: bytes, places: np.ndarray, opens: np.ndarray, closes: np.ndarray) -> None:
    """Quote by quote, since some stand within fields, such as in 5" pipes."""
    i, n = 0, len(places)
    while i < n:
        if not opens[i]:
            i += 1
            continue
        begin, i = i, i + 1
        while i + 1 < n and places[i + 1] == places[i] + 1:
            i += 2
        if i >= n:
            raise ValueError(
                f"{call}: line {_line(text, places[begin])} opens a quote that is never closed; close it, or complete "
                "the file if it was cut off."
            )
        if not closes[i]:
            first, second = _line(text, places[begin]), _line(text, places[i])
            raise ValueError(
                f"{call}: line {first} opens a quote that is never closed (the next one, in line {second}, is followed "
                "by more text); close it, or double quotes that belong to a value."
            )
        i += 1


def _line(text: bytes, at: int) -> int:
    return text.count(b"\n", 0, int(at)) + 1
