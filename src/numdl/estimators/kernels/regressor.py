"""Regression by exact Gaussian processes that choose, and where rows are few average, their hyperparameters."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from numdl import checks
from numdl.contracts import Status
from numdl.estimators.common.intake import require_finite, require_finite_targets
from numdl.estimators.common.reporting import ReportMixin
from numdl.estimators.common.saving import SaveMixin
from numdl.estimators.kernels.evidence import KERNELS
from numdl.estimators.kernels.mixture import Mixture, combine, each_left_out, mean_over, moments, quantile, slopes
from numdl.estimators.kernels.search import LARGEST, REFINE, SCREEN, Search, Settings, search
from numdl.estimators.kernels.tables import Table, gather


class KernelRegressor(SaveMixin, ReportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Gaussian processes with a length for each input, mixed by how well they explain the targets.

    The prior covariance of a scaled target is ``1 + v x'z + s k(x, z)``, and each row has noise of variance
    ``sigma^2 / sample_weight``. Each target has hyperparameters of its own; k targets cost k times one.

    Args:
        kernel: "linear" (Bayesian ridge regression), "rbf", "matern52", "arcsine" (an infinitely wide layer),
            "legendre" (polynomials and all their interactions), "anova" (interactions of RBF factors), or "auto", which
            tries all and mixes the best.
        n_restarts: starts of the search for hyperparameters, or "auto".
        average: whether hyperparameters are averaged over their posterior by Hamiltonian Monte Carlo instead of
            trusted; "auto" does so up to 150 rows.
        subset: rows on which hyperparameters are sought, at least 2; "auto" is 150 for the choice among kernels and 600
            for the best two; None takes all. All rows, up to 6000, are used to predict.
        random_state: seed or generator of starts, subsets and draws.

    Attributes:
        kernels_: weight of each kernel in the mixture by name, a dictionary for each target, in a list.
        log_evidence_: Laplace approximation of the log density of the targets, in nats, by the best kernel, (k,) or a
            number.
        evidence_: the same for each kernel that was judged on all rows, a dictionary for each target.
        effective_dof_: trace of the matrix that takes targets to predictions, (k,) or a number.
        noise_: standard deviation of one observation, in units of the target, (k,) or a number.
        relevance_: root mean square over the rows of the derivative of the mean, in standard deviations of target and
            input, (d,) or (k, d); 0 for a constant column.
        lengths_: ``1 / relevance_`` in units of the input: the way over which the mean changes by a standard deviation
            of the target, (d,) or (k, d).
        leave_one_out_: prediction of each row from all others, hyperparameters fixed, (n,) or (n, k).
        leave_one_out_std_: its standard deviation.
        jitter_: largest variance, over that of the targets, that was added for the sake of rounding.
        mixtures_: the processes of each target.
        status_: what was found, in a sentence.

    Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, ch. 2 and 5; and those of
    the modules of ``numdl.estimators.kernels``.
    """

    _label = "numdl kernel"

    def __init__(
        self,
        kernel: str = "auto",
        *,
        n_restarts: int | str = "auto",
        average: bool | str = "auto",
        subset: int | str | None = "auto",
        random_state: Any = None,
    ) -> None:
        self.kernel = kernel
        self.n_restarts = n_restarts
        self.average = average
        self.subset = subset
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose kernels and hyperparameters, and condition on the rows.

        Args:
            X: samples, (n, d).
            y: targets, (n,) or (n, k).
            sample_weight: how many observations each row stands for, (n,), not negative.

        Returns:
            The fitted estimator.

        Raises:
            ValueError: a parameter or the data cannot be used.
        """
        call = f"{type(self).__name__}.fit"
        self._check()
        require_finite_targets(call, y)
        X, y = validate_data(self, X, y, dtype="numeric", multi_output=True, y_numeric=True, ensure_all_finite=False)
        X = np.asarray(X, np.float64)
        require_finite(call, "X", X, getattr(self, "feature_names_in_", None))
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        rng = _generator(self.random_state)
        table = gather(call, X, np.asarray(y, np.float64).reshape(len(X), -1), weights, LARGEST, rng)
        self._scaler, self._targets = table.scaler, table.targets
        found = [search(rows, table.box, self._settings(len(rows.y)), rng) for rows in table.rows]
        self.mixtures_ = [Mixture(one.members, rows, table.box) for one, rows in zip(found, table.rows, strict=True)]
        self._flat, self._active = np.ndim(y) == 1, table.active
        self._describe(X, table, found)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean, and standard deviation of a new observation.

        Args:
            X: rows, (n, d).
            return_std: whether the standard deviation is wanted too.

        Returns:
            The mean, (n,) or (n, k); with ``return_std`` a tuple of mean and standard deviation.

        Raises:
            NotFittedError: not fitted.
            ValueError: other columns than in the fit, or entries that are not finite.
        """
        x = self._scaled(X, "predict")[1]
        means, deviations = [], []
        for j, mixture in enumerate(self.mixtures_):
            each, variances = moments(mixture, x, std=return_std)
            if variances is not None:
                deviations.append(combine(mixture.weights, each, variances)[1] * self._targets.scale[j])
            means.append(mixture.weights @ each * self._targets.scale[j] + self._targets.center[j])
        mean = self._shaped(means)
        return (mean, self._shaped(deviations)) if return_std else mean

    def predict_quantiles(self, X: Any, quantiles: Any = (0.05, 0.5, 0.95)) -> np.ndarray:
        """Quantiles of a new observation.

        Args:
            X: rows, (n, d).
            quantiles: levels between 0 and 1, (q,).

        Returns:
            (q, n) or (q, n, k).

        Raises:
            NotFittedError: not fitted.
            ValueError: a level is not between 0 and 1, or X is not what it was fitted on.
        """
        levels = np.atleast_1d(np.asarray(quantiles, np.float64))
        if levels.ndim > 1 or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"{type(self).__name__}.predict_quantiles(quantiles={quantiles!r}): needs numbers between 0 and 1, "
                "exclusive. Give for example (0.05, 0.95)."
            )
        x, out = self._scaled(X, "predict_quantiles")[1], []
        for j, mixture in enumerate(self.mixtures_):
            each, variances = moments(mixture, x, std=True)
            values = np.array([quantile(mixture.weights, each, variances, level) for level in levels])  # type: ignore[arg-type]
            out.append(values * self._targets.scale[j] + self._targets.center[j])
        return out[0] if self._flat else np.stack(out, axis=-1)

    def gradient(self, X: Any) -> np.ndarray:
        """Derivative of the mean by the inputs.

        Args:
            X: rows, (n, d).

        Returns:
            (n, d) or (n, k, d), units of the target over units of the input.

        Raises:
            NotFittedError: not fitted.
            ValueError: X is not what it was fitted on.
        """
        rows, x = self._scaled(X, "gradient")
        inner = self._scaler.derivative(rows)
        out = np.zeros((len(x), len(self.mixtures_), rows.shape[1]))
        for j, mixture in enumerate(self.mixtures_):
            out[:, j, self._active] = slopes(mixture, x) * self._targets.scale[j]
        out *= inner[:, None, :]
        return out[:, 0] if self._flat else out

    def _scaled(self, X: Any, call: str) -> tuple[np.ndarray, np.ndarray]:
        """Checked rows, and their columns as the processes see them."""
        check_is_fitted(self, "mixtures_")
        X = np.asarray(validate_data(self, X, reset=False, dtype="numeric", ensure_all_finite=False), np.float64)
        require_finite(f"{type(self).__name__}.{call}", "X", X, getattr(self, "feature_names_in_", None))
        return X, np.ascontiguousarray(self._scaler.transform(X)[:, self._active])

    def _shaped(self, columns: list[np.ndarray]) -> np.ndarray:
        return columns[0] if self._flat else np.stack(columns, axis=1)

    def _check(self) -> None:
        name = type(self).__name__
        checks.choice(name, "kernel", self.kernel, ("auto", *KERNELS))
        if self.n_restarts != "auto":
            checks.whole(name, "n_restarts", self.n_restarts, least=1)
        if self.average != "auto" and not isinstance(self.average, bool | np.bool_):
            raise ValueError(f"{name}(average={self.average!r}): unknown. Use True, False or 'auto'.")
        if self.subset not in ("auto", None):
            checks.whole(name, "subset", self.subset, least=2)

    def _settings(self, n: int) -> Settings:
        starts = 2 if self.n_restarts == "auto" else int(self.n_restarts)
        average = n <= SCREEN if self.average == "auto" else bool(self.average)
        few, more = (n, n) if self.subset is None else (SCREEN, REFINE)
        if self.subset not in ("auto", None):
            few, more = min(SCREEN, int(self.subset)), int(self.subset)  # type: ignore[arg-type]
        names = tuple(KERNELS) if self.kernel == "auto" else (self.kernel,)
        return Settings(names, starts, average, few, more)

    def _describe(self, X: np.ndarray, table: Table, found: list[Search]) -> None:
        """Fitted attributes that tell about the fit, and its status."""
        scale = self._targets.scale
        one = (lambda values: float(values[0])) if self._flat else np.array
        observations = float(table.weights.sum())
        self.evidence_ = [
            {name: value - observations * float(np.log(scale[j])) for name, value in search.evidence.items()}
            for j, search in enumerate(found)
        ]
        self.log_evidence_ = one([max(each.values()) for each in self.evidence_])
        self.kernels_ = [
            {name: sum(p.weight for p in mixture.members if p.name == name) for name in search.chosen}
            for mixture, search in zip(self.mixtures_, found, strict=True)
        ]
        self.effective_dof_ = one([mean_over(mixture, lambda p: p.freedom) for mixture in self.mixtures_])
        noise = [mean_over(mixture, lambda p: p.noise) for mixture in self.mixtures_]
        self.noise_ = one(np.sqrt(noise) * scale)
        self.jitter_ = max(process.jitter for mixture in self.mixtures_ for process in mixture.members)
        relevance = np.zeros((len(scale), X.shape[1]))
        for j, mixture in enumerate(self.mixtures_):
            relevance[j, self._active] = np.sqrt(np.average(slopes(mixture, mixture.rows.x) ** 2, axis=0))
        with np.errstate(divide="ignore"):
            lengths = self._scaler.scale / relevance
        self.relevance_, self.lengths_ = (a[0] if self._flat else a for a in (relevance, lengths))
        self._leave_out(X, table)
        names = "; ".join(", ".join(f"{n} {100 * w:.0f} %" for n, w in each.items()) for each in self.kernels_[:3])
        notes = list(dict.fromkeys(table.notes + [note for search in found for note in search.notes]))
        done = all(search.converged for search in found)
        text = " ".join([f"Gaussian processes, weights: {names}{' ...' if len(found) > 3 else ''}.", *notes])
        self.status_ = Status("converged" if done else "max_iter", text)
        if notes:
            warnings.warn(f"{type(self).__name__}: {' '.join(notes)}", ConvergenceWarning, stacklevel=3)

    def _leave_out(self, X: np.ndarray, table: Table) -> None:
        """Rows that were not used are predicted from all that were."""
        mean, std = (np.empty((len(X), len(self.mixtures_))) for _ in range(2))
        used = table.group >= 0
        for j, mixture in enumerate(self.mixtures_):
            y = (table.y[used, j] - self._targets.center[j]) / self._targets.scale[j]
            mean[used, j], std[used, j] = each_left_out(mixture, table.group[used], y, table.weights[used])
        mean, std = mean * self._targets.scale + self._targets.center, std * self._targets.scale
        if not used.all():
            other = self.predict(X[~used], return_std=True)
            mean[~used], std[~used] = (a.reshape(-1, mean.shape[1]) for a in other)
        self.leave_one_out_, self.leave_one_out_std_ = (a[:, 0] if self._flat else a for a in (mean, std))

    def _facts(self) -> dict[str, str]:
        names = "; ".join(", ".join(f"{n} {100 * w:.0f} %" for n, w in each.items()) for each in self.kernels_[:3])
        rows = len(self.mixtures_[0].rows.y)
        return {
            "Kernels": names,
            "Processes": f"{sum(len(m.members) for m in self.mixtures_)}, on {rows:,} different rows",
            "Effective parameters": f"{float(np.mean(self.effective_dof_)):.4g} for each target",
            "Log evidence": f"{float(np.sum(self.log_evidence_)):.4g} nats",
            "Noise": ", ".join(f"{noise:.4g}" for noise in np.ravel(self.noise_)[:5]),
        }

    def _record(self) -> dict[str, Any]:
        return {
            "model": self._label.removeprefix("numdl "),
            "n_parameters": sum(len(m.members[0].theta) for m in self.mixtures_),
        }


def _generator(random_state: Any) -> np.random.Generator:
    """A generator, whatever scikit-learn allows as ``random_state``."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31 - 1)
    return np.random.default_rng(random_state)
