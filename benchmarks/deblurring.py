"""Is alpha chosen well on ill-posed problems, and does hybrid LSQR reach the direct method from products alone?

``choice``: 100 draws of noise on 1-D deblurring (n = 200, Gaussian of width 0.025), Phillips (200) and Shaw (100).
``RidgeCV`` with its default grid 0.1, 1, 10 and with 100 alphas over 1e-10..1e2, against the criteria of
``TikhonovRegressor``; no intercept, the identity as operator, the noise level is told to those that need it. Errors
``||x - x_true|| / ||x_true||`` are quoted absolutely and over that of the best of 300 alphas.

``products``: error and time of hybrid LSQR against direct general-form Tikhonov, both with GCV, on 1-D deblurring with
a difference operator and on 2-D deblurring and tomography (32 x 32) with gradients, over that of the best alpha.
BLAS has one thread; a time is that of one fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from benchmarks._common import Run, median, table, timed

SETS = ("deblurring-0.1%", "deblurring-1%", "phillips-1%", "shaw-1%", "blur-1%", "blur-1d-1%", "tomography-1%")
PRODUCTS = ("blur-1%", "blur-1d-1%", "tomography-1%")
CRITERIA = ("gcv", "discrepancy", "upre", "l-curve", "loo", "cv")
THEIRS = {"RidgeCV default": (0.1, 1.0, 10.0), "RidgeCV 1e-10..1e2": np.geomspace(1e-10, 1e2, 100)}


def problem(name: str) -> tuple[Any, float]:
    """The problem behind a name, and its noise level."""
    from numdl.data.problems import inverse_problems as known

    kind, level = name.rsplit("-", 1)
    makers: dict[str, Any] = {
        "deblurring": lambda: known.deblurring(200),
        "phillips": lambda: known.phillips(200),
        "shaw": lambda: known.shaw(100),
        "blur-1d": lambda: known.deblurring(200),
        "blur": lambda: known.image_deblurring(32),
        "tomography": lambda: known.tomography(32, 24),
    }
    return makers[kind](), float(level.rstrip("%")) / 100


def best_error(a: np.ndarray, b: np.ndarray, x: np.ndarray, operator: np.ndarray | None = None) -> float:
    """Least relative error over 300 alphas."""
    from numdl.regularize.ridge import alpha_grid, decompose

    d = decompose(a, b[:, None], operator)
    return min(relative(d.solution(alpha)[0][:, 0], x) for alpha in alpha_grid(d, 300))


def relative(x: np.ndarray, truth: np.ndarray) -> float:
    """Relative error."""
    return float(np.linalg.norm(x - truth) / np.linalg.norm(truth))


def fitted(model: Any, a: np.ndarray, b: np.ndarray) -> Any:
    """The fitted estimator; None where the criterion cannot be met (a draw whose noise is above its expected norm)."""
    try:
        return model.fit(a, b)
    except ValueError:
        return None


def choices(run: Run, name: str, draws: int) -> None:
    """All criteria on all draws."""
    from numdl import TikhonovRegressor

    p, level = problem(name)
    data = [p.noisy(level, seed) for seed in range(draws)]
    best = np.array([best_error(p.A, b, p.x) for b in data])
    folds = KFold(5, shuffle=True, random_state=0)  # neighbours would be left out together otherwise
    options = {"noise": p.deviation(level), "fit_intercept": False, "cv": folds}
    makers: dict[tuple[str, str], Any] = {}
    for method, grid in THEIRS.items():
        makers["theirs", method] = lambda grid=grid: RidgeCV(grid, fit_intercept=False)
    for method in CRITERIA:
        makers["ours", method] = lambda method=method: TikhonovRegressor(method, **options)
    for (side, method), make in makers.items():
        if not run.wants(side, method, set=name):
            continue
        found, seconds = timed(lambda make=make: [fitted(make(), p.A, b) for b in data])
        errors = np.array([relative(model.coef_, p.x) if model else np.inf for model in found])
        ratios = errors / best
        edges = [model.alpha_ in (THEIRS[method][0], THEIRS[method][-1]) for model in found] if side == "theirs" else []
        run.record(
            side,
            method,
            {"set": name},
            draws=draws,
            first=errors[0],
            error=median(errors),
            ratio=median(ratios),
            ratio_90=np.quantile(ratios, 0.9),
            ratio_worst=ratios.max(),
            refused=found.count(None),
            at_edge=float(np.mean(edges)) if edges else None,
            seconds=seconds / draws,
        )


def products(run: Run, name: str, draws: int) -> None:
    """The direct method and the hybrid one, each draw."""
    from numdl import TikhonovRegressor
    from numdl.estimators.tikhonov.operators import as_matrix, penalty_operator

    p, level = problem(name)
    dense = p.A.toarray() if p.image else p.A
    options = {"operator": "gradient", "operator_shape": p.image, "fit_intercept": False}
    operator = as_matrix(penalty_operator("products", "gradient", p.image, len(p.x)))
    results: dict[str, list[tuple[float, float, int]]] = {"svd": [], "hybrid-lsqr": []}
    wanted = [method for method in results if run.wants("ours", method, set=name)]
    for seed in range(draws) if wanted else ():
        b = p.noisy(level, seed)
        best = best_error(dense, b, p.x, operator)
        for method in wanted:
            a = dense if method == "svd" else p.A
            make = TikhonovRegressor(method=method, max_iter=1000, **options)
            model, seconds = timed(lambda make=make, a=a, b=b: make.fit(a, b))
            results[method].append((relative(model.coef_, p.x) / best, seconds, model.n_iter_))
    for method in wanted:
        ratios, seconds, steps = (np.array(column) for column in zip(*results[method], strict=True))
        values = {"ratio": median(ratios), "ratio_worst": ratios.max(), "seconds": median(seconds)}
        run.record("ours", method, {"set": name}, draws=draws, steps=median(steps), **values)


def run(run: Run) -> None:
    """Both parts."""
    for name in run.chosen(SETS, quick=1):
        if name in PRODUCTS:
            products(run, name, run.seeds or (1 if run.quick else 5))
        else:
            choices(run, name, run.seeds or (3 if run.quick else 100))


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Errors over the best alpha's, by problem and criterion, and hybrid LSQR against the direct method."""
    sets, rows, hybrid = {}, [], {}
    for name in [name for name in SETS if any(r["set"] == name for r in records)]:
        found = {r["method"]: r for r in records if r["set"] == name}
        keys = ("error", "ratio", "ratio_90", "ratio_worst", "refused", "seconds")
        sets[name] = {method: {key: r[key] for key in keys if key in r} for method, r in found.items()}
        if name in PRODUCTS and len(found) == 2:
            direct, ours = found["svd"], found["hybrid-lsqr"]
            hybrid[name] = {"time": ours["seconds"] / direct["seconds"], "ratio": ours["ratio"]}
        for method, r in found.items():
            rows.append([name, method, *(r.get(key) for key in keys)])
    table("inverse problems: errors, and errors over the best alpha's", ["set", "method", *keys], rows)
    chosen = [sets[name]["gcv"]["ratio_90"] for name in sets if "gcv" in sets[name]]
    return {
        "sets": sets,
        "hybrid_over_direct": hybrid,
        "requirements": {
            "hybrid within 2 % of the best alpha": max(h["ratio"] for h in hybrid.values()) <= 1.02 if hybrid else None,
            "GCV within a factor of 2.5 in 90 of 100 draws": max(chosen) <= 2.5 if chosen else None,
        },
    }
