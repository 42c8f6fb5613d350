"""Train one model by methods from here, by transformations of optax and by solvers of optimistix, in the same loop."""

import jax
import jax.numpy as jnp
import numpy as np

from numdl.optimize import LBFGS, LevenbergMarquardt, Optax, Optimistix, minimize
from numdl.problems import LEAST_SQUARES, empirical

methods = {"Levenberg-Marquardt": LevenbergMarquardt(), "L-BFGS": LBFGS()}
try:
    import optax
except ImportError:
    print("optax is not installed: its part is left out.")
else:
    methods["Adam of optax"] = Optax(optax.adam(3e-2))
try:
    import optimistix
except ImportError:
    print("optimistix is not installed: its part is left out.")
else:
    methods["BFGS of optimistix"] = Optimistix(optimistix.BFGS(1e-8, 1e-8))
    methods["Levenberg-Marquardt of optimistix"] = Optimistix(optimistix.LevenbergMarquardt(1e-8, 1e-8))


def model(p, x):
    return p["W"] @ jnp.tanh(p["K"] @ x + p["b"])


with jax.enable_x64(True):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.uniform(-2, 2, (200, 2)))
    c = jnp.sin(x[:, :1]) * x[:, 1:]
    start = {"K": rng.standard_normal((12, 2)), "b": rng.uniform(-1, 1, 12), "W": rng.standard_normal((1, 12)) / 4}
    start = jax.tree.map(jnp.asarray, start)
    problem = empirical(model, LEAST_SQUARES, x, c, start, alpha=1e-6)
    for name, method in methods.items():
        # One currency for all: a forward or a backward pass over the data counts one.
        spent = minimize(problem, method, start, max_iter=150)[0].history
        reached = [spent["objective"][spent["work"] <= passes].min() for passes in (100, 300)]
        print(f"{name:34s} objective {reached[0]:.1e} after 100 passes, {reached[1]:.1e} after 300")
