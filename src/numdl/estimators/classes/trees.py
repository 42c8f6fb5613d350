"""What does a forest say of classes: shares of its leaves, blurred and sharpened until they keep their word?

Leaves of a few observations say 0 or 1. With the shares b of all classes

    p ~ ((1 - e) q + e b)^s

is what the forest's mean q is taken for: e for what it cannot know, s because the mean of trees of which each has seen
other rows is less certain than it might be. Both make the left-out observations most probable.

Source: Niculescu-Mizil and Caruana, Predicting good probabilities with supervised learning, ICML 2005.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, softmax

from numdl.estimators.trees.forest import Forest

BLURS = (0.003, 0.01, 0.03, 0.1, 0.2)
"""Among which e is chosen."""

SHARPNESSES = (0.5, 0.6, 0.75, 0.9, 1.0, 1.15, 1.35, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0, 6.5)
"""Among which s is."""


class Trees(NamedTuple):
    """A forest as a member of a `numdl.estimators.classes.member.ClassMixture`.

    Attributes:
        name: under which its weight is told.
        forest: its leaves hold shares of the classes, or what is added to their scores.
        blur: e above.
        sharpness: s above.
        weight: share in the mixture.
        scores: whether q above is the softmax of the forest's mean, as that of boosted trees, instead of the mean.
    """

    name: str
    forest: Forest
    blur: float
    sharpness: float
    weight: float = 1.0
    scores: bool = False

    @property
    def n_parameters(self) -> int:
        """Number of leaves."""
        return int((self.forest.left == np.arange(len(self.forest.left))).sum())

    def log_p(self, base: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Logarithms of the probabilities.

        Args:
            base: logarithms of the shares of the classes (k,).
            x: scaled rows (n, d).

        Returns:
            (n, k).
        """
        mean = self.forest.mean(x)
        q = softmax(mean, axis=1) if self.scores else mean
        return taken_for(q, np.exp(base), self.blur, self.sharpness)


def taken_for(q: np.ndarray, shares: np.ndarray, blur: float, sharpness: float) -> np.ndarray:
    """Logarithms of the probabilities, see above.

    Args:
        q: of the forest (n, k).
        shares: b above (k,).
        blur: e.
        sharpness: s.

    Returns:
        (n, k).
    """
    return log_softmax(sharpness * np.log((1 - blur) * q + blur * shares), axis=1)


def calibrated(
    q: np.ndarray, shares: np.ndarray, label: np.ndarray, count: np.ndarray, blurs: tuple[float, ...] = BLURS
) -> tuple[float, float, float]:
    """Blur and sharpness at which the left-out observations are most probable, by steps to neighbours.

    Args:
        q: of the forest without them (cells, k).
        shares: b above (k,).
        label: what was observed (cells,).
        count: how often (cells,).
        blurs: among which e is chosen.

    Returns:
        e, s, and the sum of the log probabilities of the observations.
    """
    cells, told = np.arange(len(label)), {}

    def density(at: tuple[int, int]) -> float:
        if not (0 <= at[0] < len(blurs) and 0 <= at[1] < len(SHARPNESSES)):
            return -np.inf
        if at not in told:
            found = taken_for(q, shares, blurs[at[0]], SHARPNESSES[at[1]])
            told[at] = float(count @ found[cells, label])
        return told[at]

    here = (len(blurs) // 2, SHARPNESSES.index(1.6))
    while True:
        steps = [(here[0] + i, here[1] + j) for i, j in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1))]
        best = max(steps, key=density)
        if density(best) <= density(here):
            return blurs[here[0]], SHARPNESSES[here[1]], density(here)
        here = best
