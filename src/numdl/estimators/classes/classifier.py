"""Classification that chooses its model: linear, Gaussian processes or trees, by left-out rows, stacked, calibrated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from numdl import checks
from numdl.contracts import Status
from numdl.data.table.copies import first_copies
from numdl.estimators.classes.member import ClassMixture, log_probabilities
from numdl.estimators.classes.mixing import weighed
from numdl.estimators.classes.search import Classes, Judged, candidates
from numdl.estimators.classes.softmax import LeftOut, shares
from numdl.estimators.classes.worth import BOOSTED, KINDS, MARGIN, trees
from numdl.estimators.common.intake import (
    checked_table,
    encode_labels,
    generator,
    require_classes,
    require_near,
)
from numdl.estimators.common.probabilities import LogProbabilities
from numdl.estimators.common.region import RegionMixin
from numdl.estimators.common.reporting import ReportMixin
from numdl.estimators.common.saving import SaveMixin
from numdl.estimators.common.weights import of_mean_one, raw_weights, relative, with_class_weight
from numdl.estimators.kernels.base import UNSETTLED
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.mixture import few_threads
from numdl.estimators.kernels.tables import gather
from numdl.report.calibration import certainty_groups

LARGEST = 20_000
"""Different rows that are used at most."""

TREES = (*(kind.name for kind in KINDS), BOOSTED)
"""Names of members that are forests."""


class AutoClassifier(LogProbabilities, SaveMixin, ReportMixin, RegionMixin, ClassifierMixin, BaseEstimator):
    """Class probabilities that are as certain as left-out rows allow: linear, Gaussian processes, trees, or several.

    Candidates are multinomial logistic regression and Gaussian processes with a length for each input (RBF, Matern 5/2,
    and the kernel of an infinitely wide layer) or one for all, with the softmax likelihood. How strongly each is held,
    what weight it gets and how certain the mixture may be follows from the probability of each row given all others,
    which costs no further fit; of logistic regression, in ten folds; of a forest, by the trees that have not seen it.
    Nothing is compiled: a fit to some hundred rows takes a second or a few.

    Forests of trees, of two or three classes boosted trees too, join them where left-out rows say that they are worth
    it: where classes change in steps along single columns, or where many columns hold next to nothing. Probabilities
    then change in steps too. Where rows are many, only the best two processes see all of them, by least squares on the
    labels where a softmax is not better by far, which takes a tenth of the time.

    Args:
        class_weight: factors on the weights of rows: None, "balanced" for the same total of each class, or a dictionary
            from labels.
        time_budget: seconds at most for the search, or None. The linear candidate is fitted whatever it takes.
        random_state: seed or generator of subsets and draws.

    Attributes:
        classes_: labels in sorted order.
        weights_: weight of each member by name.
        left_out_: mean log probability of a left-out observation in nats by the name of each candidate.
        evidence_: log posterior density of each candidate's hyperparameters for the labels taken for numbers, on at
            most 600 rows; trees have none.
        tree_gain_: share of the left-out log loss that trees take away; they are members from 0.005 on.
        leave_one_out_: log probabilities of the classes for each row given all others, (n, k); by members as they are
            for rows that were not used.
        log_loss_: of the mixture at left-out observations, in nats.
        calibration_error_: mean distance of certainty and frequency of being right there, in groups of equal size.
        temperature_: of the mixture: above 1 it took certainty away.
        mixture_: the members.
        status_: what was found, in a sentence.

    Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, ch. 3; and those of the
    modules of ``numdl.estimators.classes``.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from numdl import AutoClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = AutoClassifier(random_state=0).fit(X[::2], y[::2])
        >>> bool(model.score(X[1::2], y[1::2]) > 0.9)
        True
        >>> model.predict_proba(X[:1]).shape
        (1, 3)
    """

    _label = "numdl auto"
    n_features_in_: int
    feature_names_in_: np.ndarray

    def __init__(self, *, class_weight: Any = None, time_budget: float | None = None, random_state: Any = None) -> None:
        self.class_weight = class_weight
        self.time_budget = time_budget
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, observe: Callable[[dict[str, Any]], object] | None = None
    ) -> Self:
        """Choose members, how strongly they are held, and how certain they may be.

        Args:
            X: samples, (n, d).
            y: labels, (n,).
            sample_weight: relative weight of each row, (n,), not negative; a factor on all of them changes nothing.
            observe: called with a dictionary before each part of the search: ``phase``, what is tried, and ``seconds``.

        Returns:
            The fitted estimator. Ctrl-C ends the search with what there is, status ``interrupted``.

        Raises:
            ValueError: a parameter or the data cannot be used.
        """
        name = type(self).__name__
        call = f"{name}.fit"
        if self.time_budget is not None:
            checks.number(name, "time_budget", self.time_budget, above=0)
        if observe is not None:
            checks.function(call, "observe", observe, "a dictionary -> anything")
        rng, clock, notes = generator(name, self.random_state), Clock(self.time_budget, observe), []
        X, y = checked_table(self, call, X, y, y_numeric=False)
        self.classes_, codes = encode_labels(call, y)
        given = raw_weights(call, sample_weight, X)
        first = first_copies(given, X, codes[:, None].astype(float))
        weights = relative(np.bincount(first, given, len(X)))
        weights = of_mean_one(with_class_weight(self, weights, y))
        require_classes(call, codes[weights > 0])
        gathered = gather(call, X, np.eye(len(self.classes_))[codes], weights, LARGEST, rng)
        notes += gathered.notes
        self._scaler, self._active, group = gathered.scaler, gathered.active, gathered.group
        used = group >= 0
        c, rows = np.zeros((2, len(gathered.rows[0].x), len(self.classes_)))
        np.add.at(c, (group[used], codes[used]), gathered.weights[used])
        np.add.at(rows, (group[used], codes[used]), 1.0)
        table = Classes(gathered.rows[0].x, c, gathered.box, rows)
        with few_threads(len(table.x)):
            found = candidates(table, rng, notes, clock)
            forests, self.tree_gain_ = trees(table, found, rng, notes, clock)
            cells = clock.insist(lambda: self._mix(table, found, forests))
        clock.insist(lambda: self._leave_out(X, group, codes, cells, found[0].left))
        self.leave_one_out_ = self.leave_one_out_[first]
        code = "converged" if all(one.converged for one in found if one.name in self.weights_) else "max_iter"
        code = "interrupted" if clock.interrupted else "time_budget" if clock.late else code
        self.status_ = Status(code, " ".join([f"Members, weights: {self._names()}.", *notes]))
        if told := " ".join(notes) or UNSETTLED.get(code, ""):
            warnings.warn(f"{name}: {told}", ConvergenceWarning, stacklevel=2)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Most probable labels.

        Args:
            X: rows, (n, d).

        Returns:
            (n,), of the type given to ``fit``.

        Raises:
            NotFittedError: not fitted.
            ValueError: other columns than in the fit, or entries that are not finite.
        """
        log_p = self._log_p(X, "predict")
        return self.classes_[np.argmax(log_p, axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes.

        Args:
            X: rows, (n, d).

        Returns:
            Rows that sum to 1, columns in the order of ``classes_``, (n, k).

        Raises:
            NotFittedError: not fitted.
            ValueError: other columns than in the fit, or entries that are not finite.
        """
        return np.exp(self._log_p(X, "predict_proba"))

    def _log_p(self, X: Any, call: str) -> np.ndarray:
        check_is_fitted(self, "mixture_")
        call = f"{type(self).__name__}.{call}"
        X = checked_table(self, call, X, reset=False)
        x = np.ascontiguousarray(self._scaler.transform(X)[:, self._active])
        require_near(call, x, np.flatnonzero(self._active), getattr(self, "feature_names_in_", None))
        with few_threads(len(self.mixture_.x)):
            return log_probabilities(self.mixture_, x)

    def _mix(self, table: Classes, found: list[Judged], forests: list[Judged]) -> np.ndarray:
        """Members with their weights, and what left-out observations say of them; forests where they are worth it."""
        label, count = found[0].left.label, found[0].left.count
        used = found + forests if self.tree_gain_ >= MARGIN else found
        all_ = weighed([one.left.log_p for one in used], [one.free for one in used], label, count)
        pairs = [(one, w) for one, w in zip(used, all_.weights, strict=True) if w]
        members = [m._replace(weight=float(w) / len(one.members)) for one, w in pairs for m in one.members]
        self.mixture_ = ClassMixture(members, table.x, table.box, shares(table.c), all_.temperature)
        self.temperature_, self.log_loss_ = all_.temperature, all_.loss
        self.weights_ = {one.name: float(w) for one, w in sorted(pairs, key=lambda pair: -pair[1])}
        self.left_out_ = {one.name: one.left.density / float(count.sum()) for one in found + forests}
        self.evidence_ = {one.name: one.evidence for one in found}
        self.calibration_error_ = certainty_groups(np.exp(all_.log_p), label, count).error
        return all_.log_p

    def _leave_out(self, X: np.ndarray, group: np.ndarray, codes: np.ndarray, log_p: np.ndarray, left: LeftOut) -> None:
        """Each row given all others; rows that were not used are predicted."""
        cell = np.full((group.max() + 1, len(self.classes_)), -1)
        cell[left.row, left.label] = np.arange(len(log_p))
        place = np.where(group >= 0, cell[group, codes], -1)
        self.leave_one_out_ = log_p[place]
        if (place < 0).any():
            self.leave_one_out_[place < 0] = self.predict_log_proba(X[place < 0])

    def _names(self) -> str:
        """Members and weights."""
        return ", ".join(f"{name} {100 * weight:.0f} %" for name, weight in self.weights_.items())

    def _trees(self) -> str:
        """Whether trees are members, and why."""
        if not any(name in self.left_out_ for name in TREES):
            return "none grown"
        way = "less" if self.tree_gain_ >= 0 else "more"
        told = f"{100 * abs(self.tree_gain_):.1f} % {way} left-out log loss with them"
        used = any(name in self.weights_ for name in TREES)
        return f"{'members' if used else 'left out'}: {told}, needed are {100 * MARGIN:.1f} % less"

    def _facts(self) -> dict[str, str]:
        ranked = sorted(self.left_out_.items(), key=lambda item: -item[1])
        return {
            "Mixture": f"of {len(self.mixture_.members)}, on {len(self.mixture_.x):,} different rows",
            "Left-out log probability": ", ".join(f"{name} {value:.4f}" for name, value in ranked) + " nats",
            "Left-out log loss": f"{self.log_loss_:.4f} nats, after temperature {self.temperature_:.3g}",
            "Trees": self._trees(),
            "Calibration error": f"{self.calibration_error_:.4f} of left-out rows",
        }

    def _record(self) -> dict[str, Any]:
        return {
            "model": self._label.removeprefix("numdl "),
            "n_parameters": max(self.mixture_.members, key=lambda one: one.weight).n_parameters,
        }
