"""Conversion of Arrow tables: how does an Arrow table, read from CSV or Parquet, become a `Table`?"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from numdl.data.table.table import Table

PANDAS_INDEX = re.compile(r"__index_level_\d+__")
"""Name under which pandas writes a row index, which is no measurement."""


def from_arrow(call: str, arrow: Any) -> Table:
    """Numbers to float64, text, dates and times to ``str``; nulls to NaN and None.

    Args:
        call: the call to name in an error.
        arrow: ``pyarrow.Table`` (n rows).

    Returns:
        The same columns in the same order, without the row index of pandas.

    Raises:
        ValueError: a column is neither numbers nor text, or is text in another encoding than UTF-8.
    """
    pairs = [
        pair for pair in zip(arrow.column_names, arrow.columns, strict=True) if not PANDAS_INDEX.fullmatch(pair[0])
    ]
    return Table(tuple(name for name, _ in pairs), tuple(_values(call, *pair) for pair in pairs))


def read_parquet(call: str, raw: bytes) -> Table:
    """Read one Parquet file.

    Args:
        call: the call to name in an error.
        raw: the whole file.

    Returns:
        Its columns.

    Raises:
        ValueError: the file is damaged or no Parquet, or a column is neither numbers nor text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.BufferReader(raw)) as file:
            arrow = file.read()
    except (pa.ArrowException, OSError, MemoryError, KeyError, IndexError) as error:
        raise ValueError(
            f"{call}: the file is truncated or is not Parquet ({first_line(error)}); write or copy it again."
        ) from None
    if arrow.num_columns == 0 or arrow.num_rows == 0:
        raise ValueError(
            f"{call}: the file holds {arrow.num_columns} columns and {arrow.num_rows} rows; give a table with data."
        )
    return from_arrow(call, arrow)


def first_line(error: BaseException) -> str:
    """What a library said, cut to one readable line of at most 120 characters.

    Args:
        error: what was caught.

    Returns:
        One line without its final full stop.
    """
    lines = str(error).strip().splitlines()
    text = (lines[0] if lines else type(error).__name__).rstrip(". ")
    return text if len(text) <= 120 else text[:117] + "..."


def _values(call: str, name: str, column: Any) -> np.ndarray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if kind == pa.float64() and not column.null_count:
        # not to_numpy, which loads pandas where there is one: half a second
        parts = [np.frombuffer(part.buffers()[1], np.float64)[part.offset :][: len(part)] for part in column.chunks]
        return np.concatenate(parts) if parts else np.empty(0)
    if pa.types.is_boolean(kind):
        column, kind = column.cast(pa.uint8()), pa.uint8()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = column.to_numpy()
        # integers beyond 2^53 cannot be told apart as float64: they name things and measure nothing
        if kind.bit_width < 64 or pa.types.is_floating(kind) or not (np.abs(values.astype(np.float64)) > 1 << 53).any():
            return values.astype(np.float64, copy=False)
        column, kind = column.cast(pa.string()), pa.string()
    if pa.types.is_decimal(kind):
        # safe=False: decimals round to the nearest float64 instead of being refused
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    if (
        pa.types.is_temporal(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_null(kind)
    ):
        words = column.cast(pa.string()).to_pylist()
        return np.array([word if word is None else word.strip() for word in words], dtype=object)
    if pa.types.is_binary(kind):
        raise ValueError(f"{call}: column {name!r} is not text in UTF-8; save the file with the encoding UTF-8.")
    raise ValueError(f"{call}: column {name!r} has type {kind}; keep only columns of numbers or text.")
