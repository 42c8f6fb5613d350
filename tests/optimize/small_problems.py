"""Small problems for every optimiser: plain residuals, and sums of exponentials by variable projection."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from numdl.contracts import Linearization, Normal
from numdl.problems import LEAST_SQUARES, VarPro
from numdl.regularize import GroupPenalty


class Residuals(eqx.Module):
    """``||r(p)||^2 / 2 + alpha/2 ||p||^2``."""

    residual: Callable = eqx.field(static=True)
    alpha: Any = 0.0

    def value(self, p, aux):
        return 0.5 * jnp.sum(self.residual(p) ** 2) + self.alpha / 2 * jnp.sum(p**2), aux

    def normal(self, p, aux):
        r, j = self.residual(p), jax.jacfwd(self.residual)(p)
        value, gradient = self.value(p, aux)[0], j.T @ r + self.alpha * p
        return Normal(value, gradient, j.T @ j, jnp.full(p.shape, self.alpha, p.dtype), aux, {"misfit": value})

    def linearize(self, p, aux):
        value, gradient, matrix, diagonal, _, metrics, _ = self.normal(p, aux)
        return Linearization(value, gradient, lambda v: matrix @ v + diagonal * v, aux, metrics)

    def rows(self, index):
        raise NotImplementedError


def rosenbrock(p):
    return jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]])


def logarithm(p):
    """Gauss-Newton from beyond e leaves the domain: the first trial is not a number."""
    return jnp.log(p)


def overflow(p):
    """A full step from -1 ends where the exponential overflows."""
    return jnp.exp(jnp.exp(5 * p)) - jnp.e


def flat(p):
    """No dependence at all: nothing can be lowered."""
    return jnp.ones(3) + 0 * jnp.sum(p)


def exponentials(theta, t):
    """Two decaying exponentials; the rates are positive."""
    return jnp.exp(-jnp.exp(theta) * t[0])


RATES, FACTORS = np.array([0.5, 3.0]), np.array([[2.0, -1.0]])


def decay(alpha=0.0, noise=0.0, dtype=None):
    """``2 exp(-t/2) - exp(-3 t)`` at 25 times."""
    t = np.linspace(0, 4, 25)[:, None]
    c = np.exp(-t * RATES) @ FACTORS.T + noise * np.random.default_rng(0).normal(size=(25, 1))
    dtype = dtype or jnp.float64
    return VarPro(
        exponentials,
        LEAST_SQUARES,
        jnp.asarray(t, dtype),
        jnp.asarray(c, dtype),
        jnp.ones(25, dtype),
        GroupPenalty(jnp.full(1, alpha, dtype), jnp.zeros(2, jnp.int32)),
        jnp.asarray(alpha, dtype),
        intercept=False,
    )


DECAY_START = np.log([1.0, 2.0])
