"""Least squares problems whose answers come from dense decompositions."""

import numpy as np


def random_problem(m=12, n=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, n)), rng.normal(size=m)


def ill_conditioned(m=60, n=40, smallest=1e-12, seed=1):
    """Singular values from 1 down to the smallest, geometrically."""
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.normal(size=(size, n)))[0] for size in (m, n))
    return U * np.geomspace(1, smallest, n) @ V.T, rng.normal(size=m)


def deblurring(n=80, width=0.03, noise=1e-2, seed=2):
    """Gaussian blur of a step and a bump, with noise relative to the data."""
    t = (np.arange(n) + 0.5) / n
    A = np.exp(-0.5 * ((t[:, None] - t) / width) ** 2) / (n * width * np.sqrt(2 * np.pi))
    x = ((t > 0.2) & (t < 0.4)) + np.exp(-(((t - 0.7) / 0.08) ** 2))
    e = np.random.default_rng(seed).normal(size=n)
    clean = A @ x
    e *= noise * np.linalg.norm(clean) / np.linalg.norm(e)
    return A, clean + e, x, np.linalg.norm(e)


def damped_solution(A, b, shift=0.0):
    n = A.shape[1]
    stacked = np.vstack([A, np.sqrt(shift) * np.eye(n)])
    return np.linalg.lstsq(stacked, np.concatenate([b, np.zeros(n)]), rcond=None)[0]


def krylov_minimisers(A, b, shift, steps):
    """Minimisers over span(A'b, A'A A'b, ...), each from a dense orthonormal basis."""
    basis, found = np.zeros((A.shape[1], 0)), []
    direction = A.T @ b
    for _ in range(steps):
        basis = np.linalg.qr(np.column_stack([basis, direction]))[0]
        found.append(basis @ damped_solution(A @ basis, b, shift))
        direction = A.T @ (A @ basis[:, -1])
    return np.array(found)
