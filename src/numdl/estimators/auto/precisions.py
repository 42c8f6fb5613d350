"""Hyperparameters by the evidence: how strongly is each group of weights held, and how large is the noise?

Groups are those of `Architecture.groups`. Logarithms of precisions and of the noise variance have wide normal priors of
centre c and spread t. At the maximum of evidence times prior, the linearised model being kept,

    (gamma_g - a_g q_g) / 2 = (log a_g - c_g) / t_g^2,    (left - (sum w r^2 + S) / s) / 2 = (c - log s) / t^2

with gamma_g the number of weights of a group that the data determine, q_g their square norm and ``left = N - gamma``.
The curvature there is about ``gamma_g / 2 + 1 / t_g^2``, which gives the Laplace approximation over precisions too.

Sources: MacKay, Neural Computation 4, 1992, sec. 2; Tipping, JMLR 1, 2001, sec. 2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numdl.estimators.auto.network import Architecture

CAUTION = (-1.0, 2.3)
"""Change of a logarithm in one step: the weights are still on their way."""


LEAST_NOISE = 1e-14
"""Variance, over that of the targets: less is rounding."""


class Precisions(NamedTuple):
    """Logarithms of the precisions and of minus the noise variance.

    Attributes:
        log: (G + 1,), the noise last.
        centre: of the prior (G + 1,).
        spread: of the prior (G + 1,).
        used: which groups have weights (G + 1,).
        groups: of each weight (P,), -1 for a precision of 1.
    """

    log: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    used: np.ndarray
    groups: np.ndarray

    @property
    def noise(self) -> float:
        """Variance of one observation."""
        return float(np.exp(-self.log[-1]))

    @property
    def each(self) -> np.ndarray:
        """Precision of each weight (P,)."""
        return np.where(self.groups >= 0, np.exp(self.log)[self.groups], 1.0)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum over each group.

        Args:
            values: one for each weight (P,).

        Returns:
            (G,).
        """
        return np.bincount(self.groups + 1, values, len(self.log))[1:]

    def moved(self, determined: np.ndarray, squares: np.ndarray) -> Precisions:
        """To where evidence and prior balance, or cautiously towards it: Newton on a concave function each.

        Args:
            determined: numbers of weights that the data determine, and what they leave (G + 1,).
            squares: square norms, and the weighted misfit of all observations (G + 1,).

        Returns:
            New precisions.
        """
        log = self.log
        for _ in range(20):
            pull = 0.5 * np.exp(log) * squares
            slope = 0.5 * determined - pull - (log - self.centre) / self.spread**2
            log = log + np.clip(slope / (pull + 1 / self.spread**2), -2.0, 2.0)
        log = self.log + np.clip(log - self.log, *CAUTION)
        log[-1] = min(log[-1], -np.log(LEAST_NOISE))
        return self._replace(log=np.where(self.used, log, self.log))

    def volume(self, determined: np.ndarray) -> float:
        """Log density of the prior and Laplace's volume over all precisions in use.

        Args:
            determined: as for ``moved`` (G + 1,).

        Returns:
            Nats.
        """
        off = (self.log - self.centre) / self.spread
        each = off**2 + np.log1p(0.5 * determined * self.spread**2)
        return -0.5 * float(each[self.used].sum())


def start(spec: Architecture, noise: float = 0.1) -> Precisions:
    """Precisions before anything is known: the centre of the prior, and a noise to begin with.

    The head, the steps and the shifts are held within narrow bounds: what the head may grow the layers may shrink, and
    the evidence of the linearised model, which does not see that, lets them drift to an all but linear network of huge
    weights. Inputs are held within wide ones, because most of them may be inert.

    Args:
        spec: architecture.
        noise: variance of one observation.

    Returns:
        Precisions.
    """
    d, m = spec.d, np.log(spec.width)
    centre = np.r_[np.full(d, np.log(d)), 0.0, m - 1.0, m - 1.0, np.log(10.0), -np.log(1e-2)]
    spread = np.r_[np.full(d, 6.0), 1.0, 0.5, 1.0, 3.0, 3.0]
    used = np.append(np.bincount(spec.groups + 1, minlength=d + 5)[1:] > 0, True)
    return Precisions(np.append(centre[:-1], -np.log(noise)), centre, spread, used, spec.groups)
