"""Field of view: what five layers of 3 x 3 taps see, and what they see with implicit diffusion, the whole image.

Images hold a stick with a head at each end, a full disc or a ring. The class of all pixels of the object is decided by
both heads, two discs, two rings, or one of each, so that a pixel has to know what lies as far away as the stick is
long. An opening of 3 x 3 taps and five steps ``u + h act(K u + b)`` reach six pixels to each side. The other network
has diffusion besides, one for each channel and step, taken implicitly: some channels keep the pixels apart, others
carry what a head is to all pixels in one step. These diffusivities are learned and are all that it has more in weights;
a step of its training takes half as long again, and the explicit one makes as many more.

No norms: one over an image, such as "layer" or "instance", couples all pixels by their mean, which is a field of view
of its own. With it the explicit network told the classes of 98 % of the object pixels, since discs are brighter than
rings.

Source: Haber, Lensink, Treister and Ruthotto, IMEXnet: a forward stable deep neural network, ICML 2019, sec. 4.
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

TITLE = "Field of view: with implicit diffusion a few layers see the whole image"
PARAMETERS = {"noise": Parameter(0.1, 0.0, 0.5, "deviation of the noise, of pixels from 0 to 1")}
CLASSES = 4
BATCH, UNSEEN = 4, 256
SEES = 1e-6
"""Share of the largest change of the scores of a pixel as the middle one changes, above which it sees that."""


class Size(NamedTuple):
    """How much is computed and what is then claimed, in percent of object pixels and in points.

    A step of the training with implicit diffusion takes ``longer`` times one without it.
    """

    side: int
    depth: int
    channels: int
    n: int
    epochs: int
    seeds: int
    rate: float
    longer: float
    right: float
    more: float


FULL = Size(side=64, depth=5, channels=6, n=960, epochs=9, seeds=3, rate=0.03, longer=1.5, right=95.0, more=30.0)
QUICK = Size(side=16, depth=3, channels=6, n=480, epochs=6, seeds=1, rate=0.04, longer=1.0, right=80.0, more=15.0)


class Trained(NamedTuple):
    """One network.

    Attributes:
        right: percent of the object pixels of unseen images.
        sees: percent of the pixels that see the middle one.
        weights: how many there are.
        seconds: of the CPU, of its training.
        history: misfit by epoch.
        told: classes of the pixels of the first unseen images.
        field: how much the scores of each pixel change as the middle one does, over the largest, (side, side).
        diffusivities: at the end, (steps, channels); none of the explicit network.
    """

    right: float
    sees: float
    weights: int
    seconds: float
    history: np.ndarray
    told: np.ndarray
    field: np.ndarray
    diffusivities: np.ndarray | None


def run(quick: bool, random_state: int, *, noise: float = PARAMETERS["noise"].default) -> Outcome:
    """Train both networks on images of sticks, and look at what a pixel sees.

    Args:
        quick: smaller and fewer images, one seed.
        random_state: first seed of images, weights and batches.
        noise: deviation of the noise, of pixels from 0 to 1.

    Returns:
        Shares of object pixels that are right, claims and figure.
    """
    size = QUICK if quick else FULL
    found: dict[str, list[Trained]] = {"explicit": [], "implicit": []}
    for j in range(size.seeds):
        x, labels = sticks(size.n + UNSEEN, size.side, noise, np.random.default_rng(random_state + j))
        for name, several in found.items():
            several.append(_trained(name, size, x, labels, random_state + j))
    shown = sticks(size.n + UNSEEN, size.side, noise, np.random.default_rng(random_state))
    right = {name: np.array([one.right for one in several]) for name, several in found.items()}
    first = {name: several[0] for name, several in found.items()}
    reach = 100 * (2 * size.depth + 3) ** 2 / size.side**2
    claims = [
        at_most("Pixels that see the middle one, explicit", first["explicit"].sees, reach, " %"),
        at_least("With implicit diffusion", first["implicit"].sees, 100.0, " %"),
        at_least("Object pixels right with implicit diffusion", float(right["implicit"].mean()), size.right, " %"),
        at_least(
            "More than without", float((right["implicit"] - right["explicit"]).mean()), size.more, " points"
        ),
    ]  # fmt: skip
    numbers: dict[str, Any] = {"object_pixels_right_percent": right}
    for name in ("weights", "seconds", "sees", "diffusivities"):
        numbers[name] = {which: [getattr(one, name) for one in several] for which, several in found.items()}
    return Outcome(numbers, claims, partial(_draw, first, right, (shown[0][size.n :], shown[1][size.n :])))


def sticks(n: int, side: int, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images of sticks with two heads, and the class of each pixel.

    Args:
        n: number of images.
        side: pixels along a side; heads have a radius of a ninth, sticks a length of one half to two thirds of it.
        noise: deviation of the noise.
        rng: source of random numbers.

    Returns:
        Images (n, side, side), the object near 1 and all else near 0; labels (n, side, side): 0 beside the object, 1
        with two discs, 2 with two rings, 3 with one of each.
    """
    classes = rng.integers(1, CLASSES, n)
    length, angle = side * rng.uniform(0.5, 0.65, n), rng.uniform(0, 2 * np.pi, n)
    direction = np.stack([np.cos(angle), np.sin(angle)], 1)
    radius = side / 9
    margin = np.abs(direction) * length[:, None] / 2 + 1.1 * radius
    centre = margin + rng.uniform(0, 1, (n, 2)) * np.maximum(side - 2 * margin, 0)
    pixels = np.arange(side) + 0.5
    dx, dy = pixels[None, None, :] - centre[:, 0, None, None], pixels[None, :, None] - centre[:, 1, None, None]
    a, b, half = direction[:, 0, None, None], direction[:, 1, None, None], length[:, None, None] / 2
    along, across = a * dx + b * dy, a * dy - b * dx
    stick = (np.abs(along) <= half) & (np.abs(across) <= max(side / 40, 0.75))
    ends = [np.hypot(along - sign * half, across) for sign in (-1, 1)]
    rings = [np.isin(classes, which)[:, None, None] for which in ((2, 3), (2,))]
    whole = stick | (ends[0] <= radius) | (ends[1] <= radius)
    holes = (rings[0] & (ends[0] <= 0.55 * radius)) | (rings[1] & (ends[1] <= 0.55 * radius))
    images = (whole & ~holes) + noise * rng.standard_normal(whole.shape)
    return images.astype(np.float32), np.where(whole, classes[:, None, None], 0)


def network(name: str, side: int, channels: int, depth: int) -> Chain:
    """The explicit network, or the one with implicit diffusion.

    Args:
        name: "explicit" or "implicit".
        side: pixels along a side.
        channels: of each pixel.
        depth: steps of size 1.

    Returns:
        From images of one channel to as many pixels of so many features.
    """
    from numdl.flow import on_images
    from numdl.models import Chain, Connector, ResNet

    opening = Connector((side, side, 1), channels, norm="none", border="reflecting", activation="tanh")
    dynamics, scheme = {"explicit": ("plain", "euler"), "implicit": ("reaction_diffusion", "imex")}[name]
    field = on_images(dynamics, (side, side), border="reflecting")
    m = opening.width
    return Chain((opening, ResNet(m, m, depth, T=depth, dynamics=field, scheme=scheme, opening=False)))


def _trained(name: str, size: Size, x: np.ndarray, labels: np.ndarray, seed: int) -> Trained:
    """A network after its epochs: pixels are the samples, the head is trained with the rest."""
    import jax
    from jax.flatten_util import ravel_pytree

    from numdl.problems import full_problem, segmentation

    net, n = network(name, size.side, size.channels, size.depth), size.n
    theta = net.init(seed, "float32")
    reduced = segmentation(net, theta, x[:n], labels[:n], classes=CLASSES)
    problem = full_problem(reduced, theta)
    p, of_vector = ravel_pytree({"theta": theta, "W": reduced.first_head(theta)})
    epochs = size.epochs if name == "implicit" else round(size.longer * size.epochs)
    state, step = _descent(size.rate, epochs * (n // BATCH), of_vector)
    began, rng, losses, state = time.process_time(), np.random.default_rng(seed), [], state(p)
    for _ in range(epochs):
        for rows in rng.permutation(n)[: n // BATCH * BATCH].reshape(-1, BATCH):
            p, state, loss = step(problem, p, state, rows)
            losses.append(loss)
    p = of_vector(p)
    history = np.mean(np.asarray(losses).reshape(epochs, -1), axis=1)
    seconds = time.process_time() - began

    flat, true = x[n:].reshape(UNSEEN, -1), labels[n:]
    told = np.concatenate([np.asarray(_scores(net, p, block)).argmax(-1) for block in np.split(flat, UNSEEN // 64)])
    told, middle = told.reshape(true.shape), size.side // 2 * (size.side + 1)
    moved = flat[:64].copy()
    moved[:, middle] += 1
    field = np.abs(np.asarray(_scores(net, p, moved)) - np.asarray(_scores(net, p, flat[:64]))).max(-1)[0]
    field = field.reshape(size.side, size.side) / field.max()
    factors = p["theta"]["block 2"]["flow"].get("log_diffusion")
    gamma = None if factors is None else _starts(net, factors.shape[1]) * np.exp(factors)
    weights = sum(np.size(leaf) for leaf in jax.tree.leaves(p))
    right = 100 * float(np.mean(told[true > 0] == true[true > 0]))
    sees = 100 * float(np.mean(field > SEES))
    return Trained(right, sees, weights, seconds, history, told[:4], field, gamma)


def _starts(net: Chain, channels: int) -> np.ndarray:
    """Diffusivities that the channels of the implicit network start with."""
    from numdl.flow.images.diffusion import log_starts

    flow: Any = net.blocks[1]
    return np.exp(log_starts(flow.field.rule.diffusion, channels))


def _descent(rate: float, steps: int, of_vector: Any) -> tuple[Any, Any]:
    """First state of Adam, and its compiled step on a batch of images, as long for a half of the time, then shorter.

    Weights are one vector, with which Adam compiles in a third of the time.
    """
    import jax
    import optax

    descent = optax.adam(optax.linear_schedule(rate, 0.0, steps // 2, transition_begin=steps - steps // 2))

    @jax.jit
    def step(problem: Any, p: Any, state: Any, rows: Any) -> Any:
        batch = problem.rows(rows)
        loss, slope = jax.value_and_grad(lambda p: batch.value(of_vector(p), None)[0])(p)
        change, state = descent.update(slope, state)
        return optax.apply_updates(p, change), state, loss

    return descent.init, step


def _scores(net: Chain, p: Any, x: np.ndarray) -> Any:
    """Scores of all pixels, (n, pixels, classes)."""
    return _compiled(net)(p, x)


@functools.lru_cache(maxsize=4)
def _compiled(net: Chain) -> Any:
    import jax

    def scores(p: Any, x: Any) -> Any:
        m = p["W"].shape[1] - 1
        return net.batch(p["theta"], x).reshape(len(x), -1, m) @ p["W"][:, :m].T + p["W"][:, m]

    return jax.jit(scores)


def _draw(first: dict[str, Trained], right: dict[str, np.ndarray], unseen: tuple, figure: Figure) -> None:
    """An unseen image, its classes and what both tell, who sees the middle pixel, and shares that are right."""
    from matplotlib.colors import ListedColormap, LogNorm

    from numdl.plots.canvas import BLUE, GREEN, ORANGE, RED, logarithmic_y

    axes = figure.subplots(2, 4)
    images, labels = unseen
    i = int(np.argmax(labels[:4].max((1, 2)) == CLASSES - 1))
    kinds = ListedColormap(["white", BLUE, GREEN, RED])
    axes[0, 0].imshow(images[i], cmap="gray")
    axes[0, 0].set_title("Unseen image")
    parts = [("Classes of its pixels", labels[i])] + [(f"Told, {name}", one.told[i]) for name, one in first.items()]
    for ax, (title, classes) in zip(axes[0, 1:], parts, strict=True):
        ax.imshow(classes, cmap=kinds, vmin=0, vmax=CLASSES - 1, interpolation="nearest")
        ax.set_title(title)
    axes[0, 1].set_xlabel("blue two discs, green two rings, red both")
    drawn: Any = None
    for ax, (name, one) in zip(axes[1], first.items(), strict=False):
        drawn = ax.imshow(np.maximum(one.field, SEES), cmap="viridis", norm=LogNorm(SEES, 1.0))
        ax.set_title(f"Sees the middle, {name}")
    bar = figure.colorbar(drawn, ax=list(axes[1, :2]), location="bottom", shrink=0.8, ticks=[1e-6, 1e-4, 1e-2, 1])
    bar.ax.set_xticklabels(["none", "0.0001", "0.01", "1"])
    bar.set_label("change of scores as the middle pixel changes")
    for ax in (*axes[0], *axes[1, :2]):
        ax.set(xticks=[], yticks=[])
        ax.grid(visible=False)
        for side in ("top", "right"):
            ax.spines[side].set_visible(True)
    ax = axes[1, 2]
    for at, (name, color) in enumerate(zip(right, (ORANGE, BLUE), strict=True)):
        ax.bar(at, right[name].mean(), 0.6, color=color, alpha=0.85)
        ax.plot(np.full(len(right[name]), at), right[name], ".", color="black", markersize=6)
    ax.set_xticks([0, 1], list(right))
    ax.set(ylim=(0, 100), ylabel="object pixels right, %", title="Unseen images")
    gamma, ax = first["implicit"].diffusivities, axes[1, 3]
    assert gamma is not None
    for channel in range(gamma.shape[1]):
        ax.plot(np.arange(1, len(gamma) + 1), gamma[:, channel], marker="o", markersize=4)
    logarithmic_y(ax)
    ax.set(xlabel="step", ylabel="squared pixels over time", title="Diffusivities learned")
    ax.set_xticks(range(1, len(gamma) + 1))
