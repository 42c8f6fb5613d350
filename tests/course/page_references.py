"""What the pages must show, by numdl: for each page a function of its settings, with the names of its `compare`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flow_references import REFERENCES as FLOWS
from image_references import REFERENCES as IMAGES
from layer_references import REFERENCES as LAYERS
from model_references import REFERENCES as MODELS
from page_references_linear import LINEAR
from page_references_training import TRAINING
from planar_references import REFERENCES as PLANAR
from sampling_references import REFERENCES as SAMPLING
from watched_references import REFERENCES as WATCHED

from numdl.analysis.stability import amplification
from numdl.course.site import grids
from numdl.data.problems.inverse_problems import deblurring
from numdl.flow import BasisInTime, get_activation, get_dynamics, get_scheme, serial
from numdl.flow.march.multigrid import Cycles, solve_recursion
from numdl.linalg import LinearQuadratic, follow, riccati
from numdl.models import ResNet
from numdl.regularize.ridge import decompose, ridge_path
from numdl.regularize.ridge.filters import tikhonov, truncated
from numdl.regularize.selectors import GUARD, discrepancy, gcv


def in_float64(reference):
    def call(settings):
        with jax.enable_x64(True):
            return {name: np.asarray(value) for name, value in reference(settings).items()}

    return call


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


@in_float64
def stability(settings):
    name, h = settings["scheme"], settings["h"]
    scheme, g = get_scheme(name), 0.0 if name == "verlet" else settings["damping"]
    k = np.arange(25)
    plane = 1j * k / 8 if name == "verlet" else -(k % 5) / 1.5 + 1j * k / 8
    found = amplification(scheme, np.append(plane, complex(-h * g, h)), scheme.halves)
    return {"R": found[-1], "orbit": np.ravel(orbits(name)(h, g)), "region": found[:-1]}


@functools.cache
def sweeps_of_layers():
    """The scalar control problem in 64 layers: its optimum by Riccati's recursion, and slopes by differentiation."""
    n, h = 64, 1 / 64

    def exact(a, q):
        ones = jnp.ones((n, 1, 1))
        last = jnp.zeros((n + 1, 1, 1)).at[-1].set(q)
        zeros = jnp.zeros((n, 1))
        stages = LinearQuadratic(
            (1 + h * a) * ones, h * ones, zeros, last, 0 * ones, h * ones, jnp.zeros((n + 1, 1)), zeros
        )
        u, v = follow(stages, riccati(stages), jnp.ones(1))
        return u[:, 0], v[:, 0]

    def states(a, v):
        return jnp.append(1.0, jax.lax.scan(lambda u, v: ((1 + h * a) * u + h * v,) * 2, 1.0, v)[1])

    def slope(a, q, v):
        return jax.grad(lambda v: 0.5 * q * states(a, v)[-1] ** 2)(v) / h

    return jax.jit(exact), jax.jit(states), jax.jit(slope)


@in_float64
def sweeps(settings):
    a, q, rho = (jnp.float64(settings[name]) for name in ("growth", "weight", "rho"))
    exact, states, slope = sweeps_of_layers()
    u, v = exact(a, q)

    def sweep(w):
        return (rho * w - slope(a, q, w)) / (1 + rho)

    w = jnp.zeros(64)
    factor = (sweep(w) - v)[0] / (w - v)[0]  # each sweep multiplies the error by one number
    for _ in range(settings["sweeps"]):
        w = sweep(w)
    return {"factor": factor, "v": w, "u": states(a, w), "exact": v, "uExact": u, "slope": slope(a, q, w)}


@functools.cache
def networks(depth):
    """For each way to march: the scores of rows, compiled once."""
    h = grids.STEPS[depth]
    nets = {
        "own": ResNet(2, 4, depth, T=depth * h, dynamics="plain"),
        "half": ResNet(2, 4, 2 * depth, T=depth * h, dynamics="plain"),
        "finer": ResNet(2, 4, 8 * depth, T=depth * h, dynamics="plain"),
        "rk4": ResNet(2, 4, depth, T=depth * h, dynamics="plain", scheme="rk4"),
    }
    return {name: (net.depth // depth, jax.jit(jax.vmap(net, (None, 0)))) for name, net in nets.items()}


@in_float64
def spectra(settings):
    depth, data = int(settings["run"]), grids.read("spectra_data")
    h, part = data["runs"][str(depth)]["h"], data["runs"][str(depth)]["nets"][settings["snapshot"]]
    K, b, W = (np.array(part[name]) for name in ("K", "b", "W"))

    rows, targets = np.array(data["x"] + data["xTest"]), np.array(data["c"] + data["cTest"])

    def misfits(name):
        times, embed = networks(depth)[name]
        flow = {"K": np.repeat(K, times, axis=0), "b": np.repeat(b, times, axis=0)}
        u = embed({"opening": {"K": np.array(part["K0"]), "b": np.array(part["b0"])}, "flow": flow}, rows)
        squares = (u @ W[:, :-1].T + W[:, -1] - targets) ** 2
        return [np.mean(squares[:100]), np.mean(squares[100:])]

    u, values = np.tanh(np.array(data["x"])[:16] @ np.array(part["K0"]).T + part["b0"]), []
    for Kj, bj in zip(K, b, strict=True):
        v = np.tanh(u @ Kj.T + bj)
        values.append(h * np.linalg.eigvals((1 - v**2)[:, :, None] * Kj))
        u = u + h * v
    z = np.reshape(values, (depth, -1))
    R = amplification(get_scheme("euler"), z, False)
    return {
        "largest": R.max(axis=1),
        "outside": ((z.real <= 1e-6 * h) & (R > 1 + 1e-6)).sum(axis=1),
        "real": np.sort(z.real.ravel()),
        "imaginary": np.sort(np.abs(z.imag.ravel())),
        "misfits": misfits("own"),
        "remarched": misfits(settings["march"])[1],
    }


@functools.cache
def features(seed, m, noise):
    Z, c, Z_test, truth = grids.random_features(seed, m, noise)
    return Z, c, Z_test, truth, decompose(Z, c[:, None])


def double_descent(settings):
    m = grids.SIZES[settings["size"]]
    Z, c, Z_test, truth, d = features(settings["seed"], m, float(settings["noise"]))
    path = ridge_path(d, grids.GRID / 40)

    def error(W):
        return np.linalg.norm(Z_test @ W - truth) / np.linalg.norm(truth - truth.mean())

    heads = [d.solution(alpha)[0][:, 0] for alpha in path.alphas]
    free, chosen = np.linalg.lstsq(Z, c, rcond=None)[0], heads[gcv(path).index]
    return {
        "smallest": np.linalg.svd(Z, compute_uv=False)[-1],
        "none": [error(free), np.linalg.norm(free)],
        "gcv": [error(chosen), np.linalg.norm(chosen)],
        "guarded": error(heads[gcv(path, guard=GUARD).index]),
        "best": min(map(error, heads)),
        "predicted": Z_test @ chosen,
    }


@functools.cache
def turning(nt):
    """RK4 through linear layers whose weights turn with time, compiled once for any speed and size."""
    J = jnp.array([[0.0, -1.0], [1.0, 0.0]])

    def rate(t, u, theta, size, speed):
        Q = jnp.cos(speed * t) * jnp.eye(2) + jnp.sin(speed * t) * J
        return Q @ jnp.array([[0.5, size], [-size, -1.0]]) @ Q.T @ u

    def march(size, speed, T):
        field = functools.partial(rate, size=size, speed=speed)
        weights = {"K": jnp.zeros((1, 1))}
        return serial(
            get_scheme("rk4"), field, BasisInTime(nt, 1, "legendre"), weights, jnp.array([1.0, 0.0]), 0.0, T / nt
        )

    return jax.jit(march)


@in_float64
def rotation(settings):
    size, speed = settings["size"], float(settings["speed"])
    K0, J = np.array([[0.5, size], [-size, -1.0]]), np.array([[0.0, -1.0], [1.0, 0.0]])
    return {
        "frozen": np.linalg.eigvals(K0).real.max(),
        "growth": np.linalg.eigvals(K0 - speed * J).real.max(),
        "orbit": np.ravel(turning(60)(size, speed, 3.0)),
        "end": np.linalg.norm(turning(1200)(size, speed, 12.0)[-1]),
    }


@functools.cache
def two_levels(factor, most):
    """Multigrid in time for 256 layers that multiply by a complex number, compiled once for any number."""

    def times(a, u):
        return jnp.stack([a[0] * u[0] - a[1] * u[1], a[0] * u[1] + a[1] * u[0]])

    def run(fine, coarse):
        data = [jnp.tile(fine, (256, 1)), jnp.tile(coarse, (256 // factor, 1))]
        how = Cycles(factor, most, 0.0, f_cycle=False, fcf=False, place=lambda tree: tree)
        return solve_recursion(times, data, jnp.zeros((256, 2)), jnp.array([1.0, 0.0]), how)

    return jax.jit(run)


@in_float64
def layer_parallel(settings):
    rate = np.array({"decaying": [-1.0, 0.0], "turning": [0.0, 1.5], "growing": [0.5, 0.0]}[settings["flow"]])
    factor, one = int(settings["factor"]), np.array([1.0, 0.0])
    found = two_levels(factor, settings["cycle"])(one + rate / 64, one + factor * rate / 64)
    states = found.states[1:]
    return {
        "ends": states[factor - 1 :: factor].ravel(),
        "residuals": found.residuals[:3],
        "inner": inner(states, factor),
    }


def inner(states, factor):
    """States within the blocks; their ends are those of the sweep before the correction."""
    return np.delete(np.asarray(states), np.s_[factor - 1 :: factor], axis=0).ravel()


REFERENCES = {
    **LINEAR,
    **TRAINING,
    **FLOWS,
    **IMAGES,
    **LAYERS,
    **MODELS,
    **PLANAR,
    **SAMPLING,
    **WATCHED,
    "layer_parallel": layer_parallel,
    "rotation": rotation,
    "double_descent": double_descent,
    "picard": picard,
    "choosing_alpha": choosing_alpha,
    "stability": stability,
    "sweeps": sweeps,
    "spectra": spectra,
}
