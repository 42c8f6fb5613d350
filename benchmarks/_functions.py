"""Which functions stand in for a dear simulation, and at which points?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

TORSION = (2, 10, 1.17e7, 1.82, 12, 6.2e6, 2.25, 8, 3.9e6, 12, 3, 0.28, 14, 4, 0.1)
"""Middle of the inputs d, L, G of three shafts and D, t, rho of two discs; each is uniform within 10 %."""


def ishigami(x: np.ndarray) -> np.ndarray:
    """``sin a + 7 sin^2 b + 0.1 c^4 sin a`` for angles in [-pi, pi]: strong oscillation, one interaction."""
    a, b, c = np.pi * (2 * x.T - 1)
    return np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a)


def kink(x: np.ndarray) -> np.ndarray:
    """Two kinks and a line in four inputs."""
    return np.abs(x[:, 0] - 0.4) + np.maximum(x[:, 1] + x[:, 2] - 1, 0) + 0.5 * x[:, 3]


def torsion(x: np.ndarray) -> np.ndarray:
    """Lowest frequency of two discs on three shafts, 15 inputs (after Liping, Beeson and Wiggs, AIAA 2006-7083)."""
    v = np.array(TORSION)[:, None] * (0.9 + 0.2 * x.T)
    k1, k2, k3 = (np.pi * v[i + 2] * v[i] ** 4 / (32 * v[i + 1]) for i in (0, 3, 6))
    j1, j2 = (np.pi * v[i + 2] * v[i + 1] * (v[i] / 2) ** 4 / 2 for i in (9, 12))
    b, c = -((k1 + k2) / j1 + (k2 + k3) / j2), (k1 * k2 + k2 * k3 + k3 * k1) / (j1 * j2)
    return np.sqrt((-b - np.sqrt(b**2 - 4 * c)) / 2) / (2 * np.pi)


def morris(x: np.ndarray) -> np.ndarray:
    """20 inputs, half of which matter, up to four together (Morris, Technometrics 33, 1991, sec. 6).

    The coefficients of first and second order that are random there are ``(-1)^i`` and ``(-1)^(i + j)`` here.
    """
    w = 2 * (x - 0.5)
    for i in (2, 4, 6):
        w[:, i] = 2 * (1.1 * x[:, i] / (x[:, i] + 0.1) - 0.5)
    sign = (-1.0) ** np.arange(1, 21)
    first, second = sign.copy(), np.triu(np.outer(sign, sign), 1)
    first[:10] = 20.0
    second[:6, :6] = -15.0 * np.triu(np.ones((6, 6)), 1)
    e2, e3 = (np.stack([_elementary(w[:, :5], k)[k], _elementary(w[:, :4], k)[k]]) for k in (3, 4))
    return w @ first + np.einsum("ni,ij,nj->n", w, second, w) - 10.0 * e2[0] + 5.0 * e3[1]


def _elementary(w: np.ndarray, most: int) -> np.ndarray:
    """Elementary symmetric polynomials of the columns up to a degree, (most + 1, n)."""
    e = np.zeros((most + 1, len(w)))
    e[0] = 1.0
    for column in w.T:
        e[1:] = e[1:] + column * e[:-1]
    return e


def curve(x: np.ndarray) -> np.ndarray:
    """A damped oscillator at 50 times after a step of its load; mass, stiffness, damping, load and start are inputs."""
    m, k, c, load, start = (a + (b - a) * column for (a, b), column in zip(OSCILLATOR, x.T, strict=True))
    omega, decay = np.sqrt(k / m), c / (2 * m)
    damped = np.sqrt(omega**2 - decay**2)
    t = np.linspace(0.2, 10.0, 50)[:, None]
    swing = np.exp(-decay * t) * (np.cos(damped * t) + decay / damped * np.sin(damped * t))
    return (load / k + (start - load / k) * swing).T


OSCILLATOR = ((0.8, 1.2), (0.8, 1.2), (0.1, 0.4), (0.8, 1.2), (-0.5, 0.5))
FORMULAS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "ishigami": (ishigami, 3),
    "kink": (kink, 4),
    "torsion": (torsion, 15),
    "morris": (morris, 20),
    "curve": (curve, 5),
}
NAMES = ("borehole", "otl", "ishigami", "friedman", "kink", "torsion", "otl6", "friedman5", "morris", "curve")
"""otl has two inert inputs more than otl6, friedman five more than friedman5."""


def points(name: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``x (n, d)`` and the function there, (n,) or (n, k), without noise."""
    from numdl.data.problems.simulators import borehole, friedman1, otl_circuit

    if name in FORMULAS:
        formula, d = FORMULAS[name]
        x = np.random.default_rng(seed).uniform(size=(n, d))
        return x, formula(x)
    base, inert = name.rstrip("56"), 2 if name == "otl" else 0
    make: Callable[..., Any] = {"borehole": borehole, "otl": otl_circuit, "friedman": friedman1}[base]
    data = make(n, seed, d=5) if name == "friedman5" else make(n, seed)
    more = np.random.default_rng([seed, 1]).uniform(size=(n, inert))
    return np.column_stack([data.x, more]), data.c[:, 0]
