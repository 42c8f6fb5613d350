"""What does one least-squares solver reach on one problem, and for how many evaluations?

Everybody gets the same residual and its exact Jacobian by JAX in float64, tolerances at rounding, and up to 1000 steps
(scipy: 5000 evaluations). scipy's methods run with both of their scalings. A pass is one evaluation of the residual or
of one column of the Jacobian; our second derivatives count two passes each. Of optimistix, a Jacobian is counted for
each accepted step only: the fewest it can need.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

STEPS, EVALUATIONS = 1000, 5000
TIGHTEST = 1e-15  # below it scipy refuses
RIVALS = {
    "scipy_lm": ("lm", 1.0),
    "scipy_lm_scaled": ("lm", "jac"),
    "scipy_trf": ("trf", 1.0),
    "scipy_trf_scaled": ("trf", "jac"),
}


def catalogue(name: str) -> Any:
    """A module of problems that the tests share with the benchmarks."""
    folder = str(Path(__file__).parents[1] / "tests" / "optimize")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


@dataclass(frozen=True)
class Squares:
    """One residual ``f(p) -> (N,)`` for all solvers of others; compiled once for all of them and for all starts."""

    f: Callable

    @cached_property
    def residual(self) -> Callable:
        """Compiled residual."""
        import jax

        return jax.jit(self.f)

    @cached_property
    def jacobian(self) -> Callable:
        """Compiled Jacobian, forward."""
        import jax

        return jax.jit(jax.jacfwd(self.f))

    def by(self, rival: str, start: np.ndarray) -> dict[str, Any]:
        """What ``optimistix_lm`` or one of ``RIVALS`` finds; ``p`` is None where it raises an error."""
        return self._optimistix(start) if rival == "optimistix_lm" else self._scipy(start, *RIVALS[rival])

    def _scipy(self, start: np.ndarray, method: str, scale: Any) -> dict[str, Any]:
        from scipy.optimize import least_squares

        counts = {"residuals": 0, "jacobians": 0}

        def counted(what: str, call: Callable) -> Callable:
            def evaluate(p: np.ndarray) -> np.ndarray:
                counts[what] += 1
                return np.asarray(call(p))

            return evaluate

        tight = {"ftol": TIGHTEST, "xtol": TIGHTEST, "gtol": TIGHTEST, "max_nfev": EVALUATIONS}
        words = (counted("residuals", self.residual), start, counted("jacobians", self.jacobian))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                found = least_squares(*words, method=method, x_scale=scale, **tight)
                p, status = found.x, "converged" if found.status > 0 else "max_iter"
            except (ValueError, np.linalg.LinAlgError) as error:
                p, status = None, f"{type(error).__name__}: {error}"
        return {"p": p, **counts, "passes": counts["residuals"] + start.size * counts["jacobians"], "status": status}

    def _optimistix(self, start: np.ndarray) -> dict[str, Any]:
        import jax.numpy as jnp
        import optimistix

        solver = optimistix.LevenbergMarquardt(rtol=TIGHTEST, atol=TIGHTEST)
        options = {"max_steps": STEPS, "throw": False}
        found = optimistix.least_squares(_without_arguments, solver, jnp.asarray(start), self.residual, **options)
        steps, accepted = int(found.stats["num_steps"]), int(found.state.num_accepted_steps)
        status = "converged" if found.result == optimistix.RESULTS.successful else "max_iter"
        passes = steps + start.size * accepted
        counts = {"residuals": steps, "jacobians": accepted, "passes": passes}
        return {"p": np.asarray(found.value), **counts, "status": status}


def _without_arguments(p: Any, f: Callable) -> Any:
    return f(p)


def by_us(problem: Any, start: np.ndarray, aux: Any = None, **settings: Any) -> dict[str, Any]:
    """``LevenbergMarquardtQR`` on a problem of ours; ``aux`` is its companion at the end."""
    import jax.numpy as jnp

    from numdl.optimize import LevenbergMarquardtQR, minimize

    method = LevenbergMarquardtQR(tol=1e-12, **settings)
    result, _ = minimize(problem, method, jnp.asarray(start), aux, max_iter=STEPS)
    trials, steps = int(sum(result.history["trials"])), len(result.history["trials"])
    # A step evaluates the residual once more, for the companion of the point it reached.
    counts = {"residuals": 2 * steps + trials, "jacobians": steps}
    counts["second_derivatives"] = trials if method.acceleration else 0
    passes = int(result.history["work"][-1])
    return {"p": np.asarray(result.p), "aux": result.aux, **counts, "passes": passes, "status": result.status.code}
