"""What pages about layers, their slopes and their memory must show, by numdl, NumPy and SciPy."""

import functools
import math

import numpy as np

from numdl.flow import get_scheme
from numdl.regularize.ridge import decompose

TINY = 1e-30  # f(u + i TINY v) = f(u) + i TINY f'(u) v: slopes without a difference


def march(scheme, f, nt, T, u):
    """States behind all layers, by numdl's schemes, which step NumPy's arrays without being compiled."""
    step, states = get_scheme(scheme).step, [u]
    for k in range(nt):
        states.append(step(f, k * T / nt, T / nt, states[-1], lambda c: None))
    return states


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

    def value(x):
        with np.errstate(over="ignore", invalid="ignore"):  # a step that is tried may lead anywhere
            end = R(x / nt) ** nt
            return (end - 0.5) ** 2 / 2 + 0.01 * (x - lam) ** 2 / 2, end

    def second(x):
        end = value(x)[1]
        last = march(scheme, lambda t, y, _: np.array([x * y[0], -x * y[1], -y[0] * y[1]]), nt, -1.0, [end, 1.0, 0.0])
        return (end - 0.5) * last[-1][2] + 0.01 * (x - lam)

    trained = []
    for slope in (lambda x: value(x + 1j * TINY)[0].imag / TINY, second):
        way, t = [lam], 1.0
        for _ in range(5):
            x, g, t = way[-1], slope(way[-1]), min(2 * t, 1000)
            while abs(g) >= 1e-9 and not value(x - t * g)[0] <= value(x)[0] - 1e-4 * t * g * g:
                t /= 2
            way.append(x - t * g if abs(g) >= 1e-9 else x)
        trained += way
    return {
        "states": states[:, 0].real,
        "back": back,
        "trained": trained,
        "slopes": [ends[1].imag / TINY, back[-1][2]],
        "none": np.abs(ends[2:] - ends[0]).real,
        "closed": [(R(lam / nt) * R(-lam / nt)) ** nt, np.exp(lam)],
    }


UNITS = {
    "tanh": np.tanh,
    "sine": np.sin,
    "relu": lambda x: x * (x.real > 0),
    "identity": lambda x: x,
}


def two_units(activation, w, c=0.0):
    """``act(w1 x) + act(w2 x) - c`` and its Jacobian for many pairs of weights, (pairs, 21) and (pairs, 21, 2)."""
    x, act = np.linspace(-2, 2, 21), UNITS[activation]
    J = act(w[:, None, :] * x[:, None] + 1j * TINY * x[:, None]).imag / TINY
    return np.sum(act(w[:, None, :] * x[:, None]), axis=2) - c, J


def fitted(activation, w):
    """Levenberg and Marquardt's steps from many starts at the same time: all weights, (41, pairs, 2), and misfits."""
    c = two_units(activation, np.array([[2, -0.7]]))[0]
    mu, ways = np.ones(len(w)), [w]
    r, J = two_units(activation, w, c)
    misfits = [np.mean(r**2, axis=1) / 2]
    for _ in range(40):
        a, b = np.mean(J**2, axis=1) + mu[:, None], np.mean(J[:, :, 0] * J[:, :, 1], axis=1)[:, None]
        g, det = np.mean(J * r[:, :, None], axis=1), a[:, :1] * a[:, 1:] - b**2
        trial = w - (a[:, ::-1] * g - b * g[:, ::-1]) / det  # Cramer's rule keeps equal weights equal
        r_trial, J_trial = two_units(activation, trial, c)
        E = np.mean(r_trial**2, axis=1) / 2
        better = misfits[-1] > E
        w, mu = np.where(better[:, None], trial, w), np.where(better, np.maximum(mu / 3, 1e-6), 4 * mu)
        r, J = np.where(better[:, None], r_trial, r), np.where(better[:, None, None], J_trial, J)
        ways.append(w)
        misfits.append(np.where(better, E, misfits[-1]))
    return np.array(ways), np.array(misfits), c


@functools.cache
def ends(activation):
    side = np.linspace(-3, 3, 12)
    ways, misfits, _ = fitted(activation, np.stack([np.tile(side, 12), np.repeat(side, 12)], axis=1))
    good = misfits[-1] < 1e-3
    near = [good & (np.linalg.norm(ways[-1] - one, axis=1) < 0.1) for one in ([2, -0.7], [-0.7, 2])]
    return [near[0].sum(), near[1].sum(), (good & ~near[0] & ~near[1]).sum(), (~good).sum()]


def minimisers(settings):
    name = settings["activation"]
    ways, misfits, c = fitted(name, np.array([[settings["p"], settings["q"]]]))
    end, t = ways[-1], np.linspace(-0.25, 1.25, 61)[:, None]
    line = two_units(name, np.array([2, -0.7]) + t * np.array([-2.7, 2.7]), c)[0]

    def slopes(w):
        r, J = two_units(name, w, c)
        return np.einsum("ni,nij->nj", r, J) / 21

    h = 1e-4 * np.eye(2)
    H = np.concatenate(
        [(8 * (slopes(end + e) - slopes(end - e)) - slopes(end + 2 * e) + slopes(end - 2 * e)) for e in h]
    )
    return {
        "end": end[0],
        "errors": misfits[:6, 0],
        "line": 1 + np.mean(line**2, axis=1) / 2,
        "curvatures": np.sort(np.linalg.eigvalsh((H + H.T) / (24 * 1e-4)))[::-1],
        "counts": ends(name),
    }


REFERENCES = {
    "minimisers": minimisers,
    "adjoints": adjoints,
    "features": features,
    "memory": memory,
    "initialisation": initialisation,
    "depth": depth,
}
