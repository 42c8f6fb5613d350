"""Nonlinear regression with certified answers: the Statistical Reference Datasets of NIST, all 27 problems.

https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml: two starts each, the first far away; parameters and residual
sums of squares to 11 digits, computed there with 128-bit numbers. The numbers stand in `nist_lower`, `nist_average` and
`nist_higher`; here are the models, one sample at a time, and those of their parts that variable projection can use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import nist_average
import nist_higher
import nist_lower
import numpy as np

LEVELS = {"lower": nist_lower.CERTIFIED, "average": nist_average.CERTIFIED, "higher": nist_higher.CERTIFIED}


def misra1a(b, x):
    return b[0] * (1 - jnp.exp(-b[1] * x))


def misra1b(b, x):
    return b[0] * (1 - (1 + b[1] * x / 2) ** -2)


def misra1c(b, x):
    return b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5)


def misra1d(b, x):
    return b[0] * b[1] * x / (1 + b[1] * x)


def chwirut(b, x):
    return jnp.exp(-b[0] * x) / (b[1] + b[2] * x)


def lanczos(b, x):
    return b[0] * jnp.exp(-b[1] * x) + b[2] * jnp.exp(-b[3] * x) + b[4] * jnp.exp(-b[5] * x)


def gauss(b, x):
    hills = b[2] * jnp.exp(-(((x - b[3]) / b[4]) ** 2)) + b[5] * jnp.exp(-(((x - b[6]) / b[7]) ** 2))
    return b[0] * jnp.exp(-b[1] * x) + hills


def danwood(b, x):
    return b[0] * x ** b[1]


def kirby2(b, x):
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def hahn1(b, x):
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def nelson(b, x):
    return b[0] - b[1] * x[:1] * jnp.exp(-b[2] * x[1:])


def mgh17(b, x):
    return b[0] + b[1] * jnp.exp(-x * b[3]) + b[2] * jnp.exp(-x * b[4])


def roszman1(b, x):
    return b[0] - b[1] * x - jnp.arctan(b[2] / (x - b[3])) / jnp.pi


def waves(period, x):
    return jnp.concatenate([jnp.cos(2 * jnp.pi * x / period), jnp.sin(2 * jnp.pi * x / period)])


def enso(b, x):
    return b[:1] + b[1:3] @ waves(12.0, x) + b[4:6] @ waves(b[3], x) + b[7:9] @ waves(b[6], x)


def mgh09(b, x):
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3])


def rat42(b, x):
    return b[0] / (1 + jnp.exp(b[1] - b[2] * x))


def mgh10(b, x):
    return b[0] * jnp.exp(b[1] / (x + b[2]))


def eckerle4(b, x):
    return b[0] / b[1] * jnp.exp(-0.5 * ((x - b[2]) / b[1]) ** 2)


def rat43(b, x):
    return b[0] / (1 + jnp.exp(b[1] - b[2] * x)) ** (1 / b[3])


def bennett5(b, x):
    return b[0] * (b[1] + x) ** (-1 / b[2])


MODELS = {
    **dict.fromkeys(["Misra1a", "BoxBOD"], misra1a),
    "Misra1b": misra1b,
    "Misra1c": misra1c,
    "Misra1d": misra1d,
    **dict.fromkeys(["Chwirut1", "Chwirut2"], chwirut),
    **dict.fromkeys(["Lanczos1", "Lanczos2", "Lanczos3"], lanczos),
    **dict.fromkeys(["Gauss1", "Gauss2", "Gauss3"], gauss),
    "DanWood": danwood,
    "Kirby2": kirby2,
    **dict.fromkeys(["Hahn1", "Thurber"], hahn1),
    "Nelson": nelson,
    "MGH17": mgh17,
    "Roszman1": roszman1,
    "ENSO": enso,
    "MGH09": mgh09,
    "Rat42": rat42,
    "MGH10": mgh10,
    "Eckerle4": eckerle4,
    "Rat43": rat43,
    "Bennett5": bennett5,
}


# Parameters in which a model is linear without a remainder, so that variable projection needs no start for them.
LINEAR = {
    **dict.fromkeys(["Misra1a", "Misra1b", "Misra1c", "Misra1d", "DanWood", "BoxBOD", "MGH09", "MGH10"], (0,)),
    **dict.fromkeys(["Rat42", "Rat43", "Eckerle4", "Bennett5"], (0,)),
    **dict.fromkeys(["Lanczos1", "Lanczos2", "Lanczos3"], (0, 2, 4)),
    **dict.fromkeys(["Gauss1", "Gauss2", "Gauss3"], (0, 2, 5)),
    **dict.fromkeys(["Hahn1", "Thurber"], (0, 1, 2, 3)),
    **dict.fromkeys(["Kirby2", "MGH17"], (0, 1, 2)),
    "Nelson": (0, 1),
    "ENSO": (0, 1, 2, 4, 5, 7, 8),
}

# Certified standard deviations of the estimates.
DEVIATIONS = {
    "Misra1a": "2.7070075241E+00 7.2668688436E-06",
    "MGH10": "1.5687892471E-04 2.3309021107E+01 7.8486103508E-01",
    "MGH17": "2.0723153551E-03 2.2031669222E-01 2.2175707739E-01 4.4861358114E-04 8.9471996575E-04",
    "Lanczos3": "1.7197908859E-02 9.7041624475E-02 4.1488663282E-02 1.0766312506E-01 5.8371576281E-02 3.4436403035E-02",
}


@dataclass(frozen=True)
class Separable:
    """Columns of a model that is linear in some parameters: its value where one of these is 1 and the others are 0."""

    model: Callable
    linear: tuple[int, ...]
    size: int

    @property
    def nonlinear(self):
        """Which parameters are left."""
        return tuple(j for j in range(self.size) if j not in self.linear)

    def __call__(self, theta, x):
        """Features (m,) of one sample."""
        full = jnp.zeros((len(self.linear), self.size)).at[:, list(self.nonlinear)].set(theta)
        full = full.at[np.arange(len(self.linear)), list(self.linear)].set(1.0)
        return jnp.stack([jnp.sum(self.model(b, x)) for b in full])

    def whole(self, theta, head):
        """All parameters in their order."""
        b = np.zeros(self.size)
        b[list(self.nonlinear)], b[list(self.linear)] = np.asarray(theta), np.asarray(head)[0]
        return b


class Regression(NamedTuple):
    """One problem: ``x (n, d)``, ``c (n, 1)``, two starts (2, p), certified parameters (p,) and sum of squares."""

    name: str
    level: str
    model: Callable
    x: np.ndarray
    c: np.ndarray
    starts: np.ndarray
    certified: np.ndarray
    squares: float


def _numbers(text):
    return np.array([float(word) for word in text.split()])


def _problem(name, level):
    start1, start2, certified, squares, c, *x = LEVELS[level][name]
    targets = _numbers(c)[:, None]
    if name == "Nelson":  # the model is for the logarithm
        targets = np.log(targets)
    columns = np.stack([_numbers(column) for column in x], axis=1)
    starts = np.stack([_numbers(start1), _numbers(start2)])
    return Regression(name, level, MODELS[name], columns, targets, starts, _numbers(certified), squares)


PROBLEMS = {name: _problem(name, level) for level, names in LEVELS.items() for name in names}


def digits(found, certified):
    """Least number of correct digits of all parameters (log relative error), at most the 11 that are certified."""
    error = np.max(np.abs(np.asarray(found) / certified - 1))
    return 0.0 if not np.isfinite(error) else float(np.clip(-np.log10(np.maximum(error, 1e-11)), 0.0, 11.0))
