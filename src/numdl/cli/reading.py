"""How is a file of the user read: options that the commands share, each declared once, and what a model remembers?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from numdl.cli.completion import DATES, POLICIES, one_of

if TYPE_CHECKING:
    from numdl.data import Table, TableEncoder

Tables = Annotated[
    Path,
    typer.Argument(
        help="Table: CSV, Excel, Parquet, MAT, ... or -; several are joined.", show_default=False, metavar="DATA"
    ),
]
Inputs = Annotated[list[str] | None, typer.Option(help="Input columns, also patterns: 'T*', T0:T9.", metavar="COLUMN")]
Drop = Annotated[list[str] | None, typer.Option(help="Columns to leave out, also patterns.", metavar="COLUMN")]
Words = Annotated[
    list[str] | None, typer.Option(help="Columns that are categories, whatever they hold.", metavar="COLUMN")
]
Na = Annotated[list[str] | None, typer.Option(help="What stands for a missing entry, such as -999.", metavar="TEXT")]
Missing = Annotated[
    str,
    typer.Option(
        help="Missing entries: refuse, drop (their rows), impute (median and indicator).",
        metavar="POLICY",
        autocompletion=one_of(*POLICIES),
    ),
]
Dates = Annotated[
    str,
    typer.Option(
        help="Dates: drop, elapsed (days), cyclic (day and year).", metavar="POLICY", autocompletion=one_of(*DATES)
    ),
]
Header = Annotated[bool | None, typer.Option("--header/--no-header", help="Whether the first line holds names.")]
Sheet = Annotated[
    str | None, typer.Option(help="Sheet of a workbook: its name, or its number from 1 on.", metavar="NAME|NUMBER")
]


class Given(NamedTuple):
    """What the user says of one file.

    Attributes:
        na: further words and numbers for a missing entry.
        header: whether its first line holds names; None where nothing is said.
        sheet: of a workbook; None where nothing is said.
    """

    na: tuple[str, ...] = ()
    header: bool | None = None
    sheet: str | None = None


NOTHING_SAID = Given()


def read_as_trained(data: Path, encoder: TableEncoder, extra: dict[str, Any], given: Given) -> Table:
    """Rows for a model: what the user told the fit holds for files of its kind, unless this command says otherwise.

    Args:
        data: the file.
        encoder: says which columns are text.
        extra: what was stored beside the model.
        given: what is said of this file; ``na`` is added to that of the fit.

    Returns:
        The table; its notes go to the standard error output.

    Raises:
        ValueError: it cannot be read.
    """
    from numdl.data import read_table

    told = extra.get("options", {})
    said = told.get("na", ()) if isinstance(told, dict) else None
    words = isinstance(said, list | tuple) and all(isinstance(word, str) for word in said)
    if not words or told.get("header") not in (None, True, False):
        raise ValueError("the options stored with the model are damaged; fit again.")
    header = told.get("header") if given.header is None else given.header
    na = (*told.get("na", ()), *given.na)
    table = read_table(data, text=encoder.text_columns, na=na, header=header, sheet=given.sheet)
    for note in table.notes:
        print(note, file=sys.stderr)
    return table
