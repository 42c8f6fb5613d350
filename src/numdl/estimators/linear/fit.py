"""Regularisation path of a linear classifier.

How is a linear classifier fitted at one alpha, and along a path of them from large to small?
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from numdl.contracts import Status
from numdl.contracts.threads import one_blas_thread
from numdl.estimators.linear.newton import newton
from numdl.optimize import LBFGS, InexactNewton, Newton, NonlinearCG, SteepestDescent, minimize
from numdl.problems import LinearEmpirical
from numdl.problems.risk.dense_linear import DenseLinear

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

    W: Float[np.ndarray, "k q"]
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


def better_start(problem: LinearEmpirical | DenseLinear, W: Float[np.ndarray, "k q"]) -> Float[np.ndarray, "k q"]:
    """W, or zero where that is lower: scores that are all saturated bend nowhere, and no Newton step leaves them."""
    if not np.any(W):
        return W
    value = problem.value if isinstance(problem, DenseLinear) else lambda a: _value(problem, jnp.asarray(a))
    zero = np.zeros_like(W)
    return W if float(value(W)) <= float(value(zero)) else zero


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

    def solve(self, problem: LinearEmpirical | DenseLinear, W: Float[np.ndarray, "k q"]) -> Solved:
        """Minimise from W."""
        alpha = float(problem.penalty.alpha)

        def observe(history: Mapping[str, Sequence[float]]) -> None:
            done = len(history["seconds"])
            if self.verbose and done % self.verbose == 0:
                last = {name: history[name][-1] for name in ("objective", "gradient_norm", "seconds")}
                print(
                    f"alpha {alpha:.3g}: iteration {done}, objective {last['objective']:.6g}, "
                    f"gradient {last['gradient_norm']:.1e}, {last['seconds']:.1f} s",
                    flush=True,
                )

        if isinstance(problem, DenseLinear):
            formed, limits = self.name == "gauss-newton", {"tol": self.tol, "max_iter": self.max_iter}
            with one_blas_thread():  # two that wait for each other took three times the time
                W, status, history = newton(problem, W, formed=formed, observe=observe, **limits)
        else:
            method, told = METHODS[self.name](tol=self.tol), lambda progress: observe(progress.history)
            result, progress = minimize(problem, method, jnp.asarray(W), max_iter=self.max_iter, observe=told)
            # The best value is not the best point once values differ by rounding only.
            W, status = progress.iterate.p if result.status.converged else result.p, result.status
            history = result.history
        W = np.array(W)
        if W.shape[0] > 1:  # softmax: a common shift of the intercepts changes nothing, and rounding may have moved it
            W[:, -1] -= W[:, -1].mean()
        return Solved(W, status._replace(message=f"{self.name}: {status.message}"), history)
