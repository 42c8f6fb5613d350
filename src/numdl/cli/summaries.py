"""How is the summary of a fit stored, so that its page can be made again without the model and the data?"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from numdl.container import read_container, write_container
from numdl.contracts import Status
from numdl.report import FitSummary

_TEXT = ("title", "task", "model", "score_name", "n_parameters", "held_out_name")
_ROWS = ("c", "prediction", "interval")
_COLUMNS = ("history", "weights", "path")


def write_summary(summary: FitSummary, path: str | os.PathLike[str]) -> None:
    """Write a summary to one file.

    Args:
        summary: the finished fit.
        path: the file to make or replace; its folder must exist.

    Raises:
        OSError: the file cannot be written.
    """
    arrays = {f"{group}/{name}": v for group in _COLUMNS for name, v in getattr(summary, group).items()}
    arrays |= {name: getattr(summary, name) for name in _ROWS if getattr(summary, name) is not None}
    header: dict[str, Any] = {name: getattr(summary, name) for name in _TEXT}
    header |= {"status": list(summary.status), "facts": dict(summary.facts)}
    header |= {"scores": [{name: _plain(value) for name, value in row.items()} for row in summary.scores]}
    header |= {"target_names": list(summary.target_names), "class_names": list(summary.class_names)}
    write_container(path, arrays, header, kind="summary")


def read_summary(path: str | os.PathLike[str]) -> FitSummary:
    """Read what `write_summary` wrote.

    Args:
        path: the file.

    Returns:
        An equal summary.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no summary, or is damaged.
    """
    arrays, header = read_container(path, kind="summary")
    groups: dict[str, dict[str, np.ndarray]] = {group: {} for group in _COLUMNS}
    for name, values in arrays.items():
        group, slash, rest = name.partition("/")
        if slash:
            groups[group][rest] = values
    fields: dict[str, Any] = header | groups | {name: arrays.get(name) for name in _ROWS}
    fields["status"] = Status(*header["status"])
    return FitSummary(**fields)


def _plain(value: object) -> Any:
    return value.item() if isinstance(value, np.generic) else value
