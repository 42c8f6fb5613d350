"""Find the rates of a sum of exponentials: any function of one sample can be the nonlinear part of a problem.

``c(t) = W0 + W1 exp(-r1 t) + W2 exp(-r2 t)``: the rates are the unknowns, the weights W are eliminated.
"""

import jax
import jax.numpy as jnp
import numpy as np

from numdl.optimize import LevenbergMarquardt, minimize
from numdl.problems import LEAST_SQUARES, VarPro
from numdl.regularize import GroupPenalty


def decays(log_rates, t):
    """Values of the exponentials at one time t (1,); the logarithm keeps the rates positive."""
    return jnp.exp(-jnp.exp(log_rates) * t[0])


with jax.enable_x64(True):
    rng = np.random.default_rng(0)
    t = np.linspace(0, 5, 100)
    c = 0.5 + 2.0 * np.exp(-0.7 * t) - 1.5 * np.exp(-4.0 * t) + 1e-3 * rng.standard_normal(100)

    penalty = GroupPenalty(alpha=jnp.zeros(1), labels=jnp.zeros(2, int))
    x, c = jnp.asarray(t[:, None]), jnp.asarray(c[:, None])
    problem = VarPro(decays, LEAST_SQUARES, x, c, jnp.ones(100), penalty, jnp.asarray(0.0))
    start = jnp.log(jnp.asarray([0.2, 10.0]))
    result, _ = minimize(problem, LevenbergMarquardt(), start, problem.first_head(start))

    print(result.status.message)
    print("rates  ", np.round(np.exp(result.p), 3), "true: 0.7, 4")
    print("weights", np.round(result.aux[0], 3), "true: 2, -1.5, 0.5")
