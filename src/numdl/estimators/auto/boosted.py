"""Boosted trees as members of a mixture: are they worth their place beside smooth ones?

They are where a target changes in steps along single columns, or in a way of its own for each of a few values that a
column takes: a process smooths that away. Rows of each of five parts are predicted by trees that were grown on the
other parts, and by the other members from all other rows. Weights are those of the mean that errs least there; trees
with less than ``WORTH`` are left out. Left-out rows flatter the other members, whose hyperparameters have seen them,
and trees are grown on fewer rows: both speak against trees.

A few trees of long steps are tried on the first part. Where they bring nothing there, as on smooth targets and in much
noise, nothing else is grown.

Chosen on energy, concrete, yacht, wine, diabetes and six generated tables (three splits each, others than those of
the benchmark): error over that of the other members alone 0.62, 0.91, 1, 0.98, 1 there, 0.80 and 0.85 with steps, 1
on smooth tables. Half the step and twice the trees: the same at twice the cost; twice the trees: energy 0.95 of that.
Forests beside them: wine 0.97 instead of 0.98, else nothing. Weights below a tenth: up to 1.2 on yacht.

Sources: Wolpert, Stacked generalization, Neural Networks 5, 1992; Breiman, Stacked regressions, Machine Learning 24,
1996.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import Rows
from numdl.estimators.kernels.mixture import Mixture, simplex
from numdl.estimators.kernels.search import Search, part
from numdl.estimators.kernels.vecchia import stretch
from numdl.estimators.trees.boost import STEP, affordable, as_forest, boost
from numdl.estimators.trees.forest import Forest

FEWEST = 150
"""Rows below which none are grown."""

SMOOTH = 0.01
"""Error of the other members, over the deviation of the target, below which none are grown."""

TREES, EACH, FOLDS = 800, 20, 5
"""Trees, twice as many where the last still help; steps in which their best number is sought; parts of the rows."""

MANY, MOST = 10_000, 100_000
"""Rows from which on there are two parts, and rows at most on which trees are grown."""

TRIED, LONG, PROMISING = 160, 0.3, 0.05
"""Trees that are tried first, their steps, and the weight on the first parts from which others follow."""

WORTH = 0.1
"""Weight below which they are left out."""


class Boosted(NamedTuple):
    """Boosted trees as a member of a `numdl.estimators.kernels.mixture.Mixture`; see `Process` for its methods.

    Attributes:
        forest: the trees; the mean over them is the prediction.
        left: each row given the rows of the other parts (n,).
        noise: variance of one observation.
        more: variance of what is predicted.
        freedom: effective degrees of freedom f, from the mean squares of errors at rows that were seen and that were
            not, ``(1 - f / n)^2 = seen / not seen`` as for linear smoothers.
        weight: share in the mixture.
    """

    forest: Forest
    left: np.ndarray
    noise: float
    more: float
    freedom: float
    weight: float = 1.0

    @property
    def name(self) -> str:
        """What it is."""
        return "boosted trees"

    @property
    def jitter(self) -> float:
        """Nothing is added for the sake of rounding."""
        return 0.0

    @property
    def n_parameters(self) -> int:
        """Number of leaves."""
        return int((self.forest.left == np.arange(len(self.forest.left))).sum())

    def moments(self, rows: Rows, box: np.ndarray, x: np.ndarray, *, std: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean, and variance of a new observation, which is the same everywhere."""
        return self.forest.mean(x)[:, 0], np.full(len(x), self.noise + self.more) if std else None

    def slope(self, rows: Rows, box: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Derivative of the mean by the scaled inputs: 0 but at the steps."""
        return np.zeros_like(x)

    def left_out(self, rows: Rows, some: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the mean of each row's observations given the rows of the other parts."""
        some = np.arange(len(rows.y)) if some is None else some
        return self.left[some], self.more + self.noise / rows.w[some]

    def spread(self, factor: float) -> Boosted:
        """The same mean, and this factor on all variances."""
        return self._replace(noise=self.noise * factor, more=self.more * factor)


def beside(found: Search, rows: Rows, box: np.ndarray, rng: np.random.Generator, clock: Clock) -> Search:
    """Members that were found, and boosted trees where they are worth it.

    Args:
        found: the members.
        rows: the data.
        box: interval of each input (2, d).
        rng: source of draws.
        clock: nothing is begun when it says that the time is over.

    Returns:
        All members with their weights.
    """
    if len(rows.y) < FEWEST or clock.over():
        return found
    mixture = Mixture(found.members, rows, box)
    mean = mixture.weights @ [member.left_out(rows)[0] for member in found.members]
    if not np.sqrt((mean - rows.y) ** 2 @ rows.w / rows.w.sum()) >= SMOOTH:
        return found  # nothing is left to be learnt, or it is no number
    trees = boosted(rows, mean, min(member.noise for member in found.members), rng, clock)
    if trees is None:
        return found
    share = _share(rows, mean, trees.left)
    if share < WORTH:
        return found
    others = [member._replace(weight=member.weight * (1 - share)) for member in found.members]
    return found._replace(members=[*others, trees._replace(weight=share)])


def boosted(
    rows: Rows, mean: np.ndarray | None, noise: float, rng: np.random.Generator, clock: Clock
) -> Boosted | None:
    """Trees, as many as err least on rows that they have not seen.

    Args:
        rows: the data.
        mean: of each row by the other members given all others (n,); None where none is there to compare with.
        noise: variance of one observation, as far as others know it.
        rng: source of draws.
        clock: nothing is begun when it says that the time is over.

    Returns:
        The member; None where trials bring nothing, or the time is over.
    """
    n = len(rows.y)
    some = np.sort(rng.permutation(n)[:MOST])
    grown_on = part(rows, some)
    x, y, w, _ = grown_on
    folds = FOLDS if n <= MANY else 2
    fold, seeds = rng.permutation(len(y)) % folds, rng.integers(2**31 - 1, size=folds + 1).tolist()
    stages = np.empty((max(2 * TREES, TRIED) // EACH, len(y)))

    def grow(j: int, trees: int, step: float) -> bool:
        """Predict the rows of a part by more and more trees; whether they promise something on those so far."""
        model = boost(x[fold != j], y[fold != j], w[fold != j], trees, seeds[j], step=step)
        said = itertools.islice(model.staged_predict(x[fold == j]), EACH - 1, None, EACH)
        stages[: trees // EACH, fold == j] = list(said)
        if mean is None or j > 1:
            return True
        seen = np.flatnonzero(fold <= j)
        return _share(part(grown_on, seen), mean[some[seen]], stages[least(seen, trees), seen]) >= PROMISING

    def least(seen: np.ndarray, trees: int) -> int:
        """Stage that errs least on rows."""
        return int(((stages[: trees // EACH, seen] - y[seen]) ** 2 @ w[seen]).argmin())

    clock.tell("boosted trees")
    with clock.guard(needed=False):
        clock.check()
        if mean is not None and not grow(0, TRIED, LONG):
            return None
        rest = fold != 0
        most = affordable(clock, folds + 1, 2 * TREES, lambda trees: boost(x[rest], y[rest], w[rest], trees, seeds[0]))
        total = min(TREES, most) // EACH * EACH
        if not total:
            return None
        for j in range(folds):
            clock.check()
            if not grow(j, total, STEP):
                return None
            if j == 0 and most == 2 * TREES and least(np.flatnonzero(fold == 0), total) == total // EACH - 1:
                total *= 2
                clock.check()
                grow(0, total, STEP)
        clock.check()
        best = least(np.arange(len(y)), total)
        model = boost(x, y, w, EACH * (best + 1), seeds[folds])
        seen, left = ((said - y) ** 2 @ w / w.sum() for said in (model.predict(x), stages[best]))
        if not left > 0:
            return None  # nothing was to be learnt
        off = np.abs(stages[best] - y) * np.sqrt(w / left)
        # Errors have heavy tails; this is the noise, and the mean weight times the variance of what is predicted.
        square = left * stretch(off)
        own = min(noise, square)
        more = (square - own) * len(y) / float(w.sum())
        without = model.predict(rows.x) if len(y) < n else np.empty(n)
        without[some] = stages[best]
        freedom = len(y) * max(1 - np.sqrt(seen / left), 0.0)
        return Boosted(as_forest(model), without, float(own), float(more), float(freedom))
    return None


def _share(rows: Rows, mean: np.ndarray, trees: np.ndarray) -> float:
    """Weight of trees in the mean with the others that errs least."""
    errors = np.stack([mean - rows.y, trees - rows.y], axis=1) * np.sqrt(rows.w)[:, None]
    return float(simplex(errors.T @ errors)[1])
