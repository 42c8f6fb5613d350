"""Feature encoding: how does a table become the numbers a model sees, the same way at training and at prediction?

Fixed by the training table and stored with the model as plain JSON:

* a column of numbers passes through; a column of text becomes one column of zeros and ones for each value
  (scikit-learn's ``OneHotEncoder``). A value not seen in training gives zeros; of more than 50 values the rarest share
  one column.
* constant columns carry nothing, and text columns in which no value occurs twice name the rows: both are dropped, with
  a note, and so are row numbers, whole numbers beyond 2^53, and dates unless they are asked for.
* missing and infinite entries are refused, never filled in silently. With ``missing="impute"`` the median or the most
  frequent word stands in, and a further column says where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.data.table.column import Task, guess_task, is_number_column, missing, numbers, refuse_missing, texts
from numdl.data.table.feature import DATES, POLICIES, Feature, choose_features
from numdl.data.table.table import Table, absent, same_name

_FORMAT = 1

MAX_SINGLE = 50
"""Classes with one row above which a target of text is no classification."""


@dataclass(frozen=True)
class TableEncoder:
    """The map from a `Table` to ``x (n, d)`` and targets, fitted once by `TableEncoder.fit` and never changed.

    Attributes:
        features: the columns in use, in the order of the training table.
        target_names: k target columns.
        task: "regression" or "classification".
        text_target: whether class labels are text (else whole numbers).
        notes: one sentence for each column that was dropped.
    """

    features: tuple[Feature, ...]
    target_names: tuple[str, ...]
    task: Task
    text_target: bool
    notes: list[str]

    @classmethod
    def fit(
        cls,
        table: Table,
        target: Sequence[str] | str,
        task: str = "auto",
        *,
        missing: str = "refuse",
        dates: str = "drop",
    ) -> TableEncoder:
        """Decide from the training table what each column becomes.

        Args:
            table: training rows with the target columns.
            target: one or several column names; several only for regression.
            task: "regression", "classification", or "auto" for `numdl.data.table.column.guess_task`.
            missing: "refuse", "drop" (for rows that are complete; `complete_rows` finds them) or "impute".
            dates: "drop", "elapsed" (days since the first) or "cyclic" (sine and cosine over the day and the year).

        Returns:
            The encoder.

        Raises:
            ValueError: unknown task or target, a target that does not suit the task or is constant, missing or infinite
                entries, text among numbers, or no column left to learn from.
        """
        call = "TableEncoder.fit"
        targets = tuple(same_name(name) for name in ((target,) if isinstance(target, str) else target))
        checks.choice(call, "missing", missing, POLICIES)
        checks.choice(call, "dates", dates, DATES)
        _check_targets(call, table, targets, task)
        chosen = _task(call, table, targets, task)
        text_target = chosen == "classification" and not is_number_column(call, targets[0], table.column(targets[0]))
        _check_labels(call, table, targets, chosen, text_target)
        features, notes = choose_features(call, table, targets, policy=missing, dates=dates)
        if not features:
            raise ValueError(
                f"{call}: no column is left to learn from. {' '.join(notes)} Give at least one that varies."
            )
        return cls(features, targets, chosen, text_target, notes)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the d columns of ``x``."""
        return tuple(name for feature in self.features for name in feature.outputs)

    @property
    def inputs(self) -> dict[str, list[int]]:
        """Columns of ``x`` that each column of the table becomes."""
        ends = np.cumsum([len(feature.outputs) for feature in self.features]).tolist()
        return {
            feature.name: list(range(end - len(feature.outputs), end))
            for feature, end in zip(self.features, ends, strict=True)
        }

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns, the target included, that are text even if they look like numbers; for `read_table`."""
        inputs = tuple(feature.name for feature in self.features if feature.kind == "text")
        return inputs + (self.target_names if self.text_target else ())

    def transform(self, table: Table) -> Float[np.ndarray, "n d"]:
        """Numbers for the model; columns are found by name, others than those in use are ignored.

        Args:
            table: rows to encode; needs no target.

        Returns:
            Finite ``x (n, d)``, columns as in ``feature_names``.

        Raises:
            ValueError: a column is absent, has missing or infinite entries, or text where training had numbers.
        """
        call = "TableEncoder.transform"
        absentees = [feature.name for feature in self.features if feature.name not in table]
        if absentees:
            raise ValueError(
                f"{call}: {absent(absentees[0], table.names)} The model needs the columns "
                f"{', '.join(feature.name for feature in self.features)}; {len(absentees)} of them are absent."
            )
        return np.hstack([feature.encode(call, table) for feature in self.features])

    def unseen(self, table: Table) -> list[str]:
        """One sentence for each column of text with values that training did not have.

        Args:
            table: rows that ``transform`` accepts.

        Returns:
            Sentences; none if all is known.
        """
        found = []
        for feature in (feature for feature in self.features if feature.kind == "text"):
            column = texts(table.column(feature.name))
            known = np.isin(column.astype(str), [*feature.common, *feature.rare])
            new = ~known & ~missing(column)
            if new.any():
                found.append(
                    f"Column {feature.name!r} holds values that training did not have, {column[new][0]!r} for one: "
                    f"{new.sum()} of {len(column)} rows are predicted as if it said nothing."
                )
        return found

    def targets(self, table: Table) -> np.ndarray:
        """What the model is to predict.

        Args:
            table: rows with the target columns.

        Returns:
            Regression: float64 (n, k). Classification: labels (n,), ``str`` or int64.

        Raises:
            ValueError: a target column is absent, has missing or infinite entries, or does not suit the task.
        """
        call = "TableEncoder.targets"
        columns = []
        for name in self.target_names:
            if name not in table:
                raise ValueError(f"{call}: {absent(name, table.names)}")
            columns.append(table.column(name))
        if self.task == "regression":
            return np.column_stack([numbers(call, *pair) for pair in zip(self.target_names, columns, strict=True)])
        if self.text_target:
            refuse_missing(call, self.target_names[0], columns[0])
            return texts(columns[0]).astype(str)
        return _whole(call, self.target_names[0], numbers(call, self.target_names[0], columns[0]))

    def to_json(self) -> dict[str, Any]:
        """Everything needed to encode again, as a dict of JSON types.

        Returns:
            The dict for `TableEncoder.from_json`.
        """
        return {
            "format": _FORMAT,
            "features": [feature.to_json() for feature in self.features],
            "target_names": list(self.target_names),
            "task": self.task,
            "text_target": self.text_target,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TableEncoder:
        """The encoder that wrote this.

        Args:
            content: what `TableEncoder.to_json` returned, possibly after a trip through a file.

        Returns:
            An encoder equal to the one that was stored.

        Raises:
            ValueError: an entry is absent or of another version.
        """
        try:
            if content["format"] != _FORMAT:
                raise ValueError(
                    f"TableEncoder.from_json: the content has format {content['format']}, this version reads "
                    f"{_FORMAT}; install the version that wrote it, or fit again."
                )
            features = tuple(Feature.from_json(feature) for feature in content["features"])
            targets, notes = tuple(content["target_names"]), list(content["notes"])
            if not targets or any(not isinstance(word, str) for word in (*targets, *notes)):
                raise TypeError(f"targets {targets!r}")
            names = [*(feature.name for feature in features), *targets]
            if len(set(names)) < len(names) or not isinstance(content["text_target"], bool):
                raise TypeError(f"columns {names!r}")
            if content["task"] not in ("regression", "classification"):
                raise TypeError(f"task {content['task']!r}")
            return cls(features, targets, content["task"], content["text_target"], notes)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"TableEncoder.from_json: the content is not complete ({error!r}); fit and store the encoder again."
            ) from None


def complete_rows(table: Table, names: Sequence[str]) -> np.ndarray:
    """Which rows miss nothing in some columns.

    Args:
        table: rows.
        names: the columns to look at.

    Returns:
        bool (n,).
    """
    complete = np.ones(table.n, dtype=bool)
    for name in names:
        complete &= ~missing(table.column(name))
    return complete


def _check_targets(call: str, table: Table, targets: tuple[str, ...], task: str) -> None:
    if task not in {"auto", "regression", "classification"}:
        raise ValueError(f"{call}(task={task!r}): give 'auto', 'regression' or 'classification'.")
    if not targets or len(set(targets)) < len(targets):
        raise ValueError(f"{call}(target={list(targets)}): give one or several different column names.")
    for name in targets:
        if name not in table:
            raise ValueError(f"{call}(target={name!r}): {absent(name, table.names)}")
        refuse_missing(call, name, table.column(name))


def _task(call: str, table: Table, targets: tuple[str, ...], task: str) -> Task:
    if task == "auto":
        # one classification model has one target, so several targets can only mean numbers
        return guess_task(table.column(targets[0])) if len(targets) == 1 else "regression"
    if task == "classification" and len(targets) > 1:
        raise ValueError(
            f"{call}(task='classification'): got {len(targets)} target columns; classify one target, or fit one model "
            "for each."
        )
    return cast(Task, task)


def _check_labels(call: str, table: Table, targets: tuple[str, ...], task: Task, text_target: bool) -> None:
    for name in targets:
        column = table.column(name)
        if task == "regression" and not is_number_column(call, name, column):
            raise ValueError(
                f"{call}: target {name!r} is text (row 1 holds {column[0]!r}) and regression needs numbers; choose "
                "another target, or task='classification'."
            )
        values = column if text_target else numbers(call, name, column)
        if text_target:
            _check_classes(call, name, column)
        if task == "classification" and not text_target:
            _whole(call, name, values)
        if all(value == values[0] for value in values):
            raise ValueError(
                f"{call}: every row of target {name!r} holds {values[0]} ({len(values)} in all), so there is nothing "
                "to learn; give rows that differ."
            )


def _check_classes(call: str, name: str, column: np.ndarray) -> None:
    """Refuse text that names rows instead of classes."""
    counts = Counter(column)
    once = sum(count < 2 for count in counts.values())
    if once > MAX_SINGLE:
        raise ValueError(
            f"{call}: target {name!r} is text with {len(counts)} different values, {once} of which occur once (row 1 "
            f"holds {column[0]!r}), so there are no classes to learn; choose a column of numbers or of classes."
        )


def _whole(call: str, name: str, values: np.ndarray) -> np.ndarray:
    broken = values != np.rint(values)
    if broken.any():
        row = int(broken.argmax())
        raise ValueError(
            f"{call}: class labels must be text or whole numbers, but target {name!r}, row {row + 1} holds "
            f"{values[row]}; use task='regression', or write the labels as text."
        )
    return values.astype(np.int64)
