"""Plain against residual networks.

Why do deep plain networks not train: how large is the slope that reaches the first layer?

    plain     u_{j+1} = tanh(K_j u_j + b_j)
    residual  u_{j+1} = u_j + h tanh(K_j u_j + b_j)

Both with the same small random weights, least squares on ``peaks`` through one fixed head. The slope in u_0 is a
product of as many Jacobians as there are layers: each has a norm well below 1 in the plain network, and is near to the
identity in the residual one. Setting: width 8, 6 layers, h = 1, entries of K normal with deviation 0.1 / sqrt(8), b
uniform in [-0.1, 0.1]. A second setting is that of the course: five layers of width 4 and one to a single output, no
b, entries of K normal with deviation 0.2, and 100 samples whose targets come from the same network with other weights.
One draw there gave a gradient of norm 1.1e-4 for the plain and of 22.8 for the residual network.

Source: Bengio, Simard, Frasconi, IEEE Trans. Neural Networks 5 (1994); He, Zhang, Ren, Sun, ECCV 2016.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Plain and residual networks: what is left of the slope in the first layer"
WIDTH = 8
SCALES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
KINDS = ("plain", "residual")
PARAMETERS = {
    "scale": Parameter(0.1, 0.01, 2.0, "deviation of the entries of K, times the root of the width"),
    "layers": Parameter(6, 2, 50, "layers of the network whose slopes are shown layer by layer"),
}


def run(
    quick: bool,
    random_state: int,
    *,
    scale: float = PARAMETERS["scale"].default,
    layers: float = PARAMETERS["layers"].default,
) -> Outcome:
    """Slopes by layer, over depth and over the size of the weights.

    Args:
        quick: fewer samples, depths and seeds.
        random_state: seed of points and weights.
        scale: deviation of the entries of K, times the root of the width.
        layers: of the network whose slopes are shown layer by layer.

    Returns:
        Norms, claims and figure.
    """
    import jax

    n, depths, seeds = (200, (2, 6, 12), 3) if quick else (1000, (2, 4, 6, 10, 16, 24, 32), 10)
    depth = int(layers)

    with jax.enable_x64(True):
        first = {kind: _slopes(kind, n, depth, scale, random_state) for kind in KINDS}

        def over(pairs: list[tuple[int, float]]) -> dict[str, np.ndarray]:
            """Norm of the slope in u_0, median over seeds."""
            draws = range(random_state, random_state + seeds)
            return {
                kind: np.array([np.median([_slopes(kind, n, d, s, r)[0][0] for r in draws]) for d, s in pairs])
                for kind in KINDS
            }

        by_depth = over([(each, scale) for each in depths])
        by_scale = over([(depth, each) for each in SCALES])
        course = {kind: course_gradients(kind, range(random_state, random_state + 20)) for kind in KINDS}
    (plain_u, plain_w), (residual_u, residual_w) = first["plain"], first["residual"]
    numbers = {
        "setting": {"width": WIDTH, "layers": depth, "scale": scale, "rows": n},
        "slope_in_states": {"plain": plain_u, "residual": residual_u},
        "slope_in_weights": {"plain": plain_w, "residual": residual_w},
        "depths": depths,
        "by_depth": by_depth,
        "scales": SCALES,
        "by_scale": by_scale,
        "course": {kind: {"median": np.median(norms), "each": norms} for kind, norms in course.items()},
    }
    times = float(np.median(course["residual"] / course["plain"]))
    decay = (by_depth["plain"][-1] / by_depth["plain"][0]) ** (1 / (depths[-1] - depths[0]))
    claims = [
        at_least("In u_0 the residual slope is larger by a factor of", residual_u[0] / plain_u[0], 1e3),
        at_least("In the weights of the first layer by a factor of", residual_w[0] / plain_w[0], 1e3),
        at_most("Each further layer leaves of the plain slope a share of", decay, 0.3),
        at_least("The residual slope in u_0 is that in the last state times", residual_u[0] / residual_u[-1], 0.5),
        at_most("and times", residual_u[0] / residual_u[-1], 2.0),
        at_least("In the course's setting the residual gradient is larger by a factor of", times, 1e3),
    ]
    return Outcome(numbers, claims, partial(_draw, first, (np.array(depths), by_depth), (np.array(SCALES), by_scale)))


def course_gradients(kind: str, seeds: Iterable[int]) -> np.ndarray:
    """Norm of the gradient of ``sum_i (f(K, x_i) - f(K', x_i))^2 / 2`` in all weights K, in the course's setting.

    Args:
        kind: "plain" or "residual"; the last layer is plain in both.
        seeds: each draws samples and both sets of weights.

    Returns:
        One norm for each seed.

    Source: NumDL-MATLAB, the example that compares a residual with a plain network.
    """
    import jax
    import jax.numpy as jnp

    def f(layers: list[Any], u: Any) -> Any:
        for K in layers[:-1]:
            u = jnp.tanh(u @ K.T) + (u if kind == "residual" else 0.0)
        return jnp.tanh(u @ layers[-1].T)

    def norm(layers: list[Any], others: list[Any], x: Any) -> Any:
        slopes = jax.grad(lambda layers: 0.5 * jnp.sum((f(layers, x) - f(others, x)) ** 2))(layers)
        return jnp.sqrt(sum(jnp.sum(slope**2) for slope in slopes))

    draws = [course_draw(seed) for seed in seeds]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *draws)
    return np.asarray(jax.jit(jax.vmap(norm))(*stacked))


def course_draw(seed: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Weights, other weights and samples (100, 4) of the course's setting."""
    rng = np.random.default_rng(seed)
    shapes = [(4, 4)] * 5 + [(1, 4)]
    layers, others = ([0.2 * rng.standard_normal(shape) for shape in shapes] for _ in range(2))
    return layers, others, rng.standard_normal((100, 4))


def _plain_step(theta: Any, u: Any) -> Any:
    import jax.numpy as jnp

    return jnp.tanh(theta["K"] @ u + theta["b"])


def _residual_step(theta: Any, u: Any) -> Any:
    return u + _plain_step(theta, u)


STEPS = {"plain": _plain_step, "residual": _residual_step}


def _misfit(u: Any, head: Any, c: Any) -> Any:
    import jax.numpy as jnp

    return 0.5 * jnp.mean(jnp.sum((u @ head.T - c) ** 2, axis=1))


def _loss(kind: str, u0: Any, head: Any, c: Any, p: Any) -> Any:
    import jax

    last = jax.lax.scan(lambda u, theta: (jax.vmap(STEPS[kind], (None, 0))(theta, u), None), u0, p["flow"])[0]
    return _misfit(last, head, c)


def _slopes(kind: str, n: int, depth: int, scale: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Norms of the slope in the states (depth + 1,) and in the matrices (depth,)."""
    import jax.numpy as jnp
    from jax.tree_util import Partial  # its arguments are arrays of what is compiled, not constants in it

    from numdl.analysis import gradient_by_layer, gradient_by_state
    from numdl.data import TOYS

    data = TOYS["peaks-regression"](n, seed)
    rng = np.random.default_rng(seed)
    opening = rng.standard_normal((2, WIDTH))
    u0 = jnp.asarray(np.tanh(data.x / 3 @ opening))
    head, c = jnp.asarray(rng.standard_normal((1, WIDTH))), jnp.asarray(data.c)
    layers = {
        "K": jnp.asarray(scale / WIDTH**0.5 * rng.standard_normal((depth, WIDTH, WIDTH))),
        "b": jnp.asarray(scale * rng.uniform(-1, 1, (depth, WIDTH))),
    }
    states = gradient_by_state(STEPS[kind], layers, u0, _misfit, head, c)
    weights = gradient_by_layer(Partial(_loss, kind, u0, head, c), {"flow": layers})["flow K"]
    return states, weights


def _draw(first: dict, by_depth: tuple, by_scale: tuple, figure: Figure) -> None:
    """Slopes in states and weights by layer; below, that in the first state over depth and size of the weights."""
    from numdl.plots.canvas import BLUE, ORANGE, logarithmic, logarithmic_x

    parts = figure.subplots(2, 2)
    colors = dict(zip(KINDS, (ORANGE, BLUE), strict=True))
    for kind, (states, weights) in first.items():
        style = {"color": colors[kind], "marker": "o", "markersize": 4, "label": kind}
        parts[0, 0].plot(states, **style)
        parts[0, 1].plot(weights, **style)
        for axes, (x, values) in ((parts[1, 0], by_depth), (parts[1, 1], by_scale)):
            axes.plot(x, values[kind], **style)
    for axes in parts.flat:
        logarithmic(axes, np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.get_lines()]))
        axes.legend()
    logarithmic_x(parts[1, 1])
    depth = len(first["plain"][1])
    parts[0, 0].set(title=f"In the states, {depth} layers", xlabel="layer j", ylabel="norm of the slope in u_j")
    parts[0, 1].set(title=f"In the weights, {depth} layers", xlabel="layer j", ylabel="norm of the slope in K_j")
    parts[1, 0].set(title="Over the depth", xlabel="number of layers", ylabel="norm of the slope in u_0")
    parts[1, 1].set(
        title=f"Over the size of the weights, {depth} layers",
        xlabel="deviation of the entries of K, times sqrt(width)",
        ylabel="norm of the slope in u_0",
    )
