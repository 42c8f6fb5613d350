"""Command ``numdl select``: how does ``numdl select`` get from a file to a recommended alpha?"""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

from rich.text import Text

from numdl.cli.errors import UserError, blame_input
from numdl.cli.options import FitOptions, command
from numdl.cli.prepare import read_encoded
from numdl.cli.show import terminal
from numdl.data.read.several import called
from numdl.report import selection_table, write_selection


def run_select(
    data: Path, options: FitOptions, out: Path, *, operator: str, noise: float | None, overwrite: bool
) -> None:
    """Compare the criteria for alpha of a linear model on a file, print them, and write a page.

    Args:
        data: the file.
        options: targets, which are numbers, and how the file is read; the seed is that of the folds.
        out: file for the page.
        operator: name of the penalty's operator.
        noise: standard deviation of the error of one target value; None estimates it.
        overwrite: replace ``out`` if it exists.

    Raises:
        UserError: something the user gave cannot be used.
    """
    if out.is_file() and not overwrite:
        raise UserError(f"numdl select --out {out}: the file exists; give another name, or add --overwrite.")
    options.check("select")
    found = read_encoded(data, options, "select")
    encoder, x, y, notes = found.encoder, found.whole.x, found.whole.y, found.notes
    from numdl.data import Scaler
    from numdl.estimators.tikhonov.selection import compare_criteria

    console = terminal()
    c = y.reshape(len(y), -1)
    several = c.shape[1] > 1
    with blame_input():
        scaled = Scaler.fit(c).transform(c) if several else c
        found = compare_criteria(x, scaled, operator, noise=noise, random_state=options.seed)
    unit = "standard deviations of each target" if several else f"the unit of {encoder.target_names[0]}"
    facts = {
        "File": called(data),
        "Target": ", ".join(encoder.target_names),
        "Rows": f"{len(x):,}",
        "Inputs": f"{x.shape[1]:,}, scaled to unit variance",
        "Penalty": f"alpha/2 ||L w||² of the mean squared error halved, L = {operator}",
        "Noise": (f"{found.noise:.3g}, " if found.noise > 0 else "not known, ")
        + ("given" if noise is not None else "estimated")
        + f", in {unit}",
        "Errors": f"root mean square of five folds, in {unit}",
    }
    summary = found.summary(f"Alpha for {', '.join(encoder.target_names)} from {called(data)}", facts)
    with blame_input():
        write_selection(summary, out)
    for note in notes:
        console.print(Text(note), soft_wrap=True)
    console.print(selection_table(summary))
    for row in found.rows:
        console.print(Text(row.message, style="dim"), soft_wrap=True)
    console.print(Text(summary.recommendation), soft_wrap=True)
    if operator == "identity":
        alpha = f"{found.rows[found.recommended].alpha:.6g}"
        words = command(data, dataclasses.replace(options, task="auto", model="linear", alpha=float(alpha), seed=0))
        console.print(Text(f"Use it: {shlex.join(words)}"), soft_wrap=True)
    console.print(Text(f"Page  {out}"), soft_wrap=True)
