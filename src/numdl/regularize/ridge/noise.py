"""Noise level estimation: how large are the errors of the targets, if nobody knows?"""

from __future__ import annotations

import numpy as np

from numdl import checks
from numdl.regularize.ridge.decomposition import RidgeDecomposition
from numdl.regularize.ridge.picard import picard


def noise_level(decomposition: RidgeDecomposition) -> float:
    """Standard deviation of the error of one observation; 0 if the problem does not tell.

    With at least a tenth more observations than unknowns it is the unbiased estimate ``||B - A X||^2 / (k (n - rank))``
    without penalty, otherwise the level at which the coefficients of the Picard plot stop falling.

    Args:
        decomposition: from ``decompose``.

    Returns:
        In the units of the targets, over all of them.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 5.1 and 5.2.
    """
    checks.instance("noise_level", "decomposition", decomposition, RidgeDecomposition, "Use decompose.")
    d = decomposition
    k = len(d.outside)
    left = d.n - np.sum(d.c > 0) - d.free
    if left >= 0.1 * d.n:
        unseen = np.sum(d.coefficients[d.c == 0] ** 2) + np.sum(d.outside)
        return float(np.sqrt(d.n * unseen / (k * left)))
    return picard(d).noise / float(np.sqrt(k))
