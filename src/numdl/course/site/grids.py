"""Numbers that pages show and a browser cannot compute: which networks does numdl train for them?

``python -m numdl.course.site.grids`` writes the modules of ``data/`` again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent / "data"
STEPS, ROWS, TEST, WIDTH, NOISE, ALPHA = {5: 2.0, 10: 0.5, 20: 0.25}, 100, 200, 4, 0.05, 1e-4
SIZES = (3, 6, 10, 15, 20, 25, 30, 34, 37, 39, 40, 41, 43, 46, 50, 55, 60, 70, 80, 100, 130, 170, 240)
NOISES, GRID = (0.1, 0.3, 1.0), np.geomspace(1e-6, 1e4, 81)
SNAPSHOTS = (0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30, 40, 50, 60)


def spectra(depth: int, iterations: int = SNAPSHOTS[-1]) -> list[dict[str, Any]]:
    """A plain residual network trained on the peaks surface, at some iterations.

    Levenberg-Marquardt on the problem whose head is eliminated.

    Args:
        depth: number of layers, a key of ``STEPS``, which holds the size of each.
        iterations: at most.

    Returns:
        For each snapshot its ``iteration`` and weights ``K0`` (4, 2), ``b0``, ``K`` (depth, 4, 4), ``b``, ``W`` (1, 5).
    """
    import jax
    import jax.numpy as jnp

    from numdl.models import ResNet
    from numdl.optimize import LevenbergMarquardt, Progress, minimize
    from numdl.problems import VarPro, get_loss
    from numdl.regularize import GroupPenalty

    found: list[dict[str, Any]] = []
    with jax.enable_x64(True):
        (x, c), _ = rows()
        net = ResNet(2, WIDTH, depth, T=STEPS[depth] * depth, dynamics="plain")
        theta, alpha = net.init(jax.random.key(0), np.float64), ALPHA
        penalty = GroupPenalty(jnp.full(1, alpha), jnp.zeros(net.n_parameters, jnp.int32))
        loss = get_loss("least_squares")
        problem = VarPro(net, loss, jnp.asarray(x), jnp.asarray(c), jnp.ones(ROWS), penalty, jnp.asarray(alpha))

        def watch(progress: Progress) -> None:
            k = len(found)
            p: Any = progress.iterate.p
            parts = {"K0": p["opening"]["K"], "b0": p["opening"]["b"], **p["flow"], "W": progress.iterate.aux}
            found.append({"iteration": k, **{name: _short(value) for name, value in parts.items()}})

        method = LevenbergMarquardt(tol=1e-10)
        minimize(problem, method, theta, problem.first_head(theta), max_iter=iterations + 1, observe=watch)
    return [one for one in found if one["iteration"] in SNAPSHOTS]


def rows() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Rows of the peaks surface, standardised: those to train on, with noise in the targets, and those to test.

    Returns:
        Samples (100, 2) and targets (100, 1); samples (200, 2) and targets (200, 1).
    """
    from numdl.course.training import peaks_surface

    (x, c), (x_test, c_test), _, _ = peaks_surface(ROWS, 0)
    noisy = c + NOISE * np.random.RandomState(0).standard_normal(c.shape)
    short = [np.asarray(_short(a)) for a in (x, noisy, x_test[:TEST], c_test[:TEST])]
    return (short[0], short[1]), (short[2], short[3])


def _short(values: Any) -> Any:
    """Nested lists of numbers with five digits: a page computes with what it is given, and so does its test."""
    return np.vectorize(lambda x: float(f"{x:.5g}"))(np.asarray(values)).tolist()


def random_features(seed: int, m: int, noise: float) -> tuple[np.ndarray, ...]:
    """Forty noisy rows and two hundred exact ones, seen through m random features ``tanh(w'x + b)``.

    Args:
        seed: of all that is drawn; the first features of a seed are the same for every m.
        m: number of features, at most 240.
        noise: standard deviation of the error of a target.

    Returns:
        Features (40, m) and targets (40,) to train on; features (200, m) and exact targets (200,) to test.
    """
    rng = np.random.RandomState(seed)
    x, x_test, weights = (rng.standard_normal((rows, 3)) for rows in (40, 200, 240))
    shift, errors = 2 * rng.random_sample(240) - 1, rng.standard_normal(40)

    def truth(x: np.ndarray) -> np.ndarray:
        return np.sin(1.5 * x[:, 0]) + 0.5 * x[:, 1] * x[:, 2]

    Z, Z_test = (np.tanh(a @ weights[:m].T + shift[:m]) for a in (x, x_test))
    return Z, truth(x) + noise * errors, Z_test, truth(x_test)


def double_descent(noise: float, sizes: Sequence[int], draws: int = 20) -> dict[str, list[list[float]]]:
    """Test errors of the head over the number of features, without a penalty and with one that the rows choose.

    Args:
        noise: standard deviation of the error of a target.
        sizes: numbers of features.
        draws: seeds 1, 2, ...

    Returns:
        For each rule the 10 %, 50 % and 90 % quantiles over the draws, relative to the deviation of the targets.
    """
    from numdl.regularize.ridge import decompose, ridge_path
    from numdl.regularize.selectors import GUARD, gcv

    found: dict[str, list[Any]] = {"none": [], "gcv": [], "guarded": [], "best": []}
    for m in sizes:
        errors = {name: [] for name in found}
        for seed in range(1, draws + 1):
            Z, c, Z_test, truth = random_features(seed, m, noise)

            def error(W: np.ndarray, Z_test: np.ndarray = Z_test, truth: np.ndarray = truth) -> float:
                return float(np.linalg.norm(Z_test @ W - truth) / np.linalg.norm(truth - truth.mean()))

            d = decompose(Z, c[:, None])
            path = ridge_path(d, GRID / 40)
            along = [error(d.solution(alpha)[0][:, 0]) for alpha in path.alphas]
            errors["none"].append(error(np.linalg.lstsq(Z, c, rcond=None)[0]))
            errors["gcv"].append(along[gcv(path).index])
            errors["guarded"].append(along[gcv(path, guard=GUARD).index])
            errors["best"].append(min(along))
        for name, values in errors.items():
            found[name].append(_short(np.quantile(values, [0.1, 0.5, 0.9])))
    return found


def read(name: str) -> Any:
    """Data of a page.

    Args:
        name: of the module of ``data/``, without suffix.

    Returns:
        JSON types.

    Raises:
        ValueError: there is no such module.
    """
    path = HERE / f"{name}.mjs"
    if not path.is_file():
        known = sorted(path.stem for path in HERE.glob("*.mjs"))
        raise ValueError(f"read(name={name!r}): no page has such data. Use one of {', '.join(known)}.")
    return json.loads(path.read_text(encoding="utf-8").split(" = ", 1)[1].rstrip(";\n"))


def write(name: str, data: Any, by: str = "grids") -> Path:
    """A module of data: ``export const <name> = ...``.

    Args:
        name: of the file and of the constant.
        data: JSON types.
        by: module of this folder that computes them.

    Returns:
        The file.
    """
    path = HERE / f"{name}.mjs"
    text = json.dumps(data, separators=(",", ":"))
    path.write_text(f"// Computed by python -m numdl.course.site.{by}.\nexport const {name} = {text};\n")
    return path


if __name__ == "__main__":
    training, test = rows()
    given = {name: a.tolist() for name, a in zip(("x", "c", "xTest", "cTest"), (*training, *test), strict=True)}
    runs = {depth: {"h": h, "nets": spectra(depth)} for depth, h in STEPS.items()}
    print(write("spectra_data", {**given, "runs": runs}))
    grid = {f"{noise:g}": double_descent(noise, SIZES) for noise in NOISES}
    print(write("descent_data", {"sizes": list(SIZES), "noise": grid}))
