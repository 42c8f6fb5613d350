"""Selection by cross validation: which alpha predicts the parts that were left out best?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.regularize.ridge.path import RidgePath
from numdl.regularize.selectors.choice import Choice, edge_of, least


def cross_validation(path: RidgePath, *, guard: float = 1.0) -> Choice:
    """Index of the least mean squared error of the parts left out, times ``(1 - f / n)^(2 - 2 guard)``.

    With rows left out one by one and a guard this is `gcv`, but for rows that few others resemble: there GCV, which
    sees the mean leverage alone, may take interpolation for the best. Of 23 tables with 45 to 1200 rows, ridge on 500
    random features erred in six by less than .9 of what GCV with the same guard left, in one by 1/600, and in none by
    more than 1.06; without a guard in three by 1.3 to 1.5.

    Args:
        path: with errors, from ``fold_errors`` (k-fold) or ``leave_one_out``.
        guard: at least 1, no unit; see `gcv`.

    Returns:
        The choice; its interval holds the alphas within one standard error of the minimum.

    Raises:
        ValueError: the path has no errors, or the guard is below 1.
    """
    checks.number("cross_validation", "guard", guard, least=1)
    mean, spread = mean_error(path)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = 1.0 if guard == 1 else np.maximum(1 - path.freedom / path.n, 0.0) ** (2 - 2 * guard)
        mean, spread = mean * factor, spread * factor
    finite = np.where(np.isfinite(mean), mean, np.inf)
    name = "cross validation" if guard == 1 else "guarded cross validation"
    return least(name, path, mean, float(spread[np.argmin(finite)]), "within one standard error")


def one_standard_error(path: RidgePath) -> Choice:
    """Index of the largest alpha whose error is within one standard error of the least.

    Args:
        path: with errors, from ``fold_errors`` or ``leave_one_out``.

    Returns:
        The choice; its interval reaches down to the alpha of the least error.

    Raises:
        ValueError: the path has no errors.

    Source: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984, sec. 3.4.3.
    """
    best = cross_validation(path)
    high = int(np.searchsorted(path.alphas, best.interval[1]))
    interval = (best.alpha, float(path.alphas[high]))
    edge = edge_of(high, len(path.alphas))
    return Choice("one standard error", high, interval[1], best.criterion, interval, "within one standard error", edge)


def mean_error(path: RidgePath) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Mean squared error of the parts left out at each alpha, and its standard error over the parts.

    Args:
        path: with errors, from ``fold_errors`` or ``leave_one_out``.

    Returns:
        Both (m,); the standard error of a single part is zero.

    Raises:
        ValueError: the path has no errors.
    """
    checks.instance("mean_error", "path", path, RidgePath, "Use leave_one_out or fold_errors.")
    if path.errors is None or path.weights is None:
        raise ValueError("cross validation: the path has no errors. Use fold_errors or leave_one_out first.")
    share = path.weights / path.weights.sum()
    mean = path.errors @ share
    parts = len(share)
    if parts < 2:
        return mean, np.zeros_like(mean)
    with np.errstate(invalid="ignore"):
        variance = ((path.errors - mean[:, None]) ** 2) @ share
    return mean, np.sqrt(variance / (parts - 1))
