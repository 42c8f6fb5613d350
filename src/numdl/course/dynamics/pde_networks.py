"""PDE networks: what do parabolic, Hamiltonian and second-order layers of images give, and what do they cost?

Handwritten digits of 8 x 8 pixels. Opening of 3 x 3 taps, Euler or Verlet steps on [0, 2], means over 4 x 4 cells,
softmax; no norms, ReLU. States of two halves have smaller kernels, and get more channels and steps instead: all
networks have as many weights, within a few percent, and are trained alike, by as many steps of Adam. The answers are
also asked for on images with noise that training has not seen.

What a dynamics promises is a property of its flow, not of the four or five long steps that training sees: with the
trained weights the same flow is also taken in many short steps. Then no parabolic flow moves two images apart; with
the steps it was trained with, which are longer than ``2 / ||K||^2``, it does.

Source: Ruthotto and Haber, Deep neural networks motivated by partial differential equations, JMIV 62, 2020, sec. 2, 4.
"""

from __future__ import annotations

import functools
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.models import Chain

TITLE = "PDE networks: parabolic, Hamiltonian and second-order layers against residual ones"
PARAMETERS = {"T": Parameter(2.0, 0.5, 4.0, "time at which the flows end")}


class Kind(NamedTuple):
    """A network: dynamics, scheme, channels and steps."""

    dynamics: str
    scheme: str
    channels: int
    depth: int


NETS = {
    "residual": Kind("plain", "euler", 6, 4),
    "parabolic": Kind("parabolic", "euler", 6, 4),
    "Hamiltonian": Kind("hamiltonian", "verlet", 10, 5),
    "second order": Kind("second_order", "verlet", 10, 5),
}
NOISES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
NOISY = 3
"""Number of the noise whose images are compared with those without."""
ALPHA = 1e-4


class Size(NamedTuple):
    """How much is computed and what is then claimed: points of unseen images lost, distances of the residual flow."""

    n: int
    unseen: int
    batch: int
    steps: int
    rate: float
    seeds: int
    shorter: int
    lost: float
    apart: float


FULL = Size(n=1000, unseen=700, batch=100, steps=400, rate=0.02, seeds=3, shorter=64, lost=4.0, apart=2.0)
QUICK = Size(n=400, unseen=100, batch=40, steps=70, rate=0.02, seeds=1, shorter=16, lost=15.0, apart=1.0)


class Trained(NamedTuple):
    """One network.

    Attributes:
        right: percent of unseen images, by noise.
        weights: how many there are.
        seconds: of the CPU, of its training.
        apart: by how much the flow changes the distances of images to themselves with noise, in the steps it was
            trained with and in much shorter ones, (2, unseen).
    """

    right: list[float]
    weights: int
    seconds: float
    apart: np.ndarray


def run(quick: bool, random_state: int, *, T: float = PARAMETERS["T"].default) -> Outcome:
    """Train four networks, ask them on images with more and more noise, and shorten the steps of their flows.

    Args:
        quick: fewer images, steps and seeds.
        random_state: first seed of split, weights and noise.
        T: time at which the flows end.

    Returns:
        Shares of unseen images that are right, changes of distances, claims and figure.
    """
    size = QUICK if quick else FULL
    found = {
        name: [_trained(kind, size, T, random_state + j) for j in range(size.seeds)] for name, kind in NETS.items()
    }
    right = {name: np.array([one.right for one in several]) for name, several in found.items()}
    apart = {name: np.concatenate([one.apart for one in several], axis=1) for name, several in found.items()}
    weights = {name: several[0].weights for name, several in found.items()}
    seconds = {name: float(np.mean([one.seconds for one in several])) for name, several in found.items()}
    of_all = {name: values[:, 0].mean() for name, values in right.items()}
    moved = float(np.median(apart["residual"][1]))
    lost = min(share for name, share in of_all.items() if name != "residual") - of_all["residual"]
    claims = [
        at_most("Weights of the largest network beyond the smallest", 100 * _more(weights), 5.0, " %"),
        at_least("Least right of the three, over the residual network", lost, -size.lost, " points"),
        at_most("Distances by the parabolic flow in short steps", float(apart["parabolic"][1].max()), 1.001),
        at_least("Distances by the residual flow in short steps, median", moved, size.apart),
        at_most("Changed by long steps of Verlet instead of short ones, median", 100 * _changed(apart), 10.0, " %"),
    ]  # fmt: skip
    numbers = {
        "right_percent": right,
        "noises": NOISES,
        "weights": weights,
        "training_seconds": seconds,
        "distances": {name: np.quantile(values, (0, 0.5, 1), axis=1).T for name, values in apart.items()},
    }
    return Outcome(numbers, claims, partial(_draw, right, weights, apart, size.shorter))


def _changed(apart: dict[str, np.ndarray]) -> float:
    return max(
        float(np.median(np.abs(apart[name][0] / apart[name][1] - 1))) for name in ("Hamiltonian", "second order")
    )


def _more(weights: dict[str, int]) -> float:
    return max(weights.values()) / min(weights.values()) - 1


def _trained(kind: Kind, size: Size, T: float, seed: int) -> Trained:
    import jax

    from numdl.course.digits import load_digits

    x, y = load_digits()
    order = np.random.default_rng(seed).permutation(len(x))[: size.n + size.unseen]
    x, y = (x[order] / 16).astype(np.float32), y[order]
    net = network(kind, T)
    p, of_vector = _start(net, seed)
    state, step = _descent(net, size.rate, size.steps)
    state, rng = state(p), np.random.default_rng(seed)
    p, state = step(p, state, x[: size.batch], y[: size.batch])  # compiled
    began = time.process_time()
    for _ in range(size.steps - 1):
        rows = rng.integers(0, size.n, size.batch)
        p, state = step(p, state, x[rows], y[rows])
    jax.block_until_ready(p)
    seconds = time.process_time() - began
    unseen, labels = x[size.n :], y[size.n :]
    noise = rng.standard_normal((len(NOISES), *unseen.shape)).astype(np.float32)
    images = unseen + np.array(NOISES, "f4")[:, None, None] * noise
    told, apart = _asked(net, network(kind, T, size.shorter))(of_vector(p), images)
    right = [100 * float(share) for share in (np.asarray(told) == labels).mean(axis=1)]
    return Trained(right, len(p), seconds, np.asarray(apart))


def _start(net: Chain, seed: int) -> tuple[Any, Any]:
    """First weights as one vector, with which Adam compiles in a third of the time, and what makes weights of it."""
    from jax.flatten_util import ravel_pytree

    theta = net.init(seed, "float32")
    return ravel_pytree({"theta": theta, "W": np.zeros((10, net.width), "f4"), "b": np.zeros(10, "f4")})


@functools.lru_cache(maxsize=8)
def network(kind: Kind, T: float, times: int = 1) -> Chain:
    """Opening, flow and means of digits.

    Args:
        kind: dynamics, scheme, channels and steps.
        T: time at which the flow ends.
        times: how many times as many steps it is taken in.

    Returns:
        From 64 pixels to ``4 * channels`` features.
    """
    from numdl.models import image_resnet

    flow: dict[str, Any] = {"depth": kind.depth * times, "T": T, "scheme": kind.scheme, "dynamics": kind.dynamics}
    return image_resnet((8, 8, 1), (kind.channels,), merge=1, norm="none", cells=(2, 2), **flow)


@functools.lru_cache(maxsize=8)
def _asked(net: Chain, slow: Chain) -> Any:
    """Classes of images, by noise, and distances behind the flow over those before it, by long and by short steps.

    Weights stay what they are on each of the long steps.
    """
    import jax
    import jax.numpy as jnp

    opening, flow, pooling = net.blocks

    def asked(p: Any, images: Any) -> Any:
        noises, n, _ = images.shape
        theta, layers = p["theta"], p["theta"]["block 2"]["flow"]
        many = jax.tree.map(lambda leaf: jnp.repeat(leaf, slow.blocks[1].depth // flow.depth, axis=0), layers)  # type: ignore
        before = opening.batch(theta["block 1"], images.reshape(noises * n, -1)).reshape(noises, n, -1)
        behind = flow.batch({"flow": layers}, before.reshape(noises * n, -1))
        told = (pooling.batch(theta["block 3"], behind) @ p["W"].T + p["b"]).argmax(1).reshape(noises, n)
        two = [before[at] for at in (0, NOISY)]
        ends = [behind.reshape(before.shape)[at] for at in (0, NOISY)]
        later = slow.blocks[1].batch({"flow": many}, jnp.concatenate(two))
        first, long, short = (jnp.linalg.norm(b - a, axis=1) for a, b in (two, ends, (later[:n], later[n:])))
        return told, jnp.stack([long, short]) / first

    return jax.jit(asked)


@functools.lru_cache(maxsize=8)
def _descent(net: Chain, rate: float, steps: int) -> Any:
    """First state of Adam, and its compiled step on a batch; weights are one vector."""
    import jax
    import jax.numpy as jnp
    import optax

    of_vector = _start(net, 0)[1]
    descent = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def loss(p: Any, x: Any, y: Any) -> Any:
        p = of_vector(p)
        told = jax.nn.log_softmax(net.batch(p["theta"], x) @ p["W"].T + p["b"])
        return -jnp.mean(told[jnp.arange(len(y)), y]) + ALPHA / 2 * jnp.sum(p["W"] ** 2)

    @jax.jit
    def step(p: Any, state: Any, x: Any, y: Any) -> Any:
        change, state = descent.update(jax.grad(loss)(p, x, y), state)
        return optax.apply_updates(p, change), state

    return descent.init, step


def _draw(
    right: dict[str, np.ndarray], weights: dict[str, int], apart: dict[str, np.ndarray], shorter: int, figure: Figure
) -> None:
    """Unseen digits that are wrong, right ones over the noise, and distances by long and by short steps."""
    from numdl.plots.canvas import logarithmic_y, pen

    left, middle, last = figure.subplots(1, 3)
    for at, (name, values) in enumerate(right.items()):
        color = pen(at)["color"]
        left.bar(at, 100 - values[:, 0].mean(), 0.6, color=color, alpha=0.85)
        left.plot(np.full(len(values), at), 100 - values[:, 0], ".", color="black", markersize=6)
        middle.plot(NOISES, values.mean(0), marker="o", **pen(at), label=name)
        for i, (distances, shift) in enumerate(zip(apart[name], (-0.15, 0.15), strict=True)):
            least, half, most = np.quantile(distances, (0.05, 0.5, 0.95))
            last.plot([at + shift] * 2, [least, most], color=color, linewidth=6, alpha=0.4 + 0.5 * i)
            last.plot(at + shift, half, "o", color="black", markersize=4)
    ticks = [f"{name}\n{weights[name]} weights" for name in right]
    left.set_xticks(range(len(right)), ticks, fontsize=8)
    left.set(ylabel="wrong of unseen digits, %", title="Equal weights, equal steps of training")
    middle.set(xlabel="deviation of the noise", ylabel="right of unseen digits, %", title="Noise not seen in training")
    middle.legend()
    last.axhline(1.0, color="0.5", linewidth=1)
    last.set_xticks(range(len(right)), list(right), fontsize=8)
    logarithmic_y(last)
    last.set(ylabel="distance behind the flow, over before", title=f"Steps as trained (pale), {shorter} times shorter")
