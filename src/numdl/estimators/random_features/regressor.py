"""Ridge regression on random features whose matrix is never held: rows can come for as long as they like."""

from __future__ import annotations

import dataclasses
import warnings
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from numdl import checks
from numdl.contracts import Status
from numdl.estimators.common.intake import checked_table
from numdl.estimators.common.leaving import GradientMixin
from numdl.estimators.common.robust import LOSSES
from numdl.estimators.common.standard_errors import RegressionErrors, StandardErrors, standard_errors
from numdl.estimators.common.weights import Weighed, copies_once, in_relative_weights, raw_weights, weighed
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.gross import gross_errors
from numdl.estimators.random_features.base import RandomFeaturesBase
from numdl.estimators.random_features.feature_map import TRIAL_ROWS, add_rows, decompose_rows, left_out
from numdl.estimators.tikhonov.criteria import selector_of
from numdl.linalg import TSQR
from numdl.regularize.ridge import RidgeDecomposition, alpha_grid, decompose_condensed, ridge_path, tikhonov
from numdl.regularize.selectors import GUARD, cross_validation, search

CRITERIA = ("auto", "gcv", "l-curve")
"""What can choose alpha; but for few rows, from a condensed table."""


class RandomFeaturesRegressor(RegressionErrors, GradientMixin, MultiOutputMixin, RegressorMixin, RandomFeaturesBase):
    """``1/(2n) sum ||W sigma(K x_i + b) + w0 - y_i||^2 + alpha/2 ||W||^2`` with drawn K and b.

    Features are computed in blocks of rows and condensed to a triangle by QR factorisations, never to normal
    equations, whose condition is the square. Memory: 40 MiB for the block, ``3 (m + k)^2`` numbers for m features and
    k targets; beyond 2000 rows the n x m matrix of features never exists. Operations: ``2 n m^2`` for the rows, ``22
    m^3`` for all alphas.

    Args:
        width: number m of features.
        activation: "sine" (approximates a Gaussian kernel), "tanh" or "relu".
        alpha: "auto" (up to 2000 rows in a ``fit`` leave-one-out errors, beyond them and in ``partial_fit`` generalised
            cross validation, both guarded against undersmoothing), "gcv", "l-curve", or a number, not negative. On few
            rows GCV may take interpolation for the best where some rows are unlike all others.
        scale: standard deviation of ``K x`` on scaled inputs: the larger, the finer the features vary. "auto" takes the
            power of two from 1/16 to 16 that errs least on rows left out, of at most 2000.
        standardize: whether each column is scaled to deviation 1; otherwise all share one factor, for columns whose
            units agree, as those of pixels do.
        fit_intercept: whether w0 is fitted.
        loss: "squared", or "pseudo-huber" where some targets hold gross errors: rows that a robust fit of processes
            contradicts are left out, ``status_`` says how many; see ``numdl.estimators.kernels.gross``. For ``fit``.
        random_state: of the features and of the rows that choose the scale.

    Attributes:
        coef_: W, (m,) or (k, m).
        intercept_: w0, a number or (k,).
        coef_std_: standard errors of ``coef_``, in the same shape, for the features that were drawn; see
            ``numdl.estimators.common.standard_errors``.
        intercept_std_: those of ``intercept_``; 0 if it was not fitted.
        error_std_: standard deviation of the error of one target value, a number or (k,).
        alpha_: penalty of the mean misfit.
        scale_: used for K.
        effective_dof_: effective degrees of freedom, intercept included.
        choice_: how alpha was chosen and how sharply; None if it was given. Not stored in files.
        path_: what it was chosen from; None likewise.
        features_: rows in the units of the data to features.
        condensed_: all rows seen, as a triangle.
        n_rows_: how many there were that count: copies of a row in one call are one row of their summed weight.
        status_: the choice in a sentence.

    Sources: Rahimi and Recht, NIPS 20 (2007); Demmel et al., SIAM J. Sci. Comput. 34 (2012), sec. 2.

    Examples:
        >>> import numpy as np
        >>> from numdl import RandomFeaturesRegressor
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> model = RandomFeaturesRegressor(100, random_state=0).fit(x, np.sin(3 * x[:, 0]))
        >>> round(float(model.predict([[0.5]])[0]), 3)
        0.997
    """

    _left_out = ("_errors",)
    _sums = np.zeros(5)  # files of earlier versions have none

    def __init__(
        self,
        width: int = 500,
        activation: str = "sine",
        alpha: float | str = "auto",
        scale: float | str = "auto",
        *,
        standardize: bool = True,
        fit_intercept: bool = True,
        loss: str = "squared",
        random_state: Any = None,
    ) -> None:
        self.width = width
        self.activation = activation
        self.alpha = alpha
        self.scale = scale
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.loss = loss
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Forget what was learned, draw features and solve for all alphas.

        Args:
            X: samples, (n, d).
            y: targets, (n,) or (n, k).
            sample_weight: relative weights of the rows, such as ``1 / sigma^2``, (n,), not negative.

        Returns:
            The fitted estimator.

        Raises:
            ValueError: a parameter or the data cannot be used.
        """
        return self._learn("fit", X, y, sample_weight, anew=True)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Add rows and choose alpha again: with "gcv" or a given alpha as if all rows had come at once.

        Alpha, unless it is given, is chosen by what a condensed table tells: "auto" is "gcv" here. The first call
        draws the features and fixes the scaling of inputs and features, as ``fit`` does: let it see rows that are
        typical.

        Args:
            X: samples, (n, d).
            y: targets, (n,) or (n, k).
            sample_weight: relative weights of the rows, such as ``1 / sigma^2``, (n,), not negative.

        Returns:
            The fitted estimator.

        Raises:
            ValueError: a parameter or the data cannot be used, or the number of targets has changed; a robust loss,
                which has to see all rows at once.
        """
        if self.loss != "squared":
            raise ValueError(
                f"{type(self).__name__}.partial_fit(loss={checks.shown(self.loss)}): gross errors are seen among all "
                "rows at once. Use fit, or loss='squared'."
            )
        return self._learn("partial_fit", X, y, sample_weight, anew=not hasattr(self, "condensed_"))

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Targets of new rows, (n,) or (n, k).

        Args:
            X: rows, (n, d).
            return_std: whether to return the standard deviation of a new observation too: noise and uncertainty of the
                coefficients of the features that were drawn, without the bias of the penalty.

        Returns:
            ``W sigma(K x + b) + w0`` for each row; with ``return_std`` a pair of such arrays.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        X = self._rows(X, "predict")
        mean = np.empty((len(X), *np.shape(self.intercept_)))
        std = np.empty_like(mean)
        errors = self._predictive("predict") if return_std else None
        for rows, features in self.features_.blocks(X):
            mean[rows] = features @ self.coef_.T + self.intercept_
            if errors is not None:
                std[rows] = errors.of_observations(features).reshape(std[rows].shape)
        return mean if errors is None else (mean, std)

    def _learn(self, method: str, X: Any, y: Any, sample_weight: Any, *, anew: bool) -> Self:
        call = f"{type(self).__name__}.{method}"
        self._check_map_parameters()
        if isinstance(self.alpha, str):
            checks.choice(type(self).__name__, "alpha", self.alpha, CRITERIA)
        else:
            checks.number(type(self).__name__, "alpha", self.alpha, least=0)
        checks.choice(type(self).__name__, "loss", self.loss, LOSSES)
        X, y = checked_table(self, call, X, y, reset=anew, y_numeric=True, dtype=np.float64)
        c = np.asarray(y, np.float64).reshape(len(y), -1)
        weights = copies_once(raw_weights(call, sample_weight, X), X, c)
        seen, robust = 0 if anew else self.n_rows_, None
        if self.loss != "squared" and weights.any():
            robust = gross_errors(call, X, c, weights, np.random.default_rng(0), Clock(None))
            weights = robust.held
        used = weights > 0
        if isinstance(self.alpha, str) and seen + used.sum() < 2:
            raise ValueError(f"{call}: n_samples = {used.sum()}, alpha={self.alpha!r} needs at least 2. Give alpha.")
        if anew:
            self._draw(X[used], c[used], weights[used])
            self._flat = np.ndim(y) == 1
        elif self.condensed_.triangle.shape[0] != 1 + self.features_.net.width + c.shape[1]:
            known = self.condensed_.triangle.shape[0] - 1 - self.features_.net.width
            raise ValueError(f"{call}: y has {c.shape[1]} targets, earlier rows had {known}. Give as many, or use fit.")
        before = None if anew else self.condensed_
        self._sums = weighed(weights, None if anew else self._sums).sums
        self.condensed_ = add_rows(before, self.features_, X[used], c[used], weights[used])
        self.n_rows_ = seen + int(used.sum())
        few = anew and method == "fit" and self.alpha == "auto" and used.sum() <= TRIAL_ROWS
        few = few and bool(1e-100 < np.abs(c[used]).max() < 1e100)  # the triangle squares no targets
        self._choose((X[used], c[used], weights[used]) if few else None)
        if robust is not None:
            code = "converged" if robust.settled else "max_iter"
            self.status_ = Status(code, f"{self.status_.message} {robust.message}")
            if not robust.settled:
                warnings.warn(f"{type(self).__name__}: {robust.message}", ConvergenceWarning, stacklevel=3)
        return self

    def _choose(self, few: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None) -> None:
        """Alpha and the coefficients: from inputs, targets and raw weights of few rows, or from the triangle."""
        if few is None:
            decomposition = decompose_condensed(self._relative(), intercept=self.fit_intercept)
            paths = partial(ridge_path, decomposition)
        else:
            X, c, weights = few
            weights = weights * (Weighed(self._sums).factor / self._sums[0])
            decomposition = decompose_rows(self.features_, X, c, weights, intercept=self.fit_intercept)
            paths = partial(left_out, decomposition)
        self.path_ = self.choice_ = None
        alpha, message = self.alpha, f"Solved with the given alpha = {self.alpha}."
        if isinstance(alpha, str):
            selector = (
                partial(cross_validation, guard=GUARD)
                if few
                else selector_of("gcv" if alpha == "auto" else alpha, 0.0, decomposition.n)
            )
            self.path_, self.choice_ = search(paths, selector, alpha_grid(decomposition))
            if self.choice_.edge == "low" and self.choice_.alpha < np.finfo(float).eps ** 2 * decomposition.scale:
                self.choice_ = dataclasses.replace(self.choice_, edge="")  # smaller ones differ by rounding
            alpha, message = self.choice_.alpha, self.choice_.message
            if self.choice_.edge:
                warnings.warn(f"{type(self).__name__}: {message}", ConvergenceWarning, stacklevel=4)
        self.alpha_, self.status_ = float(alpha), Status("converged", message)
        kept = decomposition.c**2 / np.maximum(decomposition.c**2 + self.alpha_, np.finfo(float).tiny)
        self.effective_dof_ = float(kept.sum()) + decomposition.free
        self._errors = self._found_errors(decomposition)
        unknowns, intercept = decomposition.solution(self.alpha_)
        if self._flat:
            self.coef_, self.intercept_ = unknowns[:, 0], float(intercept[0])
        else:
            self.coef_, self.intercept_ = np.ascontiguousarray(unknowns.T), intercept

    def _found_errors(self, decomposition: RidgeDecomposition) -> StandardErrors:
        alphas = np.full(len(decomposition.outside), self.alpha_)
        return standard_errors(decomposition, alphas, tikhonov, None)._replace(typical=Weighed(self._sums).typical)

    def _relative(self) -> TSQR:
        return in_relative_weights(self.condensed_, self._sums)

    def _known_errors(self, name: str) -> Any:
        """A file holds the triangle only: standard errors come from it when they are first asked for."""
        check_is_fitted(self, "coef_")
        if "_errors" not in vars(self):
            self._errors = self._found_errors(decompose_condensed(self._relative(), intercept=self.fit_intercept))
        return self._errors
