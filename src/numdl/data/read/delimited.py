"""Delimited text files (CSV, TSV).

How is a text table laid out (delimiter, header, decimal sign), and what does it hold?

The layout is guessed from the first lines only, never from the whole file:

* delimiter: the first of tab, ``;``, ``,`` (and runs of blanks, for ``.txt``, ``.dat`` and ``.data``) that cuts every
  line into the same number of at least two fields. The semicolon comes before the comma because files with decimal
  commas use it.
* header: the first line, unless all its fields are numbers; then the names are ``column0``, ``column1``, ...
* comments: lines that start with ``#`` before the data are skipped; the last of them is the header if it has as many
  fields as the data.
"""

from __future__ import annotations

import contextlib
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numdl.data.read.arrow import first_line, from_arrow
from numdl.data.table.table import MISSING, Table

_SAMPLE_BYTES = 1 << 16
_SAMPLE_LINES = 50
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """What the first lines say about a text table.

    Attributes:
        delimiter: one character; a blank means "runs of blanks".
        names: column names.
        skip: physical lines before the first data row.
        decimal: "." or ",".
    """

    delimiter: str
    names: tuple[str, ...]
    skip: int
    decimal: str


def read_delimited(call: str, path: Path, blanks: bool = False, text: Sequence[str] = ()) -> Table:
    """Read a CSV, TSV or white-space separated file.

    Args:
        call: the call to name in an error.
        path: an existing, not empty file.
        blanks: whether runs of blanks may separate columns.
        text: columns that stay text even if all entries look like numbers.

    Returns:
        Its columns; the entries of `data.table.table.MISSING` are missing, text is stripped of surrounding blanks.

    Raises:
        ValueError: another encoding than UTF-8, no data row, or rows of different length.
    """
    layout = sniff(call, path, blanks)
    source: bytes | Path = path
    if layout.delimiter == " ":
        lines = path.read_bytes().splitlines()[layout.skip :]
        source = b"\n".join(b" ".join(line.split()) for line in lines)
    table = _parse(call, source, layout, text)
    if table.num_rows == 0:
        raise ValueError(f"{call}: the file has a header but no rows; give at least one row of data.")
    return from_arrow(call, table)


def sniff(call: str, path: Path, blanks: bool = False) -> Layout:
    """Guess the layout of a text table from its first lines.

    Args:
        call: the call to name in an error.
        path: an existing file.
        blanks: whether runs of blanks may separate columns.

    Returns:
        The layout.

    Raises:
        ValueError: the file holds no text, or not in UTF-8.
    """
    with path.open("rb") as file:
        raw = file.read(_SAMPLE_BYTES)
        whole = not file.read(1)
    if b"\0" in raw:
        raise ValueError(
            f"{call}: the file is not text in UTF-8 (it holds zero bytes); save it as CSV with encoding UTF-8."
        )
    try:
        # a cut inside a character is no fault of the file: the incomplete tail is dropped with its line below
        text = raw.decode("utf-8-sig", errors="strict" if whole else "replace")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(f"{call}: line {line} is not text in UTF-8; save the file with the encoding UTF-8.") from None
    lines = text.splitlines() if whole else text.splitlines()[:-1] or text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), len(lines))
    comment = next((i for i in reversed(range(start)) if lines[i].strip()), None)
    body = [line for line in lines[start:] if line.strip()][:_SAMPLE_LINES]
    if not body:
        if comment is None:
            raise ValueError(
                f"{call}: the file holds only blank lines; give a file with a header line and rows of data."
            )
        start, body = comment, [lines[comment]]
    delimiter = _delimiter(body, blanks)
    head = fields(body[0], delimiter)
    if comment is not None and comment != start and any(_all_numbers([field], ".") for field in head):
        # numpy.savetxt and others put names into a comment, often with blanks between them whatever the delimiter
        title = lines[comment].lstrip().removeprefix("#")
        fitting = [cut for cut in (fields(title, delimiter), fields(title, " ")) if len(cut) == len(head) > 1]
        if fitting:
            return Layout(delimiter, _named(fitting[0]), start, _decimal(body, delimiter))
    decimal = _decimal(body[1:] or body, delimiter)
    if _all_numbers(head, decimal):
        return Layout(delimiter, _named([""] * len(head)), start, decimal)
    return Layout(delimiter, _named(head), start + 1, decimal)


def fields(line: str, delimiter: str) -> list[str]:
    """Cut one line.

    Args:
        line: one physical line.
        delimiter: one character; a blank means "runs of blanks".

    Returns:
        The fields, stripped and without their quotes.
    """
    if delimiter == " ":
        line = " ".join(line.split())
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]


def _delimiter(lines: list[str], blanks: bool) -> str:
    counts = {d: [len(fields(line, d)) for line in lines] for d in ("\t", ";", ",") + ((" ",) if blanks else ())}
    for delimiter, count in counts.items():
        if min(count) == max(count) > 1:
            return delimiter
    # rows of different length: take what most lines agree on, so that the reader can name the row that does not fit
    agreed = {d: Counter(count).most_common(1)[0] for d, count in counts.items()}
    likely = [d for d, (width, times) in agreed.items() if width > 1 and 2 * times > len(lines)]
    return likely[0] if likely else ","


def _decimal(lines: list[str], delimiter: str) -> str:
    if delimiter == ",":
        return "."
    found = [field for line in lines for field in fields(line, delimiter)]
    commas = any(_DECIMAL_COMMA.fullmatch(field) for field in found)
    return "," if commas and not any(_DECIMAL_POINT.fullmatch(field) for field in found) else "."


def _all_numbers(head: list[str], decimal: str) -> bool:
    try:
        return bool([float(field.replace(decimal, ".")) for field in head])
    except ValueError:
        return False


def _named(head: list[str]) -> tuple[str, ...]:
    return tuple(name or f"column{i}" for i, name in enumerate(head))


def _parse(call: str, source: bytes | Path, layout: Layout, text: Sequence[str]) -> Any:
    import pyarrow as pa

    try:
        table = _arrow(source, layout, text)
    except pa.ArrowInvalid as error:
        bad = _ragged(source, layout)
        if bad is not None:
            raise ValueError(
                f"{call}: data row {bad.number - _skipped(source, layout)} has {bad.actual_columns} fields where "
                f"{bad.expected_columns} are expected ({bad.text[:60]!r}); mend that row, or quote values that contain "
                "the delimiter."
            ) from None
        raise ValueError(
            f"{call}: the text is no table ({first_line(error)}); check delimiter, quotes and encoding."
        ) from None
    if _unclosed_quote(source, table):
        raise ValueError(
            f"{call}: data row {table.num_rows} opens a quote that is never closed; close it, or complete the file "
            "if it was cut off."
        )
    return table


def _unclosed_quote(source: bytes | Path, table: Any) -> bool:
    # such a quote swallows the rest of the file into the last value
    if not table.num_rows or not any("\n" in str(column[-1].as_py()) for column in table.columns):
        return False
    return (source if isinstance(source, bytes) else source.read_bytes()).count(b'"') % 2 == 1


def _skipped(source: bytes | Path, layout: Layout) -> int:
    # bytes come without the lines that stand before the data
    return 0 if isinstance(source, bytes) else layout.skip


def _arrow(source: bytes | Path, layout: Layout, text: Sequence[str] = (), on_invalid: Any = None) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    return arrow_csv.read_csv(
        pa.BufferReader(source) if isinstance(source, bytes) else str(source),
        # rows are numbered only without threads, which costs time: so only when looking for the row at fault
        read_options=arrow_csv.ReadOptions(
            column_names=list(layout.names), skip_rows=_skipped(source, layout), use_threads=on_invalid is None
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=layout.delimiter, invalid_row_handler=on_invalid),
        convert_options=arrow_csv.ConvertOptions(
            null_values=list(MISSING),
            strings_can_be_null=True,
            decimal_point=layout.decimal,
            column_types={name: pa.string() for name in text if name in layout.names},
        ),
    )


def _ragged(source: bytes | Path, layout: Layout) -> Any:
    import pyarrow as pa

    found: list[Any] = []

    def remember(row: Any) -> str:
        found.append(row)
        return "error"

    with contextlib.suppress(pa.ArrowInvalid):
        _arrow(source, layout, on_invalid=remember)
    return found[0] if found else None
