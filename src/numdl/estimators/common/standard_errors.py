"""Standard errors: how far would a linear model move, if the targets were observed again?

Without penalty it is the covariance of least squares, ``sigma^2 (Z'Z)^-1``. With one, the estimate is still linear in
the targets, and its covariance is the one of ``numdl.regularize.ridge.covariance``: with directions b_j, strengths c_j
and shares f_j that are kept,

    cov w = sigma^2 K K',   K = n^(-1/2) [b_j f_j / c_j],      var b = sigma^2 (1/n + ||K' mean||^2),
    var(new observation at x) = sigma^2 (1 + 1/n + ||K' (x - mean)||^2),

n the sum of the sample weights, mean that of the rows; without intercept no 1/n and no mean. The bias of the penalty is
not in it. sigma is given, or for each target by itself

    sigma^2 = ||y - y_fit||^2 / (n - 2 tr H + tr H^2),

which is unbiased but for the squared bias; for least squares it is the residual variance with n - p in the denominator.

Sources: Golub and Van Loan, Matrix Computations, 2013, sec. 5.3 and 6.1.4; Hastie and Tibshirani, Generalized Additive
Models, 1990, sec. 3.5 and 3.9.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.utils.validation import check_is_fitted

from numdl.regularize.ridge import Filter, RidgeDecomposition

LARGEST = 4_000_000
"""Entries up to which a fit keeps the matrix that deviations of predictions need; beyond, standard errors only."""


class StandardErrors(NamedTuple):
    """Standard errors of a linear model, and what those of its predictions need.

    Attributes:
        coef_std: (k, p).
        intercept_std: (k,); zero without intercept.
        error_std: sigma, (k,); NaN where no degree of freedom is left to tell it; None for classes.
        basis: ``n^(-1/2) b_j / c_j`` as columns, (p, r); None if only the errors above are known, as of classifiers and
            beyond ``LARGEST``.
        shares: f_j of each target, (k, r); None likewise.
        center: mean of the rows, (p,); None likewise.
        level: 1/n with an intercept, else 0.
        typical: noise variance of a new observation over sigma^2, 1 where weights are equal.
    """

    coef_std: Float[np.ndarray, "k p"]
    intercept_std: Float[np.ndarray, " k"]
    error_std: Float[np.ndarray, " k"] | None = None
    basis: Float[np.ndarray, "p r"] | None = None
    shares: Float[np.ndarray, "k r"] | None = None
    center: Float[np.ndarray, " p"] | None = None
    level: float = 0.0
    typical: float = 1.0

    def of_observations(self, X: Any) -> Float[np.ndarray, "n k"]:
        """Standard deviation of a new observation of each target.

        Args:
            X: rows, (n, p), an array or a sparse matrix.

        Returns:
            In the units of the targets, (n, k).
        """
        assert self.error_std is not None and self.basis is not None
        assert self.shares is not None and self.center is not None
        seen = X @ self.basis - self.center @ self.basis
        return self.error_std * np.sqrt(self.typical + self.level + seen**2 @ (self.shares**2).T)


def standard_errors(
    decomposition: RidgeDecomposition,
    alphas: Float[np.ndarray, " k"],
    filter: Filter,
    noise: float | None,
    scale: Float[np.ndarray, " p"] | None = None,
) -> StandardErrors:
    """Standard errors from a decomposition.

    Args:
        decomposition: of the problem.
        alphas: penalty of each target, not negative, (k,).
        filter: how directions are kept.
        noise: sigma; None for the residuals of each target.
        scale: what the columns were divided by before, (p,); None for nothing.

    Returns:
        The errors, for columns as they were.
    """
    d = decomposition
    shares, lost = filter(d.c, d.s, np.asarray(alphas, float))
    free = d.n - 2 * shares.sum(axis=1) + (shares**2).sum(axis=1) - d.free
    squares = d.n * (np.einsum("kr,rk->k", lost**2, d.coefficients**2) + d.outside)
    known = free > 1e-9 * d.n
    sigma = np.sqrt(np.divide(squares, free, out=np.full(len(free), np.nan), where=known))
    sigma = sigma if noise is None else np.full(len(sigma), float(noise))
    scale = np.ones(len(d.basis)) if scale is None else scale
    gain = np.divide(1.0, d.c, out=np.zeros_like(d.c), where=d.c > 0) / np.sqrt(d.n)
    basis, center, level = d.basis * gain / scale[:, None], d.x_mean * scale, d.free / d.n
    coef = sigma[:, None] * np.sqrt(shares**2 @ (basis**2).T)
    intercept = sigma * np.sqrt(level + shares**2 @ (center @ basis) ** 2)
    if basis.size > LARGEST:
        return StandardErrors(coef, intercept, sigma)
    return StandardErrors(coef, intercept, sigma, basis, shares, center, level)


class WithStandardErrors:
    """Attributes ``coef_std_`` and ``intercept_std_`` of an estimator that keeps its errors, or why it has none."""

    coef_: np.ndarray
    intercept_: Any
    _errors: StandardErrors | str = "the model was stored without standard errors. Fit again."

    def _require_sound(self) -> None:
        """What a file holds of an estimator, see ``SaveMixin``."""
        super()._require_sound()  # type: ignore[misc]
        if not isinstance(self._errors, str | StandardErrors):
            raise ValueError(f"standard errors are a {type(self._errors).__name__}")

    def _known_errors(self, name: str) -> Any:
        check_is_fitted(self)
        if isinstance(self._errors, str):
            raise AttributeError(f"{type(self).__name__}.{name}: {self._errors}")
        return self._errors

    @property
    def coef_std_(self) -> np.ndarray:
        """Standard errors in the shape of ``coef_``; an AttributeError says why there are none."""
        return self._known_errors("coef_std_").coef_std.reshape(self.coef_.shape)

    @property
    def intercept_std_(self) -> Any:
        """Standard errors in the shape of ``intercept_``, zero where none was fitted."""
        found = self._known_errors("intercept_std_").intercept_std
        return found if np.ndim(self.intercept_) else float(found[0])


class RegressionErrors(WithStandardErrors):
    """The same of a regressor, with the deviation of its targets and of its predictions."""

    @property
    def error_std_(self) -> Any:
        """Standard deviation of the error of one observation, a number or (k,); NaN if no degree of freedom is left."""
        found = self._known_errors("error_std_").error_std
        return found if np.ndim(self.intercept_) else float(found[0])

    def _tells_deviations(self) -> bool:
        """Whether this fit knows those of predictions."""
        return isinstance(self._errors, StandardErrors) and self._errors.basis is not None

    def _predictive(self, call: str) -> StandardErrors:
        """Errors that know those of predictions.

        Raises:
            ValueError: there are none.
        """
        try:
            found = self._known_errors("predict")
        except AttributeError as error:
            raise ValueError(f"{call}(return_std=True): {self._errors}") from error
        if found.basis is None:
            raise ValueError(
                f"{call}(return_std=True): with {found.coef_std.shape[1]} columns the covariance needs more than "
                f"{LARGEST} numbers and is not kept; coef_std_ is there. Use fewer columns."
            )
        return found
