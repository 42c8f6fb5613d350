"""How well do we, with defaults, and the Gaussian processes of scikit-learn learn functions from 50 to 200 rows?

NRMSE is the root mean square error on 2000 other points over the deviation of the function there. Functions have no
noise or 5 % of their deviation. scikit-learn's process has a length for each input, a noise level and one more start,
RBF or Matern 5/2 by its own marginal likelihood, on standardised columns. Seconds are those of the processor in one
thread, for the fit. "numdl" is `AutoRegressor`, "kernels" is `KernelRegressor`. Priors, starts, intervals and the rule
of mixing were chosen on other seeds.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import RidgeCV

from benchmarks._common import Run, median, ratio, standardise, table

SETS = ("borehole", "otl", "ishigami", "friedman", "kink", "torsion")
SIZES, NOISES, SEEDS, POINTS = (50, 100, 200), (0.0, 0.05), 3, 2000
TORSION = (2, 10, 1.17e7, 1.82, 12, 6.2e6, 2.25, 8, 3.9e6, 12, 3, 0.28, 14, 4, 0.1)
"""Middle of the inputs d, L, G of three shafts and D, t, rho of two discs; each is uniform within 10 %."""


def ishigami(x: np.ndarray) -> np.ndarray:
    """``sin a + 7 sin^2 b + 0.1 c^4 sin a`` for angles in [-pi, pi]: strong oscillation, one interaction."""
    a, b, c = np.pi * (2 * x.T - 1)
    return np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a)


def kink(x: np.ndarray) -> np.ndarray:
    """Two kinks and a line in four inputs."""
    return np.abs(x[:, 0] - 0.4) + np.maximum(x[:, 1] + x[:, 2] - 1, 0) + 0.5 * x[:, 3]


def torsion(x: np.ndarray) -> np.ndarray:
    """Lowest frequency of two discs on three shafts, 15 inputs (after Liping, Beeson and Wiggs, AIAA 2006-7083)."""
    v = np.array(TORSION)[:, None] * (0.9 + 0.2 * x.T)
    k1, k2, k3 = (np.pi * v[i + 2] * v[i] ** 4 / (32 * v[i + 1]) for i in (0, 3, 6))
    j1, j2 = (np.pi * v[i + 2] * v[i + 1] * (v[i] / 2) ** 4 / 2 for i in (9, 12))
    b, c = -((k1 + k2) / j1 + (k2 + k3) / j2), (k1 * k2 + k2 * k3 + k3 * k1) / (j1 * j2)
    return np.sqrt((-b - np.sqrt(b**2 - 4 * c)) / 2) / (2 * np.pi)


def points(name: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``x (n, d)`` and the function there, without noise."""
    from numdl.data.problems.simulators import borehole, friedman1, otl_circuit

    if name in ("borehole", "otl", "friedman"):
        make: Callable[..., Any] = {"borehole": borehole, "otl": otl_circuit, "friedman": friedman1}[name]
        data = make(n, seed)
        inert = np.random.default_rng([seed, 1]).uniform(size=(n, 2 if name == "otl" else 0))
        return np.column_stack([data.x, inert]), data.c[:, 0]
    formula, d = {"ishigami": (ishigami, 3), "kink": (kink, 4), "torsion": (torsion, 15)}[name]
    x = np.random.default_rng(seed).uniform(size=(n, d))
    return x, formula(x)


def gp_ard(x: np.ndarray, y: np.ndarray) -> tuple[Callable, str]:
    """scikit-learn's process with a length for each input, of two kernels the likelier one."""
    fits = []
    for kind in (RBF, lambda length, bounds: Matern(length, bounds, nu=2.5)):
        kernel = ConstantKernel(1.0, (1e-3, 1e5)) * kind(np.ones(x.shape[1]), (1e-2, 1e4)) + WhiteKernel(
            1e-3, (1e-10, 1e1)
        )
        fits.append(GaussianProcessRegressor(kernel, n_restarts_optimizer=1, random_state=0).fit(x, y))
    best = max(fits, key=lambda fit: fit.log_marginal_likelihood_value_)
    return best.predict, "rbf" if best is fits[0] else "matern52"


def ridge_cv(x: np.ndarray, y: np.ndarray) -> tuple[Callable, str]:
    """Ridge regression by leave-one-out."""
    return RidgeCV(np.logspace(-10, 4, 57)).fit(x, y).predict, ""


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


METHODS = {"gp_ard": gp_ard, "ridge_cv": ridge_cv, "numdl": numdl, "kernels": kernels}
OURS = ("numdl", "kernels")


def run(run: Run) -> None:
    """Every method on every set, size, noise and seed."""
    sizes = SIZES[:1] if run.quick else SIZES
    for name in run.chosen(SETS, 2):
        x_test, f_test = points(name, POINTS, 10**6)
        for n in sizes:
            for noise in NOISES:
                for seed in range(run.seeds or (1 if run.quick else SEEDS)):
                    keys = {"set": name, "n": n, "noise": noise, "seed": seed}
                    x, f = points(name, n, seed)
                    y = f + noise * f_test.std() * np.random.default_rng([seed, 2]).normal(size=n)
                    both = (x, x_test)
                    for method, fit in METHODS.items():
                        side = "ours" if method in OURS else "theirs"
                        if run.wants(side, method, **keys):
                            measure(run, side, method, fit, both, (y, f_test, noise * f_test.std()), keys)


def measure(
    run: Run, side: str, method: str, fit: Callable, x: tuple[np.ndarray, ...], y: tuple[Any, ...], keys: dict
) -> None:
    """One fit; the rivals get standardised columns, ours the raw ones."""
    (train, test), (c, f, noise) = x, y
    mean, scale = (0.0, 1.0) if side == "ours" else (c.mean(), c.std())
    inputs = (train, test) if side == "ours" else standardise(train, test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        made, chosen = fit(inputs[0], (c - mean) / scale)
        seconds = time.process_time() - start
    extra: dict[str, Any] = {}
    if side == "ours":
        prediction, std = made.predict(inputs[1], return_std=True)
        new = f + noise * np.random.default_rng(3).normal(size=len(f))
        extra = {
            f"within_{level}": np.mean(np.abs(new - prediction) < z * std) for level, z in ((50, 0.6745), (90, 1.6449))
        }
    else:
        prediction = mean + scale * made(inputs[1])
    nrmse = np.sqrt(np.mean((prediction - f) ** 2)) / f.std()
    run.record(side, method, keys, nrmse=nrmse, seconds=seconds, chosen=chosen, **extra)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean NRMSE over the seeds for each case, ours over the better rival, and the losses by name."""
    cases: dict[tuple, dict[str, float]] = {}
    for key in dict.fromkeys((r["set"], r["n"], r["noise"]) for r in records):
        found = [r for r in records if (r["set"], r["n"], r["noise"]) == key]
        cases[key] = {
            m: float(np.mean([r["nrmse"] for r in found if r["method"] == m]))
            for m in METHODS
            if any(r["method"] == m for r in found)
        }
    rows, ratios = [], {}
    for (name, n, noise), means in cases.items():
        rivals = [value for method, value in means.items() if method not in OURS]
        quotient = ratio(means.get("numdl"), min(rivals) if rivals else None)
        rows.append([name, n, noise, *(means.get(m) for m in METHODS), quotient])
        if quotient is not None:
            ratios[name, n, noise] = quotient
    table("NRMSE, mean of the seeds", ["set", "n", "noise", *METHODS, "ours / best"], rows)
    seconds = {
        f"{m}, n = {n}": median(r["seconds"] for r in records if r["method"] == m and r["n"] == n)
        for m in METHODS
        for n in dict.fromkeys(r["n"] for r in records)
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
        "requirements": {
            "median at most 0.7 without noise": median(by_noise[0.0]) <= 0.7 if by_noise[0.0] else None,
            "median at most 1.0 with noise": median(by_noise[0.05]) <= 1.0 if by_noise[0.05] else None,
        },
    }
