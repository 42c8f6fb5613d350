"""Which alpha predicts the noise-free targets best, when the noise is known: unbiased predictive risk."""

from __future__ import annotations

import numpy as np

from numdl import checks
from numdl.regularize.ridge.path import RidgePath
from numdl.regularize.selectors.choice import Choice, least


def upre(path: RidgePath, noise: float) -> Choice:
    """Index of the least ``||r||^2 / (n k) + 2 noise^2 freedom / n``, the predictive risk plus ``noise^2``.

    Args:
        path: residuals and degrees of freedom.
        noise: standard deviation of the error of one observation, in the units of the targets. Not a variance.

    Returns:
        The choice; its interval holds the alphas within 1 % of the minimum.

    Raises:
        ValueError: noise is negative or not finite.

    Source: Vogel, Computational Methods for Inverse Problems, SIAM 2002, sec. 7.1; Mallows, Technometrics 15 (1973).

    Examples:
        >>> import numpy as np
        >>> from numdl.data.problems.inverse_problems import deblurring
        >>> from numdl.regularize.ridge import alpha_grid, decompose, ridge_path
        >>> from numdl.regularize.selectors import upre
        >>> problem = deblurring(100)
        >>> d = decompose(problem.A, problem.noisy(0.01, 0)[:, None])
        >>> choice = upre(ridge_path(d, alpha_grid(d)), noise=0.01 * np.linalg.norm(problem.b) / 10)
        >>> choice.edge, choice.interval[0] <= choice.alpha <= choice.interval[1]
        ('', True)
    """
    checks.instance("upre", "path", path, RidgePath, "Use ridge_path.")
    checks.number("upre", "noise", noise, least=0, hint="Give a standard deviation.")
    values = path.residuals**2 / (path.n * path.k) + 2 * noise**2 * path.freedom / path.n
    return least("UPRE", path, values, 0.01 * float(np.min(values)), "within 1 % of its minimum")
