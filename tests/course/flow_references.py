"""What pages about flows and their control must show, by numdl's schemes and complex steps."""

import functools

import numpy as np
from layer_references import TINY, march


@functools.cache
def drawn_flows():
    draws = [np.random.RandomState(seed + 1) for seed in range(8)]
    K, b, u, v = zip(*((g.standard_normal((4, 4)), *g.standard_normal((3, 4))) for g in draws), strict=True)
    return np.array(K), 0.1 * np.array(b)[:, :, None], 0.5 * np.array(u), np.array(v)


def promises(settings):
    """Eight draws at the same time: states with four complex directions each, (8, 4, 5), by numdl's schemes."""
    K, b, u, v = drawn_flows()
    name, size, scheme = settings["dynamics"], settings["size"], settings["scheme"]
    W = size / 2 * (K - np.swapaxes(K, 1, 2) if name == "antisymmetric" else K)
    K1, K2 = (size / np.sqrt(2) * K[:, rows, :2] for rows in (slice(0, 2), slice(2, 4)))

    def parabolic(K, b, x):
        return np.swapaxes(K, 1, 2) @ np.tanh(K @ x + b)

    def f(t, u, _):
        if name == "hamiltonian":
            return np.concatenate([parabolic(K1, b[:, :2], u[:, 2:]), -parabolic(K2, b[:, 2:], u[:, :2])], axis=1)
        return -parabolic(W, b, u) if name == "parabolic" else np.tanh(W @ u + b)

    def layer(u):
        if scheme != "verlet":
            return march(scheme, f, 1, 0.5, u)[-1]
        z = u[:, 2:] - 0.25 * parabolic(K2, b[:, 2:], u[:, :2])
        y = u[:, :2] + 0.5 * parabolic(K1, b[:, :2], z)
        return np.concatenate([y, z - 0.25 * parabolic(K2, b[:, 2:], y)], axis=1)

    directions = 1j * TINY * np.hstack([np.zeros((4, 1)), np.eye(4)])
    states, jacobians = [u], []
    for _ in range(20):
        after = layer(states[-1][:, :, None] + directions)
        states.append(np.real(after[:, :, 0]))
        jacobians.append(np.imag(after[:, :, 1:]) / TINY)
    p = v / np.linalg.norm(v, axis=1, keepdims=True)
    slopes = [np.linalg.norm(p, axis=1)]
    for J in jacobians[::-1]:
        p = np.einsum("dij,di->dj", J, p)
        slopes.insert(0, np.linalg.norm(p, axis=1))

    def second(u):
        if name != "hamiltonian":
            return np.linalg.norm(u, axis=1)
        inputs = np.concatenate([K1 @ u[:, 2:, None] + b[:, :2], K2 @ u[:, :2, None] + b[:, 2:]], axis=1)
        return np.sum(np.log(np.cosh(inputs)), axis=(1, 2))

    over = np.array([second(state) for state in states])
    long = [energy_errors(size, how) for how in ("rk4", "verlet")] if size < 1 else []
    return {"slopes": np.transpose(slopes), "states": states[-1], "second": (over / over[0]).T, "long": long}


@functools.cache
def energy_errors(size, how):
    """Largest so far after 20, 40, ..., 200 Hamiltonian layers of the sixth draw."""
    K, b, u, _ = (part[5] for part in drawn_flows())
    A, B = (size / np.sqrt(2) * K[rows, :2] for rows in (slice(0, 2), slice(2, 4)))
    first, second = b[:2, 0], b[2:, 0]

    def f(t, u, _):
        return np.append(A.T @ np.tanh(A @ u[2:] + first), -B.T @ np.tanh(B @ u[:2] + second))

    def energy(u):
        return np.log(np.cosh(A @ u[2:] + first)).sum() + np.log(np.cosh(B @ u[:2] + second)).sum()

    states = [u]
    for _ in range(200):
        if how == "rk4":
            states.append(march("rk4", f, 1, 0.5, states[-1])[-1])
            continue
        y, z = np.split(states[-1], 2)
        z = z - 0.25 * B.T @ np.tanh(B @ y + second)
        y = y + 0.5 * A.T @ np.tanh(A @ z + first)
        states.append(np.append(y, z - 0.25 * B.T @ np.tanh(B @ y + second)))
    errors = np.abs([energy(state) / energy(u) - 1 for state in states[1:]])
    return np.maximum.accumulate(errors)[19::20]


@functools.cache
def shot(a, m):
    """Newton's steps for all gaps at once: starts and largest gaps, by numdl's RK4 and complex steps."""

    def field(t, s, _):
        return np.stack([a * s[0] ** 3 - s[1], -3 * a * s[0] ** 2 * s[1]])

    def gaps(x):  # one column of x for each vector of unknowns
        s = np.concatenate([np.ones((1, x.shape[1])), x]).reshape(m, 2, -1)
        e = march("rk4", field, 64 // m, 1 / m, np.moveaxis(s, 1, 0))[-1]
        return np.concatenate([np.moveaxis(s[1:], 1, 0) - e[:, :-1], np.zeros((2, 0, x.shape[1]))], axis=1), e[0, -1]

    def system(x):
        between, end = gaps(x)
        return np.concatenate([np.moveaxis(between, 0, 1).reshape(-1, x.shape[1]), -end[None]])

    x = np.stack([1 - np.arange(m) / m, np.zeros(m)], axis=1).ravel()[1:]
    found = []
    with np.errstate(all="ignore"):
        for _ in range(13):
            columns = x[:, None] + 1j * TINY * np.eye(len(x))
            F = system(columns)
            defect = np.max(np.abs(F[:, 0].real))
            found.append((np.append(1.0, x).reshape(m, 2), defect if defect < 1e8 else np.inf))
            if not defect < 1e8:
                break
            x = x - np.linalg.solve(F.imag / TINY, F[:, 0].real)
    return found


def shooting(settings):
    pieces = (1, 2, 4, 8, 16)[settings["pieces"]]
    steps, single = shot(settings["growth"], pieces), shot(settings["growth"], 1)

    def closed(steps):
        return next((k for k, (_, defect) in enumerate(steps) if defect < 1e-8), -1)

    starts, defect = steps[min(settings["step"], len(steps) - 1)]
    gap = [x if np.isfinite(x) else -1.0 for x in (defect, steps[0][1])]
    return {"starts": starts, "gap": gap, "found": [closed(steps), closed(single)]}


REFERENCES = {
    "promises": promises,
    "shooting": shooting,
}
