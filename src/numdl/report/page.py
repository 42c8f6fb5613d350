"""How does a fit become one HTML page that needs nothing else?"""

from __future__ import annotations

import os

from numdl.report import sections
from numdl.report.advice import advise, verdict
from numdl.report.files import whole_file
from numdl.report.summary import FitSummary
from numdl.report.template import bullets, card, document, element, grid, terms

MOODS = {"converged": "good", "failed": "bad"}


def write_page(summary: FitSummary, path: str | os.PathLike[str]) -> None:
    """Write the report of a fit as one self-contained HTML page.

    The page loads nothing: style and figures are inside, there are no scripts. It appears under its name only when
    it is complete; an older page stays until then.

    Args:
        summary: the finished fit.
        path: the file to write or replace; its folder must exist.

    Raises:
        OSError: the path is a folder, its folder does not exist, or it cannot be written; raised before any drawing.
    """
    with whole_file(path, "write_page") as write:
        write(page_html(summary))


def page_html(summary: FitSummary) -> str:
    """The report of a fit as the text of an HTML5 document.

    Args:
        summary: the finished fit.

    Returns:
        The whole document.
    """
    top = [sections.scores(summary), card("What to try next", bullets(advise(summary)))]
    facts = [(str(name), str(value)) for name, value in summary.facts.items()]
    body = [
        _header(summary),
        grid(top, "pair"),
        grid([card("What was trained on what", terms(facts))]) if facts else "",
        sections.regression(summary),
        sections.classification(summary),
        sections.training(summary),
        sections.regularisation(summary),
        sections.depth(summary),
    ]
    return document(summary.title, "\n".join(part for part in body if part))


def _header(summary: FitSummary) -> str:
    badge = element("span", summary.status.code.replace("_", " "), f"badge {MOODS.get(summary.status.code, 'fair')}")
    return (
        f"<header>{element('p', 'numdl report', 'eyebrow')}{element('h1', summary.title)}"
        f"{element('p', verdict(summary), 'lead')}<p>{badge}{element('span', summary.status.message)}</p></header>"
    )
