"""Reversible networks of constant memory: can a network of ten thousand layers be trained in the memory of one layer?

A Hamiltonian network of width 8 takes Verlet steps on [0, 10]; each layer has weights of its own, penalised by their
integral over time, and a logistic head that is eliminated. L-BFGS trains it on double circles. Stored states need the
memory of all layers for one gradient; the reversible march computes them a second time, from the end, and keeps one.

Source: Gomez, Ren, Urtasun and Grosse, The reversible residual network, NeurIPS 2017; Chang, Meng, Haber, Ruthotto,
Begert and Holtham, Reversible architectures for arbitrarily deep residual neural networks, AAAI 2018.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data import TOYS, Scaler

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.models import ResNet

TITLE = "However many layers: trained in the memory of one, with the gradient of stored states"
WIDTH, ALPHA = 8, 1e-5
PARAMETERS = {"T": Parameter(10.0, 1.0, 40.0, "time at which the flow ends")}
MIB = 2.0**20


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    n: int
    depths: tuple[int, ...]
    iterations: int
    less: float
    error: float


FULL = Size(n=400, depths=(100, 1000, 10000), iterations=40, less=1000.0, error=1.0)
QUICK = Size(n=100, depths=(50, 500), iterations=15, less=100.0, error=5.0)


def run(quick: bool, random_state: int, *, T: float = PARAMETERS["T"].default) -> Outcome:
    """Memory and gradient of both marches, then training by the reversible one at the largest depth.

    Args:
        quick: fewer layers, points and iterations.
        random_state: seed of points and weights.
        T: time at which the flow ends.

    Returns:
        Memory, errors, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        return _train(QUICK if quick else FULL, random_state, T)


def gradient_of(net: ResNet, theta: Any, x: np.ndarray) -> Any:
    """Gradient of ``||u(T)||^2 / (2 n)`` by all weights, compiled for weights of this shape."""
    import jax
    import jax.numpy as jnp

    total = lambda theta: 0.5 / len(x) * jnp.sum(net.batch(theta, jnp.asarray(x)) ** 2)  # noqa: E731
    return jax.jit(jax.grad(total)).lower(theta).compile()


def _train(size: Size, seed: int, T: float) -> Outcome:
    import jax
    from jax.flatten_util import ravel_pytree

    from numdl.course.nonlinear.swiss_roll import wrong
    from numdl.course.training import reduced
    from numdl.models import ResNet
    from numdl.optimize import LBFGS, minimize

    data = TOYS["double-circles"](2 * size.n, seed)
    x, c = Scaler.fit(data.x).transform(data.x), data.c[:, 1:]
    training, held_out = (x[::2], c[::2]), (x[1::2], c[1::2])
    nets = {
        march: [ResNet(2, WIDTH, nt, T, "hamiltonian", "verlet", march=march) for nt in size.depths]
        for march in ("stored", "reversible")
    }
    memory: dict[str, list[float]] = {march: [] for march in nets}
    apart, theta = 0.0, {}
    for pair in zip(*nets.values(), strict=True):
        theta, slopes = pair[0].init(seed), []
        for march, net in zip(nets, pair, strict=True):
            gradient = gradient_of(net, theta, training[0])
            memory[march].append(gradient.memory_analysis().temp_size_in_bytes / MIB)
            slopes.append(ravel_pytree(gradient(theta))[0])
        apart = float(jax.numpy.linalg.norm(slopes[1] - slopes[0]) / jax.numpy.linalg.norm(slopes[0]))
    deep = nets["reversible"][-1]
    problem = reduced(deep, "logistic", theta, *training, ALPHA)
    result, _ = minimize(problem, LBFGS(), theta, problem.first_head(theta), max_iter=size.iterations)
    scores = problem.scores(jax.jit(deep.batch)(result.p, jax.numpy.asarray(held_out[0])), result.aux)
    missed = wrong(np.asarray(scores), held_out[1])
    objective = np.asarray(result.history["objective"])
    numbers = {
        "depth": size.depths,
        "weights": deep.n_parameters,
        "memory_MiB": memory,
        "gradient_error": apart,
        "objective": objective,
        "held_out_error_percent": missed,
        "passes": float(result.history["work"][-1]),
    }
    less = memory["stored"][-1] / memory["reversible"][-1]
    growth = memory["reversible"][-1] / memory["reversible"][0] - 1
    claims = [
        at_most(f"{size.depths[-1]} layers: the gradients differ, relative to their norm, by", apart, 1e-10),
        at_least("Stored states take more memory by the factor", less, size.less),
        at_most(f"From {size.depths[0]} to {size.depths[-1]} layers the reversible march's grows by", growth, 0.05),
        at_most("Training lowers the objective to the part", float(objective[-1] / objective[0]), 0.1),
        at_most("The trained network misses of the held-out points", missed, size.error, " %"),
    ]
    return Outcome(numbers, claims, partial(_draw, size.depths, memory, objective))


def _draw(depths: tuple[int, ...], memory: dict[str, list[float]], objective: np.ndarray, figure: Figure) -> None:
    """Memory over depth on the left, the objective of the deepest network on the right."""
    from numdl.plots.canvas import BLUE, ORANGE, logarithmic, logarithmic_x

    left, right = figure.subplots(1, 2)
    for (march, used), color in zip(memory.items(), (ORANGE, BLUE), strict=True):
        left.plot(depths, used, color=color, marker="o", label=f"{march} states" if march == "stored" else march)
    logarithmic(left, np.ravel(list(memory.values())))
    logarithmic_x(left)
    left.set_xticks(depths, [str(nt) for nt in depths])
    left.set(xlabel="layers", ylabel="MiB", title="Memory of a gradient beside weights and samples")
    left.legend()
    right.plot(objective, color=BLUE)
    logarithmic(right, objective)
    right.set(xlabel="iteration", ylabel="objective", title=f"Training {depths[-1]} layers, reversible")
