"""Digits of 8 x 8 pixels that pages show, and networks of images that were trained for them with and without bounds.

``python -m numdl.course.site.pictured`` writes ``data/digits_data.mjs`` and ``data/certified_data.mjs`` again, which
takes some minutes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numdl.course.site import grids

TRAINING, SHOWN, ATTACKED = 1000, 400, 100
"""Digits that networks are trained on, those behind them that pages hold, and the first of these, for attacks."""
CHANNELS, STEPS, ALPHAS = 3, 300, (1e-5, 1e-2)
LEVELS = "0123456789abcdefg"
"""Of the 17 grey levels of a pixel."""


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Digits in the order of the pages: first those to train on.

    Returns:
        Images (1400, 8, 8) of whole numbers from 0 to 16, and their classes (1400,).
    """
    from numdl.course.digits import load_digits

    x, y = load_digits()
    order = np.random.RandomState(7).permutation(len(x))[: TRAINING + SHOWN]
    return x[order].reshape(-1, 8, 8).astype(int), y[order]


def written(images: np.ndarray) -> list[str]:
    """One character for each pixel.

    Args:
        images: whole numbers from 0 to 16, (n, 8, 8).

    Returns:
        A string of 64 characters for each.
    """
    return ["".join(LEVELS[pixel] for pixel in image.ravel()) for image in images]


def network(dynamics: str) -> Any:
    """Opening of 3 x 3 taps, four Euler layers on ``[0, 1]``, means over cells of 2 x 2 pixels; ReLU.

    Args:
        dynamics: "parabolic" or "plain".

    Returns:
        From images (64,) to 48 features.
    """
    from numdl.course.dynamics.stable_images import DEPTH, STEP
    from numdl.models import image_resnet

    T = DEPTH * STEP
    return image_resnet((8, 8, 1), (CHANNELS,), norm="none", merge=1, cells=(4, 4), dynamics=dynamics, depth=DEPTH, T=T)


def train(name: str, alpha: float) -> dict[str, Any]:
    """A network of the experiment ``stable-images``, and what attacks find.

    Args:
        name: "parabolic", "residual, same norms" or "residual, free".
        alpha: penalty on the head, in units of the mean misfit.

    Returns:
        Weights ``K0`` (3, 3, 1, m), ``b0``, ``K`` (4, 3, 3, m, m), ``b``, ``W`` (10, 16 m) and ``c`` with four digits,
        and the sizes of changes that were ``found`` by attacks; 0 where the image itself is put wrong.
    """
    from numdl.course.dynamics import stable_images

    dynamics, held = stable_images.NETS[name]
    size = stable_images.FULL._replace(n=TRAINING, channels=CHANNELS, steps=STEPS)
    x, y = digits()
    flat = (x.reshape(len(x), -1) / 16).astype(np.float32)
    p = stable_images._trained(network(dynamics), held, alpha, size, flat[:TRAINING], y[:TRAINING], 0)
    opening, flow = p["theta"]["block 1"], p["theta"]["block 2"]["flow"]
    parts = {"K0": opening["K"], "b0": opening["b"], "K": flow["K"], "b": flow["b"], "W": p["W"], "c": p["b"]}
    found = {key: np.vectorize(lambda v: float(f"{v:.4g}"))(np.asarray(value)).tolist() for key, value in parts.items()}
    return {**found, "found": _attacked(dynamics, found, flat[TRAINING:][:ATTACKED], y[TRAINING:][:ATTACKED])}


def weights(net: dict[str, Any]) -> dict[str, Any]:
    """Stored weights as `network` takes them.

    Args:
        net: an entry of the data.

    Returns:
        ``theta``, the head ``W`` and its offsets ``b``.
    """
    a = {key: np.asarray(value) for key, value in net.items()}
    theta = {"block 1": {"K": a["K0"], "b": a["b0"]}, "block 2": {"flow": {"K": a["K"], "b": a["b"]}}, "block 3": {}}
    return {"theta": theta, "W": a["W"], "b": a["c"]}


def _attacked(dynamics: str, net: dict[str, Any], x: np.ndarray, y: np.ndarray) -> list[float]:
    import jax
    import jax.numpy as jnp

    from numdl.analysis import LinearisedSearch, attack

    model, p = network(dynamics), jax.tree.map(lambda leaf: jnp.asarray(leaf, "float32"), weights(net))

    def scores(p: Any, x: Any) -> Any:
        return p["W"] @ model.features(p["theta"], x) + p["b"]

    found = attack(LinearisedSearch(10), scores, p, x, y)
    s = np.asarray(jax.jit(jax.vmap(scores, (None, 0)))(p, x))
    norms = np.where(s.argmax(axis=1) == y, np.nan_to_num(found.norms, nan=np.inf), 0.0)
    return [float(f"{v:.3g}") if np.isfinite(v) else 9.0 for v in norms]


if __name__ == "__main__":
    from numdl.course.dynamics.stable_images import NETS

    x, y = digits()
    shown = {"images": written(x[TRAINING:]), "classes": y[TRAINING:].tolist()}
    print(grids.write("digits_data", shown, by="pictured"))
    nets = {f"{name} {alpha:g}": train(name, alpha) for name in NETS for alpha in ALPHAS}
    print(grids.write("certified_data", nets, by="pictured"))
