"""Stable image networks: of how many images is it proved that no small change makes them another class?

Handwritten digits of 8 x 8 pixels from 0 to 1. Opening of 3 x 3 taps, a flow of four Euler steps, means over cells of
2 x 2 pixels, softmax; ReLU, no norms. All three networks have the same number of weights and are trained alike, by
projected Adam on the cross entropy and a penalty on the head, and all openings are held at norm 1. The parabolic flow
``-K' act(K u + b)`` is held at ``h ||K||^2 <= 2``, where its steps lengthen nothing, the second at the same norms; its
steps ``u + h act(K u + b)`` have the bound ``1 + h ||K||``. The third is held at nothing. An image is certified for a
size of changes when its margin is larger than Lipschitz bound, head and size allow; attacks say how many it could be.

Source: Ruthotto and Haber, Deep neural networks motivated by partial differential equations, JMIV 62, 2020, theorem 1;
Tsuzuku, Sato and Sugiyama, Lipschitz-margin training, NeurIPS 2018.
"""

from __future__ import annotations

import functools
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.models import Chain

TITLE = "Stable images: a parabolic network proves more than a residual one of the same size"
PARAMETERS = {"alpha": Parameter(3e-5, 1e-8, 1.0, "penalty on the head, in units of the mean misfit")}
NETS = {
    "parabolic": ("parabolic", True),
    "residual, same norms": ("plain", True),
    "residual, free": ("plain", False),
}
DEPTH, STEP, RATE = 4, 0.25, 0.05
EPS = (0.1, 0.3)
SIZES = np.linspace(0.0, 0.6, 61)


class Size(NamedTuple):
    """How much is computed and what is then claimed: least certified share at both sizes, percent."""

    side: int
    n: int
    unseen: int
    channels: int
    steps: int
    attacked: int
    certified: tuple[float, float]


FULL = Size(side=8, n=1000, unseen=700, channels=8, steps=400, attacked=200, certified=(80.0, 35.0))
QUICK = Size(side=8, n=200, unseen=200, channels=2, steps=40, attacked=200, certified=(45.0, 15.0))


class Measured(NamedTuple):
    """Of one network: bounds of all and of its flow; of unseen images, sizes certified and of changes found."""

    bound: float
    flow: float
    right: np.ndarray
    radius: np.ndarray
    broken: np.ndarray


def run(quick: bool, random_state: int, *, alpha: float = PARAMETERS["alpha"].default) -> Outcome:
    """Train three networks, bound them, certify and attack unseen images.

    Args:
        quick: fewer images, channels and steps.
        random_state: seed of split and weights.
        alpha: penalty on the head, in units of the mean misfit.

    Returns:
        Bounds, shares of images, claims and figure.
    """
    from numdl.course.digits import load_digits

    size = QUICK if quick else FULL
    x, y = load_digits()
    order = np.random.default_rng(random_state).permutation(len(x))[: size.n + size.unseen]
    block = 8 // size.side
    x = x[order].reshape(-1, size.side, block, size.side, block).mean((2, 4)).reshape(len(order), -1)
    data = (x / 16).astype(np.float32), y[order]
    found = {name: _measured(*how, alpha, size, data, random_state) for name, how in NETS.items()}

    def share(radius: np.ndarray, eps: float) -> float:
        return 100 * float((radius > eps).mean())

    numbers: dict[str, Any] = {
        name: {
            "lipschitz_bound": m.bound,
            "right_percent": 100 * float(m.right.mean()),
            "certified_percent": {f"{eps:g}": share(m.radius, eps) for eps in EPS},
            "unbroken_percent": {f"{eps:g}": share(m.broken, eps) for eps in EPS},
        }
        for name, m in found.items()
    }
    parabolic, same = found["parabolic"], found["residual, same norms"]
    few = slice(0, size.attacked)
    shorter = sum(int(np.sum(m.broken < m.radius[few])) for m in found.values())
    claims = [
        at_most(
            "Lipschitz bound of the parabolic network, over that of its connecting layers", 2 * parabolic.bound, 1.0
        ),
        at_most("Lipschitz bound of the parabolic flow", parabolic.flow, 1.0),
        at_most("Attacks that needed less than certified", shorter, 0),
    ]
    for eps, least in zip(EPS, size.certified, strict=True):
        claims.append(at_least(f"Certified for changes of size {eps:g}", share(parabolic.radius, eps), least, " %"))
    more = share(parabolic.radius, EPS[1]) - share(same.radius, EPS[1])
    claims.append(at_least("More than of the residual network of the same norms", more, 10.0, " points"))
    return Outcome(numbers, claims, partial(_draw, found))


def _measured(dynamics: str, held: bool, alpha: float, size: Size, data: tuple, seed: int) -> Measured:
    import jax
    import jax.numpy as jnp

    from numdl.analysis import GradientSearch, LinearisedSearch, attack, certified_radius
    from numdl.models import image_resnet, lipschitz_bound

    x, y = data
    net = image_resnet(
        (size.side, size.side, 1),
        (size.channels,),
        merge=1,
        norm="none",
        cells=(size.side // 2, size.side // 2),
        dynamics=dynamics,
        depth=DEPTH,
        T=DEPTH * STEP,
    )
    p = _trained(net, held, alpha, size, x[: size.n], y[: size.n], seed)
    unseen, labels = x[size.n :], y[size.n :]

    scores = _scores(net)
    s = np.asarray(jax.jit(jax.vmap(scores, (None, 0)))(p, unseen))
    bound = lipschitz_bound(net, p["theta"])
    few = slice(0, size.attacked)
    search = LinearisedSearch(10) if size is FULL else GradientSearch()
    found = attack(search, scores, jax.tree.map(jnp.asarray, p), unseen[few], labels[few])
    right = s.argmax(axis=1) == labels
    broken = np.where(right[few], np.nan_to_num(found.norms, nan=np.inf), 0.0)
    flow = lipschitz_bound(net.blocks[1], p["theta"]["block 2"])
    return Measured(bound, flow, right, certified_radius(s, labels, np.asarray(p["W"]), bound), broken)


def _trained(net: Chain, held: bool, alpha: float, size: Size, x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """Weights after the steps; after each, convolutions are divided by what their norms have too much."""
    import jax
    import jax.numpy as jnp

    p = {"theta": net.init(seed, "float32"), "W": np.zeros((10, net.width), "f4"), "b": np.zeros(10, "f4")}
    state, step = _descent(net, size.steps)
    most, state = jnp.array([1.0, (2 / STEP) ** 0.5 if held else 1e6], "float32"), state(p)
    for _ in range(size.steps):
        p, state = step(p, state, x, y, most, alpha)
    return jax.tree.map(np.asarray, p)


@functools.lru_cache(maxsize=4)
def _descent(net: Chain, steps: int) -> Any:
    """First state of the optimiser, and its compiled step, projected to the bounds."""
    import jax
    import jax.numpy as jnp
    import optax

    side = net.blocks[0].image[0]  # type: ignore[attr-defined]

    def bounded(K: Any, most: Any) -> Any:
        return K * jnp.minimum(1.0, (1 - 1e-6) * most / _norm(K, side))

    def within(p: Any, most: Any) -> Any:
        opening, flow = p["theta"]["block 1"], p["theta"]["block 2"]["flow"]
        opening = {**opening, "K": bounded(opening["K"], most[0])}
        flow = {**flow, "K": jax.vmap(bounded, (0, None))(flow["K"], most[1])}
        return {**p, "theta": {**p["theta"], "block 1": opening, "block 2": {"flow": flow}}}

    def loss(p: Any, x: Any, y: Any, alpha: Any) -> Any:
        told = jax.nn.log_softmax(net.batch(p["theta"], x) @ p["W"].T + p["b"])
        return -jnp.mean(told[jnp.arange(len(y)), y]) + alpha / 2 * jnp.sum(p["W"] ** 2)

    descent = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    @jax.jit
    def step(p: Any, state: Any, x: Any, y: Any, most: Any, alpha: Any) -> Any:
        change, state = descent.update(jax.grad(loss)(p, x, y, alpha), state)
        return within(optax.apply_updates(p, change), most), state

    return descent.init, step


@functools.lru_cache(maxsize=4)
def _scores(net: Chain) -> Any:
    return lambda p, x: p["W"] @ net.features(p["theta"], x) + p["b"]


def _norm(K: Any, side: int) -> Any:
    """Norm of a convolution on a torus with a row of zeros beyond the pixels, as ``lipschitz_bound`` takes it."""
    import jax.numpy as jnp

    at = np.exp(-2j * np.pi * np.outer(np.arange(side + 1), np.arange(-1, 2)) / (side + 1)).astype(np.complex64)
    S = jnp.einsum("pa,qb,abio->pqoi", at, at, K)
    return jnp.sqrt(jnp.linalg.eigvalsh(jnp.einsum("pqoi,pqoj->pqij", S.conj(), S)).max())


def _draw(found: dict[str, Measured], figure: Figure) -> None:
    """Shares of images that are certified and that no attack has broken, over the size of changes."""
    from numdl.plots.canvas import BLUE, GREEN, RED

    axes = figure.subplots(1, len(found), sharey=True)
    for ax, (name, m), color in zip(axes, found.items(), (GREEN, BLUE, RED), strict=True):
        radius = m.radius[: len(m.broken)]  # of the same images
        certified, unbroken = ([100 * (r > eps).mean() for eps in SIZES] for r in (radius, m.broken))
        ax.plot(SIZES, unbroken, color=color, linestyle="--", label="attacks found none")
        ax.plot(SIZES, certified, color=color, label="certified")
        ax.fill_between(SIZES, certified, unbroken, color=color, alpha=0.12)
        ax.set(xlabel="size of a change, Euclidean norm", title=f"{name}: bound {m.bound:.3g}", ylim=(0, 101))
        ax.legend()
    axes[0].set_ylabel("share of unseen digits, %")
