"""How much is each member of a classifier believed: the exponents that make held-out labels most probable?

``p(class) ~ exp(sum_j beta_j s_j(class))`` with ``beta_j >= 0``: a product of experts, for log probabilities and for
scores on any scale, one number for each member. The log loss is convex in beta.

Source: Genest and Zidek, Combining probability distributions, Statistical Science 1 (1986), sec. 3 (logarithmic pool).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax


def exponents(scores: np.ndarray, codes: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, float]:
    """Exponents of the members.

    Args:
        scores: of each member for held-out rows, (members, n, k).
        codes: of the classes of these rows, (n,).
        w: weights of these rows, (n,).

    Returns:
        beta (members,), and the log loss of these rows.
    """
    share, rows = w / w.sum(), np.arange(len(codes))

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        told = log_softmax(np.tensordot(beta, scores, 1), axis=1)
        rest = np.exp(told)
        rest[rows, codes] -= 1
        return -float(share @ told[rows, codes]), np.einsum("n,nk,jnk->j", share, rest, scores)

    size = scores.std(axis=(1, 2)).clip(1e-30)
    scores = scores / size[:, None, None]
    found = minimize(loss, np.ones(len(size)), jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(size))
    return found.x / size, float(found.fun)
