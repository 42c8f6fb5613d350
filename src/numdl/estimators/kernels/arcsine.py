"""The kernel of an infinitely wide layer of erf units (nearly tanh), with a relevance for each input.

``k(x, z) = 2/pi asin(2 u(x, z) / sqrt((1 + 2 u(x, x)) (1 + 2 u(z, z))))``, ``u(x, z) = b + sum_j w_j x_j z_j``.

Source: Williams, Computation with infinite neural networks, Neural Computation 10, 1998, eq. 11.
"""

from __future__ import annotations

import numpy as np

from numdl.estimators.kernels.stationary import Pull, Take


class ArcSine:
    """Arc-sine kernel; ``theta`` is ``log b`` and ``log w (d,)``. Methods as in `stationary.Stationary`."""

    def prior(self, d: int) -> tuple[np.ndarray, np.ndarray]:
        """Centre and spread of the prior."""
        return np.r_[0.0, np.full(d, -0.5 * np.log(max(d, 1)) - 1.0)], np.r_[1.5, np.full(d, 2.5)]

    def features(self, x: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The rows themselves."""
        return x

    def train(self, theta: np.ndarray, f: np.ndarray, take: Take = np.empty) -> tuple[np.ndarray, Pull]:
        """Matrix of rows among themselves, and the way back to theta."""
        bias, w = np.exp(theta[0]), np.exp(theta[1:])
        size = 1 + 2 * (bias + f**2 @ w)
        root = np.sqrt(size)
        t = np.matmul(f * w, f.T, out=take((len(f), len(f))))
        t += bias
        t *= (2 / root)[:, None]
        t /= root
        k = np.arcsin(t, out=take(t.shape))
        k *= 2 / np.pi

        def pull(g: np.ndarray) -> np.ndarray:
            m, above = np.subtract(1, t, out=take(t.shape)), np.add(1, t, out=take(t.shape))
            m *= above
            np.sqrt(m, out=m)
            np.divide(g, m, out=m)  # |t| < 1, because size counts a unit that u does not
            m *= 2 / np.pi
            own = np.einsum("ab,ab->a", m, t) / size  # by u(x, x), both sides of the symmetric sum
            m *= (2 / root)[:, None]
            m /= root
            by_w = np.einsum("nd,nd->d", f, m @ f) - 2 * own @ f**2
            return np.r_[bias * (m.sum() - 2 * own.sum()), w * by_w]

        return k, pull

    def cross(self, theta: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Matrix between two sets of rows."""
        return (2 / np.pi) * np.arcsin(_correlation(theta, f, g)[0])

    def diagonal(self, theta: np.ndarray, f: np.ndarray) -> np.ndarray:
        """Variance at rows."""
        double = 2 * (np.exp(theta[0]) + f**2 @ np.exp(theta[1:]))
        return (2 / np.pi) * np.arcsin(double / (1 + double))

    def slope(self, theta: np.ndarray, x: np.ndarray, z: np.ndarray, box: np.ndarray, dual: np.ndarray) -> np.ndarray:
        """Derivative of ``sum_b k(x, z_b) dual_b`` by x, (a, d)."""
        w = np.exp(theta[1:])
        t, left, right = _correlation(theta, x, z)
        m = dual * (2 / np.pi) / np.sqrt((1 - t) * (1 + t))
        own = (m * t).sum(axis=1) / left**2
        m *= 2 / (left[:, None] * right)
        return w * (m @ z - 2 * own[:, None] * x)


def _correlation(theta: np.ndarray, x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Argument of the arc sine, and the roots of both sizes."""
    bias, w = np.exp(theta[0]), np.exp(theta[1:])
    left, right = (np.sqrt(1 + 2 * (bias + f**2 @ w)) for f in (x, z))
    return 2 * (bias + (x * w) @ z.T) / (left[:, None] * right), left, right
