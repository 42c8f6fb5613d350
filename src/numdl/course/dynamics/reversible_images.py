"""Reversible image networks: how much memory does a gradient of many layers take, and how many digits does it lose?

A Hamiltonian network of images (opening, Verlet steps on [0, 2] of 8 channels, means) in float32, random weights, one
gradient of a sum of squares by all weights. Stored states grow with the number of layers. The reversible march keeps
the last state and recomputes each from the one behind it; what rounding makes of the states in that is an error of its
gradient, which is measured against stored states in float64.

Source: Chang, Meng, Haber, Ruthotto, Begert and Holtham, Reversible architectures for arbitrarily deep residual neural
networks, AAAI 2018.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Reversible images: the gradient of a thousand layers of convolutions in the memory of one"
PARAMETERS = {"T": Parameter(2.0, 0.25, 8.0, "time at which the flow ends")}
MARCHES = ("stored", "reversible")
MIB = 2.0**20


class Size(NamedTuple):
    """How much is computed and what is then claimed."""

    side: int
    images: int
    depths: tuple[int, ...]
    less: float
    error: float


FULL = Size(side=16, images=16, depths=(8, 32, 128, 512, 1024), less=100.0, error=1e-4)
QUICK = Size(side=8, images=8, depths=(8, 64), less=5.0, error=1e-4)


def run(quick: bool, random_state: int, *, T: float = PARAMETERS["T"].default) -> Outcome:
    """Memory and error of gradients by both marches at growing depth.

    Args:
        quick: fewer layers, pixels and images.
        random_state: seed of images and weights.
        T: time at which the flow ends.

    Returns:
        Memory, errors, claims and figure.
    """
    size = QUICK if quick else FULL
    rows = [_at(size, depth, T, random_state) for depth in size.depths]
    memory = {march: np.array([row[0][march] for row in rows]) for march in MARCHES}
    errors = {march: np.array([row[1][march] for row in rows]) for march in MARCHES}
    more = float(memory["reversible"][-1] / memory["reversible"][0])
    claims = [
        at_least("Memory by stored states over that of the reversible march", _last(memory), size.less),
        at_most("Reversible, memory of the most layers over that of the fewest", more, 2.0),
        at_most(
            "Relative error of its gradient in float32, at most layers", float(errors["reversible"][-1]), size.error
        ),
    ]
    numbers = {"depths": size.depths, "memory_mib": memory, "relative_error": errors}
    return Outcome(numbers, claims, partial(_draw, size.depths, memory, errors))


def _last(memory: dict[str, np.ndarray]) -> float:
    return float(memory["stored"][-1] / memory["reversible"][-1])


def _at(size: Size, depth: int, T: float, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """Memory in MiB and relative error of the gradient by march."""
    import jax
    import jax.numpy as jnp

    from numdl.models import image_resnet

    def net_of(march: str) -> Any:
        return image_resnet(
            (size.side, size.side, 1),
            (8,),
            merge=1,
            norm="none",
            dynamics="double_hamiltonian",
            scheme="verlet",
            activation="tanh",
            depth=depth,
            T=T,
            march=march,
        )

    def slope(march: str) -> Any:
        net = net_of(march)
        return jax.jit(jax.grad(lambda theta, x: jnp.mean(jnp.sum(net.batch(theta, x) ** 2, axis=1))))

    theta = net_of("stored").init(seed, "float32")
    x = np.random.default_rng(seed).random((size.images, size.side**2))
    with jax.enable_x64(True):
        exact = slope("stored")(jax.tree.map(lambda leaf: np.asarray(leaf, float), theta), x)
    exact = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(exact)])
    memory, errors = {}, {}
    for march in MARCHES:
        compiled = slope(march).lower(theta, x.astype(np.float32)).compile()
        memory[march] = compiled.memory_analysis().temp_size_in_bytes / MIB
        found = compiled(theta, jnp.asarray(x, jnp.float32))
        found = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(found)])
        errors[march] = float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    return memory, errors


def _draw(
    depths: tuple[int, ...], memory: dict[str, np.ndarray], errors: dict[str, np.ndarray], figure: Figure
) -> None:
    """Memory and error over the number of layers."""
    from numdl.plots.canvas import BLUE, ORANGE, logarithmic_x, logarithmic_y

    left, right = figure.subplots(1, 2)
    for march, color in (("stored", ORANGE), ("reversible", BLUE)):
        left.plot(depths, memory[march], marker="o", color=color, label=march)
        right.plot(depths, errors[march], marker="o", color=color, label=march)
    for ax, values in ((left, memory), (right, errors)):
        logarithmic_x(ax, depths[-1] / depths[0])
        logarithmic_y(ax)
        found = np.concatenate([*values.values()])
        ax.set(xlabel="layers", ylim=(found.min() / 10, 10 * found.max()))
        ax.legend()
    left.set(ylabel="MiB", title="Memory of one gradient")
    right.set(ylabel="relative error in float32", title="Error of the gradient")
