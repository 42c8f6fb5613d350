"""Summary of a fit, as plain arrays and text: what does a report need to know, and how is it stored?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

import numpy as np

if TYPE_CHECKING:
    from numdl.contracts import Status

import os
from typing import Any

from numdl import checks
from numdl.container import read_container, write_container
from numdl.contracts import Status

TASKS = ("regression", "classification")
EFFECTS = {"importance", "spread", "shown", "outputs"}
"""What ``effects`` of a summary always hold."""


MAKE = "Make one with the summary() of an estimator."
"""What to try where something else is given for a summary."""


class ScoreRow(TypedDict, total=False):
    """One line of the score table; parts that do not exist are ``None``, absent or NaN."""

    name: str
    train: float | None
    validation: float | None
    test: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class FitSummary:
    """A finished fit as the report sees it. Only the first three fields are required; NaN means "not known" everywhere.

    Attributes:
        title: heading of the report.
        task: ``"regression"`` or ``"classification"``.
        status: why the training ended.
        facts: what was trained on what: file, rows, columns, network, solver, seconds, versions.
        scores: one row per model, smaller is better. The row of the network starts with ``numdl``; the baselines are
            recognised by the words ``ridge``/``linear``/``logistic`` and ``mean of``/``most frequent`` in their names.
        score_name: what the scores measure with its unit, such as RMSE (kW) or error %.
        history: columns of equal length, one entry per iteration, NaN where it was not measured. Known
            names: ``seconds``, ``objective``, ``gradient_norm``, ``train_error``, ``validation_error``, ``damping``,
            ``effective_dof``, ``log_evidence``, ``noise`` and one ``alpha:<group>`` per group of weights.
        n_parameters: number of unknowns, 0 if not known.
        c: true targets of the held-out rows, (n, k); for classification the indices of the classes, (n,).
            Rows of a regression in which something is not finite are left out, and counted.
        prediction: predictions of the same rows, the same shape; what is not finite as for c.
        held_out_name: which rows these are, such as test, validation or training.
        target_names: k names, or empty.
        class_names: one name per class, or empty.
        weights: arrays whose leading axis is the layers, (nt, ...); one that is not finite is left out.
        model: what was fitted, in a word, such as network, linear or random features.
        path: how alpha was chosen: ``alpha`` and ``criterion``, (m,), NaN where not known, and ``chosen``, (1,); or
            empty.
        interval: predicted standard deviations of the held-out rows, (n, k), in the units of c; regression only, and
            what is not finite is left out.
        probability: predicted probability of each class for the held-out rows, (n, classes); classification only.
        below: predicted probability that a target is smaller than c, (n, k), where it is not that of a normal
            distribution with these means and deviations; intervals are then judged by it.
        logarithm: for each target 1 where the model sees its logarithm, else 0, (k,); the figures do likewise.
        median: predicted medians of the held-out rows, (n, k), where predictions are not normal distributions; targets
            that are seen by their logarithm are judged by them.
        rows: number of each held-out row in its file, (n,), counted from 1; None if it came from none.
        input_names: m names of inputs, or empty.
        effects: which inputs matter and how, arrays by name, see `numdl.estimators.common.effects`; or empty.
        pictures: of fits to images, numbers from 0 to 1 by name: ``filters`` and ``mistakes`` (m, height, width, 1 or
            3), and ``mistaken``, the held-out rows of the latter, (m,), from 0; or empty.
    """

    title: str
    task: str
    status: Status
    facts: Mapping[str, str] = field(default_factory=dict)
    scores: Sequence[ScoreRow] = ()
    score_name: str = "error"
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    n_parameters: int = 0
    c: np.ndarray | None = None
    prediction: np.ndarray | None = None
    held_out_name: str = "test"
    target_names: Sequence[str] = ()
    class_names: Sequence[str] = ()
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    interval: np.ndarray | None = None
    model: str = "network"
    path: Mapping[str, np.ndarray] = field(default_factory=dict)
    rows: np.ndarray | None = None
    below: np.ndarray | None = None
    input_names: Sequence[str] = ()
    effects: Mapping[str, np.ndarray] = field(default_factory=dict)
    probability: np.ndarray | None = None
    logarithm: np.ndarray | None = None
    median: np.ndarray | None = None
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Bring the arrays to their shapes and refuse what contradicts itself, before anything is drawn."""
        if self.task not in TASKS:
            raise ValueError(f"FitSummary(task={self.task!r}): the task must be one of {TASKS}. Give one of them.")
        checks.instance("FitSummary", "status", self.status, Status, "Take status_ of an estimator.")
        for part in self.status[:2]:
            checks.text("FitSummary", "status", part)
        for name in ("title", "model", "score_name", "held_out_name"):
            checks.text("FitSummary", name, getattr(self, name))
        checks.whole("FitSummary", "n_parameters", self.n_parameters, least=0)
        for name in ("facts", "history", "weights", "path", "effects", "pictures"):
            checks.instance("FitSummary", name, getattr(self, name), Mapping, "Give a dictionary.")
        for row in _several("scores", self.scores):
            checks.instance("FitSummary", "scores", row, Mapping, "Give a dictionary.")
        history = {name: _floats(f"history[{name!r}]", values) for name, values in self.history.items()}
        lengths = {name: column.shape for name, column in history.items()}
        if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
            raise ValueError(
                f"FitSummary(history): the columns have shapes {lengths}, all must be (iterations,) with one length. "
                "Fill iterations that were not measured with NaN."
            )
        weights = {name: _floats(f"weights[{name!r}]", values) for name, values in self.weights.items()}
        for name, values in weights.items():
            if values.ndim == 0:
                raise ValueError(
                    f"FitSummary(weights[{name!r}]): a scalar has no axis of layers. Pass an array of shape (nt, ...)."
                )
        c, prediction, interval = self._rows()
        path = {name: _floats(f"path[{name!r}]", values) for name, values in self.path.items()}
        effects = {name: _floats(f"effects[{name!r}]", values) for name, values in self.effects.items()}
        names = tuple(str(name) for name in _several("input_names", self.input_names))
        if effects:
            _require_effects(effects, len(names))
        rows = None if self.rows is None else _floats("rows", self.rows).astype(int)
        if rows is not None and (c is None or rows.shape != (len(c),)):
            raise ValueError(f"FitSummary(rows of shape {rows.shape}): needs one number for each row of c. Give them.")
        below = None if self.below is None else _table("below", np.asarray(self.below))
        if below is not None and (c is None or below.shape != c.shape):
            raise ValueError(
                f"FitSummary(below of shape {below.shape}): needs the shape of c. Give one for each target."
            )
        median = None if self.median is None else _table("median", np.asarray(self.median))
        if median is not None and (c is None or median.shape != c.shape):
            raise ValueError(
                f"FitSummary(median of shape {median.shape}): needs the shape of c. Give one for each target."
            )
        logarithm = None if self.logarithm is None else _floats("logarithm", self.logarithm)
        if logarithm is not None and (c is None or logarithm.shape != c.shape[1:]):
            raise ValueError(
                f"FitSummary(logarithm of shape {logarithm.shape}): needs one entry for each target. Give 0 or 1."
            )
        changes = {
            "pictures": self._pictures(c),
            "probability": self._probability(c),
            "logarithm": logarithm,
            "median": median,
            "below": below,
            "effects": effects,
            "input_names": names,
            "rows": rows,
            "history": history,
            "weights": weights,
            "path": path,
            "c": c,
            "prediction": prediction,
            "interval": interval,
        }
        if path and (path.keys() != {"alpha", "criterion", "chosen"} or path["alpha"].shape != path["criterion"].shape):
            raise ValueError(
                f"FitSummary(path={sorted(path)}): needs alpha and criterion of one length, and chosen. Give all three."
            )
        changes |= {"facts": dict(self.facts), "scores": tuple(self.scores)}
        changes |= {"target_names": self._target_names(c), "class_names": self._class_names(c, prediction)}
        outputs = effects.get("outputs", np.zeros(0))
        told = changes["class_names" if self.task == "classification" else "target_names"]
        if told and not np.isin(outputs, np.arange(len(told))).all():
            raise ValueError(
                f"FitSummary(effects['outputs']={outputs.tolist()}): needs places among {told}. Give them."
            )
        for name, value in changes.items():
            object.__setattr__(self, name, value)

    def _rows(self) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        if self.c is None or self.prediction is None:
            if self.c is not None or self.prediction is not None:
                given, missing = ("c", "prediction") if self.prediction is None else ("prediction", "c")
                raise ValueError(f"FitSummary: {given} is given without {missing}. Pass both, or neither.")
            return None, None, None
        c, prediction = np.asarray(self.c), np.asarray(self.prediction)
        if c.shape != prediction.shape:
            raise ValueError(
                f"FitSummary: c has shape {c.shape} and prediction {prediction.shape}, they must be the same. "
                "Give the predictions of the rows of c."
            )
        if self.task == "classification":
            return _labels("c", c), _labels("prediction", prediction), None
        c, prediction = _table("c", c), _table("prediction", prediction)
        interval = None if self.interval is None else _table("interval", np.asarray(self.interval))
        if interval is not None and interval.shape != c.shape:
            raise ValueError(
                f"FitSummary: interval has shape {interval.shape} and c {c.shape}, they must be the same. "
                "Pass one standard deviation per row and target."
            )
        return c, prediction, interval

    def _probability(self, c: np.ndarray | None) -> np.ndarray | None:
        if self.probability is None:
            return None
        found = _floats("probability", self.probability)
        if self.task != "classification" or c is None or found.ndim != 2 or len(found) != len(c):
            raise ValueError(
                f"FitSummary(probability of shape {found.shape}): needs one row for each row of c, of a "
                "classification. Give predict_proba of these rows, or None."
            )
        if not np.all((found >= 0) & (found <= 1 + 1e-6)):
            raise ValueError("FitSummary(probability): needs numbers from 0 to 1. Give predict_proba of the rows of c.")
        if found.shape[1] <= c.max(initial=-1):
            raise ValueError(
                f"FitSummary(probability): {found.shape[1]} columns, but c holds class {c.max()}. "
                "Give one for each class."
            )
        return found

    def _pictures(self, c: np.ndarray | None) -> dict[str, np.ndarray]:
        found = {name: _floats(f"pictures[{name!r}]", values) for name, values in self.pictures.items()}
        for name in ("filters", "mistakes"):
            shape = found[name].shape if name in found else (0, 1, 1, 1)
            if len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape[1:]:
                raise ValueError(
                    f"FitSummary(pictures[{name!r}] of shape {shape}): needs (m, height, width, 1 or 3). Give that."
                )
            if not np.all((found.get(name, np.zeros(0)) >= 0) & (found.get(name, np.zeros(0)) <= 1)):
                raise ValueError(f"FitSummary(pictures[{name!r}]): needs numbers from 0 to 1. Scale them.")
        rows = found.get("mistaken", np.zeros(0))
        n = 0 if c is None else len(c)
        if rows.shape != (len(found.get("mistakes", ())),) or not np.all((rows >= 0) & (rows < n)):
            raise ValueError(
                "FitSummary(pictures['mistaken']): needs a row of c for each picture of mistakes. Give these rows."
            )
        return found

    def _target_names(self, c: np.ndarray | None) -> tuple[str, ...]:
        names = tuple(str(name) for name in _several("target_names", self.target_names))
        if self.task == "classification" or c is None:
            return names
        k = c.shape[1]
        if names and len(names) != k:
            raise ValueError(f"FitSummary: {len(names)} target_names for {k} targets. Pass one name per column of c.")
        return names or (("target",) if k == 1 else tuple(f"target {j}" for j in range(k)))

    def _class_names(self, c: np.ndarray | None, prediction: np.ndarray | None) -> tuple[str, ...]:
        names = tuple(str(name) for name in _several("class_names", self.class_names))
        if self.task == "regression" or c is None or prediction is None:
            return names
        needed = 1 + max(int(c.max(initial=-1)), int(prediction.max(initial=-1)))
        if names and needed > len(names):
            raise ValueError(
                f"FitSummary: class index {needed - 1} has no name among the {len(names)} class_names. "
                "Pass one name per class, in the order of the indices."
            )
        return names or tuple(f"class {j}" for j in range(needed))


def _several(name: str, values: Any) -> Any:
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        raise ValueError(f"FitSummary({name}={checks.shown(values)}): needs a sequence. Give a list.")
    return values


def _require_effects(effects: Mapping[str, np.ndarray], m: int) -> None:
    """Refuse effects whose arrays do not belong together, of m inputs."""
    if not effects.keys() >= EFFECTS:
        raise ValueError(
            f"FitSummary(effects={sorted(effects)}): needs {', '.join(sorted(EFFECTS))}. Take them from summary() "
            "of an estimator."
        )
    s, q = effects["shown"].size, effects["outputs"].size
    g, v = (effects[name].shape[-1] if effects.get(name, np.zeros(0)).ndim == 2 else 0 for name in ("grid", "levels"))
    slices = (s, s, v, g, q)
    needed = {"importance": (m,), "spread": (m,), "shown": (s,), "outputs": (q,), "base": (s,), "grid": (s, g)}
    needed |= {"levels": (s, v), "response": slices, "low": slices, "high": slices}
    if "response" in effects and not effects.keys() >= {"base", "grid", "levels"}:
        raise ValueError("FitSummary(effects): a response needs base, grid and levels. Take all from an estimator.")
    for name, shape in needed.items():
        if name in effects and effects[name].shape != shape:
            raise ValueError(
                f"FitSummary(effects[{name!r}] of shape {effects[name].shape}): needs {shape} for {m} input_names. "
                "Take both from summary() of an estimator."
            )
    if "values" in effects and (effects["values"].ndim != 2 or effects["values"].shape[1] != s):
        raise ValueError(
            f"FitSummary(effects['values'] of shape {effects['values'].shape}): needs {s} columns. Give those shown."
        )
    if not np.isin(effects["shown"], np.arange(m)).all():
        raise ValueError(
            f"FitSummary(effects['shown']={effects['shown'].tolist()}): needs places below {m}. Give those of inputs."
        )


def _floats(name: str, values: Any) -> np.ndarray:
    try:
        if np.iscomplexobj(values):
            checks.real("FitSummary", name, np.asarray(values))
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"FitSummary({name}): not an array of numbers ({error}). Give numbers, NaN for missing ones."
        ) from None


def _table(name: str, values: np.ndarray) -> np.ndarray:
    values = _floats(name, values)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise ValueError(f"FitSummary({name}): shape {values.shape}, needed is (n, k). Give one row per sample.")
    return values


def _labels(name: str, values: np.ndarray) -> np.ndarray:
    if values.ndim != 1:
        raise ValueError(
            f"FitSummary({name}): shape {values.shape}, for classification the indices of the classes (n,) are needed. "
            "Take argmax over the scores."
        )
    labels = _floats(name, values)
    if not np.all(np.isfinite(labels) & (labels >= 0) & (labels == np.floor(labels))):
        raise ValueError(f"FitSummary({name}): labels must be the integers 0, 1, ...: encode the class names first.")
    return labels.astype(int)


_TEXT = ("title", "task", "model", "score_name", "n_parameters", "held_out_name")
_ROWS = ("c", "prediction", "interval", "rows", "below", "probability", "logarithm", "median")
_COLUMNS = ("history", "weights", "path", "effects", "pictures")


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
    header |= {name: list(getattr(summary, name)) for name in ("target_names", "class_names", "input_names")}
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
    try:
        for name, values in arrays.items():
            group, slash, rest = name.partition("/")
            if slash:
                groups[group][rest] = values
        fields: dict[str, Any] = header | groups | {name: arrays.get(name) for name in _ROWS}
        fields["status"] = Status(*header["status"])
        return FitSummary(**fields)
    except Exception as error:  # the checksum authenticates nobody
        raise ValueError(
            f"read_summary({str(path)!r}): the parts of the file do not fit together ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}); train again."
        ) from None


def _plain(value: object) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def ending(status: Status) -> str:
    """Why a fit ended, in a word or few: ``max_iter`` is a parameter that not every model has."""
    return "limit of steps reached" if status.code == "max_iter" else status.code.replace("_", " ")
