"""Accuracy of the continuous adjoint (neural ODE gradients).

When may the continuous adjoint stand for the derivative of the steps?

Optimise-discretise integrates states and adjoints backwards from T. Where the flow forgets, as parabolic ones do, the
states that come back are wrong, and the gradient with them: by several times its own norm for weights of moderate
size, and more steps help little. Where the flow conserves, as antisymmetric ones do, the error is that of the scheme.

Source: Gholami, Keutzer and Biros, ANODE, IJCAI 2019, sec. 3; Onken and Ruthotto, arXiv:2005.13420.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Claim, Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "The continuous adjoint is wrong where a flow forgets, and close where it conserves"
WIDTH, SAMPLES = 20, 8
PARAMETERS = {"T": Parameter(2.0, 0.25, 4.0, "time at which the flow ends")}
SIZES = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0])
DYNAMICS = ("parabolic", "antisymmetric")


def run(quick: bool, random_state: int, *, T: float = PARAMETERS["T"].default) -> Outcome:
    """Relative error of the gradient by the weights, over the size of the weights, for two numbers of steps.

    Args:
        quick: 20 and 80 steps only.
        random_state: seed of weights and samples.
        T: time at which the flow ends.

    Returns:
        Errors, a verdict, claims and figure.
    """
    import jax

    from numdl.analysis.stability import adjoint_report
    from numdl.models import ResNet

    depths = (20, 80) if quick else (20, 40, 80, 160)
    net = ResNet(WIDTH, WIDTH, 20, T=T, dynamics="parabolic", scheme="rk4", opening=False)
    x = np.random.default_rng(random_state).standard_normal((SAMPLES, WIDTH))
    with jax.enable_x64(True):
        errors = {name: gradient_errors(name, depths, x, random_state, T) for name in DYNAMICS}
        layer = weights("parabolic", random_state)
        theta = {key: np.broadcast_to(3.0 * value, (20, *value.shape)) for key, value in layer.items()}
        report = adjoint_report(net, {"flow": theta}, x)
    few, many = depths[0], depths[-1]
    numbers = {"size": SIZES, "error": errors, "verdict": report.verdict, "reconstructed": report.reconstructed}
    wrong, right = errors["parabolic"], errors["antisymmetric"]
    told = report.verdict[0].startswith("The continuous adjoint is wrong")
    claims = [
        at_least("Parabolic, weights of size 4: the gradient is off, in its norms, by", wrong[few][-1], 1.0),
        at_most("Weights of size 0.5: it is off by", wrong[few][0], 0.01),
        at_least("With four times as many steps, at size 4, still by", wrong[80][-1], 0.1),
        at_most("Antisymmetric, weights of size 4, four times as many steps: off by", right[80][-1], 0.01),
        at_most("and by what part of the error with fewer", float(right[many][-1] / right[few][-1]), 0.1),
        Claim("adjoint_report calls the adjoint of the parabolic network wrong", told, report.verdict[0]),
    ]
    return Outcome(numbers, claims, partial(_draw, errors, report.reconstructed, T))


def weights(dynamics: str, seed: int) -> dict[str, np.ndarray]:
    """One layer of standard normal weights over the root of the width, no bias, for all times."""
    from numdl.flow import get_dynamics

    rng = np.random.default_rng(seed)
    layer = {name: np.asarray(leaf) for name, leaf in get_dynamics(dynamics).init(0, WIDTH, 1.0).items()}
    return {
        name: rng.standard_normal(leaf.shape) / WIDTH**0.5 if name != "b" else np.zeros(leaf.shape)
        for name, leaf in layer.items()
    }


def gradient_errors(
    dynamics: str, depths: tuple[int, ...], x: np.ndarray, seed: int, T: float
) -> dict[int, np.ndarray]:
    """``||g_adjoint - g|| / ||g||`` for each size of the weights.

    All are marches of the largest number of steps, of which those beyond T have no length, so that one compilation
    serves: such steps move nothing, and their weights have no gradient.

    Args:
        dynamics: key of ``numdl.flow.DYNAMICS``.
        depths: numbers of steps.
        x: states at 0, (n, m).
        seed: of weights and of the loss, a fixed product with the last states.
        T: time at which the flow ends.

    Returns:
        For each number of steps (sizes,).
    """
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    from numdl.flow import PiecewiseConstant, get_activation, get_dynamics, get_march, get_scheme
    from numdl.flow.march import over_samples

    f, layer = get_dynamics(dynamics).vector_field(get_activation("tanh")), weights(dynamics, seed)
    v = np.random.default_rng(seed + 1).standard_normal(x.shape)

    nt = max(depths)

    def slope(size: Any, h: Any, march: str) -> Any:
        coeffs = {name: size * jnp.broadcast_to(leaf, (nt, *leaf.shape)) for name, leaf in layer.items()}
        steps = get_scheme("rk4"), f, PiecewiseConstant(nt)
        total = lambda c: jnp.vdot(v, over_samples(get_march(march), *steps, c, jnp.asarray(x), 0.0, h))  # noqa: E731
        return ravel_pytree(jax.grad(total)(coeffs))[0]

    @jax.jit
    def errors(sizes: Any, h: Any) -> Any:
        def error(size: Any) -> Any:
            exact = slope(size, h, "stored")
            return jnp.linalg.norm(slope(size, h, "adjoint") - exact) / jnp.linalg.norm(exact)

        return jax.lax.map(error, sizes)

    lengths = {depth: jnp.where(np.arange(nt) < depth, T / depth, 0.0) for depth in depths}
    return {depth: np.asarray(errors(jnp.asarray(SIZES), h)) for depth, h in lengths.items()}


def _draw(errors: dict, reconstructed: np.ndarray, T: float, figure: Figure) -> None:
    """Errors over the size of the weights, and the error of the states on the way back."""
    from numdl.plots.canvas import BLUE, RED, logarithmic

    left, right = figure.subplots(1, 2)
    for (name, found), color in zip(errors.items(), (RED, BLUE), strict=True):
        for k, (nt, error) in enumerate(found.items()):
            left.plot(SIZES, error, "o" + "-:"[k % 2], color=color, alpha=1.0 - 0.2 * k, label=f"{name}, {nt} steps")
    logarithmic(left, np.concatenate([error for found in errors.values() for error in found.values()]))
    left.set(title="Error of the gradient by the weights", xlabel="size of the weights", ylabel="relative error")
    left.legend()
    right.plot(np.linspace(0, T, len(reconstructed)), reconstructed, color=RED)
    right.set(
        title="Parabolic, size 3: states integrated backwards", xlabel="t", ylabel="relative error", ylim=(0, None)
    )
