"""What does every benchmark share: the data folder, timing, results as JSON with their origin, tables.

A result file holds ``records`` (one measurement each: side, method, keys, values, and the run it comes from), ``runs``
(command, date, machine, versions of every run still referred to) and ``summary`` (medians and ratios). Records are
merged by their keys, so ``--ours-only`` and ``--theirs-only`` fill one file and each number still names its run.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numdl", "jax", "jaxlib", "equinox", "numpy", "scipy", "scikit-learn", "torch", "optimistix", "optax")
RIVALS = ("openturns", "smt", "catboost", "pytabkit")
"""Told only where they are installed."""


class BenchmarkError(Exception):
    """The benchmark cannot be asked for; the message says what is missing and what to try."""


@dataclass
class Run:
    """One call of one benchmark: what is wanted, and where its measurements go."""

    name: str
    sides: tuple[str, ...] = ("theirs", "ours")
    quick: bool = False
    seeds: int | None = None
    sets: tuple[str, ...] | None = None
    data: Path | None = None
    missing: bool = False
    methods: tuple[str, ...] | None = None
    results: Path = RESULTS
    command: str = ""
    records: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Continue the file of an earlier run, if there is one."""
        if self.path.exists():
            document = json.loads(self.path.read_text())
            self.records, self.runs = document["records"], document["runs"]
        self.origin = origin(self.command)
        self.id = self.origin["date"]
        self.runs[self.id] = self.origin

    @property
    def path(self) -> Path:
        """Result file; quick runs never overwrite full ones."""
        return self.results / f"{self.name}{'-quick' if self.quick else ''}.json"

    def folder(self, *parts: str) -> Path:
        """A folder or file below the data folder.

        Raises:
            BenchmarkError: no data folder was named, or this part of it is missing.
        """
        if self.data is None:
            raise BenchmarkError(
                f"benchmark {self.name}: no data folder was given, this one needs {'/'.join(parts)}. "
                "Pass --data FOLDER or set NUMDL_DATA."
            )
        path = self.data.joinpath(*parts)
        if not path.exists():
            raise BenchmarkError(f"benchmark {self.name}: {path} does not exist. Check --data or NUMDL_DATA.")
        return path

    def chosen(self, known: Sequence[str], quick: int) -> Sequence[str]:
        """Data sets to run: those named by ``--sets``, or all, or the first few in a quick run.

        Raises:
            BenchmarkError: a name that this benchmark does not know.
        """
        for name in self.sets or ():
            if name not in known:
                raise BenchmarkError(f"benchmark {self.name}: --sets has {name!r}, known are {', '.join(known)}.")
        return self.sets or (known[:quick] if self.quick else known)

    def wants(self, side: str, method: str, **keys: Any) -> bool:
        """Whether to measure this now: it is asked for, and with ``missing`` the file has no such record yet."""
        if side not in self.sides or (self.methods and method not in self.methods):
            return False
        wanted = {"side": side, "method": method, **keys}
        return not (self.missing and any(all(r.get(k) == v for k, v in wanted.items()) for r in self.records))

    def record(self, side: str, method: str, keys: dict[str, Any], **values: Any) -> None:
        """Keep one measurement (replacing the one with the same keys), show it, and write the file."""
        entry = {"side": side, "method": method, **keys, **values, "run": self.id}
        same = ("side", "method", *keys)
        self.records = [r for r in self.records if any(r.get(key) != entry[key] for key in same)] + [entry]
        shown = {key: value for key, value in values.items() if not isinstance(value, (list, dict))}
        line = " ".join(f"{k}={_short(v)}" for k, v in {**keys, **shown}.items())
        print(f"[{self.name}] {side:6s} {method:24s} {line}", flush=True)
        self.save()

    def save(self, summary: dict[str, Any] | None = None) -> None:
        """Write the file; runs that no record refers to any more are dropped."""
        used = {record["run"] for record in self.records}
        self.runs = {key: run for key, run in self.runs.items() if key in used}
        document = {"benchmark": self.name, "summary": summary or {}, "runs": self.runs, "records": self.records}
        self.results.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(_plain(document), indent=1) + "\n")
        partial.replace(self.path)

    def origins(self) -> dict[str, Any]:
        """For the summary: whether both sides were measured in the same run."""
        by_side = {s: sorted({r["run"] for r in self.records if r["side"] == s}) for s in ("theirs", "ours")}
        return {"same_run": by_side["theirs"] == by_side["ours"] and len(by_side["ours"]) == 1}


def origin(command: str) -> dict[str, Any]:
    """Command, date, machine and versions of this process; no host name and no paths."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    versions |= {p: importlib.metadata.version(p) for p in RIVALS if importlib.util.find_spec(p)}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": _cpu(), "cores": cores, "system": f"{platform.system()} {platform.machine()}"},
        "load_at_start": None if load is None else round(load, 2),
        "loaded": None if load is None else load > 1.0,  # others were at work: times are upper bounds
        "threads": {name: os.environ.get(name, "default") for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
        "commit": _commit(),
        "versions": versions,
    }


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Value of ``call()`` and its wall time in seconds; iteration limits of the alternatives are not news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        value = call()
        return value, time.perf_counter() - start


def standardise(x: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
    """``x`` and the others, shifted and scaled by the column means and deviations of ``x``."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)  # constant columns are only shifted
    return tuple((a - mean) / scale for a in (x, *others))


def median(values: Iterable[float]) -> float:
    """Median, or NaN of nothing."""
    values = list(values)
    return float(np.median(values)) if values else math.nan


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    """Quotient, or None where one side has not been measured."""
    return None if not numerator or not denominator else float(numerator) / float(denominator)


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; floats to three digits, missing values as a dash."""
    out = Table(*header, title=title, title_justify="left")
    for row in rows:
        out.add_row(*(_short(value) for value in row))
    console = Console()
    Console(width=max(console.width, 110)).print(out)


def command_line() -> str:
    """The command as a reader can repeat it, without the places where this machine keeps its data and results."""
    arguments, hide = [], ""
    for word in sys.argv[1:]:
        name = word.split("=")[0]
        own = name in ("--data", "--results")
        arguments.append(hide or (f"{name}={name[2:].upper()}" if own and "=" in word else word))
        hide = name[2:].upper() if own and "=" not in word else ""
    return " ".join(["python -m benchmarks", *arguments])


def _short(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, (float, np.floating)) else str(value)


def _plain(value: Any) -> Any:
    """The same tree in JSON's own types, floats to six digits; NaN and inf become null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.integer, np.bool_)):
        return value.item()
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _commit() -> str:
    def git(*words: str) -> str:
        call = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        return call.stdout.strip()

    try:
        return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+changes" if git("status", "--porcelain") else "")
    except OSError:
        return "unknown"
