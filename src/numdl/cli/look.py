"""Command ``numdl look``: what does a table hold, what is wrong with it, and which command comes next?"""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
from rich.table import Table as Grid
from rich.text import Text

from numdl.cli.errors import UserError, blame_input
from numdl.cli.show import terminal
from numdl.container import whole_file
from numdl.data import guess_task, read_table
from numdl.data.read.several import apart, arguments, called
from numdl.data.table.profile import ColumnProfile, Profile, digits, profile, suggested_targets
from numdl.report.template import bullets, card, document, element, grid, table, terms

HEAD = ("column", "kind", "unit", "smallest", "largest", "different", "missing", "remark")
SHOWN = 40
"""Columns in the terminal; the page has up to a thousand."""

LONGEST = 60
"""Characters of a name in the terminal."""

_ON_PAGE = 1000


def run_look(
    data: Path, out: Path | None, *, na: tuple[str, ...], header: bool | None, sheet: str | None, overwrite: bool
) -> None:
    """Print what a table holds, and write the same as a page.

    Args:
        data: the file.
        out: file for the page; None for none.
        na: words and numbers that stand for a missing entry.
        header: whether the first line holds names; None guesses.
        sheet: name or number of a sheet of a workbook.
        overwrite: replace ``out`` if it exists.

    Raises:
        UserError: something the user gave cannot be used.
    """
    if out is not None and out.exists() and not overwrite:
        raise UserError(f"numdl look --out {out}: the file exists; give another name, or add --overwrite.")
    with blame_input():
        read = read_table(data, na=na, header=header, sheet=sheet)
    found = profile(read)
    task = guess_task(read.column(found.target)) if found.target else ""
    rows = [_cells(column) for column in found.columns]
    remarks = [*read.notes, *_remarks(found)]
    command = next_command(data, found, na, header, sheet)
    console = terminal()
    console.print(
        Text(f"{', '.join(map(str, apart(data)))}: {found.rows:,} rows, {len(rows):,} columns"), soft_wrap=True
    )
    console.print(_grid(rows[:SHOWN]))
    if len(rows) > SHOWN:
        console.print(Text(f"and {len(rows) - SHOWN:,} columns more; --out PAGE.html shows them", style="dim"))
    for remark in remarks:
        console.print(Text.assemble(("Note    ", "dim"), remark), soft_wrap=True)
    facts = _suggested(found, task)
    for name, value in facts.items():
        console.print(Text.assemble((f"{name:<8}", "dim"), value), soft_wrap=True)
    console.print(Text.assemble(("Next    ", "dim"), command), soft_wrap=True)
    if out is not None:
        with blame_input(), whole_file(out, "numdl look --out") as write:
            write(_page(data, found, rows, remarks, facts | {"Next": command}))
        console.print(Text.assemble(("Page    ", "dim"), str(out)), soft_wrap=True)


def next_command(
    data: Path, found: Profile, na: tuple[str, ...] = (), header: bool | None = None, sheet: str | None = None
) -> str:
    """The command that trains on the table.

    Args:
        data: the file.
        found: what it holds.
        na: words and numbers that were given as missing.
        header: what was said about the first line.
        sheet: which sheet of a workbook was asked for.

    Returns:
        A line for the shell.
    """
    words = ["numdl", "fit", *arguments(data), "--target", suggested_targets(found) or "COLUMN"]
    values = {digits(value) for column in found.columns for value, _ in column.sentinels}
    values |= {f"{value:g}" for column in found.columns for value in np.unique(_infinite(column))}
    for word in (*na, *sorted(values)):
        words += ["--na", word]
    if values or any(column.gaps for column in found.columns if column.kind.name in ("number", "text", "date")):
        words += ["--missing", "impute"]
    for column in found.columns:
        if found.target and (column.kind.name == "unreadable" or column.numbered) and column.name != found.target:
            words += ["--drop", column.name]
    if _left_out(found):
        words += ["--drop", found.clock]
    if found.split != "random":
        words += ["--split", found.split]
    if sheet is not None:
        words += ["--sheet", sheet]
    if header is not None:
        words.append("--header" if header else "--no-header")
    return shlex.join(words)


def _left_out(found: Profile) -> bool:
    """Whether the clock of a split by time is no input: others are there, and later rows lie beyond all seen."""
    inputs = [
        c for c in found.columns if c.kind.name in ("number", "text") and c.name != found.target and not c.numbered
    ]
    return bool(found.clock) and found.clock != found.target and len(inputs) > 1


def _cells(column: ColumnProfile) -> tuple[str, ...]:
    kind = column.kind
    remark = kind.why if kind.name not in ("number", "text") else ""
    for value, count in column.sentinels:
        remark += f"{'; ' if remark else ''}{digits(value)} in {count:,} rows may stand for missing"
    if len(infinite := _infinite(column)):
        assert kind.values is not None
        first = int(np.isinf(kind.values).argmax()) + 1
        remark += f"{'; ' if remark else ''}infinite in {len(infinite):,} rows, row {first} first"
    if column.numbered:
        remark += f"{'; ' if remark else ''}it seems to name rows by numbers"
    ends = ("" if np.isnan(value) else f"{value:.6g}" for value in (column.low, column.high))
    return (
        column.name,
        kind.name,
        column.unit,
        *ends,
        f"{kind.distinct:,}" if kind.distinct else "",
        f"{column.gaps:,}" if column.gaps else "",
        remark,
    )


def _infinite(column: ColumnProfile) -> np.ndarray:
    """The entries that are infinite."""
    values = column.kind.values
    return np.empty(0) if values is None else values[np.isinf(values)]


def _grid(rows: list[tuple[str, ...]]) -> Grid:
    used = [j for j in range(len(HEAD)) if j < 2 or any(row[j] for row in rows)]
    shown = Grid(box=None, pad_edge=False, header_style="dim", show_edge=False)
    for j in used:
        number = HEAD[j] in ("smallest", "largest", "different", "missing")
        shown.add_column(HEAD[j], justify="right" if number else "left", no_wrap=number, overflow="fold")
    for name, *others in rows:
        row = (_brief(name), *others)
        bad = row[1] == "unreadable"
        shown.add_row(*(Text(row[j], style="red" if bad and HEAD[j] == "remark" else "") for j in used))
    return shown


def _brief(name: str) -> str:
    """A name in one line of the terminal; the page has it whole."""
    line = " ".join(name.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def _remarks(found: Profile) -> list[str]:
    remarks = []
    if found.duplicates:
        remarks.append(
            f"{found.duplicates:,} of {found.rows:,} rows repeat an earlier one; a split keeps them on one side "
            "unless they agree by chance, as in tables of categories."
        )
    dates = [column.name for column in found.columns if column.kind.name == "date"]
    if dates:
        remarks.append(f"{', '.join(map(repr, dates[:5]))}: left out unless --dates elapsed or --dates cyclic.")
    if _left_out(found):
        remarks.append(
            f"{found.clock!r} rises with the rows, so that later rows lie beyond all that training saw of it: left out "
            "by --drop. Keep it if the target itself follows it."
        )
    return remarks


def _suggested(found: Profile, task: str) -> dict[str, str]:
    target = (
        f"{suggested_targets(found)} ({task})"
        if found.target
        else "none: needs a column of numbers or classes that vary, and another one to learn from"
    )
    return {"Target": target, "Split": f"{found.split}: {found.why}"}


def _page(data: Path, found: Profile, rows: list[tuple[str, ...]], remarks: list[str], facts: dict[str, str]) -> str:
    used = [j for j in range(len(HEAD)) if j < 2 or any(row[j] for row in rows)]
    cells = [[row[j] for j in used] for row in rows[:_ON_PAGE]]
    header = (
        f"<header>{element('p', 'numdl look', 'eyebrow')}{element('h1', called(data))}"
        f"{element('p', f'{found.rows:,} rows, {len(rows):,} columns', 'lead')}</header>"
    )
    parts = [header, grid([card("What to do next", terms(list(facts.items())))])]
    if remarks:
        parts.append(grid([card("Notes", bullets(remarks))]))
    parts.append(grid([card("Columns", table([HEAD[j] for j in used], cells))], "one"))
    return document(f"{called(data)}: what it holds", "\n".join(parts))
