"""Robustness of stable dynamics: does the kind of dynamics decide how far noise and adversaries get through a network?

Handwritten digits, 64 pixels, flows of width 64 on [0, 2] (16 in the quick version) without opening layer, so that
the flow alone stands between pixels and head. All are trained alike: L-BFGS for flow and head, the same penalty.
``growth`` is the largest factor by which the flow lengthens a small change of a held-out sample, the norm of
``du(T)/du(0)``. A parabolic flow ``-K' act(K u + b)`` never expands, as long as its scheme follows it: ``h ||K||^2``
must stay inside the stability region. Training does not know that: with 8 Euler steps it leaves the region, with 16
RK4 steps it stays.

Source: Ruthotto and Haber, Deep neural networks motivated by partial differential equations, JMIV 62, 2020, theorems 1
and 2.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Flows that do not expand let less noise through, if their steps are inside the stability region"
PARAMETERS = {
    "T": Parameter(2.0, 0.25, 8.0, "time at which the flows end"),
    "alpha": Parameter(1e-3, 1e-8, 1e-1, "penalty on the weights, in units of the mean misfit"),
}
NETS = {
    "plain": ("plain", "euler", 8),
    "Hamiltonian": ("hamiltonian", "verlet", 8),
    "parabolic, Euler": ("parabolic", "euler", 8),
    "parabolic, RK4": ("parabolic", "rk4", 16),
}
NOISE = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5])


class Size(NamedTuple):
    """How much is computed and what is then claimed: error with noise and distance, each over that of plain."""

    n: int
    side: int
    iterations: int
    attacked: int
    error: float
    distance: float


FULL = Size(n=900, side=8, iterations=200, attacked=100, error=0.85, distance=1.2)
QUICK = Size(n=250, side=4, iterations=40, attacked=12, error=1.0, distance=1.05)


class Measured(NamedTuple):
    """Of one network: errors in percent for each noise, growth of and distances from some samples."""

    errors: np.ndarray
    growth: np.ndarray
    distances: np.ndarray


def run(
    quick: bool,
    random_state: int,
    *,
    T: float = PARAMETERS["T"].default,
    alpha: float = PARAMETERS["alpha"].default,
) -> Outcome:
    """Train four networks, add noise to their inputs, and look for the nearest sample of another class.

    Args:
        quick: fewer and coarser digits and iterations.
        random_state: seed of split, weights and noise.
        T: time at which the flows end.
        alpha: penalty on the weights, in units of the mean misfit.

    Returns:
        Errors, growth, distances, claims and figure.
    """
    import jax

    size = QUICK if quick else FULL
    with jax.enable_x64(True):
        data = _digits(size, random_state)
        unclaimed = {"parabolic, Euler"} if quick else set()  # attacking it compiles a second and more
        found = {
            name: _measure(net, T, alpha, size, data, random_state, attacked=name not in unclaimed)
            for name, net in NETS.items()
        }
    numbers = {
        "noise": NOISE,
        "error_percent": {name: m.errors for name, m in found.items()},
        "largest_growth": {name: m.growth.max() for name, m in found.items()},
        "median_distance": {name: np.median(m.distances) for name, m in found.items() if m.distances.size},
    }
    plain, still = found["plain"], found["parabolic, RK4"]
    loud = np.flatnonzero(NOISE == 1.0)[0]
    claims = [
        at_most("The parabolic flow with RK4 lengthens no change by more than", still.growth.max(), 1.0 + 1e-9),
        at_least("With Euler's method it lengthens some by", found["parabolic, Euler"].growth.max(), 1.2),
        at_least("The plain flow lengthens some by", plain.growth.max(), 2.0),
    ]
    for name in ("parabolic, RK4", "Hamiltonian"):
        less = float(found[name].errors[loud] / plain.errors[loud])
        claims.append(at_most(f"{name}: error with noise of size 1, over that of plain", less, size.error))
        further = float(np.median(found[name].distances) / np.median(plain.distances))
        claims.append(at_least(f"{name}: distance to another class, over that of plain", further, size.distance))
    return Outcome(numbers, claims, partial(_draw, found))


def _digits(size: Size, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and held-out samples with their classes; pixels have mean 0 and together standard deviation 1."""
    from numdl.course.digits import load_digits

    x, y = load_digits()
    order = np.random.default_rng(seed).permutation(len(x))
    x, y, n, block = x[order], y[order], size.n, 8 // size.side
    x = x.reshape(-1, size.side, block, size.side, block).mean((2, 4)).reshape(len(x), -1)
    x = (x - x[:n].mean(0)) / x[:n].std()
    return x[:n], y[:n], x[n:], y[n:]


def _measure(
    net_of: tuple[str, str, int], T: float, alpha: float, size: Size, data: tuple, seed: int, *, attacked: bool
) -> Measured:
    import jax
    import jax.numpy as jnp

    from numdl.analysis import LinearisedSearch, attack
    from numdl.course.training import reduced
    from numdl.models import ResNet
    from numdl.optimize import LBFGS, minimize
    from numdl.problems import full_problem

    x, y, unseen, labels = data
    width, (dynamics, scheme, depth) = x.shape[1], net_of
    net = ResNet(width, width, depth, T, dynamics, scheme, opening=False)
    first = net.init(seed)
    problem = reduced(net, "softmax", first, x, np.eye(10)[y], alpha)
    full, start = full_problem(problem, first), {"theta": first, "W": problem.first_head(first)}
    p = minimize(full, LBFGS(), start, max_iter=size.iterations)[0].p
    theta, head = p["theta"], p["W"]

    disturbance = np.random.default_rng(seed + 1).standard_normal(unseen.shape)
    noisy, few = unseen + NOISE[:, None, None] * disturbance, unseen[: size.attacked]

    @jax.jit  # classes and slopes by one program
    def asked(theta: Any, head: Any, noisy: Any, few: Any) -> Any:
        told = jnp.argmax(problem.scores(net.batch(theta, noisy.reshape(-1, width)), head), 1)
        return told.reshape(len(NOISE), -1), jax.vmap(jax.jacfwd(lambda u: net(theta, u)))(few)

    told, slopes = (np.asarray(part) for part in asked(theta, head, noisy, few))
    errors = list(100 * np.mean(told != labels, axis=1))
    growth = np.linalg.norm(slopes, 2, axis=(1, 2))  # JAX would compile a decomposition
    if not attacked:
        return Measured(np.array(errors), growth, np.empty(0))
    nearest = attack(LinearisedSearch(5), full.apply, p, few, labels[: size.attacked])
    return Measured(np.array(errors), growth, nearest.norms)


def _draw(found: dict[str, Measured], figure: Figure) -> None:
    """Error over noise, growth of single samples, and distances to other classes."""
    from numdl.plots.canvas import BLUE, GREEN, GREY, ORANGE, RED, logarithmic

    left, middle, right = figure.subplots(1, 3)
    for (name, m), color in zip(found.items(), (RED, BLUE, ORANGE, GREEN), strict=True):
        left.plot(NOISE, m.errors, color=color, marker="o", markersize=4, label=name)
        share = np.linspace(0, 100, len(m.growth))
        middle.plot(share, np.sort(m.growth), color=color, label=name)
        right.plot(share[: m.distances.size], np.sort(m.distances), color=color, label=name)
    left.set(xlabel="standard deviation of the noise", ylabel="%", title="Error on held-out digits", ylim=(0, None))
    left.legend()
    middle.axhline(1.0, color=GREY, linestyle="--", linewidth=1)
    logarithmic(middle, np.concatenate([m.growth for m in found.values()]))
    middle.set(xlabel="share of digits, %", ylabel="largest factor", title="How much the flow lengthens a change")
    right.set(
        xlabel="share of digits, %",
        ylabel="norm of the change, in deviations",
        title="Distance to the nearest other class",
        ylim=(0, None),
    )
