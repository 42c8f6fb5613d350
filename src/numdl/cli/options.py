"""Options of a fit: what did the user ask a fit to do, in a form that can be stored and compared?"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from pathlib import Path
from typing import Any

from numdl.cli.completion import LOSSES
from numdl.cli.errors import UserError
from numdl.data.read.several import arguments
from numdl.data.table.feature import DATES, POLICIES

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclasses.dataclass(frozen=True)
class FitOptions:
    """Everything that decides what a fit gives; None leaves the choice to the estimator. JSON types only.

    Attributes:
        target: names of the target columns.
        task: "auto", "regression" or "classification".
        model: "auto", "resnet", "mlp", "single-layer", "linear", "random-features" or "kernel"; for images also
            "patches" or "images".
        time: seconds at most.
        test: share of the rows held out to measure the error at the end.
        validation: share of the rows held out to watch the error during the fit; None for a tenth where the model looks
            at them, else none.
        seed: of the split and of the random starts.
        width: units of the flow or the layer, units of several layers, or number of random features.
        depth: steps of the flow.
        levels: number of depths on which networks are trained in turn.
        T: final time of the flow.
        dynamics: name of the flow's right-hand side.
        damping: rate of damping of the flow, for dynamics that have one.
        scheme: name of the flow's time-stepping scheme.
        alpha: regularisation parameter.
        loss: "squared" or "pseudo-huber".
        restarts: number of random starts.
        max_iter: iterations at most.
        dtype: "float64" or "float32".
        inputs: names or patterns of the input columns; all but the targets if empty.
        drop: names or patterns of columns to leave out.
        text: columns that are categories even if they look like numbers.
        na: words and numbers that stand for a missing entry.
        header: whether the first line holds names; None guesses.
        missing: "refuse", "drop" or "impute".
        dates: "drop", "elapsed" or "cyclic".
        weights: column that says how many observations each row stands for.
        sheet: name or number of a sheet of a workbook.
        split: "random", "time", "group:COLUMN", "file:TEST.csv" or "file:TEST.xlsx:SHEET".
        labels: file of the labels of images.
        size: height and width to which pictures are brought.
    """

    target: tuple[str, ...]
    task: str = "auto"
    model: str = "auto"
    time: float | None = None
    test: float = 0.1
    validation: float | None = None
    seed: int = 0
    width: int | tuple[int, ...] | None = None
    depth: int | None = None
    levels: int | None = None
    T: float | None = None
    dynamics: str | None = None
    damping: float | None = None
    scheme: str | None = None
    alpha: float | None = None
    restarts: int | None = None
    max_iter: int | None = None
    dtype: str | None = None
    inputs: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    na: tuple[str, ...] = ()
    header: bool | None = None
    missing: str = "refuse"
    dates: str = "drop"
    weights: str | None = None
    split: str = "random"
    loss: str = "squared"
    sheet: str | None = None
    labels: str | None = None
    size: tuple[int, int] | None = None

    @property
    def group(self) -> str | None:
        """The column whose values stay together in the split, if there is one."""
        return self.split.removeprefix("group:") if self.split.startswith("group:") else None

    @property
    def test_file(self) -> str | None:
        """The file that holds the test rows, if there is one."""
        return self.split.removeprefix("file:") if self.split.startswith("file:") else None

    def check(self, call: str = "fit") -> None:
        """Refuse what the estimators never see.

        Args:
            call: the command to name.

        Raises:
            UserError: a share is out of range, or a word is unknown.
        """
        known = (("missing", self.missing, POLICIES), ("dates", self.dates, DATES), ("loss", self.loss, LOSSES))
        for name, word, words in known:
            if word not in words:
                before = ", ".join(words[:-1])
                raise UserError(f"numdl {call} --{name} {word}: needed is {before} or {words[-1]}.")
        if self.split not in ("random", "time") and not self.group and not self.test_file:
            raise UserError(f"numdl fit --split {self.split}: needed is random, time, group:COLUMN or file:TEST.csv.")
        watched = self.validation or 0.0
        for name, share in (("test", self.test), ("validation", watched)):
            if not 0 <= share < 1:
                raise UserError(f"numdl fit --{name} {share:g}: needed is a share of the rows in [0, 1), such as 0.1.")
        if self.test + watched > 0.9:
            raise UserError(
                f"numdl fit: --test {self.test:g} and --validation {watched:g} leave less than a tenth of the "
                "rows for the training; give smaller shares."
            )

    def parameters(self) -> dict[str, Any]:
        """Arguments of the estimator; what is None is left to its default."""
        given = {
            "width": self.width,
            "depth": self.depth,
            "levels": self.levels,
            "T": self.T,
            "dynamics": self.dynamics,
            "damping": self.damping,
            "scheme": self.scheme,
            "alpha": self.alpha,
            "n_restarts": self.restarts,
            "max_iter": self.max_iter,
            "time_budget": self.time,
            "dtype": self.dtype,
            "random_state": self.seed,
        }
        return {name: value for name, value in given.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """The options as a dict of JSON types."""
        content = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in content.items()}


def command(data: str | os.PathLike[str], options: FitOptions | dict[str, Any]) -> list[str]:
    """The words of a command that fits, without what is left to its default.

    Args:
        data: the file.
        options: of the fit, or what `FitOptions.to_json` gave of them.

    Returns:
        Words for the shell.
    """
    stored = options.to_json() if isinstance(options, FitOptions) else options
    usual = FitOptions(target=()).to_json()
    told = {name: value for name, value in stored.items() if value != usual.get(name)}
    words = ["numdl", "fit", *arguments(Path(data))]
    for name, value in told.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            if name in ("width", "size") and isinstance(value, list):
                value = ("," if name == "width" else "x").join(map(str, value))
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{flag}", str(one)]
    return words


def difference(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Which option differs, as part of a sentence; the time limit may, it decides only how far the run gets.

    Args:
        before: options of the run so far, as `FitOptions.to_json` gave them.
        now: options of this command.

    Returns:
        The first difference, or None.
    """
    usual = FitOptions(()).to_json()  # of options that the version before did not have
    for name, value in now.items():
        if name != "time" and before.get(name, usual.get(name)) != value:
            return f"{_spelled(name, before.get(name))}, this command {_spelled(name, value)}"
    return None


def _spelled(name: str, value: Any) -> str:
    flag = f"--{name.replace('_', '-')}"
    if value is None:
        return f"has no {flag}"
    words = value if isinstance(value, list) else [value]
    return "has " + " ".join(f"{flag} {word}" for word in words)


def sides(text: str | None) -> tuple[int, int] | None:
    """Height and width behind ``64x48``.

    Args:
        text: what stands after ``--size``.

    Returns:
        Both, or None.

    Raises:
        UserError: it is no size.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match or min(int(match[1]), int(match[2])) < 2:
        raise UserError(f"numdl fit --size {text}: needed is HEIGHTxWIDTH in pixels, such as 64x64.")
    return int(match[1]), int(match[2])


def seconds(text: str | None) -> float | None:
    """The time behind ``60``, ``60s``, ``5m``, ``1.5h``.

    Args:
        text: what stands after ``--time``.

    Returns:
        Seconds, or None for None.

    Raises:
        UserError: it is no positive time.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([a-z]*)", text.strip().lower())
    value = float(match[1]) * _UNITS.get(match[2], math.nan) if match else math.nan
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"numdl fit --time {text}: needed is a positive time such as 60, 60s, 5m or 1h.")
    return value


def number_or_auto(flag: str, text: str | None, kind: type[int] | type[float]) -> Any:
    """The number behind an option that also takes ``auto``.

    Args:
        flag: name of the option, for the error.
        text: what stands after it.
        kind: int or float.

    Returns:
        The number, or None for ``auto`` and None.

    Raises:
        UserError: it is neither.
    """
    if text is None or text.strip().lower() == "auto":
        return None
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise UserError(f"numdl fit {flag} {text}: needed is {what} or auto.") from None


def widths_or_auto(text: str) -> int | tuple[int, ...] | None:
    """The units behind ``--width``: a number, or one for each layer with commas between.

    Args:
        text: what stands after it.

    Returns:
        One number, several, or None for ``auto``.

    Raises:
        UserError: it is none of these.
    """
    several = [number_or_auto("--width", part, int) for part in text.split(",")]
    if len(several) > 1 and None in several:
        raise UserError(f"numdl fit --width {text}: needed is a whole number for each layer, such as 32,16.")
    return several[0] if len(several) == 1 else tuple(several)
