"""Command ``numdl report``: how does ``numdl report`` make the page of a run again?"""

from __future__ import annotations

from pathlib import Path

from numdl.cli.errors import UserError, blame_input
from numdl.cli.folder import RunFolder, summary_file
from numdl.report import write_json, write_page
from numdl.report.summary import read_summary


def run_report(run: Path, out: Path | None, *, overwrite: bool) -> Path:
    """Write the page of a finished run.

    Args:
        run: folder of the run, or the summary in it.
        out: file for the page; the report of the run's folder if None, which is replaced.
        overwrite: replace ``out`` if it exists.

    Returns:
        The file written.

    Raises:
        UserError: there is no such run, or the page cannot be written.
    """
    source = summary_file(run)
    if out is not None and out.is_file() and not overwrite:
        raise UserError(f"numdl report --out {out}: the file exists; give another name, or add --overwrite.")
    page = out or RunFolder(source.parent).report
    with blame_input():
        summary = read_summary(source)
        write_page(summary, page)
        if out is None:
            write_json(summary, RunFolder(source.parent).numbers)
    return page
