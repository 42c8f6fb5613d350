"""slimTrain, stochastic variable projection.

How much does the learning rate matter if only the flow has one (slimTrain), and how much the head's first alpha?

The same network, start, shuffles and number of steps: Adam moves all weights, or Adam moves the flow and sampled
limited-memory Tikhonov steps move the head. Each runs at rates over three decades; slimTrain also from first
regularisation parameters over ten decades. Both cost a pass forward and one backward over each batch.

Source: Newman, Chung, Chung, Ruthotto, SIAM J. Sci. Comput. 44 (2022) A2322-A2348, sec. 4.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "slimTrain: learning rates over three decades and first alphas over ten, against Adam"
PARAMETERS = {"batch": Parameter(10, 2, 100, "samples in a batch")}
BEST = 1e-2  # the rate at which the first alpha is varied


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    n: int
    depth: int
    epochs: int
    seeds: int
    rates: int
    alphas: int
    range: float
    best: float


FULL = Size(n=2000, depth=8, epochs=3, seeds=5, rates=7, alphas=6, range=1.0, best=1.0)
QUICK = Size(n=400, depth=2, epochs=2, seeds=1, rates=3, alphas=2, range=1.0, best=1.2)


def run(quick: bool, random_state: int, *, batch: float = PARAMETERS["batch"].default) -> Outcome:
    """Train at all rates and from all first alphas.

    Args:
        quick: fewer points, layers, seeds and rates.
        random_state: first seed of points, weights and batches.
        batch: samples in one.

    Returns:
        Held-out misfits, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _compare(QUICK if quick else FULL, random_state, int(batch))


def _compare(size: Size, random_state: int, batch: int) -> Outcome:
    import optax

    from numdl.optimize import StochasticGradient
    from numdl.problems import SlimTrain

    rates, alphas = np.geomspace(1e-4, 1e-1, size.rates), np.geomspace(1e-10, 1.0, size.alphas)
    adam = optax.adam(1.0)
    plain, slim = StochasticGradient(adam), SlimTrain(adam)
    found: dict[str, list[list[float]]] = {"Adam": [], "slimTrain": [], "first alpha": []}
    for seed in range(random_state, random_state + size.seeds):
        train = partial(_train, size, seed, batch)
        found["Adam"].append([train(plain, rate) for rate in rates])
        found["slimTrain"].append([train(slim, rate) for rate in rates])
        found["first alpha"].append([train(SlimTrain(adam, alpha=alpha), BEST) for alpha in alphas])
    misfits = {name: np.array(values) for name, values in found.items()}
    means = {name: values.mean(axis=0) for name, values in misfits.items()}
    first = misfits["first alpha"]
    spread = float(np.max(np.ptp(first, axis=1) / first.min(axis=1)))
    numbers = {"rates": rates, "alphas": alphas, "held_out_misfit": misfits, "spread_over_alphas": spread}
    claims = [
        at_most("Over first alphas from 1e-10 to 1 slimTrain's misfit differs by", 100 * spread, 1e-4, " %"),
        at_most(
            "At its best rate it has Adam's at the best rate times",
            means["slimTrain"].min() / means["Adam"].min(),
            size.best,
        ),
        at_least(
            "Averaged over the rates Adam's misfit is slimTrain's times",
            float(np.exp(np.mean(np.log(means["Adam"] / means["slimTrain"])))),
            size.range,
        ),
    ]
    return Outcome(numbers, claims, partial(_draw, rates, alphas, misfits))


def _train(size: Size, seed: int, batch: int, method: Any, rate: float) -> float:
    """Held-out misfit after all epochs, half the mean square in units of the target's variance."""
    import jax
    import jax.numpy as jnp

    from numdl.course.training import peaks_surface
    from numdl.models import ResNet
    from numdl.optimize import minimize_stochastic
    from numdl.problems import LEAST_SQUARES, SlimTrain, VarPro, full_problem
    from numdl.regularize import GroupPenalty

    net = ResNet(2, 8, size.depth, 4.0, dynamics="antisymmetric", scheme="rk4")
    theta = net.init(jax.random.key(seed), np.float64)
    none = GroupPenalty(jnp.zeros(1), jnp.zeros(net.n_parameters, jnp.int32))
    training, held_out = (
        VarPro(net, LEAST_SQUARES, jnp.asarray(x), jnp.asarray(c), jnp.ones(len(x)), none, jnp.zeros(()))
        for x, c in peaks_surface(size.n, seed)[:2]
    )
    head = jnp.asarray(np.random.default_rng(seed).standard_normal((1, net.width + 1)) / np.sqrt(net.width))
    settings: dict[str, Any] = {"batch": batch, "epochs": size.epochs, "rate": float(rate), "key": seed}
    if isinstance(method, SlimTrain):
        result = minimize_stochastic(training, method, theta, head, **settings)[0]
        return float(_misfit(held_out, result.p, result.aux))
    result = minimize_stochastic(full_problem(training, theta), method, {"theta": theta, "W": head}, **settings)[0]
    return float(_misfit(held_out, result.p["theta"], result.p["W"]))


def _misfit(problem: Any, theta: Any, head: Any) -> Any:
    from numdl.optimize.parts.held_out import held_out_value

    return held_out_value(problem, theta, head)


def _draw(rates: np.ndarray, alphas: np.ndarray, misfits: dict[str, np.ndarray], figure: Figure) -> None:
    """Held-out misfit over the rate, and over the first alpha, seeds as thin lines."""
    from numdl.plots.canvas import BLUE, ORANGE, logarithmic, logarithmic_x

    left, right = figure.subplots(1, 2, sharey=True)
    for axes, x, name, color in (
        (left, rates, "Adam", ORANGE),
        (left, rates, "slimTrain", BLUE),
        (right, alphas, "first alpha", BLUE),
    ):
        axes.plot(x, misfits[name].T, color=color, linewidth=0.6, alpha=0.5)
        axes.plot(x, misfits[name].mean(axis=0), "o-", color=color, label=name)
    for axes in (left, right):
        logarithmic_x(axes)
        logarithmic(axes, np.concatenate([values.ravel() for values in misfits.values()]))
    left.set(title="Learning rate", xlabel="rate of Adam", ylabel="held-out misfit")
    left.legend()
    right.set(title=f"First alpha of slimTrain, rate {BEST:g}", xlabel="first alpha")
