"""What pages about training must show, by numdl: for each page a function of its settings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import brentq

from numdl.optimize.smooth.stochastic_gradient import moved
from numdl.problems import separable

THETAS = 0.02 + 0.025 * np.arange(0, 161, 8)


def decay(theta, t):
    return jnp.exp(-theta * t)


@functools.cache
def decaying():
    """Reduced value, slope and head at rates theta, compiled once."""
    t = (np.arange(30) + 0.5) / 10

    def reduced(c, theta):
        problem = separable(decay, jnp.zeros(1), t, jnp.zeros(30), alpha_head=1e-3).with_targets(c[:, None])
        found = problem.linearize(theta[None], jnp.zeros((1, 1)))
        return found.value, found.gradient[0], found.aux[0, 0]

    return t, jax.jit(jax.vmap(reduced, (None, 0)))


def descend(start, value, slope, steps=7):
    """Steps with halving, from twice the last one."""
    way, t, first = [np.array(start, float)], 1.0, None
    while len(way) <= steps:
        p, g = way[-1], np.array(slope(*way[-1]))
        first = g @ g if first is None else first
        if g @ g <= 1e-10 * first:
            break
        t, now = min(2 * t, 64.0), value(*p)
        while t > 1e-4 and not value(*(p - t * g)) <= now - 1e-4 * t * (g @ g):
            t /= 2
        if t <= 1e-4:
            break
        way.append(p - t * g)
    return np.ravel(way)


def elimination(settings):
    t, reduced = decaying()
    theta, head, tolerance = (float(settings[name]) for name in ("theta", "head", "tolerance"))
    c = 2 * np.exp(-1.2 * t) + settings["noise"] * np.random.RandomState(settings["draw"]).standard_normal(30)

    def best_head(x):
        stacked = np.append(np.exp(-x * t), np.sqrt(30 * 1e-3))
        return np.linalg.lstsq(stacked[:, None], np.append(c, 0.0), rcond=None)[0][0]

    def value(x, w):
        return np.mean((w * np.exp(-x * t) - c) ** 2) / 2 + 0.5e-3 * w**2

    def slope(x, w):
        return -w * np.mean((w * np.exp(-x * t) - c) * t * np.exp(-x * t))

    def both(x, w):
        return [slope(x, w), np.mean((w * np.exp(-x * t) - c) * np.exp(-x * t)) + 1e-3 * w]

    def misled(x):
        """Slope at a head that is wrong in the direction in which the slope turns."""
        w, z = best_head(x), t * np.exp(-x * t)
        return slope(x, w * (1 + np.sign((z @ c) / (z @ np.exp(-x * t)) / w - 1) * tolerance))

    with jax.enable_x64(True):
        curve = [np.asarray(a) for a in reduced(c, THETAS)]
    best = brentq(lambda x: slope(x, best_head(x)), 0.3, 3.9, xtol=1e-14)
    return {
        "reduced": curve[0],
        "slopes": curve[1],
        "heads": curve[2],
        "value": value(theta, head),
        "gradient": both(theta, head),
        "inexact": misled(theta),
        "best": [best, value(best, best_head(best))],
        "full": descend([theta, head], value, both),
        "along": descend([theta], lambda x: value(x, best_head(x)), lambda x: [slope(x, best_head(x))]),
        "misled": descend([theta], lambda x: value(x, best_head(x)), lambda x: [misled(x)]),
    }


@functools.cache
def steps_of(method):
    """All points of descent along given gradients of batches, by the transformation of optax, compiled once."""
    transform = {
        "momentum": optax.sgd(1.0, momentum=0.9),
        "adagrad": optax.adagrad(1.0),
        "adam": optax.adam(1.0),
    }.get(method, optax.sgd(1.0))

    def walk(means, rates):
        def step(carry, now):
            x, state = carry
            x, state = moved(transform, x, jnp.array([1.0, 8.0]) * (x - now[0]), state, now[1])
            return (x, state), x

        start = jnp.array([-3.0, 2.0])
        return jax.lax.scan(step, (start, transform.init(start)), (means, rates))[1]

    return jax.jit(walk)


def noise_floor(settings):
    method, rate, b = settings["method"], settings["rate"], [1, 2, 5, 10, 20, 50, 200][settings["batch"]]
    a = 0.6 * np.random.RandomState(11).standard_normal((200, 2))
    a, h, start, n = a - a.mean(axis=0), np.array([1.0, 8.0]), np.array([-3.0, 2.0]), 4000 // b
    drawn = (
        np.random.RandomState(settings["draw"]).random_sample((n, b))
        if b < 200
        else np.tile(np.arange(200) / 200, (n, 1))
    )
    rates = rate / (1 + np.arange(4000) * b / 400) if method == "decay" else np.full(4000, rate)
    means = np.zeros((4000, 2))  # one length for all batches: one program
    means[:n] = a[np.rint(200 * drawn - 0.5).astype(int) if b < 200 else np.arange(200)[None]].mean(axis=1)
    with jax.enable_x64(True):
        way = np.vstack([start, np.asarray(steps_of(method)(means, rates))[:n]])
    heights = way**2 @ h / 2
    far = np.flatnonzero(~(heights < 1e12))
    way, heights = way[: far[0] + 1 if far.size else None], heights[: far[0] + 1 if far.size else None]
    spread, expected = [], []
    if method in ("sgd", "decay", "momentum"):
        beta, noise = 0.9 * (method == "momentum"), h**2 * np.mean(a**2, axis=0) / b * (b < 200)
        expected = np.zeros(min(n, 200) + 1)
        for hj, vj, xj in zip(h, noise, start, strict=True):
            mean, spread_j = np.array([xj, 0.0]), np.zeros((2, 2))  # of a point and its last step
            for k in range(len(expected)):
                expected[k] += hj * (mean[0] ** 2 + spread_j[0, 0]) / 2
                A = np.array([[1 - rates[k] * hj, beta], [-rates[k] * hj, beta]])
                mean, spread_j = A @ mean, A @ spread_j @ A.T + rates[k] ** 2 * vj
            if method != "decay":
                stable = np.abs(np.linalg.eigvals(A)).max() < 1
                spread.append(solve_discrete_lyapunov(A, rate**2 * vj * np.ones((2, 2)))[0, 0] if stable else np.inf)
    return {
        "way": way[:100].ravel(),
        "end": way[-1],
        "length": len(way),
        "tail": heights[len(way) // 2 :].mean(),
        "mean": way[len(way) // 2 :].mean(axis=0),
        "spread": spread,
        "expected": expected[::20],
        "batch": b,
    }


TRAINING = {
    "noise_floor": noise_floor,
    "elimination": elimination,
}
