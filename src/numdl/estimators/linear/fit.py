"""Regularisation path of a linear classifier.

How is a linear classifier fitted at one alpha, and along a path of them from large to small?
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import Status
from numdl.optimize import LBFGS, InexactNewton, Newton, NonlinearCG, SteepestDescent, minimize
from numdl.problems import LinearEmpirical

METHODS: dict[str, Callable[..., Any]] = {
    "newton-cg": InexactNewton,
    "lbfgs": LBFGS,
    "gauss-newton": Newton,  # scores are linear in the weights: the matrix of Gauss and Newton is the Hessian
    "steepest-descent": SteepestDescent,
    "nonlinear-cg": NonlinearCG,
}
DENSE = 400
"""Unknowns up to which the Hessian is formed by default."""


class Solved(NamedTuple):
    """A minimiser.

    Attributes:
        W: weights on the features as the problem has them, intercept last, (k, q).
        status: why the method ended.
        history: one array per recorded quantity.
    """

    W: Float[Array, "k q"]
    status: Status
    history: dict[str, np.ndarray]

    @property
    def iterations(self) -> int:
        """Number of steps."""
        return len(self.history.get("seconds", ()))


def solver_for(name: str, k: int, q: int) -> str:
    """The solver that ``"auto"`` stands for: Newton with a dense matrix while that is small, else Newton-CG."""
    if name != "auto":
        return name
    return "gauss-newton" if k * q <= DENSE else "newton-cg"


def better_start(problem: LinearEmpirical, W: Float[np.ndarray, "k q"]) -> Float[Array, "k q"]:
    """W, or zero where that is lower: scores that are all saturated bend nowhere, and no Newton step leaves them."""
    zero = np.zeros_like(W)
    values = [float(_value(problem, jnp.asarray(a))) for a in (W, zero)] if np.any(W) else [0.0, 0.0]
    return jnp.asarray(W if values[0] <= values[1] else zero)


_value = jax.jit(lambda problem, W: problem.value(W)[0])


@dataclasses.dataclass(frozen=True)
class Solver:
    """Settings of a solver, and what it reports to.

    Attributes:
        name: key of ``METHODS``.
        tol: on the gradient, see ``numdl.optimize.parts.descent.gradient_target``.
        max_iter: steps at most.
        verbose: print every so many steps; 0 for none.
    """

    name: str
    tol: float
    max_iter: int
    verbose: int = 0

    def solve(self, problem: LinearEmpirical, W: Float[Array, "k q"]) -> Solved:
        """Minimise from W."""
        alpha = float(problem.penalty.alpha)

        def observe(progress: Any) -> None:
            if self.verbose and progress.iteration % self.verbose == 0:
                last = {name: progress.history[name][-1] for name in ("objective", "gradient_norm", "seconds")}
                print(
                    f"alpha {alpha:.3g}: iteration {progress.iteration}, objective {last['objective']:.6g}, "
                    f"gradient {last['gradient_norm']:.1e}, {last['seconds']:.1f} s",
                    flush=True,
                )

        method = METHODS[self.name](tol=self.tol)
        result, progress = minimize(problem, method, W, max_iter=self.max_iter, observe=observe)
        # The best value is not the best point once values differ by rounding only.
        best = progress.iterate.p if result.status.converged else result.p
        status = result.status._replace(message=f"{self.name}: {result.status.message}")
        return Solved(_centred(problem, best), status, result.history)


def _centred(problem: LinearEmpirical, W: Float[Array, "k q"]) -> Float[Array, "k q"]:
    """Softmax intercepts with mean 0: a common shift changes nothing, and rounding may have moved it."""
    if problem.loss.name != "softmax" or not problem.penalty.intercept:
        return W
    host = np.array(W)
    host[:, -1] -= host[:, -1].mean()
    return jnp.asarray(host)
