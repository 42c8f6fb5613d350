"""Features: what does each column become for a model, and how are missing entries filled?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from numdl.data.table.column import kind_of, missing, numbers, refuse_missing, texts, unreadable
from numdl.data.table.dates import CYCLES, Calendar, calendar_of
from numdl.data.table.notation import interpret
from numdl.data.table.table import Table, same_name

POLICIES = ("refuse", "drop", "impute")
"""What is done about missing entries: refused, their rows left out, or filled."""

DATES = ("drop", "elapsed", "cyclic")
"""What is done about dates: left out, days since the first one, or places in the day and the year."""

MAX_CATEGORIES = 50
"""Columns a text column may become; beyond that its rarest values share the last one."""


@dataclass(frozen=True)
class Feature:
    """One column the model uses.

    Attributes:
        name: column name.
        kind: "number", "text", "elapsed" or "cyclic".
        common: text values with a column of their own, sorted.
        rare: text values that share one column, sorted.
        unit: that the cells carried or the row below the header told, "" if unknown.
        fill: what stands in for a missing entry, None where these are refused.
        indicator: whether a further column of zeros and ones says where an entry was missing.
        calendar: of a column of dates.
    """

    name: str
    kind: str
    common: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    unit: str = ""
    fill: float | str | None = None
    indicator: bool = False
    calendar: Calendar | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns this one becomes."""
        if self.kind == "text":
            own = tuple(f"{self.name}={value}" for value in self.common)
            own += (f"{self.name}=(rare)",) if self.rare else ()
        elif self.kind == "cyclic":
            assert self.calendar is not None
            own = tuple(f"{self.name} {f}({c})" for c in self.calendar.cycles for f in ("sin", "cos"))
        else:
            own = (self.name,)
        return own + ((f"{self.name} missing",) if self.indicator else ())

    def encode(self, call: str, table: Table) -> Float[np.ndarray, "n m"]:
        """The columns this one becomes.

        Args:
            call: the call to name in an error.
            table: rows with the column.

        Returns:
            Finite (n, number of outputs).

        Raises:
            ValueError: missing or infinite entries, words where there were numbers, or another unit.
        """
        column, unit = table.column(self.name), table.units.get(self.name, "")
        if unit and self.unit and unit != self.unit:
            raise ValueError(
                f"{call}: column {self.name!r} has the unit {unit} here and had {self.unit} in training; convert it."
            )
        column = _parsed(column) if self.kind == "number" else column
        gaps = missing(column)
        if self.fill is not None and gaps.any():
            if isinstance(self.fill, str) and column.dtype.kind == "f":
                column = np.where(gaps, 0.0, column)
                refuse_missing(call, self.name, column)  # what is infinite
                column = texts(column)
            column = column.copy()
            column[gaps] = self.fill if column.dtype.kind == "f" else str(self.fill)
        own = self._values(call, column)
        return np.column_stack([own, gaps.astype(np.float64)]) if self.indicator else own

    def _values(self, call: str, column: np.ndarray) -> np.ndarray:
        if self.kind == "number":
            return numbers(call, self.name, column)[:, None]
        refuse_missing(call, self.name, column)
        words = texts(column)
        if self.kind == "text":
            return one_hot(self, words)
        assert self.calendar is not None
        days = self.calendar.days(call, self.name, words)
        return days[:, None] if self.kind == "elapsed" else self.calendar.turns(days)

    def to_json(self) -> dict[str, Any]:
        """The feature as a dict of JSON types; what is as usual is left out."""
        content: dict[str, Any] = {"name": self.name, "kind": self.kind}
        content |= {"common": list(self.common), "rare": list(self.rare)}
        more = {"unit": self.unit, "fill": self.fill, "indicator": self.indicator}
        content |= {
            name: value for name, value in more.items() if value is not None and value is not False and value != ""
        }
        if self.calendar is not None:
            content["calendar"] = self.calendar._asdict()
            if self.fill is not None:  # for exports, which read no words
                word = np.array([self.fill], dtype=object)
                content["fill_days"] = float(self.calendar.days("Feature", self.name, word)[0] + self.calendar.origin)
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Feature:
        """The feature that wrote this.

        Args:
            content: what `to_json` returned, possibly after a trip through a file.

        Returns:
            An equal feature; words that were stored in decomposed form (NFD) are composed, as those of tables are.

        Raises:
            TypeError: parts do not belong together, as in a file that was altered.
        """
        calendar, fill = content.get("calendar"), content.get("fill")
        _require_stored(content, calendar, fill)
        return cls(
            content["name"],
            content["kind"],
            tuple(map(same_name, content["common"])),
            tuple(map(same_name, content["rare"])),
            content.get("unit", ""),
            same_name(fill) if isinstance(fill, str) else fill,
            bool(content.get("indicator", False)),
            Calendar(**{**calendar, "cycles": tuple(calendar["cycles"])}) if calendar else None,
        )


def _require_stored(content: dict[str, Any], calendar: Any, fill: Any) -> None:
    """Refuse what no feature has written; a checksum authenticates nobody."""
    name, kind = content["name"], content["kind"]
    dated = isinstance(kind, str) and kind in ("elapsed", "cyclic")
    words = [content["common"], content["rare"]]
    fits = isinstance(name, str) and (dated or (isinstance(kind, str) and kind in ("number", "text")))
    fits = fits and all(isinstance(some, list) and all(isinstance(word, str) for word in some) for some in words)
    fits = fits and isinstance(content.get("unit", ""), str) and isinstance(content.get("indicator", False), bool)
    if not fits or (kind == "text") != any(words) or dated != bool(calendar):
        raise TypeError(f"the feature {name!r} of kind {kind!r}")
    if fill is not None and not (
        isinstance(fill, str) if kind != "number" else type(fill) in (int, float) and np.isfinite(fill)
    ):
        raise TypeError(f"feature {name!r} is filled by {fill!r}")
    if dated and not (
        type(calendar["origin"]) in (int, float)
        and np.isfinite(calendar["origin"])
        and isinstance(calendar["day_first"], bool)
        and set(calendar["cycles"]) <= set(CYCLES)
        and type(content.get("fill_days", 0.0)) in (int, float)
    ):
        raise TypeError(f"the calendar of feature {name!r}")


def choose_features(
    call: str, table: Table, targets: tuple[str, ...], *, policy: str = "refuse", dates: str = "drop"
) -> tuple[tuple[Feature, ...], list[str]]:
    """Decide what each column but the targets becomes.

    Args:
        call: the call to name in an error.
        table: training rows.
        targets: columns to leave out.
        policy: one of `POLICIES`; "impute" fills.
        dates: one of `DATES`.

    Returns:
        The columns in use, and one sentence for each column that is dropped.

    Raises:
        ValueError: missing or infinite entries, or words that look like numbers and cannot be read.
    """
    features: list[Feature] = []
    notes: list[str] = []
    for j, (name, column) in enumerate(zip(table.names, table.columns, strict=True)):
        if name in targets:
            continue
        kind = kind_of(column, unnamed=j == 0 and is_unnamed(table), different=table.different)
        if kind.name == "unreadable":
            raise unreadable(call, name, kind.why)
        if kind.name in ("number", "text", "date"):
            used = column if kind.values is None else kind.values
            if kind.name == "date" and dates == "drop":
                notes.append(
                    f"Column {name!r} is dropped: {kind.why}; --dates elapsed or cyclic makes numbers of them."
                )
                continue
            if policy != "impute":
                refuse_missing(call, name, used)
            feature = _feature(call, name, kind.name, used, dates)
            features.append(_filled(feature, used, table.units.get(name, ""), policy))
        else:
            notes.append(f"Column {name!r} is dropped: {kind.why}.")
    return tuple(features), notes


def is_unnamed(table: Table) -> bool:
    """Whether the first column has no name in the file, though others have.

    Args:
        table: as it was read.

    Returns:
        True for the row numbers that pandas and R write.
    """
    first, *others = table.names
    return (first == "column0" and others[:1] != ["column1"]) or first in ("Unnamed: 0", "index")


def _feature(call: str, name: str, kind: str, column: np.ndarray, dates: str) -> Feature:
    if kind == "number":
        return Feature(name, "number")
    if kind == "text":
        return _text_feature(name, column[~missing(column)])
    calendar = calendar_of(call, name, column)
    if dates == "elapsed":
        return Feature(name, "elapsed", calendar=calendar)
    return Feature(name, "cyclic", calendar=calendar)


def _filled(feature: Feature, column: np.ndarray, unit: str, policy: str) -> Feature:
    """The feature with what stands in for missing entries: the median, or the most frequent word."""
    if policy != "impute":
        return replace(feature, unit=unit)
    from sklearn.impute import SimpleImputer

    number = column.dtype.kind == "f"
    gaps = missing(column)
    present = column[~gaps]
    if number:
        refuse_missing("SimpleImputer", feature.name, present)
    fill = SimpleImputer(strategy="median" if number else "most_frequent").fit(present[:, None]).statistics_[0]  # type: ignore[index]
    return replace(feature, unit=unit, fill=float(fill) if number else str(fill), indicator=bool(gaps.any()))


def _parsed(column: np.ndarray) -> np.ndarray:
    """Words as numbers where one notation explains all, or where there are none."""
    if column.dtype.kind == "f":
        return column
    values = interpret(column).values
    if values is None and missing(column).all():
        return np.full(len(column), np.nan)
    return column if values is None else values


def _text_feature(name: str, column: np.ndarray) -> Feature:
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore", max_categories=MAX_CATEGORIES).fit(column[:, None])
    infrequent = encoder.infrequent_categories_[0]
    rare = tuple(str(value) for value in infrequent) if infrequent is not None else ()
    common = tuple(sorted({str(value) for value in encoder.categories_[0]} - set(rare)))
    return Feature(name, "text", common, rare)


def one_hot(feature: Feature, column: np.ndarray) -> Float[np.ndarray, "n m"]:
    """Zeros and ones for the values of a text column; a value not seen in training gives zeros.

    Args:
        feature: its values, of kind "text".
        column: object (n,) of ``str``.

    Returns:
        (n, number of outputs).
    """
    size = len(feature.common)
    places = {value: j for j, value in enumerate(feature.common)} | dict.fromkeys(feature.rare, size)
    # one more place for what training did not have; scikit-learn's encoder, which chose the values, would do the same
    rows = np.eye(size + bool(feature.rare) + 1)[:, :-1]
    return rows[[places.get(word, -1) for word in column]]
