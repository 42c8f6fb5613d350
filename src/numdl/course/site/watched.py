"""Networks that are watched while they learn: a layer whose units move, and a deep network that shallow ones teach.

``python -m numdl.course.site.watched`` writes ``data/moved_data.mjs`` and ``data/levels_data.mjs`` again, which takes
some minutes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from numdl.course.site import grids

ROWS, TEST = 300, 400
WIDTHS, SNAPSHOTS, START = (4, 8, 16, 32), (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120), 1.0
UNITS, EPOCHS = 8, 4
SIZES, SCALES, DRAWS = (4, 8, 16, 24, 32, 48, 64, 96, 128), (0.5, 1.0, 2.0, 4.0), 20
ALPHA = 1e-8
DEPTH, WIDTH, TIMES, ITERATIONS, SEEDS = 16, 4, (1, 4), 40, (0, 1, 2)
SCHEDULES = {"one": (1, 0), "rule": (3, 0), "5": (3, 5), "15": (3, 15)}
"""By name: levels, and the iterations after which a level is left; 0 where the rule of numdl says when."""


def peaks_rows(seed: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Rows of the peaks surface: points scaled to [-1, 1], values over 2.

    Args:
        seed: of the points.

    Returns:
        Points (300, 2) and targets (300, 1) to train on; points (400, 2) and targets (400, 1) to test.
    """
    from numdl.data.problems.toys import peaks

    x = 2 * np.random.RandomState(seed).random_sample((ROWS + TEST, 2)) - 1
    c = peaks(3 * x[:, 0], 3 * x[:, 1])[:, None] / 2
    return (x[:ROWS], c[:ROWS]), (x[ROWS:], c[ROWS:])


def drawn_layer(seed: int, m: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of units ``tanh(k'x + b)`` as they are drawn.

    Args:
        seed: of the weights; the first units of a seed are the same for every m.
        m: number of units.
        scale: deviation of slopes and shifts, in units in which the points fill [-1, 1].

    Returns:
        ``K`` (m, 2) and ``b`` (m,).
    """
    drawn = scale * np.random.RandomState(seed).standard_normal((m, 3))
    return drawn[:, :2], drawn[:, 2]


def best_head(Z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Minimiser of ``mean |[Z, 1] w - c|^2 + ALPHA |w|^2`` without a penalty on the constant.

    Args:
        Z: features (n, m).
        c: targets (n,).

    Returns:
        ``w`` (m + 1,), the constant last.
    """
    n, m = Z.shape
    A = np.vstack([np.column_stack([Z, np.ones(n)]), np.sqrt(n * ALPHA) * np.eye(m, m + 1)])
    return np.linalg.lstsq(A, np.append(c, np.zeros(m)), rcond=None)[0]


def error_of(K: np.ndarray, b: np.ndarray, seed: int = 0) -> float:
    """Error of a layer with its best head on the rows to test, over the deviation of their targets.

    Args:
        K: slopes (m, 2).
        b: shifts (m,).
        seed: of the points.

    Returns:
        Root mean square error over deviation.
    """
    (x, c), (x_test, c_test) = peaks_rows(seed)
    w = best_head(np.tanh(x @ K.T + b), c[:, 0])
    off = np.tanh(x_test @ K.T + b) @ w[:-1] + w[-1] - c_test[:, 0]
    return float(np.sqrt(np.mean(off**2)) / np.std(c_test))


def moving(m: int, iterations: int = SNAPSHOTS[-1]) -> list[dict[str, Any]]:
    """A layer of m units while Levenberg-Marquardt with eliminated head moves them.

    Args:
        m: number of units.
        iterations: at most.

    Returns:
        For each snapshot its ``iteration``, ``K`` (m, 2) and ``b`` (m,).
    """
    import jax
    import jax.numpy as jnp

    from numdl.models import ResNet
    from numdl.optimize import LevenbergMarquardt, Progress, minimize

    found: list[dict[str, Any]] = []
    with jax.enable_x64(True):
        (x, c), _ = peaks_rows(0)
        K, b = drawn_layer(1, m, START)
        theta = ResNet(2, m, 0).init(jax.random.key(0), np.float64)
        theta["opening"] = {"K": jnp.asarray(K), "b": jnp.asarray(b)}
        problem = _problem(ResNet(2, m, 0), theta, x, c)

        def watch(progress: Progress) -> None:
            p: Any = progress.iterate.p
            found.append({"iteration": len(found), **{name: _five(p["opening"][name]) for name in ("K", "b")}})

        method = LevenbergMarquardt(tol=1e-12)
        minimize(problem, method, theta, problem.first_head(theta), max_iter=iterations + 1, observe=watch)
    kept = [one for one in found if one["iteration"] in SNAPSHOTS]
    return kept + [{**found[-1], "iteration": k} for k in SNAPSHOTS if k >= len(found)]


def drawn_errors(m: int, scale: float) -> list[float]:
    """Errors of drawn layers with their best heads.

    Args:
        m: number of units.
        scale: of the weights.

    Returns:
        The 10 %, 50 % and 90 % quantiles over the draws.
    """
    errors = [error_of(*drawn_layer(seed, m, scale)) for seed in range(1, DRAWS + 1)]
    return _five(np.quantile(errors, [0.1, 0.5, 0.9]))


def batches(size: int, seed: int) -> list[np.ndarray]:
    """Rows of each batch of four epochs, each in the order of uniform numbers.

    Args:
        size: rows of a batch, a divisor of 300.
        seed: of the orders.

    Returns:
        Indices (size,) of each batch.
    """
    rng = np.random.RandomState(seed)
    orders = np.concatenate([np.argsort(rng.random_sample(ROWS), kind="stable") for _ in range(EPOCHS)])
    return list(orders.reshape(-1, size))


def head_race(draw: int) -> tuple[Any, Any, Any, Any]:
    """A layer of 8 units and a head to train on batches.

    Args:
        draw: seed of the weights.

    Returns:
        The problem with eliminated head, weights and head to begin with, and the same problem on the rows to test.
    """
    import jax.numpy as jnp

    from numdl.models import ResNet

    K, b = drawn_layer(draw, UNITS, 2.0)
    net = ResNet(2, UNITS, 0)
    theta = {**net.init(0), "opening": {"K": jnp.asarray(K), "b": jnp.asarray(b)}}
    head = jnp.asarray(np.random.RandomState(draw + 100).standard_normal((1, UNITS + 1)) / 4)
    training, test = (_problem(net, theta, x, c, 0.0) for x, c in peaks_rows(0))
    return training, theta, head, test


def rms(problem: Any, theta: Any, head: Any) -> float:
    """Error of a layer and a head.

    Args:
        problem: of the rows to test.
        theta: weights of the layer.
        head: (1, m + 1).

    Returns:
        Root mean square error over the deviation of the targets.
    """
    off = problem.scores(problem.embed(theta), head) - problem.c
    return float(np.sqrt(np.mean(np.square(off))) / np.std(problem.c))


def network_of(level: dict[str, Any], T: float) -> tuple[Any, Any, Any]:
    """Network, weights and head at the end of a level.

    Args:
        level: an entry of ``levels`` of `taught`.
        T: end of the interval that the layers divide.

    Returns:
        ``ResNet``, its weights, and the head (1, 5).
    """
    import jax.numpy as jnp

    from numdl.models import ResNet

    net = ResNet(2, WIDTH, level["depth"], float(T), dynamics="antisymmetric")
    opening = {"K": jnp.asarray(level["K0"]), "b": jnp.asarray(level["b0"])}
    flow = {name: jnp.asarray(level[name]) for name in ("a", "b")}
    return net, {"opening": opening, "flow": flow}, jnp.asarray(level["W"])


def taught(schedule: str, T: float, seed: int) -> dict[str, Any]:
    """A network of 16 antisymmetric layers, trained from 4 over 8 to 16 layers or at once.

    Args:
        schedule: a key of ``SCHEDULES``.
        T: end of the interval that the layers divide.
        seed: of the first weights.

    Returns:
        ``levels``: for each the ``depth``, number of ``iterations``, their work in passes through 16 layers, and
        weights and head at its end; ``objective``, ``work``, ``error`` and ``gained`` (what the rule compared, else
        None) after each iteration.
    """
    import jax

    with jax.enable_x64(True):
        return _taught(*SCHEDULES[schedule], T, seed)


def _taught(levels: int, fixed: int, T: float, seed: int) -> dict[str, Any]:
    from numdl.course.training import reduced
    from numdl.models import ResNet, coarsened, prolonged, refined
    from numdl.optimize import LevenbergMarquardt, Progress, Refinement, minimize_cascadic

    @dataclasses.dataclass(frozen=True)
    class Fixed(Refinement):
        """Leave a level after its window, whatever was gained."""

        def due(self, error: float, progress: float) -> bool:
            return bool(np.isfinite(error))

    (x, c), _ = peaks_rows(0)
    net = ResNet(2, WIDTH, DEPTH, T, dynamics="antisymmetric")
    nets = [coarsened(net, levels)]
    while nets[-1].depth < DEPTH:
        nets.append(refined(nets[-1]))
    theta = nets[0].init(seed)
    problems = [reduced(part, "least_squares", part.init(seed), x, c, ALPHA) for part in nets]
    ends: dict[int, Any] = {}

    def watch(progress: Progress) -> None:
        p: Any = progress.iterate.p
        level = int(progress.history["level"][-1])
        flow = {name: _five(value) for name, value in p["flow"].items()}
        opening = {"K0": _five(p["opening"]["K"]), "b0": _five(p["opening"]["b"])}
        ends[level] = {"depth": nets[level].depth, **opening, **flow, "W": _five(progress.iterate.aux)}

    result, _ = minimize_cascadic(
        problems,
        LevenbergMarquardt(tol=0.0),
        theta,
        problems[0].first_head(theta),
        prolong=lambda level, p: prolonged(nets[level], p, "same"),
        rule=Fixed(window=fixed) if fixed else Refinement(),
        max_iter=ITERATIONS if levels == 1 else ITERATIONS * 3 // 2,
        observe=watch,
    )
    history = {name: np.asarray(column) for name, column in result.history.items()}
    at = [int(level) for level in history["level"]]
    count = len(at)
    numbers: dict[str, Any] = {"objective": history["objective"], "work": history["work"]}
    for ours, theirs in (("error", "discretisation_error"), ("gained", "progress")):
        column = history.get(theirs, np.full(count, np.nan))
        numbers[ours] = [None if np.isnan(value) else float(f"{value:.5g}") for value in column[:count]]
    found = {
        name: _five(column[:count]) if name in ("objective", "work") else column for name, column in numbers.items()
    }
    steps = [{**ends[level], "iterations": at.count(level)} for level in sorted(ends)]
    return {"levels": steps, **found}


def _problem(net: Any, theta: Any, x: np.ndarray, c: np.ndarray, alpha: float = ALPHA) -> Any:
    """Least squares with eliminated head, hardly any penalty."""
    from numdl.course.training import reduced

    return reduced(net, "least_squares", theta, x, c, alpha)


def _five(values: Any) -> Any:
    return grids._short(values)


if __name__ == "__main__":
    bands = {f"{scale:g}": [drawn_errors(m, scale) for m in SIZES] for scale in SCALES}
    moved = {"sizes": list(SIZES), "bands": bands, "trained": {m: moving(m) for m in WIDTHS}}
    print(grids.write("moved_data", moved, by="watched"))
    runs = {f"{name} {T} {seed}": taught(name, T, seed) for name in SCHEDULES for T in TIMES for seed in SEEDS}
    print(grids.write("levels_data", runs, by="watched"))
