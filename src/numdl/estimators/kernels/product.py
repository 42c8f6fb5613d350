"""Product kernels: all interactions of all inputs with two numbers for each input.

``k = s (prod_j (1 + a_j k_j) - 1) + (1 - s) sum_j a_j k_j``: main effects have weight 1, interactions the weight s.

* "legendre": ``k_j = sum_i w_i p_i(x_j) p_i(z_j)``, ``w_i = exp(-i c_j) / sum_i exp(-i c_j)``, with the normalised
  Legendre polynomials of degree 1 to 12 on an interval a little wider than that of the training rows. It is a chaos
  expansion with all polynomials of these degrees in each input. Beyond the interval, inputs count as at its end.
* "anova": ``k_j = exp(-(x_j - z_j)^2 / (2 l_j^2))``.

Sources: Stitson et al., Support vector regression with ANOVA decomposition kernels, 1999; for the polynomials
Xiu and Karniadakis, SIAM J. Sci. Comput. 24, 2002.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.polynomial import legendre

from numdl.estimators.kernels.stationary import Pull

DEGREE = 12
_TINY = 1e-20
"""Instead of a factor 0, so that the product without one of them is a quotient, of full accuracy as products are."""


class Product:
    """What both product kernels share; ``theta`` is ``log s``, ``log a (d,)`` and d logarithms of one factor each.

    Methods as in `stationary.Stationary`; ``_factor`` and ``_pull`` are those of one input.
    """

    def prior(self, d: int) -> tuple[np.ndarray, np.ndarray]:
        """Centre and spread of the prior."""
        centre, spread = self._prior()
        a = np.full(d, -np.log(max(d, 1)))
        return np.r_[0.0, a, np.full(d, centre)], np.r_[2.0, np.full(d, 2.5), np.full(d, spread)]

    def _prior(self) -> tuple[float, float]:
        raise NotImplementedError

    def _factor(self, shape: float, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        """``k_j`` between the columns f (a, ...) and g (b, ...)."""
        raise NotImplementedError

    def _pull(self, shape: float, f: np.ndarray, m: np.ndarray, k: np.ndarray) -> tuple[float, float]:
        """``sum_ab M_ab k_ab`` and its derivative by the shape."""
        raise NotImplementedError

    def _slope(self, shape: float, f: np.ndarray, g: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Derivative of ``k_j`` by its first argument; here f and g are plain columns (n,)."""
        raise NotImplementedError

    def _own(self, shape: float, f: np.ndarray) -> np.ndarray:
        """``k_j(x, x)``, (n,)."""
        raise NotImplementedError

    def features(self, x: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The rows themselves, (n, d, 1)."""
        return x[:, :, None]

    def train(self, theta: np.ndarray, f: np.ndarray) -> tuple[np.ndarray, Pull]:
        """Matrix of rows among themselves, and the way back to theta."""
        share, a, shapes = _parts(theta)
        n, d = f.shape[:2]
        kept = [self._factor(shapes[j], f[:, j], f[:, j]) for j in range(d)] if d * n * n < 4e6 else None

        def factor(j: int) -> np.ndarray:
            return kept[j] if kept is not None else self._factor(shapes[j], f[:, j], f[:, j])

        product, mains = np.ones((n, n)), np.zeros((n, n))
        for j in range(d):
            term = a[j] * factor(j)
            mains += term
            product *= _away(term)
        k = share * (product - 1 - mains) + mains

        def pull(g: np.ndarray) -> np.ndarray:
            out = np.empty(1 + 2 * d)
            out[0] = np.vdot(g, k - mains)
            whole = share * g * product
            mixed = (1 - share) * g
            for j in range(d):
                kj = factor(j)
                m = whole / _away(a[j] * kj)
                m += mixed
                total, by_shape = self._pull(shapes[j], f[:, j], m, kj)
                out[1 + j], out[1 + d + j] = a[j] * total, a[j] * by_shape
            return out

        return k, pull

    def cross(self, theta: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Matrix between two sets of rows."""
        return self._joined(theta, (self._factor(s, f[:, j], g[:, j]) for j, s in enumerate(_parts(theta)[2])))

    def diagonal(self, theta: np.ndarray, f: np.ndarray) -> np.ndarray:
        """Variance at rows."""
        return self._joined(theta, (self._own(s, f[:, j]) for j, s in enumerate(_parts(theta)[2])))

    def _joined(self, theta: np.ndarray, factors: Iterator[np.ndarray]) -> np.ndarray:
        """The kernel from ``k_j``, one after the other, so that the cache holds them."""
        share, a, _ = _parts(theta)
        product, mains = np.ones(()), np.zeros(())
        for weight, factor in zip(a, factors, strict=True):
            factor *= weight
            mains = mains + factor if mains.ndim == 0 else np.add(mains, factor, out=mains)
            factor += 1
            product = factor if product.ndim == 0 else np.multiply(product, factor, out=product)
        product -= 1
        product *= share
        mains *= 1 - share
        product += mains
        return product

    def slope(self, theta: np.ndarray, x: np.ndarray, z: np.ndarray, box: np.ndarray, dual: np.ndarray) -> np.ndarray:
        """Derivative of ``sum_b k(x, z_b) dual_b`` by x, (a, d)."""
        share, a, shapes = _parts(theta)
        f, g = self.features(x, box), self.features(z, box)
        terms = [_away(a[j] * self._factor(s, f[:, j], g[:, j])) for j, s in enumerate(shapes)]
        product = share * np.prod(terms, axis=0)
        columns = [
            a[j] * ((product / terms[j] + 1 - share) * self._slope(s, x[:, j], z[:, j], box[:, j])) @ dual
            for j, s in enumerate(shapes)
        ]
        return np.stack(columns, axis=1)


class Anova(Product):
    """Product of ``1 + a_j exp(-(x_j - z_j)^2 / (2 l_j^2))``; the shape is ``log l_j``."""

    def _prior(self) -> tuple[float, float]:
        return np.log(2.0), 1.5

    def _factor(self, shape: float, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        scale = np.sqrt(0.5) * np.exp(-shape)
        k = np.subtract.outer(f[:, 0] * scale, g[:, 0] * scale)
        np.multiply(k, -k, out=k)
        return np.exp(k, out=k)

    def _pull(self, shape: float, f: np.ndarray, m: np.ndarray, k: np.ndarray) -> tuple[float, float]:
        m *= k
        x = f[:, 0] * np.exp(-shape)
        rows = m.sum(axis=1)
        return rows.sum(), 2 * (rows @ x**2 - x @ m @ x)

    def _slope(self, shape: float, f: np.ndarray, g: np.ndarray, box: np.ndarray) -> np.ndarray:
        return -np.exp(-2 * shape) * np.subtract.outer(f, g) * self._factor(shape, f[:, None], g[:, None])

    def _own(self, shape: float, f: np.ndarray) -> np.ndarray:
        return np.ones(len(f))


class Legendre(Product):
    """Product of expansions in Legendre polynomials; the shape is ``log c_j``."""

    def _prior(self) -> tuple[float, float]:
        return 0.0, 1.0

    def features(self, x: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Normalised polynomials of degree 1 to 12, (n, d, 12)."""
        return np.stack([_polynomials(x[:, j], box[:, j])[0] for j in range(x.shape[1])], axis=1)

    def _factor(self, shape: float, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        return (f * _decay(shape)[0]) @ g.T

    def _pull(self, shape: float, f: np.ndarray, m: np.ndarray, k: np.ndarray) -> tuple[float, float]:
        squares = np.einsum("ni,ni->i", f, m @ f)
        w, dw = _decay(shape)
        return w @ squares, dw @ squares

    def _slope(self, shape: float, f: np.ndarray, g: np.ndarray, box: np.ndarray) -> np.ndarray:
        return (_polynomials(f, box)[1] * _decay(shape)[0]) @ _polynomials(g, box)[0].T

    def _own(self, shape: float, f: np.ndarray) -> np.ndarray:
        return f**2 @ _decay(shape)[0]


def _parts(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    d = len(theta) // 2
    return float(np.exp(theta[0])), np.exp(theta[1 : 1 + d]), theta[1 + d :]


def _away(term: np.ndarray) -> np.ndarray:
    """``1 + term``, nowhere 0."""
    factor = 1 + term
    if not factor.all():
        factor[factor == 0] = _TINY
    return factor


def _decay(shape: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the degrees, their sum 1, and their derivatives by ``log c``."""
    i, c = np.arange(1, DEGREE + 1), np.exp(shape)
    w = np.exp(-(i - 1) * c)
    w /= w.sum()
    return w, -c * w * (i - i @ w)


def _polynomials(x: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normalised polynomials at the place in the box, (n, 12), and their derivatives by x, 0 beyond its ends."""
    half = 0.5 * (box[1] - box[0])
    t = (x - box[0]) / half - 1
    inside = np.abs(t) <= 1
    t = np.clip(t, -1, 1)
    norm = np.sqrt(2 * np.arange(DEGREE + 1) + 1)
    values = legendre.legvander(t, DEGREE) * norm
    slopes = np.zeros_like(values)
    for i in range(DEGREE):  # (2i + 1) P_i = P'_{i+1} - P'_{i-1}
        slopes[:, i + 1] = (2 * i + 1) * values[:, i] / norm[i] + (slopes[:, i - 1] if i else 0.0)
    slopes *= norm * (inside / half)[:, None]
    return np.ascontiguousarray(values[:, 1:]), slopes[:, 1:]
