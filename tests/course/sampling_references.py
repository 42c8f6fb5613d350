"""What pages about samples and landscapes must show, by numdl and NumPy from their definitions."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares, linear_sum_assignment

from numdl.analysis import cut, filter_normalised, on_grid
from numdl.course.site import grids
from numdl.course.site.build import HERE
from numdl.optimize import sample_gap

SIZES = np.floor(25 * 2 ** (np.arange(15) / 2) + 0.5).astype(int)


@functools.cache
def rows(seed):
    return np.random.RandomState(seed).standard_normal((6400, 21))


@functools.cache
def unit_fits(seed, p):
    """Fits to growing samples at noise 1: errors in the unknowns, and losses of all rows."""
    A, e = rows(seed)[:, :p], rows(seed)[:, 20]
    errors = np.stack([np.linalg.lstsq(A[:n], e[:n], rcond=None)[0] for n in SIZES])
    return errors, (e - errors @ A.T) ** 2 / 2


@functools.cache
def of_twenty_draws(p, n):
    """Misfits of the sample and of all rows at noise 1, over 1/2, one row for each draw."""
    found = []
    for seed in range(1, 21):
        A, e = rows(seed)[:n, :p], rows(seed)[:n, 20]
        error = np.linalg.lstsq(A, e, rcond=None)[0]
        found.append([np.mean((e - A @ error) ** 2), 1 + error @ error])
    return np.array(found)


def samples(settings):
    v, p, n = settings["noise"] ** 2, settings["unknowns"], int(SIZES[settings["size"]])
    errors, losses = unit_fits(settings["seed"], p)
    gaps = [sample_gap(v * loss[:n], v * loss[n : 2 * n]) for n, loss in zip(SIZES, losses, strict=True)]
    seen = np.array([found.gap / found.fresh for found in gaps])
    vouched = seen + 1.6448536269514722 * np.array([found.error / found.fresh for found in gaps])
    band = np.sort(of_twenty_draws(p, 100), axis=0)
    return {
        "training": [v * np.mean(loss[:n]) for n, loss in zip(SIZES, losses, strict=True)],
        "heldOut": v / 2 * (1 + np.sum(errors**2, axis=1)),
        "gap": seen,
        "vouched": vouched,
        "mean": np.mean(of_twenty_draws(p, n)[:, 1]),
        "band": [band[2, 0], band[17, 1]],
        "stop": np.argmax(vouched < 0.15) if np.any(vouched < 0.15) else -1,
    }


X = np.linspace(-2, 2, 25)
ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


@functools.cache
def trained(activation):
    """Ends of two trainings as the page states them, each (3, 6): its numbers are data."""
    source = (HERE / "pages/nonlinear/landscape_view.mjs").read_text()
    stated = source[source.index(f"  {activation}: [\n") :]
    return np.reshape([float(x) for x in re.findall(r"-?\d+\.\d+", stated)[:36]], (2, 3, 6))


@functools.cache
def misfit_of(activation):
    targets = np.sin(2 * X) + 0.5 * np.cos(4 * X + 1)

    def outputs(p):
        return ACTIVATIONS[activation](jnp.outer(X, p["K"][:, 0]) + p["b"]) @ p["v"][0]

    def misfit(p):
        return jnp.mean((outputs(p) - targets) ** 2) / 2

    slopes = jax.jit(jax.jacobian(lambda p: outputs(network(p))))
    return misfit, jax.jit(outputs), lambda p: np.asarray(slopes(p)).reshape(25, 18)


def trained_further(activation, p):
    """Weights after more steps of Levenberg and Marquardt on the misfit with the page's penalty."""
    act = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh}[activation]
    targets = np.sin(2 * X) + 0.5 * np.cos(4 * X + 1)

    def residuals(q):
        w, b, v = q.reshape(3, 6)
        return np.append((act(X[:, None] * w + b) @ v - targets) / 5, np.sqrt(1e-5) * q)

    return least_squares(residuals, p.ravel(), method="lm", xtol=1e-12, ftol=1e-12).x.reshape(3, 6)


def network(p):
    """The tree of weights (3, 6): rows of a matrix, shifts, one row of the head."""
    p = jnp.asarray(p)
    return {"K": p[0][:, None], "b": p[1], "v": p[2][None]}


def landscape_view(settings):
    with jax.enable_x64(True):
        return look(settings)


def look(settings):
    first, second = trained(settings["activation"])
    misfit, outputs, slopes = misfit_of(settings["activation"])
    r = np.array([settings["scale"], settings["scale"], 1 / settings["scale"]])[:, None]
    here = r * first
    distances = np.sum((first[:, :, None] - second[:, None]) ** 2, axis=0)
    paired = second[:, linear_sum_assignment(distances)[1]]
    ends = {"itself": first, "twin": here[:, ::-1], "second": second, "paired": paired}
    walks = {name: cut(misfit, network(here), network(end), points=61, batch=61) for name, end in ends.items()}
    drawn = np.random.RandomState(settings["seed"]).standard_normal((2, 3, 6))

    def directions(p):
        if settings["look"] == "plain":
            return [network(d * np.linalg.norm(first) / np.linalg.norm(d)) for d in drawn]
        return [filter_normalised(network(d), network(p)) for d in drawn]

    def curvatures(p):
        along = [slopes(p) @ np.concatenate([np.ravel(leaf) for leaf in d.values()]) for d in directions(p)]
        return np.linalg.eigvalsh(np.array(along) @ np.transpose(along) / 25)[::-1]

    side = np.linspace(-0.6, 0.6, 5)
    corners = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    return {
        "values": np.linalg.eigvalsh(slopes(here).T @ slopes(here) / 25)[::-1],
        "line": walks[settings["end"]].values,
        "barrier": 1 + walks[settings["end"]].barrier,
        "plane": curvatures(here),
        "planeBefore": curvatures(first),
        "around": on_grid(misfit, network(here), directions(here), corners, batch=25),
        "change": 1 + np.max(np.abs(outputs(network(here)) - outputs(network(first)))),
        "paired": [walks["second"].barrier, walks["paired"].barrier],
    }


LINE = (np.arange(832) + 0.5) / 832


def fold(y, times):
    for _ in range(times):
        y = 2 * np.minimum(y, 1 - y)
    return y


TARGETS = {
    "sine": np.sin(4 * LINE),
    "parabola": LINE**2,
    "kink": np.abs(LINE - 1 / 3),
    "takagi": np.sum([fold(LINE, k) / 2**k for k in range(1, 25)], axis=0),
}


@functools.cache
def left_over(m, folds, bend):
    """What units, folds and their head leave of each target."""
    bends = np.append(np.arange(m) / m, [1 / 3] * bend)
    layers = [fold(LINE, k + 1) for k in range(folds)]
    Z = np.column_stack([np.ones(832), np.maximum(LINE[:, None] - bends, 0), *layers])
    every = np.stack(list(TARGETS.values()), axis=1)
    return dict(zip(TARGETS, (every - Z @ np.linalg.lstsq(Z, every, rcond=1e-12)[0]).T, strict=True))


def depth_and_width(settings):
    name, m, folds, bend = settings["target"], 2 ** settings["width"], settings["folds"], settings["bend"]

    def error(m, folds):
        return 1 + np.linalg.norm(left_over(m, folds, bend)[name]) / np.linalg.norm(TARGETS[name])

    widths, depths = 2 ** np.arange(8), range(8)
    data = grids.read("timed_data")
    steps, nets = np.array(data["iterations"]) + 1, data["trained"][name]
    return {
        "trained": [value for one in nets.values() for value in (*(steps * one["seconds"]), *one["errors"])],
        "best": [min(nets[key]["errors"][-1] for key in keys) for keys in (nets, [k for k in nets if " " in k])],
        "f": TARGETS[name] - left_over(m, folds, bend)[name],
        "shallow": [error(int(w), 0) for w in widths],
        "same": [error(int(w), folds) for w in widths],
        "deep": [error(1, k) for k in depths],
        "here": [error(m, k) for k in depths],
        "pieces": [m, max(m, 2**folds)],
    }


REFERENCES = {"samples": samples, "landscape_view": landscape_view, "depth_and_width": depth_and_width}
