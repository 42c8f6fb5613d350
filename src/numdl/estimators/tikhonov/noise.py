"""Noise level: which one do criteria use that need one, where nobody gives it?

First comes what is unbiased: the residuals without penalty, where a tenth of the observations is left beside the
unknowns, or else the level at which the Picard plot stops falling. Where neither tells (as many unknowns as
observations, and few of both), it is the residual variance of the fit that generalised cross validation chooses,

    sigma^2 = ||y - y_fit||^2 / (n - tr H).

Source: Wahba, Spline Models for Observational Data, SIAM 1990, sec. 4.7; Hansen, Discrete Inverse Problems, SIAM 2010,
ch. 5.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from numdl.regularize.ridge import RidgeDecomposition, RidgePath, alpha_grid, noise_level, ridge_path
from numdl.regularize.selectors import GUARD, Choice, Selector, gcv, search


class Noise(NamedTuple):
    """A noise level and where it comes from.

    Attributes:
        level: standard deviation of the error of one target value.
        source: how it was estimated, in words; empty where it was given or is not needed.
    """

    level: float
    source: str = ""

    @property
    def message(self) -> str:
        """A sentence for the status; empty where nothing was estimated."""
        return (
            f" The noise of a target value, {self.level:.3g}, was estimated from {self.source}." if self.source else ""
        )


def estimated_noise(part: RidgeDecomposition, call: str) -> Noise:
    """The noise level of targets that share one.

    Args:
        part: decomposition of the problem for these targets.
        call: the call to name.

    Returns:
        The level, positive.

    Raises:
        ValueError: no fit leaves a residual.
    """
    level = noise_level(part)
    if level > 0:
        plenty = part.n - np.sum(part.c > 0) - part.free >= 0.1 * part.n
        return Noise(level, "the residuals without penalty" if plenty else "the level of the Picard plot")
    try:
        path, choice = search(partial(ridge_path, part), partial(gcv, guard=GUARD), alpha_grid(part))
        level = residual_level(path.residuals[choice] ** 2, path.n * path.k, path.freedom[choice] * path.k)
    except ValueError:
        level = 0.0
    if not level > 0:
        raise ValueError(
            f"{call}: the data do not tell their noise level, as no fit leaves a residual. Give noise, the standard "
            "deviation of the error of a target value, or use alpha='gcv'."
        )
    return Noise(level, "the residuals of the fit that GCV chooses")


def residual_level(squares: float, observations: float, freedom: float) -> float:
    """Standard deviation of the error from a fit.

    Args:
        squares: sum of squared residuals, weighted.
        observations: number of target values.
        freedom: degrees of freedom spent on them.

    Returns:
        The level; 0 where no degree of freedom is left.
    """
    left = observations - freedom
    return float(np.sqrt(squares / left)) if left > 1e-9 * observations else 0.0


def for_estimate(
    selector: Selector, noise: float, observations: float, *, extends: bool = True
) -> Callable[[RidgePath], Choice]:
    """The discrepancy principle for a noise level that was estimated, which may explain everything.

    A given level that leaves nothing to explain is a mistake of units and refused; an estimated one says that the
    targets are noise, and the largest alpha is right.

    Args:
        selector: the principle at this level.
        noise: standard deviation of the error of one target value.
        observations: number of target values.
        extends: whether the path grows towards an edge that is chosen, so that a level below it can be reached.

    Returns:
        The selector.
    """
    goal = 1.01 * noise * float(np.sqrt(observations))

    def choose(path: RidgePath) -> Choice:
        last = len(path.alphas) - 1
        if path.limits[1] <= goal:
            low, high = float(path.alphas[0]), float(path.alphas[-1])
            meaning = "the noise explains the targets whatever alpha,"
            return Choice("discrepancy", last, high, path.residuals, (low, high), meaning)
        if extends and not np.any(path.residuals <= goal):
            low = float(path.alphas[0])
            return Choice("discrepancy", 0, low, path.residuals, (low, low), "residuals are above the noise", "low")
        return selector(path)

    return choose
