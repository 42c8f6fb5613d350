"""Command ``numdl check`` on models of images: what do small changes of images do, and what is proved of them?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from numdl.cli.errors import UserError, blame_input
from numdl.cli.show import row, terminal
from numdl.data.read.pictures import Pictures, has_array, read_pictures
from numdl.report.stability import certified_rows, write_image_stability

SIZES = (0.1, 0.3)
"""Lengths of changes, in the unit of the pixels; of the range of the pixels too where that is larger than `BYTES`."""

BYTES = 2.0


def check_images(
    estimator: Any, extra: dict[str, Any], path: Path, data: Path | None, labels: Path | None, out: Path
) -> None:
    """Judge a classifier of images, print the verdict and the certified accuracy, and write a page.

    Args:
        estimator: fitted.
        extra: what was stored beside it.
        path: the model.
        data: images; None for random pixels.
        labels: of images in IDX.
        out: file for the page.

    Raises:
        UserError: something the user gave cannot be used.
    """
    told, pixels = extra.get("images", {}), estimator.pixels_
    x = y = None
    judged = "16 images of random pixels; give images to judge what matters"
    if data is not None:
        with blame_input():
            found = _read(data, labels, told, pixels)
        x, y, judged = found.x, found.y, f"of {len(found.x):,} images in {data.name}"
        if y is not None:
            known = np.isin(y, estimator.classes_)
            if not known.any():
                theirs, own = (" and ".join(map(str, some[:2])) for some in (np.unique(y), estimator.classes_))
                raise UserError(
                    f"numdl check {data}: none of its labels, such as {theirs}, is a class of the model, such as {own}"
                    "; give labels of these classes, or images without labels."
                )
            without = "" if known.all() else f", {len(y) - known.sum():,} of no class of this model left out"
            x, y, judged = x[known], y[known], judged + without
    span = pixels.high - pixels.low
    lengths = (*SIZES, *(size * span for size in SIZES)) if span > BYTES else SIZES
    with blame_input():
        stability = estimator.stability(x, y, lengths=lengths)
    if x is not None:
        judged = f"{len(stability.nearest)} {judged}" + (
            "" if y is not None else "; for lack of labels, the classes told"
        )
    height, width, _ = pixels.shape
    unit = f"pixels from {pixels.low:g} to {pixels.high:g} in the fit; lengths are Euclidean, in this unit"
    facts = {"Judged": judged, "Model": str(path), "Images": f"{height} x {width}, {unit}", "Proof": PROOF}
    with blame_input():
        write_image_stability(stability, f"Stability of {path.name}", facts, out)
    console = terminal()
    for name in ("Judged", "Images"):
        row(console, name, facts[name])
    for sentence in stability.verdict:
        console.print(Text(sentence), soft_wrap=True)
    head, rows = certified_rows(stability)
    table = Table(title=Text(f"{'Right' if stability.labelled else 'Same class'}, by the Euclidean length of a change"))
    table.title_justify, table.title_style = "left", "bold"
    for name in head:
        table.add_column(name, justify="right")
    for cells in rows:
        table.add_row(*cells)
    console.print(table)
    row(console, "Proof", PROOF)
    row(console, "Page", str(out))


PROOF = (
    "of patches by the largest singular value of all filters, of a kernel by its slope and its norm, of a network by "
    "the product of bounds of its layers, convolutions on a torus; no power iteration; rounding of pixels is "
    "counted, that of scores by an allowance"
)
"""By which bounds images are certified."""


def _read(data: Path, labels: Path | None, told: dict[str, Any], pixels: Any) -> Pictures:
    """Images, with labels where there are some."""
    target = told.get("target")
    if data.suffix.lower() == ".npz":
        target = target if has_array(data, target) else None
    shape = tuple(told.get("shape", pixels.shape))
    found = read_pictures("numdl check", data, labels=labels, target=target, size=told.get("size"), known=shape)
    if found.x.shape[1:] != shape:
        raise UserError(
            f"numdl check {data}: images of {' x '.join(map(str, found.x.shape[1:]))}, those of the fit were "
            f"{' x '.join(map(str, shape))}; bring them to that size."
        )
    return found
