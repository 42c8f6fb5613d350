"""What do the estimators share: parameters, the way of the data into a fit, and what is kept of it?

Data are checked, scaled and handed to ``numdl.estimators.plan``; its members predict together. Regressor and
classifier differ in their targets only, see the hooks below ``fit``.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from numdl.contracts import Status
from numdl.data import Scaler
from numdl.estimators.checkpoint import Checkpoint, fingerprint
from numdl.estimators.inputs import require_finite, require_finite_targets
from numdl.estimators.kept import Kept
from numdl.estimators.members import member_of, predict_scores
from numdl.estimators.parameters import check_parameters
from numdl.estimators.plan import Architecture, carry_out, search_table
from numdl.estimators.runs import Trainer
from numdl.estimators.settings import Data, Settings


class ResNetBase(Kept, CallbackSupportMixin, BaseEstimator):
    """What regressor and classifier share."""

    def __init__(
        self,
        width: int | str = "auto",
        depth: int | str = "auto",
        T: float = 1.0,
        dynamics: str = "auto",
        scheme: str = "euler",
        control: str = "constant",
        smoothness: float = 0.0,
        activation: str = "tanh",
        alpha: float | str = "auto",
        alpha_head: float | str = "auto",
        solver: str = "auto",
        max_iter: int = 200,
        tol: float = 1e-3,
        n_restarts: int | str = "auto",
        time_budget: float | None = None,
        dtype: str = "float64",
        memory_budget: int = 2**31,
        warm_start: bool = False,
        checkpoint: str | Path | None = None,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.width = width
        self.depth = depth
        self.T = T
        self.dynamics = dynamics
        self.scheme = scheme
        self.control = control
        self.smoothness = smoothness
        self.activation = activation
        self.alpha = alpha
        self.alpha_head = alpha_head
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_restarts = n_restarts
        self.time_budget = time_budget
        self.dtype = dtype
        self.memory_budget = memory_budget
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.verbose = verbose
        self.random_state = random_state

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
    ) -> Self:
        """Train on ``X (n, d)`` and ``y``.

        Args:
            X: samples, (n, d), numbers; a pandas or polars frame keeps its column names.
            y: targets, (n,) or (n, k), or class labels, (n,).
            sample_weight: how many observations each row stands for, (n,), not negative.
            X_val: rows to watch, (v, d); they change nothing in the result.
            y_val: their targets.
            observe: called after each iteration with a dict of its numbers.

        Returns:
            The fitted estimator. Ctrl-C ends the fit with the best model so far and ``status_.code = "interrupted"``.

        Raises:
            ValueError: a parameter or the data cannot be used; the message names the column and row.
        """
        call = f"{type(self).__name__}.fit"
        check_parameters(self)
        require_finite_targets(call, y)
        X, y = validate_data(
            self,
            X,
            y,
            dtype="numeric",
            multi_output=True,
            y_numeric=False,
            ensure_all_finite=False,
            ensure_min_samples=1,
        )
        X = np.asarray(X, np.float64)
        require_finite(call, "X", X, getattr(self, "feature_names_in_", None))
        c = self._targets(call, y)
        weights = self._weights(call, sample_weight, X)
        used = weights > 0
        X, c, weights = X[used], c[used], weights[used]
        self._require_targets(call, c)
        dtype = np.dtype(self.dtype)
        self._scaler = Scaler.fit(X, weights, tails="auto")
        x, c = self._scaler.transform(X).astype(dtype), self._scale_targets(c, weights).astype(dtype)
        held_out = self._validation(call, X_val, y_val, c.shape[1], dtype)
        data = Data(x, c, (weights / weights.mean()).astype(dtype), float(weights.sum()), *held_out)
        with precision(dtype):
            self._train(data, observe)
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

    def _encode(self, call: str, y: np.ndarray) -> np.ndarray:
        """Targets of other rows, as ``_targets`` made those of the training rows."""
        raise NotImplementedError

    def _encode_scale(self, c: np.ndarray) -> np.ndarray:
        """Apply the scaling of the targets."""
        raise NotImplementedError

    def _loss(self, k: int) -> str:
        """Name of the loss for k outputs."""
        raise NotImplementedError

    def _train(self, data: Data, observe: Callable[[dict[str, Any]], None] | None) -> None:
        """Carry out the plan and keep its members."""
        began = time.perf_counter()
        seed = int(check_random_state(self.random_state).randint(2**31 - 2**10))
        checkpoint = None
        if self.checkpoint is not None:
            checkpoint = Checkpoint(self.checkpoint, self._fingerprint(data), seed)
            stored = checkpoint.stored_seed()
            checkpoint.seed = seed = seed if stored is None else stored
        n = len(data.x)
        order = np.random.default_rng(seed).permutation(n) if n > 1000 else np.arange(n)
        data = data._replace(x=data.x[order], c=data.c[order], w=data.w[order])
        context = self._init_callback_context(max_subtasks=None)  # pyright: ignore[reportArgumentType]
        context.call_on_fit_task_begin(estimator=self)
        stopped_by = "Ctrl-C came"

        def watch(record: dict[str, Any]) -> None:
            nonlocal stopped_by
            if observe is not None:
                observe(record)
            if self.verbose:
                _print(record, self.verbose)
            task = context.subcontext(task_name="iteration").call_on_fit_task_begin(estimator=self)
            if task.call_on_fit_task_end(estimator=self, metadata=record):
                stopped_by, trainer.interrupted = "A callback ended the fit", True

        trainer = Trainer(
            data,
            Settings(
                loss=self._loss(data.c.shape[1]),
                max_iter=self.max_iter,
                tol=self.tol,
                alpha=None if self.alpha == "auto" else float(self.alpha),
                alpha_head=None if self.alpha_head == "auto" else float(self.alpha_head),
                solver=self.solver,
                memory_budget=self.memory_budget,
            ),
            deadline=None if self.time_budget is None else began + self.time_budget,
            observe=watch,
            store=checkpoint.store if checkpoint else None,
        )
        if checkpoint is not None:
            checkpoint.restore(trainer)
        self._warm(trainer, seed)
        restarts = None if self.n_restarts == "auto" else int(self.n_restarts)
        runs = carry_out(trainer, self._architecture(), data.x.shape[1], restarts, seed)
        if checkpoint is not None:
            checkpoint.store(trainer, force=True) if trainer.out_of_time else checkpoint.remove()
        self.members_ = [member_of(run, data if trainer.squares else None) for run in runs]
        self._describe(trainer, runs[0], stopped_by)
        context.call_on_fit_task_end(estimator=self)
        if self.status_.code == "max_iter":
            warnings.warn(
                f"{type(self).__name__}: {self.status_.message} The fit may improve further: raise max_iter.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _describe(self, trainer: Trainer, best: Any, stopped_by: str) -> None:
        """Fitted attributes that tell what happened."""
        member = self.members_[0]
        self.architecture_ = best.net
        self.status_ = best.result.status
        if trainer.interrupted:
            message = f"{stopped_by} after {trainer.elapsed:.0f} s; the best network is kept."
            self.status_ = Status("interrupted", message)
        elif trainer.out_of_time:
            message = f"Stopped after {trainer.elapsed:.1f} s; {self.time_budget:g} s were given."
            self.status_ = Status("time_budget", message)
        self.history_ = {name: np.asarray(column) for name, column in best.progress.history.items()}
        self.n_iter_ = max(best.progress.iteration, 1)
        self.n_parameters_ = best.net.n_parameters + member.head.size
        self.alpha_ = dict(member.alphas)
        self.log_evidence_ = float(best.score)
        at = min(best.progress.best.iteration, best.progress.iteration - 1)
        self.effective_parameters_ = float(self.history_["effective_parameters"][at]) if self.history_ else np.nan
        self.solver_ = best.algebra.text
        self.search_ = search_table(trainer)
        self.seconds_ = trainer.elapsed

    def _warm(self, trainer: Trainer, seed: int) -> None:
        """Hook of ``warm_start``: the members of the last fit are the starts of this one."""
        if self.warm_start and hasattr(self, "members_"):
            for member in self.members_:
                turn = sum(net == member.net for net, _ in trainer.weights)
                trainer.weights[member.net, seed + turn] = member.theta

    def _architecture(self) -> Architecture:
        return Architecture(
            width=None if self.width == "auto" else int(self.width),
            depth=None if self.depth == "auto" else int(self.depth),
            dynamics=None if self.dynamics == "auto" else self.dynamics,
            T=float(self.T),
            scheme=self.scheme,
            control=self.control,
            smoothness=float(self.smoothness),
            activation=self.activation,
        )

    def _fingerprint(self, data: Data) -> str:
        # None of these changes the way of a run, only how far it goes.
        ignored = ("verbose", "checkpoint", "time_budget", "max_iter", "warm_start")
        parameters = {name: value for name, value in self.get_params().items() if name not in ignored}
        if not isinstance(self.random_state, int | np.integer):  # the file's own seed is used
            parameters["random_state"] = None
        parameters |= {"class": type(self).__name__, "total": data.total}
        return fingerprint(parameters, data.x, data.c, data.w, data.x_val, data.c_val)

    def _weights(self, call: str, sample_weight: Any, X: np.ndarray) -> np.ndarray:
        return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)

    def _validation(self, call: str, X_val: Any, y_val: Any, k: int, dtype: np.dtype) -> tuple[Any, Any]:
        if X_val is None or y_val is None:
            if X_val is not None or y_val is not None:
                raise ValueError(f"{call}: X_val and y_val belong together. Give both, or neither.")
            return None, None
        X_val = self._inputs(f"{call}(X_val)", X_val)
        c = self._encode(call, np.asarray(y_val))
        if c.shape[1] != k:
            raise ValueError(f"{call}: y_val has {c.shape[1]} targets, y has {k}. Give the same columns.")
        if len(c) != len(X_val):
            raise ValueError(f"{call}: X_val has {len(X_val)} rows and y_val {len(c)}. Give one target per row.")
        return self._scaler.transform(X_val).astype(dtype), self._encode_scale(c).astype(dtype)

    def _inputs(self, call: str, X: Any) -> np.ndarray:
        X = validate_data(self, X, reset=False, dtype="numeric", ensure_all_finite=False)
        X = np.asarray(X, np.float64)
        require_finite(call, "X", X, getattr(self, "feature_names_in_", None))
        return X

    def _scaled(self, X: Any, call: str) -> np.ndarray:
        """Checked rows as the network sees them, (n, d)."""
        check_is_fitted(self, "members_")
        return self._scaler.transform(self._inputs(f"{type(self).__name__}.{call}", X)).astype(self.dtype)

    def _member_scores(self, x: np.ndarray) -> np.ndarray:
        """Scores of each member for scaled rows, (members, n, k)."""
        with precision(x.dtype):
            return np.stack([predict_scores(member, x) for member in self.members_]).astype(float)

    def _state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        from numdl.estimators.state import pack

        check_is_fitted(self, "members_")
        return pack(self)

    @classmethod
    def _from_state(cls, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Self:
        from numdl.estimators.state import unpack

        return unpack(cls(), arrays, header)

    def _summarize(self, X: Any, y: Any, **fields: Any) -> Any:
        from numdl.estimators.summary import summarize

        return summarize(self, X, y, **fields)


def precision(dtype: np.dtype) -> Any:
    """Local float64 arithmetic; the global configuration of JAX is left alone."""
    return jax.enable_x64(True) if dtype == np.float64 else contextlib.nullcontext()


def _print(record: dict[str, Any], every: int) -> None:
    if record["iteration"] % every == 0:
        print(
            f"{record['phase']}: iteration {record['iteration']}, objective {record['objective']:.4g}, "
            f"train error {record['train_error']:.4g}, log evidence {record['log_evidence']:.6g}, "
            f"{record['seconds']:.1f} s",
            flush=True,
        )
