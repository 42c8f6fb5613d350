"""What an exported file holds besides the program: names, the coding of text columns, ten rows with their results."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numdl import __version__
from numdl.export.columns import Column, columns, examples, input_names
from numdl.export.description import CannotExport, Description

MOST = 1_000_000
"""Numbers beyond which standard deviations are left out unless they are asked for."""


@dataclasses.dataclass(frozen=True)
class Package:
    """A description with all that goes into a file.

    Attributes:
        name: of the function, an identifier in every language.
        description: the model.
        columns: what it reads.
        targets: names of what it predicts.
        results: what the file computes, "mean" and perhaps "std", or "probability".
        x: ten rows (10, d), text and dates coded.
        raw: the same as columns of the table, text as text.
        expected: their results by name, (10, k).
        notes: sentences for the head of the file.
    """

    name: str
    description: Description
    columns: tuple[Column, ...]
    targets: tuple[str, ...]
    results: tuple[str, ...]
    x: np.ndarray
    raw: tuple[Any, ...]
    expected: dict[str, np.ndarray]
    notes: tuple[str, ...]

    @property
    def program(self) -> Any:
        """Of the description."""
        return self.description.program

    @property
    def classes(self) -> list[Any]:
        """Labels in the order of the probabilities; empty for regressors."""
        return [] if self.description.classes is None else self.description.classes.tolist()

    @property
    def coded(self) -> bool:
        """Whether a row of the table is something else than a row of inputs."""
        return not all(column.plain for column in self.columns)

    @property
    def main(self) -> str:
        """The result that is always there."""
        return self.results[0]

    def head(self) -> list[str]:
        """Lines that say what the file is."""
        described = self.description
        what = f"{described.model}, exported by numdl {__version__}: {described.program.d} inputs"
        what += f", classes {', '.join(map(str, self.classes))}" if self.classes else f" to {', '.join(self.targets)}"
        count = self.program.count(*self.results)
        return [one_line(what + "."), one_line(f"Inputs in order: {', '.join(input_names(self.columns))}."),
                f"{count:,} numbers in double precision.", *map(one_line, self.notes)]  # fmt: skip


def pack(
    described: Description,
    stem: str,
    *,
    names: Sequence[str] | None = None,
    encoder: Mapping[str, Any] | None = None,
    std: bool | str | float = "auto",
    rows: np.ndarray | None = None,
) -> Package:
    """Gather what a file holds.

    Args:
        described: the model.
        stem: name of the file without its ending.
        names: of the inputs; ignored with an encoder.
        encoder: JSON of a ``numdl.data.TableEncoder``.
        std: whether deviations are computed; "auto" where they need at most `MOST` numbers; a share by which they may
            be too large.
        rows: examples (10, d); drawn if not given.

    Returns:
        The package.

    Raises:
        CannotExport: deviations are asked for and there are none.
        ValueError: the encoder is of another model.
    """
    program, notes, results = described.program, [], described.names
    share = isinstance(std, float)
    if share and "std" in results:
        notes.append(f"Standard deviations are exact or too large, by at most {std:g} of themselves.")
    if (std is True or share) and "std" not in results:
        why = described.no_std or "it predicts classes, whose probabilities are always given."
        raise CannotExport(f"export(std={std}): {described.model} has no deviations: {why} Use std='auto'.")
    if described.no_std:
        notes.append(f"No standard deviation: {described.no_std}")
    count = program.count(*results) - program.count(results[0])
    if std is False or (std == "auto" and "std" in results and count > MOST):
        if "std" in results and std == "auto":
            notes.append(
                f"No standard deviation: it would need {count:,} further numbers; export with std=True to have it, or "
                "with std=0.001 for one that may be that much of itself too large, and often needs fewer."
            )
        results = results[:1]
    read = columns(program.d, names, encoder)
    notes += [said for column in read if (said := column.note())]
    k = described.k
    targets = tuple(encoder["target_names"]) if encoder else tuple(f"y{j}" for j in range(k)) if k > 1 else ("y",)
    if len(targets) != (k if described.classes is None else 1) and encoder:
        raise ValueError(f"export: the table has the targets {', '.join(targets)}, and the model others. Fit again.")
    x = described.rows() if rows is None else np.asarray(rows, np.float64)
    x, raw = examples(read, x)
    expected = dict(zip(results, described.evaluate(x, *results), strict=True))
    return Package(identifier(stem), described, read, targets, results, x, raw, expected, tuple(notes))


def identifier(text: str) -> str:
    """A name that every language takes.

    Args:
        text: any.

    Returns:
        Letters, digits and underscores, beginning with a letter.
    """
    name = re.sub(r"\W", "_", text, flags=re.ASCII).strip("_") or "model"
    return name if name[0].isalpha() else f"m_{name}"


def one_line(text: str) -> str:
    """Text that ends no comment and no line, in ASCII; long lists are cut.

    Args:
        text: any.

    Returns:
        One line.
    """
    text = " ".join(text.split()).encode("ascii", "backslashreplace").decode().replace("*/", "* /")
    return text if len(text) <= 400 else text[:396] + " ..."
