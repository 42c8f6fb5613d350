"""What pages of lecture 1 must show, by numdl or NumPy: for each page a function of its settings."""

import numpy as np

from numdl.linalg import cgls


def valley(condition, angle, rescaled):
    """Matrix of the valley and the start, one unit along and one across."""
    t = np.deg2rad(angle)
    Q = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    H, p = Q @ np.diag([1.0, condition]) @ Q.T, Q.sum(axis=1)
    if rescaled:
        d = np.sqrt(np.diag(H))
        H, p = H / np.outer(d, d), d * p
    return H, p * np.sqrt(2) / np.linalg.norm(p)


def heavy_ball(H, p, eta, beta, most=20000, small=None):
    """All points, up to the first that is small."""
    points = [p, p - eta * H @ p]
    while len(points) <= most and (small is None or np.linalg.norm(points[-1]) > small):
        points.append(points[-1] - eta * H @ points[-1] + beta * (points[-1] - points[-2]))
    return np.array(points)


def downhill(settings):
    H, p = valley(settings["condition"], settings["angle"], settings["rescaled"])
    curvatures, axes = np.linalg.eigh(H)
    eta, beta, root = settings["step"] / curvatures[1], settings["momentum"], np.sqrt(curvatures)
    one = np.block([[(1 + beta) * np.eye(2) - eta * H, -beta * np.eye(2)], [np.eye(2), np.zeros((2, 2))]])
    rate = np.abs(np.linalg.eigvals(one)).max()
    errors = np.abs(heavy_ball(H, p, eta, beta, 59) @ axes)
    steps = len(heavy_ball(H, p, eta, beta, small=1e-6 * np.sqrt(2))) - 1 if rate < 1 else np.inf
    top = heavy_ball(H, p, 4 / root.sum() ** 2, ((root[1] - root[0]) / root.sum()) ** 2, small=1e-6 * np.sqrt(2))
    conjugate = cgls(np.linalg.cholesky(H).T, np.zeros(2), x0=p, max_iter=2, tol=0.0, keep_iterates=True)
    return {
        "kappa": curvatures[1] / curvatures[0],
        "rate": rate,
        "along": errors[:, 0],
        "across": errors[:, 1],
        "steps": [steps, len(top) - 1],
        "conjugate": np.linalg.norm(conjugate.iterates, axis=1) / np.sqrt(2),
    }


LINEAR = {
    "downhill": downhill,
}
