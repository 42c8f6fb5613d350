"""How long does softmax regression take to within 1e-7 of its optimum, on MNIST and Fashion-MNIST?

60000 x 784 pixels divided by 255, alpha = 1e-4 on the mean loss, intercepts free; scikit-learn's ``LogisticRegression``
with ``C = 1 / (n alpha)``. Each solver is run with several tolerances, each time from the start: seconds of the whole
``fit`` against the gap of the objective to the lowest one found, relative to it. Ours is timed with compilation in its
first fit and without in the second. newton-cholesky, whose matrix has order 7850, gets one step only: what that takes
is a lower bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from benchmarks._common import BenchmarkError, Run, ratio, table, timed
from numdl.data.read.images import read_idx

SETS = ("fashion_mnist", "mnist")
ALPHA = 1e-4
GOAL = 1e-7
SOLVERS: dict[str, tuple[tuple[float, int], ...]] = {
    "newton-cg": ((1e-4, 100), (1e-6, 100)),
    "lbfgs": ((1e-4, 300),),
    "newton-cholesky": ((1e-4, 1),),
}
"""Tolerance and most iterations of each run."""
OURS = (1e-4, 1e-6)


def load(run: Run, name: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels in [0, 1], (n, 784), and labels."""
    images, labels = (run.folder(name, f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    x = read_idx(images)
    return x.reshape(len(x), -1) / 255.0, read_idx(labels)


def objective(coef: np.ndarray, intercept: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """The objective, computed alike for both sides."""
    s = x @ coef.T + intercept
    return float(np.mean(logsumexp(s, axis=1) - s[np.arange(len(y)), y]) + ALPHA / 2 * np.sum(coef**2))


def judged(model: Any, train: tuple, test: tuple) -> dict[str, float]:
    """Objective on the training part, error on the test part, iterations."""
    value = objective(model.coef_, model.intercept_, *train)
    error = float(np.mean(model.predict(test[0]) != test[1]))
    return {"objective_digits": f"{value:.12g}", "error": error, "iterations": int(np.max(model.n_iter_))}


def theirs(run: Run, name: str, train: tuple, test: tuple) -> None:
    """scikit-learn's solvers."""
    n = len(train[1])
    for method, settings in SOLVERS.items():
        if run.quick and method == "newton-cholesky":
            continue
        for tol, most in settings:
            if run.wants("theirs", method, set=name, tol=tol):
                model = LogisticRegression(C=1 / (n * ALPHA), tol=tol, max_iter=most, solver=method)
                model, seconds = timed(lambda model=model: model.fit(*train))
                run.record("theirs", method, {"set": name, "tol": tol}, seconds=seconds, **judged(model, train, test))


def ours(run: Run, name: str, train: tuple, test: tuple) -> None:
    """Our default solver."""
    from numdl import SoftmaxClassifier

    for tol in OURS:
        if not run.wants("ours", "numdl", set=name, tol=tol):
            continue
        first = None
        for turn in ("with compilation", "compiled"):
            model = SoftmaxClassifier(alpha=ALPHA, standardize=False, tol=tol)
            model, seconds = timed(lambda model=model: model.fit(*train))
            first = seconds if turn == "with compilation" else first
        values = judged(model, train, test)
        products = int(np.sum(model.history_["products"]))
        run.record(
            "ours",
            "numdl",
            {"set": name, "tol": tol},
            seconds=seconds,
            first_seconds=first,
            products=products,
            **values,
        )


def run(run: Run) -> None:
    """Both sides on every set."""
    for name in run.chosen(SETS, quick=1):
        train, test = load(run, name, "train"), load(run, name, "t10k")
        if run.quick:
            train = train[0][:5000], train[1][:5000]
        if len(train[0]) != len(train[1]):
            raise BenchmarkError(f"benchmark softmax: {name} has {len(train[0])} images and {len(train[1])} labels.")
        ours(run, name, train, test)
        theirs(run, name, train, test)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Gap and seconds of each run; ratio of ours to the fastest rival that reaches the goal."""
    sets, rows, ratios = {}, [], []
    for name in [name for name in SETS if any(r["set"] == name for r in records)]:
        here = [r for r in records if r["set"] == name]
        lowest = min(float(r["objective_digits"]) for r in here)
        gaps = {id(r): float(r["objective_digits"]) / lowest - 1 for r in here}
        reached = {s: [r for r in here if r["side"] == s and gaps[id(r)] <= GOAL] for s in ("theirs", "ours")}
        best = {side: min((r["seconds"] for r in found), default=None) for side, found in reached.items()}
        first = min((r["first_seconds"] for r in reached["ours"]), default=None)
        quotients = {"seconds": ratio(best["ours"], best["theirs"]), "with_compilation": ratio(first, best["theirs"])}
        ratios.append(quotients["with_compilation"])
        sets[name] = {"lowest_objective": f"{lowest:.12g}", "seconds_to_goal": best, "ratio": quotients}
        for r in here:
            rows.append([name, r["method"], r["tol"], r["iterations"], gaps[id(r)], r["seconds"], 100 * r["error"]])
        rows.append([name, "ours / fastest", None, None, None, quotients["seconds"], None])
    table(
        "softmax regression: relative gap of the objective, seconds, test error in %",
        ["set", "solver", "tol", "iterations", "gap", "seconds", "error %"],
        rows,
    )
    held = max(ratios) <= 0.5 if ratios and all(ratios) else None
    return {"goal": GOAL, "sets": sets, "requirements": {"half the time of the fastest rival, compilation in": held}}
