"""Reference solution of the assignment layer."""

import numpy as np


def layer(K, b, Y):
    return np.tanh(K @ Y + b[:, None])


def jacobian(K, b, Y, VK, Vb, VY):
    Z = layer(K, b, Y)
    return (1 - Z**2) * (VK @ Y + Vb[:, None] + K @ VY)


def transposed(K, b, Y, U):
    Z = layer(K, b, Y)
    D = (1 - Z**2) * U
    return D @ Y.T, D.sum(axis=1), K.T @ D
