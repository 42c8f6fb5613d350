"""Which methods of other packages learn a function from few rows, and how do they choose what they leave open?

Each is ``fit(x, y) -> (predict, what it chose)`` for standardised rows (n, d) and targets (n, k), and chooses by a
criterion of its own, on the rows that it is given. One output at a time where that is what the method knows: then the
outputs are first turned to their principal components above the noise (Gavish and Donoho, IEEE Trans. Inf. Theory 60,
2014, unknown noise), as is done for chaos expansions and processes of curves. All packages are in the group ``bench``.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.interpolate import RBFInterpolator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, train_test_split

Fit = Callable[[np.ndarray, np.ndarray], tuple[Callable[[np.ndarray], np.ndarray], str]]

SEARCH = 500
"""Rows on which hyperparameters are sought where each step costs the cube of their number."""

PACKAGES = {"chaos": "openturns", "kriging": "smt", "catboost": "catboost", "realmlp": "pytabkit"}
"""What has to be installed for a rival; the others need nothing more."""


def installed(method: str) -> bool:
    """Whether the package of a rival is here."""
    return method not in PACKAGES or importlib.util.find_spec(PACKAGES[method]) is not None


def asked(method: str, n: int, d: int) -> bool:
    """Whether a method is here and answers a table of n rows and d inputs within seconds."""
    return n <= LARGEST.get(method, n) and d <= WIDEST.get(method, d) and installed(method)


def gp_ard(x: np.ndarray, y: np.ndarray) -> tuple[Callable, str]:
    """scikit-learn's process, a length for each input and a noise level, of two kernels the likelier one.

    One more start than the first; hyperparameters from at most 500 rows, conditioned on all.
    """
    fits = []
    for kind in (RBF, lambda length, bounds: Matern(length, bounds, nu=2.5)):
        kernel = ConstantKernel(1.0, (1e-3, 1e5)) * kind(np.ones(x.shape[1]), (1e-2, 1e4)) + WhiteKernel(
            1e-3, (1e-10, 1e1)
        )
        fits.append(
            GaussianProcessRegressor(kernel, n_restarts_optimizer=1, random_state=0).fit(x[:SEARCH], y[:SEARCH])
        )
    best = max(fits, key=lambda fit: fit.log_marginal_likelihood_value_)
    if len(x) > SEARCH:
        best = GaussianProcessRegressor(best.kernel_, optimizer=None).fit(x, y)
    return best.predict, "matern52" if isinstance(best.kernel_.k1.k2, Matern) else "rbf"


def ridge_cv(x: np.ndarray, y: np.ndarray) -> tuple[Callable, str]:
    """Ridge regression by leave-one-out."""
    return RidgeCV(np.logspace(-10, 4, 57)).fit(x, y).predict, ""


def chaos(x: np.ndarray, y: np.ndarray) -> tuple[Callable, str]:
    """OpenTURNS' sparse polynomial chaos: Legendre, LARS; degree and hyperbolic norm by corrected leave-one-out.

    The inputs are uniform, on ranges estimated from the rows. At most 500 terms; a norm is left after two degrees that
    bring nothing.
    """
    import openturns as ot

    ot.TBB.Disable()
    n, d = x.shape
    low, high = x.min(axis=0), x.max(axis=0)
    margin = (high - low) / (n - 1)
    ranges = ot.JointDistribution([ot.Uniform(a, b) for a, b in zip(low - margin, high + margin, strict=True)])
    best: tuple[float, Any, str] = (np.inf, None, "")
    for norm in (0.5, 0.75, 1.0):
        order = ot.HyperbolicAnisotropicEnumerateFunction(d, norm)
        basis = ot.OrthogonalProductPolynomialFactory([ot.LegendreFactory()] * d, order)
        least, last = np.inf, 0
        for degree in range(1, 16):
            size = order.getBasisSizeFromTotalDegree(degree)
            if size > 500 or degree > last + 2:
                break
            choice = ot.LeastSquaresMetaModelSelectionFactory(ot.LARS(), ot.CorrectedLeaveOneOut())
            search = ot.FunctionalChaosAlgorithm(
                x, y[:, None], ranges, ot.FixedStrategy(basis, size), ot.LeastSquaresStrategy(choice)
            )
            search.run()
            error = min(np.ravel(search.getResult().getErrorHistory()), default=np.inf)
            if error < least:
                least, last = error, degree
            if error < best[0]:
                best = error, search.getResult().getMetaModel(), f"degree {degree}, norm {norm}"
    model = best[1]
    return lambda z: np.ravel(model(np.asarray(z))), best[2]


def kriging(x: np.ndarray, y: np.ndarray) -> tuple[Callable, str]:
    """SMT's Kriging with a nugget, of two correlations the likelier one."""
    from smt.surrogate_models import KRG

    fits = {}
    for corr in ("squar_exp", "matern52"):
        model = KRG(
            theta0=[0.1] * x.shape[1],
            corr=corr,
            eval_noise=True,
            hyper_opt="TNC",
            n_start=1,
            print_global=False,
            seed=0,
        )
        model.set_training_values(x, y)
        model.train()
        fits[corr] = model
    best = max(fits, key=lambda name: float(fits[name].optimal_rlf_value))
    return lambda z: fits[best].predict_values(np.asarray(z)).reshape(len(z), *y.shape[1:]), best


def rbf(x: np.ndarray, y: np.ndarray) -> tuple[Callable, str]:
    """SciPy's RBF interpolation; kernel, smoothing and length by five folds of at most 500 rows."""
    part, target = x[:SEARCH], y[:SEARCH]
    width = np.sqrt(x.shape[1])
    grid: list[dict[str, Any]] = [
        {"kernel": kernel, "smoothing": smoothing}
        for kernel, smoothing in itertools.product(("thin_plate_spline", "cubic", "linear"), (0.0, 1e-4, 1e-2, 1.0))
    ]
    grid += [
        {"kernel": kernel, "smoothing": smoothing, "epsilon": factor / width, "degree": degree}
        for kernel, smoothing, factor, degree in itertools.product(
            ("multiquadric", "gaussian"), (0.0, 1e-4, 1e-2), (0.05, 0.1, 0.2, 0.5, 1.0), (0, 1)
        )
    ]

    def error(settings: dict[str, Any]) -> float:
        total = 0.0
        for train, test in KFold(5, shuffle=True, random_state=0).split(part):
            try:
                total += np.sum(
                    (RBFInterpolator(part[train], target[train], **settings)(part[test]) - target[test]) ** 2
                )
            except (np.linalg.LinAlgError, ValueError):
                return np.inf
        return total

    best = min(grid, key=error)
    return RBFInterpolator(x, y, **best), " ".join(
        f"{value:.3g}" if isinstance(value, float) else str(value) for value in best.values()
    )


def catboost(x: np.ndarray, y: np.ndarray) -> tuple[Callable, str]:
    """CatBoost, its number of trees by a held-out fifth, then fitted on all rows."""
    from catboost import CatBoostRegressor

    settings: dict[str, Any] = {"random_seed": 0, "thread_count": 1, "verbose": False, "allow_writing_files": False}
    settings["loss_function"] = "RMSE" if y.ndim == 1 else "MultiRMSE"
    held = np.random.default_rng(0).permutation(len(x)) < max(len(x) // 5, 1)
    seen = CatBoostRegressor(iterations=2000, early_stopping_rounds=100, **settings)
    seen.fit(x[~held], y[~held], eval_set=(x[held], y[held]))
    trees = int(seen.get_best_iteration() or 0) + 1
    return CatBoostRegressor(iterations=trees, **settings).fit(x, y).predict, f"{trees} trees"


def catboost_classes(x: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """The same for classes; the held-out fifth is drawn within each."""
    from catboost import CatBoostClassifier

    settings: dict[str, Any] = {"random_seed": seed, "thread_count": 1, "verbose": False, "allow_writing_files": False}
    seen, held, y, z = train_test_split(x, labels, test_size=0.2, stratify=labels, random_state=seed)
    first = CatBoostClassifier(iterations=2000, early_stopping_rounds=100, **settings).fit(seen, y, eval_set=(held, z))
    trees = int(first.get_best_iteration() or 0) + 1
    return CatBoostClassifier(iterations=trees, **settings).fit(x, labels)


def realmlp(x: np.ndarray, y: np.ndarray) -> tuple[Callable, str]:
    """pytabkit's RealMLP with its tuned defaults (TD), on the processor."""
    from pytabkit import RealMLP_TD_Regressor

    return RealMLP_TD_Regressor(device="cpu", random_state=0, n_threads=1, verbosity=0).fit(x, y).predict, ""


RIVALS: dict[str, Fit] = {
    "gp_ard": gp_ard,
    "ridge_cv": ridge_cv,
    "chaos": chaos,
    "kriging": kriging,
    "rbf": rbf,
    "catboost": catboost,
    "realmlp": realmlp,
}
LARGEST = {"kriging": 200, "realmlp": 200, "chaos": 500}
"""Rows beyond which a rival takes minutes and is not asked."""
WIDEST = {"chaos": 15}
"""Inputs beyond which it does: with 20, fifty rows take the chaos 78 seconds, a hundred more than two minutes."""

COMPONENTS = ("chaos", "gp_ard", "kriging")
"""Those that get principal components of several outputs; kriging gets all together, with the lengths in common."""


def fit(method: str, x: np.ndarray, y: np.ndarray) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """A rival on standardised rows; y (n,) or (n, k)."""
    if y.ndim == 1 or method not in COMPONENTS:
        return RIVALS[method](x, y)
    scores, back = components(y)
    if method == "kriging":
        model, chosen = kriging(x, scores)
        return lambda z: model(z) @ back, chosen
    scale = scores.std(axis=0)
    fits = [RIVALS[method](x, column) for column in (scores / scale).T]
    models = [model for model, _ in fits]
    chosen = f"{len(fits)} components: {fits[0][1]}, ..."
    return lambda z: (np.stack([model(z) for model in models], axis=1) * scale) @ back, chosen


def components(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, r) and directions (r, k) of the components above the noise, of centred y (n, k)."""
    left, values, back = np.linalg.svd(y, full_matrices=False)
    b = min(y.shape) / max(y.shape)
    level = (0.56 * b**3 - 0.95 * b**2 + 1.82 * b + 1.43) * np.median(values)
    kept = values > max(level, 1e-6 * values[0])
    return left[:, kept] * values[kept], back[kept]
