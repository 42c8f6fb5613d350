"""How well do we, with defaults, and methods of other packages learn functions from 50 to 2000 rows?

NRMSE is the root mean square error on 2000 other points over the deviation of the function there. Functions have no
noise or 5 % of their deviation. Rivals get standardised columns and choose by criteria of their own, see `_rivals`; one
whose package is not installed is left out. Seconds are those of the processor in one thread, for the fit. "numdl" is
`AutoRegressor`, "kernels" is `KernelRegressor`. Priors, starts, intervals and the rule of mixing were chosen on other
seeds. 500 and 2000 rows have one seed, 2000 rows only some functions.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import _rivals
from benchmarks._common import Run, median, ratio, standardise, table
from benchmarks._functions import NAMES, points

SEEDS = {50: 3, 100: 3, 200: 3, 500: 1, 2000: 1}
NOISES, POINTS = (0.0, 0.05), 2000
FEW = ("borehole", "otl", "friedman", "kink")
"""Functions learned from 2000 rows too."""


def numdl(x: np.ndarray, y: np.ndarray) -> tuple[Any, str]:
    """Ours with its defaults."""
    from numdl import AutoRegressor

    return described(AutoRegressor(random_state=0).fit(x, y))


def kernels(x: np.ndarray, y: np.ndarray) -> tuple[Any, str]:
    """Our processes alone."""
    from numdl import KernelRegressor

    return described(KernelRegressor(random_state=0).fit(x, y))


def described(model: Any) -> tuple[Any, str]:
    """A fit with its members and their weights."""
    return model, ", ".join(f"{name} {weight:.2f}" for name, weight in model.weights_[0].items())


OURS = {"numdl": numdl, "kernels": kernels}
METHODS = (*_rivals.RIVALS, *OURS)


def run(run: Run) -> None:
    """Every method on every size, set, noise and seed; few rows first."""
    for method in METHODS:
        if not _rivals.installed(method):
            print(f"[{run.name}] {method} is left out: {_rivals.PACKAGES[method]} is not installed (group bench).")
    for n in tuple(SEEDS)[:1] if run.quick else SEEDS:
        for name in run.chosen(NAMES, 2):
            if n == 2000 and name not in FEW:
                continue
            x_test, f_test = points(name, POINTS, 10**6)
            for noise in NOISES:
                for seed in range(min(run.seeds or SEEDS[n], 1 if run.quick else SEEDS[n])):
                    keys = {"set": name, "n": n, "noise": noise, "seed": seed}
                    x, f = points(name, n, seed)
                    level = noise * f_test.std(axis=0)
                    y = f + level * np.random.default_rng([seed, 2]).normal(size=f.shape)
                    for method in METHODS:
                        side = "ours" if method in OURS else "theirs"
                        if _rivals.asked(method, n, x.shape[1]) and run.wants(side, method, **keys):
                            measure(run, side, method, (x, x_test), (y, f_test, level), keys)


class Fitted(NamedTuple):
    """A fit of one side: ours is a model of raw rows, theirs a function of standardised ones."""

    model: Any
    predict: Callable[[], np.ndarray]
    chosen: str
    seconds: float


def fitted(side: str, method: str, x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> Fitted:
    """One fit and its seconds of the processor; ``predict`` answers for the test rows in the unit of y."""
    mean, scale = y.mean(axis=0), y.std(axis=0)
    inputs = standardise(x, x_test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        made, chosen = OURS[method](x, y) if side == "ours" else _rivals.fit(method, inputs[0], (y - mean) / scale)
        seconds = time.process_time() - start
    predict = (lambda: made.predict(x_test)) if side == "ours" else (lambda: mean + scale * made(inputs[1]))
    return Fitted(made, predict, chosen, seconds)


def measure(run: Run, side: str, method: str, x: tuple[np.ndarray, ...], y: tuple[Any, ...], keys: dict) -> None:
    """Error of one fit, and the coverage of ours."""
    (train, test), (c, f, noise) = x, y
    try:
        fit = fitted(side, method, train, c, test)
    except Exception as error:
        if side == "ours":
            raise
        print(f"[{run.name}] {method} failed on {keys}, which is not recorded: {type(error).__name__}: {error}")
        return
    extra: dict[str, Any] = {}
    if side == "ours":
        prediction = fit.model.predict(test)
        new = f + noise * np.random.default_rng(3).normal(size=f.shape)
        low, lower, upper, high = fit.model.predict_quantiles(test, (0.05, 0.25, 0.75, 0.95))
        extra = {
            "within_50": np.mean((lower < new) & (new < upper)),
            "within_90": np.mean((low < new) & (new < high)),
        }
    else:
        prediction = fit.predict()
    nrmse = np.sqrt(np.mean(((prediction - f) / f.std(axis=0)) ** 2))
    run.record(side, method, keys, nrmse=nrmse, seconds=fit.seconds, chosen=fit.chosen, **extra)


def compare(found: list[dict[str, Any]]) -> tuple[float | None, str | None]:
    """Ours over the best rival in mean NRMSE, each over the seeds that both have; None where there is no pair."""
    by_method = {m: {r["seed"]: r["nrmse"] for r in found if r["method"] == m} for m in METHODS}
    ours, quotients = by_method["numdl"], {}
    for method, theirs in by_method.items():
        if method not in OURS and (seeds := ours.keys() & theirs.keys()):
            quotients[method] = ratio(sum(ours[s] for s in seeds), sum(theirs[s] for s in seeds)) or 0.0
    best = max(quotients, key=lambda method: quotients[method], default=None)
    return (quotients[best], best) if best else (None, None)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean NRMSE over the seeds for each case, ours over the best rival, and the losses by name."""
    cases: dict[tuple, dict[str, float]] = {}
    rows, ratios, firsts = [], {}, []
    for key in dict.fromkeys((r["set"], r["n"], r["noise"]) for r in records):
        found = [r for r in records if (r["set"], r["n"], r["noise"]) == key]
        each = {m: [r["nrmse"] for r in found if r["method"] == m] for m in METHODS}
        cases[key] = {m: float(np.mean(values)) for m, values in each.items() if values}
        quotient, best = compare(found)
        rows.append([*key, *(cases[key].get(m) for m in METHODS), quotient, best])
        if quotient is not None:
            ratios[key] = quotient
            firsts.append(best)
    table("NRMSE, mean of the seeds", ["set", "n", "noise", *METHODS, "ours / best", "best"], rows)
    seconds = {
        f"{m}, n = {n}": median(r["seconds"] for r in records if r["method"] == m and r["n"] == n)
        for m in METHODS
        for n in dict.fromkeys(r["n"] for r in records if r["method"] == m)
    }
    table("CPU seconds of a fit, median", ["method", "seconds"], list(seconds.items()))
    by_noise = {noise: [v for k, v in ratios.items() if k[2] == noise] for noise in NOISES}
    inside = {level: [r[f"within_{level}"] for r in records if r["method"] == "numdl"] for level in (50, 90)}
    return {
        "nrmse": {" ".join(map(str, key)): means for key, means in cases.items()},
        "ours_over_best_rival": {" ".join(map(str, key)): value for key, value in ratios.items()},
        "losses": [" ".join(map(str, key)) for key, value in ratios.items() if value > 1],
        "median_ratio": {str(noise): median(values) for noise, values in by_noise.items()},
        "worst_ratio": {str(noise): max(values, default=None) for noise, values in by_noise.items()},
        "cpu_seconds": seconds,
        "share_of_new_values_in_intervals": {
            str(level): {"mean": float(np.mean(values)), "least": min(values)} if values else None
            for level, values in inside.items()
        },
        "best_rival": {name: firsts.count(name) for name in dict.fromkeys(firsts)},
        "requirements": {
            "median at most 0.7 without noise": median(by_noise[0.0]) <= 0.7 if by_noise[0.0] else None,
            "never above 1.15 without noise": max(by_noise[0.0]) <= 1.15 if by_noise[0.0] else None,
            "median at most 1.0 with noise": median(by_noise[0.05]) <= 1.0 if by_noise[0.05] else None,
            "never above 1.2 with noise": max(by_noise[0.05]) <= 1.2 if by_noise[0.05] else None,
        },
    }
