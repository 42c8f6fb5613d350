"""Overfitting a discretisation of a neural ODE.

Has a network learnt a differential equation, or only the steps it was trained with?

The swiss roll, twice the same flow of width 8 on [0, 10] with sixteen sets of weights: once marched by sixteen
Euler steps, once by RK4. Each is trained to the end, then the same weights, the same function of time, are marched by
twice, four and eight times as many steps, and by the other scheme. What depends on the steps was fitted to their
errors.

Source: Ott, Katiyar, Hennig and Tiemann, ResNet after all: neural ODEs and their numerical solution, ICLR 2021;
Queiruga, Erichson, Taylor and Mahoney, Continuous-in-depth neural networks, arXiv:2008.02389.
"""

from __future__ import annotations

import dataclasses
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.nonlinear.swiss_roll import Size, draw_regions, spirals, wrong
from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.models import ResNet

TITLE = "Long Euler steps are learnt as they are: with shorter ones the same weights fail, RK4's do not"
WIDTH, ALPHA = 8, 1e-5
PARAMETERS = {
    "T": Parameter(10.0, 1.0, 20.0, "time at which the flow ends"),
    "depth": Parameter(16, 4, 32, "steps in training"),
}
FINER = (1, 2, 4, 8)
QUICK_FINER = (1, 8)  # each number of steps is compiled
SCHEMES = {"euler": "rk4", "rk4": "euler"}
FULL = Size(n=513, iterations=60, error=2.0)
QUICK = Size(n=257, iterations=30, error=10.0)
GRIDS = {FULL: 121, QUICK: 61}


class Marched(NamedTuple):
    """Of one network: held-out error in percent by number of steps and by the other scheme; scores on a grid."""

    errors: np.ndarray
    other: float
    regions: dict[int, np.ndarray]


def run(
    quick: bool,
    random_state: int,
    *,
    T: float = PARAMETERS["T"].default,
    depth: float = PARAMETERS["depth"].default,
) -> Outcome:
    """Train with each scheme, and march the weights by others.

    Args:
        quick: fewer points and iterations.
        random_state: seed of the weights.
        T: time at which the flow ends.
        depth: steps in training.

    Returns:
        Errors, claims and figure.
    """
    import jax

    size, nt, finer = QUICK if quick else FULL, int(depth), QUICK_FINER if quick else FINER
    training, held_out, _ = spirals(size.n)
    with jax.enable_x64(True):
        found = {scheme: _march((scheme, T, nt), finer, size, training, held_out, random_state) for scheme in SCHEMES}
    euler, rk4 = found["euler"], found["rk4"]
    numbers = {
        "steps": nt * np.array(finer),
        "error_percent": {scheme: m.errors for scheme, m in found.items()},
        "error_percent_by_the_other_scheme": {scheme: m.other for scheme, m in found.items()},
    }
    claims = [
        at_most("Trained by Euler steps: held-out points missed with these steps", euler.errors[0], size.error, " %"),
        at_most("Trained by RK4: missed with these steps", rk4.errors[0], size.error, " %"),
        at_least("Euler's weights with eight times as many steps miss", euler.errors[-1], 20.0, " %"),
        at_least("Euler's weights marched by RK4 miss", euler.other, 20.0, " %"),
        at_most("RK4's weights with eight times as many steps miss", rk4.errors[-1], size.error, " %"),
    ]
    return Outcome(numbers, claims, partial(_draw, nt * np.array(finer), found, held_out[0], held_out[1][:, 0]))


def _march(
    flow: tuple[str, float, int], finer: tuple[int, ...], size: Size, training: tuple, held_out: tuple, seed: int
) -> Marched:
    import jax.numpy as jnp

    from numdl.course.training import train
    from numdl.models import ResNet, prolonged, refined

    scheme, T, nt = flow
    net = ResNet(2, WIDTH, nt, T, "antisymmetric", scheme)
    how: dict[str, Any] = {"alpha": ALPHA, "iterations": size.iterations, "seed": seed}
    trained = train(net, "logistic", training, held_out, wrong, **how)
    theta, head, problem = trained.result.p, trained.result.aux, trained.problem
    axis = np.linspace(-2.0, 2.0, GRIDS[size])
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    nets, errors, regions = {1: (net, theta)}, [], {}
    for factor in FINER[1:]:
        coarse, given = nets[factor // 2]
        nets[factor] = (refined(coarse), prolonged(coarse, given))
    points = np.concatenate([held_out[0], grid])

    def scores(net: ResNet, theta: Any) -> np.ndarray:
        return np.asarray(problem.scores(_ends_of(net)(theta, jnp.asarray(points)), head))

    for factor in finer:
        found = scores(*nets[factor])
        errors.append(wrong(found[: -len(grid)], held_out[1]))
        if factor in (finer[0], finer[-1]):
            regions[factor] = found[-len(grid) :].reshape(len(axis), -1)
    other = dataclasses.replace(net, scheme=SCHEMES[scheme])
    return Marched(np.array(errors), wrong(scores(other, theta)[: -len(grid)], held_out[1]), regions)


@cache
def _ends_of(net: ResNet) -> Any:
    """Last states of a network: those of a network that both ways march are one program."""
    import jax

    return jax.jit(net.batch)


def _draw(steps: np.ndarray, found: dict[str, Marched], x: np.ndarray, labels: np.ndarray, figure: Figure) -> None:
    """Decision regions of both networks with their own and with eight times as many steps; errors over the steps."""
    from numdl.plots.canvas import GREEN, RED

    panels = figure.subplots(2, 3)
    for row, (scheme, m) in zip(panels, found.items(), strict=True):
        for axes, (factor, region) in zip(row, m.regions.items(), strict=False):
            draw_regions(axes, np.linspace(-2.0, 2.0, len(region)), region, x, labels)
            title = f"trained with {steps[0]} steps" if factor == 1 else f"the same weights, {factor * steps[0]} steps"
            axes.set(aspect="equal", title=f"{scheme}: {title}", xlim=(-2, 2), ylim=(-2, 2), xlabel="x1", ylabel="x2")
        color = RED if scheme == "euler" else GREEN
        row[2].plot(steps, m.errors, color=color, marker="o", label="finer steps")
        row[2].axhline(m.other, color=color, linestyle="--", label=f"{steps[0]} steps by {SCHEMES[scheme]}")
        row[2].set(title=f"{scheme}: held-out error", xlabel="steps", ylabel="%", ylim=(-2, 60))
        row[2].legend()
