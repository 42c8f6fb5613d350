"""Base class of linear classifiers.

What do linear classifiers share: the way of the data into a fit, alpha, and what is kept of it?
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from numdl import checks
from numdl.data import Scaler
from numdl.estimators.common.intake import checked_table, encode_labels, require_classes
from numdl.estimators.common.probabilities import LogProbabilities
from numdl.estimators.common.processes import of_first
from numdl.estimators.common.saving import SaveMixin
from numdl.estimators.common.standard_errors import WithStandardErrors
from numdl.estimators.common.weights import sample_weights, with_class_weight
from numdl.estimators.linear.alpha import (
    Choice,
    Criterion,
    choose_alpha,
    cross_validation,
    leave_one_out,
    minus_evidence,
    stratified_folds,
)
from numdl.estimators.linear.errors import DENSE_ERRORS, linear_errors
from numdl.estimators.linear.fit import Solved, Solver, better_start, solver_for
from numdl.estimators.linear.parameters import check_linear_parameters, gram, scaled_operator, scaled_reference
from numdl.estimators.linear.summary import LinearReportMixin
from numdl.estimators.networks.base import precision
from numdl.problems import get_loss, linear_empirical
from numdl.problems.risk.dense_linear import DenseLinear, QuadraticPenalty, with_ones
from numdl.regularize import OperatorPenalty

DENSE_ALPHA = 1000
"""Unknowns up to which ``alpha="auto"`` affords a factor of the Hessian for each alpha."""
UNFINISHED = {
    "max_iter": "Raise max_iter, or use another solver.",
    "interrupted": "Fit again to finish it.",
    "failed": "Look for entries of X far beyond all others.",
}
"""What to do about a status that is no success."""

BY_HAND = ("gauss-newton", "newton-cg")
"""Solvers that `newton` has, for which nothing is compiled."""

LARGE = 2_000_000
"""Entries of X from which products in float32 and the preconditioner pay."""


class LinearClassifier(
    WithStandardErrors, LogProbabilities, SaveMixin, LinearReportMixin, ClassifierMixin, BaseEstimator
):
    """What softmax and logistic classifier share."""

    def __init__(
        self,
        alpha: float | str = "auto",
        operator: Any = None,
        p_ref: Any = None,
        standardize: bool = True,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-6,
        dtype: str = "float64",
        warm_start: bool = False,
        verbose: int = 0,
        random_state: Any = None,
        class_weight: Any = None,
    ) -> None:
        self.alpha = alpha
        self.operator = operator
        self.p_ref = p_ref
        self.standardize = standardize
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.dtype = dtype
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, mesh: jax.sharding.Mesh | None = None) -> Self:
        """Train on ``X (n, d)`` and labels ``y (n,)``.

        Args:
            X: samples, (n, d), numbers.
            y: labels, (n,).
            sample_weight: relative weights of the rows, such as ``1 / sigma^2``, (n,), not negative.
            mesh: devices among which the rows are divided, along its axis ``"data"``; None for the default device.
                They may belong to several processes, if each of them makes the same call with all rows.

        Returns:
            The fitted estimator. Ctrl-C ends the fit at the best point so far, with status ``interrupted``.

        Raises:
            ValueError: a parameter or the data cannot be used; the message names what and where.
        """
        call = f"{type(self).__name__}.fit"
        check_linear_parameters(self)
        checks.mesh(call, mesh)
        X, y = checked_table(self, call, X, y, y_numeric=False)
        codes = self._codes(call, y)
        weights = with_class_weight(self, sample_weights(call, sample_weight, X), y)
        used = weights > 0
        if not used.all():  # no copy of a large table without need
            X, codes, weights = X[used], codes[used], weights[used]
        require_classes(call, codes)
        with precision(np.dtype(self.dtype)):
            self._train(call, X, codes, weights, mesh)
        return self

    def _codes(self, call: str, y: Any) -> np.ndarray:
        """Number of the class of each row; sets ``classes_``."""
        self.classes_, codes = encode_labels(call, y)
        return codes

    def _targets(self, codes: np.ndarray) -> tuple[str, Float[np.ndarray, "n k"]]:
        """Name of the loss and the targets."""
        raise NotImplementedError

    def _train(
        self, call: str, X: np.ndarray, codes: np.ndarray, weights: np.ndarray, mesh: jax.sharding.Mesh | None
    ) -> None:
        dtype = np.dtype(self.dtype)
        scaler = Scaler.fit(X, weights) if self.standardize else None
        mean, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        if scaler is not None:  # centred constant columns are 0, whatever their scale: theirs stays the unit of p_ref
            mean, scale = scaler.center, scaler.spread
        loss, c = self._targets(codes)
        d, k = X.shape[1], c.shape[1]
        name = solver_for(self.solver, k, d + 1)
        reference = scaled_reference(call, self.p_ref, k, d, scale, dtype)
        operator = scaled_operator(call, self.operator, d, dtype)
        choose = isinstance(self.alpha, str)
        with np.errstate(over="ignore", invalid="ignore"):
            x = ((X - mean) / scale if self.standardize else X).astype(dtype, copy=False)
        w = (weights / weights.mean()).astype(dtype)
        # Whether the square of an operator is formed: products with it take less where unknowns are many.
        few = operator is None or k * (d + 1) <= DENSE_ERRORS or self.alpha in ("loo", "evidence")
        penalty = QuadraticPenalty(1.0 if choose else float(self.alpha), gram(operator) if few else None, reference)
        if name in BY_HAND and mesh is None and X.size < LARGE and few:
            checks.finite(call, "X", x)  # in this precision
            z = with_ones(x.astype(np.float64, copy=False))  # of what is small all digits are kept
            problem = dense = DenseLinear(loss, penalty, z, c.astype(z.dtype), w.astype(z.dtype))
        else:
            prior = None if reference is None else jnp.asarray(reference)
            held = OperatorPenalty(jnp.asarray(np.asarray(penalty.alpha, dtype)), operator, prior)
            large = name == "newton-cg" and X.size >= LARGE
            options = {"light": large, "precondition": large, "mesh": mesh}
            c = c.astype(dtype)
            problem = linear_empirical(get_loss(loss), held, x, c, w, **options)
            z = np.asarray(problem.z) if mesh is None else with_ones(x)  # no second copy but where rows are divided
            dense = DenseLinear(loss, penalty, z, c, w)
        del x
        start = better_start(problem, self._start(k, mean, scale).astype(z.dtype))
        solver = Solver(name, self.tol, int(self.max_iter), int(self.verbose))
        if choose:
            choice = choose_alpha(problem, solver, self._criterion(solver, codes, weights, dense, mesh), start)
        else:
            choice = _only(float(self.alpha), solver.solve(problem, start))
        self._keep(choice, solver, mean, scale, k)
        self._errors = linear_errors(dense, choice.alpha, choice.solved.W, float(weights.sum()), mean, scale)

    def _start(self, k: int, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Zero, or the last fit in the scaling of this one."""
        d = len(mean)
        if self.warm_start and hasattr(self, "coef_") and self.coef_.shape == (k, d):
            return np.column_stack([self.coef_ * scale, self.intercept_ + self.coef_ @ mean])
        return np.zeros((k, d + 1))

    def _criterion(
        self, solver: Solver, codes: np.ndarray, weights: np.ndarray, dense: DenseLinear, mesh: jax.sharding.Mesh | None
    ) -> Criterion:
        """What judges an alpha."""
        rule = self.alpha
        if rule == "auto":
            rule = "loo" if dense.c.shape[1] * len(dense.z) <= DENSE_ALPHA else "cv"
        if rule == "loo":
            return leave_one_out(dense, float(weights.sum()))
        if rule == "evidence":
            return minus_evidence(dense, float(weights.sum()))
        seed = of_first(mesh, int(check_random_state(self.random_state).randint(2**31 - 1)))
        w = (weights / weights.mean()).astype(self.dtype)
        return cross_validation(solver, stratified_folds(codes, seed), w, mesh)

    def _keep(self, choice: Choice, solver: Solver, mean: np.ndarray, scale: np.ndarray, k: int) -> None:
        """Fitted attributes, in the units of the features as given."""
        solved = choice.solved
        W = np.asarray(solved.W, np.float64)
        self.coef_ = W[:, :-1] / scale
        self.intercept_ = W[:, -1] - self.coef_ @ mean
        self.alpha_ = choice.alpha
        self.path_ = choice.path
        self.status_ = solved.status
        self.history_ = solved.history
        self.n_iter_ = max(solved.iterations, 1)
        self.solver_ = solver.name
        name = type(self).__name__
        if not self.status_.converged:
            advice = UNFINISHED.get(self.status_.code, "Scale the columns, or use another solver.")
            warnings.warn(
                f"{name}: {self.status_.message} {advice}",
                ConvergenceWarning,
                stacklevel=4,
            )
        if choice.edge:
            advice = "no feature helps" if choice.edge == "largest" else "the classes are separated without error"
            warnings.warn(
                f"{name}: the best alpha, {choice.alpha:.1e}, is the {choice.edge} of all that were tried; perhaps "
                f"{advice}. Look at path_, or give alpha as a number.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _scores(self, X: Any, call: str) -> np.ndarray:
        """Scores of checked rows, (n, k)."""
        check_is_fitted(self, "coef_")
        X = checked_table(self, f"{type(self).__name__}.{call}", X, reset=False)
        return X @ self.coef_.T + self.intercept_

    def predict(self, X: Any) -> np.ndarray:
        """Most probable labels, (n,).

        Args:
            X: rows, (n, d).

        Returns:
            Labels of the type given to ``fit``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        scores = self._scores(X, "predict")
        codes = (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else np.argmax(scores, axis=1)
        return self.classes_[codes]


def _only(alpha: float, solved: Solved) -> Choice:
    """The path of a given alpha."""
    row = {"alpha": alpha, "criterion": np.nan, "objective": solved.history["objective"][-1]}
    path = {name: np.array([value]) for name, value in {**row, "iterations": solved.iterations}.items()}
    return Choice(alpha, solved, path, "")
