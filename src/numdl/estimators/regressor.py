"""Point an estimator at smooth data and get a trained, regularised, checked network: nothing to tune.

The network (opening, flow, head) is trained by variable projection and Gauss-Newton; the evidence chooses the penalty
of each group of weights and, where the user leaves them open, width, depth and dynamics; several random starts predict
together. See ``numdl.estimators.plan`` for the order of events and ``numdl.estimators.costs`` for the linear algebra.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

from numdl.data import Scaler
from numdl.estimators.base import ResNetBase, precision
from numdl.estimators.inputs import require_finite, require_varying


class ResNetRegressor(MultiOutputMixin, RegressorMixin, ResNetBase):
    """Residual network for smooth maps, trained by Gauss-Newton and variable projection.

    Minimises ``1/(2n) sum ||W [u_i(T); 1] - c_i||^2 + sum_g alpha_g/2 ||theta_g||^2 + alpha_W/2 ||W||^2`` over
    standardised inputs and targets; every alpha is chosen by the evidence of the Laplace approximation unless given.

    Args:
        width: features m of the flow, or "auto".
        depth: steps of the flow, or "auto"; 0 is a single layer.
        T: final time of the flow; a step has size ``T / depth``.
        dynamics: "plain", "antisymmetric", ... (keys of ``numdl.flow.FIELDS``), or "auto".
        scheme: "euler", "heun", "rk4".
        control: weights "constant" on each step or piecewise "linear" in time.
        smoothness: correlation time of the flow's weights under their prior, in the unit of T; 0 leaves the layers
            independent, more makes weights vary slowly over depth.
        activation: key of ``numdl.flow.ACTIVATIONS``.
        alpha: penalty on all weights of the network, in units of the mean misfit, or "auto".
        alpha_head: penalty on the head, or "auto".
        solver: "auto", "dense" or "matrix-free" Gauss-Newton.
        max_iter: iterations of each start at most.
        tol: stop when ten iterations raise the log evidence by less than tol nats per observed number; 0 never stops.
        n_restarts: random starts that predict together; "auto" is 8 where a step is cheap, else 4 or 2.
        time_budget: seconds for the whole fit, looked at between steps, so that compiling the first one (some
            seconds) may exceed it; None for no limit. What is best by then is kept.
        dtype: "float64" or "float32".
        memory_budget: bytes for work arrays; blocks of rows are chosen to fit.
        warm_start: start from the weights of the last fit where the architecture is the same.
        checkpoint: file in which an interrupted fit finds its runs again.
        verbose: 0 silent, k prints every k-th iteration.
        random_state: seed, generator or None.

    Attributes:
        members_: networks that predict together, best evidence first.
        architecture_: architecture of the first; the others have it too, or one that the evidence cannot tell from it.
        history_: one array per recorded quantity for the first member.
        status_: why its training ended.
        n_iter_: its number of iterations.
        alpha_: penalty parameter of each group of weights.
        effective_parameters_: number of parameters the data determine, of ``n_parameters_``.
        log_evidence_: in nats.
        search_: every run with its evidence.
        solver_: linear algebra that was chosen.

    Sources: Newman, Chung, Chung, Ruthotto (2022); MacKay (1992); Foresee and Hagan (1997).
    """

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
        from numdl.estimators.uncertainty import predictive_std

        with precision(x.dtype):
            std = predictive_std(self.members_, x, scores)
        return mean, self._shape(std * self._target_scaler.scale)

    def _shape(self, values: np.ndarray) -> np.ndarray:
        return values[:, 0] if self._flat else values

    def _loss(self, k: int) -> str:
        return "least_squares"

    def _targets(self, call: str, y: Any) -> np.ndarray:
        try:
            y = np.asarray(y, np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"{call}: y holds text, a regressor needs numbers. Use ResNetClassifier for labels."
            ) from None
        self._flat = y.ndim == 1
        return y.reshape(len(y), -1)

    def _scale_targets(self, c: np.ndarray, weights: np.ndarray) -> np.ndarray:
        self._target_scaler = Scaler.fit(c, weights)
        return self._target_scaler.transform(c)

    def _require_targets(self, call: str, c: np.ndarray) -> None:
        require_varying(call, c)

    def _encode(self, call: str, y: np.ndarray) -> np.ndarray:
        y = np.asarray(y, np.float64)
        require_finite(call, "y_val", y)
        return y.reshape(len(y), -1)

    def _encode_scale(self, c: np.ndarray) -> np.ndarray:
        return self._target_scaler.transform(c)
