"""Where do least-squares solvers stand on the 35 problems of Moré, Garbow and Hillstrom, from three starts each?

Source: ACM Trans. Math. Softw. 7 (1981) 17-41.
Each is a residual ``f(p) -> (m,)``, its standard start, and the least sum of squares known, in the order of the paper.
Where the paper has a free size, there are 10 parameters (Watson 9, Chebyquad 8, the extended Powell function 12).
Minima that are not zero or a fraction were computed to 10 digits, by two methods that agree; they round to the paper's
six. Problem 11 is meant with ``|y_i - p_2|``, an erratum of the paper. Data of problems 10, 15 and 17 are NIST's.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import nist_regression
import numpy as np

FACTORS = (1, 10, 100)


def counted(m):
    """1, 2, ..., m."""
    return np.arange(1.0, m + 1)


def rosenbrock(p):
    return jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]])


def freudenstein_roth(p):
    a, b = p
    return jnp.stack([a - 13 + ((5 - b) * b - 2) * b, a - 29 + ((b + 1) * b - 14) * b])


def powell_badly_scaled(p):
    return jnp.stack([1e4 * p[0] * p[1] - 1, jnp.sum(jnp.exp(-p)) - 1.0001])


def brown_badly_scaled(p):
    return jnp.stack([p[0] - 1e6, p[1] - 2e-6, p[0] * p[1] - 2])


def beale(p):
    return np.array([1.5, 2.25, 2.625]) - p[0] * (1 - p[1] ** counted(3))


def jennrich_sampson(p):
    i = counted(10)
    return 2 + 2 * i - jnp.exp(i * p[0]) - jnp.exp(i * p[1])


def helical_valley(p):
    turn = jnp.arctan(p[1] / p[0]) / (2 * jnp.pi) + jnp.where(p[0] < 0, 0.5, 0.0)
    return jnp.stack([10 * (p[2] - 10 * turn), 10 * (jnp.hypot(p[0], p[1]) - 1), p[2]])


def bard(p):
    u = counted(15)
    y = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])
    return y - p[0] - u / ((16 - u) * p[1] + np.minimum(u, 16 - u) * p[2])


def gaussian(p):
    half = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]
    y = np.array([*half, 0.3989, *half[::-1]])
    return p[0] * jnp.exp(-p[1] * ((8 - counted(15)) / 2 - p[2]) ** 2 / 2) - y


def gulf(p):
    t = counted(99) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return jnp.exp(-(jnp.abs(y - p[1]) ** p[2]) / p[0]) - t


def box(p):
    t = counted(10) / 10
    return jnp.exp(-t * p[0]) - jnp.exp(-t * p[1]) - p[2] * (np.exp(-t) - np.exp(-10 * t))


def powell_singular(p):
    a, b, c, d = p.reshape(-1, 4).T
    rows = [a + 10 * b, np.sqrt(5) * (c - d), (b - 2 * c) ** 2, np.sqrt(10) * (a - d) ** 2]
    return jnp.stack(rows).ravel()


def wood(p):
    a, b, c, d = p
    rows = [10 * (b - a**2), 1 - a, np.sqrt(90) * (d - c**2), 1 - c, np.sqrt(10) * (b + d - 2), (b - d) / np.sqrt(10)]
    return jnp.stack(rows)


def brown_dennis(p):
    t = counted(20) / 5
    return (p[0] + t * p[1] - np.exp(t)) ** 2 + (p[2] + p[3] * np.sin(t) - np.cos(t)) ** 2


def biggs(p):
    t = counted(13) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return p[2] * jnp.exp(-t * p[0]) - p[3] * jnp.exp(-t * p[1]) + p[5] * jnp.exp(-t * p[4]) - y


OSBORNE = """
    1.366 1.191 1.112 1.013 0.991 0.885 0.831 0.847 0.786 0.725 0.746 0.679 0.608 0.655 0.616 0.606 0.602 0.626 0.651
    0.724 0.649 0.649 0.694 0.644 0.624 0.661 0.612 0.558 0.533 0.495 0.500 0.423 0.395 0.375 0.372 0.391 0.396 0.405
    0.428 0.429 0.523 0.562 0.607 0.653 0.672 0.708 0.633 0.668 0.645 0.632 0.591 0.559 0.597 0.625 0.739 0.710 0.729
    0.720 0.636 0.581 0.428 0.292 0.162 0.098 0.054"""


def osborne_2(p):
    y = np.array([float(word) for word in OSBORNE.split()])
    t = np.arange(len(y)) / 10
    hills = p[1:4, None] * jnp.exp(-((t - p[8:, None]) ** 2) * p[5:8, None])
    return y - p[0] * jnp.exp(-t * p[4]) - jnp.sum(hills, axis=0)


def watson(p):
    j = np.arange(len(p))
    powers = (counted(29)[:, None] / 29) ** j
    slopes = j[1:] * powers[:, :-1]
    return jnp.concatenate([slopes @ p[1:] - (powers @ p) ** 2 - 1, jnp.stack([p[0], p[1] - p[0] ** 2 - 1])])


def extended_rosenbrock(p):
    return jnp.concatenate([10 * (p[1::2] - p[::2] ** 2), 1 - p[::2]])


def penalty_1(p):
    return jnp.append(np.sqrt(1e-5) * (p - 1), p @ p - 0.25)


def penalty_2(p):
    n, e, i = len(p), jnp.exp(p / 10), counted(len(p))
    y = np.exp(i[1:] / 10) + np.exp(i[:-1] / 10)
    small = np.sqrt(1e-5) * jnp.concatenate([e[1:] + e[:-1] - y, e[1:] - np.exp(-0.1)])
    return jnp.concatenate([p[:1] - 0.2, small, ((n - i + 1) @ p**2 - 1)[None]])


def variably_dimensioned(p):
    total = counted(len(p)) @ (p - 1)
    return jnp.concatenate([p - 1, jnp.stack([total, total**2])])


def trigonometric(p):
    return len(p) - jnp.sum(jnp.cos(p)) + counted(len(p)) * (1 - jnp.cos(p)) - jnp.sin(p)


def brown_almost_linear(p):
    return jnp.append(p[:-1] + jnp.sum(p) - (len(p) + 1), jnp.prod(p) - 1)


def cubes(p):
    """Nodes t (n,) inside (0, 1) and the nonlinearity of problems 28 and 29 there."""
    t = counted(len(p)) / (len(p) + 1)
    return t, (p + t + 1) ** 3 / (2 * (len(p) + 1))


def boundary_value(p):
    _, cube = cubes(p)
    wide = jnp.pad(p, 1)
    return 2 * p - wide[:-2] - wide[2:] + cube / (len(p) + 1)


def integral_equation(p):
    t, cube = cubes(p)
    return p + np.minimum(t[:, None] * (1 - t), (1 - t[:, None]) * t) @ cube


def broyden_tridiagonal(p):
    wide = jnp.pad(p, 1)
    return (3 - 2 * p) * p - wide[:-2] - 2 * wide[2:] + 1


def broyden_banded(p):
    i = np.arange(len(p))
    near = (i != i[:, None]) & (i >= i[:, None] - 5) & (i <= i[:, None] + 1)
    return p * (2 + 5 * p**2) + 1 - near @ (p * (1 + p))


def linear_full(p):
    return jnp.pad(p, (0, 10)) - 2 / 20 * jnp.sum(p) - 1


def linear_rank_1(p):
    return counted(20) * (counted(len(p)) @ p) - 1


def linear_rank_1_zeros(p):
    return jnp.pad(counted(18) * (counted(len(p))[1:-1] @ p[1:-1]), 1) - 1


def chebyquad(p):
    rows = [jnp.ones_like(p), 2 * p - 1]
    while len(rows) <= len(p):
        rows.append(2 * (2 * p - 1) * rows[-1] - rows[-2])
    i = counted(len(p))
    integral = np.where(i % 2 == 0, -1 / np.maximum(i**2 - 1, 1), 0.0)
    return jnp.mean(jnp.stack(rows[1:]), axis=1) - integral


class Squares(NamedTuple):
    """One problem: residual, standard start (n,), and the least sum of squares."""

    residual: Callable
    start: np.ndarray
    minimum: float

    def from_afar(self, factor):
        """The start times ``factor``; ``factor`` itself in each parameter where the start is zero."""
        whole = self.start if np.any(self.start) or factor == 1 else np.ones_like(self.start)
        return factor * whole

    def squares(self, p):
        """Sum of squares at p."""
        return float(jnp.sum(self.residual(jnp.asarray(p)) ** 2))

    def reached(self, squares):
        """Whether a sum of squares is the global minimum: 1e-6 above it at most, relative, or 1e-12 absolute."""
        return bool(squares - self.minimum <= max(1e-6 * self.minimum, 1e-12))


def _of_nist(name):
    found = nist_regression.PROBLEMS[name]

    def residual(p):
        return found.model(p, found.x.T).ravel() - found.c.ravel()

    return Squares(residual, found.starts[1], found.squares)


def _each(residual, start, minimum=0.0):
    return Squares(residual, np.array(start, float), minimum)


TEN = counted(10) / 11
PROBLEMS = {
    "Rosenbrock": _each(rosenbrock, [-1.2, 1]),
    "Freudenstein-Roth": _each(freudenstein_roth, [0.5, -2]),
    "Powell badly scaled": _each(powell_badly_scaled, [0, 1]),
    "Brown badly scaled": _each(brown_badly_scaled, [1, 1]),
    "Beale": _each(beale, [1, 1]),
    "Jennrich-Sampson": _each(jennrich_sampson, [0.3, 0.4], 124.36218236),
    "Helical valley": _each(helical_valley, [-1, 0, 0]),
    "Bard": _each(bard, [1, 1, 1], 8.2148773066e-3),
    "Gaussian": _each(gaussian, [0.4, 1, 0], 1.1279327696e-8),
    "Meyer": _of_nist("MGH10"),
    "Gulf": _each(gulf, [5, 2.5, 0.15]),
    "Box": _each(box, [0, 10, 20]),
    "Powell singular": _each(powell_singular, [3, -1, 0, 1]),
    "Wood": _each(wood, [-3, -1, -3, -1]),
    "Kowalik-Osborne": _of_nist("MGH09"),
    "Brown-Dennis": _each(brown_dennis, [25, 5, -5, -1], 85822.201626),
    "Osborne 1": _of_nist("MGH17"),
    "Biggs": _each(biggs, [1, 2, 1, 1, 1, 1]),
    "Osborne 2": _each(osborne_2, [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5], 4.0137736294e-2),
    "Watson": _each(watson, np.zeros(9), 1.3997601381e-6),
    "Extended Rosenbrock": _each(extended_rosenbrock, [-1.2, 1] * 5),
    "Extended Powell": _each(powell_singular, [3, -1, 0, 1] * 3),
    "Penalty I": _each(penalty_1, counted(10), 7.0876514671e-5),
    "Penalty II": _each(penalty_2, np.full(10, 0.5), 2.9366053746e-4),
    "Variably dimensioned": _each(variably_dimensioned, 1 - counted(10) / 10),
    "Trigonometric": _each(trigonometric, np.full(10, 0.1)),
    "Brown almost linear": _each(brown_almost_linear, np.full(10, 0.5)),
    "Boundary value": _each(boundary_value, TEN * (TEN - 1)),
    "Integral equation": _each(integral_equation, TEN * (TEN - 1)),
    "Broyden tridiagonal": _each(broyden_tridiagonal, np.full(10, -1)),
    "Broyden banded": _each(broyden_banded, np.full(10, -1)),
    "Linear, full rank": _each(linear_full, np.ones(10), 10.0),
    "Linear, rank 1": _each(linear_rank_1, np.ones(10), 20 * 19 / (2 * 41)),
    "Linear, rank 1, zeros": _each(linear_rank_1_zeros, np.ones(10), (400 + 60 - 6) / (2 * 37)),
    "Chebyquad": _each(chebyquad, counted(8) / 9, 3.5168737257e-3),
}
