"""Reference solution of the assignment softmax."""

import numpy as np


def scores(W, X):
    S = X @ W.T
    S = S - S.max(axis=1, keepdims=True)
    E = np.exp(S)
    return S, E, E / E.sum(axis=1, keepdims=True)


def value(W, X, C):
    S, E, _ = scores(W, X)
    return np.sum(np.log(E.sum(axis=1)) - np.sum(C * S, axis=1)) / len(X)


def gradient(W, X, C):
    _, _, P = scores(W, X)
    return (P - C).T @ X / len(X)


def hessian(W, X, C, V):
    _, _, P = scores(W, X)
    D = X @ V.T
    return (P * (D - np.sum(P * D, axis=1, keepdims=True))).T @ X / len(X)
