"""Certified accuracy: of which samples is it proved that no change up to a size makes another class of them?

Scores ``s = W [F(x); 1]`` with ``||F(x) - F(z)|| <= L ||x - z||`` give

    s_y(z) - s_j(z) >= s_y(x) - s_j(x) - L ||w_y - w_j|| ||x - z||,      w_j the weights of row j,

so the class y stays for all changes shorter than the least of ``(s_y - s_j) / (L ||w_y - w_j||)`` over j.

Source: Tsuzuku, Sato and Sugiyama, Lipschitz-margin training, NeurIPS 2018, sec. 3 (with the norms of differences).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, Float, Int

from numdl import checks


def certified_radius(
    scores: Float[np.ndarray | Array, "n k"],
    labels: Int[np.ndarray | Array, " n"],
    W: Float[np.ndarray | Array, "k m"],
    bound: float,
) -> Float[np.ndarray, " n"]:
    """Size of changes, in the Euclidean norm of inputs, below which a sample keeps its true class.

    Args:
        scores: of the samples.
        labels: numbers of their true classes, from 0.
        W: head without its offsets, a row for each class.
        bound: Lipschitz bound L of the features, positive, see ``numdl.models.lipschitz_bound``.

    Returns:
        (n,), in units of the inputs; 0 where the class is wrong, infinite where no other class can be reached.

    Raises:
        ValueError: shapes that do not fit, labels that are none, or a bound that is not positive.

    Examples:
        >>> import numpy as np
        >>> from numdl.analysis import certified_radius
        >>> certified_radius(np.array([[3.0, 1.0], [0.0, 1.0]]), np.array([0, 0]), np.eye(2), 2.0)
        array([0.70710678, 0.        ])
    """
    call = "certified_radius"
    s = np.asarray(checks.finite(call, "scores", scores, ("n", "k")), float)
    n, k = s.shape
    y = np.asarray(checks.finite(call, "labels", labels, (n,)))
    if y.dtype.kind not in "iu" or (n and not (y.min() >= 0 and y.max() < k)):
        raise ValueError(f"{call}(labels): needs whole numbers from 0 to {k - 1}, columns of scores. Check them.")
    W = np.asarray(checks.finite(call, "W", W, (k, "m")), float)
    checks.number(call, "bound", bound, above=0)
    apart = np.linalg.norm(W[:, None] - W, axis=2)[y]
    margin = s[np.arange(n), y][:, None] - s
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = np.where(apart > 0, margin / (bound * apart), np.where(margin > 0, np.inf, 0.0))
    radius[np.arange(n), y] = np.inf
    return np.maximum(radius.min(axis=1), 0.0) if k > 1 else np.full(n, np.inf)
