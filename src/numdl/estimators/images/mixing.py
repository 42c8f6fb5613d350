"""How much is each member of a classifier believed: the exponents that make held-out labels most probable?

``p(class) ~ exp(sum_j beta_j s_j(class))`` with ``beta_j >= 0``: a product of experts, for log probabilities and for
scores on any scale, one number for each member. The log loss is convex in beta. The first member's probabilities are
calibrated on many more rows: that the product is as certain as they are is held as if `PRIOR` rows spoke for it. Where
held-out rows are few and all right, their log loss falls for ever as beta grows, and says nothing of certainty.

Source: Genest and Zidek, Combining probability distributions, Statistical Science 1 (1986), sec. 3 (logarithmic pool).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

PRIOR = 15.0
"""Rows that speak for the certainty of the first member."""


def exponents(scores: np.ndarray, codes: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, float]:
    """Exponents of the members.

    Args:
        scores: of each member for held-out rows, (members, n, k); of the first one log probabilities.
        codes: of the classes of these rows, (n,).
        w: weights of these rows, (n,).

    Returns:
        beta (members,), and the log loss of these rows.
    """
    share, rows = w / w.sum(), np.arange(len(codes))
    size = scores.std(axis=(1, 2)).clip(1e-30)
    scores = scores / size[:, None, None] * size[0]  # so that beta sums to 1 where all is as certain as the first
    held = PRIOR / len(codes)

    def loss(beta: np.ndarray) -> float:
        return -float(share @ log_softmax(np.tensordot(beta, scores, 1), axis=1)[rows, codes])

    def objective(beta: np.ndarray) -> tuple[float, np.ndarray]:
        rest = np.exp(log_softmax(np.tensordot(beta, scores, 1), axis=1))
        rest[rows, codes] -= 1
        apart = beta.sum() - 1
        return loss(beta) + held / 2 * apart**2, np.einsum("n,nk,jnk->j", share, rest, scores) + held * apart

    begin = np.full(len(size), 1 / len(size))
    found = minimize(objective, begin, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(size)).x
    return found / size * size[0], loss(found)
