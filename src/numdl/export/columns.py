"""What does an exported file read: how does each column of a table become inputs, in every language the same?

A date is a number there, days since 1970-01-01 00:00 UTC (a time alone: since midnight); an empty entry is NaN, or
empty text. Formulas are those of ``numdl.data.table.feature``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

PERIODS = {"day": 1.0, "year": 365.2425}
"""Days of each cycle."""


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of the table that the model reads.

    Attributes:
        name: as in the table.
        common: values of a text column with an input of their own, in the order of these; empty for numbers.
        rare: values of a text column that share the next input.
        kind: "number", "text", "elapsed" (a date: days since ``origin``) or "cyclic" (a date: sine and cosine of its
            place in each period).
        fill: what stands in for an empty entry; None where there is none.
        indicator: whether one more input says where an entry was empty.
        origin: of a date, in days since 1970.
        cycles: of a date, "day" and "year".
    """

    name: str
    common: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    kind: str = "number"
    fill: float | str | None = None
    indicator: bool = False
    origin: float = 0.0
    cycles: tuple[str, ...] = ()

    @property
    def text(self) -> bool:
        """Whether it holds text."""
        return self.kind == "text"

    @property
    def date(self) -> bool:
        """Whether it holds dates."""
        return self.kind in ("elapsed", "cyclic")

    @property
    def plain(self) -> bool:
        """Whether it is an input as it stands."""
        return self.kind == "number" and self.fill is None

    @property
    def periods(self) -> tuple[float, ...]:
        """Of the cycles, in days."""
        return tuple(PERIODS[cycle] for cycle in self.cycles)

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs that it becomes."""
        if self.text:
            names = [f"{self.name}={value}" for value in self.common] + [f"{self.name}=(rare)"] * bool(self.rare)
        elif self.kind == "cyclic":
            names = [f"{self.name} {f}({cycle})" for cycle in self.cycles for f in ("sin", "cos")]
        else:
            names = [self.name]
        return names + [f"{self.name} missing"] * self.indicator

    @property
    def width(self) -> int:
        """Number of inputs that it becomes."""
        return len(self.inputs)

    @property
    def place(self) -> int | None:
        """Which of the inputs of a text column an empty entry sets; None for none."""
        if self.fill in self.common:
            return self.common.index(str(self.fill))
        return len(self.common) if self.fill in self.rare else None

    def encode(self, raw: Any) -> np.ndarray:
        """The inputs that entries become.

        Args:
            raw: words, or numbers (n,).

        Returns:
            (n, width).
        """
        if self.text:
            gaps = np.array([not word for word in raw])
            words = [self.fill if not word and self.fill is not None else word for word in raw]
            parts = [np.array([word == value for word in words], float) for value in self.common]
            parts += [np.array([word in self.rare for word in words], float)] if self.rare else []
        else:
            gaps = np.isnan(raw)
            t = np.where(gaps, self.fill, raw) if self.fill is not None else np.asarray(raw)
            parts = [t]
            if self.date:
                days = t - self.origin
                parts = [days]
            if self.kind == "cyclic":
                angles = [2 * np.pi * (days + self.origin) / period for period in self.periods]
                parts = [f(angle) for angle in angles for f in (np.sin, np.cos)]
        return np.column_stack([*parts, *([gaps.astype(float)] if self.indicator else [])])

    def example(self, x: np.ndarray) -> Any:
        """Entries of typical rows, of which some are empty where that is allowed.

        Args:
            x: first input of the column in these rows (n,).

        Returns:
            Words, or numbers (n,).
        """
        n = len(x)
        if self.text:
            words = [*self.common, *self.rare, "(never seen)", *([""] if self.fill is not None else [])]
            return [words[row % len(words)] for row in range(n)]
        raw = x.copy()
        if self.kind == "elapsed":
            raw = x + self.origin
        elif self.kind == "cyclic":
            raw = np.floor(self.origin) + max(self.periods) * np.random.default_rng(1).uniform(size=n)
        if self.fill is not None:
            raw[1::4] = np.nan
        return raw

    def note(self) -> str:
        """What someone who calls the function has to know; empty for a plain number."""
        said = []
        if self.date:
            said.append("a date in days since 1970-01-01 00:00 UTC, a time alone in days since midnight")
        if self.fill is not None:
            said.append(f"an empty entry is {'empty text' if self.text else 'NaN'} and counts as {self.fill}")
        return f"Column {self.name}: {'; '.join(said)}." if said else ""


def columns(d: int, names: Sequence[str] | None, encoder: Mapping[str, Any] | None) -> tuple[Column, ...]:
    """What a model reads.

    Args:
        d: number of inputs.
        names: of the inputs; ignored with an encoder.
        encoder: JSON of a ``numdl.data.TableEncoder``.

    Returns:
        The columns.

    Raises:
        ValueError: the encoder is of another model.
    """
    if encoder is None:
        names = [f"x{j}" for j in range(d)] if names is None else [str(name) for name in names]
        return tuple(Column(name) for name in names)
    found = tuple(_column(one) for one in encoder["features"])
    if (width := sum(column.width for column in found)) != d:
        raise ValueError(f"export: the columns of the table make {width} inputs, and the model has {d}. Fit again.")
    return found


def _column(one: Mapping[str, Any]) -> Column:
    calendar = one.get("calendar") or {"origin": 0.0, "cycles": ()}
    fill = one["fill_days"] if one.get("fill") is not None and one.get("calendar") else one.get("fill")
    common, rare, indicator = tuple(one["common"]), tuple(one["rare"]), bool(one.get("indicator"))
    cycles = tuple(calendar["cycles"]) if one["kind"] == "cyclic" else ()
    return Column(one["name"], common, rare, one["kind"], fill, indicator, float(calendar["origin"]), cycles)


def examples(read: tuple[Column, ...], x: np.ndarray) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Rows whose coded columns hold entries that occur, an empty one, and a word that never did.

    Args:
        read: the columns.
        x: typical rows (n, d).

    Returns:
        The rows, and the same as columns of the table.
    """
    x, raw, start = x.copy(), [], 0
    for column in read:
        stop = start + column.width
        raw.append(column.example(x[:, start]))
        x[:, start:stop] = column.encode(raw[-1])
        start = stop
    return x, tuple(raw)


def input_names(read: tuple[Column, ...]) -> list[str]:
    """Names of the d inputs, those of text columns with their value.

    Args:
        read: the columns.

    Returns:
        d names.
    """
    return [name for column in read for name in column.inputs]
