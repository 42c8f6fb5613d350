"""Inexact variable projection.

How much of the inner solves of variable projection is wasted, and does the error of the gradient obey the rule?

One residual network on ``peaks`` in 5 classes, trained by a trust region with a head that is exact (eta = 0) or as
good as ``InexactVarPro`` asks for. The price of a head is counted in Hessians that are formed and factorised. At every
point that was visited the gradient is held against that of a head solved to the last digit.

Source: Newman, Chung, Chung, Ruthotto, SIAM J. Sci. Comput. 44 (2022), sec. 3, for the inner problem.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data import TOYS, Scaler
from numdl.models import ResNet
from numdl.optimize import Progress, TrustRegion, minimize
from numdl.problems import SOFTMAX, InexactVarPro, VarPro
from numdl.regularize import GroupPenalty

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Inexact variable projection: heads as accurate as the gradient needs"
PARAMETERS = {"alpha": Parameter(1e-5, 1e-10, 1e-1, "penalty on the weights, in units of the mean misfit")}
ETAS = (0.0, 0.01, 0.1, 0.5)


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    n: int
    depth: int
    iterations: int
    saved: float


FULL = Size(n=1000, depth=8, iterations=60, saved=1.4)
QUICK = Size(n=200, depth=2, iterations=15, saved=1.1)


class Path(NamedTuple):
    """One run.

    Attributes:
        objective: of each point, (iterations,).
        inner: Hessians of the head up to each point, (iterations,).
        size: norm of the gradient, (iterations,).
        estimate: estimated norm of its error, (iterations,).
        error: norm of its error, (iterations,).
    """

    objective: np.ndarray
    inner: np.ndarray
    size: np.ndarray
    estimate: np.ndarray
    error: np.ndarray


def run(quick: bool, random_state: int, *, alpha: float = PARAMETERS["alpha"].default) -> Outcome:
    """Train with every eta.

    Args:
        quick: fewer points, layers and iterations.
        random_state: seed of points and weights.
        alpha: penalty on the weights, in units of the mean misfit.

    Returns:
        Errors, prices, claims and figure.
    """
    with jax.enable_x64(True):
        return _train(QUICK if quick else FULL, random_state, alpha)


def _train(size: Size, random_state: int, alpha: float) -> Outcome:
    data = TOYS["peaks-classes"](size.n, random_state)
    x, c = jnp.asarray(Scaler.fit(data.x).transform(data.x)), jnp.asarray(data.c)
    net = ResNet(2, 8, size.depth, T=4.0)
    theta = net.init(jax.random.key(random_state))
    penalty = GroupPenalty(jnp.full(1, alpha), jnp.zeros(net.n_parameters, jnp.int32))
    problem = VarPro(net, SOFTMAX, x, c, jnp.ones(size.n), penalty, jnp.asarray(alpha))
    paths = {eta: _path(InexactVarPro(problem, eta), theta, size.iterations) for eta in ETAS}
    exact = paths.pop(0.0)
    numbers: dict[str, Any] = {"exact": {"objective": exact.objective[-1], "hessians": exact.inner[-1]}}
    for eta, path in paths.items():
        target = max(path.objective[-1], exact.objective[-1])
        numbers[f"eta={eta:g}"] = {
            "objective": path.objective[-1],
            "hessians": path.inner[-1],
            "largest_error": np.max(path.error / path.size),
            "median_error": np.median(path.error / path.size),
            "largest_estimate": np.max(path.estimate / path.size),
            "hessians_saved_times": _price(exact, target) / _price(path, target),
        }
    share = max(float(np.max(path.error / path.size)) / eta for eta, path in paths.items())
    claims = [
        at_most("At every point and for every eta the relative error of the gradient is eta times", share, 1.0),
        at_least(
            "For the same objective, eta = 0.1 saves Hessians of the head by a factor of",
            numbers["eta=0.1"]["hessians_saved_times"],
            size.saved,
        ),
        at_most(
            "Where training ends, the objective with eta = 0.1 is the exact one's times",
            paths[0.1].objective[-1] / exact.objective[-1],
            1.1,
        ),
    ]
    return Outcome(numbers, claims, partial(_draw, exact, paths))


def _price(path: Path, target: float) -> float:
    """Hessians of the head until the objective is at most ``target``."""
    return float(path.inner[np.argmax(path.objective <= target)])


def _path(problem: InexactVarPro, theta: Any, iterations: int) -> Path:
    """Train, and judge the gradient at every point."""
    points = [(theta, problem.first_head(theta))]

    def watch(progress: Progress) -> None:
        points.append((progress.iterate.p, progress.iterate.aux))

    method = TrustRegion(tol=0.0, max_products=20)
    result, _ = minimize(problem, method, *points[0], max_iter=iterations, observe=watch)
    judged = np.array([_norms(problem, *point) for point in points[:-1]])
    return Path(result.history["objective"], result.history["inner"], *judged.T)


@jax.jit
def _slope(problem: InexactVarPro, p: Any, aux: Any) -> Any:
    """The gradient, and the estimated norm of its error."""
    lin = problem.linearize(p, aux)
    return ravel_pytree(lin.gradient)[0], lin.metrics["gradient_error"]


def _norms(problem: InexactVarPro, p: Any, aux: Any) -> tuple[float, ...]:
    """Norm of the gradient, of its estimated error, and of its error against a head solved to all digits."""
    g, estimate = _slope(problem, p, aux)
    exact, _ = _slope(InexactVarPro(problem.problem, 0.0), p, aux._replace(enough=jnp.zeros_like(aux.enough)))
    return float(jnp.linalg.norm(g)), float(estimate), float(jnp.linalg.norm(g - exact))


def _draw(exact: Path, paths: dict[float, Path], figure: Figure) -> None:
    """Error of the gradient along the way, and the objective over Hessians."""
    from numdl.plots.canvas import BLUE, GREEN, ORANGE, RED, logarithmic

    left, right = figure.subplots(1, 2)
    right.plot(exact.inner, exact.objective, color=RED, label="exact")
    drawn = []
    for (eta, path), color in zip(paths.items(), (GREEN, BLUE, ORANGE), strict=True):
        error = np.maximum(path.error / path.size, 1e-9)
        left.plot(error, color=color, label=f"eta = {eta:g}")
        left.plot(path.estimate / path.size, ":", color=color)
        left.axhline(eta, color=color, linestyle="--", linewidth=1)
        right.plot(path.inner, path.objective, color=color, label=f"eta = {eta:g}")
        drawn += [error, [eta]]
    logarithmic(left, np.concatenate(drawn))
    left.set(xlabel="iteration", ylabel="relative error of the gradient")
    left.set_title("Error (line), its estimate (dots), bound (dashes)")
    left.legend(loc="lower left")
    logarithmic(right, np.concatenate([exact.objective, *(path.objective for path in paths.values())]))
    right.set(xlabel="Hessians of the head formed so far", ylabel="objective", title="The price of the heads")
    right.legend(loc="upper right")
