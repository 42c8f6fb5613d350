"""Linear classification on few unknowns: softmax and logistic regression in NumPy, with the Hessian formed.

    f(W) = 1/n sum_i w_i loss(W z_i, c_i) + alpha/2 ||L (W_m - W_ref)'||^2,     z = [x; 1]

The objective of `linear`, of which a fit of some hundred unknowns waits for the compiler a hundred times as long as
for its steps. It is also what judges a fit, whoever made it: see `loo`.

Cost: a Hessian ``n q^2 k (k + 1)`` operations, everything else ``n q k``.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import expit, log_expit, logsumexp, softmax

Head = Float[np.ndarray, "k q"]


class QuadraticPenalty(NamedTuple):
    """``alpha/2 ||L (W_m - W_ref)'||^2`` on all but the last column of W.

    Attributes:
        alpha: not negative, in units of the mean misfit.
        square: L'L, (m, m); None for the identity.
        reference: W_ref (k, m); None for zero.
    """

    alpha: float
    square: Float[np.ndarray, "m m"] | None = None
    reference: Float[np.ndarray, "k m"] | None = None

    def value(self, W: Head) -> float:
        """The penalty."""
        away = self._away(W)
        return 0.5 * float(np.vdot(away, self.product(away)))

    def gradient(self, W: Head) -> Head:
        """Its derivative, (k, q)."""
        return self.product(self._away(W))

    def product(self, v: Head) -> Head:
        """Its Hessian times v, (k, q)."""
        out = np.zeros_like(v)
        out[:, :-1] = self.alpha * (v[:, :-1] if self.square is None else v[:, :-1] @ self.square)
        return out

    def matrix(self, q: int) -> Float[np.ndarray, "q q"]:
        """Its Hessian for one output."""
        return self.product(np.eye(q))

    def _away(self, W: Head) -> Head:
        return W if self.reference is None else W - np.pad(self.reference, ((0, 0), (0, 1)))


@dataclasses.dataclass(frozen=True)
class DenseLinear:
    """The problem of a linear classifier with an intercept.

    Attributes:
        loss: "softmax" or "logistic".
        penalty: on W (k, q).
        z: features, one row for each, the last one of ones, (q, n).
        c: targets (n, k): a one in the column of the class, or for one score 0 and 1.
        w: sample weights of mean 1, (n,).
    """

    loss: str
    penalty: QuadraticPenalty
    z: Float[np.ndarray, "q n"]
    c: Float[np.ndarray, "n k"]
    w: Float[np.ndarray, " n"]

    def with_alpha(self, alpha: float | Float[np.ndarray, ""]) -> DenseLinear:
        """The same with another size of the penalty."""
        return dataclasses.replace(self, penalty=self.penalty._replace(alpha=float(alpha)))

    def scores(self, W: Head) -> Float[np.ndarray, "n k"]:
        """``W z_i`` for all samples."""
        return (W @ self.z).T

    def misfit(self, s: Float[np.ndarray, "n k"]) -> float:
        """Weighted mean misfit of given scores."""
        if self.loss == "softmax":
            each = logsumexp(s - np.einsum("nk,nk->n", self.c, s)[:, None], axis=1)
        else:
            each = -(self.c * log_expit(s) + (1 - self.c) * log_expit(-s))[:, 0]
        return float(self._share @ each)

    def value(self, W: Head) -> float:
        """``f(W)``."""
        return self.misfit(self.scores(W)) + self.penalty.value(W)

    def residual(self, s: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """Derivative of the loss of each sample by its scores."""
        if self.loss == "softmax":
            return softmax(s, axis=1) - self.c
        return (1 - self.c) * expit(s) - self.c * expit(-s)

    def bend(self, s: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k k"]:
        """Second derivative of the loss of each sample by its scores."""
        curved, k = self.curved(s), s.shape[1]
        return np.stack([np.stack([self.bent(curved, a, b) for b in range(k)], axis=1) for a in range(k)], axis=1)

    def gradient(self, W: Head, s: Float[np.ndarray, "n k"]) -> Head:
        """Derivative of f at W, whose scores are s."""
        return (self.z @ (self._share[:, None] * self.residual(s))).T + self.penalty.gradient(W)

    def hessian(self, s: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "kq kq"]:
        """Second derivative of f where the scores are s, unknowns ordered as ``W.reshape(-1)``."""
        k, q, curved = s.shape[1], len(self.z), self.curved(s)
        blocks, held = np.empty((k, q, k, q)), self.penalty.matrix(q)
        with np.errstate(over="ignore", invalid="ignore"):  # who needs it looks whether it is finite
            for a in range(k):
                for b in range(a + 1):
                    blocks[a, :, b] = (self.z * (self._share * self.bent(curved, a, b))) @ self.z.T
                    blocks[b, :, a] = blocks[a, :, b]
                blocks[a, :, a] += held
        return blocks.reshape(k * q, k * q)

    def curved(self, s: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """All that second derivatives need of scores: no matrix for each sample."""
        return softmax(s, axis=1) if self.loss == "softmax" else expit(s) * expit(-s)

    def bent(self, curved: Float[np.ndarray, "n k"], a: int, b: int) -> Float[np.ndarray, " n"]:
        """Second derivative of the loss of each sample by its scores a and b."""
        return curved[:, a] * ((a == b) - curved[:, b]) if self.loss == "softmax" else curved[:, 0]

    def product(self, curved: Float[np.ndarray, "n k"], v: Head) -> Head:
        """The Hessian times v, from ``curved`` at its point."""
        moved = curved * self.scores(v)
        if self.loss == "softmax":
            moved -= curved * moved.sum(axis=1, keepdims=True)
        return (self.z @ (self._share[:, None] * moved)).T + self.penalty.product(v)

    def wrong(self, s: Float[np.ndarray, "n k"]) -> float:
        """Weighted share of samples whose class does not have the largest score."""
        if self.loss == "softmax":
            missed = np.argmax(s, axis=1) != np.argmax(self.c, axis=1)
        else:
            missed = (s[:, 0] > 0) != (self.c[:, 0] > 0.5)
        return float(self._share @ missed)

    @property
    def _share(self) -> Float[np.ndarray, " n"]:
        return self.w / len(self.w)


def with_ones(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "q n"]:
    """Features of the problem from samples: one row for each, the last one of ones."""
    return np.vstack([x.T, np.ones(len(x), x.dtype)])


def shifted_factor(matrix: Float[np.ndarray, "p p"]) -> Float[np.ndarray, "p p"]:
    """Lower Cholesky factor of a semidefinite matrix plus the smallest of 10, 1e3, 1e5, ... roundings that has one.

    Args:
        matrix: symmetric, (p, p).

    Returns:
        The factor; NaN where no shift up to the size of the matrix helps.
    """
    unit = np.finfo(float).eps * max(np.trace(matrix) / len(matrix), np.finfo(float).tiny)
    for power in range(1, 14, 2):
        with np.errstate(all="ignore"):
            try:
                return np.linalg.cholesky(matrix + 10.0**power * unit * np.eye(len(matrix)))
            except np.linalg.LinAlgError:
                continue
    return np.full_like(matrix, np.nan)
