"""Error over seconds of training: one layer of relu units against several, on four functions of one variable.

``python -m numdl.course.site.timed`` writes ``data/timed_data.mjs`` again, which takes some minutes. Errors come again,
seconds are those of the machine at that time: of one core, without compiling.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from numdl.course.site import grids

POINTS, UNSEEN, SEEDS, ALPHA = 208, 832, 5, 1e-10
SNAPSHOTS = (0, 1, 2, 3, 5, 8, 12, 20, 30, 45, 60)
NETWORKS = {"8": (8,), "32": (32,), "128": (128,), "8 8": (8, 8), "4 4 4 4": (4,) * 4, "8 8 8 8": (8,) * 4}


def targets(x: np.ndarray) -> dict[str, np.ndarray]:
    """The functions of the page.

    Args:
        x: points (n,) of [0, 1].

    Returns:
        By name the values (n,).
    """
    fold, takagi = x, np.zeros_like(x)
    for k in range(1, 25):
        fold = 2 * np.minimum(fold, 1 - fold)
        takagi = takagi + fold / 2**k
    return {"sine": np.sin(4 * x), "parabola": x**2, "kink": np.abs(x - 1 / 3), "takagi": takagi}


def trained(widths: Sequence[int], target: str, seeds: Sequence[int] = range(SEEDS)) -> dict[str, Any]:
    """Networks of relu units with the best head, trained by Levenberg-Marquardt from several starts.

    Args:
        widths: units of each layer.
        target: a key of ``targets``.
        seeds: of the starts.

    Returns:
        ``errors``: median over the starts of the error at unseen points over the size of the target, after the
        iterations of ``SNAPSHOTS``; ``seconds`` of an iteration, the least over the starts; ``weights``, with the head.
    """
    import jax

    from numdl.course.training import reduced
    from numdl.models import MLP
    from numdl.optimize import LevenbergMarquardt, Progress, minimize

    x, unseen = ((np.arange(n) + 0.5) / n for n in (POINTS, UNSEEN))
    c, wanted = targets(x)[target], targets(unseen)[target]
    net: Any = MLP(1, tuple(widths), "relu")
    errors, seconds = [], []
    with jax.enable_x64(True):
        for seed in seeds:
            theta, path = net.init(jax.random.key(seed), np.float64), []
            problem = reduced(net, "least_squares", theta, _scaled(x), c[:, None], ALPHA)
            test = reduced(net, "least_squares", theta, _scaled(unseen), wanted[:, None], ALPHA)

            def watch(progress: Progress, path: list = path) -> None:
                path.append((progress.iterate.p, progress.iterate.aux))

            head, begun = problem.first_head(theta), time.process_time()
            minimize(problem, LevenbergMarquardt(tol=1e-12), theta, head, max_iter=SNAPSHOTS[-1] + 1, observe=watch)
            seconds.append((time.process_time() - begun) / len(path))
            off = [test.scores(test.embed(p), W)[:, 0] - wanted for p, W in path]
            sizes = [float(np.linalg.norm(e) / np.linalg.norm(wanted)) for e in off]
            errors.append([sizes[min(k, len(sizes) - 1)] for k in SNAPSHOTS])
    middle = [float(f"{value:.4g}") for value in np.median(errors, axis=0)]
    return {
        "errors": middle,
        "seconds": float(f"{min(seconds):.3g}"),
        "weights": net.n_parameters + int(widths[-1]) + 1,
    }


def _scaled(x: np.ndarray) -> np.ndarray:
    return (np.sqrt(12) * (x - 0.5))[:, None]


if __name__ == "__main__":
    found = {name: {key: trained(widths, name) for key, widths in NETWORKS.items()} for name in targets(np.zeros(1))}
    print(grids.write("timed_data", {"iterations": list(SNAPSHOTS), "trained": found}, by="timed"))
