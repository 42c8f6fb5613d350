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
FLOOR = 1e-16  # what is smaller is drawn here
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
        trained, own = training(8 if quick else 64, 60 if quick else 300, random_state, T, share)
        # Compiling gradients takes the time of the small version: it compares those that it trains with.
        compared = {8: own} if quick else {depth: gaps(depth, random_state, T) for depth in depths}
    parted = {name: abs(way["own"] - way["serial"]) / way["serial"] for name, way in trained.items()}
    cycles = {depth: len(residuals) for depth, residuals in found.items()}
    numbers = {
        "residuals": found,
        "cycles": cycles,
        "gap_of_the_value": {depth: value for depth, (value, _) in compared.items()},
        "gap_of_the_gradient": {depth: slope for depth, (_, slope) in compared.items()},
        "training": trained,
        "values_apart": parted,
    }
    claims = [
        at_most(
            "Values differ from the serial ones, relatively, by", max(value for value, _ in compared.values()), 1e-10
        ),
        at_most("Gradients differ by", max(slope for _, slope in compared.values()), 1e-9),
        at_most("Cycles at the largest depth, less those at the smallest", cycles[depths[-1]] - cycles[depths[0]], 1),
        at_least(
            "Trained by one cycle, the value and that of the serial network are apart by", parted["one cycle"], 0.05
        ),
        at_most("With the bias controlled they are apart by", parted["controlled"], 0.03),
    ]
    return Outcome(numbers, claims, partial(_draw, found, trained))


def network(depth: int, seed: int, T: float) -> tuple[Any, Any, Any]:
    """A network whose weights vary smoothly in time, its weights, and samples."""
    import jax.numpy as jnp

    from numdl.models import ResNet

    net = ResNet(2, WIDTH, depth, T=T, dynamics="antisymmetric", scheme="rk4", control="legendre")
    return net, net.init(seed, np.float64), jnp.asarray(np.random.default_rng(seed).standard_normal((8, 2)))


def convergence(depth: int, seed: int, T: float) -> np.ndarray:
    """Residuals of the cycles.

    Args:
        depth: number of steps.
        seed: of weights and samples.
        T: time at which the flow ends.

    Returns:
        (cycles,).
    """
    import jax

    from numdl.flow import LayerParallel

    net, theta, x = network(depth, seed, T)
    return np.asarray(LayerParallel().convergence(*net.flow(theta, jax.vmap(net.open, (None, 0))(theta, x))).residuals)


def gaps(depth: int, seed: int, T: float) -> tuple[float, float]:
    """Relative gaps of value and gradient to those of the serial march.

    Args:
        depth: number of steps.
        seed: of weights and samples.
        T: time at which the flow ends.

    Returns:
        Of the value, and of the gradient.
    """
    import jax
    import jax.numpy as jnp

    from numdl.flow import LayerParallel

    net, theta, x = network(depth, seed, T)
    slopes = []
    for march in ("stored", LayerParallel()):
        way = dataclasses.replace(net, march=march)
        slopes.append(
            jax.jit(jax.value_and_grad(lambda t, x, way=way: jnp.mean(jnp.sin(way.batch(t, x)) ** 2)))(theta, x)
        )
    return apart(*slopes)


def apart(exact: tuple[Any, Any], found: tuple[Any, Any]) -> tuple[float, float]:
    """Relative distances of a value and a gradient to the exact ones."""
    import jax
    import jax.numpy as jnp

    from numdl.optimize.smooth.stochastic_gradient import tree_norm

    (serial, right), (value, slope) = exact, found
    gap = jax.tree.map(jnp.subtract, slope, right)
    return float(abs(value - serial) / serial), float(tree_norm(gap) / tree_norm(right))


def training(depth: int, steps: int, seed: int, T: float, share: float) -> tuple[dict, tuple[float, float]]:
    """Adam on peaks with gradients of one cycle, of a controlled number of cycles, and of the serial march.

    Args:
        depth: number of Euler steps.
        steps: of Adam.
        seed: of data and weights.
        T: time at which the flow ends.
        share: bias of the gradient that is accepted, over its norm.

    Returns:
        For each way: ``losses`` as it sees them, its ``own`` value and the ``serial`` one at the end, and the
        ``cycles`` in the gradient of each step. And the relative gaps, of value and gradient with a head of ones,
        between the serial march and as many cycles as leave none.
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

    control, method = BiasControl(objective, coarse, share), optax.adam(RATE)
    fixed = {
        "serial": jax.jit(jax.value_and_grad(lambda p, x, c: objective(p, "stored", x, c))),
        "one cycle": partial(control.inexact, 1),
    }
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

    trained = {name: follow(name) for name in (*fixed, "controlled")}
    at = {**p, "W": jnp.ones(WIDTH + 1)}  # with a head of zeros no weight of the flow had a slope
    return trained, apart(fixed["serial"](at, x, c), control.inexact(depth // coarse.factor + 1, at, x, c))


def _draw(found: dict, trained: dict, figure: Figure) -> None:
    """Residuals of the cycles for each depth; losses as seen in training, and the serial ones at the end."""
    from matplotlib.ticker import MaxNLocator

    from numdl.plots.canvas import BLUE, GREY, ORANGE, logarithmic

    left, right, low = figure.subplots(1, 3)
    for depth, residuals in found.items():
        seen = np.maximum(residuals, FLOOR)
        left.plot(np.arange(len(seen)), seen, "o-", label=f"{depth} layers")
    logarithmic(left, np.maximum(np.concatenate(list(found.values())), FLOOR))
    left.set(title="Residual before each cycle", xlabel="cycle", ylabel="largest defect / largest state")
    left.legend()
    for (name, way), color in zip(trained.items(), (GREY, ORANGE, BLUE), strict=True):
        line = {"linewidth": 3.5} if name == "serial" else {"linestyle": "--"} if name == "controlled" else {}
        right.plot(way["losses"], label=name, color=color, **line)
        right.plot(len(way["losses"]), way["serial"], "*", color=color, markersize=12)
    logarithmic(right, np.concatenate([way["losses"] for way in trained.values()]))
    right.set(title="Loss in training; stars: serial network", xlabel="step of Adam", ylabel="half mean squared error")
    right.legend()
    low.plot(trained["controlled"]["cycles"], "o", color=BLUE, markersize=3)
    low.yaxis.set_major_locator(MaxNLocator(integer=True))
    low.set(title="Cycles that hold the bias", xlabel="step of Adam", ylabel="cycles", ylim=(0, None))
