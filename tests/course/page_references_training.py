"""What pages about training must show, by numdl: for each page a function of its settings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

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


TRAINING = {
    "elimination": elimination,
}
