"""Log transform of a target: is it better explained by its logarithm, and how do predictions come back?

Both ways, the best process of two kernels is found on at most ``ASKED`` rows. The density of a target whose logarithm
has the density p is ``p(log y) / y``, so the log evidence of the logarithm loses the sum of ``log y``: then both are
densities of the same numbers. The logarithm is taken where the gain is decisive, see ``MARGIN``.

A mixture of normal distributions of the logarithm, ``N(m_i, v_i)``, is one of lognormal distributions of the target:
means ``exp(m_i + v_i / 2)``, variances ``exp(2 m_i + v_i) (exp(v_i) - 1)``; quantiles are exponentials of quantiles.

Far from all rows, or where an input that decides is missing, ``v_i`` is that of all targets together or more. Then
means of lognormal distributions lie beyond any target, as real ones are not lognormal over decades: lifetimes up to
2e7 were predicted as 4e11. So ``v_i`` counts at most for what all targets together have, see `bounds`: who knows
nothing predicts their mean and their deviation; and wide distributions lift no mean above the largest target.

Source: Snelson, Rasmussen and Ghahramani, Warped Gaussian processes, NeurIPS 2003, sec. 3.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.special import logsumexp

from numdl.contracts.threads import one_blas_thread
from numdl.estimators.common.intake import is_auto
from numdl.estimators.kernels.evidence import Evidence
from numdl.estimators.kernels.optimum import optimise
from numdl.estimators.kernels.search import judge
from numdl.estimators.kernels.tables import gather

Moments: TypeAlias = tuple[np.ndarray, np.ndarray]

ASKED, KERNELS = 150, ("linear", "rbf")
"""Rows on which both are compared, and by which kernels."""

LEAST, MARGIN = 10.0, 0.6
"""Nats that the logarithm has to gain in all, and for each row.

A table of few decades may well have the larger density by its logarithm and be predicted with the larger error all the
same: the resistance of yachts, 0.01 to 62, gains 0.3 to 0.5 for each row, and its RMSE grows by 1.7. Noise that is a
share of the target gains 0.7 at 30 %, and then the RMSE is smaller too.
"""

NARROW = 2.0
"""Largest over smallest target up to which nobody asks: there a logarithm is all but straight."""

STEEPEST, HIGHEST, WIDEST = 300.0, 700.0, 100.0
"""Exponents at most: of a mean over the middle of the targets, of a mean, and of a variance; numbers stay finite."""


FREE = 0.5
"""Lift that nothing bounds but its variance, that of noise of a factor of 2.7."""


class Choice(NamedTuple):
    """Which targets are seen by their logarithm, and what that gains in nats, 0 where nobody asked; (k,) both."""

    logarithm: np.ndarray
    gain: np.ndarray


def choose(call: str, option: str | None, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Choice:
    """Decide for each target.

    Args:
        call: the call to name.
        option: "auto", "log" or None.
        x: rows (n, d).
        y: targets (n, k).
        weights: of the rows (n,), not negative.

    Returns:
        The choice.

    Raises:
        ValueError: "log" for a target that is not positive.
    """
    k, used = y.shape[1], weights > 0
    choice = Choice(np.zeros(k, bool), np.zeros(k))
    if option is None or not used.any():
        return choice
    if not is_auto(option):
        if (y[used] <= 0).any():
            row, column = np.argwhere((y <= 0) & used[:, None])[0]
            raise ValueError(
                f"{call}(target_transform='log'): target {column} is {y[row, column]:.6g} in row {row}, and only "
                "positive numbers have a logarithm. Leave target_transform='auto', or None."
            )
        return Choice(~choice.logarithm, choice.gain)
    low, high = y[used].min(axis=0), y[used].max(axis=0)
    open_ = np.flatnonzero((low > 0) & (low < high / NARROW))
    if len(open_):
        rows = np.flatnonzero(used)
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:ASKED])
        part = (x[rows], weights[rows] / weights[rows].mean())
        with one_blas_thread():
            plain, logarithm = (_evidence(call, part[0], c[rows][:, open_], part[1]) for c in (y, _log(y)))
        jacobian = part[1] @ _log(y[rows][:, open_])
        choice.gain[open_] = np.nan_to_num(logarithm - jacobian - plain, nan=0.0, posinf=0.0, neginf=0.0)
    return choice._replace(logarithm=choice.gain > max(LEAST, MARGIN * min(used.sum(), ASKED)))


def viewed(y: np.ndarray, logarithm: np.ndarray) -> np.ndarray:
    """Targets as the members see them but for the scale.

    Args:
        y: (n, k).
        logarithm: which by their logarithm (k,).

    Returns:
        (n, k).
    """
    return np.where(logarithm, _log(y), y) if logarithm.any() else y


class Bounds(NamedTuple):
    """What lifts a mean above the median, and a deviation, at most.

    Attributes:
        of_mean: variance of the logarithm for means.
        of_deviation: variance of the logarithm for deviations.
        top: logarithm above which no mean is lifted by more than `FREE`.
    """

    of_mean: float = WIDEST
    of_deviation: float = WIDEST
    top: float = HIGHEST


def bounds(y: np.ndarray, weights: np.ndarray) -> Bounds:
    """Variances of a logarithm that give a mean over the median, and a deviation over the mean, as all targets have.

    ``2 ln(mean(y) / exp(mean(ln y)))`` and ``ln(mean(y^2) / mean(y)^2)``: of lognormal targets both are the variance of
    the logarithm, of others those that `in_units` needs.

    Args:
        y: logarithms of a target (n,).
        weights: of the rows (n,), not negative.

    Returns:
        The bounds.
    """
    share = weights / weights.sum()
    middle, first, second = share @ y, np.asarray(logsumexp(y, b=share)), np.asarray(logsumexp(2 * y, b=share))
    two = np.clip([2 * (first - middle), second - 2 * first], 0.0, WIDEST)
    return Bounds(float(two[0]), float(two[1]), float(y[weights > 0].max()))


def lift(means: np.ndarray, variances: np.ndarray, most: Bounds) -> np.ndarray:
    """Logarithm of mean over median: half the variance, within its bounds.

    Args:
        means: of the logarithm, any shape.
        variances: of the logarithm, likewise.
        most: the bounds.

    Returns:
        Likewise, not negative.
    """
    return np.minimum(0.5 * np.minimum(variances, most.of_mean), np.maximum(most.top - means, FREE))


def in_units(means: np.ndarray, variances: np.ndarray, center: float, scale: float, most: Bounds) -> Moments:
    """Means and variances of members over ``exp(center)``, from those of the scaled logarithm of the target.

    Args:
        means: any shape.
        variances: likewise.
        center: of what was scaled.
        scale: of what was scaled.
        most: bounds of what variances do.

    Returns:
        Two arrays of the same shape; the first has the unit of ``exp(center)``, the second its square.
    """
    means, variances = means * scale, variances * scale**2
    exponent = means + lift(means + center, variances, most)
    mean = np.exp(np.minimum(exponent, min(STEEPEST, HIGHEST - center)))
    return mean, mean**2 * np.expm1(np.minimum(variances, most.of_deviation))


def _log(y: np.ndarray) -> np.ndarray:
    """Logarithm where there is one, else 0."""
    return np.log(np.where(y > 0, y, 1.0))


def _evidence(call: str, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Log evidence of each target in its units, by the better kernel (k,)."""
    table = gather(call, x, y, weights, ASKED, np.random.default_rng(0))
    found = []
    for rows, scale in zip(table.rows, table.targets.scale, strict=True):
        best = -np.inf
        for name in KERNELS:
            candidate = optimise(Evidence(name, rows, table.box), 2, np.random.default_rng(0))
            judged = None if candidate is None else judge(candidate, rows, table.box)
            best = best if judged is None else max(best, judged.evidence)
        found.append(best - weights.sum() * np.log(scale))
    return np.array(found)
