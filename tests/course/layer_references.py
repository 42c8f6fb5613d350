"""What pages about layers, their slopes and their memory must show, by numdl, NumPy and SciPy."""

import contextlib
import functools
import math

import jaxtyping
import numpy as np

from numdl.flow import get_scheme
from numdl.regularize.ridge import decompose

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


def memory(settings):
    """Counts by the formulas of Griewank and Walther, and how often each layer is evaluated."""
    n, s, strategy = settings["layers"], settings["slots"], settings["strategy"]

    def reach(r):
        return math.comb(s + r, s)

    r = next(r for r in range(n) if reach(r) >= n)
    if strategy == "binomial":
        repeats = [next(k for k in range(n) if reach(k) > i) for i in range(n)]
        assert sum(repeats) == (r * n - math.comb(s + r, r - 1) if r else 0)
        peak = min(s, n)
    elif strategy == "equal":
        gap = math.ceil(n / s)
        starts = range(0, n, gap)
        ends = [min(k + gap, n) for k in starts]
        repeats = [(j < starts[-1]) + (j + 1 not in ends) for j in range(n)]
        peak = max(i + 1 + end - start - 1 for i, (start, end) in enumerate(zip(starts, ends, strict=True)))
    else:
        times = {"store": 1, "reverse": 2}[strategy]
        repeats, peak = [0] + [times] * (n - 1), n if strategy == "store" else 1
    y, z, u, h, c = 1.0, 1 / 3, 1.0, 0.3, 1 / 3
    for _ in range(n):
        half = z - (h / 2) * y
        y, u = y + h * half, u + 0.5 * (c - u)
        z = half - (h / 2) * y
    for _ in range(n):
        half = z + (h / 2) * y
        y, u = y - h * half, (u - 0.5 * c) / 0.5
        z = half + (h / 2) * y
    return {
        "counts": [sum(repeats), peak, max(repeats), r],
        "repeats": sorted(repeats),
        "undone": [max(abs(y - 1), abs(z - c)), abs(u - 1)],
    }


def disc_and_ring(inside, around, first=0):
    i, j = np.arange(first, first + inside), np.arange(around)
    radius = np.append(0.15 + 0.6 * (0.618 * i % 1), 1.2 + 0.5 * (0.618 * j % 1))
    angle = np.append(2.4 * i, 2 * np.pi * j / around + 0.2)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def features(settings):
    rng, m = np.random.RandomState(settings["seed"]), settings["width"]
    K, b = rng.standard_normal((30, 2))[:m], 2 * rng.random_sample(30)[:m] - 1
    act = {"identity": lambda x: x, "relu": lambda x: np.maximum(x, 0)}.get(settings["activation"], np.tanh)

    def layer(y):
        return np.hstack([act(settings["size"] * (y @ K.T + b)), np.ones((len(y), 1))])

    Z, c = layer(disc_and_ring(10, 10)), np.repeat([1.0, -1.0], 10)
    W = decompose(Z, c[:, None]).solution(1e-7 / 20)[0][:, 0]
    right = np.sum(layer(disc_and_ring(200, 200, 10)) @ W * np.repeat([1.0, -1.0], 200) > 0)
    s, scores = np.linalg.svd(Z, compute_uv=False), Z @ W
    counts = [np.linalg.matrix_rank(Z, 1e-10 * s[0]), np.sum(scores * c <= 0), right]
    return {"values": s, "scores": scores, "counts": counts}


def adjoints(settings):
    scheme, lam = settings["scheme"], settings["lambda"]
    nt = (4, 5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 452, 640)[settings["count"]]
    rates = lam + np.concatenate([[0, 1j * TINY], np.geomspace(1e-6, 1, 13)])
    states = np.array(march(scheme, lambda t, u, _: rates * u, nt, 1.0, np.ones(15)))
    ends = states[-1]

    def adjoint(t, y, _):
        return np.array([lam * y[0], -lam * y[1], -y[0] * y[1]])

    back = march(scheme, adjoint, nt, -1.0, np.array([ends[0].real, 1.0, 0.0]))
    R = np.polynomial.Polynomial([1 / math.factorial(k) for k in range({"euler": 1, "heun": 2, "rk4": 4}[scheme] + 1)])
    return {
        "states": states[:, 0].real,
        "back": back,
        "slopes": [ends[1].imag / TINY, back[-1][2]],
        "none": np.abs(ends[2:] - ends[0]).real,
        "closed": [(R(lam / nt) * R(-lam / nt)) ** nt, np.exp(lam)],
    }


REFERENCES = {
    "adjoints": adjoints,
    "features": features,
    "memory": memory,
    "initialisation": initialisation,
    "depth": depth,
}
