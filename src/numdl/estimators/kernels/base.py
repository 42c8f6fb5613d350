"""Regression by mixtures of predictive distributions: what is there to a fit, whatever the members are?"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np
from scipy.special import ndtr
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from numdl import checks
from numdl.contracts import Status
from numdl.data.table.copies import first_copies
from numdl.estimators.common.intake import checked_table, generator, require_near
from numdl.estimators.common.leaving import GradientMixin
from numdl.estimators.common.region import RegionMixin
from numdl.estimators.common.reporting import ReportMixin
from numdl.estimators.common.robust import LOSSES
from numdl.estimators.common.saving import SaveMixin
from numdl.estimators.common.weights import of_mean_one, raw_weights, relative, typical_noise
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import Rows
from numdl.estimators.kernels.gross import GrossErrors, gross_errors
from numdl.estimators.kernels.logarithm import ASKED as ASKED_FOR_LOGARITHM
from numdl.estimators.kernels.logarithm import Bounds, Choice, bounds, choose, in_units, lift, viewed
from numdl.estimators.kernels.mixture import (
    Mixture,
    Tails,
    combine,
    distribution,
    each_left_out,
    few_threads,
    mean_over,
    moments,
    quantile,
    slopes,
    tails,
)
from numdl.estimators.kernels.search import LARGEST, Scored, Search, mix
from numdl.estimators.kernels.tables import Table, gather
from numdl.estimators.kernels.thin import thinned
from numdl.export import CannotExport

ASKED = LARGEST
"""Different rows beyond which only this many are predicted from all others: that takes as long as a prediction."""

UNSETTLED = {
    "time_budget": "The time was over before all was tried; raise time_budget.",
    "interrupted": "The search was interrupted; fit again to finish it.",
}
"""What a status means that one can do something about. Members that had not settled are told by the status alone."""

SLOPES = 2000
"""Rows at most whose slopes tell how relevant an input is."""


class MixtureRegressor(SaveMixin, ReportMixin, RegionMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """What `KernelRegressor` and `AutoRegressor` share; they say what the candidates are."""

    _about = "Members"
    _all_rows = False  # whether there is no end to the rows that are used
    random_state: Any
    time_budget: float | None = None
    target_transform: str | None
    loss: str
    _typical = 1.0
    _bounds: np.ndarray | None = None  # of each target (k, 3); models from before have none

    def _check(self) -> None:
        """Refuse parameters that cannot be used."""
        checks.choice(type(self).__name__, "loss", self.loss, LOSSES)
        if self.target_transform is not None:
            checks.choice(type(self).__name__, "target_transform", self.target_transform, ("auto", "log"))

    def _candidates(
        self, rows: Rows, box: np.ndarray, rng: np.random.Generator, notes: list[str], clock: Clock
    ) -> list[Scored]:
        """What may become a member, for one target; one comes whatever the time."""
        raise NotImplementedError

    def _search(self, rows: Rows, box: np.ndarray, rng: np.random.Generator, notes: list[str], clock: Clock) -> Search:
        """Members for one target."""
        return mix(self._candidates(rows, box, rng, notes, clock), len(rows.y))

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, observe: Callable[[dict[str, Any]], object] | None = None
    ) -> Self:
        """Choose kernels and hyperparameters, and condition on the rows.

        Args:
            X: samples, (n, d).
            y: targets, (n,) or (n, k).
            sample_weight: relative weights of the rows, such as ``1 / sigma^2``, (n,), not negative.
            observe: called with a dictionary before each part of the search: ``phase``, what is tried, and ``seconds``.

        Returns:
            The fitted estimator.

        Raises:
            ValueError: a parameter or the data cannot be used.
        """
        call = f"{type(self).__name__}.fit"
        self._check()
        if observe is not None:
            checks.function(call, "observe", observe, "a dictionary -> anything")
        X, y = checked_table(self, call, X, y, y_numeric=True)
        rng, clock = generator(type(self).__name__, self.random_state), Clock(self.time_budget, observe)
        most = len(X) if self._all_rows else LARGEST
        c = np.asarray(y, np.float64).reshape(len(X), -1)
        given = raw_weights(call, sample_weight, X)
        first = first_copies(given, X, c)
        weights = of_mean_one(relative(np.bincount(first, given, len(X))))
        choice, robust = self._view_of(call, X, c, weights, rng, clock)
        self.logarithm_ = choice.logarithm
        if robust is not None:
            weights = of_mean_one(robust.held)
        straight = not choice.logarithm.any()
        table = gather(call, X, viewed(c, choice.logarithm), weights, most, rng, straight=straight)
        self._scaler, self._targets, self._typical = table.scaler, table.targets, typical_noise(weights)
        each = zip(choice.logarithm, table.y.T, strict=True)
        self._bounds = np.array([bounds(y, table.weights) if log else Bounds() for log, y in each])
        found, notes = [], table.notes
        with few_threads(len(table.rows[0].y)):
            for j, rows in enumerate(table.rows):
                clock.share((j + 1) / len(table.rows))
                found.append(self._search(rows, table.box, rng, notes, clock))
        mixtures = [Mixture(one.members, rows, table.box) for one, rows in zip(found, table.rows, strict=True)]
        self.mixtures_ = [thinned(mixture) for mixture in mixtures]
        self._flat, self._active = np.ndim(y) == 1, table.active
        notes = list(dict.fromkeys(notes))
        clock.tell("each row given all others")
        clock.insist(lambda: self._describe(X, table, found, choice, notes, clock, robust))
        self.leave_one_out_, self.leave_one_out_std_ = self.leave_one_out_[first], self.leave_one_out_std_[first]
        if robust is not None and not robust.settled:
            notes.append("The robust loss had not settled in its rounds; try another random_state.")
        if told := " ".join(notes) or UNSETTLED.get(self.status_.code, ""):
            warnings.warn(f"{type(self).__name__}: {told}", ConvergenceWarning, stacklevel=2)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean, and standard deviation of a new observation, in units of the target.

        Where the target was seen by its logarithm, see ``logarithm_``, they are those of the mixture of lognormal
        distributions, whose mean lies above its median; `predict_quantiles` has the median.

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
            each, variances = self._moments(mixture, x, std=return_std or self.logarithm_[j])
            if variances is None:
                means.append(mixture.weights @ each * self._targets.scale[j] + self._targets.center[j])
                continue
            mean, deviation = self._combined(j, each, variances)
            means.append(mean)
            deviations.append(deviation)
        mean = self._shaped(means)
        return (mean, self._shaped(deviations)) if return_std else mean

    def predict_quantiles(self, X: Any, quantiles: Any = (0.05, 0.5, 0.95)) -> np.ndarray:
        """Quantiles of a new observation, in the shape that the errors of left-out rows have.

        Where that is not normal their spread is that of these errors, which ``return_std`` may miss.

        Args:
            X: rows, (n, d).
            quantiles: levels between 0 and 1, (q,).

        Returns:
            (q, n) or (q, n, k).

        Raises:
            NotFittedError: not fitted.
            ValueError: a level is not between 0 and 1, or X is not what it was fitted on.
        """
        call = f"{type(self).__name__}.predict_quantiles"
        levels = np.atleast_1d(np.asarray(checks.finite(call, "quantiles", quantiles), np.float64))
        if levels.ndim > 1 or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"{call}(quantiles={quantiles!r}): needs numbers between 0 and 1, "
                "exclusive. Give for example (0.05, 0.95)."
            )
        x, out = self._scaled(X, "predict_quantiles")[1], []
        for j, mixture in enumerate(self.mixtures_):
            parts = self._distribution(mixture, x)
            values = np.array([quantile(*parts, level) for level in levels])
            values = values * self._targets.scale[j] + self._targets.center[j]
            out.append(np.exp(values) if self.logarithm_[j] else values)
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
        if self.logarithm_.any():
            with contextlib.suppress(CannotExport):  # nearest rows have no formula
                return GradientMixin.gradient(self, X)  # type: ignore[arg-type]
        inner = self._scaler.derivative(rows)
        out = np.zeros((len(x), len(self.mixtures_), rows.shape[1]))
        for j, mixture in enumerate(self.mixtures_):
            own = self._slopes_of_lognormal(j, x) if self.logarithm_[j] else slopes(mixture, x) * self._targets.scale[j]
            out[:, j, self._active] = own
        out *= inner[:, None, :]
        return out[:, 0] if self._flat else out

    def _slopes_of_lognormal(self, j: int, x: np.ndarray) -> np.ndarray:
        """Derivative of a target's mean by the scaled inputs (n, d), that of the variances by central differences."""
        mixture, scale = self.mixtures_[j], self._targets.scale[j]
        means, variances = self._moments(mixture, x, std=True)
        center = float(self._targets.center[j])
        most = self._most(j)
        mean = in_units(means, np.asarray(variances), center, scale, most)[0] * np.exp(center)
        each = np.array([member.slope(mixture.rows, mixture.box, x) for member in mixture.members]) * scale
        lifted = partial(self._lifted, j)
        for i in range(x.shape[1]):
            step = np.where(np.arange(x.shape[1]) == i, 1e-4, 0.0)
            each[:, :, i] += (lifted(x + step) - lifted(x - step)) / 2e-4
        return np.einsum("m,mn,mnd->nd", mixture.weights, mean, each)

    def _lifted(self, j: int, x: np.ndarray) -> np.ndarray:
        """Logarithm of mean over median of each member (m, n)."""
        means, variances = self._moments(self.mixtures_[j], x, std=True)
        center, scale = self._targets.center[j], self._targets.scale[j]
        return lift(means * scale + center, np.asarray(variances) * scale**2, self._most(j))

    def _combined(self, j: int, means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation (n,) in units of the target, from those of the members (m, n) for what they see of it."""
        center, scale = self._targets.center[j], self._targets.scale[j]
        weights = self.mixtures_[j].weights
        if self.logarithm_[j]:
            mean, deviation = combine(weights, *in_units(means, variances, center, scale, self._most(j)))
            return mean * np.exp(center), deviation * np.exp(center)
        mean, deviation = combine(weights, means, variances)  # squares of a unit such as 1e-300 are 0
        return mean * scale + center, deviation * scale

    def _most(self, j: int) -> Bounds:
        """Of the logarithm of a target."""
        return Bounds() if self._bounds is None else Bounds(*map(float, self._bounds[j]))

    def _moments(self, mixture: Mixture, x: np.ndarray, *, std: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and variance of each member for a new observation like those of the fit, whatever their weights."""
        each, variances = moments(mixture, x, std=std)
        if variances is not None and self._typical != 1:
            variances = variances + (self._typical - 1) * np.array([[member.noise] for member in mixture.members])
        return each, variances

    def _distribution(self, mixture: Mixture, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, means and variances of the normal distributions that make up a new observation."""
        each, variances = self._moments(mixture, x, std=True)
        return distribution(mixture, each, np.asarray(variances))

    def _scaled(self, X: Any, call: str) -> tuple[np.ndarray, np.ndarray]:
        """Checked rows, and their columns as the processes see them."""
        check_is_fitted(self, "mixtures_")
        call = f"{type(self).__name__}.{call}"
        X = checked_table(self, call, X, reset=False)
        x = np.ascontiguousarray(self._scaler.transform(X)[:, self._active])
        return X, require_near(call, x, np.flatnonzero(self._active), getattr(self, "feature_names_in_", None))

    def _shaped(self, columns: list[np.ndarray]) -> np.ndarray:
        return columns[0] if self._flat else np.stack(columns, axis=1)

    def _describe(
        self,
        X: np.ndarray,
        table: Table,
        found: list[Search],
        choice: Choice,
        notes: list[str],
        clock: Clock,
        robust: GrossErrors | None,
    ) -> None:
        """Fitted attributes that tell about the fit, and its status."""
        scale = self._targets.scale
        one = (lambda values: float(values[0])) if self._flat else np.array
        observations = float(table.weights.sum())
        seen = table.weights > 0  # densities of targets from those of what members see
        jacobian = observations * np.log(scale) + table.weights[seen] @ np.where(choice.logarithm, table.y[seen], 0.0)
        self.evidence_ = [
            {name: value - float(jacobian[j]) for name, value in search.evidence.items()}
            for j, search in enumerate(found)
        ]
        self.log_evidence_ = one([max(each.values()) for each in self.evidence_])
        self.weights_ = [_by_name(mixture) for mixture in self.mixtures_]
        self.effective_dof_ = one([mean_over(mixture, lambda p: p.freedom) for mixture in self.mixtures_])
        noise = [mean_over(mixture, lambda p: p.noise) for mixture in self.mixtures_]
        self.noise_ = one(np.sqrt(np.multiply(noise, self._typical)) * scale)
        self.gain_ = one(choice.gain)
        self.jitter_ = max(process.jitter for mixture in self.mixtures_ for process in mixture.members)
        relevance = np.zeros((len(scale), X.shape[1]))
        for j, mixture in enumerate(self.mixtures_):
            x = mixture.rows.x
            relevance[j, self._active] = np.sqrt(np.mean(slopes(mixture, x[:: -(-len(x) // SLOPES)]) ** 2, axis=0))
        with np.errstate(divide="ignore"):
            lengths = self._scaler.scale / relevance
        self.relevance_, self.lengths_ = (a[0] if self._flat else a for a in (relevance, lengths))
        self._leave_out(X, table)
        settled = all(search.converged for search in found) and (robust is None or robust.settled)
        code = "converged" if settled else "max_iter"
        code = "interrupted" if clock.interrupted else "time_budget" if clock.late else code
        told = f"{self._about}, weights: {self._names()}."
        told += f" Target: {self._view()}." if self.logarithm_.any() else ""
        told += f" {robust.message}" if robust else ""
        text = " ".join([told, *notes])
        self.status_ = Status(code, text)

    def _leave_out(self, X: np.ndarray, table: Table) -> None:
        """Rows that were not used are predicted from all that were."""
        mean, std = (np.full((len(X), len(self.mixtures_)), np.nan) for _ in range(2))
        used = table.group >= 0
        if len(table.rows[0].y) > ASKED:
            used &= np.arange(len(X)) % -(-len(X) // ASKED) == 0
        for j, mixture in enumerate(self.mixtures_):
            y = (table.y[used, j] - self._targets.center[j]) / self._targets.scale[j]
            each = each_left_out(mixture, table.group[used], y, table.weights[used])
            alone, deviation = combine(mixture.weights, *each)
            self.mixtures_[j] = mixture._replace(tails=tails((y - alone) / deviation))
            mean[used, j], std[used, j] = self._combined(j, *each)
        other = table.group < 0
        if other.any():
            both = self.predict(X[other], return_std=True)
            mean[other], std[other] = (a.reshape(-1, mean.shape[1]) for a in both)
        self.leave_one_out_, self.leave_one_out_std_ = (a[:, 0] if self._flat else a for a in (mean, std))

    def _names(self) -> str:
        """Members and weights of the first targets."""
        names = [", ".join(f"{n} {100 * w:.0f} %" for n, w in each.items()) for each in self.weights_[:3]]
        return "; ".join(names) + (" ..." if len(self.weights_) > 3 else "")

    def _view(self) -> str:
        """How the targets were seen, where it was by a logarithm."""
        number = np.ravel(self.gain_)[self.logarithm_]
        gains = ", ".join(f"{gain:.0f}" for gain in number[:3]) + (" ..." if len(number) > 3 else "")
        which = "" if self.logarithm_.all() else f" of {self.logarithm_.sum()} of {len(self.logarithm_)}"
        why = f"which gains {gains} nats on at most {ASKED_FOR_LOGARITHM} rows" if number.any() else "as asked for"
        return f"by the logarithm{which}, {why}; predictions are means in its unit"

    def _view_of(
        self, call: str, X: np.ndarray, c: np.ndarray, weights: np.ndarray, rng: np.random.Generator, clock: Clock
    ) -> tuple[Choice, GrossErrors | None]:
        """Which targets are seen by their logarithm, and which rows hold gross errors.

        The logarithm is chosen without rows that hold gross errors of the target as it is: large ones of one sign look
        like a few decades, and would decide.
        """
        if self.loss == "squared":
            return choose(call, self.target_transform, X, c, weights), None
        half = 0.5 if self.target_transform is None else 0.25  # of the time: a logarithm is searched again
        found = gross_errors(call, X, c, weights, copy.deepcopy(rng), clock, (0.0, half))
        choice = choose(call, self.target_transform, X, c, of_mean_one(found.held))
        if choice.logarithm.any():
            positive = (c[:, choice.logarithm] > 0).all(axis=1)
            seen, held = viewed(c, choice.logarithm), np.where(positive, weights, 0.0)
            found = gross_errors(call, X, seen, held, copy.deepcopy(rng), clock, (half, 0.5))
            if count := int((~positive & (weights > 0)).sum()):
                told = f"{found.message} {count} without a logarithm {'are' if count > 1 else 'is'} left out, too."
                found = found._replace(message=told)
        return choice, found

    def _with_band(self, X: Any) -> list[np.ndarray]:
        """Mean and quantiles in units of the target: those of a logarithm do not lie around the mean."""
        x, found = self._scaled(X, "summary")[1], []
        for j, mixture in enumerate(self.mixtures_):
            each, variances = self._moments(mixture, x, std=True)
            ends = (quantile(*distribution(mixture, each, np.asarray(variances)), level) for level in (0.05, 0.95))
            ends = (end * self._targets.scale[j] + self._targets.center[j] for end in ends)
            ends = (np.exp(end) for end in ends) if self.logarithm_[j] else ends
            found.append([self._combined(j, each, np.asarray(variances))[0], *ends])
        return list(np.stack(found, axis=-1))

    def _centres(self, X: Any, by_log: np.ndarray) -> np.ndarray:
        """Means, and of targets that are judged by their logarithm its mean: no variances, which medians ask for.

        For one member it is the logarithm of the median; of several it lies between theirs, as the median does.
        """
        x, found = self._scaled(X, "summary")[1], []
        for j, mixture in enumerate(self.mixtures_):
            each, variances = self._moments(mixture, x, std=bool(self.logarithm_[j]) and not by_log[j])
            straight = mixture.weights @ each * self._targets.scale[j] + self._targets.center[j]
            found.append(straight if variances is None else self._combined(j, each, variances)[0])
        return self._shaped(found)

    def _below(self, X: Any, c: np.ndarray) -> np.ndarray:
        x, found = self._scaled(X, "summary")[1], []
        for j, mixture in enumerate(self.mixtures_):
            weights, means, variances = self._distribution(mixture, x)
            with np.errstate(divide="ignore"):
                y = np.log(np.maximum(c[:, j], 0.0)) if self.logarithm_[j] else c[:, j]
            z = (y - self._targets.center[j]) / self._targets.scale[j]
            found.append(weights @ ndtr((z - means) / np.sqrt(variances)))
        return np.stack(found, axis=1)

    def _facts(self) -> dict[str, str]:
        rows = len(self.mixtures_[0].rows.y)
        return ({"Target": self._view()} if self.logarithm_.any() else {}) | {
            "Mixture": f"of {sum(len(m.members) for m in self.mixtures_)}, on {rows:,} different rows",
            "Effective parameters": f"{float(np.mean(self.effective_dof_)):.4g} for each target",
            "Log evidence": f"{'; '.join(_ranked(each) for each in self.evidence_[:3])} nats",
            "Noise": ", ".join(f"{noise:.4g}" for noise in np.ravel(self.noise_)[:5]),
            "Errors": "; ".join(_shape(mixture.tails) for mixture in self.mixtures_[:3]),
        }

    def _record(self) -> dict[str, Any]:
        return {
            "model": self._label.removeprefix("numdl "),
            "n_parameters": sum(max(m.members, key=lambda one: one.weight).n_parameters for m in self.mixtures_),
        }


def _shape(found: Tails) -> str:
    """The shape of errors in words."""
    if found.share == 1:
        return "normal"
    ratio = np.sqrt(found.wide / found.narrow)
    return f"{100 * (1 - found.share):.0f} % of a normal distribution {ratio:.2g} times as wide as that of the others"


def _ranked(evidence: dict[str, float]) -> str:
    """The best candidates of a target, in nats."""
    best = sorted(evidence.items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{name} {value:.1f}" for name, value in best)


def _by_name(mixture: Mixture) -> dict[str, float]:
    """Weights of members, those of one name together, the largest first."""
    names = dict.fromkeys(member.name for member in mixture.members)
    sums = {name: float(sum(member.weight for member in mixture.members if member.name == name)) for name in names}
    return dict(sorted(sums.items(), key=lambda item: -item[1]))
