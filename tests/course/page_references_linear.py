"""What pages of lecture 1 must show, by numdl or NumPy: for each page a function of its settings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Polynomial
from numpy.polynomial.legendre import legvander
from scipy.linalg import solveh_banded
from scipy.sparse.csgraph import connected_components
from scipy.stats import norm

from numdl.linalg import ImageGradient, ImageLaplacian, bidiagonalise, cgls
from numdl.problems import get_loss
from numdl.regularize import graph
from numdl.regularize.evidence import Precisions, Sizes, log_evidence
from numdl.regularize.ridge import decompose, ridge_path
from numdl.regularize.selectors import gcv


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


@functools.cache
def logistic():
    """Twelve rows; the value at any p with a kink of any size, and its gradient by differentiation."""
    rng = np.random.RandomState(12)
    X, e = rng.standard_normal((12, 3)), rng.standard_normal(12)
    c = (X @ [1, -1, 0.5] + e > 0).astype(float)

    def value(p, kink, place):
        s = X @ p
        return jnp.mean(jnp.logaddexp(0, s) - c * s) + 0.05 * p @ p + kink * jnp.abs(p[0] - place)

    return jax.jit(jax.vmap(value, (0, None, None))), jax.jit(jax.grad(value))


def taylor_table(settings):
    values, gradient = logistic()
    d = np.random.RandomState(100 + settings["draw"]).standard_normal(3)
    d, p, fault, h = d / np.linalg.norm(d), np.array([0.4, -0.3, 0.2]), settings["fault"], 0.5 ** np.arange(27)
    kink, place, short = 0.2 * (fault == "kink"), p[0] + 0.003 * d[0], fault == "single"
    far = 2.0**-6 if short else 2.0**-12
    with jax.enable_x64(True):
        found = np.asarray(values(p + np.outer([0, *h, far, -far], d), kink, place))
        g = np.array(gradient(p, kink, place))
    found = found.astype(np.float32).astype(float) if short else found
    if fault == "mean":
        g = 12 * (g - 0.1 * p) + 0.1 * p
    g = {"sign": -g, "entry": g * [1, 1, 0], "tiny": (1 + settings["size"]) * g}.get(fault, g)
    f, moved, slope = found[0], found[1:-2], g @ d
    left, eps = np.abs(moved - f - h * slope), 2.0**-23 if short else 2.0**-52
    above = np.argmin(np.append(left > 300 * eps * np.maximum(abs(f), h * abs(slope)), False))
    orders = np.log2(left[: above - 1] / left[1:above])
    return {
        "f": f,
        "gradient": g,
        "without": np.abs(moved - f),
        "withSlope": left,
        "orders": orders[left[1:above] > 1e-5],
        "passes": len(orders) >= 3 and np.all(np.abs(orders[-3:] - 2) <= 0.1),
        "central": (found[-2] - found[-1]) / (2 * far),
    }


@functools.cache
def polynomials(degree):
    """What the fits to the truth and to each reading alone become, for any alpha, at 101 places."""
    t, places = -1 + (2 * np.arange(24) + 1) / 24, np.linspace(-1, 1, 101)
    basis, seen = (legvander(x, degree) * np.sqrt(2 * np.arange(degree + 1) + 1) for x in (t, places))
    truth, wanted = (np.sin(5 * x) * (1 - x / 2) for x in (t, places))
    d = decompose(basis, np.column_stack([truth, np.eye(24)]))
    return wanted, lambda alpha: seen @ d.solution(alpha / 24)[0]


def split(degree, alpha, noise):
    wanted, answers = polynomials(degree)
    found = answers(alpha)
    return np.mean((found[:, 0] - wanted) ** 2), noise**2 * np.mean(np.sum(found[:, 1:] ** 2, axis=1))


def bias_variance(settings):
    degree, alpha, noise = settings["degree"], settings["alpha"], settings["noise"]
    wanted, answers = polynomials(degree)
    found, (bias, variance) = answers(alpha), split(degree, alpha, noise)
    e = noise * np.random.RandomState(5).standard_normal((20 * settings["sets"], 24))
    fits = found[:, 0] + e @ found[:, 1:].T
    return {
        "bias": bias,
        "variance": variance,
        "found": np.mean((fits - wanted) ** 2),
        "centre": found[:, 0],
        "last": fits[-1],
        "path": np.ravel([split(degree, a, noise) for a in np.geomspace(1e-6, 1e3, 91)[::10]]),
        "degrees": np.ravel([split(k, alpha, noise) for k in range(16)]),
    }


def in_single_precision(A, c):
    """Answers by one rotation and by Cholesky's method on the normal equations, each operation rounded."""
    (p1, q1), (p2, q2) = A.astype(np.float32)
    c1, c2 = c.astype(np.float32)
    h = np.sqrt(p1 * p1 + p2 * p2)
    r12, r22 = p1 / h * q1 + p2 / h * q2, p1 / h * q2 - p2 / h * q1
    y = (p1 / h * c2 - p2 / h * c1) / r22
    by_rotation = np.array([((p1 / h * c1 + p2 / h * c2) - r12 * y) / h, y], float)
    (g11, g12), g22, (d1, d2) = (
        (p1 * p1 + p2 * p2, p1 * q1 + p2 * q2),
        q1 * q1 + q2 * q2,
        (p1 * c1 + p2 * c2, q1 * c1 + q2 * c2),
    )
    l11 = np.sqrt(g11)
    l21, z1 = g12 / l11, d1 / l11
    rest = g22 - l21 * l21
    if not rest > 0:
        return by_rotation, np.array([np.inf, np.inf])
    x2 = (d2 - l21 * z1) / np.sqrt(rest) / np.sqrt(rest)
    return by_rotation, np.array([(z1 - l21 * x2) / l11, x2], float)


def two_columns(a):
    return np.array([np.cos([0.5, 0.5 + a]), np.sin([0.5, 0.5 + a])])


@functools.cache
def over_angles():
    x, found = np.array([1.0, 0.5]), []
    for a in np.geomspace(1e-6, 1.5, 61):
        for answer in in_single_precision(two_columns(a), two_columns(a) @ x):
            error = np.linalg.norm(answer - x) / np.linalg.norm(x)
            found.append(np.log10(max(error, 1e-9)) if np.isfinite(error) else 9)
    return found


def conditioning(settings):
    A, x, t = two_columns(settings["angle"]), np.array([1.0, 0.5]), np.deg2rad(settings["phase"])
    move = np.linalg.solve(A, settings["noise"] * np.array([np.cos(t), np.sin(t)]))
    round_ = np.pi / 60 * np.arange(0, 121, 20)
    by_rotation, by_normal_equations = in_single_precision(A, A @ x)
    return {
        "s": np.linalg.svd(A, compute_uv=False),
        "x": x + move,
        "error": np.linalg.norm(move) / np.linalg.norm(x),
        "ellipse": np.ravel(x + np.linalg.solve(A, settings["noise"] * np.array([np.cos(round_), np.sin(round_)])).T),
        "qr": by_rotation,
        "normal": by_normal_equations,
        "curves": over_angles(),
    }


def power_law(h, t, q):
    """The factor by least squares with its standard deviation, and g with its own."""
    a = (h**q)[:, None]
    (k,), left, _, _ = np.linalg.lstsq(a, t, rcond=None)
    deviation = np.sqrt(left[0] / (len(h) - 1) / np.sum(a**2))
    return k, deviation, 2 / k**2, 4 / k**3 * deviation


def law_or_description(settings):
    n, q, draw = settings["count"], settings["exponent"], settings["draw"]
    h = np.linspace(0.5, 2, n)
    tables = [
        np.sqrt(2 * h / 9.81) + settings["noise"] * np.random.RandomState(draw + k).standard_normal(n)
        for k in range(30)
    ]
    found = np.array([power_law(h, t, q) for t in tables])
    k, deviation, g, g_deviation = found[0]
    return {
        "k": k,
        "g": g,
        "deviation": deviation,
        "gDeviation": g_deviation,
        "residuals": tables[0] - k * h**q,
        "other": Polynomial.fit(h, tables[0], 3)(np.linspace(0, 10, 11)),
        "many": found[:, 2:].ravel(),
        "far": k * 10**q,
    }


@functools.cache
def cross_entropies():
    """Of the first of three classes: value, slope and curvature in its score, for rows of scores."""
    loss, right = get_loss("softmax"), jnp.array([1.0, 0.0, 0.0])
    parts = jax.vmap(lambda s: (loss.value(s, right), loss.residual(s, right)[0], loss.hessian(s, right)[0, 0]))
    return jax.jit(lambda s: jnp.stack(parts(s)))


def row_of(m, d):
    return np.array([m, d / 2 + 0 * m, -d / 2 + 0 * m])


def squared_errors(m, d):
    """Of the probabilities, with the slope in the first score."""
    e = np.exp(row_of(m, d) - max(np.real(m), abs(d) / 2))
    q = e / e.sum()
    r = q - [1, 0, 0]
    return q, r @ r / 2, q[0] * (r[0] - r @ q)


@np.errstate(all="ignore")
def code_length(settings):
    m, d, short = float(settings["margin"]), float(settings["tilt"]), settings["precision"] == "single"
    leads = np.append(m, np.linspace(-40, 40, 9))
    with jax.enable_x64(True):
        cross = np.asarray(cross_entropies()(row_of(leads, d).T))
    q, squares, slope = squared_errors(m, d)

    def rounded(x):
        return np.float64(np.float32(x)) if short else np.float64(x)

    s = [rounded(settings["offset"] + x) for x in (m, d / 2, -d / 2)]

    def log_sum(s):
        e = [rounded(np.exp(x)) for x in s]
        return rounded(np.log(rounded(rounded(e[0] + e[1]) + e[2])))

    shifted = rounded(log_sum([rounded(x - max(s)) for x in s]) + max(s))
    return {
        "q": q,
        **dict(zip(("cross", "slope", "bend"), cross[:, 0], strict=True)),
        "squares": squares,
        "squaresSlope": slope,
        "squaresBend": np.imag(squared_errors(m + 1e-30j, d)[2]) / 1e-30,  # a complex step: no cancellation
        "plain": rounded(log_sum(s) - s[0]),
        "shifted": rounded(shifted - s[0]),
        "curve": np.ravel(
            [[value, squared_errors(lead, d)[1]] for lead, value in zip(leads[1:], cross[0, 1:], strict=True)]
        ),
    }


@functools.cache
def two_weights():
    """Value, gradient and Hessian of a logistic fit of two weights, and its minimum."""
    e = np.random.RandomState(4).standard_normal((24, 2))
    Z = np.column_stack([0.7 + 0.9 * e[:, 0], 0.5 + 2.2 * e[:, 0] + 0.9 * e[:, 1]])

    def value(p):
        return np.mean(np.logaddexp(0, -Z @ p)) + 0.01 * p @ p

    def slope(p):
        q = 1 / (1 + np.exp(Z @ p))
        return 0.02 * p - Z.T @ q / 24, Z.T @ (Z * (q * (1 - q))[:, None]) / 24 + 0.02 * np.eye(2)

    p = np.zeros(2)
    for _ in range(30):
        g, H = slope(p)
        p = p - np.linalg.solve(H, g)
    return value, slope, np.append(p, value(p))


def line_search(settings):
    value, slope, lowest = two_weights()
    first, decrease, eta = (settings[name] for name in ("first", "decrease", "inner"))
    way, heights, accepted, trials, cut = [np.array(settings["start"], float)], [], [], [], None
    first_size = np.linalg.norm(slope(way[0])[0])
    while len(way) < 9:
        p, (g, H) = way[-1], slope(way[-1])
        heights.append(value(p))
        if cut is not None and np.linalg.norm(g) <= 1e-8 * first_size:
            break
        root = np.linalg.cholesky(H)  # H = root root': conjugate gradients by CGLS on root' d = -root^-1 g
        found = cgls(root.T, -np.linalg.solve(root, g), max_iter=2, tol=0.0, keep_iterates=True).iterates
        good = [d for d in found if np.linalg.norm(H @ d + g) <= eta * np.linalg.norm(g) * (1 + 1e-12)]
        d = good[0] if good else found[-1]
        d = d if d.any() else -g
        if cut is None:
            cut = [value(p + t * d) for t in np.linspace(0, max(2.2 * first, 1e-3), 161)[::20]]
        steps = first / 2.0 ** np.arange(30)
        kept = [value(p + t * d) <= heights[-1] + decrease * t * (g @ d) + 1e-15 * heights[-1] for t in steps]
        trials.append(kept.index(True) + 1)
        accepted.append(steps[trials[-1] - 1])
        way.append(p + accepted[-1] * d)
    return {
        "way": np.ravel(way[:8]),
        "heights": heights[:8],
        "cut": cut,
        "accepted": accepted[:7],
        "trials": trials[:7],
        "lowest": lowest,
    }


def evidence_of(d, Z, c, alpha, v):
    """Log evidence of a pair by numdl's formula, from the fit and the determinant of the Hessian."""
    a, n = alpha / v, len(c)
    x = d.solution(alpha / n)[0][:, 0]
    H = (Z.T @ Z + alpha * np.eye(15)) / n  # of the mean misfit and its penalty
    sizes = Sizes(n, 1, np.array([15]), 0, True)
    misfit = np.sum((Z @ x - c) ** 2) / (2 * n)
    return log_evidence(Precisions(np.array([a]), 1 / v), sizes, misfit, np.array([x @ x]), np.linalg.slogdet(H)[1])


def evidence(settings):
    n, alpha, v = settings["count"], settings["alpha"], settings["noise"] ** 2
    rng, places, alphas = np.random.RandomState(settings["draw"]), np.linspace(-1, 1, 81), np.geomspace(1e-5, 1e3, 161)
    t, e = 2 * rng.random_sample(40)[:n] - 1, rng.standard_normal(40)[:n]
    c, wanted = np.sin(5 * t) * (1 - t / 2) + 0.3 * e, np.sin(5 * places) * (1 - places / 2)
    for i, y in settings["moved"].items():
        c[int(i)] = y
    Z, seen = (np.exp(-(((x[:, None] - np.linspace(-1, 1, 15)) / 0.25) ** 2) / 2) for x in (t, places))
    d = decompose(Z, c[:, None])
    prior = Z @ Z.T * v / alpha + v * np.eye(n)  # the Gaussian process of the same prior
    across = seen @ Z.T * v / alpha
    mean = across @ np.linalg.solve(prior, c)
    left = np.sum(seen**2, axis=1) * v / alpha - np.sum(across * np.linalg.solve(prior, across.T).T, axis=1)
    w, Q = np.linalg.eigh(Z @ Z.T)
    stretched = 1 + np.maximum(w, 0) / alphas[:, None]
    noises = np.mean((Q.T @ c) ** 2 / stretched, axis=1)
    top = int(np.argmin(n * np.log(noises) + np.log(stretched).sum(axis=1)))
    logs = {i: evidence_of(d, Z, c, alphas[i], noises[i]) for i in [*range(0, 161, 20), top]}
    answers = np.stack([d.solution(a / n)[0][:, 0] for a in alphas[::20]])
    return {
        "mean": mean,
        "spread": np.sqrt(left),
        "log": evidence_of(d, Z, c, alpha, v),
        "gcv": n * gcv(ridge_path(d, alphas / n)).alpha,
        "errors": np.sqrt(np.mean((answers @ seen.T - wanted) ** 2, axis=1)),
        "evidence": [alphas[top], np.sqrt(noises[top]), logs[top]],
        "profile": [logs[i] for i in range(0, 161, 20)],
        "covered": np.mean(np.abs(mean - wanted) <= norm.ppf(0.95) * np.sqrt(left)),
    }


SIZES = [1, 2, 3, 5, 8, 12, 16, 20]


def ridge_of(X, c, chosen, m, s):
    """Constant and coefficients of the fit, from its normal equations with a penalty of 1, in own units."""
    Z = (X[:, chosen] - m[chosen]) / s[chosen]
    stacked = np.vstack([Z, np.eye(len(chosen))])
    w = np.linalg.lstsq(stacked, np.append(c - c.mean(), np.zeros(len(chosen))), rcond=None)[0] / s[chosen]
    return c.mean() - m[chosen] @ w, w


@functools.cache
def table_of_noise(seed, folds, delta, leak):
    """Errors by cross validation for each number of features, and with every step on all rows the exact ones."""
    rng = np.random.RandomState(seed)
    X, e = rng.standard_normal((40, 200)), rng.standard_normal(40)
    truth = np.append(np.full(5, delta), np.zeros(195))
    c, every = X @ truth + e, np.ones(40, bool)

    def units(rows):
        return X[rows].mean(axis=0), X[rows].std(axis=0)

    def order(rows, s):
        return np.argsort(-np.abs((c[rows] - c[rows].mean()) @ X[rows] / s))

    first, off = order(every, units(every)[1]), np.zeros((8, 40))
    for f in range(folds):
        out = np.arange(40) % folds == f
        scale = units(every if leak == "units" else ~out)
        chosen = first if leak == "features" else order(~out, scale[1])
        for k, size in enumerate(SIZES):
            b, w = ridge_of(X[~out], c[~out], chosen[:size], *scale)
            off[k, out] = c[out] - b - X[out][:, chosen[:size]] @ w
    new = []
    for size in SIZES:
        b, w = ridge_of(X, c, first[:size], *units(every))
        left = truth.copy()
        left[first[:size]] -= w
        new.append(1 + b**2 + left @ left)
    return np.mean(off**2, axis=1) / (1 + truth @ truth), np.array(new) / (1 + truth @ truth)


def leaks(settings):
    folds, delta, leak = int(settings["folds"]), 0.6 * settings["signal"], settings["leak"]
    honest, new = zip(*(table_of_noise(seed, folds, delta, "none") for seed in (1, 2)), strict=True)
    reported = [np.full(8, a.min()) for a in honest]
    if leak != "looking":
        reported = [table_of_noise(seed, folds, delta, leak)[0] for seed in (1, 2)]
    return {
        "reported": np.ravel(reported),
        "honest": np.ravel(honest),
        "truth": np.ravel(new),
        "features": SIZES[settings["size"]],
    }


def moons(settings):
    rng, q = np.random.RandomState(settings["draw"]), settings["neighbours"]
    t, e, up = np.pi * rng.random_sample(100), rng.standard_normal((100, 2)), np.arange(100) < 50
    x = np.column_stack([np.where(up, np.cos(t), 1 - np.cos(t)), np.where(up, np.sin(t), 0.5 - np.sin(t))])
    x = x + settings["noise"] * e
    far = np.linalg.norm(x[:, None] - x, axis=2)
    near = np.argsort(far + np.diag(np.full(100, np.inf)), axis=1)[:, :q]
    W = graph.neighbour_weights(near, np.take_along_axis(far, near, 1), kind=settings["kind"])
    L, count = graph.graph_laplacian(W), connected_components(W)[0]
    values, vectors = graph.smoothest(L, 6)
    first, second = settings["first"], settings["second"]
    known, c = np.isin(np.arange(100), [first, second]), np.zeros((100, 1))
    c[first], c[second] = 1, -1
    f = graph.spread_labels(L, c, known, 1e-3)[:, 0]
    sides = vectors[:, 1]
    if count > 1:
        part = connected_components(W)[1]
        sides = np.where(part == np.argmax(np.bincount(part)), 1, -1)
    sides = sides if sides[up].sum() >= sides[~up].sum() else -sides
    return {
        "points": x.ravel(),
        "parts": count,
        "values": np.where(np.arange(6) < count, 0, values),
        "second": sides if count == 1 else [],
        "spread": f,
        "cut": np.mean((sides > 0) == up),
        "reached": np.mean(np.where(up, f > 0, f < 0)),
        "nearest": np.mean((far[:, first] < far[:, second]) == up),
        "bridges": W.toarray()[:50, 50:].sum(),
    }


@functools.cache
def blurred_image():
    """Blurring matrix of rows and of columns, image, and the decomposition of the former."""
    i, j = np.mgrid[:24, :24]
    image = 1.0 * ((i >= 4) & (i < 10) & (j >= 3) & (j < 12)) + 0.7 * (np.hypot(i - 15.5, j - 16) < 5)
    image += (i >= 14) * (j >= 2) * (j < 8) * (i - 13) / 10
    weights = np.exp(-((np.arange(-7, 8) / 1.44) ** 2) / 2)
    K = sum(w * np.eye(24, k=k) for k, w in zip(range(-7, 8), weights / weights.sum(), strict=True))
    return K, image, np.linalg.svd(K)


@functools.cache
def iterates(noise, draw, method):
    """The first twelve images, their residuals, and their penalties."""
    K, image, (U, _, _) = blurred_image()
    exact, e = K @ image @ K.T, np.random.RandomState(draw).standard_normal((24, 24))
    c, chosen = exact + noise * np.linalg.norm(exact) / 24 * e, []
    if method == "hybrid":
        whole, found = bidiagonalise(np.kron(K, K), c.ravel(), 12), [np.zeros((24, 24))]
        alphas = np.geomspace(1e-8, 1, 81)
        for k in range(1, 13):
            B, b = whole.B[: k + 1, :k], np.linalg.norm(c) * np.eye(k + 1)[0]
            solvers = np.linalg.solve(B.T @ B + alphas[:, None, None] * np.eye(k), B.T)
            rest = (B @ solvers @ b - b) / (k + 1 - np.trace(B @ solvers, axis1=1, axis2=2))[:, None]
            best = np.argmin(np.sum(rest**2, axis=1))
            chosen.append(alphas[best])
            found.append((whole.V[:, :k] @ (solvers[best] @ b)).reshape(24, 24))
    elif method == "descent":
        found = [np.zeros((24, 24))]
        for _ in range(12):
            found.append(found[-1] + K.T @ (c - K @ found[-1] @ K.T) @ K)
    else:
        blur = np.kron(K, K)
        found = cgls(blur, c.ravel(), max_iter=12, tol=0.0, keep_iterates=True).iterates
        found = np.reshape(found, (-1, 24, 24))
    return image, found[1:], [np.linalg.norm(K @ x @ K.T - c) for x in found[1:]], chosen, (U[:, 0] @ c @ U[:, 0])


def semi_convergence(settings):
    image, found, residuals, alphas, beta = iterates(settings["noise"], settings["draw"], settings["method"])
    k = list(dict.fromkeys(np.floor(np.geomspace(1, 400, 60) + 0.5)))[settings["step"]]
    inside = k <= 12
    v, s = blurred_image()[2][2][0], blurred_image()[2][1][0]
    return {
        "errors": np.linalg.norm(np.asarray(found) - image, axis=(1, 2)) / np.linalg.norm(image),
        "residuals": residuals,
        "image": np.ravel(found[int(k) - 1]) if inside else [],
        "alphas": alphas,
        "factors": [v @ found[int(k) - 1] @ v * s**2 / beta] if inside else [],
    }


@functools.cache
def image_penalties():
    """Lower bands of L'L for numdl's operators on an image of 24 x 24 pixels, as SciPy takes them."""
    pixels, found = jnp.eye(576), {"identity": np.ones((1, 576))}
    for name, L in (("gradient", ImageGradient((24, 24))), ("laplacian", ImageLaplacian((24, 24)))):
        matrix = np.asarray(jax.jit(jax.vmap(L.mv))(pixels), float).T
        P = matrix.T @ matrix
        width = 24 if name == "gradient" else 48
        found[name] = np.array([np.append(np.diag(P, -k), np.zeros(k)) for k in range(width + 1)])
    return found


def inpainting(settings):
    i, j = np.mgrid[:24, :24]
    truth = 0.25 + 0.35 * np.sin(0.22 * j) * np.cos(0.16 * i) + 0.4 * (np.hypot(i - 16, j - 16) < 5)
    truth = (truth + np.where(i < 9, 0.4 * i / 9, 0.4 * np.maximum(0, 1 - (i - 9) / 6))).ravel()
    rng = np.random.RandomState(settings["draw"])
    known = (rng.random_sample((24, 24)) >= settings["missing"]) & ~np.isin(i // 3 * 8 + j // 3, settings["brushed"])
    known = known.ravel().astype(float)
    c = known * (truth + settings["noise"] * rng.standard_normal(576))

    def fill(kind, alpha):
        band = alpha * image_penalties()[kind]
        band[0] += known
        return solveh_banded(band, c, lower=True)

    def error(x):
        return np.linalg.norm(x - truth) / np.linalg.norm(truth)

    x, seen = fill(settings["operator"], settings["alpha"]), c[known > 0]
    outside = (x < seen.min() - 1e-12) | (x > seen.max() + 1e-12)
    return {
        "x": x,
        "error": error(x),
        "errors": [error(fill(kind, 0.1)) for kind in ("identity", "gradient", "laplacian")],
        "holes": np.sum(known == 0),
        "beyond": np.sum(outside & (known == 0)),
    }


LINEAR = {
    "inpainting": inpainting,
    "semi_convergence": semi_convergence,
    "moons": moons,
    "leaks": leaks,
    "evidence": evidence,
    "line_search": line_search,
    "code_length": code_length,
    "law_or_description": law_or_description,
    "conditioning": conditioning,
    "bias_variance": bias_variance,
    "taylor_table": taylor_table,
    "downhill": downhill,
}
