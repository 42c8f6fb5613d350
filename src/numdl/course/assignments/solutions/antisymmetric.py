"""Reference solution of the assignment antisymmetric."""

import numpy as np

UPPER = np.triu_indices(4, 1)


def antisymmetric(w):
    A = np.zeros((4, 4))
    A[UPPER] = w
    return A - A.T


def rk4(u, w, b, T, N):
    A, h = antisymmetric(w), T / N

    def f(u):
        return np.tanh(A @ u + b)

    states = [u]
    for _ in range(N):
        k1 = f(u)
        k2 = f(u + h / 2 * k1)
        k3 = f(u + h / 2 * k2)
        k4 = f(u + h * k3)
        u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        states.append(u)
    return np.array(states)


def euler(u, W, B, h):
    states = [u]
    for w, b in zip(W, B, strict=True):
        states.append(states[-1] + h * np.tanh(antisymmetric(w) @ states[-1] + b))
    return np.array(states)


def gradient(u, W, B, h, g):
    states = euler(u, W, B, h)
    GW, GB = np.zeros_like(W), np.zeros_like(B)
    lam = g
    for k in reversed(range(len(W))):
        A, here = antisymmetric(W[k]), states[k]
        d = (1 - np.tanh(A @ here + B[k]) ** 2) * lam
        G = np.outer(d, here)
        GW[k] = h * (G - G.T)[UPPER]
        GB[k] = h * d
        lam = lam + h * A.T @ d
    return GW, GB
