"""Criteria for alpha: GCV, discrepancy, L-curve, UPRE, cross validation.

What does solving a linear problem for one alpha give, and which criteria can choose alpha?
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from numdl.contracts import Status
from numdl.regularize.ridge import RidgePath
from numdl.regularize.selectors import GUARD, Choice, Selector, cross_validation, discrepancy, gcv, l_curve, upre

CRITERIA = ("gcv", "discrepancy", "l-curve", "upre", "loo", "cv")
"""What can choose alpha."""

NEED_NOISE = ("discrepancy", "upre")
"""Criteria that use the noise level."""


NEED_FREEDOM = ("gcv", "upre")
"""Criteria that use the degrees of freedom."""


class Solved(NamedTuple):
    """Solution for targets that share an alpha.

    Attributes:
        targets: their numbers.
        unknowns: (p, targets).
        intercept: (targets,).
        alpha: penalty of the mean misfit; 0 where the number of iterations regularises.
        freedom: effective degrees of freedom of one target; regularising iterations count one each; NaN: unknown.
        choice: how alpha was chosen; None if it was given or the iteration was stopped.
        path: what it was chosen from; None likewise.
        status: how the solution was found.
        iterations: how many there were; 0 for a factorisation.
        noise: standard deviation of the error of one target value that the criterion used; None if it needs none.
    """

    targets: list[int]
    unknowns: Float[np.ndarray, "p k"]
    intercept: Float[np.ndarray, " k"]
    alpha: float
    freedom: float
    choice: Choice | None
    path: RidgePath | None
    status: Status
    iterations: int
    noise: float | None = None


def selector_of(criterion: str, noise: float, observations: float) -> Selector:
    """The criterion as a function of the path.

    Args:
        criterion: one of ``CRITERIA``.
        noise: standard deviation of the error of one target value, for those that need it.
        observations: number of target values.

    Returns:
        The selector; "gcv" charges 1.4 times for a degree of freedom, see ``numdl.regularize.selectors.gcv``.
    """
    selectors: dict[str, Selector] = {
        "gcv": partial(gcv, guard=GUARD),
        "discrepancy": partial(discrepancy, noise=noise * float(np.sqrt(observations))),
        "upre": partial(upre, noise=noise),
        "l-curve": l_curve,
        "loo": cross_validation,
        "cv": cross_validation,
    }
    return selectors[criterion]
