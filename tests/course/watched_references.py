"""What pages must show whose networks are watched while they learn, by numdl and NumPy from their definitions."""

import functools

import numpy as np

from numdl.course.control import multilevel
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


def marched(level, T, x, c, repeat=1):
    """Half the mean square of the misfit with each layer so many times."""
    u = np.tanh(x @ np.array(level["K0"]).T + level["b0"])
    for a, b in zip(np.repeat(level["a"], repeat, axis=0), np.repeat(level["b"], repeat, axis=0), strict=True):
        A = np.zeros((4, 4))
        A[np.tril_indices(4, -1)] = a
        u = u + T / (repeat * level["depth"]) * np.tanh(u @ (A - A.T).T + b)
    W = np.array(level["W"])[0]
    return np.mean((u @ W[:-1] + W[-1] - c[:, 0]) ** 2) / 2


@functools.cache
def marched_levels(name, T):
    (x, c), (x_test, c_test) = watched.peaks_rows(0)
    levels = grids.read("levels_data")[name]["levels"]
    errors = [np.sqrt(2 * marched(one, T, x_test, c_test)) / np.std(c_test) for one in levels]
    return [marched(one, T, x, c) for one in levels], [marched(one, T, x, c, 2) for one in levels], errors


def teaching(settings):
    data, end = grids.read("levels_data"), f"{settings['time']} {settings['seed']}"
    name = f"{settings['schedule']} {end}"
    own, doubled, error = marched_levels(name, float(settings["time"]))
    run, levels = data[name], data[name]["levels"]
    history = {"objective": run["objective"], "work": run["work"]}
    history["level"] = np.repeat(range(len(levels)), [one["iterations"] for one in levels])
    fine, coarse = np.array(levels[2]["a"]), np.repeat(levels[1]["a"], 2, axis=0)
    at = min(settings["step"], len(run["work"]) - 1)
    return {
        "own": own,
        "doubled": doubled,
        "error": error,
        "paid": multilevel.spent(history, data[f"one {end}"]["objective"][-1]),
        "spent": run["work"][at - 1] if at else 0.0,
        "moved": np.linalg.norm(fine - coarse) / np.linalg.norm(coarse),
        "weight": np.concatenate([np.column_stack([one["a"], one["b"]])[:, settings["entry"]] for one in levels]),
    }


REFERENCES = {
    "teaching": teaching,
    "drawn_or_trained": drawn_or_trained,
    "head_rates": head_rates,
}
