"""Calibration: how do scores of left-out rows become probabilities that keep their word?

``p = softmax(A s + b)`` with A and b, ``k (k + 1)`` numbers, that make the left-out labels most probable. A is held
towards a multiple beta of the identity, which a first fit of one number finds (temperature): so classes that the head
takes for each other correct each other only as far as rows tell. ``(A / beta - I, b)`` is held as if `PRIOR` rows of
information spoke for zero, more where there are few rows for each number: few rows leave the temperature, and classes
are never turned around. Where k^2 numbers are more than rows A is diagonal. Log loss and percent wrong of new images by
how A and b are held (three draws of digits, two and one of Fashion-MNIST; PRIOR was chosen on these):

====================  ===========  ===========  ============  ============  =============
held                  digits 100   digits 300   digits 1000   fashion 300   fashion 3000
====================  ===========  ===========  ============  ============  =============
temperature alone     0.158  4.3   0.056  1.8   0.022  0.8    0.572  17.4   0.364  11.2
1.6 absolute          0.187  5.2   0.051  1.8   0.019  0.7    0.531  18.2   0.326  11.0
relative to beta, 15  0.168  4.6   0.050  1.6   0.018  0.5    0.526  17.3   0.325  11.0
====================  ===========  ===========  ============  ============  =============

Rows do not judge what was fitted to them: `crossed` takes A and b from the other folds. And a row that is left out
takes its share of the intercept along: without it its class is rarer, so that in noise left-out scores are lowest for
the true class. `with_own_share` gives that share back; it is the frequency of the classes and tells nothing of the row.

Source: Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017, sec. 4.2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

PRIOR = 15.0
"""Rows whose information the held ``(A / beta - I, b)`` is worth, where numbers are few beside the rows."""

FOLDS, MANY = 5, 50
"""Parts of the rows, each judged by what the others give; two where there are so many rows for each entry of A."""


class Calibration(NamedTuple):
    """A map from scores to logits.

    Attributes:
        matrix: A', (k, k), so that ``logits = scores @ matrix + offset``.
        offset: b, (k,).
    """

    matrix: np.ndarray
    offset: np.ndarray

    def log_p(self, scores: np.ndarray) -> np.ndarray:
        """Logarithms of probabilities, (n, k)."""
        return np.asarray(log_softmax(scores @ self.matrix + self.offset, axis=1))


def calibrated(scores: np.ndarray, codes: np.ndarray, w: np.ndarray, *, diagonal: bool | None = None) -> Calibration:
    """The map under which left-out labels are most probable.

    Args:
        scores: of left-out rows, (n, k).
        codes: numbers of their classes, (n,).
        w: weights of the rows, positive, (n,).
        diagonal: whether A is; None for where its numbers are more than the rows.

    Returns:
        The map.
    """
    n, k = scores.shape
    share, rows = w / w.sum(), np.arange(n)

    def lost(log_beta: float) -> float:
        told = log_softmax(np.exp(log_beta) * scores, axis=1)
        return -float(share @ told[rows, codes]) + 0.5 * (log_beta - 2.0) ** 2 / n

    best: Any = minimize_scalar(lost, bounds=(-2.0, 5.0), method="bounded")
    beta, c, ones = float(np.exp(best.x)), np.eye(k)[codes], np.ones(n)
    diagonal = k * k > n if diagonal is None else diagonal
    held = (
        PRIOR
        / n
        * (1 + (k if diagonal else k * k) / n)
        * np.append(np.full(1 if diagonal else k, beta**-2.0), 1.0)[:, None]
    )
    start = np.concatenate([np.full((1, k), beta) if diagonal else beta * np.eye(k), np.zeros((1, k))])
    wide = np.column_stack([scores, ones])

    def loss(v: np.ndarray) -> tuple[float, np.ndarray]:
        change = v.reshape(start.shape)
        now = start + change
        told = log_softmax(scores * now[0] + now[1] if diagonal else wide @ now, axis=1)
        off = share[:, None] * (np.exp(told) - c)
        slope = np.stack([np.einsum("ij,ij->j", scores, off), off.sum(axis=0)]) if diagonal else wide.T @ off
        value = -float(share @ told[rows, codes]) + 0.5 * float(np.vdot(change, held * change))
        return value, (slope + held * change).ravel()

    found = start + minimize(loss, np.zeros(start.size), jac=True, method="L-BFGS-B").x.reshape(start.shape)
    return Calibration(np.diag(found[0]) if diagonal else found[:k], found[-1])


def crossed(scores: np.ndarray, codes: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities of rows, by maps to which they contributed nothing.

    Args:
        scores: of left-out rows, (n, k).
        codes: numbers of their classes, (n,).
        w: weights of the rows, positive, (n,).

    Returns:
        (n, k).
    """
    fold, told = np.empty(len(codes), int), np.empty(scores.shape)
    folds = FOLDS if len(scores) < MANY * scores.shape[1] ** 2 else 2
    fold[np.argsort(codes, kind="stable")] = np.arange(len(codes)) % folds  # each holds a part of every class
    diagonal = scores.shape[1] ** 2 > len(scores)
    for i in range(folds):
        own = fold == i
        if own.any():
            told[own] = calibrated(scores[~own], codes[~own], w[~own], diagonal=diagonal).log_p(scores[own])
    return told


def with_own_share(scores: np.ndarray, c: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Left-out scores with the intercept of all rows.

    Args:
        scores: of left-out rows, (n, k).
        c: targets (n, k).
        w: weights of the rows, positive, (n,).

    Returns:
        ``s_i + w_i (c_i - mean) / (n - w_i)``, n the sum of the weights, (n, k).
    """
    n = w.sum()
    return scores + (c - w @ c / n) * (w / (n - w))[:, None]
