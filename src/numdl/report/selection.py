"""Report on the choice of alpha: how is a choice of alpha shown: as a table in the terminal and as one HTML page?"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Real

from numdl import checks
from numdl.container import whole_file
from numdl.plots import selection as figures
from numdl.plots.wording import number
from numdl.report.template import card, document, drawn, element, grid, table, terms

if TYPE_CHECKING:
    from rich.table import Table

ROW = ("name", "alpha", "freedom", "error", "message")
HEAD = ("criterion", "alpha", "freedom", "CV error")


@dataclass(frozen=True, kw_only=True, eq=False)
class SelectionSummary:
    """Criteria for alpha side by side, as arrays and text.

    Attributes:
        title: heading.
        facts: what was judged, name and value.
        rows: for each criterion ``name``, ``alpha``, ``freedom``, ``error``, ``message``; NaN without a choice.
        recommended: position in ``rows``, not negative.
        reason: why, in a sentence.
        alphas: the grid, ascending, (m,).
        criteria: values by name, each (m,); what is not finite is left out.
        residuals: norms of the residual, (m,).
        seminorms: ``||L x||``, (m,).
        freedom: effective degrees of freedom, (m,); what is not finite is left out.
        error: cross-validated root mean squared error, (m,); likewise what is not finite.
        error_high: one standard error above, (m,); likewise what is not finite.
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
    alphas: Real[np.ndarray, " m"]
    criteria: Mapping[str, Real[np.ndarray, " m"]]
    residuals: Real[np.ndarray, " m"]
    seminorms: Real[np.ndarray, " m"]
    freedom: Real[np.ndarray, " m"]
    error: Real[np.ndarray, " m"]
    error_high: Real[np.ndarray, " m"]
    values: Real[np.ndarray, " r"]
    coefficients: Real[np.ndarray, " r"]
    noise: float
    verdict: str

    def __post_init__(self) -> None:
        """Refuse what cannot be shown, before anything is drawn."""
        call = "SelectionSummary"
        for name in ("title", "reason", "verdict"):
            checks.text(call, name, getattr(self, name))
        for name in ("facts", "criteria"):
            checks.instance(call, name, getattr(self, name), Mapping, "Give a dictionary.")
        if not isinstance(self.rows, Sequence) or not all(
            isinstance(row, Mapping) and {*ROW} <= {*row} for row in self.rows
        ):
            raise ValueError(
                f"{call}(rows={checks.shown(self.rows)}): needs dictionaries of {', '.join(ROW)}. Give all."
            )
        checks.whole(call, "recommended", self.recommended, least=0, most=len(self.rows) - 1)
        m, r = (
            len(checks.finite(call, "alphas", self.alphas, ("m",))),
            len(checks.real(call, "values", self.values, ("r",))),
        )
        for name, size in (("residuals", m), ("seminorms", m), ("values", r), ("coefficients", r)):
            checks.finite(call, name, getattr(self, name), (size,))
        for name in ("freedom", "error", "error_high"):
            checks.real(call, name, getattr(self, name), (m,))
        for name, values in self.criteria.items():
            checks.real(call, f"criteria[{name!r}]", values, (m,))
        checks.number(call, "noise", self.noise, least=0)

    @property
    def recommendation(self) -> str:
        """What to use, in a sentence."""
        return f"Recommended: alpha = {self.rows[self.recommended]['alpha']:.3g}. {self.reason}"


def _require(call: str, summary: object) -> None:
    checks.instance(call, "summary", summary, SelectionSummary, "Make one with the summary() of compare_criteria.")


def selection_table(summary: SelectionSummary) -> Table:
    """The criteria as a table for ``rich``, the recommended one in bold.

    Args:
        summary: the comparison.

    Returns:
        One row for each criterion.
    """
    from rich.table import Table
    from rich.text import Text

    _require("selection_table", summary)

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
    _require("write_selection", summary)
    with whole_file(checks.path("write_selection", path), "write_selection") as write:
        write(selection_html(summary))


def selection_html(summary: SelectionSummary) -> str:
    """The comparison as the text of an HTML5 document.

    Args:
        summary: the comparison.

    Returns:
        The whole document.
    """
    _require("selection_html", summary)
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
    return grid([drawn(name, title, note, draw) for name, (title, note, draw) in curves.items()], "pair")
