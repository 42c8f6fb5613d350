"""Instability of a toy flow.

Why should one care about stability: what does a network learn whose steps are too long for its dynamics?

    u' = tanh(K u),    K = [-a-b, a, b; b, -a-b, a; a, b, -a-b],    T = 10

The truth has a = b = 1 and 200 Euler steps. ``-K`` is an M-matrix: every flow of this kind lets the three entries
approach each other, and a network with 100 steps (h = 0.1) does so too. With 5 steps (h = 2) it is outside the
stability region: small differences grow until tanh saturates. Its misfit is large at the truth, lowest far away from
it, and another one on other samples from the same distribution.

Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 3.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Why you should care: steps outside the stability region learn noise"
T, STEPS, TRUE_STEPS, TRUTH = 10.0, {"coarse": 5, "fine": 100}, 200, (1.0, 1.0)
SAMPLES = 20
PARAMETERS = {"size": Parameter(0.1, 1e-3, 1.0, "standard deviation of the entries of a sample")}


def run(quick: bool, random_state: int, *, size: float = PARAMETERS["size"].default) -> Outcome:
    """Misfit over both parameters, for few and for many steps, on samples to train on and on others.

    Args:
        quick: a coarse grid.
        random_state: seed of the samples.
        size: standard deviation of the entries of a sample.

    Returns:
        Misfits, claims and figure.
    """
    import jax

    from numdl.analysis.stability import largest_step
    from numdl.flow import get_scheme

    rng = np.random.default_rng(random_state)
    axis = np.linspace(0.2, 2.0, 19 if quick else 101)
    with jax.enable_x64(True):
        x = {name: size * rng.standard_normal((SAMPLES, 3)) for name in ("training", "test")}
        c = {name: paths(TRUTH, start, TRUE_STEPS)[:, -1] for name, start in x.items()}
        maps = {kind: {name: misfits(axis, nt, x[name], c[name]) for name in x} for kind, nt in STEPS.items()}
        ways = {kind: paths(TRUTH, x["training"], nt) for kind, nt in STEPS.items()}
        decay = np.linalg.eigvals(matrix(*TRUTH))
        longest = largest_step(get_scheme("euler"), decay, T / STEPS["fine"], False)
    truth = np.array(TRUTH)
    at_truth = {kind: 0.5 * float(np.sum((way[:, -1] - c["training"]) ** 2)) for kind, way in ways.items()}
    spread = {kind: np.max(np.ptp(way, axis=2), axis=0) for kind, way in ways.items()}
    gap = {kind: float(np.max(np.abs(found["training"] - found["test"]))) for kind, found in maps.items()}
    away = {kind: float(np.linalg.norm(_lowest(axis, found["training"]) - truth)) for kind, found in maps.items()}
    numbers = {
        "step": {kind: T / nt for kind, nt in STEPS.items()},
        "longest_stable_step": longest,
        "misfit_at_the_truth": at_truth,
        "largest_gap": gap,
        "distance_of_the_minimiser": away,
        "spread_of_a_sample": spread,
    }
    claims = [
        at_most("Euler's method is stable for h", longest, 0.67),
        at_least("With h = 2 the misfit at the truth is", at_truth["coarse"], 10.0),
        at_most("With h = 0.1 it is", at_truth["fine"], 1e-6),
        at_least("With h = 2 training and test misfit differ by", gap["coarse"], 10.0),
        at_most("With h = 0.1 they differ by", gap["fine"], 1e-3),
        at_least("With h = 2 the lowest misfit is away from the truth by", away["coarse"], 0.5),
        at_most("With h = 0.1 it is away by", away["fine"], 0.3),
        at_most("With h = 0.1 the entries of a sample approach each other to", spread["fine"][-1], 1e-6),
    ]
    return Outcome(numbers, claims, partial(_draw, axis, maps, spread))


def matrix(a: Any, b: Any) -> np.ndarray:
    """K of the flow, (3, 3)."""
    return np.array([[-a - b, a, b], [b, -a - b, a], [a, b, -a - b]])


def paths(theta: Any, x: np.ndarray, nt: int) -> np.ndarray:
    """States of samples at all times, by Euler steps with the same weights.

    Args:
        theta: a and b, not negative, in 1 / time, (2,).
        x: states at 0, (n, 3).
        nt: number of steps.

    Returns:
        (n, nt + 1, 3).
    """
    import jax
    import jax.numpy as jnp

    from numdl.flow import serial

    over = jax.jit(jax.vmap(partial(_march, serial, nt), (None, 0)))
    return np.asarray(over(jnp.asarray(theta), jnp.asarray(x)))


def misfits(axis: np.ndarray, nt: int, x: np.ndarray, c: np.ndarray) -> np.ndarray:
    """``sum ||u_i(T) - c_i||^2 / 2`` on the grid of all pairs; row i has ``a = axis[i]``.

    Args:
        axis: values of a and of b, (r,).
        nt: number of steps.
        x: states at 0, (n, 3).
        c: wanted states at T, (n, 3).

    Returns:
        (r, r).
    """
    import jax
    import jax.numpy as jnp

    from numdl.flow import final

    def misfit(theta: Any, x: Any, c: Any) -> Any:
        return 0.5 * jnp.sum((jax.vmap(lambda u: _march(final, nt, theta, u))(x) - c) ** 2)

    pairs = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    over = jax.jit(jax.vmap(jax.vmap(misfit, (0, None, None)), (0, None, None)))
    return np.asarray(over(*(jnp.asarray(a) for a in (pairs, x, c))))


def _march(way: Any, nt: int, theta: Any, u: Any) -> Any:
    """One sample through the M-matrix field of the library, whose pulls are squares."""
    import jax.numpy as jnp

    from numdl.flow import BasisInTime, get_activation, get_dynamics, get_scheme

    a, b = theta
    pulls = jnp.array([[0.0, a, b], [b, 0.0, a], [a, b, 0.0]])
    weights = {"a": jnp.sqrt(pulls)[None], "b": jnp.zeros((1, 3))}
    f = get_dynamics("m_matrix").vector_field(get_activation("tanh"))
    return way(get_scheme("euler"), f, BasisInTime(nt, 1, "legendre"), weights, u, 0.0, T / nt)


def _lowest(axis: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Parameters of the smallest misfit, (2,)."""
    return axis[list(np.unravel_index(np.argmin(values), values.shape))]


def _draw(axis: np.ndarray, maps: dict, spread: dict, figure: Figure) -> None:
    """For each number of steps: both misfits, and how far the entries of a sample are from each other."""
    from numdl.plots.canvas import BLUE, ORANGE, RED, logarithmic
    from numdl.plots.landscape import draw_plane

    parts = figure.subplots(2, 3)
    for row, (kind, nt) in zip(parts, STEPS.items(), strict=True):
        h = T / nt
        for axes, (name, values) in zip(row, maps[kind].items(), strict=False):
            draw_plane(axes, axis, axis, values.T, "misfit")
            axes.plot(*TRUTH, "*", color=RED, markersize=12, markeredgecolor="white", markeredgewidth=0.8)
            axes.set(title=f"h = {h:g}, {name} samples", xlabel="a", ylabel="b", aspect="equal")
        size = spread[kind]
        row[2].plot(h * np.arange(nt + 1), size, color=ORANGE if kind == "coarse" else BLUE)
        logarithmic(row[2], size)
        row[2].set(title=f"h = {h:g}, entries apart", xlabel="t", ylabel="largest difference in a sample")
