"""Reference solution of the assignment convolution."""

import numpy as np


def padded(y, border):
    if border == "zero":
        return np.pad(y, 1)
    return np.pad(y, 1, mode="wrap" if border == "periodic" else "symmetric")


def convolve(theta, y, border):
    p = padded(y, border)
    return theta[0] * p[2:] + theta[1] * p[1:-1] + theta[2] * p[:-2]


def matrix(theta, n, border):
    return np.column_stack([convolve(theta, e, border) for e in np.eye(n)])


def eigenvalues(theta, n):
    first = np.zeros(n)
    first[0], first[1], first[-1] = theta[1], theta[2], theta[0]
    return np.fft.fft(first)


def fourier(theta, y):
    return np.fft.ifft(eigenvalues(theta, len(y)) * np.fft.fft(y)).real


def adjoint(theta, u, border):
    return matrix(theta, len(u), border).T @ u


def slope(y, u, border):
    p = padded(y, border)
    return np.array([u @ p[2:], u @ p[1:-1], u @ p[:-2]])
