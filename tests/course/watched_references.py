"""What pages must show whose networks are watched while they learn, by numdl and NumPy from their definitions."""

import functools

import numpy as np

from numdl.course.site import grids, watched

RATES = np.geomspace(1e-3, 1, 7)


class Adam:
    """Steps along gradients of one length."""

    def __init__(self):
        self.k, self.m, self.v = 0, 0.0, 0.0

    def step(self, g):
        self.k += 1
        self.m, self.v = 0.9 * self.m + 0.1 * g, 0.999 * self.v + 0.001 * g**2
        return self.m / (1 - 0.9**self.k) / (np.sqrt(self.v / (1 - 0.999**self.k)) + 1e-8)


def with_one(Z):
    return np.column_stack([Z, np.ones(len(Z))])


def moved_head(W, blocks, alpha, chosen, held):
    """Head, sum of the parameters, and whether one was chosen, after the last of several batches: the definitions."""
    size = len(blocks[-1][0])
    A, b = np.vstack([Z for Z, _ in blocks]) / np.sqrt(size), np.concatenate([c for _, c in blocks]) / np.sqrt(size)
    D = np.diag(np.append(np.ones(A.shape[1] - 1), 0.0))
    after = alpha
    if not held:
        trials = 10.0 ** np.linspace(-10, 2, 25) * np.linalg.norm(A[:, :-1] - A[:, :-1].mean(axis=0), 2) ** 2
        T = A @ np.linalg.solve(A.T @ A + trials[:, None, None] * D, np.tile(A.T, (25, 1, 1)))
        free = len(A) - np.trace(T, axis1=1, axis2=2)
        G = np.where(free > 1e-6 * len(A), np.sum((T @ b - b) ** 2, axis=1) / free**2, np.inf)
        factor = 2 ** min(size / 64, 1)
        after = trials[np.argmin(G)]
        after = np.clip(after, alpha / factor, alpha * factor) if chosen else after
    before = alpha if chosen or held else after
    Z, c = (part[-size:] for part in (A, b))
    right = Z.T @ (Z @ W - c) + (after - before) * D @ W
    return W - np.linalg.solve(A.T @ A + after * D, right), after, True


def head_rates(settings):
    size, draw, rate = int(settings["batch"]), settings["draw"], RATES[settings["rate"]]
    (x, c), (x_test, c_test) = watched.peaks_rows(0)
    c, found = c[:, 0], {}
    for method in ("adam", "slim"):
        K, b = watched.drawn_layer(draw, watched.UNITS, 2.0)
        p, adam, past = np.column_stack([K, b]), Adam(), []
        W = np.random.RandomState(draw + 100).standard_normal(watched.UNITS + 1) / 4 * (method == "adam")
        held = settings["alpha"] != "chosen"
        alpha, chosen = float(settings["alpha"]) if held else 1e-6, False
        keep = 0 if settings["forget"] else -(-180 // size)
        for index in watched.batches(size, draw):
            X, t = with_one(x[index]), c[index]
            Z = with_one(np.tanh(X @ p.T))
            if method == "slim":
                W, alpha, chosen = moved_head(W, [*past, (Z, t)], alpha, chosen, held)
                past = [*past, (Z, t)][-keep:] if keep else []
            rest = (Z @ W - t) / size
            g = ((rest[:, None] * W[:-1]) * (1 - Z[:, :-1] ** 2)).T @ X
            step = rate * adam.step(np.append(g, Z.T @ rest if method == "adam" else []))
            p = p - step[: p.size].reshape(p.shape)
            W = W - step[p.size :] if method == "adam" else W
        off = with_one(np.tanh(with_one(x_test) @ p.T)) @ W - c_test[:, 0]
        found[method] = np.sqrt(np.mean(off**2)) / np.std(c_test)
    return {**found, "best": watched.error_of(p[:, :2], p[:, 2]), "alpha": alpha}


@functools.cache
def moved(width, at):
    layer = grids.read("moved_data")["trained"][str(width)][at]
    return np.array(layer["K"]), np.array(layer["b"])


@functools.cache
def of_drawn(draw, scale):
    return [watched.error_of(*watched.drawn_layer(draw, m, scale)) for m in watched.SIZES]


def drawn_or_trained(settings):
    K, b = moved(watched.WIDTHS[settings["width"]], settings["at"])
    (x, c), _ = watched.peaks_rows(0)
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) @ K.T + b
    return {
        "error": watched.error_of(K, b),
        "first": watched.error_of(*moved(watched.WIDTHS[settings["width"]], 0)),
        "all": [watched.error_of(*moved(m, settings["at"])) for m in watched.WIDTHS],
        "drawn": of_drawn(settings["draw"], float(settings["scale"])),
        "inside": np.sum((corners.min(axis=0) <= 0) & (corners.max(axis=0) >= 0)),
        "head": [np.linalg.norm(watched.best_head(np.tanh(x @ K.T + b), c[:, 0]))],
    }


REFERENCES = {
    "drawn_or_trained": drawn_or_trained,
    "head_rates": head_rates,
}
