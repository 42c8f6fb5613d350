"""Calibration error: do probabilities of classes keep their word, in groups of rows of equal size?

Groups of equal size, not bins of equal width: certainties crowd near 1, so that of 15 bins between 0 and 1 most hold a
few rows or none, and the distance of a share of few rows from its certainty is chance. On three classes with true
probabilities (200 draws) the error of 50 rows was .15, .13 and .09 in such bins and .09, .07 and .04 in groups, from
200 rows on it was alike; exaggerated probabilities were told from true ones as well or better by groups.

Sources: Nguyen and O'Connor, Posterior calibration and exploratory analysis for natural language processing models,
EMNLP 2015 (bins of equal size); Roelofs, Cain, Shlens and Mozer, Mitigating bias in calibration error estimation,
AISTATS 2022 (why).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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
