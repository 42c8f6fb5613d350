"""Basis features: polynomials and Fourier.

Which functions of a single variable does a linear model combine: polynomials up to a degree, or waves?
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from jaxtyping import Float
from numpy.polynomial import chebyshev, legendre, polynomial
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from numdl import checks
from numdl.estimators.common.intake import checked_table, in_words

_POLYNOMIALS = {"legendre": legendre.legvander, "chebyshev": chebyshev.chebvander, "monomial": polynomial.polyvander}
BASES = (*_POLYNOMIALS, "fourier")


class BasisFeatures(TransformerMixin, BaseEstimator):
    """Functions of each column on its own, its interval mapped to t in [-1, 1]; the constant is left to an intercept.

    "legendre", "chebyshev" and "monomial" are the polynomials of degrees 1 to ``degree`` in t. They span the same space
    and differ in condition, and so in what a penalty means. "fourier" is ``cos(pi j t), sin(pi j t)`` for j = 1 to
    ``degree``, whose period is the interval. Products of several columns: scikit-learn's ``PolynomialFeatures``.

    Args:
        basis: one of ``BASES``.
        degree: of the last polynomial, or number of waves in the interval of the last pair.
        interval: ends (low, high) of all columns, in their unit; None takes the least and largest value of each.

    Attributes:
        low_: ends that are mapped to -1, (d,).
        high_: ends that are mapped to 1, (d,).

    Source: Trefethen, Approximation Theory and Approximation Practice, SIAM 2013, ch. 2, 3 and 17.

    Examples:
        >>> import numpy as np
        >>> from numdl import BasisFeatures
        >>> BasisFeatures("monomial", degree=3).fit_transform(np.array([[0.0], [1.0], [2.0]]))
        array([[-1.,  1., -1.],
               [ 0.,  0.,  0.],
               [ 1.,  1.,  1.]])
    """

    n_features_in_: int
    feature_names_in_: np.ndarray

    def __init__(
        self, basis: str = "legendre", degree: int = 5, *, interval: tuple[float, float] | None = None
    ) -> None:
        self.basis = basis
        self.degree = degree
        self.interval = interval

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the interval of each column.

        Args:
            X: samples, (n, d).
            y: not looked at.

        Returns:
            The fitted transformer.

        Raises:
            ValueError: a parameter or the data cannot be used.
        """
        call = type(self).__name__
        checks.choice(call, "basis", self.basis, BASES)
        checks.whole(call, "degree", self.degree, least=1)
        X = self._table("fit", X, reset=True)
        if self.interval is not None:
            checks.finite(call, "interval", self.interval, (2,))
        low, high = (X.min(axis=0), X.max(axis=0)) if self.interval is None else self.interval
        self.low_, self.high_ = (np.broadcast_to(np.asarray(a, float), X.shape[1]).copy() for a in (low, high))
        if self.interval is not None and not self.interval[0] < self.interval[1]:
            raise ValueError(f"{call}(interval={self.interval}): needs low < high. Swap or widen them.")
        return self

    def transform(self, X: Any) -> Float[np.ndarray, "n q"]:
        """The functions at new rows; outside the interval they are continued.

        Args:
            X: rows, (n, d).

        Returns:
            Column after column: (n, d degree), for waves (n, 2 d degree).

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        check_is_fitted(self, "low_")
        X = self._table("transform", X, reset=False)
        width = np.where(self.high_ > self.low_, self.high_ - self.low_, 1.0)
        t = np.where(self.high_ > self.low_, 2 * (X - self.low_) / width - 1, X - self.low_)  # constant: 0
        return np.hstack([self._functions(column) for column in t.T])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the functions, such as ``x0_legendre_2`` or ``x0_sin_2``.

        Args:
            input_features: names of the columns; None for those seen in ``fit``, or ``x0, x1, ...``.

        Returns:
            (number of functions,).
        """
        check_is_fitted(self, "low_")
        known = getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])
        names: Any = known
        if input_features is not None:
            needs = f"input_features needs to be {len(known)} names, those of the fit where it had some. Check them."
            with in_words(f"{type(self).__name__}.get_feature_names_out", needs):
                names = _check_feature_names_in(self, input_features)
        kinds = ("cos", "sin") if self.basis == "fourier" else (self.basis,)
        degrees = range(1, self.degree + 1)
        return np.array([f"{name}_{kind}_{j}" for name in names for kind in kinds for j in degrees], object)

    def _functions(self, t: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n q"]:
        if self.basis == "fourier":
            angles = np.pi * np.outer(t, np.arange(1, self.degree + 1))
            return np.hstack([np.cos(angles), np.sin(angles)])
        return _POLYNOMIALS[self.basis](t, self.degree)[:, 1:]

    def _table(self, method: str, X: Any, *, reset: bool) -> Float[np.ndarray, "n d"]:
        return checked_table(self, f"{type(self).__name__}.{method}", X, reset=reset, dtype=np.float64)
