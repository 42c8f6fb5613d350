"""Kernels of Gaussian processes as programs: covariance of a new row with the rows of the fit, and with itself.

Formulas and parameters are those of ``numdl.estimators.kernels``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.export.program import Program, Value

DEGREE = 12


class Place:
    """A scaled row, the rows of the fit, and what several members ask of them, computed once.

    Attributes:
        x: the row (d,).
        z: rows of the fit (n, d).
        box: interval of each input (2, d).
        rows: with their values y and weights w, for members that need them.
    """

    def __init__(self, x: Value, z: np.ndarray, box: np.ndarray, rows: Any = None) -> None:
        self.x, self.z, self.box, self.rows = x, z, box, rows
        self._polynomials: list[Value] | None = None
        self._trained: np.ndarray | None = None

    @property
    def program(self) -> Program:
        """That of the row."""
        return self.x.program

    def polynomials(self) -> tuple[list[Value], np.ndarray]:
        """Normalised Legendre polynomials of degree 1 to 12: of each input of the row (12,), and (n, d, 12)."""
        if self._polynomials is None or self._trained is None:
            low, half = self.box[0], 0.5 * (self.box[1] - self.box[0])
            norm = np.sqrt(2 * np.arange(DEGREE + 1) + 1)
            t = ((self.x - low) / half - 1.0).maximum(-1.0).minimum(1.0)
            values: list[Any] = [self.program.constant(np.ones(t.size)), t]
            old = np.clip((self.z - low) / half - 1, -1, 1)
            trained = [np.ones_like(old), old]
            for i in range(1, DEGREE):  # (i + 1) P_{i+1} = (2i + 1) t P_i - i P_{i-1}
                values.append(((2 * i + 1) * t * values[i] - i * values[i - 1]) / (i + 1.0))
                trained.append(((2 * i + 1) * old * trained[i] - i * trained[i - 1]) / (i + 1))
            joined = self.program.join([norm[i] * values[i] for i in range(1, DEGREE + 1)])
            self._polynomials = [joined[j :: t.size] for j in range(t.size)]
            self._trained = np.stack([norm[i] * trained[i] for i in range(1, DEGREE + 1)], axis=2)
        return self._polynomials, self._trained


def _rbf(theta: np.ndarray, place: Place) -> tuple[Value | None, Any]:
    scale = np.exp(-theta)
    return (-0.5 * (place.x * scale).distances(place.z * scale)).exp(), 1.0


def _matern52(theta: np.ndarray, place: Place) -> tuple[Value | None, Any]:
    scale = np.exp(-theta)
    q = 5.0 * (place.x * scale).distances(place.z * scale)
    s = q.maximum(1e-30).sqrt()  # its derivative at 0 would be infinite
    return (1.0 + s + s.square() / 3.0) * s.negative().exp(), 1.0


def _arcsine(theta: np.ndarray, place: Place) -> tuple[Value | None, Any]:
    bias, w = np.exp(theta[0]), np.exp(theta[1:])
    right = np.sqrt(1 + 2 * (bias + place.z**2 @ w))
    double = 2.0 * place.x.square().affine(w, bias)
    t = place.x.affine(2 * place.z * w, 2 * bias) / ((1.0 + double).sqrt() * right)
    return (2 / np.pi) * t.asin(), (2 / np.pi) * (double / (1.0 + double)).asin()


def _product(theta: np.ndarray, factors: list[tuple[Value, Any]], place: Place) -> tuple[Value | None, Any]:
    """``s (prod (1 + a_j k_j) - 1) + (1 - s) sum a_j k_j`` of both, the row with others and with itself."""
    share, a = float(np.exp(theta[0])), np.exp(theta[1 : 1 + len(factors)])
    sides: list[Any] = []
    for side in range(2):
        product = mains = None
        for weight, factor in zip(a, factors, strict=True):
            term = float(weight) * factor[side]
            mains = term if mains is None else mains + term
            product = 1.0 + term if product is None else product * (1.0 + term)
        sides.append((product - 1.0) * share + mains * (1 - share))  # type: ignore[operator]
    return sides[0], sides[1]


def _legendre(theta: np.ndarray, place: Place) -> tuple[Value | None, Any]:
    new, old = place.polynomials()
    factors = []
    for j, shape in enumerate(theta[1 + len(new) :]):
        w = np.exp(-np.arange(DEGREE) * np.exp(shape))
        w /= w.sum()
        factors.append((new[j].affine(old[:, j] * w), new[j].square().affine(w)))
    return _product(theta, factors, place)


def _anova(theta: np.ndarray, place: Place) -> tuple[Value | None, Any]:
    factors = []
    for j, shape in enumerate(theta[1 + place.x.size :]):
        scale = np.sqrt(0.5) * np.exp(-shape)
        away = place.x[[j]] * float(scale) - place.z[:, j] * scale
        factors.append((away.square().negative().exp(), 1.0))
    return _product(theta, factors, place)


def covariance(name: str, theta: np.ndarray, place: Place) -> tuple[Value | None, Any]:
    """Covariance of a new row with the rows of the fit (n,), None for none, and with itself.

    Args:
        name: of the kernel; ``... of one length`` has one length for all inputs.
        theta: its parameters.
        place: the row.

    Returns:
        Both.

    Raises:
        ValueError: there are more or fewer parameters than the kernel has.
    """
    name, one = name.removesuffix(" of one length"), name.endswith(" of one length")
    d = place.x.size
    needed = {"linear": 0, "arcsine": 1 + d, "legendre": 1 + 2 * d, "anova": 1 + 2 * d}.get(name, 1 if one else d)
    if np.shape(theta) != (needed,):
        raise ValueError(f"kernel {name!r} of {d} inputs: parameters {np.shape(theta)}, needed are ({needed},)")
    return KERNELS[name](theta, place)


KERNELS: dict[str, Callable[[np.ndarray, Place], tuple[Value | None, Any]]] = {
    "linear": lambda theta, place: (None, 0.0),
    "rbf": _rbf,
    "matern52": _matern52,
    "arcsine": _arcsine,
    "legendre": _legendre,
    "anova": _anova,
}
"""Kernel by name: its parameters and a place to covariance with the rows (n,), None for none, and with itself."""
