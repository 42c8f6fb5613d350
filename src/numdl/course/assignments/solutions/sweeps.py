"""Reference solution of the assignment sweeps."""

import numpy as np


def forwards(a, h, u0, v):
    u = [u0]
    for vk in v:
        u.append((1 + h * a) * u[-1] + h * vk)
    return np.array(u)


def backwards(a, h, last, N):
    p = np.empty(N)
    p[-1] = last
    for k in range(N - 1, 0, -1):
        p[k - 1] = (1 + h * a) * p[k]
    return p


def sweep(a, h, q, u0, v, rho):
    u = forwards(a, h, u0, v)
    p = backwards(a, h, q * u[-1], len(v))
    return (rho * v - p) / (1 + rho)


def optimal(a, h, q, u0, N):
    m = 1 + h * a
    P = [q]
    for _ in range(N):
        P.append(m * m * P[-1] / (1 + h * P[-1]))
    u, v = u0, []
    for k in range(N):
        after = P[N - 1 - k]
        v.append(-m * after * u / (1 + h * after))
        u = m * u + h * v[-1]
    return np.array(v)
