"""Small regularised least-squares problems with their dense answers from another definition."""

import numpy as np

RNG = np.random.default_rng(7)


def difference(p):
    return np.diff(np.eye(p), axis=0)


def problem(n=12, p=5, k=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)) + 2.0, rng.normal(size=(n, k)) - 1.0


def dense(a, b, alpha, operator=None, weights=None, reference=None, intercept=False):
    """Minimiser from the stacked least-squares problem, without any centring: unknowns, intercept."""
    n, p = a.shape
    w = np.ones(n) if weights is None else weights
    operator = np.eye(p) if operator is None else operator
    reference = np.zeros((p, b.shape[1])) if reference is None else reference
    root = np.sqrt(w / w.sum())[:, None]
    ones = np.ones((n, 1)) if intercept else np.zeros((n, 0))
    free = np.zeros((len(operator), ones.shape[1]))
    rows = np.vstack([root * np.hstack([a, ones]), np.sqrt(alpha) * np.hstack([operator, free])])
    right = np.vstack([root * b, np.sqrt(alpha) * operator @ reference])
    x = np.linalg.lstsq(rows, right)[0]
    return x[:p], (x[p] if intercept else np.zeros(b.shape[1]))


def influence(a, alpha, operator=None, weights=None, intercept=False):
    """Matrix H with ``A x + b0 = H b``, column by column from the minimiser."""
    identity = np.eye(len(a))
    x, b0 = dense(a, identity, alpha, operator, weights, None, intercept)
    return a @ x + b0


def blur(n=64, width=0.02):
    """Deblurring of a signal with a Gaussian kernel: matrix and a piecewise smooth signal."""
    t = (np.arange(n) + 0.5) / n
    a = np.exp(-((t[:, None] - t) ** 2) / (2 * width**2)) / (n * width * np.sqrt(2 * np.pi))
    return a, np.where((t > 0.2) & (t < 0.45), 1.0, 0.0) + np.exp(-((t - 0.7) ** 2) / 0.005)
