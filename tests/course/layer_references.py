"""What pages about layers, their slopes and their memory must show, by numdl, NumPy and SciPy."""

import contextlib
import functools

import jaxtyping
import numpy as np

from numdl.flow import get_scheme

TINY = 1e-30  # f(u + i TINY v) = f(u) + i TINY f'(u) v: slopes without a difference


def march(scheme, f, nt, T, u):
    """States behind all layers, by numdl's schemes, which step NumPy's arrays without being compiled."""
    step, states = get_scheme(scheme).step, [u]
    with plain_arrays():
        for k in range(nt):
            states.append(step(f, k * T / nt, T / nt, states[-1], lambda c: None))
    return states


@contextlib.contextmanager
def plain_arrays():
    """The annotations of numdl speak of JAX's arrays."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def turning(t, u, _):
    x, y = u
    return np.tanh(np.stack([2 * np.cos(t) * x + y + 0.5 * np.sin(t), -x - 2 * np.cos(t) * y]))


@functools.cache
def followed(T):
    return march("rk4", turning, 256, T, mesh())[-1]


def mesh():
    return np.stack([np.tile(np.linspace(-1, 1, 9), 9), np.repeat(np.linspace(-1, 1, 9), 9)])


def depth(settings):
    def network(u):
        return march(settings["scheme"], turning, 2 ** settings["steps"], settings["T"], u)[-1]

    ends, exact = network(mesh()), followed(settings["T"])
    J = [network(mesh() + 1j * TINY * e[:, None]).imag / TINY for e in np.eye(2)]
    gap = np.sqrt(np.mean(np.sum((ends - exact) ** 2, axis=0)))
    return {"mesh": ends.T, "exact": exact.T, "gap": gap, "dets": J[0][0] * J[1][1] - J[1][0] * J[0][1]}


@functools.cache
def drawn(seed):
    rng = np.random.RandomState(seed)
    return rng.standard_normal(100), rng.standard_normal(100), rng.standard_normal((30, 100, 100))


def initialisation(settings):
    """A state and a slope through random layers, whose derivatives are multiplied out; averages by a finer rule."""
    network, n, g = settings["network"], settings["layers"], settings["gain"]
    start, end, weights = drawn(settings["seed"])
    stay, h = np.float64(network.startswith("res")), 1 / n if network == "residual" else 1.0
    act = {"linear": lambda x: x, "relu": lambda x: np.maximum(x, 0)}.get(network, np.tanh)
    slope = {"linear": lambda x: 0 * x + 1, "relu": lambda x: x > 0}.get(network, lambda x: np.cosh(x) ** -2.0)
    states, jacobians = [start], []
    for K in g / 10 * weights[:n]:
        jacobians.append(stay * np.eye(100) + h * slope(K @ states[-1])[:, None] * K)
        states.append(stay * states[-1] + h * act(K @ states[-1]))
    products = [np.eye(100)]
    for J in jacobians[::-1]:
        products.insert(0, products[0] @ J)
    z = np.linspace(-9, 9, 1801)
    weight = 0.01 * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    half = 0.5 if network == "relu" else 1.0
    q, chi = [np.mean(start**2)], []
    for _ in range(n):
        x = g * np.sqrt(q[-1]) * z
        smooth = network not in ("linear", "relu")
        q.append(stay * q[-1] + h**2 * (weight @ np.tanh(x) ** 2 if smooth else half * g**2 * q[-1]))
        chi.append(stay + (h * g) ** 2 * (weight @ np.cosh(x) ** -4.0 if smooth else half))
    return {
        "forwards": [np.linalg.norm(u) / np.linalg.norm(start) for u in states],
        "backwards": [np.linalg.norm(P.T @ end) / np.linalg.norm(end) for P in products],
        "last": np.sort(states[-1]),
        "lawForwards": np.sqrt(np.array(q) / q[0]),
        "lawBackwards": np.sqrt(np.append(1.0, np.cumprod(chi[::-1])))[::-1],
    }


REFERENCES = {
    "initialisation": initialisation,
    "depth": depth,
}
