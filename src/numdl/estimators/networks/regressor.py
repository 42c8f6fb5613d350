"""Network regressors.

What makes regressors of the networks: scaled targets, least squares, and a mean with its deviation?
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

from numdl.data import Scaler
from numdl.estimators.common.intake import require_varying, targets_beside
from numdl.estimators.common.leaving import GradientMixin
from numdl.estimators.common.weights import relative
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.gross import gross_errors
from numdl.estimators.networks.base import NetworkBase, precision


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class NetworkRegressor(GradientMixin, MultiOutputMixin, RegressorMixin, NetworkBase):
    """Networks for smooth maps, whatever their family."""

    loss: str = "squared"

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Targets of new rows.

        Args:
            X: rows, (n, d).
            return_std: whether to return standard deviations too: Laplace approximation of each member, noise, and
                the spread between members.

        Returns:
            (n,) or (n, k) as ``y`` was in ``fit``; with ``return_std`` a pair of such arrays.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        x = self._scaled(X, "predict")
        scores = self._member_scores(x)
        mean = self._shape(self._target_scaler.inverse(scores.mean(axis=0)))
        if not return_std:
            return mean
        from numdl.estimators.networks.ensemble import predictive_std

        with precision(x.dtype):
            std = predictive_std(self.members_, x, scores)
        return mean, self._shape(std * self._target_scaler.scale)

    def _gradient_without_formula(self, X: Any, error: Exception) -> np.ndarray:
        """By JAX."""
        x = self._scaler.transform(X).astype(self.dtype)
        with precision(x.dtype):
            parts = [
                member.head[:, :-1] @ np.asarray(_jacobian(member.net, member.theta, x)) for member in self.members_
            ]
        inner = self._scaler.derivative(X)
        found = np.mean(parts, axis=0) * self._target_scaler.scale[:, None] * inner[:, None, :]
        return found[:, 0] if self._flat else found

    def _shape(self, values: np.ndarray) -> np.ndarray:
        return values[:, 0] if self._flat else values

    def _without_gross_errors(
        self, call: str, X: np.ndarray, c: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, Any]:
        if self.loss == "squared" or not (weights > 0).any():
            return weights, None
        found = gross_errors(call, X, c, weights, np.random.default_rng(0), Clock(self.time_budget))
        return relative(found.held), found

    def _loss(self, k: int) -> str:
        return "least_squares"

    def _targets(self, call: str, y: Any) -> np.ndarray:
        try:
            y = np.asarray(y, np.float64)
        except (TypeError, ValueError):
            other = type(self).__name__.replace("Regressor", "Classifier")
            raise ValueError(f"{call}: y holds text, a regressor needs numbers. Use {other} for labels.") from None
        self._flat = y.ndim == 1
        return y.reshape(len(y), -1)

    def _scale_targets(self, c: np.ndarray, weights: np.ndarray) -> np.ndarray:
        self._target_scaler = Scaler.fit(c, weights)
        return self._target_scaler.scaled(c)

    def _require_targets(self, call: str, c: np.ndarray) -> None:
        require_varying(call, c)

    def _encode(self, call: str, y: Any, n: int) -> np.ndarray:
        return targets_beside(call, "y_val", y, n)

    def _encode_scale(self, c: np.ndarray) -> np.ndarray:
        return self._target_scaler.scaled(c)


@jax.jit(static_argnums=0)
def _jacobian(net: Any, theta: Any, x: Any) -> Any:
    return jax.vmap(jax.jacrev(lambda row: net.features(theta, row)))(x)
