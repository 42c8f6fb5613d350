"""Which columns of a table become inputs of the model, and how does one of text become numbers?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from numdl.data.column import is_number_column, numbers, refuse_missing
from numdl.data.table import Table

MAX_CATEGORIES = 50
"""Columns a text column may become; beyond that its rarest values share the last one."""


@dataclass(frozen=True)
class Feature:
    """One column the model uses.

    Attributes:
        name: column name.
        kind: "number" or "text".
        common: text values with a column of their own, sorted.
        rare: text values that share one column, sorted.
    """

    name: str
    kind: str
    common: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns this one becomes."""
        if self.kind == "number":
            return (self.name,)
        return tuple(f"{self.name}={value}" for value in self.common) + ((f"{self.name}=(rare)",) if self.rare else ())


def choose_features(call: str, table: Table, targets: tuple[str, ...]) -> tuple[tuple[Feature, ...], list[str]]:
    """Decide what each column but the targets becomes.

    Args:
        call: the call to name in an error.
        table: training rows.
        targets: columns to leave out.

    Returns:
        The columns in use, and one sentence for each column that is dropped.

    Raises:
        ValueError: missing or infinite entries, or text among numbers.
    """
    features: list[Feature] = []
    notes: list[str] = []
    for name, column in zip(table.names, table.columns, strict=True):
        if name in targets:
            continue
        refuse_missing(call, name, column)
        number = is_number_column(call, name, column)
        values = numbers(call, name, column) if number else column
        distinct = len(np.unique(values)) if number else len(set(values))
        if distinct == 1:
            notes.append(f"Column {name!r} is dropped: it is constant.")
        elif number:
            features.append(Feature(name, "number"))
        elif distinct == len(values):
            notes.append(f"Column {name!r} is dropped: it is text that is different in every row.")
        else:
            features.append(_text_feature(name, column))
    return tuple(features), notes


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
    from sklearn.preprocessing import OneHotEncoder

    # The fitted state of scikit-learn's encoder has no public form to store. A column with every common value twice and
    # every rare value once, fitted with min_frequency=2, gives the same encoder again through the public interface.
    example = np.array([*feature.common, *feature.common, *feature.rare], dtype=object)[:, None]
    encoder = OneHotEncoder(handle_unknown="ignore", dtype=np.float64, min_frequency=2 if feature.rare else None)
    return encoder.fit(example).transform(column[:, None]).toarray()
