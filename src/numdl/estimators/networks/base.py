"""Base class of the network estimators.

What do the estimators of networks share: parameters, and the way of the data into a fit?

Data are checked, scaled and handed to ``numdl.estimators.networks.training``; the members that come back predict
together. Regressor and classifier differ in their targets, see the hooks below ``fit``; the families (residual
networks, single layers, multi-layer perceptrons) in ``_search_space``.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.validation import check_is_fitted

from numdl import checks
from numdl.contracts import Status
from numdl.contracts.threads import require_threads
from numdl.data import Scaler
from numdl.estimators.common.intake import checked_table
from numdl.estimators.common.reporting import ReportMixin
from numdl.estimators.common.saving import SaveMixin, require_classes, require_numbers
from numdl.estimators.common.weights import copies_once, raw_weights, relative, typical_noise
from numdl.estimators.networks.ensemble import predict_scores, require_member
from numdl.estimators.networks.settings import Data, check_parameters
from numdl.estimators.networks.training.search_space import SearchSpace
from numdl.estimators.networks.training.training import Fitted, train


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class NetworkBase(Fitted, SaveMixin, ReportMixin, CallbackSupportMixin, BaseEstimator):
    """What regressors and classifiers of all families share.

    A dataclass, so that a family declares only the parameters that it adds; scikit-learn finds them all in the
    signature of ``__init__``.
    """

    activation: str = "tanh"
    alpha: float | str = "auto"
    alpha_head: float | str = "auto"
    solver: str = "auto"
    max_iter: int = 200
    tol: float = 1e-3
    n_restarts: int | str = "auto"
    time_budget: float | None = None
    dtype: str = "float64"
    memory_budget: int = 2**31
    warm_start: bool = False
    checkpoint: str | Path | None = None
    verbose: int = 0
    random_state: Any = None

    _label: ClassVar[str] = "numdl network"

    _keeps: ClassVar[bool] = False
    """Whether the checkpoint stays when the fit is done, for a caller that removes it when the model is stored."""

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        observe: Callable[[dict[str, Any]], None] | None = None,
        mesh: jax.sharding.Mesh | None = None,
    ) -> Self:
        """Train on ``X (n, d)`` and ``y``.

        Args:
            X: samples, (n, d), numbers; a pandas or polars frame keeps its column names.
            y: targets, (n,) or (n, k), or class labels, (n,).
            sample_weight: relative weights of the rows, such as ``1 / sigma^2``, (n,), not negative.
            X_val: rows to watch, (v, d); they change nothing in the result.
            y_val: their targets.
            observe: called after each iteration with a dict of its numbers.
            mesh: devices among which the rows are divided, along its axis ``"data"``; None for the default device.
                They may belong to several processes, if each of them makes the same call with all rows. The result is
                the same but for rounding.

        Returns:
            The fitted estimator. Ctrl-C ends the fit with the best model so far and ``status_.code = "interrupted"``.

        Raises:
            ValueError: a parameter or the data cannot be used; the message names the column and row.
        """
        call = f"{type(self).__name__}.fit"
        check_parameters(self)
        checks.mesh(call, mesh)
        if observe is not None:
            checks.function(call, "observe", observe, "dict -> None")
        X, y = checked_table(self, call, X, y, y_numeric=False, ensure_min_samples=1)
        c = self._targets(call, y)
        weights, robust = self._without_gross_errors(call, X, c, self._weights(call, sample_weight, X, y, c))
        used = weights > 0
        X, c, weights = X[used], c[used], weights[used]
        self._require_targets(call, c)
        dtype = np.dtype(self.dtype)
        self._scaler = Scaler.fit(X, weights, tails="auto")
        x, c = self._scaler.scaled(X).astype(dtype), self._scale_targets(c, weights).astype(dtype)
        held_out = self._validation(call, X_val, y_val, c.shape[1], dtype)
        mean_one = (weights / weights.mean()).astype(dtype)
        data = Data(x, c, mean_one, float(weights.sum()), *held_out, typical=typical_noise(weights))
        with precision(dtype):
            train(self, data, observe, mesh)
        if robust is not None:
            self.status_ = Status(self.status_.code, f"{self.status_.message} {robust.message}")
        return self

    def _targets(self, call: str, y: Any) -> np.ndarray:
        """Targets as the network sees them before scaling, (n, k)."""
        raise NotImplementedError

    def _require_targets(self, call: str, c: np.ndarray) -> None:
        """Refuse targets of the rows that count from which nothing can be learned."""
        raise NotImplementedError

    def _scale_targets(self, c: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Fit the scaling of the targets and apply it."""
        raise NotImplementedError

    def _encode(self, call: str, y: Any, n: int) -> np.ndarray:
        """Targets of other rows, as ``_targets`` made those of the training rows."""
        raise NotImplementedError

    def _encode_scale(self, c: np.ndarray) -> np.ndarray:
        """Apply the scaling of the targets."""
        raise NotImplementedError

    def _loss(self, k: int) -> str:
        """Name of the loss for k outputs."""
        raise NotImplementedError

    def _search_space(self) -> SearchSpace:
        """Networks that the parameters leave open."""
        raise NotImplementedError

    def _weights(self, call: str, sample_weight: Any, X: np.ndarray, y: Any, c: np.ndarray) -> np.ndarray:
        return relative(copies_once(raw_weights(call, sample_weight, X), X, c))

    def _without_gross_errors(
        self, call: str, X: np.ndarray, c: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, Any]:
        """Weights of the rows without gross errors of the targets, and what was found; None where nobody asked."""
        return weights, None

    def _validation(self, call: str, X_val: Any, y_val: Any, k: int, dtype: np.dtype) -> tuple[Any, Any]:
        if X_val is None or y_val is None:
            if X_val is not None or y_val is not None:
                raise ValueError(f"{call}: X_val and y_val belong together. Give both, or neither.")
            return None, None
        X_val = self._inputs(f"{call}(X_val)", X_val)
        c = self._encode(call, y_val, len(X_val))
        if c.shape[1] != k:
            raise ValueError(f"{call}: y_val has {c.shape[1]} targets, y has {k}. Give the same columns.")
        return self._scaler.scaled(X_val).astype(dtype), self._encode_scale(c).astype(dtype)

    def _inputs(self, call: str, X: Any) -> np.ndarray:
        return checked_table(self, call, X, reset=False)

    def _scaled(self, X: Any, call: str) -> np.ndarray:
        """Checked rows as the network sees them, (n, d)."""
        check_is_fitted(self, "members_")
        return self._scaler.scaled(self._inputs(f"{type(self).__name__}.{call}", X)).astype(self.dtype)

    def _member_scores(self, x: np.ndarray) -> np.ndarray:
        """Scores of each member for scaled rows, (members, n, k)."""
        with precision(x.dtype):
            return np.stack([predict_scores(member, x) for member in self.members_]).astype(float)

    def _require_sound(self) -> None:
        """By the shapes of the networks and in NumPy: compiling a network takes longer than reading its file."""
        check_parameters(self)
        scaler, dtype = self._scaler, np.dtype(self.dtype)
        d, inputs = len(scaler.center), self.n_features_in_  # type: ignore[attr-defined]
        if inputs != d or type(inputs) is not int:
            raise ValueError(f"{inputs!r} inputs, and a scaling of {d}")
        regression = not hasattr(self, "classes_")
        k = len(self._target_scaler.center if regression else self.classes_)  # type: ignore[attr-defined]
        if regression:
            require_numbers([self._target_scaler.inverse(np.zeros((1, k)))], k)  # type: ignore[attr-defined]
        else:
            require_classes(self.classes_)  # type: ignore[attr-defined]
        if scaler.transform(scaler.center[None]).shape != (1, d) or not self.members_:
            raise ValueError("a scaling of other inputs, or no members")
        with precision(dtype):
            for member in self.members_:
                scores = 1 if k == 2 and not regression else k  # two classes share one score
                require_member(member, d, scores, std=regression, dtype=dtype)
        self._formula(std=False)

    def _facts(self) -> dict[str, str]:
        net, count = self.architecture_, len(self.members_)
        names = " and ".join(dict.fromkeys(member.net.title for member in self.members_))
        return {
            "Network": f"{names}; {count} network{'s' * (count > 1)}",
            **net.facts,
            "Inputs": str(self._scaler.center.size),
            "Parameters": f"{self.n_parameters_:,} each, {self.effective_dof_:.4g} effective",
            "Solver": str(self.solver_),
            "Networks tried": ", ".join(dict.fromkeys(row["network"] for row in self.search_)),
            "Iterations": str(self.n_iter_),
            "Seconds": f"{self.seconds_:.1f}",
        }

    def _record(self) -> dict[str, Any]:
        member = self.members_[0]
        layers = {name: np.asarray(a) for name, a in member.net.layers(member.theta).items()}
        return {
            "history": self.history_,
            "n_parameters": int(self.n_parameters_),
            "weights": {name: values for name, values in layers.items() if values.size},
        }


def precision(dtype: np.dtype) -> Any:
    """Local float64 arithmetic; the global configuration of JAX is left alone."""
    require_threads("numdl")
    return jax.enable_x64(True) if dtype == np.float64 else contextlib.nullcontext()
