"""Reference solution of the assignment cgls."""

import numpy as np


def cgls(A, At, b, steps, tol):
    r = b
    s = At(r)
    x, d = np.zeros(len(s)), s
    gamma = s @ s
    first = np.sqrt(gamma)
    X = [x]
    for _ in range(steps):
        q = A(d)
        alpha = gamma / (q @ q)
        x = x + alpha * d
        r = r - alpha * q
        s = At(r)
        X.append(x)
        new = s @ s
        if np.sqrt(new) <= tol * first:
            break
        d = s + new / gamma * d
        gamma = new
    return np.array(X)
