"""Log transform of a target: is it better explained by its logarithm, and how do predictions come back?

Both ways, the best process of two kernels is found on at most ``ASKED`` rows. The density of a target whose logarithm
has the density p is ``p(log y) / y``, so the log evidence of the logarithm loses the sum of ``log y``: then both are
densities of the same numbers. The logarithm is taken where the gain is decisive, see ``MARGIN``.

A mixture of normal distributions of the logarithm, ``N(m_i, v_i)``, is one of lognormal distributions of the target:
means ``exp(m_i + v_i / 2)``, variances ``exp(2 m_i + v_i) (exp(v_i) - 1)``; quantiles are exponentials of quantiles.

Source: Snelson, Rasmussen and Ghahramani, Warped Gaussian processes, NeurIPS 2003, sec. 3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numdl.contracts.threads import one_blas_thread
from numdl.estimators.common.intake import is_auto
from numdl.estimators.kernels.evidence import Evidence
from numdl.estimators.kernels.optimum import optimise
from numdl.estimators.kernels.search import judge
from numdl.estimators.kernels.tables import gather

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

STEEPEST, WIDEST = 300.0, 100.0
"""Exponents at most, of a mean and of a variance: far from all rows numbers are absurd, but not infinite."""


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


def in_units(means: np.ndarray, variances: np.ndarray, center: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of members, from those of the scaled logarithm of the target, in units of the target.

    Args:
        means: any shape.
        variances: likewise.
        center: of what was scaled.
        scale: of what was scaled.

    Returns:
        Two arrays of the same shape.
    """
    means, variances = means * scale, variances * scale**2
    mean = np.exp(center) * np.exp(np.minimum(means + 0.5 * variances, STEEPEST))
    return mean, mean**2 * np.expm1(np.minimum(variances, WIDEST))


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
