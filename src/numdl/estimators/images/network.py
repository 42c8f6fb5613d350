"""Network motivated by PDEs on top of patches: which flows act on what filters see, and how are they trained in a time?

Responses to the first filters, averaged over a grid of up to 8 x 8 overlapping cells, are an image of many channels. A
pointwise `Connector` opens, Hamiltonian flows act at that and at half its resolution, means over all cells are the
features. The filters are fixed, which saves half of the work and most of the epochs. CIFAR-10, 10,000 images, 70 CPU s,
one seed, percent right of 1000 new ones, steps and training loss at the end:

==========================  =======  =====  =====
flows                       % right  steps  loss
==========================  =======  =====  =====
none                        70.0      1235   0.64
plain                       69.0       405   0.83
Hamiltonian                 68.8       410   0.81
parabolic                   59.3       240   1.04
parabolic, norms inside     64.2       268   0.96
none, from pixels (60 s)    52.8       317   1.29
parabolic, from pixels      41.8       103   1.67
==========================  =======  =====  =====

Hamiltonian flows learn as much with a third of the steps, and have not begun to know the rows by heart: they are left
out where there is no time for `EPOCHS` of them.

Steps are AdamW on the cross entropy, the rate rises and falls with the share of the time. Its top comes from a range
test: in the first steps it grows tenfold in every `TEST` / 2 of them, and a third of the rate at which the loss was
least is taken. Mirror images are a permutation of channels and cells, drawn inside the compiled step. Batch norms of
connectors go into their weights in the end.

Sources: Ruthotto and Haber, JMIV 62 (2020), sec. 2; Smith, Cyclical learning rates, WACV 2017, sec. 3.3 (range test);
Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019.
"""

from __future__ import annotations

import functools
import math
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from numdl.contracts import PyTree
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.patches.features import pooled
from numdl.estimators.patches.filters import Filters
from numdl.flow import on_images
from numdl.models import Chain, Connector, Network, ResNet, lipschitz_bound, without_batch_norm

FILTERS, SIDE = 64, 8
"""Filters at most that are used, and cells along a side."""

CHANNELS = (64, 128)
"""Of the states at both resolutions."""

BATCH = 128
"""Images of a step."""

LOWEST, TEST, USUAL = 5e-4, 24, 3e-3
"""The first rate of the range test and its steps, and the rate where there is no time for it."""

TIMED = 60.0
"""Seconds from which on the range test is made."""

RISE = 0.25
"""Share of the time in which the rate rises."""

DECAY = 0.05
"""Of the weights, in units of the rate."""

EPOCHS, LIKE = 8, 6e6
"""Epochs from which on there are flows, and products of filters with patches that take the time of an image in one."""

SETTLED = 1024
"""Rows whose statistics replace those of batches."""


class PatchNetwork(NamedTuple):
    """A trained network, without batch norm.

    Attributes:
        count: of the filters.
        side: cells along both sides.
        mean: of the channels, (c,).
        scale: of the channels, (c,).
        mirrored: whether predictions are means over an image and its mirror image.
        flows: whether there are any between the connectors.
        theta: weights, with those of the head, W (m, k) and b (k,).
        steps: of the training.
        rate: the highest, as found.
    """

    count: int
    side: int
    mean: np.ndarray
    scale: np.ndarray
    mirrored: bool
    flows: bool
    theta: dict[str, Any]
    steps: int
    rate: float

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return sum(np.size(leaf) for leaf in jax.tree.leaves(self.theta))

    def layers(self, filters: Filters, images: np.ndarray) -> dict[str, np.ndarray]:
        """What images are behind each layer.

        Args:
            filters: at least ``count``.
            images: of the size of the filters, (n, H, W, C).

        Returns:
            Names, as of `lipschitz_bounds`, and (n, q).
        """
        x = responses(filters, images, self.count, self.side)
        u = jnp.asarray(((x - self.mean) / self.scale).reshape(len(x), -1), jnp.float32)
        net, found = chain(self.side, x.shape[3], "none", self.flows), {}
        for name, part in net.named():
            u = _behind(part, self.theta[name], u)
            found[f"{name}: {part.title}"] = np.asarray(u)
        return found

    def lipschitz_bounds(self) -> dict[str, float]:
        """Lipschitz bounds of all layers, from scaled responses on, by what they are.

        Returns:
            Names and bounds, see ``numdl.models.lipschitz_bound``; last that of the head, the largest of the norms of
            differences of its columns.
        """
        net = chain(self.side, 2 * self.count, "none", self.flows)
        found = {f"{name}: {part.title}": lipschitz_bound(part, self.theta[name]) for name, part in net.named()}
        W = self.theta["head"]["W"].astype(float)
        return found | {"head": float(np.linalg.norm(W[:, :, None] - W[:, None], axis=0).max())}

    def lipschitz_bound(self) -> float:
        """By how much a log probability changes against another one at most when responses do by 1.

        The gradient of ``log p_y`` is a mean of those of differences of scores. Of one image it is such a difference
        that counts; of the mean probability of an image and its mirror image, two of these means.

        Returns:
            In nats over the unit of responses.
        """
        return math.prod(self.lipschitz_bounds().values()) * (2 if self.mirrored else 1) / float(self.scale.min())

    def margin_slope(self, x: np.ndarray, code: int, other: int) -> np.ndarray:
        """Derivative of the difference of two log probabilities by the responses to one image.

        Args:
            x: responses, (side, side, channels).
            code: of the class whose logarithm counts.
            other: of the class whose logarithm is subtracted.

        Returns:
            As x.
        """
        net = chain(self.side, x.shape[2], "none", self.flows)
        u = (x.astype(np.float32) - self.mean) / self.scale
        turned = mirror_of(self.count) if self.mirrored else np.zeros(0, int)
        found = _margin_slope(net, self.theta, jnp.asarray(u), jnp.asarray(turned), code, other)
        return np.asarray(found, np.float64) / self.scale

    def log_p(self, filters: Filters, images: np.ndarray) -> np.ndarray:
        """Log probabilities of the classes.

        Args:
            filters: at least ``count``.
            images: of the size of the filters, (n, H, W, C).

        Returns:
            (n, k).
        """
        return self.of_responses(responses(filters, images, self.count, self.side))

    def of_responses(self, x: np.ndarray) -> np.ndarray:
        """Log probabilities by responses, as `responses` gives them."""
        net, found = chain(self.side, x.shape[3], "none", self.flows), []
        for i in range(0, len(x), 256):
            block = (x[i : i + 256].astype(np.float32) - self.mean) / self.scale
            padded = np.pad(block, ((0, 256 - len(block)), *((0, 0),) * 3))  # so that one program does for all
            told = _log_p(net, self.theta, jnp.asarray(padded))
            if self.mirrored:
                other = _log_p(net, self.theta, jnp.asarray(padded[:, :, ::-1, mirror_of(self.count)]))
                told = jnp.logaddexp(told, other) - np.log(2)
            found.append(np.asarray(told, np.float64)[: len(block)])
        return np.concatenate(found) if found else np.zeros((0, self.theta["head"]["b"].size))


def sides_of(filters: Filters) -> int:
    """Cells along a side, a multiple of two; 0 where images are too small for a network.

    Args:
        filters: tell the sizes of image and patch.

    Returns:
        At most `SIDE`.
    """
    places = min(size - part + 1 for size, part in zip(filters.shape[:2], filters.size, strict=True))
    return min(SIDE, places // 2 // 2 * 2)


def responses(filters: Filters, images: np.ndarray, count: int, side: int) -> np.ndarray:
    """What the first filters say in each cell.

    Args:
        filters: at least as many.
        images: (n, H, W, C).
        count: of the filters, even.
        side: cells along both sides.

    Returns:
        (n, side, side, 2 count), float32: filters, signs.
    """
    x = pooled(filters, images, folded=False, last=count, grid=(side, side))
    return np.moveaxis(x.reshape(len(images), 2 * count, side, side), 1, 3)


def mirror_of(count: int) -> np.ndarray:
    """Where each channel stands in the mirror image, (2 count,)."""
    return np.arange(2 * count).reshape(-1, 2, 2)[:, ::-1].ravel()


@functools.lru_cache(maxsize=8)
def chain(side: int, channels: int, norm: str, flows: bool) -> Chain:
    """The network.

    Args:
        side: cells along both sides.
        channels: of its inputs.
        norm: of its connectors.
        flows: whether there are any between the connectors.

    Returns:
        A chain of `CHANNELS[-1]` features.
    """
    blocks: list[Network] = []
    image = (side, side, channels)
    for c in CHANNELS:
        size: dict[str, Any] = {"taps": 3, "pool": 2, "from_halves": True} if blocks else {"taps": 1}
        layer = Connector(image, c, norm=norm, to_halves=True, **size)
        image = layer.after
        blocks.append(layer)
        if not flows:
            continue
        flow = ResNet(
            layer.width,
            layer.width,
            depth=1,
            T=0.5,
            dynamics=on_images("double_hamiltonian", layer.after[:2]),
            scheme="symplectic_euler",
            opening=False,
            activation="relu",
        )
        blocks.append(flow)
    return Chain((*blocks, Connector(image, pool="all", from_halves=True)))


def epochs(filters: Filters, count: int, took: float, seconds: float) -> float:
    """How many there is time for with flows.

    Args:
        filters: tell how many products with patches their responses took.
        count: of the filters.
        took: seconds of their responses.
        seconds: that are left.

    Returns:
        Epochs, by the speed at which the responses came.
    """
    places = np.prod([size - part + 1 for size, part in zip(filters.shape[:2], filters.size, strict=True)])
    products = count * float(places) * filters.weights[0].size
    return seconds / max(took * LIKE / products, 1e-9)


def trained(
    x: np.ndarray,
    codes: np.ndarray,
    w: np.ndarray,
    classes: int,
    *,
    mirrored: bool,
    flows: bool,
    rng: np.random.Generator,
    clock: Clock,
) -> PatchNetwork | None:
    """A network after as many steps as there is time for.

    Args:
        x: responses of the rows, (n, side, side, channels).
        codes: of their classes, (n,).
        w: weights of mean 1, (n,).
        classes: number of classes.
        mirrored: whether mirror images mean the same.
        flows: whether there are any between the connectors.
        rng: draws weights and batches.
        clock: says when the time is over; an interruption ends the training.

    Returns:
        The network; None where an interruption came before the first step.
    """
    began, end = time.monotonic(), clock.end
    mean, scale = x.mean(axis=(0, 1, 2)), 2 * x.std(axis=(0, 1, 2)) + 1e-6
    data = jnp.asarray(((x - mean) / scale).astype(np.float16)), jnp.asarray(codes), jnp.asarray(w, jnp.float32)
    count = x.shape[3] // 2
    net = chain(x.shape[1], x.shape[3], "batch", flows)
    zeros = {"W": jnp.zeros((net.width, classes), jnp.float32), "b": jnp.zeros(classes, jnp.float32)}
    theta = {**net.init(rng, jnp.float32), "head": zeros}
    state, key = _descent().init(theta), jax.random.key(int(rng.integers(2**31)))
    tested, losses, rate, steps = end - began >= TIMED, [], USUAL, 0
    start, batches = (theta, state), _batches(len(codes), rng)
    first = began
    with clock.guard(needed=False):
        while not clock.over():
            now = time.monotonic()
            if tested and steps <= TEST:
                if steps == TEST:
                    rate, (theta, state) = _best(losses), start
                    tested, first = False, now
                top = LOWEST * 10 ** (2 * steps / TEST) if tested else 0.0
            else:
                share = (now - first) / (end - first) if np.isfinite(end) else 0.0
                top = rate * min(share / RISE, (1 - share) / (1 - RISE))
            rows = jnp.asarray(next(batches))
            theta, state, loss = _step(net, mirrored, theta, state, key, steps, max(top, 1e-6), rows, *data)
            losses.append(float(loss))
            steps += 1
            if steps == 1:
                first = time.monotonic()  # compiled
    if not steps:
        return None
    head = theta.pop("head")
    few = jnp.asarray(data[0][:SETTLED], jnp.float32).reshape(min(SETTLED, len(codes)), -1)
    settle = jax.jit(lambda theta, x: without_batch_norm(net, theta, x)[1])
    theta = clock.insist(lambda: settle(theta, few))  # an interruption does not lose what is trained
    plain = jax.tree.map(np.asarray, {**theta, "head": head})
    return PatchNetwork(count, x.shape[1], mean, scale, mirrored, flows, plain, steps, rate)


def _batches(n: int, rng: np.random.Generator) -> Any:
    """Numbers of rows, each row once before any comes again.

    Yields:
        (BATCH,).
    """
    waiting = np.zeros(0, np.int64)
    while True:
        while len(waiting) < BATCH:
            waiting = np.concatenate([waiting, rng.permutation(n)])
        yield waiting[:BATCH]
        waiting = waiting[BATCH:]


def _best(losses: list[float]) -> float:
    """A third of the rate of the least loss, losses smoothed over three steps."""
    smooth = np.convolve(np.nan_to_num(losses, nan=1e9, posinf=1e9), np.ones(3) / 3, mode="valid")
    rates = LOWEST * 10 ** (2 * (np.arange(len(smooth)) + 1) / TEST)
    return float(np.clip(rates[np.argmin(smooth)] / 3, 1e-3, 1e-2))


@functools.cache
def _descent() -> Any:
    return optax.inject_hyperparams(optax.adamw)(learning_rate=0.0, weight_decay=DECAY)


def _scores(net: Chain, theta: PyTree, x: jax.Array) -> jax.Array:
    features = net.batch(theta, x.reshape(len(x), -1))
    return features @ theta["head"]["W"] + theta["head"]["b"]


@functools.partial(jax.jit, static_argnums=0)
def _log_p(net: Chain, theta: PyTree, x: jax.Array) -> jax.Array:
    return jax.nn.log_softmax(_scores(net, theta, x))


@functools.partial(jax.jit, static_argnums=0)
def _behind(part: Network, theta: PyTree, u: jax.Array) -> jax.Array:
    return part.batch(theta, u)


@functools.partial(jax.jit, static_argnums=0)
def _margin_slope(net: Chain, theta: PyTree, u: jax.Array, turned: jax.Array, code: Any, other: Any) -> jax.Array:
    def margin(u: jax.Array) -> jax.Array:
        both = jnp.stack([u, u[:, ::-1, turned]]) if turned.size else u[None]
        told = jax.nn.logsumexp(jax.nn.log_softmax(_scores(net, theta, both)), axis=0)
        return told[code] - told[other]

    return jax.grad(margin)(u)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _step(
    net: Chain,
    mirrored: bool,
    theta: PyTree,
    state: Any,
    key: jax.Array,
    number: Any,
    rate: Any,
    rows: jax.Array,
    x: jax.Array,
    codes: jax.Array,
    w: jax.Array,
) -> tuple[PyTree, Any, jax.Array]:
    """One step of AdamW."""
    u, label, weight = x[rows].astype(jnp.float32), codes[rows], w[rows]
    if mirrored:
        turn = jax.random.bernoulli(jax.random.fold_in(key, number), 0.5, (len(rows), 1, 1, 1))
        u = jnp.where(turn, u[:, :, ::-1, mirror_of(x.shape[3] // 2)], u)

    def loss(theta: PyTree) -> jax.Array:
        told = jax.nn.log_softmax(_scores(net, theta, u))
        return -jnp.mean(weight * jnp.take_along_axis(told, label[:, None], 1)[:, 0])

    value, slope = jax.value_and_grad(loss)(theta)
    state.hyperparams["learning_rate"] = jnp.asarray(rate, jnp.float32)
    change, state = _descent().update(slope, state, theta)
    return optax.apply_updates(theta, change), state, value
