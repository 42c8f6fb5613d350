"""Base class of random feature estimators.

What do estimators on random features share: parameters, checks, and the drawn map in files?
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from numdl import checks
from numdl.estimators.common.intake import checked_table, require_seed
from numdl.estimators.common.saving import SaveMixin
from numdl.estimators.linear.summary import LinearReportMixin
from numdl.estimators.random_features.feature_map import FeatureMap, draw_map

ACTIVATIONS = ("sine", "tanh", "relu")


class RandomFeaturesBase(SaveMixin, LinearReportMixin, BaseEstimator):
    """What regressor and classifier share; see there for the parameters."""

    width: int
    activation: str
    alpha: float | str
    scale: float | str
    standardize: bool
    random_state: Any
    features_: FeatureMap

    _label = "numdl random features"

    @property
    def _inner(self) -> Any:
        return getattr(self, "softmax_", self)

    def _facts(self) -> dict[str, str]:
        net = self.features_.net
        return {"Features": f"{net.width:,} random, {net.activation}, scale {net.scale:.3g}"} | super()._facts()

    def _check_map_parameters(self) -> None:
        call = type(self).__name__
        checks.whole(call, "width", self.width, least=1)
        checks.choice(call, "activation", self.activation, ACTIVATIONS)
        if isinstance(self.scale, str):
            checks.choice(call, "scale", self.scale, ("auto",))
        else:
            checks.number(call, "scale", self.scale, above=0)
        require_seed(call, self.random_state)

    def _draw(self, X: np.ndarray, c: np.ndarray, weights: np.ndarray) -> None:
        """Set the map and its bandwidth."""
        self.features_ = draw_map(
            X,
            c,
            weights,
            width=int(self.width),
            activation=self.activation,
            scale=self.scale,
            standardize=self.standardize,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
        )
        self.scale_ = self.features_.net.scale

    def _rows(self, X: Any, call: str) -> np.ndarray:
        """Checked rows to predict for."""
        check_is_fitted(self, "features_")
        return checked_table(self, f"{type(self).__name__}.{call}", X, reset=False)
