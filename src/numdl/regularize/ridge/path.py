"""Ridge path over alpha: what happens to fit, size and complexity of the solution as alpha changes?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.regularize.ridge.decomposition import RidgeDecomposition
from numdl.regularize.ridge.filters import Filter, require_alphas, tikhonov


class RidgePath(NamedTuple):
    """Regularised solutions at m ascending penalty parameters, by their numbers.

    Attributes:
        alphas: penalty parameters of the mean misfit, ascending, (m,).
        residuals: ``||A X - B||`` with sample weights, over all targets, in the units of the targets, (m,).
        seminorms: ``||L (X - X0)||`` over all targets, (m,).
        freedom: trace of the influence matrix (effective degrees of freedom) for one target, intercept included, (m,).
        squared_freedom: trace of its square, (m,).
        n: observations of each target.
        k: number of targets.
        limits: residual for alpha -> 0 and for alpha -> infinity.
        errors: squared errors on parts left out (leave-one-out: each observation; folds: means), (m, parts); None if
            they were not computed.
        weights: observations in each part, (parts,); None if ``errors`` is.
    """

    alphas: Float[np.ndarray, " m"]
    residuals: Float[np.ndarray, " m"]
    seminorms: Float[np.ndarray, " m"]
    freedom: Float[np.ndarray, " m"]
    squared_freedom: Float[np.ndarray, " m"]
    n: float
    k: int
    limits: tuple[float, float]
    errors: Float[np.ndarray, "m parts"] | None = None
    weights: Float[np.ndarray, " parts"] | None = None


def ridge_path(
    decomposition: RidgeDecomposition, alphas: Float[np.ndarray, " m"], filter: Filter = tikhonov
) -> RidgePath:
    """The path at given alphas; ``O(m r)`` operations after the decomposition.

    Args:
        decomposition: from ``decompose``.
        alphas: penalty parameters, positive, ascending, (m,).
        filter: how directions are kept.

    Returns:
        The path.

    Raises:
        ValueError: alphas that are not finite, not positive or not ascending.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 4.4-4.6.

    Examples:
        >>> import numpy as np
        >>> from numdl.regularize.ridge import decompose, ridge_path
        >>> A, b = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([[1.0], [3.0], [6.0]])
        >>> path = ridge_path(decompose(A, b), np.array([0.01, 0.1, 1.0]))
        >>> np.round(path.residuals, 3)
        array([0.41 , 0.525, 2.105])
        >>> np.round(path.seminorms, 3)
        array([2.617, 2.483, 1.781])
    """
    checks.instance("ridge_path", "decomposition", decomposition, RidgeDecomposition, "Use decompose.")
    checks.function("ridge_path", "filter", filter, "(c, s, alphas) -> Shares")
    alphas = require_alphas("ridge_path", alphas)
    if np.any(np.diff(alphas) <= 0):
        raise ValueError("ridge_path(alphas): not ascending, needs ascending numbers. Sort them, without duplicates.")
    d = decomposition
    kept, lost = filter(d.c, d.s, alphas)
    squares = np.sum(d.coefficients**2, axis=1)
    outside = float(np.sum(d.outside))
    size = np.divide(d.s, d.c, out=np.zeros_like(d.c), where=d.c > 0) ** 2
    penalised = (d.s > 0) | (d.c == 0)
    unreachable = float(np.sum(squares[d.c == 0])) + outside
    heaviest = float(np.sum(squares[penalised])) + outside
    return RidgePath(
        alphas=alphas,
        residuals=np.sqrt(d.n * (lost**2 @ squares + outside)),
        seminorms=np.sqrt(kept**2 @ (size * squares)),
        freedom=kept.sum(axis=1) + d.free,
        squared_freedom=(kept**2).sum(axis=1) + d.free,
        n=d.n,
        k=d.coefficients.shape[1],
        limits=(float(np.sqrt(d.n * unreachable)), float(np.sqrt(d.n * heaviest))),
    )


def alpha_grid(decomposition: RidgeDecomposition, m: int = 100) -> Float[np.ndarray, " m"]:
    """Alphas from where rounding ends to where everything is held, equidistant in the logarithm.

    Args:
        decomposition: from ``decompose``.
        m: number of alphas, at least 2.

    Returns:
        Ascending alphas: from 1e-4 of the square of the smallest ``c / s`` above rounding, where the solution no longer
        moves, to ten times the largest.

    Raises:
        ValueError: m is no whole number from 2 to a million.
    """
    checks.instance("alpha_grid", "decomposition", decomposition, RidgeDecomposition, "Use decompose.")
    m = checks.whole("alpha_grid", "m", m, least=2, most=1_000_000, hint="Use 100.")
    d = decomposition
    held = (d.s > 0) & (d.c > 0)
    if not held.any():
        return np.geomspace(1e-8, 1.0, m)
    ratios = (d.c[held] / d.s[held]) ** 2
    low = max(1e-4 * float(ratios.min()), np.finfo(float).eps ** 1.5 * d.scale)
    return np.geomspace(low, 10 * d.scale, m)


def truncation_grid(decomposition: RidgeDecomposition) -> Float[np.ndarray, " m"]:
    """One alpha for each truncation: between every two neighbours among the squares of ``c / s``, and beyond both ends.

    Args:
        decomposition: from ``decompose``.

    Returns:
        Ascending alphas for the filter ``truncated``; the first keeps all directions, the last only those that nothing
        penalises.
    """
    checks.instance("truncation_grid", "decomposition", decomposition, RidgeDecomposition, "Use decompose.")
    d = decomposition
    held = (d.s > 0) & (d.c > 0)
    ratios = np.unique((d.c[held] / d.s[held]) ** 2)
    if not len(ratios):
        return np.array([1.0])
    return np.concatenate([[ratios[0] / 2], np.sqrt(ratios[:-1] * ratios[1:]), [2 * ratios[-1]]])
