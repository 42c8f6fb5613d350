"""Reference solution of the assignment newton."""

import numpy as np


def armijo(value, p, g, d, c, t):
    start, slope = value(p), g @ d
    while value(p + t * d) > start + c * t * slope and t > 1e-16:
        t = t / 2
    return t


def descent(value, gradient, p, steps, c):
    found = [p]
    t = 1.0
    for _ in range(steps):
        g = gradient(p)
        t = armijo(value, p, g, -g, c, 1.0)
        p = p - t * g
        found.append(p)
    return np.array(found)


def cg(product, b, tol):
    x, r = np.zeros(len(b)), b.copy()
    d, rr = r.copy(), r @ r
    for _ in range(3 * len(b)):
        if np.sqrt(rr) <= tol * np.linalg.norm(b):
            break
        q = product(d)
        a = rr / (d @ q)
        x, r = x + a * d, r - a * q
        d, rr = r + (r @ r) / rr * d, r @ r
    return x


def newton(value, gradient, product, p, tol, forcing, steps):
    found = [p]
    for _ in range(steps):
        g = gradient(p)
        if np.linalg.norm(g) <= tol:
            break
        d = cg(lambda v, p=p: product(p, v), -g, forcing)
        p = p + armijo(value, p, g, d, 1e-4, 1.0) * d
        found.append(p)
    return np.array(found)
