"""Page of the demonstration.

How do the results of the demonstration look, in the terminal and as a page that leads to the reports?
"""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from numdl.plots.wording import compare, duration, number
from numdl.container import whole_file
from numdl.report.template import card, document, element, grid, table

if TYPE_CHECKING:
    from rich.table import Table

    from numdl.course.demo.run import DemoRow

HEAD = ("data", "rows x columns", "error in", "numdl", "linear", "no model", "time", "model")
INTRODUCTION = (
    "Each model was trained with the defaults and a time limit, nothing else. Errors are those on rows that no model "
    "has seen. The linear model is ridge or logistic regression; no model means predicting the mean or the most "
    "frequent class."
)


def cells(row: DemoRow) -> list[str]:
    """A row of results as text, in the order of ``HEAD``.

    Args:
        row: results on one data set.

    Returns:
        One text for each column.
    """
    errors = [number(value, 3) for value in (row.error, row.linear, row.trivial)]
    return [row.name, f"{row.rows:,} x {row.columns}", row.measure, *errors, duration(row.seconds), row.model]


def result_table(rows: Sequence[DemoRow]) -> Table:
    """The results as a table for ``rich``.

    Args:
        rows: one for each data set.

    Returns:
        The table, numbers aligned to the right.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    result = Table(title=Text("Errors on held-out rows"), title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    result.padding = (0, 1, 0, 0)
    numbers = ("rows x columns", "numdl", "linear", "no model", "time")
    for head in HEAD:
        style, justify = ("bold" if head == "numdl" else ""), ("right" if head in numbers else "left")
        # Only the last column gives way where the terminal is narrow; long heads take two lines from the start.
        result.add_column(
            head.replace("x ", "x\n").replace("no ", "no\n"), justify=justify, style=style, no_wrap=head != HEAD[-1]
        )
    for row in rows:
        result.add_row(*(Text(cell) for cell in cells(row)))
    return result


def write_index(rows: Sequence[DemoRow], path: str | os.PathLike[str]) -> None:
    """Write the page that shows all results and leads to the report of each data set.

    Args:
        rows: one for each data set.
        path: of the page; the reports are beside it.

    Raises:
        OSError: it cannot be written.
    """
    with whole_file(path, "write_index") as write:
        write(index_html(rows))


def index_html(rows: Sequence[DemoRow]) -> str:
    """The page as text; it loads nothing and links only to its neighbours.

    Args:
        rows: one for each data set.

    Returns:
        An HTML5 document.
    """
    header = element("p", "numdl demonstration", "eyebrow") + element("h1", "Networks trained without tuning")
    top = f"<header>{header}{element('p', INTRODUCTION, 'lead')}</header>"
    results = grid([card("Errors on held-out rows", table(HEAD, map(cells, rows)))])
    return document("numdl demonstration", f"{top}\n{results}\n{grid([_card(row) for row in rows])}")


def _card(row: DemoRow) -> str:
    of = f" in {row.unit}" if row.unit else ""
    judged = f"Error {number(row.error, 3)} ({row.measure}{of}), {compare(row.error, row.linear)} the linear model's."
    link = f'<p><a href="{html.escape(row.page)}">Report of this fit</a></p>'
    return card(row.title, element("p", judged) + link)
