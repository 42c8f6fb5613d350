"""Vanishing and exploding gradients.

Which dynamics let the slope vanish or explode on its way to the first layer, and which can do neither?

The slope in the state at time t is ``J(t)' v`` with J = du(T)/du(t), whose growth the eigenvalues of the Jacobian A of
the right-hand side decide: they are anywhere for plain weights, so that some directions explode; real and not positive
for parabolic flows, where slopes can only shrink; imaginary for antisymmetric and Hamiltonian ones, where they turn.
Verlet's steps of a Hamiltonian flow are symplectic to rounding, ``J' S J = S``: no direction shrinks unless another one
grows as much. A network of layers ``act(K u + b)`` has a product of matrices far from the identity instead.

Width 8, T = 10, 200 steps, the same weights on all layers, entries of K normal with deviation ``size / sqrt(8)``; each
curve is the median of many draws, with the least and the largest. States start small, normal with deviation 0.01, where
tanh does not saturate.

Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 2;
Galimberti, Furieri, Xu and Ferrari-Trecate, Hamiltonian deep neural networks, IEEE Trans. Automatic Control 68, 2023.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

TITLE = "Slopes grow in plain flows, shrink in parabolic ones, and do neither in Hamiltonian ones"
WIDTH, SAMPLES, STEPS, START = 8, 4, 200, 0.01
PARAMETERS = {"T": Parameter(10.0, 0.5, 40.0, "time at which the flows end, in 200 steps")}
FLOWS = {
    "plain flow": ("plain", "heun"),
    "antisymmetric": ("antisymmetric", "heun"),
    "Hamiltonian": ("double_hamiltonian", "verlet"),
    "parabolic": ("parabolic", "heun"),
}
SIZES = np.array([0.25, 0.5, 1.0, 2.0])


def run(quick: bool, random_state: int, *, T: float = PARAMETERS["T"].default) -> Outcome:
    """Slopes in the states at all times, over draws and sizes of the weights, and how symplectic Verlet's steps are.

    Args:
        quick: fewer draws.
        random_state: seed of weights, states and directions.
        T: time at which the flows end.

    Returns:
        Growth of slopes, claims and figure.
    """
    import jax

    draws = range(random_state, random_state + (10 if quick else 50))
    names = (*FLOWS, "layers without flow")
    with jax.enable_x64(True):
        found = {name: np.array([[slopes(name, size, seed, T) for seed in draws] for size in SIZES]) for name in names}
        unsymplectic = max(symplectic_defect(seed, T) for seed in draws)
    over_time = {name: values[SIZES == 1.0][0] for name, values in found.items()}
    at_start = {name: np.median(values[:, :, 0], axis=1) for name, values in found.items()}
    first = {name: values[:, 0] for name, values in over_time.items()}
    numbers = {
        "sizes": SIZES,
        "slope_in_the_first_state": at_start,
        "each_draw_of_size_1": first,
        "largest_symplectic_defect": unsymplectic,
    }
    claims = [
        at_least(
            "Plain flow: the slope in the first state, over that in the last one", np.median(first["plain flow"]), 10
        ),
        at_most("Layers without flow: its median", np.median(first["layers without flow"]), 1e-6),
        at_most("Parabolic: its largest value, as slopes cannot grow", first["parabolic"].max(), 1.0 + 1e-9),
        at_most("Parabolic: its median", np.median(first["parabolic"]), 0.5),
        at_least("Hamiltonian: its least value", first["Hamiltonian"].min(), 0.2),
        at_most("Hamiltonian: its largest value", first["Hamiltonian"].max(), 5.0),
        at_least("Antisymmetric: its least value", first["antisymmetric"].min(), 0.2),
        at_most("Antisymmetric: its largest value", first["antisymmetric"].max(), 5.0),
        at_most("Verlet: largest entry of J' S J - S", unsymplectic, 1e-10),
    ]
    return Outcome(numbers, claims, partial(_draw, over_time, at_start))


@cache
def step_of(name: str, T: float) -> Callable[[Any, Any], Any]:
    """``step(weights, u) -> u`` of one layer; the same function each time, so that it is compiled once."""
    import jax.numpy as jnp

    from numdl.flow import get_activation, get_dynamics, get_scheme

    act = get_activation("tanh")
    if name not in FLOWS:
        return lambda theta, u: act(theta["K"] @ u + theta["b"])
    dynamics, scheme = FLOWS[name]
    f, advance = get_dynamics(dynamics).vector_field(act), get_scheme(scheme).step
    return lambda theta, u: advance(f, jnp.asarray(0.0), T / STEPS, u, lambda c: theta)


def weights(name: str, size: float, seed: int) -> dict[str, np.ndarray]:
    """Weights of a layer: all normal with deviation ``size / sqrt(8)``, b between -0.1 and 0.1."""
    from numdl.flow import get_dynamics

    rng = np.random.default_rng(seed)
    layer = get_dynamics(FLOWS[name][0] if name in FLOWS else "plain").init(0, WIDTH, 1.0)
    return {
        key: rng.uniform(-0.1, 0.1, leaf.shape) if key == "b" else size / WIDTH**0.5 * rng.standard_normal(leaf.shape)
        for key, leaf in layer.items()
    }


def slopes(name: str, size: float, seed: int, T: float) -> np.ndarray:
    """Norm of the slope of a random product ``<v, u(T)>`` in the states at all times, over that at T.

    Args:
        name: of the dynamics.
        size: of the weights.
        seed: of weights, states at 0 and v.
        T: time at which the flows end.

    Returns:
        (STEPS + 1,).
    """
    import jax.numpy as jnp

    from numdl.analysis.layers import gradient_by_state

    layers = {key: jnp.broadcast_to(leaf, (STEPS, *leaf.shape)) for key, leaf in weights(name, size, seed).items()}
    u0, v = np.random.default_rng([seed, 1]).standard_normal((2, SAMPLES, WIDTH))
    found = gradient_by_state(step_of(name, T), layers, jnp.asarray(START * u0), product, jnp.asarray(v))
    return found / found[-1]


def product(last: Any, v: Any) -> Any:
    """``<v, u(T)>`` over all samples."""
    import jax.numpy as jnp

    return jnp.vdot(v, last)


@cache
def _transport(T: float) -> Callable[[Any, Any], Any]:
    import jax

    def end(u: Any, theta: Any) -> Any:
        return jax.lax.scan(lambda u, _: (step_of("Hamiltonian", T)(theta, u), None), u, length=STEPS)[0]

    return jax.jit(jax.jacobian(end))


def symplectic_defect(seed: int, T: float) -> float:
    """Largest entry of ``J' S J - S`` for the Jacobian of all steps of the Hamiltonian network."""
    import jax.numpy as jnp

    u0 = np.random.default_rng([seed, 1]).standard_normal(WIDTH)
    J = np.asarray(
        _transport(T)(jnp.asarray(u0), {k: jnp.asarray(a) for k, a in weights("Hamiltonian", 1.0, seed).items()})
    )
    S = np.kron([[0.0, 1.0], [-1.0, 0.0]], np.eye(WIDTH // 2))
    return float(np.max(np.abs(J.T @ S @ J - S)))


def _draw(over_time: dict[str, np.ndarray], at_start: dict[str, np.ndarray], figure: Figure) -> None:
    """Slopes over the layers on the left, in the first state over the size of the weights on the right."""
    from numdl.plots.canvas import CYCLE, GREY, logarithmic, logarithmic_x

    left, right = figure.subplots(1, 2)
    steps = np.arange(STEPS + 1)
    for (name, found), color in zip(over_time.items(), CYCLE, strict=False):
        left.plot(steps, np.median(found, axis=0), color=color, label=name)
        left.fill_between(steps, found.min(0), found.max(0), color=color, alpha=0.15, linewidth=0)
        right.plot(SIZES, at_start[name], color=color, marker="o", label=name)
    for axes in (left, right):
        axes.axhline(1.0, color=GREY, linestyle="--", linewidth=1)
        logarithmic(axes, np.array([1e-6, 1e6]))
        axes.set_ylim(1e-6, 1e6)
    logarithmic_x(right)
    left.set(xlabel="state behind layer", ylabel="over the slope in the last state", title="Slope, weights of size 1")
    left.legend(loc="upper right")
    right.set(
        xlabel="size of the weights",
        ylabel="over the slope in the last state",
        title="Slope in the first state, median",
    )
    right.set_xticks(SIZES, [f"{size:g}" for size in SIZES])
