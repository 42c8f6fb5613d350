"""Linear regression whose penalty is chosen by the theory of regularisation, not by hand."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from numdl.contracts import Status
from numdl.estimators.common.intake import require_finite_targets, validate_data
from numdl.estimators.common.leaving import GradientMixin
from numdl.estimators.common.robust import Fit, Robust, Seen, robust_rounds
from numdl.estimators.common.saving import SaveMixin
from numdl.estimators.common.standard_errors import RegressionErrors, standard_errors
from numdl.estimators.common.weights import (
    Weighed,
    copies_once,
    in_relative_weights,
    raw_weights,
    relative,
    weighed,
)
from numdl.estimators.linear.summary import LinearReportMixin
from numdl.estimators.tikhonov.checks import (
    can_condense,
    check_tikhonov,
    checked_samples,
    matrix_free,
    method_for,
    reference_of,
    require_finite_samples,
)
from numdl.estimators.tikhonov.criteria import Solved
from numdl.estimators.tikhonov.direct import Table, choose, scaled, solve_directly
from numdl.estimators.tikhonov.iterative import solve_by_products
from numdl.estimators.tikhonov.operators import as_matrix, penalty_operator
from numdl.linalg import as_operator, tsqr_start, tsqr_update
from numdl.regularize.ridge import RidgeDecomposition, decompose, decompose_condensed, tikhonov, truncated

ROUNDS = 50
"""Fits to pseudo-data at most; ten are common."""

AFFORDABLE = 1e10
"""Operations that methods by products spend on standard errors, about a second."""


class TikhonovRegressor(
    RegressionErrors, GradientMixin, SaveMixin, LinearReportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator
):
    """Least squares with a quadratic penalty, ``1/(2n) sum ||x_i W + b - y_i||^2 + alpha/2 ||L (W - W0)||^2``.

    One decomposition gives the solutions for all alphas; a criterion chooses among them. The intercept b is free.
    scikit-learn's ``Ridge(alpha)`` is ``n alpha`` here, n the sum of the sample weights.

    Args:
        alpha: "gcv" (generalised cross validation, guarded against undersmoothing), "discrepancy", "l-curve",
            "upre", "loo" (leave-one-out), "cv" (folds), or a number, not negative.
        operator: L: "identity", "difference" of neighbouring coefficients, "gradient", "laplacian", an array (q, d), a
            sparse matrix, or a linear operator of SciPy or lineax.
        operator_shape: image that the coefficients form, (rows, columns), for "gradient" and "laplacian"; None for a
            signal, where "gradient" is "difference" and "laplacian" the second difference.
        method: "svd" filters all directions, "tsvd" keeps the leading ones whole and drops the others; "hybrid-lsqr"
            needs products only and chooses alpha on a projected problem; "cgls" and "lsqr" regularise by stopping
            ("gcv", "discrepancy") or solve for a given alpha. "auto" is "svd" where it takes less than a minute.
        noise: standard deviation of the error of one target value, in its unit, for "discrepancy", "upre" and
            standard errors; None estimates it.
        p_ref: W0, what the penalty pulls to, shape of ``coef_``; None for zero.
        fit_intercept: whether b is fitted.
        standardize: whether the penalty is on coefficients of columns scaled to unit variance.
        alpha_per_target: whether each target gets its own alpha; with methods by products it always does.
        cv: folds of "cv": a number or a splitter of scikit-learn.
        max_iter: iterations of methods by products at most.
        loss: "squared", or "pseudo-huber" where some targets hold gross errors: the least sum of
            ``rho(r) = (delta s)^2 (sqrt(1 + (r / (delta s))^2) - 1)`` of the residuals r instead of ``r^2 / 2``, with
            the scale s of the errors from the data, see ``numdl.estimators.common.robust``. Criteria, noise level and
            standard errors are those of its pseudo-data; a given ``noise`` is not possible then.

    Attributes:
        coef_: W', (d,) or (k, d).
        intercept_: b, a number or (k,).
        coef_std_: standard errors of ``coef_`` under independent errors of the targets, in the same shape: how far they
            move with the noise, not how far the penalty holds them from the truth; see
            ``numdl.estimators.common.standard_errors``. Methods by products have them for tables that a second can
            factorise, with a penalty; an AttributeError says why there are none.
        intercept_std_: those of ``intercept_``; 0 if it was not fitted.
        error_std_: standard deviation of the error of one target value, ``noise`` or else from the residuals of each
            target; a number or (k,).
        alpha_: penalty of the mean misfit, a number, or (k,) with an alpha per target; 0 where stopping regularises.
        choices_: how each alpha was chosen and how sharply, a tuple of `Choice`; empty for a given number.
        paths_: the paths they were chosen from, a tuple of `RidgePath`.
        effective_dof_: effective degrees of freedom, as ``alpha_``.
        noise_: noise level given or estimated, for each target where each has its alpha, (k,); None if the criterion
            did not need it.
        method_: that was used.
        n_iter_: iterations of methods by products, else 1.
        decomposition_: for ``numdl.regularize.ridge``: resolution, covariance, Picard plot. Not stored in files.
        condensed_: all rows of ``partial_fit`` as a triangle; None after ``fit``.
        status_: the choice in a sentence.

    Sources: Hansen, Discrete Inverse Problems, SIAM 2010; Golub, Heath and Wahba, Technometrics 21 (1979).

    Examples:
        >>> import numpy as np
        >>> from numdl import TikhonovRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((50, 3))
        >>> y = X @ [1.0, -2.0, 0.0] + 4.0 + 0.1 * rng.standard_normal(50)
        >>> model = TikhonovRegressor().fit(X, y)
        >>> np.round(model.coef_, 1) + 0.0
        array([ 1., -2.,  0.])
        >>> bool(model.alpha_ > 0)
        True
    """

    _left_out = ("decomposition_",)
    _sums = np.zeros(5)  # files of earlier versions have none

    def __init__(
        self,
        alpha: float | str = "gcv",
        operator: Any = "identity",
        *,
        operator_shape: tuple[int, int] | None = None,
        method: str = "auto",
        noise: float | None = None,
        p_ref: Any = None,
        fit_intercept: bool = True,
        standardize: bool = False,
        alpha_per_target: bool = False,
        cv: Any = 5,
        max_iter: int = 200,
        loss: str = "squared",
    ) -> None:
        self.alpha = alpha
        self.operator = operator
        self.operator_shape = operator_shape
        self.method = method
        self.noise = noise
        self.p_ref = p_ref
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.alpha_per_target = alpha_per_target
        self.cv = cv
        self.max_iter = max_iter
        self.loss = loss

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Solve for all alphas and choose one.

        Args:
            X: samples, (n, d): a table, a sparse matrix, or a linear operator of SciPy or lineax.
            y: targets, (n,) or (n, k).
            sample_weight: relative weights of the rows, such as ``1 / sigma^2``, (n,), not negative.

        Returns:
            The fitted estimator.

        Raises:
            ValueError: a parameter or the data cannot be used.
        """
        call = f"{type(self).__name__}.fit"
        check_tikhonov(self)
        require_finite_targets(call, y)
        x, y = checked_samples(self, call, X, y, reset=True)
        c = np.asarray(y, np.float64).reshape(len(y), -1)
        counted = copies_once(raw_weights(call, sample_weight, c), x, c)
        weights = relative(counted)
        used = weights > 0
        self.condensed_, self._sums = None, weighed(weights).sums
        if isinstance(self.alpha, str) and used.sum() < 2:
            raise ValueError(f"{call}: n_samples = {used.sum()}, alpha={self.alpha!r} needs at least 2. Give alpha.")
        if not isinstance(x, LinearOperator) and self.alpha != "cv":  # folds are numbers of rows
            x, c, weights = x[used], c[used], weights[used]
        if self.loss == "squared":
            self._conclude(self._solve(call, x, c, weights))
        else:
            self._solve_robustly(call, x, c, weights)
        return self._flattened(np.ndim(y) == 1)

    @available_if(can_condense)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Add rows and choose alpha again, for tables that do not fit in memory: only a triangle of (d + k)^2 is kept.

        The result is that of all rows at once, but for rounding: rows are condensed by QR factorisations, never to
        ``X'X``, whose condition is the square. A ``fit`` forgets all rows. Rows that come again in a later call count
        as further observations: copies are seen only among rows of one call.

        Args:
            X: samples, (n, d), a table.
            y: targets, (n,) or (n, k).
            sample_weight: relative weights of the rows, such as ``1 / sigma^2``, (n,), not negative.

        Returns:
            The fitted estimator.

        Raises:
            ValueError: a parameter or the data cannot be used; ``p_ref`` is not possible here.
            AttributeError: alpha is "loo" or "cv", which need the rows.
        """
        call = f"{type(self).__name__}.partial_fit"
        check_tikhonov(self)
        if self.p_ref is not None:
            raise ValueError(f"{call}(p_ref): rows that are gone cannot be shifted. Fit y - X p_ref instead.")
        if self.loss != "squared":
            raise ValueError(
                f"{call}(loss={self.loss!r}): residuals of rows that are gone cannot be weighed again. Use fit, or "
                "loss='squared'."
            )
        if matrix_free(X):
            raise ValueError(f"{call}: X is known by its products only, needs a table. Use fit.")
        require_finite_targets(call, y)
        state = getattr(self, "condensed_", None)
        x, y = checked_samples(self, call, X, y, reset=state is None)
        c = np.asarray(y, np.float64).reshape(len(y), -1)
        weights = copies_once(raw_weights(call, sample_weight, c), x, c)
        self._sums = weighed(weights, None if state is None else self._sums).sums
        x = x.toarray() if scipy.sparse.issparse(x) else x
        d, k = x.shape[1], c.shape[1]
        self.condensed_ = tsqr_update(tsqr_start(d, k) if state is None else state, x, c, weights)
        if isinstance(self.alpha, str) and self.condensed_.rows < 2:
            raise ValueError(f"{call}: n_samples = 1, alpha={self.alpha!r} needs at least 2. Give alpha, or more rows.")
        operator = as_matrix(penalty_operator(call, self.operator, self.operator_shape, d))
        self.method_ = "tsvd" if self.method == "tsvd" else "svd"
        relative = in_relative_weights(self.condensed_, self._sums)
        state, scale = scaled(relative) if self.standardize else (relative, np.ones(d))
        whole = decompose_condensed(state, operator, intercept=self.fit_intercept)
        solutions = choose(
            whole, self.alpha, self.noise, truncate=self.method_ == "tsvd", per_target=self.alpha_per_target
        )
        self.decomposition_ = whole
        self._keep(solutions, scale, k)
        self._keep_errors(whole, scale)
        self._conclude(solutions)
        return self._flattened(np.ndim(y) == 1)

    def _flattened(self, flat: bool) -> Self:
        """One target given as (n,) has coefficients (d,)."""
        if flat:
            self.coef_, self.intercept_ = self.coef_[0], float(np.ravel(self.intercept_)[0])
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Targets of new rows, (n,) or (n, k).

        Args:
            X: rows, (n, d).
            return_std: whether to return the standard deviation of a new observation too: noise and uncertainty of the
                coefficients, without the bias of the penalty.

        Returns:
            ``X W + b``; with ``return_std`` a pair of such arrays.

        Raises:
            ValueError: wrong columns, entries that are not finite, or a method that has no covariance.
        """
        check_is_fitted(self, "coef_")
        call = f"{type(self).__name__}.predict"
        errors = self._predictive(call) if return_std else None
        if not matrix_free(X):
            X = validate_data(self, X, reset=False, accept_sparse="csr", ensure_all_finite=False, dtype=np.float64)
            require_finite_samples(self, call, X)
        elif errors is not None:
            raise ValueError(f"{call}(return_std=True): X is known by its products only. Give a table.")
        else:
            X = as_operator(X, name="X")
        mean = X @ self.coef_.T + self.intercept_
        return mean if errors is None else (mean, errors.of_observations(X).reshape(mean.shape))

    def __sklearn_tags__(self) -> Any:
        """Sparse samples are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _solve_robustly(self, call: str, x: Any, c: np.ndarray, weights: np.ndarray) -> None:
        """Solve for pseudo-data until the robust loss is least."""
        used, solutions = np.flatnonzero(weights > 0), []

        def refit(seen: Seen) -> Fit:
            nonlocal solutions
            whole, held = c.copy(), weights.copy()
            whole[used], held[used[~seen.kept]] = seen.targets, 0.0
            rows = np.ones(len(c), bool) if self.alpha == "cv" or isinstance(x, LinearOperator) else held > 0
            solutions = self._solve(call, x if rows.all() else x[rows], whole[rows], held[rows])  # type: ignore[index]
            self._sums = weighed(held).sums
            return Fit((x @ self.coef_.T + self.intercept_)[used], self.effective_dof_)

        found = robust_rounds(c[used], weights[used], refit, ROUNDS)
        self._conclude(solutions, found)

    def _solve(self, call: str, x: Any, c: np.ndarray, weights: np.ndarray) -> list[Solved]:
        """Solve, and keep the coefficients in the units of the data."""
        d, k = x.shape[1], c.shape[1]
        operator = penalty_operator(call, self.operator, self.operator_shape, d)
        reference = reference_of(call, self.p_ref, d, k)
        self.method_ = method_for(self, call, x)
        if self.method_ in ("svd", "tsvd"):
            x = x.toarray() if scipy.sparse.issparse(x) else x
            scale = _deviations(x, weights) if self.standardize else np.ones(d)
            reference = None if reference is None else reference * scale[:, None]
            table = Table(x / scale, c, weights, as_matrix(operator), reference, self.fit_intercept)
            self.decomposition_, solutions = solve_directly(
                table,
                self.alpha,
                self.noise,
                truncate=self.method_ == "tsvd",
                per_target=self.alpha_per_target,
                cv=self.cv,
            )
        else:
            scale, self.decomposition_ = np.ones(d), None
            solutions = solve_by_products(
                self.method_,
                x,
                c,
                weights,
                operator,
                reference,
                self.alpha,
                self.noise,
                intercept=self.fit_intercept,
                max_iter=self.max_iter,
            )
        self._keep(solutions, scale, k)
        if self.decomposition_ is not None:
            self._keep_errors(self.decomposition_, scale)
        else:
            self._keep_errors_by_products(x, c, weights, operator, reference)
        return solutions

    def _keep_errors_by_products(
        self, x: Any, c: np.ndarray, weights: np.ndarray, operator: Any, reference: np.ndarray | None
    ) -> None:
        """Standard errors from a factorisation, where a penalty makes them and it is cheap; or why there are none."""
        advice = "Use method='svd', which needs a table that fits in memory."
        n, d = x.shape
        if self.method_ != "hybrid-lsqr" and isinstance(self.alpha, str):
            self._errors = (
                f"method {self.method_!r} regularises by stopping, which is not linear in the targets: there is no "
                f"covariance. {advice}"
            )
        elif isinstance(x, LinearOperator) or 2 * n * d * d > AFFORDABLE:
            self._errors = f"method {self.method_!r} knows X by its products only and has no covariance. {advice}"
        else:
            table = x.toarray() if scipy.sparse.issparse(x) else x
            options = {"weights": weights, "reference": reference, "intercept": self.fit_intercept}
            try:
                whole = decompose(table, c, as_matrix(operator), **options)
            except ValueError as error:  # null spaces meet: the iterations find one of many solutions
                self._errors = str(error)
                return
            alphas = np.broadcast_to(self.alpha_, len(self.coef_)).astype(float)
            self._errors = standard_errors(whole, alphas, tikhonov, self.noise)._replace(typical=self._typical)

    @property
    def _typical(self) -> float:
        return Weighed(self._sums).typical

    def _keep_errors(self, whole: RidgeDecomposition, scale: np.ndarray) -> None:
        """Standard errors from the decomposition."""
        filter = truncated if self.method_ == "tsvd" else tikhonov
        alphas = np.broadcast_to(self.alpha_, len(self.coef_))
        self._errors = standard_errors(whole, alphas, filter, self.noise, scale)._replace(typical=self._typical)

    def _keep(self, solutions: list[Solved], scale: np.ndarray, k: int) -> None:
        """Fitted attributes, in the units of the data."""
        self.coef_, self.intercept_ = np.empty((k, len(scale))), np.empty(k)
        for solved in solutions:
            self.coef_[solved.targets], self.intercept_[solved.targets] = solved.unknowns.T / scale, solved.intercept
        one = len(solutions) == 1
        alphas, freedom = ([getattr(solved, name) for solved in solutions] for name in ("alpha", "freedom"))
        self.alpha_, self.effective_dof_ = (alphas[0], freedom[0]) if one else (np.array(alphas), np.array(freedom))
        levels = [solved.noise for solved in solutions if solved.noise is not None]
        self.noise_ = None if not levels else levels[0] if one or self.noise is not None else np.array(levels)
        self.choices_ = tuple(solved.choice for solved in solutions if solved.choice is not None)
        self.paths_ = tuple(solved.path for solved in solutions if solved.path is not None)
        self.n_iter_ = max(1, *(solved.iterations for solved in solutions)) if solutions else 1

    def _conclude(self, solutions: list[Solved], robust: Robust | None = None) -> None:
        """Status, and a warning where the choice should not be trusted."""
        pairs = list(zip(self.choices_, self.paths_, strict=True))
        # At the low edge alpha may be so small that it changes nothing: then the data need no penalty, as exact ones.
        idle = [c for c, path in pairs if c.edge == "low" and path.freedom[c] > (1 - 1e-6) * path.freedom.max()]
        doubtful = [choice for choice in self.choices_ if choice.edge and choice not in idle]
        unfinished = [solved.status for solved in solutions if not solved.status.converged]
        self.status_ = unfinished[0] if unfinished else solutions[0].status
        if not unfinished and (doubtful or idle):
            needless = "The less penalty the better, down to alphas that change nothing: the data need none."
            self.status_ = Status("converged", doubtful[0].message if doubtful else needless)
        if robust is not None:
            code = self.status_.code if robust.settled or unfinished else "max_iter"
            self.status_ = Status(code, f"{self.status_.message} {robust.message}")
        if doubtful or not self.status_.converged:
            warnings.warn(f"{type(self).__name__}: {self.status_.message}", ConvergenceWarning, stacklevel=3)


def _deviations(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted standard deviations of the columns, 1 for constant ones, (d,)."""
    share = weights / weights.sum()
    mean = share @ x
    spread = np.sqrt(share @ (x - mean) ** 2)
    return np.where(spread > 1e-12 * np.abs(mean), spread, 1.0)
