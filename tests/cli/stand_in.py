"""Estimators with the interface of the real ones that fit a straight line at once, for tests of the commands."""

import hashlib
import json

import numpy as np
from sklearn.base import BaseEstimator

from numdl.container import read_container, write_container
from numdl.contracts import Status
from numdl.report import FitSummary


class Net:
    title = "plain 4x1"


class _StandIn(BaseEstimator):
    interrupt_at = None  # iteration at which Ctrl-C comes
    seen = None  # what the last fit was called with
    _keeps = False
    _left_out = ("architecture_", "members_", "checkpoint")

    def __init__(self, max_iter=30, random_state=None, checkpoint=None, time_budget=None, width="auto", **other):
        if width == 0:
            raise ValueError("StandIn(width=0): needs width >= 1. Give a larger width.")
        self.max_iter, self.checkpoint = max_iter, checkpoint
        self.parameters = {"max_iter": max_iter, "random_state": random_state, "width": width, **other}

    def get_params(self, deep=True):
        return self.parameters

    def _start(self, X, y):
        key = hashlib.sha256(X.tobytes() + np.asarray(y).tobytes()).hexdigest() + json.dumps(self.parameters)
        try:
            _, header = read_container(self.checkpoint, kind="checkpoint")
        except FileNotFoundError:
            return 0, key
        if header["key"] != key:
            raise ValueError("checkpoint belongs to a fit with other data or other parameters.")
        return header["iteration"], key

    def fit(self, X, y, *, X_val=None, y_val=None, observe=None):
        type(self).seen = {"X": X, "y": y, "X_val": X_val, "y_val": y_val, "parameters": self.parameters}
        start, key = self._start(X, y)
        self.status_ = Status("converged", "The slope is known.")
        for i in range(start, self.max_iter):
            if i == self.interrupt_at:
                self.status_ = Status("interrupted", f"Interrupted after {i} iterations; the best iterate is kept.")
                break
            record = {"iteration": i + 1, "phase": f"phase {i // 10}", "objective": 1 / (i + 1), "train_error": 0.1}
            record |= {"alpha": 0.01, "damping": 1.0, "seconds": 0.1 * i, "seconds_left": None}
            observe(record | ({} if X_val is None else {"validation_error": 0.2}))
            write_container(self.checkpoint, {}, {"key": key, "iteration": i + 1}, kind="checkpoint")
        self._learn(np.column_stack([X, np.ones(len(X))]), y)
        if self.status_.code == "converged" and not self._keeps:
            import os

            os.unlink(self.checkpoint)
        steps = np.arange(1.0, self.max_iter - start + 1)
        self.history_ = {"seconds": steps / 10, "objective": 1 / steps, "alpha:K": np.full(len(steps), 0.01)}
        self._describe()
        return self

    def _describe(self):
        self.architecture_, self.members_, self.n_parameters_ = Net, [1], self.slope.size
        self.effective_dof_, self.solver_, self.seconds_ = 1.5, "dense", 0.1

    def summary(self, X, y, *, inputs=None):
        c, prediction = self._held_out(X, y)
        return FitSummary(
            title="stand-in",
            task=self.task,
            status=self.status_,
            history=self.history_,
            n_parameters=self.n_parameters_,
            c=c,
            prediction=prediction,
            weights={"K": np.ones((2, 3))},
            class_names=[str(label) for label in getattr(self, "classes_", [])],
            facts={"Scheme": "euler"},
            scores=[{"name": "numdl ResNet", "test": 0.0}],
        )


class ResNetRegressor(_StandIn):
    task = "regression"

    def _learn(self, A, y):
        self.slope = np.linalg.lstsq(A, y, rcond=None)[0]

    def _held_out(self, X, y):
        return y, self.predict(X)

    def predict(self, X, return_std=False):
        mean = np.column_stack([X, np.ones(len(X))]) @ self.slope
        return (mean, np.full(mean.shape, 0.5)) if return_std else mean


class ResNetClassifier(_StandIn):
    task = "classification"

    def _learn(self, A, y):
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.slope = np.linalg.lstsq(A, np.eye(len(self.classes_))[codes], rcond=None)[0]

    def _held_out(self, X, y):
        return np.searchsorted(self.classes_, y), np.searchsorted(self.classes_, self.predict(X))

    def predict_proba(self, X):
        scores = np.exp(np.column_stack([X, np.ones(len(X))]) @ self.slope)
        return scores / scores.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
