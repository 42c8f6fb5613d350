"""Add an optimiser: the method of Barzilai and Borwein in three functions, in the loop of all others."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from numdl.contracts import Iterate, Status
from numdl.optimize import SteepestDescent, minimize
from numdl.problems import LOGISTIC, empirical
from numdl.testing import check_contract


class BarzilaiBorwein(eqx.Module):
    """Steepest descent whose step is ``s's / s'y``, s the last step and y the change of the gradient."""

    first: float = eqx.field(static=True, default=0.1)  # length of the first step
    tol: float = eqx.field(static=True, default=1e-8)

    def init(self, problem, p, aux):
        """Evaluates nothing; the state has the structure that ``step`` returns."""
        flat = ravel_pytree(p)[0]
        nothing = jnp.asarray(jnp.inf, flat.dtype)
        return Iterate(p, aux, nothing, (jnp.zeros_like(flat), jnp.zeros_like(flat), nothing), {})

    def step(self, problem, iterate):
        """``metrics`` belong to the point that is left; ``work`` counts passes over the data."""
        point = problem.linearize(iterate.p, iterate.aux)
        p, back = ravel_pytree(iterate.p)
        g = ravel_pytree(point.gradient)[0]
        last_p, last_g, last_t = iterate.state
        s, y = p - last_p, g - last_g
        t = jnp.where(jnp.isinf(last_t) | (s @ y <= 0), self.first, s @ s / jnp.where(s @ y > 0, s @ y, 1.0))
        metrics = {"objective": point.value, "gradient_norm": jnp.linalg.norm(g), "aux": point.aux, "work": 2.0}
        return Iterate(back(p - t * g), point.aux, point.value, (p, g, t), metrics)

    def status(self, history):
        """Read after every step; running, or why to stop."""
        if history["gradient_norm"][-1] <= self.tol:
            return Status("converged", f"the gradient is below {self.tol:g}.")
        return Status("running", "")


def apply(p, x):
    return p["w"] @ x + p["b"]


with jax.enable_x64(True):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 5)) * [1, 2, 4, 8, 16]
    c = (x @ [1, -1, 0.5, 0.2, -0.1] + rng.standard_normal(300) > 0)[:, None].astype(float)
    start = {"w": jnp.zeros((1, 5)), "b": jnp.zeros(1)}
    problem = empirical(apply, LOGISTIC, x, c, start, alpha=1e-3)

    check_contract(BarzilaiBorwein(), problem, start)  # same tree, same dtypes, one compilation, pure
    for method in (BarzilaiBorwein(), SteepestDescent()):
        result, _ = minimize(problem, method, start, max_iter=500)
        spent = result.history["work"][-1]
        print(f"{type(method).__name__}: {spent:.0f} passes, objective {result.history['objective'].min():.10f}")
        print("   ", result.status.message)
