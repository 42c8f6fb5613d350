"""How is a file of the user read: options that the commands share, each declared once, and what a model remembers?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

Inputs = Annotated[list[str] | None, typer.Option(help="Input columns, also patterns: 'T*', T0:T9.", metavar="COLUMN")]
Drop = Annotated[list[str] | None, typer.Option(help="Columns to leave out, also patterns.", metavar="COLUMN")]
Words = Annotated[
    list[str] | None, typer.Option(help="Columns that are categories, whatever they hold.", metavar="COLUMN")
]
Na = Annotated[list[str] | None, typer.Option(help="What stands for a missing entry, such as -999.", metavar="TEXT")]
Missing = Annotated[
    str,
    typer.Option(help="Missing entries: refuse, drop (their rows), impute (median and indicator).", metavar="POLICY"),
]
Dates = Annotated[str, typer.Option(help="Dates: drop, elapsed (days), cyclic (day and year).", metavar="POLICY")]
Header = Annotated[bool | None, typer.Option("--header/--no-header", help="Whether the first line holds names.")]
Sheet = Annotated[
    str | None, typer.Option(help="Sheet of a workbook: its name, or its number from 1 on.", metavar="NAME|NUMBER")
]


def reading(extra: dict[str, Any], given: dict[str, Any] | None = None) -> dict[str, Any]:
    """How a file is read: what the user told the fit holds for files of its kind, unless this command says otherwise.

    Args:
        extra: what was stored beside the model.
        given: ``na`` (added to those of the fit), ``header`` and ``sheet``, each None or empty where nothing was said.

    Returns:
        Options of `read_table`.
    """
    options, given = extra.get("options", {}), given or {}
    header = given.get("header")
    return {
        "na": (*options.get("na", ()), *given.get("na", ())),
        "header": options.get("header") if header is None else header,
        "sheet": given.get("sheet"),
    }
