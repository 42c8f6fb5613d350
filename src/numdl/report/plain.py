"""Report as JSON: the numbers of the page for other programs."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from numdl import checks
from numdl.container import whole_file
from numdl.plots.wording import finite
from numdl.report import calibration, measures
from numdl.report.advice import advise, verdict
from numdl.report.summary import MAKE, FitSummary


def write_json(summary: FitSummary, path: str | os.PathLike[str]) -> None:
    """Write the numbers of a report as JSON: one object, null where something is not known.

    Args:
        summary: the finished fit.
        path: the file to write or replace; its folder must exist.

    Raises:
        OSError: it cannot be written.

    Example:
        >>> import numpy as np
        >>> from numdl import TikhonovRegressor
        >>> X, e = np.arange(40.0)[:, None], np.resize([1, -1, -1, 1], 40)
        >>> model = TikhonovRegressor().fit(X[:30], X[:30, 0] + 0.1 * e[:30])
        >>> summary = model.summary(X[30:], X[30:, 0] + 0.1 * e[30:])
        >>> import json
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_json(summary, Path(folder, "report.json"))
        ...     told = json.loads(Path(folder, "report.json").read_text(encoding="utf-8"))
        >>> told["held_out"], told["status"]["code"]
        ({'rows': 'test', 'count': 10}, 'converged')
    """
    checks.instance("write_json", "summary", summary, FitSummary, MAKE)
    text = json.dumps(plain(summary), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with whole_file(checks.path("write_json", path), "write_json") as write:
        write(text)


def plain(summary: FitSummary) -> dict[str, Any]:
    """The numbers of a report as values of JSON.

    Args:
        summary: the finished fit.

    Returns:
        ``title``, ``task``, ``model``, ``status``, ``verdict``, ``advice``, ``facts``, ``score_name``, ``scores``,
        ``held_out``, ``n_parameters``; ``targets`` with the errors of each, or ``classes`` and ``probabilities``
        with log loss (nats) and calibration error; ``inputs`` with their
        importance.
    """
    checks.instance("plain", "summary", summary, FitSummary, MAKE)
    scores = [
        {name: value if name == "name" else finite(value) for name, value in row.items()} for row in summary.scores
    ]
    rows = measures.finite_rows(summary)
    found: dict[str, Any] = {
        "title": summary.title,
        "task": summary.task,
        "model": summary.model,
        "status": {"code": summary.status.code, "message": summary.status.message},
        "verdict": verdict(summary),
        "advice": advise(summary),
        "facts": dict(summary.facts),
        "score_name": summary.score_name,
        "scores": scores,
        "held_out": {"rows": summary.held_out_name, "count": len(rows)},
        "n_parameters": summary.n_parameters,
    }
    if summary.task == "regression":
        found["targets"] = _targets(summary)
    told = calibration.reliability(summary)
    if told is not None:
        found["probabilities"] = {"log_loss": finite(told.log_loss), "calibration_error": finite(told.error)}
    if summary.task == "classification" and summary.c is not None and summary.prediction is not None:
        counts = measures.confusion(summary.c, summary.prediction, len(summary.class_names))
        found["classes"] = [
            {"name": name, "rows": int(row.sum()), "errors": int(row.sum() - row[i])}
            for i, (name, row) in enumerate(zip(summary.class_names, counts, strict=True))
        ]
    if summary.effects:
        columns = (summary.effects[name] for name in ("importance", "spread"))
        found["inputs"] = [
            {"name": name, "importance": finite(value), "spread": finite(spread)}
            for name, value, spread in zip(summary.input_names, *columns, strict=True)
        ]
    return found


def _targets(summary: FitSummary) -> list[dict[str, Any]]:
    """Errors of each target on the held-out rows, as `numdl.report.measures.TargetErrors`."""
    found = []
    for one in measures.target_errors(summary):
        numbers = {"rmse": one.rmse, "mae": one.mae, "median_error": one.middle, "r2": one.r2, "coverage_90": one.held}
        numbers |= {"off_by_factor": one.factor} if np.isfinite(one.factor) else {}
        found.append({"name": one.name} | {name: finite(value) for name, value in numbers.items()})
    return found
