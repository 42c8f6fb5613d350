"""Arrays in; text, axes and one self-contained HTML page out. Importing this loads neither matplotlib nor rich."""

from numdl.report.advice import advise, verdict
from numdl.report.console import ProgressLine, print_status, score_table, target_table
from numdl.report.page import page_html, write_page
from numdl.report.plain import write_json
from numdl.report.selection import SelectionSummary, selection_html, selection_table, write_selection
from numdl.report.summary import FitSummary, ScoreRow

__all__ = [
    "FitSummary",
    "ProgressLine",
    "ScoreRow",
    "SelectionSummary",
    "advise",
    "page_html",
    "print_status",
    "score_table",
    "selection_html",
    "selection_table",
    "target_table",
    "verdict",
    "write_json",
    "write_page",
    "write_selection",
]
