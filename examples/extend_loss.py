"""Add a loss: a smooth quantile loss from its value, with which a model learns quantiles instead of means."""

import jax
import jax.numpy as jnp
import numpy as np

from numdl.optimize import TrustRegion, minimize
from numdl.problems import empirical, loss_from
from numdl.testing import check_adjoint, check_gradient

WIDTH = 0.05  # over which the kink is rounded off, in units of the target


def quantile_loss(q):
    """``sum q rho(c - s) + (1 - q) rho(s - c)``, rho a rounded maximum of a number and zero."""

    def rho(r):
        return (r + jnp.sqrt(r**2 + WIDTH**2)) / 2

    return loss_from(f"quantile {q:g}", lambda s, c: jnp.sum(q * rho(c - s) + (1 - q) * rho(s - c)))


def apply(p, x):
    return p["W"] @ jnp.tanh(p["K"] @ x + p["b"]) + p["c"]


with jax.enable_x64(True):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (400, 1))
    c = np.sin(2 * x) + (0.1 + 0.2 * (x + 2)) * rng.standard_normal((400, 1))  # the noise grows from left to right
    start = {"K": rng.standard_normal((8, 1)), "b": rng.uniform(-1, 1, 8), "W": np.zeros((1, 8)), "c": np.zeros(1)}
    start = jax.tree.map(jnp.asarray, start)

    for q in (0.1, 0.5, 0.9):  # made once and kept: what uses a loss is compiled for it
        problem = empirical(apply, quantile_loss(q), x, c, start, alpha=1e-4)
        if q == 0.1:
            moved = jax.tree.map(lambda a: a + 0.1, start)
            check_gradient(problem, moved, show=False)
            check_adjoint(problem, moved, show=False)
        result, _ = minimize(problem, TrustRegion(), start, max_iter=200)
        below = float(jnp.mean(jax.vmap(apply, (None, 0))(result.p, x) > c))
        print(f"{below:.0%} of the targets lie below the quantile {q:g}; {result.status.message}")
