"""Which alpha leaves a residual that the noise explains, and no smaller one: the discrepancy principle."""

from __future__ import annotations

import numpy as np

from numdl import checks
from numdl.regularize.ridge.path import RidgePath
from numdl.regularize.selectors.choice import Choice, edge_of


def discrepancy(path: RidgePath, noise: float, tau: float = 1.01) -> Choice:
    """Index of the largest alpha whose residual the noise explains (Morozov).

    Args:
        path: ``residuals[i] = ||A x_i - b||`` at ascending ``alphas[i]``, both (m,).
        noise: Euclidean norm of the error in all targets, in their units. Not a variance, not one per observation.
        tau: safety factor, no unit, at least 1.

    Returns:
        The largest i with ``residuals[i] <= tau * noise``; its interval holds the alphas that noise levels 10 %
        smaller and larger would choose.

    Raises:
        ValueError: no alpha reaches the noise level, or the noise is larger than what there is to explain.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 5.2.

    Examples:
        >>> import numpy as np
        >>> from numdl.data.problems.inverse_problems import deblurring
        >>> from numdl.regularize.ridge import alpha_grid, decompose, ridge_path
        >>> from numdl.regularize.selectors import discrepancy
        >>> problem = deblurring(100)
        >>> d = decompose(problem.A, problem.noisy(0.01, 0)[:, None])
        >>> path = ridge_path(d, alpha_grid(d))
        >>> choice = discrepancy(path, noise=problem.deviation(0.01) * len(problem.b) ** 0.5)
        >>> x = d.solution(choice.alpha)[0][:, 0]
        >>> bool(np.linalg.norm(x - problem.x) < 0.3 * np.linalg.norm(problem.x))
        True
    """
    checks.instance("discrepancy", "path", path, RidgePath, "Use ridge_path.")
    checks.number("discrepancy", "noise", noise, least=0, hint="Give a norm, not a variance.")
    checks.number("discrepancy", "tau", tau, least=1, hint="Use 1.01.")
    least, most = path.limits
    goal = tau * noise
    if most <= goal:
        raise ValueError(
            f"discrepancy(noise={noise:g}): without any unknowns the residual is {most:.3g}, which is not above "
            f"tau * noise = {goal:.3g}: there is nothing to explain. Check that noise is the norm of the error in the "
            "targets, not larger than the targets themselves."
        )
    explained = path.residuals <= goal
    if not explained.any():
        try_next = f"No alpha goes below {least:.3g}: check" if least > goal else "Add smaller alphas, and check"
        raise ValueError(
            f"discrepancy(noise={noise:g}): the smallest residual on this path is {path.residuals.min():.3g}, above "
            f"tau * noise = {goal:.3g}. {try_next} that noise is a norm and not a variance."
        )
    index = int(np.flatnonzero(explained)[-1])
    low, high = (float(path.alphas[max(int(np.sum(path.residuals <= x * goal)) - 1, 0)]) for x in (0.9, 1.1))
    meaning = "noise levels 10 % smaller and larger choose"
    edge = edge_of(index, len(path.alphas))
    return Choice("discrepancy", index, float(path.alphas[index]), path.residuals, (low, high), meaning, edge)
