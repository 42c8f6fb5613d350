"""Kernels of the scaled distance, ``k(r^2)`` with ``r^2 = sum_j (x_j - z_j)^2 / l_j^2``: one length for each input.

All derivatives by lengths come from two matrix products. With M symmetric,
``sum_ab M_ab (x_aj - x_bj)^2 = 2 (sum_a x_aj^2 sum_b M_ab - (X' M X)_jj)``, so nothing of size (d, n, n) is formed.

Every kernel of this package offers the methods below; ``theta`` are logarithms, so that none has a bound.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, sec. 4.2 and 5.4.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Pull = Callable[[np.ndarray], np.ndarray]
"""Symmetric G (n, n) to the derivative of ``sum_ab G_ab K_ab`` by theta (p,)."""


Take = Callable[[tuple[int, ...]], np.ndarray]
"""Shape to an array with whatever is in it, such as ``np.empty``: new megabytes cost more than what fills them."""


def rbf(q: np.ndarray, take: Take = np.empty) -> tuple[np.ndarray, np.ndarray]:
    """``exp(-q/2)`` and its derivative by the squared distance q, which is overwritten."""
    q *= -0.5
    k = np.exp(q, out=q)
    return k, np.multiply(k, -0.5, out=take(k.shape))


def matern52(q: np.ndarray, take: Take = np.empty) -> tuple[np.ndarray, np.ndarray]:
    """``(1 + s + s^2/3) exp(-s)``, ``s = sqrt(5 q)``, and its derivative by the squared distance q, overwritten."""
    q *= 5
    s = np.sqrt(q, out=q)
    e = np.negative(s, out=take(s.shape))
    np.exp(e, out=e)
    slope = np.add(s, 1, out=take(s.shape))
    s *= s
    s /= 3
    s += slope
    s *= e
    slope *= e
    slope *= -5 / 6
    return s, slope


class Stationary:
    """A function of the scaled distance.

    Args:
        profile: squared distance, and what gives room, to value and derivative, elementwise; 1 at distance 0.
    """

    def __init__(self, profile: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
        self.profile = profile

    def prior(self, d: int) -> tuple[np.ndarray, np.ndarray]:
        """Centre and spread of the normal prior of ``theta = log l``: wide, as narrow ones were seen to harm.

        Args:
            d: number of inputs, in standard deviations.

        Returns:
            Two arrays (p,).
        """
        return np.full(d, np.log(4.0) + 0.25 * np.log(max(d, 1))), np.full(d, 2.5)

    def features(self, x: Float[np.ndarray, "n d"], box: Float[np.ndarray, "2 d"]) -> np.ndarray:
        """What the kernel needs of rows, whatever theta.

        Args:
            x: rows.
            box: lowest and highest value of each input, for kernels on an interval.

        Returns:
            An array whose first axis is the rows.
        """
        return x

    def train(self, theta: np.ndarray, f: np.ndarray, take: Take = np.empty) -> tuple[np.ndarray, Pull]:
        """The matrix of rows among themselves, and the way back to theta.

        Args:
            theta: parameters (p,).
            f: features of the rows.
            take: where matrices come from.

        Returns:
            K (n, n) and its `Pull`.
        """
        x = f * np.exp(-theta)
        q = _squares(x, x, take)
        np.fill_diagonal(q, 0.0)
        k, slope = self.profile(q, take)

        def pull(g: np.ndarray) -> np.ndarray:
            m = np.multiply(g, slope, out=take(g.shape))
            return -4 * (m.sum(axis=1) @ x**2 - np.einsum("nd,nd->d", x, m @ x))

        return k, pull

    def cross(self, theta: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        """The matrix between rows f (a, ...) and rows g (b, ...).

        Args:
            theta: parameters.
            f: features of the one.
            g: features of the other.

        Returns:
            (a, b).
        """
        scale = np.exp(-theta)
        take = functools.partial(np.empty, dtype=f.dtype)
        return self.profile(_squares(f * scale, g * scale, take), take)[0]

    def diagonal(self, theta: np.ndarray, f: np.ndarray) -> np.ndarray:
        """The variance of the process at rows.

        Args:
            theta: parameters.
            f: features of the rows.

        Returns:
            (n,).
        """
        return np.ones(len(f))

    def slope(
        self, theta: np.ndarray, x: np.ndarray, z: np.ndarray, box: np.ndarray, dual: Float[np.ndarray, " b"]
    ) -> Float[np.ndarray, "a d"]:
        """Derivative of ``sum_b k(x, z_b) dual_b`` by x.

        Args:
            theta: parameters.
            x: rows (a, d).
            z: rows (b, d).
            box: as for ``features``.
            dual: weights of the rows z.

        Returns:
            Derivatives at each row of x.
        """
        scale = np.exp(-theta)
        x, z = x * scale, z * scale
        m = 2 * self.profile(_squares(x, z))[1] * dual
        return (m.sum(axis=1)[:, None] * x - m @ z) * scale


class Tied:
    """A function of the distance with one length for all inputs; methods as in `Stationary`.

    Args:
        profile: as there.
    """

    def __init__(self, profile: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
        self.inner = Stationary(profile)

    def prior(self, d: int) -> tuple[np.ndarray, np.ndarray]:
        """Centre and spread of the prior."""
        centre, spread = self.inner.prior(d)
        return centre[:1], spread[:1]

    def features(self, x: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The rows themselves."""
        return x

    def train(self, theta: np.ndarray, f: np.ndarray, take: Take = np.empty) -> tuple[np.ndarray, Pull]:
        """Matrix of rows among themselves, and the way back to theta."""
        k, pull = self.inner.train(np.repeat(theta, f.shape[1]), f, take)
        return k, lambda g: pull(g).sum(keepdims=True)

    def cross(self, theta: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Matrix between two sets of rows."""
        return self.inner.cross(np.repeat(theta, f.shape[1]), f, g)


class Flat:
    """No curved part: what remains is ``1 + v x'z``, Bayesian linear regression."""

    def prior(self, d: int) -> tuple[np.ndarray, np.ndarray]:
        """No parameters."""
        return np.empty(0), np.empty(0)

    def features(self, x: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The rows themselves."""
        return x

    def train(self, theta: np.ndarray, f: np.ndarray, take: Take = np.empty) -> tuple[np.ndarray, Pull]:
        """Zeros (n, n)."""
        return np.zeros((len(f), len(f))), lambda g: np.empty(0)

    def cross(self, theta: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Zeros (a, b)."""
        return np.zeros((len(f), len(g)))

    def diagonal(self, theta: np.ndarray, f: np.ndarray) -> np.ndarray:
        """Zeros (n,)."""
        return np.zeros(len(f))

    def slope(self, theta: np.ndarray, x: np.ndarray, z: np.ndarray, box: np.ndarray, dual: np.ndarray) -> np.ndarray:
        """Zeros (a, d)."""
        return np.zeros_like(x)


def _squares(x: np.ndarray, z: np.ndarray, take: Take = np.empty) -> np.ndarray:
    """Squared distances (a, b), not negative."""
    q = np.matmul(x, -2 * z.T, out=take((len(x), len(z))))
    q += np.einsum("ad,ad->a", x, x)[:, None]
    q += np.einsum("bd,bd->b", z, z)
    return np.maximum(q, 0.0, out=q)
