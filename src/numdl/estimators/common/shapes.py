"""Shapes of stored records: do the arrays of a record belong together?

NumPy stretches an axis of length one over any other, so that a file whose arrays do not belong together may predict
other values without a word. Each field of a record is therefore said to have axes by letters, and a letter is one
length within its record. Networks know their own shapes, see ``networks.ensemble.require_member``; programs, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

SHAPES: dict[str, dict[str, str]] = {
    "Scaler": {"center": "d", "scale": "d", "squash": "d", "logarithmic": "d"},
    "TSQR": {"triangle": "q q"},
    "RandomWeights": {"K": "m d", "b": "m"},
    "FeatureMap": {"center": "d", "deviation": "d", "theta.K": "m d", "net.d": "=d", "net.width": "=m"},
    "Posterior": {"root": "p p", "projected": "p r q", "head_root": "... q q", "rows": "r m", "rotation": "k r"},
    "StandardErrors": {
        "coef_std": "k p",
        "intercept_std": "k",
        "error_std": "k",
        "basis": "p r",
        "shares": "k r",
        "center": "p",
    },
    "Mixture": {"rows.x": "n d", "rows.y": "n", "rows.w": "n", "box": "2 d"},
    "Process": {"lower": "n n", "dual": "n"},
    "Network": {"weights": "p", "precisions": "p", "root": "p p"},
    "Chaos": {"powers": "t d", "interval": "2 d", "coefficients": "t", "root": "t t"},
    "ClassMixture": {"x": "n d", "box": "2 d", "base": "c"},
    "Forest": {"feature": "m", "threshold": "m", "left": "m", "right": "m", "root": "t", "value": "m k"},
    "Filters": {"weights": "m c h w", "bias": "m"},
    "Calibration": {"matrix": "c c", "offset": "c"},
    "KernelHead": {"rows": "n p", "coef": "n c", "mean": "c"},
}
"""Axes of the fields of a record; ``...`` is any number of axes before, ``=d`` a number that is the length d."""

WEIGHTED = ("Process", "Nearest", "Network", "Chaos", "Boosted", "Scores", "Labels", "Trees")
"""Members of a mixture: the weight that a new one has until it is known is none of a stored one."""


def require_shapes(name: str, fields: Mapping[str, Any]) -> None:
    """Refuse a record whose arrays do not belong together.

    Args:
        name: of the record.
        fields: its fields; what is None or is not there, as in files of before, is not asked for.

    Raises:
        ValueError: which field has which shape.
    """
    if name in WEIGHTED and "weight" not in fields:
        raise ValueError(f"load: a {name} without its weight.")
    lengths: dict[str, int] = {}
    for path, axes in SHAPES.get(name, {}).items():
        value: Any = fields
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
        if value is None:
            continue
        shape = (value,) if axes[0] == "=" else np.shape(value)
        letters = axes.removeprefix("=").split()
        if letters[0] == "...":
            letters = letters[1:]
            shape = shape[max(len(shape) - len(letters), 0) :]
        fits = len(shape) == len(letters) and all(
            length == (int(letter) if letter.isdigit() else lengths.setdefault(letter, length))
            for letter, length in zip(letters, shape, strict=True)
        )
        if not fits:
            known = ", ".join(f"{letter} = {length}" for letter, length in lengths.items())
            raise ValueError(f"load: {name}.{path} is {shape}, needed is ({', '.join(letters)}) with {known}.")
    if name == "Forest":
        _require_trees(**{field: np.asarray(fields[field]) for field in SHAPES[name]})


def _require_trees(
    *, feature: np.ndarray, left: np.ndarray, right: np.ndarray, root: np.ndarray, **others: np.ndarray
) -> None:
    """Each node is a root or one child of one other; a leaf is its own child."""
    at = np.arange(len(left))
    inner = left != at
    reached = np.sort(np.concatenate([root, left[inner], right[inner]]))
    if not len(root) or not np.array_equal(reached, at) or (inner != (right != at)).any() or (feature < 0).any():
        raise ValueError("load: the nodes of a Forest do not form trees.")
