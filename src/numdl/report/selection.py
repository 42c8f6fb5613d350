"""Report on the choice of alpha: how is a choice of alpha shown: as a table in the terminal and as one HTML page?"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.container import whole_file
from numdl.plots import selection as figures
from numdl.plots.canvas import draw_svg
from numdl.plots.wording import number
from numdl.report.template import card, document, element, figure, grid, table, terms

if TYPE_CHECKING:
    from rich.table import Table

HEAD = ("criterion", "alpha", "freedom", "CV error")


@dataclass(frozen=True, kw_only=True, eq=False)
class SelectionSummary:
    """Criteria for alpha side by side, as arrays and text.

    Attributes:
        title: heading.
        facts: what was judged, name and value.
        rows: for each criterion ``name``, ``alpha``, ``freedom``, ``error``, ``message``; NaN without a choice.
        recommended: position in ``rows``.
        reason: why, in a sentence.
        alphas: the grid, ascending, (m,).
        criteria: values by name, each (m,).
        residuals: norms of the residual, (m,).
        seminorms: ``||L x||``, (m,).
        freedom: effective degrees of freedom, (m,).
        error: cross-validated root mean squared error, (m,).
        error_high: one standard error above, (m,).
        values: generalised singular values, descending, (r,).
        coefficients: coefficients of the targets along their directions, (r,).
        noise: level of the coefficients at which they stop falling, 0 if there is none.
        verdict: about the Picard condition, in a sentence.
    """

    title: str
    facts: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]
    recommended: int
    reason: str
    alphas: np.ndarray
    criteria: Mapping[str, np.ndarray]
    residuals: np.ndarray
    seminorms: np.ndarray
    freedom: np.ndarray
    error: np.ndarray
    error_high: np.ndarray
    values: np.ndarray
    coefficients: np.ndarray
    noise: float
    verdict: str

    @property
    def recommendation(self) -> str:
        """What to use, in a sentence."""
        return f"Recommended: alpha = {self.rows[self.recommended]['alpha']:.3g}. {self.reason}"


def selection_table(summary: SelectionSummary) -> Table:
    """The criteria as a table for ``rich``, the recommended one in bold.

    Args:
        summary: the comparison.

    Returns:
        One row for each criterion.
    """
    from rich.table import Table
    from rich.text import Text

    shown = Table()
    for position, name in enumerate(HEAD):
        shown.add_column(name, justify="left" if position == 0 else "right", no_wrap=True)
    for position, cells in enumerate(_cells(summary)):
        shown.add_row(*map(Text, cells), style="bold" if position == summary.recommended else "")
    return shown


def write_selection(summary: SelectionSummary, path: str | os.PathLike[str]) -> None:
    """Write the comparison as one self-contained HTML page.

    Args:
        summary: the comparison.
        path: the file to write or replace; its folder must exist.

    Raises:
        OSError: the path cannot be written; raised before any drawing.
    """
    with whole_file(path, "write_selection") as write:
        write(selection_html(summary))


def selection_html(summary: SelectionSummary) -> str:
    """The comparison as the text of an HTML5 document.

    Args:
        summary: the comparison.

    Returns:
        The whole document.
    """
    header = (
        f"<header>{element('p', 'numdl select', 'eyebrow')}{element('h1', summary.title)}"
        f"{element('p', summary.recommendation, 'lead')}</header>"
    )
    criteria = card("Criteria", table(HEAD, _cells(summary), summary.recommended))
    said = "".join(element("li", str(row["message"])) for row in summary.rows)
    said += element(
        "li", "Freedom: effective degrees of freedom. CV error: root mean squared error of cross validation."
    )
    facts = card("What was judged", terms((str(name), str(value)) for name, value in summary.facts.items()))
    body = [header, criteria, grid([card("What they say", f"<ul>{said}</ul>"), facts], "pair"), _figures(summary)]
    return document(summary.title, "\n".join(body))


def _cells(summary: SelectionSummary) -> list[list[str]]:
    return [[str(row["name"]), *(number(row[key]) for key in ("alpha", "freedom", "error"))] for row in summary.rows]


def _figures(summary: SelectionSummary) -> str:
    marks = [(str(row["name"]), float(row["alpha"])) for row in summary.rows if np.isfinite(row["alpha"])]
    distance = [np.abs(np.log(summary.alphas / alpha)) for _, alpha in marks]
    at = [(name, int(np.argmin(away))) for (name, _), away in zip(marks, distance, strict=True)]
    colours = "Dashed lines: the choices, in the order of the table."
    curves = {
        "error": (
            "Error of cross validation",
            f"With one standard error. {colours}",
            partial(
                figures.draw_error,
                alphas=summary.alphas,
                error=summary.error,
                high=summary.error_high,
                freedom=summary.freedom,
                marks=marks,
            ),
        ),
        "criteria": (
            "Criteria over alpha",
            colours,
            partial(figures.draw_criteria, alphas=summary.alphas, criteria=summary.criteria, marks=marks),
        ),
        "l-curve": (
            "L-curve",
            "Down to the right: smaller solutions, worse fit.",
            partial(figures.draw_l_curve, residuals=summary.residuals, seminorms=summary.seminorms, at=at),
        ),
        "picard": (
            "Picard plot",
            summary.verdict,
            partial(figures.draw_picard, values=summary.values, coefficients=summary.coefficients, noise=summary.noise),
        ),
    }
    return grid(
        [figure(title, note, draw_svg(name, title, draw)) for name, (title, note, draw) in curves.items()], "pair"
    )
