"""Across scales: is a network that was trained on coarse images of use on fine ones, without training there?

Handwritten digits as functions: bilinear interpolation on 16 x 16 pixels, and means over cells of these on 8 x 8. A
parabolic network (opening of 3 x 3 taps, four Euler steps, means over 4 x 4 cells, softmax) is trained on the coarse
images, with and without a penalty on the differences of neighbouring taps. Its stencils go over to the fine pixels in
four ways: as they are, as those whose Galerkin product on the coarse pixels they are, dilated, or as the same
differential operators on half of the mesh size. The head stays. Only images and pixels have changed: what is lost is
lost by the transfer. Galerkin stencils of rough ones are large: without the penalty 7 to 14 % of fine images are right,
with it 82 to 84, at the price of 3 points on coarse ones. For comparison the network is trained on fine images with as
many products as on coarse ones.

Source: Haber, Ruthotto, Holtham and Jun, Learning across scales: multiscale methods for convolution neural networks,
AAAI 2018.
"""

from __future__ import annotations

import functools
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.flow.images.scales import TRANSFERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.models import Network

TITLE = "Across scales: trained on coarse images, applied to fine ones by four transfers of stencils"
PARAMETERS = {"beta": Parameter(0.5, 0.0, 10.0, "penalty on differences of neighbouring taps, in units of the misfit")}
RATE, ALPHA = 0.03, 1e-4


class Size(NamedTuple):
    """How much is computed and what is then claimed, in points of unseen images that are right."""

    n: int
    unseen: int
    channels: int
    steps: int
    seeds: int
    lost: float
    more: float
    gain: float


FULL = Size(n=800, unseen=700, channels=6, steps=250, seeds=3, lost=15.0, more=5.0, gain=1.0)
QUICK = Size(n=200, unseen=200, channels=2, steps=60, seeds=1, lost=8.0, more=0.0, gain=5.0)


def run(quick: bool, random_state: int, *, beta: float = PARAMETERS["beta"].default) -> Outcome:
    """Train on coarse images with and without the penalty, and apply to fine ones.

    Args:
        quick: fewer images, channels, steps and seeds.
        random_state: first seed of split and weights.
        beta: penalty on differences of neighbouring taps, in units of the misfit.

    Returns:
        Shares of unseen images that are right, claims and figure.
    """
    size = QUICK if quick else FULL
    found = [_once(size, beta, random_state + j) for j in range(size.seeds)]
    right = {name: {how: np.array([one[name][how] for one in found]) for how in found[0][name]} for name in found[0]}
    free, smooth = right["free"], right["smooth"]
    fine = right["fine"]["trained"]
    lost, more = smooth["coarse"] - smooth["galerkin"], smooth["galerkin"] - smooth["same"]
    apart = smooth["galerkin"] - smooth["rediscretised"]
    claims = [
        at_most("With the penalty, lost by Galerkin stencils", _mean(lost), size.lost, " points"),
        at_least("They are better than the same stencils by", _mean(more), size.more, " points"),
        at_least("And than differential operators by", _mean(apart), 5.0, " points"),
        at_most("Lost by dilated stencils", _mean(free["coarse"] - free["dilated"]), 2.0, " points"),
        at_least(
            "They are better than training on fine images by", _mean(free["dilated"] - fine), size.gain, " points"
        ),
    ]
    return Outcome({"right_percent": right}, claims, partial(_draw, right))


def _mean(values: np.ndarray) -> float:
    return float(values.mean())


def _once(size: Size, beta: float, seed: int) -> dict[str, dict[str, float]]:
    """Percent right by transfer, without and with the penalty, and of training on fine images."""
    from numdl.models import image_resnet, rescaled

    fine, coarse, y = _digits(size, seed)
    nets = [
        image_resnet((side, side, 1), (size.channels,), merge=1, norm="none", cells=(4, 4), depth=4) for side in (8, 16)
    ]
    found: dict[str, dict[str, float]] = {}
    for name, penalty in (("free", 0.0), ("smooth", beta)):
        p = _trained(nets[0], size.steps, penalty, coarse[: size.n], y[: size.n], seed)
        found[name] = {"coarse": _right(nets[0], p, coarse[size.n :], y[size.n :])}
        for how in TRANSFERS:
            other, theta = rescaled(nets[0], p["theta"], how)
            found[name][how] = _right(other, {**p, "theta": theta}, fine[size.n :], y[size.n :])
    p = _trained(nets[1], size.steps // 4, 0.0, fine[: size.n], y[: size.n], seed)
    found["fine"] = {"trained": _right(nets[1], p, fine[size.n :], y[size.n :])}
    return found


def _digits(size: Size, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fine and coarse images from 0 to 1, flat, and their classes."""
    from numdl.course.digits import load_digits

    x, y = load_digits()
    order = np.random.default_rng(seed).permutation(len(x))[: size.n + size.unseen]
    x, y = x[order].reshape(-1, 8, 8) / 16, y[order]
    place = (np.arange(16) + 0.5) / 2 - 0.5
    share = np.maximum(1 - np.abs(np.clip(place, 0, 7)[:, None] - np.arange(8)), 0)
    fine = np.einsum("ai,bj,nij->nab", share, share, x)
    coarse = fine.reshape(-1, 8, 2, 8, 2).mean((2, 4))
    return *(part.reshape(len(x), -1).astype(np.float32) for part in (fine, coarse)), y


def _trained(net: Network, steps: int, beta: float, x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """Weights after steps of Adam on all images."""
    p = {"theta": net.init(seed, "float32"), "W": np.zeros((10, net.width), "f4"), "b": np.zeros(10, "f4")}
    start, step = _descent(net, steps)
    state = start(p)
    for _ in range(steps):
        p, state = step(p, state, x, y, beta)
    return p


@functools.lru_cache(maxsize=4)
def _descent(net: Network, steps: int) -> Any:
    """First state of the optimiser, and its compiled step."""
    import jax
    import jax.numpy as jnp
    import optax

    from numdl.models import stencil_roughness

    def loss(p: Any, x: Any, y: Any, beta: Any) -> Any:
        told = jax.nn.log_softmax(net.batch(p["theta"], x) @ p["W"].T + p["b"])
        penalty = ALPHA / 2 * jnp.sum(p["W"] ** 2) + beta * stencil_roughness(net, p["theta"])
        return -jnp.mean(told[jnp.arange(len(y)), y]) + penalty

    descent = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    @jax.jit
    def step(p: Any, state: Any, *given: Any) -> Any:
        change, state = descent.update(jax.grad(loss)(p, *given), state)
        return optax.apply_updates(p, change), state

    return descent.init, step


def _right(net: Network, p: Any, x: np.ndarray, y: np.ndarray) -> float:
    return 100 * float(np.mean(np.asarray(_classes(net)(p, x)) == y))


@functools.lru_cache(maxsize=8)
def _classes(net: Network) -> Any:
    import jax

    return jax.jit(lambda p, x: (net.batch(p["theta"], x) @ p["W"].T + p["b"]).argmax(1))


def _draw(right: dict[str, dict[str, np.ndarray]], figure: Figure) -> None:
    """Bars for each transfer, without and with the penalty, a point for each seed."""
    from numdl.plots.canvas import BLUE, GREY, ORANGE

    ax = figure.subplots()
    names = ["coarse", *TRANSFERS]
    for shift, name, color in ((-0.2, "free", ORANGE), (0.2, "smooth", BLUE)):
        at = np.arange(len(names)) + shift
        told = "without penalty" if name == "free" else "smooth stencils"
        ax.bar(at, [right[name][how].mean() for how in names], 0.38, color=color, alpha=0.85, label=told)
        for x, how in zip(at, names, strict=True):
            ax.plot(np.full(len(right[name][how]), x), right[name][how], ".", color="black", markersize=5)
    level = right["fine"]["trained"].mean()
    ax.axhline(level, color=GREY, linestyle="--", label="trained on fine images, equal work")
    labels = ["trained and\nseen coarse", "same\nstencils", "Galerkin", "dilated", "differential\noperators"]
    ax.set_xticks(np.arange(len(names)), labels)
    ax.set(ylabel="unseen digits that are right, %", ylim=(0, 112), title="Trained on 8 x 8 pixels, applied to 16 x 16")
    ax.legend(loc="upper center", ncols=3)
