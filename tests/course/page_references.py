"""What the pages must show, by numdl: for each page a function of its settings, with the names of its `compare`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from numdl.analysis.stability import amplification
from numdl.data.problems.inverse_problems import deblurring
from numdl.flow import BasisInTime, get_activation, get_dynamics, get_scheme, serial
from numdl.regularize.ridge import decompose, ridge_path
from numdl.regularize.ridge.filters import tikhonov, truncated
from numdl.regularize.selectors import GUARD, discrepancy, gcv


@functools.cache
def blurred(noise, seed):
    problem = deblurring(64, 0.03)
    c = problem.b + problem.deviation(noise) * np.random.RandomState(seed).standard_normal(64)
    return problem, c, decompose(problem.A, c[:, None])


def picard(settings):
    problem, c, d = blurred(settings["noise"], settings["seed"])
    s, cut = 8 * d.c, settings["cut"]  # numdl's misfit is a mean: c = s / sqrt(n)
    coefficients = 8 * np.abs(d.coefficients[:, 0])
    if settings["filter"] == "truncate":
        kept = truncated(d.c, d.s, np.array([0.5 * (d.c[cut - 1] ** 2 + (d.c[cut] ** 2 if cut < 64 else 0.0))]))
    else:
        kept = tikhonov(d.c, d.s, np.array([d.c[cut - 1] ** 2]))
    answer = d.basis @ (kept.kept[0] * d.coefficients[:, 0] / d.c)
    cuts = np.tril(np.ones((64, 64))) * (d.coefficients[:, 0] / d.c)
    errors = np.linalg.norm(cuts @ d.basis.T - problem.x, axis=1) / np.linalg.norm(problem.x)
    return {
        "s": s,
        "coefficients": coefficients,
        "f": kept.kept[0],
        "x": answer,
        "residual": [np.linalg.norm(problem.A @ answer - c), np.linalg.norm(c)],
        "errors": errors[:50],
        "best": np.argmin(errors) + 1,
    }


def choosing_alpha(settings):
    problem, _, d = blurred(settings["noise"], settings["draw"])
    path = ridge_path(d, np.geomspace(1e-12, 10, 131) / 64)
    now = ridge_path(d, np.array([settings["alpha"] / 64]))
    choices = (gcv(path), gcv(path, guard=GUARD), discrepancy(path, problem.deviation(settings["noise"]) * 8))
    return {
        "residuals": path.residuals,
        "sizes": path.seminorms,
        "freedom": path.freedom,
        "gcv": gcv(path).criterion,
        "guarded": gcv(path, guard=GUARD).criterion,
        "chosen": [choice.index for choice in choices],
        "now": [now.residuals[0], now.seminorms[0], now.freedom[0]],
        "x": d.solution(settings["alpha"] / 64)[0][:, 0],
    }


@functools.cache
def orbits(scheme):
    """40 steps of the turning network of two units, for any step size and damping, compiled once."""
    dynamics = get_dynamics("hamiltonian" if scheme == "verlet" else "plain")
    f, steps = dynamics.vector_field(get_activation("tanh")), BasisInTime(40, 1, "legendre")

    def march(h, g):
        turning = {"K": jnp.array([[[-g, 1.0], [-1.0, -g]]]), "b": jnp.zeros((1, 2))}
        weights = {"K": jnp.ones((1, 1, 1)), "b": jnp.zeros((1, 1))} if scheme == "verlet" else turning
        return serial(get_scheme(scheme), f, steps, weights, jnp.array([1.0, 0.0]), 0.0, h)

    return jax.jit(march)


def stability(settings):
    name, h = settings["scheme"], settings["h"]
    scheme, g = get_scheme(name), 0.0 if name == "verlet" else settings["damping"]
    k = np.arange(25)
    plane = 1j * k / 8 if name == "verlet" else -(k % 5) / 1.5 + 1j * k / 8
    with jax.enable_x64(True):
        found = amplification(scheme, np.append(plane, complex(-h * g, h)), scheme.halves)
        return {"R": found[-1], "orbit": np.ravel(orbits(name)(h, g)), "region": found[:-1]}


REFERENCES = {"picard": picard, "choosing_alpha": choosing_alpha, "stability": stability}
