"""Reference solution of the assignment parareal."""

import numpy as np


def parareal(fine, coarse, u0, K, cycles):
    U = np.empty((K + 1, len(u0)))
    U[0] = u0
    for k in range(K):
        U[k + 1] = coarse(U[k], k)
    found = [U.copy()]
    for _ in range(cycles):
        F = [fine(U[k], k) for k in range(K)]
        C = [coarse(U[k], k) for k in range(K)]
        for k in range(K):
            U[k + 1] = F[k] + coarse(U[k], k) - C[k]
        found.append(U.copy())
    return np.array(found)


def in_sequence(K, m, cycles):
    return K + cycles * (m + K)
