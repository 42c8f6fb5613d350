"""Forests of decision trees as arrays: what do they say of rows, without another library?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BLOCK = 256
"""Rows at once: what belongs to them then stays in the cache."""


class Forest(NamedTuple):
    """Decision trees, the nodes of one behind those of the other; ``x[feature] <= threshold`` goes to the left.

    A leaf is its own child on both sides. Children come after their parent.

    Attributes:
        feature: input that a node asks (m,).
        threshold: what it is compared with (m,).
        left: node for inputs up to the threshold (m,).
        right: node for larger ones (m,).
        root: first node of each tree (T,).
        value: what a leaf says (m, k).
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    root: np.ndarray
    value: np.ndarray

    def leaves(self, x: np.ndarray) -> np.ndarray:
        """The leaf of each row in each tree.

        Args:
            x: rows (n, d).

        Returns:
            Nodes (n, T).

        Raises:
            ValueError: a child does not come after its parent, as in a file that was altered.
        """
        trees = len(self.root)
        at = np.tile(self.root, len(x))
        going = np.flatnonzero(self.left[at] != at)
        while len(going):
            here = at[going]
            low = x[going // trees, self.feature[here]] <= self.threshold[here]
            there = np.where(low, self.left[here], self.right[here])
            if (there <= here).any():
                raise ValueError("a tree goes in a circle")
            at[going] = there
            going = going[self.left[there] != there]
        return at.reshape(len(x), trees)

    def mean(self, x: np.ndarray) -> np.ndarray:
        """Mean over the trees.

        Args:
            x: rows (n, d).

        Returns:
            (n, k).
        """
        out = np.empty((len(x), self.value.shape[1]))
        for start in range(0, len(x), BLOCK):
            out[start : start + BLOCK] = self.value[self.leaves(x[start : start + BLOCK])].mean(axis=1)
        return out


def joined(forests: Sequence[Forest]) -> Forest:
    """All trees of several forests.

    Args:
        forests: at least one.

    Returns:
        One forest.
    """
    starts = np.cumsum([0, *(len(one.feature) for one in forests)])
    moved = [
        one._replace(left=one.left + start, right=one.right + start, root=one.root + start)
        for one, start in zip(forests, starts[:-1].tolist(), strict=True)
    ]
    return Forest(*(np.concatenate(parts) for parts in zip(*moved, strict=True)))
