"""Profile of a table: what does each column hold, and what would one do with it?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numdl.data.table.column import Kind, kind_of, missing
from numdl.data.table.dates import calendar_of
from numdl.data.table.feature import is_unnamed
from numdl.data.table.table import Table

_WRITTEN = (
    *(-999.0, -9999.0, -99999.0, -99.0, -999.9, -999.25, 999.0, 9999.0, 99999.0, 999999.0, 1e30, -1e30),
    *(32767.0, -32768.0, 65535.0, 2147483647.0, -2147483648.0, 4294967295.0, 9.96921e36, 1e20),
)
SENTINELS = tuple(dict.fromkeys([*_WRITTEN, *(float(np.float32(value)) for value in _WRITTEN)]))
"""What instruments, converters and programs write for a missing or saturated entry, also in single precision."""

_UNIT = re.compile(r"[\[(]([^\])]{1,15})[\])]\s*$|\s(?:in|/)\s([^\s]{1,12})\s*$")
_TARGETS = re.compile(
    r"y_?\d*|targets?_?\d*|outputs?_?\d*|response|label|class|result|quality|price|ziel", re.IGNORECASE
)
_TIMES = re.compile(r"t|time|zeit|timestamp|date|datum|zeitstempel", re.IGNORECASE)
_INPUTS = re.compile(r"x|p|u|in|inputs?|features?", re.IGNORECASE)
_NUMBERED = re.compile(
    r"(?:.*[ _.-])?(?:row[ _.-]?)?(?:id|nr|no|num|number|nummer|index|serial|seriennummer|key|names?)\.?"
    r"|(?:.*[ _.-])?(?:row|zeile|obs|observation|case|record|lfd)\.?",
    re.IGNORECASE,
)
_GROUPS = re.compile(
    r".*(run|specimen|sample|probe|batch|charge|lot|group|subject|patient|serial|unit|motor|engine|part|test)"
    r"[ _-]?(id|no|nr|number)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ColumnProfile:
    """What one column holds.

    Attributes:
        name: column name.
        kind: what it is.
        unit: from its name, its cells or the row below the header, "" if unknown.
        low: smallest number, NaN where there is none.
        high: largest number.
        gaps: number of missing entries.
        sentinels: values that look as if they stood for missing entries, and how often each occurs.
        numbered: whether it seems to name rows by numbers.
    """

    name: str
    kind: Kind
    unit: str
    low: float
    high: float
    gaps: int
    sentinels: tuple[tuple[float, int], ...]
    numbered: bool = False


@dataclass(frozen=True)
class Profile:
    """What a table holds.

    Attributes:
        columns: one for each column.
        rows: number of rows.
        duplicates: number of rows that repeat an earlier one.
        target: the column one would predict, "" if none can be.
        split: how one would hold rows out: "random", "time" or "group:COLUMN".
        why: reason for the split.
        clock: with the split "time" a column of numbers that is called a time and rises in every row, "" without one.
    """

    columns: tuple[ColumnProfile, ...]
    rows: int
    duplicates: int
    target: str
    split: str
    why: str
    clock: str = ""


def profile(table: Table) -> Profile:
    """Describe each column and what one would do with the table.

    Args:
        table: as it was read.

    Returns:
        The profile.
    """
    unnamed = is_unnamed(table)
    columns = tuple(
        _column(table, name, kind_of(column, unnamed=j == 0 and unnamed, different=table.different))
        for j, (name, column) in enumerate(zip(table.names, table.columns, strict=True))
    )
    split, why, clock = _split(columns, table)
    return Profile(columns, table.n, table.n - len(table.different), _target(columns), split, why, clock)


def suggested_targets(found: Profile) -> str:
    """The suggested target as the command takes it: of numbered ones that stand side by side all, ``y0:y9``.

    Numbered columns are taken for targets where their name says so, or where they stand at the end and numbered inputs,
    such as ``X0``, before them: a file of matrices.

    Args:
        found: what the table holds.

    Returns:
        A name or a range; "" if there is none.
    """
    names = [without_unit(column.name) for column in found.columns]
    target = without_unit(found.target)
    stem = target.rstrip("0123456789")
    if stem in ("", target):
        return found.target
    alike = [i for i, name in enumerate(names) if name.startswith(stem) and name[len(stem) :].isdecimal()]
    numbers = all(found.columns[i].kind.name == "number" for i in alike)
    first = re.fullmatch(r"(.*?)\d+", names[0])
    behind = first and _INPUTS.fullmatch(first[1]) and alike[0] > 0 and alike[-1] == len(names) - 1
    if not (_TARGETS.fullmatch(target) or behind):
        return found.target
    if len(alike) < 2 or not numbers or alike[-1] - alike[0] >= len(alike) or len(alike) + 1 > len(names):
        return found.target
    ends = (alike[0], alike[-1])
    return ":".join(names[i] if names.count(names[i]) == 1 else found.columns[i].name for i in ends)


def names_rows(name: str, values: np.ndarray) -> bool:
    """Whether a column seems to name rows by numbers: called so, whole, and different in all of them.

    Args:
        name: column name.
        values: of rows that differ (n,).

    Returns:
        True for columns such as ``id`` or ``Sample No.``.
    """
    if not _NUMBERED.fullmatch(name) or len(values) < 3 or not np.isfinite(values).all():
        return False
    return bool((values == np.rint(values)).all()) and len(np.unique(values)) == len(values)


def sentinels(values: np.ndarray) -> tuple[tuple[float, int], ...]:
    """Numbers that look as if they stood for missing entries: repeated, and farther off than all others are apart.

    Args:
        values: column of numbers (n,).

    Returns:
        Each with its number of rows.
    """
    found = []
    for value in SENTINELS:
        same = values == value
        count = int(same.sum())
        if count < 2 or count == len(values):
            continue
        rest = values[~same & np.isfinite(values) & ~np.isin(values, SENTINELS)]
        if len(rest) and np.abs(rest - value).min() > np.ptp(rest):
            found.append((value, count))
    return tuple(found)


def digits(value: float) -> str:
    """A number with as many digits as tell it from others, as ``--na`` takes it."""
    return short if float(short := f"{value:.15g}") == value else repr(float(value))


def unit_of(name: str) -> str:
    """The unit in a header such as ``Force [kN]`` or ``Weg (mm)``, "" if there is none."""
    match = _UNIT.search(name)
    return (match[1] or match[2]).strip() if match else ""


def without_unit(name: str) -> str:
    """A header without its unit: ``Force`` for ``Force [kN]``."""
    return _UNIT.sub("", name).strip() or name


def _column(table: Table, name: str, kind: Kind) -> ColumnProfile:
    column = table.column(name)
    low = high = np.nan
    found: tuple[tuple[float, int], ...] = ()
    if kind.values is not None:
        finite = kind.values[np.isfinite(kind.values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (np.nan, np.nan)
        found = sentinels(kind.values)
    unit = table.units.get(name, "") or unit_of(name)
    numbered = kind.name == "number" and kind.values is not None and names_rows(name, kind.values[table.different])
    return ColumnProfile(name, kind, unit, low, high, int(missing(column).sum()), found, numbered)


def _target(columns: Sequence[ColumnProfile]) -> str:
    if sum(c.kind.name in ("number", "text", "date") for c in columns) < 2:
        return ""  # nothing to learn from
    can = [c.name for c in columns if c.kind.name == "number" and not c.numbered] or [
        c.name for c in columns if c.kind.name == "text"
    ]
    usable = [c.name for c in columns if c.kind.name in ("number", "text")]
    named = [name for name in usable if _TARGETS.fullmatch(name.split(" ")[0])]
    if named in (["y"], ["Y"]) and {"x", "X"} & set(usable) and len(usable) > 2:
        named = [usable[-1]] if usable[-1] != named[0] else []  # both are places
    return (named or can or [""])[-1]


def _split(columns: Sequence[ColumnProfile], table: Table) -> tuple[str, str, str]:
    """How to hold rows out, why, and which column of numbers is then a clock."""
    n = table.n
    for column in columns:
        few = 3 <= column.kind.distinct <= n / 3
        if column.kind.name in ("text", "number") and few and _GROUPS.fullmatch(column.name):
            why = f"rows of one {column.name} belong together: none of them is held out alone"
            return f"group:{column.name}", why, ""
    clock = next((column.name for column in columns if _is_clock(column)), "")
    for column in columns:
        if column.name == clock or (column.kind.name == "date" and _is_told(table, column.name)):
            return "time", f"rows follow {column.name}: the last ones judge, as later rows do in use", clock
    return "random", "nothing shows that rows belong together", ""


def _is_clock(column: ColumnProfile) -> bool:
    """Whether a column is called a time and rises in every row."""
    values = column.kind.values
    if values is None or len(values) < 2 or not _TIMES.fullmatch(re.split(r"[ _\[(]", column.name)[0]):
        return False
    return bool(np.all(np.diff(values) > 0))


def _is_told(table: Table, name: str) -> bool:
    """Whether the dates of a column can be put in order, judged by a thousand of them."""
    try:
        calendar_of("", name, table.column(name)[:: -(-table.n // 1000)])
    except ValueError:
        return False
    return True
