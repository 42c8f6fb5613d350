"""Gradient boosting: what do many small trees say together, each fitted to what those before it leave over?

scikit-learn grows them on histograms of the inputs. Each split sees a random share of the inputs, which here did as
much for the error as a step of half the length at twice the cost.

Sources: Friedman, Greedy function approximation: a gradient boosting machine, Annals of Statistics 29, 2001; Ke et al.,
LightGBM, NeurIPS 2017, for histograms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from numdl.estimators.kernels.clock import Clock
from numdl.estimators.trees.forest import Forest

STEP, ASKED, LEAST, HELD = 0.1, 0.4, 2, 1.0
"""Length of a step, share of the inputs that a split may ask, rows of a leaf, and what is added to their curvature."""

PIECE, SHARE, LEAST_TREES = 20, 0.5, 100
"""Trees whose seconds tell those of all, share of the time that is left for them, and how few are worth it."""

SMALL, FEW, MANY = 2000, 10, 31
"""Rows up to which trees have few leaves, and their numbers."""


def boost(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, trees: int, seed: int, *, step: float = STEP, classes: int = 1
) -> Any:
    """Trees that are fitted one after the other, for more than two classes one for each at a time.

    Args:
        x: rows (n, d).
        y: targets, or classes as whole numbers from 0, each of which is there (n,).
        w: weights (n,), positive.
        trees: how many.
        seed: of their draws.
        step: share of what is left that a tree takes away.
        classes: their number, 1 for targets.

    Returns:
        scikit-learn's model.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    leaves = FEW if len(x) <= SMALL else MANY
    settings: dict[str, Any] = {
        "learning_rate": step,
        "max_iter": trees,
        "max_leaf_nodes": leaves,
        "min_samples_leaf": LEAST,
        "max_features": ASKED,
        "l2_regularization": HELD,
        "early_stopping": False,
    }
    kind = HistGradientBoostingRegressor if classes == 1 else HistGradientBoostingClassifier
    model = kind(random_state=seed, **settings)
    equal = bool((w == 1).all())  # with weights each end of a bin takes scikit-learn 0.3 ms
    # Two were never quicker, and took twice the processor. The BLAS is left alone: other threads may use it.
    with ThreadpoolController().select(user_api="openmp").limit(limits=1):
        return model.fit(x, y, None if equal else w)


def affordable(clock: Clock, fits: int, trees: int, grow: Callable[[int], object]) -> int:
    """Trees that so many fits can have in a share of the time that is left, by the seconds that the first few take.

    Args:
        clock: of the search.
        fits: how many there will be.
        trees: of each, without a limit of time.
        grow: makes a fit of so many trees.

    Returns:
        At most ``trees``; 0 where there is no time for ``LEAST_TREES``, of which the clock is told.
    """
    before = clock.left()
    if np.isinf(before):
        return trees
    grow(PIECE)
    each = max(before - clock.left(), 0.0) / PIECE
    if SHARE * clock.left() < fits * LEAST_TREES * each:
        clock.late = True
        return 0
    return trees if each == 0 else min(trees, int(SHARE * clock.left() / (fits * each)))


def as_forest(model: Any) -> Forest:
    """The trees of a model as arrays, such that the mean over them is its prediction, or the scores of the classes.

    Args:
        model: what `boost` gave.

    Returns:
        The forest; of two classes the first has the score 0.
    """
    grown = [(one.nodes, c) for each in model._predictors for c, one in enumerate(each)]
    sizes = [len(nodes) for nodes, _ in grown]
    root = np.cumsum([0, *sizes[:-1]]).astype(np.int32)
    nodes = np.concatenate([nodes for nodes, _ in grown])
    own, start = np.arange(len(nodes), dtype=np.int32), np.repeat(root, sizes)
    leaf = nodes["is_leaf"].astype(bool)
    value = np.tile(np.ravel(model._baseline_prediction), (len(nodes), 1))
    value[own, np.repeat([c for _, c in grown], sizes)] += len(grown) * nodes["value"]
    value[~leaf] = 0.0
    if len(getattr(model, "classes_", ())) == 2:
        value = np.column_stack([np.zeros(len(nodes)), value])
    return Forest(
        np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
        np.where(leaf, 0.0, nodes["num_threshold"]),
        np.where(leaf, own, start + nodes["left"]).astype(np.int32),
        np.where(leaf, own, start + nodes["right"]).astype(np.int32),
        root,
        value,
    )
