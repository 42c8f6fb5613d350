"""At which alpha does more smoothing begin to cost fit: the corner of the L-curve."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

from numdl import checks
from numdl.regularize.ridge.path import RidgePath
from numdl.regularize.selectors.choice import Choice, around, edge_of


def l_curve(path: RidgePath) -> Choice:
    """Index of the largest curvature of ``(log ||r||, log ||L x||)`` as a curve in ``log alpha``.

    Curvature comes from a cubic spline through the path. Where the curve stands still (all directions kept, or all
    lost) its direction is rounding only: points that move at less than 1e-4 of the greatest speed cannot be corners.
    A curve that is not convex has several corners; the sharpest is taken. A curve without any convex corner leaves
    the choice to its most convex end, which is an edge.

    Args:
        path: residuals and seminorms, at least 5 alphas.

    Returns:
        The choice; its interval holds the alphas around it with at least half the curvature.

    Raises:
        ValueError: fewer than 5 alphas, or a residual or seminorm that is zero everywhere.

    Source: Hansen and O'Leary, SIAM J. Sci. Comput. 14 (1993) 1487-1503; Hansen 2010, sec. 5.3.

    Examples:
        >>> import numpy as np
        >>> from numdl.data.problems.inverse_problems import deblurring
        >>> from numdl.regularize.ridge import alpha_grid, decompose, ridge_path
        >>> from numdl.regularize.selectors import l_curve
        >>> problem = deblurring(100)
        >>> d = decompose(problem.A, problem.noisy(0.01, 0)[:, None])
        >>> path = ridge_path(d, alpha_grid(d))
        >>> choice = l_curve(path)
        >>> x = d.solution(choice.alpha)[0][:, 0]
        >>> bool(np.linalg.norm(x - problem.x) < 0.3 * np.linalg.norm(problem.x))
        True
    """
    checks.instance("l_curve", "path", path, RidgePath, "Use ridge_path.")
    m = len(path.alphas)
    if m < 5:
        raise ValueError(f"l_curve: the path has {m} alphas, needs at least 5. Give a longer path.")
    curvature = _curvature(np.log(path.alphas), _log(path.residuals, "residuals"), _log(path.seminorms, "seminorms"))
    index = m - 1 - int(np.argmax(curvature[::-1]))
    if not curvature[index] > 0:
        index = m - 1 if curvature[-1] >= curvature[0] else 0
    interval = around(path, index, curvature >= 0.5 * curvature[index])
    alpha = float(path.alphas[index])
    return Choice("L-curve", index, alpha, curvature, interval, "at least half its curvature", edge_of(index, m))


def _log(values: Float[np.ndarray, " m"], name: str) -> Float[np.ndarray, " m"]:
    """Logarithm; zeros (an exact fit, or nothing left of the solution) count as rounding of the largest."""
    largest = float(np.max(values))
    if not largest > 0:
        raise ValueError(f"l_curve: the {name} are zero at every alpha, there is no curve. Use another criterion.")
    return np.log(np.maximum(values, np.finfo(float).eps * largest))


def _curvature(t: np.ndarray, x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, " m"]:
    """``(x' y'' - x'' y') / (x'^2 + y'^2)^(3/2)``, positive at an L's corner; zero where the curve stands still."""
    horizontal, vertical = CubicSpline(t, x), CubicSpline(t, y)
    speed = np.hypot(horizontal(t, 1), vertical(t, 1))
    moving = speed > 1e-4 * speed.max(initial=0.0)
    bent = horizontal(t, 1) * vertical(t, 2) - horizontal(t, 2) * vertical(t, 1)
    return np.where(moving, bent / np.where(moving, speed, 1.0) ** 3, 0.0)
