"""Which weights share a penalty parameter?"""

from __future__ import annotations

from typing import Any, Literal

import jax
import numpy as np

from numdl import checks
from numdl.contracts import PyTree

Grouping = Literal["one", "kind", "inputs"]
GROUPINGS: tuple[str, ...] = ("one", "kind", "inputs")


def group_labels(theta: PyTree, grouping: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Group of each entry of theta.

    Args:
        theta: weights; only paths and shapes are used.
        grouping: ``"one"`` group for all; one per ``"kind"``: each matrix and each bias of the opening and of the
            flow; ``"inputs"``: as kind, but a group for each input of the opening (automatic relevance).

    Returns:
        Labels (p,) in the order of JAX's leaves, entries row by row, and the names of the groups.

    Raises:
        ValueError: unknown grouping, or a leaf of theta is no array.
    """
    checks.choice("group_labels", "grouping", grouping, GROUPINGS)
    for path, leaf in jax.tree.leaves_with_path(theta):
        if not hasattr(leaf, "shape"):
            raise ValueError(
                f"group_labels(theta{jax.tree_util.keystr(path)}={checks.shown(leaf)}): needs a tree of arrays. Use "
                "np.asarray for single numbers."
            )
    names: dict[str, int] = {}

    def label(path: tuple[Any, ...], leaf: Any) -> np.ndarray:
        name = " ".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in path) or "weights"
        if grouping == "one":
            name = "weights"
        elif grouping == "inputs" and name == "opening K":
            columns = [names.setdefault(f"input {j}", len(names)) for j in range(leaf.shape[1])]
            return np.broadcast_to(columns, leaf.shape)
        return np.full(leaf.shape, names.setdefault(name, len(names)))

    labels = [np.ravel(a) for a in jax.tree.leaves(jax.tree_util.tree_map_with_path(label, theta))]
    return np.concatenate(labels).astype(np.int32), tuple(names)
