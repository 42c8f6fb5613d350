"""Arrays in; text, axes and one self-contained HTML page out. Importing this loads neither matplotlib nor rich."""

from numdl.report.advice import advise, verdict
from numdl.report.console import ProgressLine, print_status, score_table
from numdl.report.page import page_html, write_page
from numdl.report.summary import FitSummary, ScoreRow

__all__ = [
    "FitSummary",
    "ProgressLine",
    "ScoreRow",
    "advise",
    "page_html",
    "print_status",
    "score_table",
    "verdict",
    "write_page",
]
