"""What does choosing alpha cost, and is the choice as good as RidgeCV's?

Rows of a normal distribution with standard deviations falling from 1 to 1/100 along random directions, a linear target
with 30 % noise and an intercept. ``RidgeCV`` chooses by exact leave-one-out among 100 alphas; ``TikhonovRegressor`` by
GCV and by leave-one-out, from its own grid of 100, refined. Errors are those of the predictions against the noise-free
targets of 2000 other rows, relative to the standard deviation of these. The decomposition is timed alone, and then what
100 alphas add to it. BLAS has one thread. Each time is the least of three, of one at the largest size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV

from benchmarks._common import Run, ratio, table, timed

SIZES = tuple(f"{n}x{p}" for n in (2000, 20000) for p in (50, 500, 2000))
ALPHAS = 100
METHODS = ("gcv", "loo")


def data(n: int, p: int, held: int = 2000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and noisy targets to fit on, other rows and noise-free targets to check on."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((p, p)))[0]
    x = (rng.standard_normal((n + held, p)) * np.geomspace(1.0, 0.01, p)) @ turn
    y = x @ rng.standard_normal(p) + 3.0
    noisy = y[:n] + 0.3 * y[:n].std() * rng.standard_normal(n)
    return x[:n], noisy, x[n:], y[n:]


def quickest(call: Any, repeats: int) -> tuple[Any, float]:
    """Value and the least wall time of some calls in seconds."""
    found = [timed(call) for _ in range(repeats)]
    return found[-1][0], min(seconds for _, seconds in found)


def grid(n: int) -> np.ndarray:
    """RidgeCV's penalties for a hundred of ours, 1e-10 to 10."""
    return n * np.geomspace(1e-10, 10.0, ALPHAS)


def theirs(run: Run, size: str, repeats: int) -> None:
    """RidgeCV on a grid that has our best alphas inside."""
    if not run.wants("theirs", "RidgeCV", size=size):
        return
    n, p = map(int, size.split("x"))
    x, y, held, truth = data(n, p)
    model, seconds = quickest(lambda: RidgeCV(grid(n)).fit(x, y), repeats)
    error = np.std(model.predict(held) - truth) / np.std(truth)
    run.record("theirs", "RidgeCV", {"size": size}, seconds=seconds, alpha=model.alpha_ / n, error=error)


def ours(run: Run, size: str, repeats: int) -> None:
    """Both criteria through the estimator, and the path alone."""
    from numdl import TikhonovRegressor
    from numdl.regularize.ridge import alpha_grid, decompose, leave_one_out, ridge_path
    from numdl.regularize.selectors import gcv

    n, p = map(int, size.split("x"))
    x, y, held, truth = data(n, p)
    for method in METHODS:
        if run.wants("ours", method, size=size):
            make = TikhonovRegressor(method, method="svd")
            model, seconds = quickest(lambda make=make: make.fit(x, y), repeats)
            error = np.std(model.predict(held) - truth) / np.std(truth)
            run.record("ours", method, {"size": size}, seconds=seconds, alpha=model.alpha_, error=error)
    if run.wants("ours", "path", size=size):
        d, seconds = quickest(lambda: decompose(x, y[:, None], intercept=True, keep_left=True), repeats)
        alphas = alpha_grid(d, ALPHAS)
        _, path = quickest(lambda: gcv(ridge_path(d, alphas)), repeats)
        _, loo = quickest(lambda: leave_one_out(d, alphas), repeats)
        run.record("ours", "path", {"size": size}, seconds=seconds, path_seconds=path, loo_seconds=loo)


def run(run: Run) -> None:
    """Both sides at every size."""
    for size in run.chosen(SIZES, quick=1):
        repeats = 1 if size == SIZES[-1] else 3
        theirs(run, size, repeats)
        ours(run, size, repeats)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Ratios of times and errors at every size, and what 100 alphas add to a decomposition."""
    sizes, rows = {}, []
    for size in [size for size in SIZES if any(r["size"] == size for r in records)]:
        found = {r["method"]: r for r in records if r["size"] == size}
        their, path = found.get("RidgeCV"), found.get("path")
        entry: dict[str, Any] = {"seconds": {m: r["seconds"] for m, r in found.items()}}
        for method in METHODS:
            our = found.get(method)
            if our and their:
                entry[method] = {name: ratio(our[name], their[name]) for name in ("seconds", "error", "alpha")}
        if path:
            entry["cost_of_100_alphas"] = 1 + path["path_seconds"] / path["seconds"]
            entry["cost_of_100_left_out"] = 1 + path["loo_seconds"] / path["seconds"]
        sizes[size] = entry
        quotients = [entry.get(m, {}).get(name) for m in METHODS for name in ("seconds", "error", "alpha")]
        costs = [entry.get("cost_of_100_alphas"), entry.get("cost_of_100_left_out")]
        rows.append([size, their and their["seconds"], *quotients, *costs])
    header = [f"{m} {name}" for m in METHODS for name in ("time", "error", "alpha")]
    title = "ridge path: RidgeCV (100 alphas) in s; ours / theirs; cost of 100 alphas / decomposition"
    table(title, ["size", "RidgeCV s", *header, "path cost", "loo cost"], rows)
    costs = [entry["cost_of_100_alphas"] for entry in sizes.values() if "cost_of_100_alphas" in entry]
    errors = {m: [entry[m]["error"] for entry in sizes.values() if m in entry] for m in METHODS}
    times = [entry["gcv"]["seconds"] for entry in sizes.values() if "gcv" in entry]
    return {
        "sizes": sizes,
        "requirements": {
            "100 alphas cost at most 1.1 decompositions": max(costs) <= 1.1 if costs else None,
            "leave-one-out errs at most 1.01 times as much": max(errors["loo"]) <= 1.01 if errors["loo"] else None,
            "GCV errs at most 1.05 times as much": max(errors["gcv"]) <= 1.05 if errors["gcv"] else None,
            "GCV takes no longer than RidgeCV": max(times) <= 1 if times else None,
        },
    }
