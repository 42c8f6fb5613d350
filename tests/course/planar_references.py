"""What pages about flows of the plane must show, by numdl's schemes: noise in them, and their training."""

import functools

import numpy as np
from layer_references import TINY, march

from numdl.course.site import grids

AROUND = np.array([[np.cos(phi), np.sin(phi)] for phi in np.pi / 12 * np.arange(24)])
STRONG, WEAK = np.array([0.6, 0.8]), np.array([0.8, -0.6])


def noise_through(settings):
    """40 points and 24 pushes of each through Euler layers at once, states (2, points)."""
    K, b = np.stack([2 * STRONG, 0.25 * WEAK]), np.array([[0.4], [0.0]])
    label = np.tile([-1.0, 1.0], 20)
    p, q = np.random.RandomState(1).standard_normal((40, 2)).T
    inputs = (0.7 * label + 0.22 * p)[:, None] * WEAK + 0.6 * q[:, None] * STRONG

    def f(t, u, _):
        W = K - K.T if settings["dynamics"] == "antisymmetric" else K
        return -K.T @ np.tanh(K @ u + b) if settings["dynamics"] == "parabolic" else np.tanh(W @ u + b)

    def judge(flow):
        out = flow(inputs)
        pushed = np.swapaxes([flow(inputs + settings["length"] * way) for way in AROUND], 0, 1)
        features = np.vstack([np.column_stack([out, np.ones(40)]), np.sqrt(0.4) * np.eye(3)[:2]])
        w = np.linalg.lstsq(features, np.append(label, [0, 0]), rcond=None)[0]
        held = (pushed @ w[:2] + w[2]) * label[:, None] > 0
        return out, pushed, w, held, (out @ w[:2] + w[2]) * label / np.linalg.norm(w[:2])

    out, pushed, w, held, distance = judge(lambda u: march("euler", f, settings["layers"], 4.0, u.T)[-1].T)
    counts = [distance > 0, held.all(axis=1), distance > settings["length"], judge(lambda u: u)[3].all(axis=1)]
    return {
        "out": out,
        "pushed": pushed[:8],
        "growths": np.linalg.norm(pushed - out[:, None], axis=2).max(axis=1) / settings["length"],
        "line": w,
        "noise": held.mean(),
        "counts": [np.sum(one) for one in counts],
    }


def steps_learnt(settings):
    """One march of a trained network, layer by layer, states (points, 6)."""
    data = grids.read("marched_data")
    net = {name: np.array(value) for name, value in data["nets"][settings["net"]].items()}
    parts, scheme = (1, 2, 4, 8)[settings["finer"]], settings["scheme"]
    u = np.tanh(np.array(data["xTest"]) @ net["K0"].T + net["b0"])
    for K, b in zip(net["K"], net["b"], strict=True):
        u = march(scheme, lambda t, u, _, K=K, b=b: np.tanh(u @ K.T + b), parts, data["T"] / len(net["K"]), u)[-1]
    scores = u @ net["W"][0, :-1] + net["W"][0, -1]
    margin = np.where(np.array(data["cTest"])[:, 0] > 0.5, scores, -scores)
    return {
        "scores": scores,
        "now": [100 * np.mean(margin <= 0), np.mean(np.logaddexp(0.0, -margin))],
        "cost": parts * len(net["K"]) * {"euler": 1, "heun": 2, "rk4": 4}[scheme],
    }


@functools.cache
def path(shape, dims, price, ox, oy, gx, gy):
    """Path of least energy and price, (25, 3), energy and what is paid; slopes of the obstacle by complex steps."""
    N, (R, w), t = 24, {"disc": (0.0, 0.2), "ring": (0.5, 0.12)}[shape], np.arange(25) / 24
    L = N * (2 * np.eye(N - 1) - np.eye(N - 1, k=1) - np.eye(N - 1, k=-1))

    def far(u):
        return ((np.sqrt((u[..., 0] - ox) ** 2 + (u[..., 1] - oy) ** 2) - R) ** 2 + u[..., 2] ** 2) / w**2

    u = np.stack([gx * t, gy * t, 0.2 * np.sin(np.pi * t) * (dims == "3")], axis=1)
    for _ in range(150):
        q, moved = far(u[1:-1]), u[1:-1, None] + 1j * TINY * np.eye(3)
        slope = price / N * np.imag(np.exp(-far(moved) / 2)) / TINY - N * np.diff(u, 2, axis=0)
        u[1:-1] -= np.linalg.solve(L + price / N * np.diag(np.exp(-q / 2) * (1 + q) / w**2), slope)
    return u, N / 2 * np.sum(np.diff(u, axis=0) ** 2), price / N * np.sum(np.exp(-far(u[1:-1]) / 2))


def shortest(settings):
    own = {"disc": (0.6, -0.06), "ring": (0.0, 0.0)}[settings["shape"]]
    centre = (np.round(x + settings[name], 2) for x, name in zip(own, ("dx", "dy"), strict=True))
    place = (*centre, float(settings["gx"]), float(settings["gy"]))
    u, energy, paid = path(settings["shape"], settings["dims"], settings["price"], *place)
    lengths = np.linalg.norm(np.diff(u, axis=0), axis=1)
    return {
        "path": u,
        "energy": energy,
        "paid": paid,
        "leap": lengths.max() / lengths.mean(),
        "curve": [path(settings["shape"], "2", 10 ** (k / 2 - 1), *place)[1] for k in range(7)],
    }


REFERENCES = {
    "noise_through": noise_through,
    "shortest": shortest,
    "steps_learnt": steps_learnt,
}
