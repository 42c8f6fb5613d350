"""All layers at once: states and every derivative are those of the serial march, in as few cycles as theory allows."""

import dataclasses
import functools
import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.flow import (
    BiasControl,
    LayerParallel,
    ParallelNewton,
    PiecewiseConstant,
    final,
    get_dynamics,
    get_scheme,
    serial,
)
from numdl.flow.march import multigrid, over_samples
from numdl.flow.march.all_at_once import one_by_one
from numdl.flow.march.parallel_newton import affine_recursion
from numdl.models import ResNet

pytestmark = pytest.mark.usefixtures("x64")
M = 4
X = jnp.asarray(np.random.default_rng(0).normal(size=(3, M)))


def problem(dynamics, scheme, nt, T=2.0, seed=0):
    """Weights that vary smoothly over nt steps of different length."""
    field, t = get_dynamics(dynamics), np.linspace(0, 1, nt)
    layers = [field.init(seed + k, M, 1.0) for k in range(3)]
    shapes = np.stack([np.ones(nt), np.sin(3 * t), t**2])
    coeffs = {
        name: jnp.asarray(np.tensordot(shapes.T, np.stack([layer[name] for layer in layers]), 1)) for name in layers[0]
    }
    h = jnp.asarray(T / nt * (1 + 0.3 * np.cos(5 * t)))
    return (get_scheme(scheme), field.vector_field(jnp.tanh), PiecewiseConstant(nt)), coeffs, h


CASES = [
    (LayerParallel(), "antisymmetric", "euler", 37),
    (LayerParallel(levels=2, relaxation="F"), "plain", "rk4", 16),
    (LayerParallel(factor=2, cycle="F"), "hamiltonian", "verlet", 9),
    (LayerParallel(factor=3), "parabolic", "heun", 20),
    (LayerParallel(), "plain", "heun", 3),
    (ParallelNewton(), "antisymmetric", "rk4", 21),
    (ParallelNewton(), "hamiltonian", "verlet", 1),
]


def agree(march, dynamics, scheme, nt, derivatives):
    args, coeffs, h = problem(dynamics, scheme, nt)

    def everything(march):
        def total(coeffs, x, h):
            return jnp.sum(jnp.sin(over_samples(march, *args, coeffs, x, 0.1, h)))

        return jax.jit(lambda at: derivatives(total, at))((coeffs, X, h))

    for mine, stored in zip(jax.tree.leaves(everything(march)), jax.tree.leaves(everything(final)), strict=True):
        np.testing.assert_allclose(mine, stored, atol=1e-9)


@pytest.mark.quick("march0-*", "march2-*", "march5-*", "march6-*")
@pytest.mark.parametrize(("march", "dynamics", "scheme", "nt"), CASES)
def test_value_and_gradient_are_those_of_stored_states(march, dynamics, scheme, nt):
    agree(march, dynamics, scheme, nt, lambda total, at: jax.value_and_grad(total, (0, 1, 2))(*at))


@pytest.mark.quick("march1")
@pytest.mark.parametrize("march", [LayerParallel(factor=2, levels=2), ParallelNewton()])
def test_so_are_tangents_and_products_with_the_hessian(march):
    def derivatives(total, at):
        return jax.jvp(total, at, at)[1], jax.jvp(jax.grad(total, (0, 1, 2)), at, at)[1]

    agree(march, "plain", "euler", 8, derivatives)


def test_one_sample_under_vmap_agrees_with_many():
    args, coeffs, h = problem("antisymmetric", "heun", 16)
    for march in (LayerParallel(), ParallelNewton()):
        one = functools.partial(march, *args, coeffs, t0=0.0, h=h)
        alone, together = jax.jit(lambda X, one=one: (jax.vmap(lambda u: one(u0=u))(X), one(u0=X)))(X)
        np.testing.assert_allclose(alone, together, atol=1e-11)


@pytest.mark.quick("2")
@pytest.mark.parametrize("factor", [2, 4])
def test_each_cycle_makes_two_more_intervals_exact(factor):
    """The coarse steps are nonsense here: only what the relaxation makes exact is exact."""
    nt, rng = 8 * factor, np.random.default_rng(1)
    a = jnp.asarray(rng.normal(size=nt))
    data = [a, 3 * jnp.ones(nt // factor)]
    g, start = jnp.asarray(rng.normal(size=nt)), jnp.asarray(1.0)

    def propagate(a, u):
        return a * u

    exact = one_by_one(propagate, a, g, start)
    for k in range(1, 5):
        cycles = multigrid.Cycles(factor, k, 0.0, False, True, lambda tree: tree)
        found = multigrid.solve_recursion(propagate, data, g, start, cycles)
        right = 2 * k * factor + 1
        np.testing.assert_allclose(found.states[:right], exact[:right], rtol=1e-9)
        if k < 4:
            assert not np.allclose(found.states[right + factor :], exact[right + factor :], rtol=1e-3)


def test_the_defect_that_ends_the_cycles_is_that_of_the_recursion():
    args, coeffs, h = problem("antisymmetric", "rk4", 64)
    loose = LayerParallel(tol=1e-4).convergence(*args, coeffs, X, 0.0, h)
    tight = LayerParallel().convergence(*args, coeffs, X, 0.0, h)
    states = jax.jit(jax.vmap(lambda u: serial(*args, coeffs, u, 0.0, h), out_axes=1))(X)
    assert loose.residuals[-1] <= 1e-4 < loose.residuals[-2]
    assert len(loose.residuals) < len(tight.residuals) < 64 / 8
    np.testing.assert_allclose(tight.states, states, atol=1e-12)
    assert 1e-12 < np.max(np.abs(loose.states - states)) < 1e-4
    assert tight.factor < 0.05  # smooth weights: coarse steps are good ones


def test_cycles_do_not_grow_with_depth():
    cycles = []
    for nt in (64, 256, 1024):
        args, coeffs, h = problem("hamiltonian", "verlet", nt)
        cycles.append(len(LayerParallel().convergence(*args, coeffs, X, 0.0, h).residuals))
    assert max(cycles) <= 8 and cycles[-1] <= cycles[0]


def test_a_coarse_step_that_overflows_costs_cycles_and_nothing_else():
    """Explicit steps of four times the length leave the stability region here."""
    args, coeffs, _ = problem("parabolic", "euler", 32)
    stiff = jax.tree.map(lambda leaf: 8.0 * leaf, coeffs)
    args = (args[0], get_dynamics("parabolic").vector_field(lambda u: jnp.maximum(u, 0.0)), args[2])
    h = jnp.full(32, 2.0 / jnp.max(jnp.linalg.norm(stiff["K"], ord=2, axis=(1, 2))) ** 2)
    found = LayerParallel(levels=2).convergence(*args, stiff, X, 0.0, h)
    states = jax.jit(jax.vmap(lambda u: serial(*args, stiff, u, 0.0, h), out_axes=1))(X)
    np.testing.assert_allclose(found.states, states, atol=1e-11)
    assert len(found.residuals) <= 32 // 8 + 1


@pytest.mark.thorough
def test_few_cycles_leave_a_bias_that_more_of_them_remove():
    args, coeffs, h = problem("antisymmetric", "euler", 32, T=6.0)

    def slope(march):
        return jax.grad(lambda c: jnp.sum(over_samples(march, *args, c, X, 0.0, h) ** 2))(coeffs)

    exact = slope(final)
    size = math.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in exact.values()))

    def bias(march):
        found = slope(march)
        return math.sqrt(sum(float(jnp.sum((found[name] - exact[name]) ** 2)) for name in exact)) / size

    coarse, fine = bias(LayerParallel(levels=2, cycles=1)), bias(LayerParallel(levels=2, cycles=3))
    assert coarse > 1e-4 and 1e-9 < fine < 0.03 * coarse


def test_affine_recursion():
    rng = np.random.default_rng(2)
    a, b, u = rng.normal(size=(9, 2, 3, 3)), rng.normal(size=(9, 2, 3)), rng.normal(size=(2, 3))
    found = np.asarray(jax.jit(affine_recursion)(a, b, u))
    for j in range(9):
        np.testing.assert_allclose(found[j], u, rtol=1e-10)
        u = np.einsum("nij,nj->ni", a[j], u) + b[j]
    np.testing.assert_allclose(found[9], u, rtol=1e-10)


@pytest.mark.quick("layer-parallel")
@pytest.mark.parametrize("march", ["layer-parallel", "parallel-newton", LayerParallel(factor=2, levels=2)])
def test_a_network_marches_so(march):
    net = ResNet(2, M, 12, T=2.0, dynamics="antisymmetric", march=march)
    theta, x = net.init(0, np.float64), X[:, :2]
    stored = dataclasses.replace(net, march="stored")

    def both(theta, x):
        return [(one.batch(theta, x), one.features(theta, x[0])) for one in (net, stored)]

    for found, expected in zip(*jax.jit(both)(theta, x), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("march", ["layer-parallel", "parallel-newton"])
def test_no_samples_give_no_features(march):
    net = ResNet(2, M, 12, march=march)
    assert net.batch(net.init(0, np.float64), X[:0, :2]).shape == (0, M)


@pytest.mark.parametrize("march", ["layer-parallel", "parallel-newton"])
def test_schemes_of_several_steps_are_refused(march):
    with pytest.raises(ValueError, match=f"{march}.scheme of several steps.*heun"):
        ResNet(2, M, 12, scheme="adams_bashforth", march=march)


@pytest.mark.parametrize(
    ("march", "given", "said"),
    [
        (LayerParallel, {"factor": 1}, "factor=1.*whole number >= 2"),
        (LayerParallel, {"levels": 0}, "levels=0"),
        (LayerParallel, {"cycles": 0}, "cycles=0"),
        (LayerParallel, {"tol": math.nan}, "tol=nan"),
        (LayerParallel, {"cycle": "W"}, "cycle='W'.*'V', 'F'"),
        (LayerParallel, {"relaxation": "CF"}, "relaxation='CF'"),
        (ParallelNewton, {"tol": -1.0}, "tol=-1"),
        (ParallelNewton, {"most": 0}, "most=0"),
    ],
)
def test_settings_out_of_range_are_refused(march, given, said):
    with pytest.raises(ValueError, match=said):
        march(**given)


@pytest.mark.thorough
def test_bias_is_estimated_and_held():
    args, coeffs, h = problem("antisymmetric", "euler", 32, T=6.0)

    def objective(coeffs, march, x):
        return jnp.sum(over_samples(march, *args, coeffs, x, 0.0, h) ** 2)

    exact = ravel_pytree(jax.jit(jax.grad(lambda c: objective(c, final, X)))(coeffs))[0]
    control = BiasControl(objective, LayerParallel(levels=2), share=1e-3)
    first = control(coeffs, X)
    error = jnp.linalg.norm(ravel_pytree(first.gradient)[0] - exact)
    assert 0 < error <= 2 * first.bias <= 2e-3 * jnp.linalg.norm(exact)
    assert first.cycles > 2 and first.cycles < first.spent
    again = control(coeffs, X)
    assert again.cycles == first.cycles and again.spent < first.spent  # the number of cycles is remembered
    crude = BiasControl(objective, LayerParallel(levels=2), share=1e-3, most=2)(coeffs, X)
    assert crude.cycles == 2 and crude.bias > 1e-3 * jnp.linalg.norm(exact)  # most cycles do not do: it says so


@pytest.mark.parametrize(
    ("given", "said"),
    [({"share": 0.0}, "share=0"), ({"most": 1}, "most=1")],
)
def test_control_out_of_range_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        BiasControl(lambda p, march: 0.0, **given)


DEVICES = """
import re, sys
import jax, jax.numpy as jnp, numpy as np
from numdl.flow import LayerParallel
from numdl.models import ResNet
from numdl.problems.sharding import place
data, layer = int(sys.argv[1]), int(sys.argv[2])
mesh = jax.make_mesh((data, layer), ("data", "layer"))
with jax.enable_x64(True):
    nets = [ResNet(2, 4, 64, T=3.0, dynamics="antisymmetric", march=m) for m in ("stored", LayerParallel(mesh=mesh))]
    theta, x = nets[0].init(0, np.float64), np.random.default_rng(0).normal(size=(22, 2))
    slopes = [jax.jit(jax.value_and_grad(lambda t, x, net=net: jnp.sum(net.batch(t, x) ** 2))) for net in nets]
    divided = place(mesh, x)
    (one, g), (other, h) = slopes[0](theta, x), slopes[1](theta, divided)
    gap = max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(jax.tree.leaves(g), jax.tree.leaves(h)))
    assert abs(one - other) < 1e-10 and gap < 1e-10, (one - other, gap)
    text = slopes[1].lower(theta, divided).compile().as_text()
    gathered = re.findall(r"= f64\\[([0-9,]*)\\]\\S* all-gather", text)
    whole = [shape for shape in gathered if data > 1 and "22" in shape.split(",")]
    forward = jax.jit(nets[1].batch).lower(theta, divided).compile().as_text()
    print(jax.device_count(), "collective-permute" in text, whole, forward.count(" all-to-all("))
"""


@pytest.mark.parametrize(("data", "layer"), [pytest.param(1, 4, marks=pytest.mark.thorough), (2, 2)])
def test_samples_and_layers_on_four_devices(data, layer):
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    call = [sys.executable, "-c", DEVICES, str(data), str(layer)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "4 True [] 0\n", done.stderr  # a sweep hands ends on to the neighbour, and no more
