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


REFERENCES = {
    "products": products,
}
