"""Networks that were trained by several schemes and numbers of steps: what else are their weights good for?

``python -m numdl.course.site.marched`` writes ``data/marched_data.mjs`` again, which takes a minute.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numdl.course.site import grids

NETS = {f"{scheme} {depth}": (scheme, depth) for scheme in ("euler", "heun", "rk4") for depth in (8, 16)}
NETS.pop("rk4 16")  # its training stays at 20 % of wrong points from this start, which would be another subject
"""By name: the scheme and the number of steps by which a network was trained."""
WIDTH, T, POINTS, ALPHA, ITERATIONS = 6, 8.0, 129, 1e-5, 60


def rows() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Points of two spirals, scaled: those to train on and those held out.

    Returns:
        Points (130, 2) and classes 0 and 1 (130, 1); points (128, 2) and classes (128, 1).
    """
    from numdl.course.nonlinear.swiss_roll import spirals

    (x, c), (x_test, c_test), _ = spirals(POINTS)
    return (np.asarray(grids._short(x)), np.asarray(c)), (np.asarray(grids._short(x_test)), np.asarray(c_test))


def train(name: str, iterations: int = ITERATIONS) -> dict[str, Any]:
    """A plain residual network for the two spirals.

    Levenberg-Marquardt on the problem whose head is eliminated.

    Args:
        name: key of ``NETS``.
        iterations: at most.

    Returns:
        Weights ``K0`` (6, 2), ``b0``, ``K`` (depth, 6, 6), ``b`` and ``W`` (1, 7), with five digits.
    """
    import jax

    from numdl.course import training as course
    from numdl.course.nonlinear.swiss_roll import wrong
    from numdl.models import ResNet

    scheme, depth = NETS[name]
    with jax.enable_x64(True):
        net = ResNet(2, WIDTH, depth, T, "plain", scheme)
        found = course.train(net, "logistic", *rows(), wrong, alpha=ALPHA, iterations=iterations, seed=0).result
        p: Any = found.p
        parts = {"K0": p["opening"]["K"], "b0": p["opening"]["b"], **p["flow"], "W": found.aux}
        return {key: grids._short(value) for key, value in parts.items()}


if __name__ == "__main__":
    parts = [a.astype(float).tolist() for pair in rows() for a in pair]
    given = dict(zip(("x", "c", "xTest", "cTest"), parts, strict=True))
    path = grids.write("marched_data", {**given, "T": T, "nets": {name: train(name) for name in NETS}}, by="marched")
    print(path)
