"""One catalogue of convex problems whose minimisers are known from another definition."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize as scipy_minimize
from scipy.optimize import root
from scipy.special import logsumexp

from numdl.contracts import Linearization
from numdl.problems import LOGISTIC, SOFTMAX, linear_empirical
from numdl.regularize import OperatorPenalty


class Quadratic(eqx.Module):
    """``1/2 p'Hp - b'p``."""

    H: Any
    b: Any

    def value(self, p, aux):
        return 0.5 * p @ (self.H @ p) - self.b @ p, aux

    def linearize(self, p, aux):
        return Linearization(self.value(p, aux)[0], self.H @ p - self.b, lambda v: self.H @ v, aux, {})

    def rows(self, index):
        raise NotImplementedError


class Smooth(eqx.Module):
    """Any twice differentiable convex function, with its exact Hessian."""

    f: Any = eqx.field(static=True)

    def value(self, p, aux):
        return self.f(p), aux

    def linearize(self, p, aux):
        gradient = jax.grad(self.f)
        return Linearization(self.f(p), gradient(p), lambda v: jax.jvp(gradient, (p,), (v,))[1], aux, {})

    def rows(self, index):
        raise NotImplementedError


class Case(NamedTuple):
    problem: Any
    start: Any
    answer: Any
    """The minimiser, flat."""


def spectrum(kappa, size=20):
    """Quadratic with eigenvalues spread evenly over decades from 1/kappa to 1, in a random basis."""
    rng = np.random.default_rng(3)
    q = np.linalg.qr(rng.normal(size=(size, size)))[0]
    H = q @ np.diag(np.geomspace(1 / kappa, 1.0, size)) @ q.T
    H = (H + H.T) / 2
    answer = rng.normal(size=size)
    return Case(Quadratic(jnp.asarray(H), jnp.asarray(H @ answer)), jnp.zeros(size), answer)


def worst(kappa):
    """Two unknowns, from where steepest descent is as slow as theory allows."""
    H = np.diag([1.0, kappa])
    return Case(Quadratic(jnp.asarray(H), jnp.zeros(2)), jnp.asarray([kappa, 1.0]), np.zeros(2))


def labels(n, k, d):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, d))
    y = np.argmax(x @ rng.normal(size=(d, k)) + 1.5 * rng.gumbel(size=(n, k)), axis=1)
    return x, y, rng.uniform(0.5, 1.5, n)


def _minimiser(objective, size):
    """SciPy's BFGS, then a root of the gradient: the digits that values cannot give."""
    found = scipy_minimize(objective, np.zeros(size), jac=True, method="BFGS", options={"gtol": 1e-8})
    return root(lambda v: objective(v)[1], found.x, method="krylov", options={"fatol": 1e-13}).x


def softmax(alpha=1e-2, n=90, k=3, d=4, **options):
    """Softmax regression; the answer by SciPy from NumPy's own formula."""
    x, y, w = labels(n, k, d)
    w = w / w.mean()

    def objective(v):
        W = v.reshape(k, d + 1)
        s = x @ W[:, :d].T + W[:, d]
        p = np.exp(s - logsumexp(s, axis=1, keepdims=True))
        value = w @ (logsumexp(s, axis=1) - s[np.arange(n), y]) / n + alpha / 2 * np.sum(W[:, :d] ** 2)
        r = w[:, None] * (p - np.eye(k)[y]) / n
        return value, np.column_stack([r.T @ x + alpha * W[:, :d], r.sum(0)]).ravel()

    answer = _minimiser(objective, k * (d + 1))
    problem = linear_empirical(SOFTMAX, OperatorPenalty(jnp.asarray(alpha)), x, np.eye(k)[y], w, **options)
    return Case(problem, jnp.zeros((k, d + 1)), answer)


def logistic(alpha=1e-2):
    """Logistic regression; the answer by SciPy from NumPy's own formula."""
    x, y, _ = labels(80, 2, 5)
    sign = 2.0 * y - 1

    def objective(v):
        m = sign * (x @ v[:5] + v[5])
        r = -sign / (1 + np.exp(m)) / 80
        value = np.mean(np.logaddexp(0, -m)) + alpha / 2 * np.sum(v[:5] ** 2)
        return value, np.append(r @ x + alpha * v[:5], r.sum())

    answer = _minimiser(objective, 6)
    problem = linear_empirical(LOGISTIC, OperatorPenalty(jnp.asarray(alpha)), x, y[:, None].astype(float), np.ones(80))
    return Case(problem, jnp.zeros((1, 6)), answer)


def quartic_value(p):
    return jnp.sum(jnp.cosh(p - jnp.arange(4.0))) + 0.5 * (jnp.sum(p[1:] * p[:-1]) + jnp.sum(p**2))


def cosh():
    """Strictly convex, neither quadratic nor a loss; the answer is where SciPy's root finder puts it."""

    def gradient(p):
        g = np.sinh(p - np.arange(4.0)) + p
        g[1:] += 0.5 * p[:-1]
        g[:-1] += 0.5 * p[1:]
        return g

    return Case(Smooth(quartic_value), jnp.asarray(np.full(4, 3.0)), root(gradient, np.ones(4), tol=1e-14).x)


CATALOGUE = {
    "round quadratic": lambda: spectrum(1.0),
    "quadratic, kappa 100": lambda: spectrum(100.0),
    "softmax": softmax,
    "logistic": logistic,
    "cosh": cosh,
}
