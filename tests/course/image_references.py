"""What pages about networks of images must show, by numdl's convolutions, diffusion, transfers and bounds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from numdl.analysis import certified_radius
from numdl.course.dynamics.stable_images import NETS
from numdl.course.site import grids, pictured
from numdl.flow import get_activation, get_scheme, on_images
from numdl.flow.images import convolve, transferred
from numdl.flow.images.diffusion import diffusion
from numdl.flow.images.operators import KINDS, Grid
from numdl.flow.images.spectral import norm_bound
from numdl.models import ResNet, lipschitz_bound
from numdl.regularize.ridge import decompose


def in_float64(reference):
    def call(settings):
        with jax.enable_x64(True):
            return {name: np.asarray(value) for name, value in reference(settings).items()}

    return call


@in_float64
def sight(settings):
    """State of 25 x 25 pixels and two channels, and its derivative by the middle pixel, by forward differentiation."""
    kind, gamma, rng = settings["kind"], settings["gamma"], np.random.RandomState(3)
    u, K = 0.5 * rng.standard_normal((25, 25, 2)), 0.3 * rng.standard_normal((12, 3, 3, 2, 2))
    L = diffusion(jnp.log(jnp.array([gamma])), Grid((25, 25), "reflecting"))

    def spread(u):
        second = u[..., 1].ravel()
        if kind == "none":
            return u
        second = L.solve(1.0, second) if kind == "implicit" else L.times(second)
        return jnp.stack([u[..., 0] * (kind == "implicit"), second.reshape(25, 25)], axis=-1)

    def network(u):
        for A in K[: settings["layers"]]:
            moved = u + jnp.tanh(convolve(A, u[None], "reflecting")[0])
            u = moved + spread(u) if kind == "explicit" else spread(moved)
        return u

    state, change = jax.jvp(network, (u,), (np.zeros_like(u) + np.eye(1250)[2 * (12 * 25 + 12)].reshape(u.shape),))
    share = np.abs(change).max(axis=2) / np.abs(change).max()
    i, j = np.indices((25, 25)) - 12
    far = np.maximum(np.abs(i), np.abs(j))
    waves = np.linalg.eigvalsh(jax.vmap(L.times)(np.eye(625)))
    longest = {"none": 1.0, "explicit": np.abs(1 + waves).max(), "implicit": (1 / (1 - waves)).max()}
    return {
        "state": state.ravel(),
        "change": change.ravel() / np.abs(change).max(),
        "seen": np.mean(share > 1e-6),
        "by": [share[far == d].max() for d in range(13)],
        "longest": longest[kind],
    }


def stepped(scheme, h, u, keep):
    """One step of the Hamiltonian images [y; z], each line of it kept by ``keep``; back with -h."""
    y, z = np.split(u, 2)
    F, G = (lambda x, part=part: np.asarray(part(x)) for part in hamiltonian_parts())
    if scheme == "euler":
        return np.concatenate([keep(y + h * F(z)), keep(z + h * G(y))])
    z = keep(z + h / 2 * G(y))
    y = keep(y + h * F(z))
    return np.concatenate([y, keep(z + h / 2 * G(y))])


@functools.cache
def hamiltonian_parts():
    rng = np.random.RandomState(5)
    rng.standard_normal(144)
    K1, K2 = 0.3 * rng.standard_normal((2, 3, 3, 2, 2))
    f = on_images("double_hamiltonian", (6, 6), border="periodic").vector_field(get_activation("tanh"))
    theta = {"K1": K1, "b1": np.zeros(2), "K2": K2, "b2": np.zeros(2)}
    return jax.jit(lambda z: f.first(0.0, z, theta)), jax.jit(lambda y: f.second(0.0, y, theta))


@functools.cache
def step_and_slope(scheme):
    def step(u, h):
        y, z = jnp.split(u, 2)
        F, G = hamiltonian_parts()
        if scheme == "euler":
            return jnp.concatenate([y + h * F(z), z + h * G(y)])
        y = y + h * F(z + h / 2 * G(y))
        return jnp.concatenate([y, z + h / 2 * G(jnp.split(u, 2)[0]) + h / 2 * G(y)])

    return jax.jit(step), jax.jit(lambda u, h, p: jax.vjp(lambda u: step(u, h), u)[1](p)[0])


@in_float64
def backwards(settings):
    """There and back with numbers rounded to single precision; slopes by numdl's derivatives at both sets of states."""
    scheme, n = settings["scheme"], round(settings["layers"])
    h, start = settings["T"] / n, np.random.RandomState(5).standard_normal(144)
    step, slope_of = step_and_slope(scheme)

    def single(x):
        return x.astype(np.float32).astype(float)

    states, there = [start], [single(start)]
    for _ in range(n):
        states.append(np.asarray(step(states[-1], h)))
        there.append(stepped(scheme, h, there[-1], single))
    slope, own, u = states[-1], there[-1], there[-1]
    for before in reversed(states[:-1]):
        slope = slope_of(before, h, slope)
        u = stepped(scheme, -h, u, single)
        own = slope_of(u, h, own)
    return {
        "end": states[-1],
        "image": u,
        "slope": slope,
        "own": own,
        "error": np.log10(np.linalg.norm(u - start) / np.linalg.norm(start)),
        "wrong": np.log10(np.linalg.norm(own - slope) / np.linalg.norm(slope)),
        "stored": n / 8,
    }


@in_float64
def scales(settings):
    """A stencil carried over by numdl; its factors on waves by convolution of images on a torus."""
    smooth = np.outer([1, 2, 1], [1, 2, 1]) / 16
    rough = np.array([[0.5, -0.7, 0.4], [-0.3, 0.9, -0.3], [0.4, -0.7, 0.5]])
    K = (1 - settings["rough"]) * smooth + settings["rough"] * rough
    fine = np.asarray(transferred(K, settings["how"]))
    back = transferred(fine, coarser=True)

    def factors(K, pixels, waves):
        """On rows of 8 images one after the other, so that eighths of a wave fit on the torus as well."""
        at = 2 * np.pi * np.asarray(waves)[:, None] * np.arange(8 * pixels) / pixels
        images = np.broadcast_to(np.cos(at)[:, None, :, None], (len(waves), 5, 8 * pixels, 1))
        return np.asarray(convolve(K[..., None, None], images, "periodic"))[:, 0, 0, 0]

    return {
        "fine": fine,
        "back": back,
        "coarse": factors(K, 8, [settings["waves"]])[0],
        "onFine": factors(fine, 16, [settings["waves"]])[0],
        "fineGains": factors(fine, 16, np.arange(65) / 8),
        "sizes": [np.abs(K).sum(), np.abs(fine).sum()],
    }


@in_float64
def certified(settings):
    """Scores, bound and certified lengths of a stored network by numdl."""
    found = judged(settings["net"], settings["alpha"])
    radius, size, attacked = found["radius"], settings["size"], found["attacked"]
    right = found["scores"].argmax(axis=1) == found["classes"]
    told = [radius > size, attacked > size, right, attacked < radius * (1 - 5e-3)]
    return {name: found[name] for name in ("scores", "bound", "factors", "radius")} | {"counts": np.sum(told, axis=1)}


@functools.cache
def judged(net, alpha):
    stored = grids.read("certified_data")[f"{net} {alpha}"]
    p, dynamics = pictured.weights(stored), NETS[net][0]
    network, shown = pictured.network(dynamics), grids.read("digits_data")
    x = np.array([[int(pixel, 17) for pixel in image] for image in shown["images"][:100]]) / 16
    classes = np.array(shown["classes"][:100])
    scores, bound = network.batch(p["theta"], x) @ p["W"].T + p["b"], lipschitz_bound(network, p["theta"])
    one = ResNet(192, 192, 1, T=0.25, dynamics=on_images(dynamics, (8, 8)), opening=False, activation="relu")
    flow = p["theta"]["block 2"]["flow"]
    layers = [jax.tree.map(lambda leaf, j=j: leaf[j : j + 1], flow) for j in range(4)]
    return {
        "scores": np.asarray(scores),
        "bound": bound,
        "factors": [lipschitz_bound(one, {"flow": layer}) for layer in layers],
        "radius": certified_radius(np.asarray(scores), classes, p["W"], bound),
        "classes": classes,
        "attacked": np.array(stored["found"]),
    }


def patches(settings):
    """Features of 120 digits to train on and 180 new ones by NumPy, the head along alpha by numdl's decomposition."""
    shown, rows = grids.read("digits_data"), slice(100, 400)
    x = np.array([[int(pixel, 17) for pixel in image] for image in shown["images"][rows]]) / 16
    F, classes = pooled_responses(x, settings), np.array(shown["classes"][rows])
    along = [heads_along_alpha(part, classes) for part in (F, x)]
    chosen = [int(np.argmin(one["gcv"])) for one in along]
    fresh, told = along[0]["fresh"], along[0]["told"]
    shares = [fresh[chosen[0]], told[chosen[0]], fresh.min(), along[1]["fresh"][chosen[1]]]
    return {**along[0], "gcv": along[0]["gcv"][12:], "shares": shares, "chosen": chosen[0]}


def pooled_responses(x, settings):
    raw = sliding_window_view(x.reshape(-1, 8, 8), (3, 3), axis=(1, 2)).reshape(-1, 6, 6, 9)
    z = (raw - raw.mean(3, keepdims=True)) / np.sqrt(raw.var(3, keepdims=True) + 0.01)
    own, rng = z[:120].reshape(-1, 9), np.random.RandomState(2)
    if settings["kind"] != "plain":
        l, V = np.linalg.eigh(np.cov(own.T, bias=True))
        z = (z - own.mean(0)) @ (V @ np.diag(1 / np.sqrt(l + 0.1)) @ V.T)
    variance = raw[:120].var(3).ravel()
    lively = np.flatnonzero(variance > np.sort(variance)[len(variance) // 2] + 1e-9)
    picked = [lively[int(u * len(lively))] for u in rng.random_sample(64)]
    f = rng.standard_normal((64, 9)) if settings["kind"] == "drawn" else z[:120].reshape(-1, 9)[picked]
    f = f[: round(settings["filters"])] / np.linalg.norm(f[: round(settings["filters"])], axis=1, keepdims=True)
    r, t, quarters = z @ f.T, settings["threshold"], [(i, j) for i in (0, 3) for j in (0, 3)]
    seen = [np.maximum(r - t, 0), np.maximum(-r - t, 0)]
    cells = [[a[:, i : i + 3, j : j + 3].mean((1, 2)) for i, j in quarters] for a in seen]
    return np.moveaxis(np.array(cells), (0, 1), (2, 3)).reshape(len(x), -1)  # filters, signs, quarters


def heads_along_alpha(A, classes):
    middle, E = A[:120].mean(0), np.eye(10)[classes]
    F, Y, means = A[:120] - middle, E[:120] - E[:120].mean(0), E[:120].mean(0)
    found = {"scores": [], "fresh": [], "told": [], "gcv": []}
    d = decompose(F, Y)
    size = np.sum(F**2) / 120
    for i, alpha in enumerate(np.geomspace(1e-6, 1e2, 33)):
        W = d.solution(size * alpha / 120)[0]  # numdl's misfit is a mean
        H = F @ np.linalg.solve(F.T @ F + size * alpha * np.eye(F.shape[1]), F.T)
        left = Y - (Y - F @ W) / (1 - 1 / 120 - np.diag(H))[:, None]
        scores = (A[120:] - middle) @ W
        found["fresh"].append(np.mean((scores + means).argmax(1) != classes[120:]))
        found["told"].append(np.mean((left + means).argmax(1) != classes[:120]))
        found["gcv"].append(120 * np.sum((Y - F @ W) ** 2) / (119 - np.trace(H)) ** 2)
        found["scores"] = scores if i == 16 else found["scores"]
    return {name: np.asarray(value) for name, value in found.items()}


@in_float64
def equations(settings):
    """Two images by numdl's dynamics of images, by the scheme of each, in the layers' steps and in 256 short ones."""
    kind, n = settings["kind"], round(settings["steps"])
    digit, noise = np.zeros((8, 8, 2)), np.random.RandomState(11)
    K = 0.35 * noise.standard_normal((3, 3, 2, 2))
    digit[..., 0].flat = [int(pixel, 17) / 16 for pixel in grids.read("digits_data")["images"][1]]
    states = np.stack([digit.ravel(), digit.ravel() + 0.3 * noise.standard_normal(128)])
    halved = kind in ("hamiltonian", "hyperbolic")
    states = np.pad(states, ((0, 0), (0, 128 * halved)))
    march = marched(kind, n)
    ends, ratios = march(states, K, settings["T"] / n)
    short = marched(kind, 256)(states, K, settings["T"] / 256)[1]
    return {
        "end": ends[0, :128],
        "other": ends[1, :128],
        "ratios": np.append(1.0, ratios),
        "exact": np.append(1.0, short)[::16],
        "norm": norm_bound(KINDS["full"], {"": K}, Grid((8, 8), "periodic")) ** 2,
    }


@functools.cache
def marched(kind, n):
    scheme = get_scheme("verlet" if kind in ("hamiltonian", "hyperbolic") else "euler")
    field = on_images(kind, (8, 8), border="periodic").vector_field(get_activation("tanh"))

    @jax.jit
    def march(states, K, h):
        def layer(u, _):
            step = jax.vmap(lambda one: scheme.step(field, 0.0, h, one, lambda c: {"K": K, "b": jnp.zeros(2)}))
            u = step(u)
            return u, jnp.linalg.norm(u[1] - u[0])

        ends, distances = jax.lax.scan(layer, states, length=n)
        return ends, distances / jnp.linalg.norm(states[1] - states[0])

    return march


REFERENCES = {
    "sight": sight,
    "backwards": backwards,
    "scales": scales,
    "certified": certified,
    "patches": patches,
    "equations": equations,
}
