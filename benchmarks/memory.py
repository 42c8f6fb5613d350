"""How much memory does a fit take as the table grows to a million rows?

Peak resident memory of a fresh process that makes n x 50 smooth noisy data and fits for at most 60 s,
beside the peak just before the fit (interpreter, libraries, data). HistGradientBoostingRegressor gives the scale.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._common import BenchmarkError, Run, table, timed

ROWS = (10_000, 100_000, 1_000_000)
COLUMNS = 50
SECONDS = 60
METHODS = {"theirs": "hist_gradient_boosting", "ours": "numdl"}


def data(n: int) -> tuple[np.ndarray, np.ndarray]:
    """``x (n, 50)`` standard normal; a smooth target of five of its columns with 5 % noise."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, COLUMNS))
    y = np.sin(x[:, 0] * x[:, 1]) + np.tanh(x[:, 2]) + 0.5 * x[:, 3] ** 2 + x[:, 4]
    y += 0.05 * y.std() * rng.standard_normal(n)
    return x, y


def peak() -> int:
    """Largest resident memory of this process so far, MiB.

    On Linux ``ru_maxrss`` survives ``exec`` and would show the parent's peak where that is larger; ``VmHWM`` does not.
    """
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else []:
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 2**10)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / (2**20 if sys.platform == "darwin" else 2**10))


def child(side: str, n: int) -> None:
    """The measurement itself, in a process of its own; prints one line of JSON."""
    if side == "ours":
        from numdl import ResNetRegressor

        model: Any = ResNetRegressor(time_budget=SECONDS, random_state=0)
    else:
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(random_state=0)
    x, y = data(n)
    before = peak()
    model, seconds = timed(lambda: model.fit(x, y))
    after = peak()
    rows = slice(0, 10_000)
    r2 = 1 - np.mean((model.predict(x[rows]) - y[rows]) ** 2) / np.var(y[rows])
    print(json.dumps({"before_MiB": before, "peak_MiB": after, "seconds": seconds, "training_r2": r2}))


def run(run: Run) -> None:
    """One process per side and size, one after the other."""
    for n in map(int, run.chosen([str(rows) for rows in ROWS], quick=1)):
        for side in run.sides:
            if not run.wants(side, METHODS[side], n=n):
                continue
            command = [sys.executable, "-m", "benchmarks.memory", side, str(n)]
            root = Path(__file__).parents[1]
            answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
            if answer.returncode:
                last = answer.stderr.strip().splitlines()[-1:] or ["no message"]
                raise BenchmarkError(
                    f"benchmark memory ({side}, n={n}): the process ended with code {answer.returncode}: {last[0]}. "
                    "A negative code is a signal (-9: out of memory); try --sets with fewer rows."
                )
            values = json.loads(answer.stdout.strip().splitlines()[-1])
            run.record(side, METHODS[side], {"n": n}, columns=COLUMNS, **values)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Peak and growth during the fit, MiB."""
    records = sorted(records, key=lambda r: (r["n"], r["side"]))
    columns = ("before_MiB", "peak_MiB", "seconds", "training_r2")
    rows = [[r["n"], r["method"], *(r[key] for key in columns), r["peak_MiB"] - r["before_MiB"]] for r in records]
    table("memory: peak resident MiB", ["rows", "method", *columns, "fit added MiB"], rows)
    return {"fit_added_MiB": {f"{row[1]} n={row[0]}": row[-1] for row in rows}}


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[2]))
