"""Calibration: do probabilities of classes and intervals keep their word? That of classes in groups of equal size.

Groups of equal size, not bins of equal width: certainties crowd near 1, so that of 15 bins between 0 and 1 most hold a
few rows or none, and the distance of a share of few rows from its certainty is chance. On three classes with true
probabilities (200 draws) the error of 50 rows was .15, .13 and .09 in such bins and .09, .07 and .04 in groups, from
200 rows on it was alike; exaggerated probabilities were told from true ones as well or better by groups.

Sources: Nguyen and O'Connor, Posterior calibration and exploratory analysis for natural language processing models,
EMNLP 2015 (bins of equal size); Roelofs, Cain, Shlens and Mozer, Mitigating bias in calibration error estimation,
AISTATS 2022 (why).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from numdl.report.summary import FitSummary

HUGE = 1e100
"""Larger predictions are treated as not finite: their squares and axis limits overflow."""

FARTHEST = 1e-12
"""Probability down to which a normal deviation is read from it: 7 standard deviations."""

GROUP, GROUPS = 15, 10
"""Rows of a group at least, as long as there are two groups, and groups at most."""


class CertaintyGroups(NamedTuple):
    """Rows in groups of rising certainty.

    Attributes:
        certainty: mean probability of the predicted class in each group, (m,).
        right: share of its rows that are predicted right, (m,).
        size: its rows, (m,).
    """

    certainty: np.ndarray
    right: np.ndarray
    size: np.ndarray

    @property
    def error(self) -> float:
        """The calibration error: mean distance of certainty and share over all rows, from 0 to 1."""
        return float(self.size @ np.abs(self.certainty - self.right) / self.size.sum())


def certainty_groups(p: np.ndarray, label: np.ndarray, count: np.ndarray | None = None) -> CertaintyGroups:
    """Rows in groups of equal size by the probability of their predicted class.

    Rows of one certainty stay in one group: their order says nothing.

    Args:
        p: probabilities of the classes (n, k), n at least 1.
        label: number of the true class (n,).
        count: how often each row was seen (n,), their sum positive; once if not given.

    Returns:
        One group for each `GROUP` rows, at most `GROUPS`.
    """
    count = np.ones(len(p)) if count is None else count
    certainty, right = p.max(axis=1), p.argmax(axis=1) == label
    told, of = np.unique(certainty, return_inverse=True)
    sizes, hits = np.bincount(of, count), np.bincount(of, count * right)
    total = sizes.sum()
    m = int(np.clip(total // GROUP, 1, GROUPS))
    middle = (np.cumsum(sizes) - sizes / 2) / total  # the rows before, and half of one's own
    place = np.minimum((middle * m).astype(int), m - 1)
    size, hit, sums = (np.bincount(place, values, m) for values in (sizes, hits, sizes * told))
    held = size > 0
    return CertaintyGroups(sums[held] / size[held], hit[held] / size[held], size[held])


class Reliability(NamedTuple):
    """How often the predicted class is right, over how certain it was: rows in groups of rising certainty.

    Attributes:
        certainty: mean probability of the predicted class in each group, (m,).
        right: share of its rows that are predicted right, (m,).
        low: lower end of the 90 % interval of this share, (m,).
        high: upper end, (m,).
        error: mean distance of certainty and share over all rows, the calibration error.
        log_loss: mean of ``-log p`` of the true class, in nats.
        trivial: the same of the shares of the classes among these rows.
    """

    certainty: np.ndarray
    right: np.ndarray
    low: np.ndarray
    high: np.ndarray
    error: float
    log_loss: float
    trivial: float


def reliability(summary: FitSummary) -> Reliability | None:
    """Whether probabilities keep their word on the held-out rows; ``None`` without any.

    The intervals are Wilson's: Wilson, Journal of the American Statistical Association 22, 1927.

    Args:
        summary: of a classification.

    Returns:
        Groups of equal size, those of ``certainty_groups``.
    """
    p, c = summary.probability, summary.c
    if p is None or c is None or not len(c):
        return None
    groups = certainty_groups(p, c)
    told, share, size = groups
    z = NormalDist().inv_cdf(0.95)
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    of_true = np.log(np.maximum(p[np.arange(len(c)), c], np.finfo(float).tiny))
    counts = np.bincount(c)
    counts = counts[counts > 0]
    trivial = -float(counts @ np.log(counts / len(c))) / len(c)
    return Reliability(told, share, middle - half, middle + half, groups.error, -float(of_true.mean()), trivial)


def coverage(summary: FitSummary, levels: Sequence[float], target: int | None = None) -> np.ndarray | None:
    """Share of the held-out targets inside the central interval of each level, (len(levels),).

    It is Gaussian unless the summary says how probable smaller targets were.

    Args:
        summary: a regression with predicted standard deviations.
        levels: nominal probabilities in (0, 1).
        target: number of one target; None pools all of them.

    Returns:
        The observed shares, or ``None`` if there is no usable interval.
    """
    if summary.interval is None or summary.c is None or summary.prediction is None:
        return None
    with np.errstate(invalid="ignore"):
        good = (np.abs(summary.c) < HUGE) & (np.abs(summary.prediction) < HUGE)
        good &= np.isfinite(summary.interval) & (summary.interval >= 0)
    if target is not None:
        good = good & (np.arange(good.shape[1]) == target)
    if summary.below is not None:
        good &= np.isfinite(summary.below)
    if not good.any():
        return None
    if summary.below is not None:
        inside = np.abs(2 * summary.below[good] - 1)
        return np.array([np.mean(inside <= level) for level in levels])
    distance, deviation = np.abs(summary.c - summary.prediction)[good], summary.interval[good]
    widths = [NormalDist().inv_cdf(0.5 + level / 2) for level in levels]
    return np.array([np.mean(distance <= width * deviation) for width in widths])


def deviations(summary: FitSummary, row: int, target: int) -> float:
    """How far a target lies from its prediction, in predicted standard deviations.

    Where the summary says how probable smaller targets were, in those of the normal distribution with this probability,
    as long as floating point tells it from 0 and 1.
    """
    if summary.below is not None and FARTHEST < summary.below[row, target] < 1 - FARTHEST:
        return abs(NormalDist().inv_cdf(float(summary.below[row, target])))
    off = summary.c[row, target] - summary.prediction[row, target]  # type: ignore[index]
    return float(abs(off) / max(summary.interval[row, target], 1e-300))  # type: ignore[index]
