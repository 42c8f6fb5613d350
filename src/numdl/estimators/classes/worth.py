"""Random forests beside smooth scores of the classes: are they worth their place?

They are where classes change in steps along single columns, or where many columns hold next to nothing. Few of them are
grown first: only where the mixture with them says more of left-out observations do the others follow, and only where it
then says more by ``MARGIN`` do they become members.

Kinds and margin were chosen on 13 tables of 100 to 1000 rows: a forest with leaves of three beside extremely random
trees with leaves of one lowers the log loss of new rows by 0.0024 nats in the mean, one kind alone by 0.0005 to 0.0024;
30 trees miss none of the gains beyond the margin. On these tables and others, split otherwise, the mean is 0.0025 and
the worst 0.011 more. Where forests gain, boosted trees are tried too for two or three classes, and stay if they add to
the gain: spambase on three splits 5.3 -> 4.9 % wrong, log loss .140 -> .134.
"""

from __future__ import annotations

import itertools

import numpy as np

from numdl.estimators.classes.mixing import weighed
from numdl.estimators.classes.search import Classes, Judged
from numdl.estimators.classes.softmax import LeftOut, shares
from numdl.estimators.classes.trees import Trees, calibrated, taken_for
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.trees.boost import affordable, as_forest, boost
from numdl.estimators.trees.grow import Grown, Kind, grow, together

KINDS = (Kind("random forest", False, "sqrt", 3), Kind("extra trees", True, 0.5, 1))
"""That are grown."""

FEW, ALL = 30, 200
"""Trees of each kind with which a gain is looked for, and with which they predict."""

MARGIN = 0.005
"""Share of the left-out log loss that trees have to take away."""

BOOSTED = "boosted trees"
CLASSES, EACH = 3, 50
"""Classes up to which trees are boosted, each costs as many again, and observations of each that they need."""

TREES, STAGE, FOLDS = 300, 20, 3
"""Boosted trees at most, steps in which their best number is sought, parts of the observations that judge them."""

FEWEST = 50
"""Observations below which no tree is grown."""

COPIES = 20
"""Observations of one class at one place that are drawn apart at most; more are weights of these."""


def trees(
    table: Classes, found: list[Judged], rng: np.random.Generator, notes: list[str], clock: Clock
) -> tuple[list[Judged], float]:
    """Forests as candidates, and what they are worth.

    Args:
        table: the data.
        found: the other candidates, at least one.
        rng: source of draws.
        notes: what the user should know is appended.
        clock: nothing is begun when it says that the time is over.

    Returns:
        Forests that were judged, and the share of the left-out log loss that they take away from the mixture of the
        others; they are worth it where this is at least ``MARGIN``. None and nothing where none was grown.
    """
    if table.c.sum() < FEWEST or len(table.x) == 1:
        return [], 0.0
    judged: list[Judged] = []
    worth = 0.0
    seeds, grown = rng.integers(2**31 - 1, size=2), []
    with clock.guard(needed=False):
        for many, seed in zip((FEW, ALL - FEW), seeds, strict=True):
            clock.check()
            clock.tell(f"{many} trees of each kind")
            try:
                grown = _more(table, grown, many, int(seed), clock)
            except (ValueError, MemoryError) as error:  # entries beyond float32, too many nodes
                notes.append(f"Trees are left out: {error}")
                return [], 0.0
            judged = [_judged(table, kind, one) for kind, one in zip(KINDS, grown, strict=True)]
            worth = gain(found, judged)
            if worth <= 0:
                return judged, worth
        if table.c.shape[1] <= CLASSES and table.c.sum(axis=0).min() >= EACH:
            clock.tell("boosted trees")
            further = [*judged, *_boosted(table, rng, clock)]
            if (more := gain(found, further)) > worth:
                judged, worth = further, more
        return judged, worth
    if not clock.interrupted:
        notes.append(f"The time was over {'while' if grown else 'before'} trees were grown.")
    return judged, worth


def gain(found: list[Judged], further: list[Judged]) -> float:
    """Share of the left-out log loss of a mixture that further members take away.

    Args:
        found: its members.
        further: others.

    Returns:
        At most 1; negative where they do harm.
    """
    label, count = found[0].left.label, found[0].left.count
    losses = []
    for members in (found, found + further):
        losses.append(weighed([one.left.log_p for one in members], [one.free for one in members], label, count).loss)
    return 1 - losses[1] / losses[0]


def _more(table: Classes, grown: list[Grown], many: int, seed: int, clock: Clock) -> list[Grown]:
    """So many further trees of each kind."""
    row, label = np.nonzero(table.c)
    count = table.c[row, label]
    observed = count if table.rows is None else table.rows[row, label]
    copies = np.clip(np.round(observed), 1, COPIES).astype(int)
    cell = np.repeat(np.arange(len(row)), copies)
    x, y, w = table.x[row[cell]], label[cell], (count / copies)[cell]
    out = []
    for i, kind in enumerate(KINDS):
        clock.check()
        new = grow(kind, x, y, w, table.c.shape[1], many, seed + i)
        new = Grown(new.forest, _sums(cell, new.total), _sums(cell, new.times))
        out.append(together(grown[i], new) if grown else new)
    return out


def _judged(table: Classes, kind: Kind, grown: Grown) -> Judged:
    """A forest as a candidate."""
    row, label = np.nonzero(table.c)
    count, base = table.c[row, label], np.exp(shares(table.c))
    q = grown.left_out(base)
    blur, sharpness, _ = calibrated(q, base, label, count)
    left = LeftOut(row, label, count, taken_for(q, base, blur, sharpness))
    return Judged(kind.name, [Trees(kind.name, grown.forest, blur, sharpness)], left, np.nan, 2.0, True)


def _boosted(table: Classes, rng: np.random.Generator, clock: Clock) -> list[Judged]:
    """Boosted trees as a candidate, as many as do best; each observation is left out by those grown on other parts.

    None where there is no time for them.
    """
    row, label = np.nonzero(table.c)
    count, base, k = table.c[row, label], np.exp(shares(table.c)), table.c.shape[1]
    x, fold = table.x[row], np.empty(len(row), int)
    fold[np.lexsort((rng.permutation(len(row)), label))] = np.arange(len(row)) % FOLDS  # within classes
    seeds = rng.integers(2**31 - 1, size=FOLDS + 1).tolist()
    few = affordable(clock, FOLDS + 1, TREES, lambda trees: boost(x, label, count, trees, seeds[0], classes=k))
    if few < STAGE:
        return []
    stages = np.empty((few // STAGE, len(row), k))
    for j in range(FOLDS):
        clock.check()
        rest = fold != j
        model = boost(x[rest], label[rest], count[rest], few // STAGE * STAGE, seeds[j], classes=k)
        said = itertools.islice(model.staged_predict_proba(x[~rest]), STAGE - 1, None, STAGE)
        stages[:, ~rest] = list(said)
    clock.check()
    told = np.log(np.maximum(stages[:, np.arange(len(row)), label], 1e-12)) @ count
    best = int(told.argmax())
    forest = as_forest(boost(x, label, count, STAGE * (best + 1), seeds[FOLDS], classes=k))
    blur, sharpness, _ = calibrated(stages[best], base, label, count)
    left = LeftOut(row, label, count, taken_for(stages[best], base, blur, sharpness))
    return [Judged(BOOSTED, [Trees(BOOSTED, forest, blur, sharpness, scores=True)], left, np.nan, 3.0, True)]


def _sums(cell: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums over the observations of each cell (cells, ...)."""
    out = np.zeros((cell[-1] + 1, *values.shape[1:]), values.dtype)
    np.add.at(out, cell, values)
    return out
