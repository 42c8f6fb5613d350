"""What pages about slopes, curvature, structure and control must show, by numdl, NumPy and SciPy."""

import numpy as np

TINY = 1e-30  # f(u + i TINY v) = f(u) + i TINY f'(u) v: slopes without a difference


def products(settings):
    """Slopes of a small network by complex steps; multiplications by counting matrix products."""
    rng = np.random.RandomState(settings["seed"])
    y, K, b, w = (np.floor(10 * (3 * rng.random_sample(shape) - 1.5) + 0.5) / 10 for shape in (2, (2, 2), 2, 2))

    def units(K, z=0.0):
        a = K @ y + b
        return [*a, *(np.tanh(a) + z), w @ (np.tanh(a) + z)]

    directions = np.eye(4).reshape(4, 2, 2)
    forwards = [units(K + 1j * TINY * V)[-1].imag / TINY for V in directions]
    back = [w @ np.tanh(K @ y + b + 1j * TINY * e).imag / TINY for e in np.eye(2)]
    m, d, q, n = settings["width"], 784, 10, 1000

    def product(rows, inner, columns):
        return rows * inner * columns

    sweep = product(m, d, n) + m * n + product(q, m, n)
    formed = n * (q * m + product(q * m, 1, d)) + product(n * q, m * d, 1)
    cost = [sweep, m * d * sweep, n * q * m * d, n * (m + d), formed]
    return {"slopes": forwards, "forwards": forwards, "units": units(K), "back": back, "cost": cost}


def orders(settings):
    """Sensitivities and adjoints from one dense system, whose blocks are made by complex steps; operations counted."""
    n, r, q = settings["layers"], settings["parameters"], settings["losses"]
    weights = np.random.RandomState(5).standard_normal((12, 6))

    def layer(u, w):
        return u + 0.5 * np.tanh(w[:4].reshape(2, 2) @ u + w[4:])

    u, T, R = np.array([1.0, -0.5]), np.eye(2 * n), np.zeros((2 * n, n * r))
    for k, w in enumerate(weights[:n]):
        rows = slice(2 * k, 2 * k + 2)
        if k:
            A = [layer(u + 1j * TINY * e, w).imag / TINY for e in np.eye(2)]
            T[rows, 2 * k - 2 : 2 * k] = -np.transpose(A)
        R[rows, k * r : (k + 1) * r] = np.transpose([layer(u, w + 1j * TINY * e).imag / TINY for e in np.eye(6)[:r]])
        u = layer(u, w)
    angle = np.pi * np.arange(q) / q
    G = np.hstack([np.zeros((q, 2 * n - 2)), np.stack([np.cos(angle), np.sin(angle)], axis=1)])
    V, Z = np.linalg.solve(T, R), np.linalg.solve(T.T, G.T)
    passed = sum(r * 2 * 2 for k in range(n) for _ in range(k + 1, n))
    cost = [passed + q * n * r * 2, q * (n - 1) * 2 * 2 + q * n * r * 2]
    return {"V": V, "Z": Z, "slopes": G @ V, "back": Z.T @ R, "end": u, "cost": cost}


REFERENCES = {
    "orders": orders,
    "products": products,
}
