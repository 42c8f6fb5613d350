"""Picard condition.

Do the targets fade faster than the singular values, as a solution of an ill-posed problem demands?
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.regularize.ridge.decomposition import RidgeDecomposition


class Picard(NamedTuple):
    """What a Picard plot shows, directions in descending order of ``c / s``.

    Attributes:
        values: generalised singular values ``c / s``, (r,).
        coefficients: ``|u_j' B|`` over all targets, in the units of the targets, (r,).
        solution: their quotients, the size of each direction in the unregularised solution, (r,).
        noise: level at which the coefficients stop falling: the noise in one coefficient, in units of the targets.
        usable: number of leading directions whose coefficients stand out of that level.
    """

    values: Float[np.ndarray, " r"]
    coefficients: Float[np.ndarray, " r"]
    solution: Float[np.ndarray, " r"]
    noise: float
    usable: int

    @property
    def message(self) -> str:
        """The verdict in a sentence."""
        r = len(self.values)
        if self.usable == r:
            return f"The Picard condition holds for all {r} directions: noise does not show in the coefficients."
        return (
            f"The Picard condition holds for the first {self.usable} of {r} directions; the coefficients of the others "
            f"stay at {self.noise:.3g}, the level of the noise, while the singular values go on falling."
        )


def picard(decomposition: RidgeDecomposition) -> Picard:
    """Coefficients against singular values; the noise level is taken from the weakest quarter.

    A direction stands out when it is above three times that level; usable are those before the first five in a row
    that do not. Directions that nothing penalises are left out.

    Args:
        decomposition: from ``decompose``.

    Returns:
        Numbers of the plot and the verdict.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 3.3 (the rule for the level is ours).

    Examples:
        >>> from numdl.data.problems.inverse_problems import deblurring
        >>> from numdl.regularize.ridge import decompose, picard
        >>> problem = deblurring(40)
        >>> plot = picard(decompose(problem.A, problem.noisy(0.01, 0)[:, None]))
        >>> bool(plot.usable < len(plot.values))
        True
    """
    checks.instance("picard", "decomposition", decomposition, RidgeDecomposition, "Use decompose.")
    d = decomposition
    held = (d.s > 0) & (d.c > 0)
    values = d.c[held] / d.s[held]
    order = np.argsort(-values, kind="stable")
    values = values[order]
    coefficients = np.sqrt(d.n) * np.linalg.norm(d.coefficients[held][order], axis=1)
    noise = _level(values, coefficients)
    usable, quiet = 0, 0
    for j, loud in enumerate(coefficients > 3 * noise):
        usable, quiet = (j + 1, 0) if loud else (usable, quiet + 1)
        if quiet == 5:
            break
    return Picard(values, coefficients, coefficients / values, noise, usable)


def _level(values: Float[np.ndarray, " r"], coefficients: Float[np.ndarray, " r"]) -> float:
    """Noise in one coefficient, from the weakest quarter; 0 if that is too short, or still falling with the values.

    Medians of eight moduli of normal numbers differ by a factor of four in one of 100 cases only: a larger fall, and
    one not slower than the root of the fall of the singular values, is taken for signal.
    """
    first, last = np.array_split(np.arange(len(values))[-max(len(values) // 4, 8) :], 2)
    if len(values) < 16:
        return 0.0
    fall, of_values = (np.median(a[first]) / np.median(a[last]) for a in (coefficients, values))
    if fall > 4 and fall > np.sqrt(of_values):
        return 0.0
    return float(np.median(coefficients[np.r_[first, last]])) / 0.6745  # median of the modulus of a normal number
