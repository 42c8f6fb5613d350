"""Preparation of the data: reading, encoding, split.

Which rows of the file train the network, which watch it, and which judge it at the end?
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from numdl.cli.columns import chosen, usable, weights_of
from numdl.cli.errors import UserError, blame_input
from numdl.cli.options import FitOptions
from numdl.data import Table, TableEncoder, read_table, split
from numdl.data.read.files import SHEETS
from numdl.data.table.column import kind_of
from numdl.data.table.copies import first_copies, first_of_equals, kept_together
from numdl.data.table.dates import calendar_of
from numdl.data.table.profile import unit_of

WATCHED = 0.1
"""Share of the rows that is held out for networks to watch, where none is given."""

FEWEST = 10
"""Rows below which nothing is held out: the error of one or two rows says nothing."""


class Part(NamedTuple):
    """Rows with their targets.

    Attributes:
        x: inputs (n, d).
        y: targets (n,) or (n, k), or labels (n,).
        rows: their numbers in the file, from 1, (n,).
    """

    x: np.ndarray
    y: np.ndarray
    rows: np.ndarray | None = None

    def spread(self, most: int) -> Part:
        """At most so many of the rows, evenly spaced."""
        n = len(self.x)
        return self if n <= most else self.take(np.linspace(0, n - 1, most).astype(int))

    def take(self, index: np.ndarray) -> Part:
        """Some of the rows."""
        return Part(self.x[index], self.y[index], None if self.rows is None else self.rows[index])


class Encoded(NamedTuple):
    """A file as numbers.

    Attributes:
        encoder: how rows become numbers.
        whole: all its rows.
        weights: of the rows (n,), None without.
        table: the same rows before they became numbers.
        columns: number of columns of the file.
        notes: sentences the user should see.
        group: the column whose values stay together in the split, None without.
    """

    encoder: TableEncoder
    whole: Part
    weights: np.ndarray | None
    table: Table
    columns: int
    notes: list[str]
    group: str | None = None


class Prepared(NamedTuple):
    """A file, ready for the training.

    Attributes:
        encoder: how rows become numbers; stored with the model.
        parts: "train", and "validation" and "test" if there are such rows.
        rows: number of rows of the file.
        columns: number of columns of the file, targets included.
        notes: sentences the user should see.
        weights: of the training rows, None without.
        units: of columns whose name does not tell it.
    """

    encoder: TableEncoder
    parts: dict[str, Part]
    rows: int
    columns: int
    notes: list[str]
    weights: np.ndarray | None = None
    units: Mapping[str, str] = MappingProxyType({})

    def label(self, name: str) -> str:
        """A column as pages and tables call it: with its unit."""
        return f"{name} [{self.units[name]}]" if name in self.units else name


def prepare(found: Encoded, options: FitOptions, *, watched: bool) -> Prepared:
    """Split the rows of a file.

    Args:
        found: the file.
        options: shares, seed and how to split.
        watched: whether the model looks at validation rows; others get them for training, unless a share is given.

    Returns:
        What the training needs.

    Raises:
        UserError: the rows cannot be split so, or the file of test rows cannot be used.
    """
    notes, n = list(found.notes), len(found.whole.x)
    validation = options.validation if options.validation is not None else WATCHED * watched
    shares = {"validation": validation, "test": 0.0 if options.test_file else options.test}
    wanted = {name: share for name, share in shares.items() if share > 0}
    if wanted and n < FEWEST:
        notes.append(f"All {n} rows are used for the training: fewer than {FEWEST} are too few to hold some out.")
        wanted = {}
    fractions = {"train": 1.0 - sum(wanted.values())} | wanted
    moments, told = _moments(found.table, options) if options.split == "time" else (None, [])
    notes += told
    index = divide(found, list(fractions.values()), options, moments)
    whole, weights = found.whole, found.weights
    parts = {name: whole.take(rows) for name, rows in zip(fractions, index, strict=True) if len(rows)}
    if "test" in wanted and "test" not in parts:
        notes.append(
            "No rows are held out for a test: equal rows stay on one side, and there are too few different ones."
        )
    if options.test_file:
        parts["test"], told = _test(options.test_file, found, options)
        notes += told
    weights = None if weights is None else weights[index[0]]
    notes += _of_copies(parts["train"], weights) if found.encoder.task == "regression" else []
    notes += _of_clocks(parts, found) if options.split == "time" else []
    units = {name: unit for name, unit in found.table.units.items() if not unit_of(name)}
    return Prepared(found.encoder, parts, n, found.columns, notes, weights, units)


def _of_copies(part: Part, weights: np.ndarray | None) -> list[str]:
    """What the user should know of copied rows."""
    n = len(part.x)
    first = first_copies(np.ones(n) if weights is None else weights, part.x, part.y.reshape(n, -1))
    copies = int((first != np.arange(n)).sum())
    if not copies:
        return []
    return [
        f"{copies} {'row repeats' if copies == 1 else 'rows repeat'} an earlier one in inputs and target; the training "
        "counts equal ones as one observation of their summed weight, since copies look as if nothing was measured "
        "with an error."
    ]


def _of_clocks(parts: Mapping[str, Part], found: Encoded) -> list[str]:
    """What the user should know of inputs that rise, or fall, row by row: training has not seen their later values."""
    if "test" not in parts:
        return []
    steps = np.diff(np.vstack([parts["train"].x, parts["test"].x]), axis=0)
    beyond = (steps > 0).all(axis=0) | (steps < 0).all(axis=0)
    names = found.encoder.feature_names
    return [
        f"Input {name!r} rises or falls with time: all rows of the test lie beyond what training saw of it, as later "
        f"rows will in use. Unless the target itself follows it, add --drop {quote(name)}."
        for name in (names[j] for j in np.flatnonzero(beyond)[:3])
        if name in found.table
    ]


def _moments(table: Table, options: FitOptions) -> tuple[np.ndarray | None, list[str]]:
    """Days of each row by the column of dates (n,), None for the order of the file; and what the user should know."""
    names = [name for name in table.names if kind_of(table.column(name)).name == "date"]
    if not names:
        return None, ["No column holds dates: --split time takes the rows in the order of the file."]
    name, call = names[0], f"numdl fit --split {options.split}"
    column = table.column(name)
    with blame_input():
        days = calendar_of(call, name, column).days(call, name, column)
    others = (
        f" The other columns of dates ({', '.join(names[1:])}) do not count; --drop one to choose." if names[1:] else ""
    )
    told = "" if (np.diff(days) >= 0).all() else ", in which the file is not sorted"
    return days, [f"The rows are split by the dates in {name!r}{told}: the last ones test.{others}"]


def divide(
    found: Encoded, fractions: list[float], options: FitOptions, moments: np.ndarray | None = None
) -> list[np.ndarray]:
    """Rows for training, validation and test; rows that are equal, and not by chance, never lie on both sides.

    Args:
        found: the file.
        fractions: share of each part, training first.
        options: say how: at random, the last rows for the test, or groups of rows that stay together.
        moments: times of the rows (n,) where the last ones are for the test; None for their order.

    Returns:
        Row numbers of each part.
    """
    x, y = found.whole.x, found.whole.y
    n, order = len(x), np.arange(len(x))
    part = np.zeros(n, dtype=int)
    if found.group:
        values = first_of_equals([found.table.column(found.group)])
        groups = np.unique(values)
        if len(groups) < len(fractions):
            raise UserError(
                f"numdl fit --split {options.split}: {len(groups)} groups cannot be divided among {len(fractions)} "
                "parts; name a column with more, or hold out less (--validation 0)."
            )
        for i, rows in enumerate(split(len(groups), fractions, options.seed)):
            part[np.isin(values, groups[rows])] = i
    elif options.split == "time":
        late = order if moments is None else np.argsort(moments, kind="stable")
        part[late] = np.searchsorted(np.cumsum(fractions)[:-1] * n, np.arange(n), side="right")
    else:
        index = split(n, fractions, options.seed, stratify=y if found.encoder.task == "classification" else None)
        order = np.concatenate(index)
        for i, rows in enumerate(index):
            part[rows] = i
    part = part[kept_together(*_columns(found.whole))]
    return [order[part[order] == i] for i in range(len(fractions))]


def read_encoded(data: Path, options: FitOptions, call: str = "fit") -> Encoded:
    """Read a file and turn its columns into numbers.

    Args:
        data: the file.
        options: targets, inputs and task.
        call: the command to name.

    Returns:
        Inputs (n, d), targets (n,) or (n, k) or labels (n,), and how they came about.

    Raises:
        UserError: the file, a column or a target cannot be used.
    """
    with blame_input():
        whole = read_table(data, text=options.text, header=options.header, na=options.na, sheet=options.sheet)
        table, options = chosen(whole, options, call)
        table, kept, notes = usable(table, options.target, options.missing, call)
        rows, w = weights_of(table, options.weights)
        if options.group:
            rows = rows.select([name for name in rows.names if name != options.group or name in options.target])
        encoder = TableEncoder.fit(rows, options.target, options.task, missing=options.missing, dates=options.dates)
        whole_rows = _part(encoder, rows, kept)
    return Encoded(
        encoder, whole_rows, w, table, len(whole.names), [*whole.notes, *notes, *encoder.notes], options.group
    )


def _part(encoder: TableEncoder, table: Table, rows: np.ndarray) -> Part:
    x, y = encoder.transform(table), encoder.targets(table)
    return Part(x, y[:, 0] if encoder.task == "regression" and y.shape[1] == 1 else y, rows + 1)


def _test(word: str, found: Encoded, options: FitOptions) -> tuple[Part, list[str]]:
    """The rows of the file that ``--split file:`` names, perhaps with a sheet behind, and what the user should know."""
    path, sheet = Path(word), None
    name, _, behind = word.rpartition(":")
    if Path(name).suffix.lower() in SHEETS and not path.exists():
        path, sheet = Path(name), behind
    elif path.suffix.lower() in SHEETS:
        sheet = options.sheet
    encoder = found.encoder
    with blame_input():
        table = read_table(path, text=encoder.text_columns, header=options.header, na=options.na, sheet=sheet)
        rows, kept, told = usable(table, encoder.target_names, options.missing)
        part = _part(encoder, rows, kept)
    n = len(found.whole.x)
    both = [np.concatenate([a, b]) for a, b in zip(_columns(found.whole), _columns(part), strict=True)]
    new = np.flatnonzero(kept_together(*both)[n:] >= n)
    same = n == len(part.x) and all(np.array_equal(one[:n], one[n:]) for one in both)
    if same or not len(new):
        raise UserError(
            f"numdl fit --split file:{word}: each of its rows is one of the training, so it tests nothing; name "
            "another file, or another sheet (file:TEST.xlsx:SHEET)."
        )
    notes = [f"{path.name}: {note}" for note in (*table.notes, *told, *encoder.unseen(rows))]
    if len(new) < len(part.x):
        notes.append(f"{len(part.x) - len(new)} of {len(part.x)} rows of {path.name} are left out: training has them.")
    return part.take(new), notes


def _columns(part: Part) -> tuple[np.ndarray, np.ndarray]:
    return part.x, part.y.reshape(len(part.x), -1)
