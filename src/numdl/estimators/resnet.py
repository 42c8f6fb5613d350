"""Point an estimator at data and get a trained, regularised, checked network: nothing to tune.

The network (opening, flow, head) is trained by variable projection and Gauss-Newton; the evidence chooses the penalty
of each group of weights and, where the user leaves them open, width, depth and dynamics; several random starts predict
together. See ``numdl.estimators.plan`` for the order of events and ``numdl.estimators.costs`` for the linear algebra.
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
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from numdl.contracts import Status
from numdl.data import Scaler
from numdl.estimators.checkpoint import Checkpoint, fingerprint
from numdl.estimators.inputs import (
    require_choice,
    require_finite,
    require_finite_targets,
    require_number,
    require_varying,
    shown,
)
from numdl.estimators.members import member_of, predict_scores
from numdl.estimators.plan import Architecture, carry_out, search_table
from numdl.estimators.runs import Trainer
from numdl.estimators.settings import Data, Settings
from numdl.flow import ACTIVATIONS, FIELDS, SCHEMES


class _ResNet(CallbackSupportMixin, BaseEstimator):
    """What regressor and classifier share."""

    def __init__(
        self,
        width: int | str = "auto",
        depth: int | str = "auto",
        T: float = 1.0,
        dynamics: str = "auto",
        scheme: str = "euler",
        control: str = "constant",
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
        self._check_parameters(type(self).__name__)
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
        with _precision(dtype):
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
        stop = []

        def watch(record: dict[str, Any]) -> None:
            if observe is not None:
                observe(record)
            if self.verbose:
                _print(record, self.verbose)
            task = context.subcontext(task_name="iteration").call_on_fit_task_begin(estimator=self)
            if task.call_on_fit_task_end(estimator=self, metadata=record):
                stop.append(True)
                trainer.interrupted = True

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
        self._describe(trainer, runs[0])
        context.call_on_fit_task_end(estimator=self)
        if self.status_.code == "max_iter":
            warnings.warn(
                f"{type(self).__name__}: {self.status_.message} The fit may improve further: raise max_iter.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _describe(self, trainer: Trainer, best: Any) -> None:
        """Fitted attributes that tell what happened."""
        member = self.members_[0]
        self.architecture_ = best.net
        self.status_ = best.result.status
        if trainer.interrupted:
            self.status_ = Status(
                "interrupted", f"Interrupted after {trainer.elapsed:.0f} s; the best network is kept."
            )
        elif trainer.out_of_time:
            self.status_ = Status("time_budget", f"Stopped after {trainer.elapsed:.0f} s, the time that was given.")
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
            activation=self.activation,
        )

    def _fingerprint(self, data: Data) -> str:
        ignored = ("verbose", "checkpoint", "time_budget", "warm_start")
        parameters = {name: value for name, value in self.get_params().items() if name not in ignored}
        if not isinstance(self.random_state, int | np.integer):  # the file's own seed is used
            parameters["random_state"] = None
        parameters |= {"class": type(self).__name__, "total": data.total}
        return fingerprint(parameters, data.x, data.c, data.w, data.x_val, data.c_val)

    def _check_parameters(self, call: str) -> None:
        """Refuse parameters out of range, before the data are looked at."""
        for name, least in (("width", 1), ("depth", 0), ("n_restarts", 1)):
            if getattr(self, name) != "auto":
                require_number(call, name, getattr(self, name), least=least, whole=True)
        for name in ("alpha", "alpha_head"):
            if getattr(self, name) != "auto":
                require_number(call, name, getattr(self, name), least=0, strict=True)
        require_number(call, "T", self.T, least=0, strict=True)
        require_number(call, "max_iter", self.max_iter, least=1, whole=True)
        require_number(call, "tol", self.tol, least=0)
        require_number(call, "memory_budget", self.memory_budget, least=2**20)
        if self.time_budget is not None:
            require_number(call, "time_budget", self.time_budget, least=0, strict=True)
        require_choice(call, "dynamics", self.dynamics, ("auto", *FIELDS))
        require_choice(call, "scheme", self.scheme, tuple(SCHEMES))
        require_choice(call, "control", self.control, ("constant", "linear"))
        require_choice(call, "activation", self.activation, tuple(ACTIVATIONS))
        require_choice(call, "solver", self.solver, ("auto", "dense", "matrix-free"))
        require_choice(call, "dtype", self.dtype, ("float64", "float32"))

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

    def _member_scores(self, X: Any, call: str) -> np.ndarray:
        """Scores of each member, (members, n, k)."""
        check_is_fitted(self, "members_")
        x = self._scaler.transform(self._inputs(f"{type(self).__name__}.{call}", X))
        with _precision(np.dtype(self.dtype)):
            return np.stack([predict_scores(member, x.astype(self.dtype)) for member in self.members_]).astype(float)

    def _state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        from numdl.estimators.state import pack

        check_is_fitted(self, "members_")
        return pack(self)

    @classmethod
    def _from_state(cls, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Self:
        from numdl.estimators.state import unpack

        return unpack(cls(), arrays, header)

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to one file, atomically.

        Args:
            path: of the file; its folder must exist.
        """
        from numdl.io import save

        save(self, path)

    def summary(self, X: Any = None, y: Any = None, *, title: str | None = None, **facts: Any) -> Any:
        """What a report shows, as plain arrays.

        Args:
            X: held-out rows, (n, d); None leaves out everything that needs rows.
            y: their targets.
            title: heading.
            **facts: more fields of ``numdl.report.FitSummary``.

        Returns:
            ``numdl.report.FitSummary``.
        """
        from numdl.estimators.summary import summarize

        check_is_fitted(self, "members_")
        return summarize(self, X, y, title=title, **facts)

    def report(self, path: str | Path, X: Any = None, y: Any = None, *, title: str | None = None) -> None:
        """Write one self-contained HTML page about the fit.

        Args:
            path: of the page.
            X: rows to judge the fit by, (n, d); best rows that were not trained on.
            y: their targets.
            title: heading.
        """
        from numdl.report import write_page

        write_page(self.summary(X, y, title=title), path)


class ResNetRegressor(MultiOutputMixin, RegressorMixin, _ResNet):
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
        activation: key of ``numdl.flow.ACTIVATIONS``.
        alpha: penalty on all weights of the network, in units of the mean misfit, or "auto".
        alpha_head: penalty on the head, or "auto".
        solver: "auto", "dense" or "matrix-free" Gauss-Newton.
        max_iter: iterations of each start at most.
        tol: stop when ten iterations raise the log evidence by less than tol nats per observed number; 0 never stops.
        n_restarts: random starts that predict together; "auto" is 8 where a step is cheap, else 4 or 2.
        time_budget: seconds for the whole fit; None for no limit. What is best by then is kept.
        dtype: "float64" or "float32".
        memory_budget: bytes for work arrays; blocks of rows are chosen to fit.
        warm_start: start from the weights of the last fit where the architecture is the same.
        checkpoint: file in which an interrupted fit finds its runs again.
        verbose: 0 silent, k prints every k-th iteration.
        random_state: seed, generator or None.

    Attributes:
        members_: networks that predict together, best evidence first.
        architecture_: their architecture.
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
        scores = self._member_scores(X, "predict")
        mean = self._shape(self._target_scaler.inverse(scores.mean(axis=0)))
        if not return_std:
            return mean
        from numdl.estimators.uncertainty import predictive_std

        x = self._scaler.transform(self._inputs(f"{type(self).__name__}.predict", X)).astype(self.dtype)
        with _precision(np.dtype(self.dtype)):
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


class ResNetClassifier(ClassifierMixin, _ResNet):
    """Residual network for classes, trained by Gauss-Newton and variable projection on the cross entropy.

    Same parameters and attributes as ``ResNetRegressor``; two classes use the logistic loss, more the softmax loss. The
    probabilities of the members are averaged.

    Attributes:
        classes_: labels in sorted order.
    """

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, (n, classes).

        Args:
            X: rows, (n, d).

        Returns:
            Rows that sum to 1, columns in the order of ``classes_``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        from scipy.special import expit, softmax

        scores = self._member_scores(X, "predict_proba")
        if scores.shape[2] == 1:
            positive = expit(scores[:, :, 0]).mean(axis=0)
            return np.stack([1 - positive, positive], axis=1)
        return softmax(scores, axis=2).mean(axis=0)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable labels, (n,).

        Args:
            X: rows, (n, d).

        Returns:
            Labels of the type given to ``fit``.

        Raises:
            ValueError: wrong columns, or entries that are not finite.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[np.argmax(probabilities, axis=1)]

    def _loss(self, k: int) -> str:
        return "logistic" if k == 1 else "softmax"

    def _targets(self, call: str, y: Any) -> np.ndarray:
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            from sklearn.utils.validation import column_or_1d

            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if y.ndim != 1:
            raise ValueError(f"{call}: y has shape {y.shape}, needs (n,): one label per row. Fit one model per column.")
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{call}: y holds one class only ({shown(self.classes_[0])}), needs at least two classes.")
        return self._one_hot(codes)

    def _require_targets(self, call: str, c: np.ndarray) -> None:
        if (c == c[0]).all():  # a class of several may have weight 0
            raise ValueError(
                f"{call}: all rows of positive weight belong to one class, needs at least two classes. Give a positive "
                "weight to rows of another class."
            )

    def _one_hot(self, codes: np.ndarray) -> np.ndarray:
        if len(self.classes_) == 2:
            return codes.astype(np.float64)[:, None]
        return np.eye(len(self.classes_))[codes]

    def _scale_targets(self, c: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return c

    def _encode(self, call: str, y: np.ndarray) -> np.ndarray:
        unknown = ~np.isin(y, self.classes_)
        if unknown.any():
            raise ValueError(f"{call}: y_val holds {shown(y[unknown][0])}, which is no class of y. Drop these rows.")
        return self._one_hot(np.searchsorted(self.classes_, y))

    def _encode_scale(self, c: np.ndarray) -> np.ndarray:
        return c


def _precision(dtype: np.dtype) -> Any:
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
