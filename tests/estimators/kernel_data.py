"""Small tables and dense definitions by loops for the tests of Gaussian processes."""

import numpy as np
from numpy.polynomial.legendre import legvander

SMOOTH = ("linear", "rbf", "matern52", "arcsine", "legendre", "anova")


def table(n=20, d=3, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 2, size=(n, d))
    return x, np.sin(2 * x[:, 0]) + x[:, 1 % d] ** 2 + noise * rng.normal(size=n)


def legendre(a, b, c, box):
    """``sum_i w_i p_i(a) p_i(b)`` for two numbers."""
    i = np.arange(1, 13)
    w = np.exp(-i * c) / np.exp(-i * c).sum()
    p, q = legvander([np.clip(2 * (v - box[0]) / (box[1] - box[0]) - 1, -1, 1) for v in (a, b)], 12)
    return sum(w[j - 1] * (2 * j + 1) * p[j] * q[j] for j in i)


def entry(name, theta, a, b, box):
    """One kernel of two rows, from its formula."""
    d = len(a)
    if name == "linear":
        return 0.0
    if name in ("rbf", "matern52"):
        q = sum((a[j] - b[j]) ** 2 / np.exp(2 * theta[j]) for j in range(d))
        s = np.sqrt(5 * q)
        return np.exp(-q / 2) if name == "rbf" else (1 + s + s**2 / 3) * np.exp(-s)
    if name == "arcsine":

        def u(r, s):
            return np.exp(theta[0]) + sum(np.exp(theta[1 + j]) * r[j] * s[j] for j in range(d))

        return 2 / np.pi * np.arcsin(2 * u(a, b) / np.sqrt((1 + 2 * u(a, a)) * (1 + 2 * u(b, b))))
    share, weight, shape = np.exp(theta[0]), np.exp(theta[1 : 1 + d]), np.exp(theta[1 + d :])
    if name == "anova":
        parts = [weight[j] * np.exp(-((a[j] - b[j]) ** 2) / (2 * shape[j] ** 2)) for j in range(d)]
    else:
        parts = [weight[j] * legendre(a[j], b[j], shape[j], box[:, j]) for j in range(d)]
    return share * (np.prod([1 + part for part in parts]) - 1) + (1 - share) * sum(parts)


def dense(name, theta, x, z, box):
    """Covariance of the function between two sets of rows."""
    _, signal, linear = np.exp(theta[:3])
    return np.array([[1 + signal * entry(name, theta[3:], a, b, box) + linear * a @ b for b in z] for a in x])
