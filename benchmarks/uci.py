"""How good are the defaults on eight small and medium regression tables (UCI, random 90/10 splits)?

Test RMSE in the target's own units and fit time, standardised on the training part, seeds 0..4, nothing tuned per set.
The Gaussian process is only asked where its cubic cost is bearable, RealMLP up to 1700 rows. The search for
MLPRegressor's alpha and solver uses at most 5000 rows; the chosen setting is then fitted on all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor

from benchmarks._common import Run, median, ratio, standardise, table, timed
from benchmarks._rivals import RIVALS as PACKAGED
from benchmarks._rivals import installed

SETS = {
    "yacht": "yacht",
    "energy": "energy",
    "concrete": "concrete",
    "wine": "wine-quality-red",
    "kin8nm": "kin8nm",
    "naval": "naval-propulsion-plant",
    "power": "power-plant",
    "protein": "protein-tertiary-structure",
}
GP_ROWS = 1100
REALMLP_ROWS = 1700
SEARCH_ROWS = 5000
RIVALS = ("hist_gradient_boosting", "mlp_cv", "gp_ard", "catboost", "realmlp")  # ridge is shown, but is no rival


def load(run: Run, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Table ``x (n, d)``, target ``y (n,)`` in original units."""
    folder = run.folder("uci_regression", SETS[name])
    rows = np.loadtxt(folder / "data.txt")
    features = np.loadtxt(folder / "index_features.txt", dtype=float).astype(int).ravel()
    target = int(np.loadtxt(folder / "index_target.txt", dtype=float))
    return rows[:, features], rows[:, target]


def split(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the training part (90 %) and of the test part."""
    order = np.random.default_rng(seed).permutation(n)
    cut = round(0.9 * n)
    return order[:cut], order[cut:]


def mlp_cv(x: np.ndarray, y: np.ndarray, seed: int) -> MLPRegressor:
    """MLPRegressor with alpha and solver chosen by 3-fold cross validation."""
    rows = np.random.default_rng(seed).permutation(len(x))[:SEARCH_ROWS]
    network = MLPRegressor(max_iter=1000, random_state=seed)
    grid = {"alpha": [1e-4, 1e-2, 1e0], "solver": ["adam", "lbfgs"]}
    search = GridSearchCV(network, grid, cv=3, refit=len(rows) == len(x)).fit(x[rows], y[rows])
    if len(rows) == len(x):
        return search.best_estimator_
    return network.set_params(**search.best_params_).fit(x, y)


def gp_ard(x: np.ndarray, y: np.ndarray, seed: int) -> GaussianProcessRegressor:
    """Gaussian process with one length per input and a noise level, by maximum likelihood."""
    lengths: Any = np.ones(x.shape[1])
    kernel = ConstantKernel() * RBF(lengths, (1e-2, 1e4)) + WhiteKernel(0.1, (1e-8, 1e1))
    return GaussianProcessRegressor(kernel, random_state=seed).fit(x, y)


def alternatives(n: int) -> dict[str, Callable[[np.ndarray, np.ndarray, int], Any]]:
    """Name -> ``fit(x, y, seed)`` on standardised data: a model, or a function that predicts and what was chosen."""
    methods: dict[str, Callable[[np.ndarray, np.ndarray, int], Any]] = {
        "hist_gradient_boosting": lambda x, y, seed: HistGradientBoostingRegressor(random_state=seed).fit(x, y),
        "ridge": lambda x, y, seed: Ridge().fit(x, y),
        "mlp_cv": mlp_cv,
    }
    if n <= GP_ROWS:
        methods["gp_ard"] = gp_ard
    for name in ("catboost", "realmlp"):
        if name == "catboost" or n <= REALMLP_ROWS:
            methods[name] = lambda x, y, seed, name=name: PACKAGED[name](x, y)
    return methods


def theirs(run: Run, name: str, seed: int, train: tuple, test: tuple) -> None:
    """All alternatives on one split."""
    (x, y), (x_test, y_test) = train, test
    x, x_test = standardise(x, x_test)
    z = standardise(y)[0]
    keys = {"set": name, "seed": seed}
    for method, fit in alternatives(len(x) + len(x_test)).items():
        if installed(method) and run.wants("theirs", method, **keys):
            model, seconds = timed(lambda fit=fit: fit(x, z, seed))
            predict = model[0] if isinstance(model, tuple) else model.predict
            error = y.mean() + y.std() * np.ravel(predict(x_test)) - y_test
            choice = {key: getattr(model, key) for key in ("alpha", "solver") if method == "mlp_cv"}
            run.record("theirs", method, keys, rmse=np.sqrt(np.mean(error**2)), seconds=seconds, **choice)


def ours(run: Run, name: str, seed: int, train: tuple, test: tuple) -> None:
    """The model that ``numdl fit`` takes by default on one split, with the coverage of the 50 and 90 % intervals."""
    if not run.wants("ours", "numdl", set=name, seed=seed):
        return
    from numdl import AutoRegressor, ResNetRegressor
    from numdl.cli.models import MOST_ROWS

    (x, y), (x_test, y_test) = train, test
    kind = AutoRegressor if len(x) <= MOST_ROWS else ResNetRegressor  # as numdl fit
    model, seconds = timed(lambda: kind(random_state=seed).fit(x, y))
    mean, std = model.predict(x_test, return_std=True)
    error = np.abs(mean - y_test)
    if isinstance(model, AutoRegressor):
        low, lower, upper, high = model.predict_quantiles(x_test, (0.05, 0.25, 0.75, 0.95))
        half, most = (lower < y_test) & (y_test < upper), (low < y_test) & (y_test < high)
    else:
        half, most = error < 0.67449 * std, error < 1.64485 * std
    run.record(
        "ours",
        "numdl",
        {"set": name, "seed": seed},
        rmse=np.sqrt(np.mean(error**2)),
        seconds=seconds,
        coverage_50=np.mean(half),
        coverage_90=np.mean(most),
    )


def run(run: Run) -> None:
    """Both sides on every seed and set; seeds outside, so that an interrupted run covers all sets."""
    tables = {name: load(run, name) for name in run.chosen(tuple(SETS), quick=2)}
    for seed in range(run.seeds or (1 if run.quick else 5)):
        for name, (x, y) in tables.items():
            train, test = split(len(x), seed)
            theirs(run, name, seed, (x[train], y[train]), (x[test], y[test]))
            ours(run, name, seed, (x[train], y[train]), (x[test], y[test]))


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean RMSE and median fit time per set and method; ratio of ours to the best rival."""

    def values(name: str, method: str, key: str) -> list[float]:
        return [r[key] for r in records if r["set"] == name and r["method"] == method and r.get(key) is not None]

    def mean(name: str, method: str, key: str = "rmse") -> float | None:
        found = values(name, method, key)
        return float(np.mean(found)) if found else None

    methods = (*RIVALS, "ridge", "numdl")
    sets, rows, times = {}, [], []
    for name in [name for name in SETS if any(r["set"] == name for r in records)]:
        rmse = {method: mean(name, method) for method in methods}
        seconds = {method: median(values(name, method, "seconds")) for method in methods if rmse[method]}
        rivals = {method: rmse[method] for method in RIVALS if rmse[method]}
        best = min(rivals, key=lambda method: rivals[method] or np.inf) if rivals else None
        quotient = ratio(rmse["numdl"], rmse[best] if best else None)
        coverage = {key: mean(name, "numdl", key) for key in ("coverage_50", "coverage_90")}
        seeds = len({r["seed"] for r in records if r["set"] == name})
        sets[name] = {
            "rmse": rmse,
            "seconds": seconds,
            "best_rival": best,
            "ratio": quotient,
            "seeds": seeds,
            **coverage,
        }
        rows.append([name, *rmse.values(), best, quotient, *coverage.values()])
        times.append([name, *(seconds.get(method) for method in methods)])
    header = ["set", "HGB", "MLP cv", "ARD GP", "CatBoost", "RealMLP", "ridge", "numdl"]
    table("UCI: mean test RMSE", [*header, "best rival", "ratio", "in 50 %", "in 90 %"], rows)
    table("UCI: median fit time in s", header, times)
    ratios = [s["ratio"] for s in sets.values() if s["ratio"]]
    return {"sets": sets, "median_ratio": median(ratios), "largest_ratio": max(ratios, default=None)}
