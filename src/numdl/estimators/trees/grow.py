"""Growing decision trees: how is it done, and what do they say of rows that they have not seen?

scikit-learn grows them, each on a sample of the rows drawn with replacement. About a third of the trees have not seen a
row: their mean is what the forest says of it without it, which costs no further fit.

Sources: Breiman, Random forests, Machine Learning 45, 2001; Geurts, Ernst and Wehenkel, Extremely randomized trees,
Machine Learning 63, 2006.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numdl.estimators.trees.forest import BLOCK, Forest, joined


class Kind(NamedTuple):
    """A way to grow.

    Attributes:
        name: under which it is told.
        random: whether thresholds are drawn and the best of the draws taken, instead of the best of all.
        asked: inputs that each node may ask, a share or "sqrt".
        least: observations of a leaf.
    """

    name: str
    random: bool
    asked: float | str
    least: int


class Grown(NamedTuple):
    """A forest, and what it says of each row without it.

    Attributes:
        forest: the trees.
        total: sum over the trees that have not seen the row (n, k).
        times: their number (n,).
    """

    forest: Forest
    total: np.ndarray
    times: np.ndarray

    def left_out(self, otherwise: np.ndarray) -> np.ndarray:
        """Mean over the trees that have not seen the row.

        Args:
            otherwise: for rows that all of them have seen (k,).

        Returns:
            (n, k).
        """
        seen = self.times[:, None] == 0
        return np.where(seen, otherwise, self.total / np.where(seen, 1, self.times[:, None]))


def grow(kind: Kind, x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int, trees: int, seed: int) -> Grown:
    """Trees for classes or for a number.

    Args:
        kind: how.
        x: rows (n, d).
        y: classes below k as whole numbers, or targets (n,).
        w: weights (n,), positive.
        k: number of classes; 1 for a number.
        trees: how many.
        seed: of their draws.

    Returns:
        The forest.
    """
    from sklearn import ensemble

    name = ("ExtraTrees" if kind.random else "RandomForest") + ("Classifier" if k > 1 else "Regressor")
    made: Any = getattr(ensemble, name)(
        trees, max_features=kind.asked, min_samples_leaf=kind.least, bootstrap=True, random_state=seed
    )
    made.fit(x, y, w)
    classes = made.classes_.astype(int) if k > 1 else [0]
    forest = joined([_arrays(one.tree_, classes, k) for one in made.estimators_])
    unseen = np.ones((len(x), trees), bool)
    for column, drawn in zip(unseen.T, made.estimators_samples_, strict=True):
        column[drawn] = False
    total = np.empty((len(x), k))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        total[rows] = np.einsum("ntk,nt->nk", forest.value[forest.leaves(x[rows])], unseen[rows])
    return Grown(forest, total, unseen.sum(axis=1))


def together(first: Grown, second: Grown) -> Grown:
    """Trees of both, grown on the same rows.

    Args:
        first: some trees.
        second: further ones.

    Returns:
        All of them.
    """
    return Grown(joined([first.forest, second.forest]), first.total + second.total, first.times + second.times)


def _arrays(tree: Any, classes: Any, k: int) -> Forest:
    """One tree of scikit-learn; thresholds lie between values of float32, rows are compared in float64."""
    own = np.arange(tree.node_count, dtype=np.int32)  # half the bytes of a file
    leaf = tree.children_left < 0
    value = np.zeros((tree.node_count, k))
    value[:, classes] = tree.value[:, 0, :]
    if k > 1:
        value /= value.sum(axis=1, keepdims=True)
    return Forest(
        np.where(leaf, 0, tree.feature).astype(np.int32),
        np.where(leaf, 0.0, tree.threshold),
        np.where(leaf, own, tree.children_left).astype(np.int32),
        np.where(leaf, own, tree.children_right).astype(np.int32),
        np.zeros(1, np.int32),
        value,
    )
