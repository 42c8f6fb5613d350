"""Variable projection against Newton-CG and SGD.

What does it bring to eliminate the head, at equal work: coupled Newton-CG, VarPro and SGD on ``peaks`` in 5 classes?

One residual network, one start for the flow. The head starts at its best for coupled Newton-CG, and at zero for SGD,
whose first steps the large best head throws far off. Work is counted in passes: a forward or a backward pass over all
samples counts one, products with the curvature and trial steps included. SGD has momentum 0.9, batches of 10, and the
best of three rates, chosen by its training misfit; the search for it is not counted.

Source: Newman, Ruthotto, Hart, van Bloemen Waanders, SIAM J. Math. Data Sci. 3 (2021).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data import TOYS, Scaler

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Training on peaks in 5 classes: coupled Newton-CG, VarPro and SGD at equal work"
PARAMETERS = {
    "alpha": Parameter(1e-5, 1e-10, 1e-1, "penalty on the weights, in units of the mean misfit"),
    "momentum": Parameter(0.9, 0.0, 0.99, "momentum of SGD"),
}
RATES = (0.001, 0.003, 0.01)


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    n: int
    depth: int
    work: float
    error: float


FULL = Size(n=1000, depth=8, work=1000.0, error=8.0)
QUICK = Size(n=200, depth=2, work=150.0, error=40.0)


def run(
    quick: bool,
    random_state: int,
    *,
    alpha: float = PARAMETERS["alpha"].default,
    momentum: float = PARAMETERS["momentum"].default,
) -> Outcome:
    """Train by all methods.

    Args:
        quick: fewer points, layers and passes.
        random_state: seed of points, weights and batches.
        alpha: penalty on the weights, in units of the mean misfit.
        momentum: of SGD.

    Returns:
        Curves, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _train(QUICK if quick else FULL, random_state, alpha, momentum)


def _train(size: Size, random_state: int, alpha: float, momentum: float) -> Outcome:
    import jax
    import jax.numpy as jnp
    import optax

    from numdl.models import ResNet
    from numdl.optimize import Entry, NewtonCG, StochasticGradient, compare
    from numdl.problems import SOFTMAX, VarPro, full_problem
    from numdl.regularize import GroupPenalty

    data = TOYS["peaks-classes"](size.n + 2000, random_state)
    x = jnp.asarray(Scaler.fit(data.x[: size.n]).transform(data.x))
    c = jnp.asarray(data.c)
    net = ResNet(2, 8, size.depth, T=4.0)
    theta = net.init(jax.random.key(random_state))
    penalty = GroupPenalty(jnp.full(1, alpha), jnp.zeros(net.n_parameters, jnp.int32))

    def on(rows: slice) -> VarPro:
        return VarPro(net, SOFTMAX, x[rows], c[rows], jnp.ones(len(x[rows])), penalty, jnp.asarray(alpha))

    reduced, held_out = on(slice(0, size.n)), on(slice(size.n, None))
    full, full_held_out = full_problem(reduced, theta), full_problem(held_out, theta)
    head = jax.jit(lambda problem, p: problem.value(p, problem.first_head(p))[1])(reduced, theta)
    start, still = {"theta": theta, "W": head}, {"theta": theta, "W": jnp.zeros_like(head)}
    sgd = StochasticGradient(optax.sgd(1.0, momentum=momentum))

    def joint(method: Any, **how: Any) -> Entry:
        return Entry(method, problem=full, p=start, validation=full_held_out, **how)

    method = NewtonCG(max_products=20)
    methods = {
        "coupled Newton-CG": joint(method),
        "VarPro Newton-CG": Entry(method, problem=reduced, p=theta, aux=head, validation=held_out),
    }
    methods |= {f"SGD, rate {rate:g}": joint(sgd, batch=10, rate=rate)._replace(p=still) for rate in RATES}
    curves = compare(reduced, methods, theta, head, work=size.work, validation=held_out, key=random_state)
    tried = {name: np.nan_to_num(curves[name].training[-1], nan=np.inf) for name in curves if "SGD" in name}
    for name in sorted(tried, key=lambda name: tried[name])[1:]:
        del curves[name]
    errors = {}
    for name, curve in curves.items():
        p, W = (
            (curve.result.p, curve.result.aux) if "VarPro" in name else (curve.result.p["theta"], curve.result.p["W"])
        )
        scores = np.asarray(jax.jit(lambda problem, p, W: problem.scores(problem.embed(p), W))(held_out, p, W))
        errors[name] = 100 * float(np.mean(np.argmax(scores, axis=1) != np.argmax(data.c[size.n :], axis=1)))
    final = {name: curve.training[-1] for name, curve in curves.items()}
    first, second, third = final
    numbers = {
        "work": size.work,
        "training_misfit": final,
        "validation_misfit": {name: curve.validation[-1] for name, curve in curves.items()},
        "validation_error_percent": errors,
    }
    claims = [
        at_least(
            "At equal work coupled Newton-CG has the training misfit of VarPro times", final[first] / final[second], 1.0
        ),
        at_least(f"{third} has it times", final[third] / final[second], 1.0),
        at_most("VarPro misses of the held-out points", errors[second], size.error, " %"),
    ]
    return Outcome(numbers, claims, partial(_draw, curves, errors))


def _draw(curves: dict[str, Any], errors: dict[str, float], figure: Figure) -> None:
    """Misfits of training and held-out points over the work, and the errors at the end."""
    from numdl.plots.canvas import BLUE, GREEN, ORANGE, logarithmic

    parts = figure.subplot_mosaic([["training", "validation"], ["error", "error"]], height_ratios=[2.0, 0.8])
    colors = (ORANGE, BLUE, GREEN)
    for name in ("training", "validation"):
        axes = parts[name]
        for color, (method, curve) in zip(colors, curves.items(), strict=True):
            axes.plot(curve.work, getattr(curve, name), color=color, label=method)
        logarithmic(axes, np.concatenate([getattr(curve, name) for curve in curves.values()]))
        axes.set(xlabel="work, passes over the training data", ylabel="mean misfit")
        axes.legend(loc="best")
    parts["training"].set_title("Training points")
    parts["validation"].set_title("Held-out points")
    bars = parts["error"].barh(list(errors), list(errors.values()), color=colors)
    parts["error"].bar_label(bars, fmt="%.2f %%", padding=4)
    parts["error"].invert_yaxis()
    parts["error"].set(
        title="Held-out error at the end", xlabel="misclassified points, %", xlim=(0, 1.2 * max(errors.values()))
    )
    parts["error"].grid(False, axis="y")
