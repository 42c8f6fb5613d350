"""Layer-parallel training (multigrid reduction in time).

Can all layers of a network be computed at the same time, and what do gradients from few cycles do to training?

Multigrid reduction in time solves for the states of all layers at once. To a tolerance, it gives the serial network
whatever its depth, in a few cycles. A training that stops after one cycle minimises another function than the serial
network that is used in the end: the two values part. With the number of cycles controlled by the estimated bias of the
gradient they stay together.

Source: Guenther, Ruthotto, Schroder, Cyr and Gauger, Layer-parallel training of deep residual neural networks, SIAM J.
Math. Data Sci. 2 (2020) 1-23.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "All layers at once: cycles do not grow with depth, and the bias of few cycles can be held"
WIDTH, SAMPLES, RATE = 8, 200, 0.01
PARAMETERS = {
    "T": Parameter(6.0, 0.5, 20.0, "time at which the flow ends"),
    "share": Parameter(0.02, 1e-3, 0.5, "bias of the gradient that is accepted, over its norm"),
}


def run(
    quick: bool,
    random_state: int,
    *,
    T: float = PARAMETERS["T"].default,
    share: float = PARAMETERS["share"].default,
) -> Outcome:
    """Convergence for several depths, and training by one cycle, by a controlled number, and serially.

    Args:
        quick: small depths and few steps.
        random_state: seed of data and weights.
        T: time at which the flow ends.
        share: bias of the gradient that is accepted, over its norm.

    Returns:
        Residuals, bias, losses, claims and figure.
    """
    import jax

    depths = (32, 128) if quick else (64, 256, 1024, 4096)
    with jax.enable_x64(True):
        found = {depth: convergence(depth, random_state, T) for depth in depths}
        trained = training(8 if quick else 64, 60 if quick else 300, random_state, T, share)
    apart = {name: abs(way["own"] - way["serial"]) / way["serial"] for name, way in trained.items()}
    cycles = {depth: len(one["residuals"]) for depth, one in found.items()}
    numbers = {
        "residuals": {depth: one["residuals"] for depth, one in found.items()},
        "cycles": cycles,
        "gap_of_the_value": {depth: one["value"] for depth, one in found.items()},
        "gap_of_the_gradient": {depth: one["gradient"] for depth, one in found.items()},
        "training": trained,
        "values_apart": apart,
    }
    claims = [
        at_most("Values differ from the serial ones, relatively, by", max(o["value"] for o in found.values()), 1e-10),
        at_most("Gradients differ by", max(o["gradient"] for o in found.values()), 1e-9),
        at_most("Cycles at the largest depth, less those at the smallest", cycles[depths[-1]] - cycles[depths[0]], 1),
        at_least(
            "Trained by one cycle, the value and that of the serial network are apart by", apart["one cycle"], 0.05
        ),
        at_most("With the bias controlled they are apart by", apart["controlled"], 0.03),
    ]
    return Outcome(numbers, claims, partial(_draw, found, trained))


def convergence(depth: int, seed: int, T: float) -> dict[str, Any]:
    """Residuals of the cycles for weights that vary smoothly in time, and gaps to the serial march.

    Args:
        depth: number of steps.
        seed: of weights and samples.
        T: time at which the flow ends.

    Returns:
        ``residuals`` and the relative gaps ``value`` and ``gradient``.
    """
    import jax
    import jax.numpy as jnp

    from numdl.flow import LayerParallel
    from numdl.models import ResNet
    from numdl.optimize.smooth.stochastic_gradient import tree_norm

    net = ResNet(2, WIDTH, depth, T=T, dynamics="antisymmetric", scheme="rk4", control="legendre")
    theta = net.init(seed, np.float64)
    x = jnp.asarray(np.random.default_rng(seed).standard_normal((8, 2)))
    slopes = []
    for march in ("stored", LayerParallel()):
        way = dataclasses.replace(net, march=march)
        slopes.append(
            jax.jit(jax.value_and_grad(lambda t, x, way=way: jnp.mean(jnp.sin(way.batch(t, x)) ** 2)))(theta, x)
        )
    (serial, exact), (value, slope) = slopes
    gap = jax.tree.map(jnp.subtract, slope, exact)
    opened = jax.vmap(net.open, (None, 0))(theta, x)
    cycles = LayerParallel().convergence(*net.flow(theta, opened))
    return {
        "residuals": np.asarray(cycles.residuals),
        "value": float(abs(value - serial) / serial),
        "gradient": float(tree_norm(gap) / tree_norm(exact)),
    }


def training(depth: int, steps: int, seed: int, T: float, share: float) -> dict[str, dict[str, Any]]:
    """Adam on peaks with gradients of one cycle, of a controlled number of cycles, and of the serial march.

    Args:
        depth: number of Euler steps.
        steps: of Adam.
        seed: of data and weights.
        T: time at which the flow ends.
        share: bias of the gradient that is accepted, over its norm.

    Returns:
        For each way: ``losses`` as it sees them, its ``own`` value and the ``serial`` one at the end, and the
        ``cycles`` in the gradient of each step.
    """
    import jax
    import jax.numpy as jnp
    import optax

    from numdl.data.problems.toys import peaks_regression
    from numdl.flow import BiasControl, LayerParallel
    from numdl.models import ResNet
    from numdl.optimize.smooth.stochastic_gradient import moved

    data = peaks_regression(SAMPLES, random_state=seed)
    x, c = (jnp.asarray((a - a.mean(0)) / a.std(0)) for a in (data.x, data.c))
    net = ResNet(2, WIDTH, depth, T=T, dynamics="antisymmetric")
    p = {"theta": net.init(seed, np.float64), "W": jnp.zeros(WIDTH + 1)}
    coarse = LayerParallel(factor=4, levels=2, relaxation="F")

    def objective(p: Any, march: Any, x: Any, c: Any) -> Any:
        u = dataclasses.replace(net, march=march).batch(p["theta"], x)
        return 0.5 * jnp.mean((u @ p["W"][:-1] + p["W"][-1] - c[:, 0]) ** 2)

    fixed = {
        name: jax.jit(jax.value_and_grad(lambda p, x, c, march=march: objective(p, march, x, c)))
        for name, march in (("serial", "stored"), ("one cycle", dataclasses.replace(coarse, cycles=1)))
    }
    control, method = BiasControl(objective, coarse, share), optax.adam(RATE)
    update = jax.jit(lambda g, state, p: moved(method, p, g, state, jnp.ones(())))

    def follow(name: str) -> dict[str, Any]:
        at, state, losses, cycles = p, method.init(p), [], []
        for _ in range(steps):
            if name == "controlled":
                found = control(at, x, c)
                value, slope = found.value, found.gradient
                cycles.append(found.cycles)
            else:
                value, slope = fixed[name](at, x, c)
            losses.append(float(value))
            at, state = update(slope, state, at)
        own = control(at, x, c).value if name == "controlled" else float(fixed[name](at, x, c)[0])
        return {"losses": losses, "own": own, "serial": float(fixed["serial"](at, x, c)[0]), "cycles": cycles}

    return {name: follow(name) for name in (*fixed, "controlled")}


def _draw(found: dict, trained: dict, figure: Figure) -> None:
    """Residuals of the cycles for each depth; losses as seen in training, and the serial ones at the end."""
    from numdl.plots.canvas import logarithmic

    left, right, low = figure.subplots(1, 3)
    for depth, one in found.items():
        left.plot(np.arange(len(one["residuals"])), one["residuals"], "o-", label=f"{depth} layers")
    logarithmic(left, np.concatenate([one["residuals"] for one in found.values()]))
    left.set(title="Residual before each cycle", xlabel="cycle", ylabel="largest defect / largest state")
    left.legend()
    for name, way in trained.items():
        (line,) = right.plot(way["losses"], label=name)
        right.plot(len(way["losses"]), way["serial"], "*", color=line.get_color(), markersize=12)
    logarithmic(right, np.concatenate([way["losses"] for way in trained.values()]))
    right.set(title="Loss in training; stars: serial network", xlabel="step of Adam", ylabel="half mean squared error")
    right.legend()
    low.plot(trained["controlled"]["cycles"], "o", markersize=3)
    low.set(title="Cycles that hold the bias", xlabel="step of Adam", ylabel="cycles", ylim=(0, None))
