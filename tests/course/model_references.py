"""What pages about slopes, curvature, structure and control must show, by numdl, NumPy and SciPy."""

import functools

import numpy as np
from scipy import ndimage, optimize
from scipy.linalg import circulant

TINY = 1e-30  # f(u + i TINY v) = f(u) + i TINY f'(u) v: slopes without a difference


def products(settings):
    """Slopes of a small network by complex steps; multiplications by counting matrix products."""
    rng = np.random.RandomState(settings["seed"])
    y, K, b, w = (np.floor(10 * (3 * rng.random_sample(shape) - 1.5) + 0.5) / 10 for shape in (2, (2, 2), 2, 2))

    def units(K, z=0.0):
        a = K @ y + b
        return [*a, *(np.tanh(a) + z), w @ (np.tanh(a) + z)]

    directions = np.eye(4).reshape(4, 2, 2)
    forwards = [units(K + 1j * TINY * V)[-1].imag / TINY for V in directions]
    back = [np.imag(w @ np.tanh(K @ y + b + 1j * TINY * e)) / TINY for e in np.eye(2)]
    m, d, q, n = settings["width"], 784, 10, 1000

    def product(rows, inner, columns):
        return rows * inner * columns

    sweep = product(m, d, n) + m * n + product(q, m, n)
    formed = n * (q * m + product(q * m, 1, d)) + product(n * q, m * d, 1)
    cost = [sweep, m * d * sweep, n * q * m * d, n * (m + d), formed]
    return {"slopes": forwards, "forwards": forwards, "units": units(K), "back": back, "cost": cost}


def orders(settings):
    """Sensitivities and adjoints from one dense system, whose blocks are made by complex steps; operations counted."""
    n, r, q = settings["layers"], settings["parameters"], settings["losses"]
    weights = np.random.RandomState(5).standard_normal((12, 6))

    def layer(u, w):
        return u + 0.5 * np.tanh(w[:4].reshape(2, 2) @ u + w[4:])

    u, T, R = np.array([1.0, -0.5]), np.eye(2 * n), np.zeros((2 * n, n * r))
    for k, w in enumerate(weights[:n]):
        rows = slice(2 * k, 2 * k + 2)
        if k:
            A = [layer(u + 1j * TINY * e, w).imag / TINY for e in np.eye(2)]
            T[rows, 2 * k - 2 : 2 * k] = -np.transpose(A)
        R[rows, k * r : (k + 1) * r] = np.transpose([layer(u, w + 1j * TINY * e).imag / TINY for e in np.eye(6)[:r]])
        u = layer(u, w)
    angle = np.pi * np.arange(q) / q
    G = np.hstack([np.zeros((q, 2 * n - 2)), np.stack([np.cos(angle), np.sin(angle)], axis=1)])
    V, Z = np.linalg.solve(T, R), np.linalg.solve(T.T, G.T)
    passed = sum(r * 2 * 2 for k in range(n) for _ in range(k + 1, n))
    cost = [passed + q * n * r * 2, q * (n - 1) * 2 * 2 + q * n * r * 2]
    return {"V": V, "Z": Z, "slopes": G @ V, "back": Z.T @ R, "end": u, "cost": cost}


def curvature(settings):
    """Steps for a fit of ``a exp(-b t)`` with Jacobian and Hessian by complex steps and a solver of least squares."""
    t = np.linspace(0, 3, 12)

    def f(p):
        return p[0] * np.exp(-p[1] * t)

    def jacobian(p):
        return np.transpose([f(p + 1j * TINY * e).imag / TINY for e in np.eye(2)])

    best = np.ones(2)
    e = -(t**2) * np.exp(-t)
    e = e - jacobian(best) @ np.linalg.lstsq(jacobian(best), e, rcond=None)[0]
    e = e * np.linalg.norm(f(best)) / np.linalg.norm(e)
    c = f(best) + settings["residual"] * e

    def hessian(p):  # slopes of J'r, whose J is written down: complex steps do not nest
        def slope(p):
            E = np.exp(-p[1] * t)
            return np.array([E, -p[0] * t * E]) @ (p[0] * E - c)

        return np.transpose([slope(p + 1j * TINY * e).imag / TINY for e in np.eye(2)])

    def misfit(p):
        return np.sum((f(p) - c) ** 2) / 2

    def within(H, g, radius):
        """Least ``lambda`` at which ``H + lambda I`` is definite and its step within the radius."""
        low = max(0.0, -np.linalg.eigvalsh(H)[0])

        def step(extra):
            return -np.linalg.solve(H + extra * np.eye(2), g)

        if low == 0 and np.linalg.norm(step(0)) <= radius:
            return step(0)
        high = low + np.linalg.norm(g) / radius
        lowest = low + 1e-12 * (1 + low)
        short = optimize.brentq(lambda extra: 1 / radius - 1 / np.linalg.norm(step(extra)), lowest, high, xtol=1e-14)
        return step(short)

    p, mu, radius = np.array([1.6, settings["start"]]), 0.1, 0.5
    way, det = [p], np.linalg.det(hessian(p))
    for _ in range(4):
        J, r = jacobian(p), f(p) - c
        if settings["method"] == "gauss":
            p = p - np.linalg.lstsq(J, r, rcond=None)[0]
        elif settings["method"] == "newton":
            p = p - np.linalg.solve(hessian(p), J.T @ r)
        elif settings["method"] == "trust":
            H = hessian(p)
            s = within(H, J.T @ r, radius)
            ratio = (misfit(p) - misfit(p + s)) / -(s @ J.T @ r + s @ H @ s / 2)
            p = p + s if ratio > 0.1 else p
            if ratio < 0.25:
                radius /= 4
            elif ratio > 0.75 and np.linalg.norm(s) > 0.999 * radius:
                radius = min(2 * radius, 4)
        else:
            damped = np.vstack([J, np.sqrt(mu) * np.eye(2)])
            trial = p - np.linalg.lstsq(damped, np.append(r, [0, 0]), rcond=None)[0]
            better = misfit(trial) < misfit(p)
            p, mu = (trial, max(mu / 3, 1e-8)) if better else (p, 4 * mu)
        way.append(p)
    J = jacobian(best)
    factors = np.linalg.eigvals(np.eye(2) - np.linalg.solve(J.T @ J, hessian(best)))
    return {"c": c, "way": way, "det": det, "factor": np.min(factors.real), "lowest": misfit(best)}


def structure(settings):
    """A stencil as SciPy's convolution of unit vectors, with its three borders; eigenvalues by LAPACK."""
    a, b = settings["second"], settings["first"]
    mode = {"periodic": "wrap", "free": "wrap", "zero": "constant", "reflecting": "reflect"}[settings["border"]]
    weights = [-a - b, 2 * a, -a + b]  # correlated: of the neighbour before, the unit itself, and the one after
    K = ndimage.correlate1d(np.eye(16), weights, axis=0, mode=mode)
    if settings["border"] == "free":
        K = K + circulant(settings["extra"])
    values, u = np.linalg.eigvals(K), np.zeros(16)
    u[10:] = 1
    return {
        "K": K,
        "real": 5 + np.sort(values.real),
        "imaginary": 5 + np.sort(np.abs(values.imag)),
        "out": K @ u if settings["border"] == "free" else ndimage.correlate1d(u, weights, mode=mode),
        "layer": u - K @ u / 4,
    }


def transport(settings):
    """SciPy's assignment, and the energy of a flow by complex steps in time and Gauss's rule."""
    x = 0.5 * np.random.RandomState(2).standard_normal((40, 2))
    x = x - x.mean(axis=0)
    angle, stretch, shift = np.deg2rad(settings["angle"]), settings["stretch"], settings["distance"]

    def way(t):
        c, d, grown = np.cos(angle * t), np.sin(angle * t), np.exp(np.log(stretch) * t)
        u, v = x[:, 0] * grown, x[:, 1] / grown
        return np.stack([c * u - d * v + shift * t, d * u + c * v], axis=1)

    y = way(1.0)
    cost = np.sum((x[:, None] - y) ** 2, axis=2)
    rows, sigma = optimize.linear_sum_assignment(cost)
    A, B = x.T @ x / 40, np.cov(y.T, bias=True)
    bound = shift**2 + np.trace(A + B) - 2 * np.sum(np.sqrt(np.linalg.eigvals(A @ B).real))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    speeds = [np.mean(np.sum((way(0.5 + t / 2 + 1j * TINY).imag / TINY) ** 2, axis=1)) for t in nodes]
    return {
        "B": y,
        "costs": 1 + np.array([np.mean(np.diag(cost)), np.mean(cost[rows, sigma]), bound, weights @ speeds / 2]),
        "sigma": sigma,
    }


def hill(bend):
    """The boundary ``u2 = B(u1)`` of a network of two tanh units, and its slope."""

    def B(t):
        return bend * (np.tanh(3 * t + 2) - np.tanh(3 * t - 2) - 1)

    return B, lambda t: np.imag(B(t + 1j * TINY)) / TINY


def nearest(bend, x):
    """Brute force along the boundary, then a root of the slope of the squared distance."""
    B, slope = hill(bend)
    t = np.linspace(x[0] - 4, x[0] + 4, 1601)
    t = t[np.argmin((t - x[0]) ** 2 + (B(t) - x[1]) ** 2)]
    t = optimize.brentq(lambda t: t - x[0] + (B(t) - x[1]) * slope(t), t - 0.01, t + 0.01, xtol=1e-15)
    return np.array([t, B(t), np.hypot(t - x[0], B(t) - x[1])])


@functools.cache
def most_fragile(bend):
    points = np.round(0.9 * np.random.RandomState(4).standard_normal((24, 2)), 2)
    return [nearest(bend, p)[2] for p in points]


def fragile(settings):
    bend, kind = settings["bend"], settings["kind"]
    B, slope = hill(bend)
    x = np.array([settings["x"], settings["y"]], float)

    def score(u):
        return u[1] - B(u[0])

    def gradient(u):
        return np.array([-slope(u[0]), 1.0])

    def crossing(d):
        t = 0.01 * np.arange(401)
        signs = np.sign(score(x[:, None] + t * d[:, None]))
        k = np.argmax(signs != signs[0])
        return optimize.brentq(lambda t: score(x + t * d), t[k - 1], t[k], xtol=1e-15) if k else 0.0

    s, g, best = score(x), gradient(x), nearest(bend, x)
    cosine = -np.sign(s) * (best[:2] - x) @ g / (np.linalg.norm(g) * best[2])
    way, u = [x], x
    if kind == "gradient":
        d = -np.sign(s) * g / np.linalg.norm(g)
        way.append(x + (crossing(d) or 4.0) * d)
    for _ in range(12 * (kind != "gradient")):
        h = gradient(u)
        if kind == "minimal":
            u = u - score(u) / (h @ h) * h
        else:
            to = x - (score(u) + h @ (x - u)) / (h @ h) * h
            trials = [u + 0.5**i * (to - u) for i in range(5)]
            merits = [np.linalg.norm(z - x) + 2 * abs(score(z)) / np.linalg.norm(h) for z in trials]
            u = trials[np.argmin(merits)]
        way.append(u)
    d = (way[-1] - x) / np.linalg.norm(way[-1] - x)
    return {
        "score": [s, abs(s) / np.linalg.norm(g), np.rad2deg(np.arccos(min(cosine, 1.0)))],
        "best": best,
        "way": way[:6],
        "end": crossing(d),
        "fragile": most_fragile(bend),
    }


REFERENCES = {
    "fragile": fragile,
    "transport": transport,
    "structure": structure,
    "curvature": curvature,
    "orders": orders,
    "products": products,
}
