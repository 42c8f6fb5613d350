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

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numdl.estimators.kernels.stationary import Pull, Take

DEGREE = 12
KEPT = 4e6
"""Entries of all factors below which they are kept for the way back."""

_TINY = 1e-20
"""Instead of a factor 0, so that the product without one of them is a quotient, of full accuracy as products are."""


class Product:
    """What both product kernels share; ``theta`` is ``log s``, ``log a (d,)`` and d logarithms of one factor each.

    Methods as in `stationary.Stationary`; ``_term``, ``_pull``, ``_slope`` and ``_own`` are those of one input.
    """

    def prior(self, d: int) -> tuple[np.ndarray, np.ndarray]:
        """Centre and spread of the prior."""
        centre, spread = self._prior()
        a = np.full(d, -np.log(max(d, 1)))
        return np.r_[0.0, a, np.full(d, centre)], np.r_[2.0, np.full(d, 2.5), np.full(d, spread)]

    def _prior(self) -> tuple[float, float]:
        raise NotImplementedError

    def _ready(self, shapes: np.ndarray) -> Any:
        """What the methods below take for the shape of each input."""
        return shapes

    def _term(self, a: float, shape: Any, f: np.ndarray, g: np.ndarray, out: np.ndarray) -> np.ndarray:
        """``a k_j`` between what belongs to input j of two sets of rows, f (r, a) and g (r, b); in ``out``."""
        raise NotImplementedError

    def _pull(self, a: float, shape: Any, f: np.ndarray, m: np.ndarray, one: np.ndarray) -> tuple[float, float]:
        """``a sum_ab M_ab k_ab`` and its derivative by the shape, from ``1 + a k``; M is overwritten."""
        raise NotImplementedError

    def _slope(self, shape: Any, f: np.ndarray, g: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Derivative of ``k_j`` by its first argument; here f and g are plain columns (n,)."""
        raise NotImplementedError

    def _own(self, shape: Any, f: np.ndarray) -> np.ndarray:
        """``k_j(x, x)``, (n,)."""
        raise NotImplementedError

    def features(self, x: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The rows themselves, (1, d, n)."""
        return np.ascontiguousarray(x.T)[None]

    def train(self, theta: np.ndarray, f: np.ndarray, take: Take = np.empty) -> tuple[np.ndarray, Pull]:
        """Matrix of rows among themselves, and the way back to theta."""
        share, a, shapes = self._parts(theta)
        d, n = f.shape[1:]
        keep, kept, whole = d * n * n < KEPT, [], (n, n)
        product, mains, one = take(whole), take(whole), take(whole)
        product[:], mains[:] = 1.0, 0.0
        for j in range(d):
            one = take(whole) if keep else one
            mains += self._term(a[j], shapes[j], f[:, j], f[:, j], one)
            one += 1
            product *= one
            kept.append(one)
        zeros = not product.all()
        if zeros:
            product[:] = 1.0
            for j in range(d):
                product *= _away(kept[j] if keep else _plus_one(self._term(a[j], shapes[j], f[:, j], f[:, j], one)))
        k = np.subtract(product, 1, out=take(whole))
        k -= mains
        k *= share
        k += mains

        def pull(g: np.ndarray) -> np.ndarray:
            out = np.empty(1 + 2 * d)
            out[0] = float(np.vdot(g, k)) - float(np.vdot(g, mains))
            by_one, mixed, m = np.multiply(g, product, out=take(whole)), take(whole), take(whole)
            by_one *= share
            np.multiply(g, 1 - share, out=mixed)
            for j in range(d):
                one = kept[j] if keep else _plus_one(self._term(a[j], shapes[j], f[:, j], f[:, j], kept[j]))
                np.divide(by_one, _away(one) if zeros else one, out=m)
                m += mixed
                out[1 + j], out[1 + d + j] = self._pull(a[j], shapes[j], f[:, j], m, one)
            return out

        return k, pull

    def cross(self, theta: np.ndarray, f: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Matrix between two sets of rows."""
        _, a, shapes = self._parts(theta)
        out = np.empty((f.shape[2], g.shape[2]))
        columns = zip(a, shapes, f.swapaxes(0, 1), g.swapaxes(0, 1), strict=True)
        return self._joined(theta, (self._term(*column, out) for column in columns), out.shape)

    def diagonal(self, theta: np.ndarray, f: np.ndarray) -> np.ndarray:
        """Variance at rows."""
        _, a, shapes = self._parts(theta)
        terms = (a[j] * self._own(s, f[:, j]) for j, s in enumerate(shapes))
        return self._joined(theta, terms, f.shape[2:])

    def _parts(self, theta: np.ndarray) -> tuple[float, np.ndarray, Any]:
        d = len(theta) // 2
        return float(np.exp(theta[0])), np.exp(theta[1 : 1 + d]), self._ready(theta[1 + d :])

    def _joined(self, theta: np.ndarray, terms: Iterator[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """The kernel from ``a_j k_j``, one after the other, so that the cache holds them."""
        share, product, mains = np.exp(theta[0]), np.ones(shape), np.zeros(shape)
        for term in terms:
            mains += term
            term += 1
            product *= term
        product -= 1
        product *= share
        mains *= 1 - share
        product += mains
        return product

    def slope(self, theta: np.ndarray, x: np.ndarray, z: np.ndarray, box: np.ndarray, dual: np.ndarray) -> np.ndarray:
        """Derivative of ``sum_b k(x, z_b) dual_b`` by x, (a, d)."""
        share, a, shapes = self._parts(theta)
        f, g = self.features(x, box), self.features(z, box)
        shape = (len(x), len(z))
        terms = [_away(_plus_one(self._term(a[j], s, f[:, j], g[:, j], np.empty(shape)))) for j, s in enumerate(shapes)]
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

    def _term(self, a: float, shape: float, f: np.ndarray, g: np.ndarray, out: np.ndarray) -> np.ndarray:
        scale = np.sqrt(0.5) * np.exp(-shape)
        np.subtract.outer(f[0] * scale, g[0] * scale, out=out)
        np.square(out, out=out)
        np.subtract(np.log(a), out, out=out)
        return np.exp(out, out=out)

    def _pull(self, a: float, shape: float, f: np.ndarray, m: np.ndarray, one: np.ndarray) -> tuple[float, float]:
        x = f[0] * np.exp(-shape)
        one -= 1
        m *= one
        rows = m.sum(axis=1)
        return rows.sum(), 2 * (rows @ x**2 - x @ m @ x)

    def _slope(self, shape: float, f: np.ndarray, g: np.ndarray, box: np.ndarray) -> np.ndarray:
        k = self._term(1.0, shape, f[None], g[None], np.empty((len(f), len(g))))
        return -np.exp(-2 * shape) * np.subtract.outer(f, g) * k

    def _own(self, shape: float, f: np.ndarray) -> np.ndarray:
        return np.ones(f.shape[1])


class Legendre(Product):
    """Product of expansions in Legendre polynomials; the shape is ``log c_j``."""

    def _prior(self) -> tuple[float, float]:
        return 0.0, 1.0

    def _ready(self, shapes: np.ndarray) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """Weights of the degrees, their sum 1, and their derivatives by ``log c``, for each input."""
        i, c = np.arange(1, DEGREE + 1), np.exp(shapes)[:, None]
        w = np.exp(-(i - 1) * c)
        w /= w.sum(axis=1, keepdims=True)
        return list(zip(w, -c * w * (i - (w @ i)[:, None]), strict=True))

    def features(self, x: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Normalised polynomials of degree 1 to 12, (12, d, n)."""
        return _polynomials(x.T, box[..., None])

    def _term(
        self, a: float, shape: tuple[np.ndarray, np.ndarray], f: np.ndarray, g: np.ndarray, out: np.ndarray
    ) -> np.ndarray:
        return np.matmul((f * (a * shape[0])[:, None]).T, g, out=out)

    def _pull(
        self, a: float, shape: tuple[np.ndarray, np.ndarray], f: np.ndarray, m: np.ndarray, one: np.ndarray
    ) -> tuple[float, float]:
        squares = a * np.einsum("in,in->i", f, f @ m)
        return shape[0] @ squares, shape[1] @ squares

    def _slope(self, shape: tuple[np.ndarray, np.ndarray], f: np.ndarray, g: np.ndarray, box: np.ndarray) -> np.ndarray:
        return (_slopes(f, box).T * shape[0]) @ _polynomials(g, box)

    def _own(self, shape: tuple[np.ndarray, np.ndarray], f: np.ndarray) -> np.ndarray:
        return shape[0] @ f**2


def _plus_one(term: np.ndarray) -> np.ndarray:
    """``1 + term``, in its place."""
    term += 1
    return term


def _away(factor: np.ndarray) -> np.ndarray:
    """The factor, nowhere 0; in its place."""
    factor[factor == 0] = _TINY
    return factor


def _polynomials(x: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Normalised polynomials of degree 1 to 12 at the place in the box, (12, *)."""
    t = np.clip((x - box[0]) / (0.5 * (box[1] - box[0])) - 1, -1, 1)
    p = np.empty((DEGREE + 1, *t.shape))
    p[0], p[1] = 1, t
    for i in range(1, DEGREE):  # (i + 1) P_{i+1} = (2i + 1) t P_i - i P_{i-1}
        np.multiply(p[i], t, out=p[i + 1])
        p[i + 1] *= (2 * i + 1) / (i + 1)
        p[i + 1] -= i / (i + 1) * p[i - 1]
    for i in range(1, DEGREE + 1):
        p[i] *= np.sqrt(2 * i + 1)
    return p[1:]


def _slopes(x: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Derivatives of the polynomials by x, 0 beyond the ends of the box, (12, n)."""
    half = 0.5 * (box[1] - box[0])
    p, slopes = _polynomials(x, box), np.zeros((DEGREE + 1, len(x)))
    norm = np.sqrt(2 * np.arange(DEGREE + 1) + 1)
    for i in range(DEGREE):  # (2i + 1) P_i = P'_{i+1} - P'_{i-1}
        slopes[i + 1] = norm[i] * p[i - 1] + slopes[i - 1] if i else 1.0
    slopes *= norm[:, None]
    return np.where(np.abs(x - box[0] - half) <= half, slopes[1:] / half, 0.0)
