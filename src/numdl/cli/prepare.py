"""Preparation of the data: reading, encoding, split.

Which rows of the file train the network, which watch it, and which judge it at the end?
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from numdl.cli.errors import blame_input
from numdl.cli.options import FitOptions
from numdl.data import TableEncoder, read_table, split

FEWEST = 10
"""Rows below which nothing is held out: the error of one or two rows says nothing."""


class Part(NamedTuple):
    """Rows with their targets.

    Attributes:
        x: inputs (n, d).
        y: targets (n,) or (n, k), or labels (n,).
    """

    x: np.ndarray
    y: np.ndarray


class Prepared(NamedTuple):
    """A file, ready for the training.

    Attributes:
        encoder: how rows become numbers; stored with the model.
        parts: "train", and "validation" and "test" if there are such rows.
        rows: number of rows of the file.
        columns: number of columns of the file, targets included.
        notes: sentences the user should see.
    """

    encoder: TableEncoder
    parts: dict[str, Part]
    rows: int
    columns: int
    notes: list[str]


def prepare(data: Path, options: FitOptions) -> Prepared:
    """Read the file, encode its columns and split its rows.

    Args:
        data: the file.
        options: targets, task, shares and seed.

    Returns:
        What the training needs.

    Raises:
        UserError: the file, a column or a target cannot be used.
    """
    encoder, x, y, columns, notes = read_encoded(data, options)
    shares = {"validation": options.validation, "test": options.test}
    wanted = {name: share for name, share in shares.items() if share > 0}
    if wanted and len(x) < FEWEST:
        notes.append(f"All {len(x)} rows are used for the training: fewer than {FEWEST} are too few to hold some out.")
        wanted = {}
    fractions = {"train": 1.0 - sum(wanted.values())} | wanted
    classes = y if encoder.task == "classification" else None
    index = split(len(x), list(fractions.values()), options.seed, stratify=classes)
    parts = {name: Part(x[rows], y[rows]) for name, rows in zip(fractions, index, strict=True) if len(rows)}
    return Prepared(encoder, parts, len(x), columns, notes)


def read_encoded(data: Path, options: FitOptions) -> tuple[TableEncoder, np.ndarray, np.ndarray, int, list[str]]:
    """Read a file and turn its columns into numbers.

    Args:
        data: the file.
        options: targets and task.

    Returns:
        The encoder, inputs (n, d), targets (n,) or (n, k) or labels (n,), the number of columns of the file, and
        sentences the user should see.

    Raises:
        UserError: the file, a column or a target cannot be used.
    """
    with blame_input():
        table = read_table(data)
        encoder = TableEncoder.fit(table, options.target, options.task)
        x, y = encoder.transform(table), encoder.targets(table)
    if encoder.task == "regression" and y.shape[1] == 1:
        y = y[:, 0]
    return encoder, x, y, len(table.names), [*table.notes, *encoder.notes]
