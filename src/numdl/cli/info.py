"""Command ``numdl info``: what is in the folder of a run, how good is it, and how was it made?"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from rich.text import Text

from numdl.cli.errors import UserError, blame_input
from numdl.cli.folder import RunFolder, summary_file
from numdl.cli.show import terminal
from numdl.report import print_status, score_table
from numdl.report.summary import read_summary

WIDTH = 22


def run_info(run: Path) -> None:
    """Print the scores, the facts and the files of a run.

    Args:
        run: folder of the run, or the summary in it.

    Raises:
        UserError: there is no such run, or it is not finished.
    """
    folder = RunFolder(run if run.is_dir() else run.parent)
    if folder.checkpoint.exists() and not folder.summary.exists():
        raise UserError(f"{run}: this run is not finished; go on with it by numdl fit ... --resume.")
    with blame_input():
        summary = read_summary(summary_file(run))
    console = terminal()
    console.print(Text(summary.title, style="bold"), soft_wrap=True)
    console.print(score_table(summary))
    print_status(summary.status, console)
    rows = dict(summary.facts)
    if folder.options.exists():
        rows["Command"] = _command(folder.options)
    for path in (folder.model, folder.report, folder.numbers):
        if path.exists():
            rows[path.name] = f"{path}, {path.stat().st_size:,} bytes"
    for name, text in rows.items():
        console.print(Text.assemble((f"{name:<{WIDTH}}", "dim"), " ", text), soft_wrap=True)


def _command(path: Path) -> str:
    """The command that began the run, without what is left to its default."""
    from numdl.cli.options import command

    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        words = command(str(stored["data"]), stored["options"])
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); the run is damaged.") from None
    return shlex.join(words)
