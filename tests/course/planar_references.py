"""What pages about flows of the plane must show, by numdl's schemes: noise in them, and their training."""

import numpy as np
from layer_references import march

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


REFERENCES = {
    "noise_through": noise_through,
    "steps_learnt": steps_learnt,
}
