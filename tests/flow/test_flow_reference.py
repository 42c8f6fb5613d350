"""Layers and integrators against values of an independent code, see tests/reference/README.md."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import PiecewiseConstant, PiecewiseLinear, get_activation, get_dynamics, get_scheme, serial
from numdl.flow.march import final
from numdl.models import ResNet
from numdl.problems.risk.losses import SOFTMAX

REFERENCE = Path(__file__).parents[1] / "reference"
pytestmark = pytest.mark.usefixtures("x64")


def load(name):
    with np.load(REFERENCE / f"{name}.npz") as file:
        return {key: jnp.asarray(file[key]) for key in file.files}


def pick(ref, prefix, *names):
    return {name: ref[prefix + name] for name in names}


def assert_close(found, expected, rtol=1e-10):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) <= rtol * np.linalg.norm(expected)


def compare(fun, theta, dtheta, ref):
    """Value, both directional derivatives and the adjoint in x of ``fun(theta, x)``; returns the adjoint in theta."""
    fun = jax.jit(fun)
    x, dx, w = ref["x"], ref["dx"], ref["w"]
    assert_close(fun(theta, x), ref["z"])
    assert_close(jax.jvp(lambda t: fun(t, x), (theta,), (dtheta,))[1], ref["jv_theta"])
    assert_close(jax.jvp(lambda y: fun(theta, y), (x,), (dx,))[1], ref["jv_x"])
    assert_close(jax.jvp(fun, (theta, x), (dtheta, dx))[1], ref["jv"])
    g_theta, g_x = jax.jit(lambda w: jax.vjp(fun, theta, x)[1](w))(w)
    assert_close(g_x, ref["jtw_x"])
    return g_theta


def layer(name, **options):
    f = get_dynamics(name).vector_field(get_activation("tanh"), **options)
    return lambda theta, x: jax.vmap(lambda u: f(0.0, u, theta))(x)


def test_single_layer_dense_is_the_opening():
    ref = load("single_layer_dense")
    model = ResNet(d=3, width=4, depth=0)

    def fun(theta, x):
        flow = {"K": jnp.zeros((0, 4, 4)), "b": jnp.zeros((0, 4))}
        return model.batch({"opening": pick(theta, "", "K", "b"), "flow": flow}, x) + theta["shift"]

    g = compare(fun, pick(ref, "", "K", "b", "shift"), pick(ref, "d", "K", "b", "shift"), ref)
    for name, value in g.items():
        assert_close(value, ref["g" + name])


def test_single_layer_relu_is_the_opening():
    ref = load("single_layer_relu")
    model = ResNet(d=3, width=4, depth=0, activation="relu")

    def fun(theta, x):
        flow = {"K": jnp.zeros((0, 4, 4)), "b": jnp.zeros((0, 4))}
        return model.batch({"opening": theta, "flow": flow}, x)

    g = compare(fun, pick(ref, "", "K", "b"), pick(ref, "d", "K", "b"), ref)
    for name, value in g.items():
        assert_close(value, ref["g" + name])


def test_residual_network_with_its_opening():
    """In the reference the opening is a step too, from a state of zeros; ``jv`` is along weights and samples."""
    ref = load("resnet_forward")
    names = ("K", "b", "opening_K", "opening_b")
    f = get_dynamics("plain").vector_field(get_activation("tanh"))

    def fun(p, x):
        opening = ResNet(2, 4, 0)
        flow = {"K": jnp.zeros((0, 4, 4)), "b": jnp.zeros((0, 4))}
        first = opening.batch({"opening": {"K": p["opening_K"], "b": p["opening_b"]}, "flow": flow}, x)
        coeffs = {"K": p["K"], "b": p["b"]}
        march = functools.partial(final, get_scheme("euler"), f, PiecewiseConstant(2), coeffs)
        return jax.vmap(lambda u: march(u, 0.0, ref["h"]))(ref["h"] * first)

    p, d, x = pick(ref, "", *names), pick(ref, "d", *names), ref["x"]
    assert_close(fun(p, x), ref["z"])
    assert_close(jax.jvp(fun, (p, x), (d, ref["dx"]))[1], ref["jv"])
    g, g_x = jax.vjp(fun, p, x)[1](ref["w"])
    assert_close(g_x, ref["jtw_x"])
    for name in names:
        assert_close(g[name], ref["g" + name])
    with pytest.raises(AssertionError):  # mutant: the opening is no step
        assert_close(fun(p | {"opening_K": p["opening_K"] * ref["h"]}, x), ref["z"])


def test_antisymmetric():
    ref = load("single_layer_antisym")
    fun = layer("antisymmetric", gamma=float(ref["gamma"]))
    g = compare(fun, pick(ref, "", "a", "b"), pick(ref, "d", "a", "b"), ref)
    assert_close(g["a"], ref["ga"])
    assert_close(jnp.sum(g["b"]), ref["gb_sum"])
    f = get_dynamics("antisymmetric").vector_field(get_activation("identity"), gamma=float(ref["gamma"]))
    columns = jax.vmap(lambda e: f(0.0, e, {"a": ref["a"], "b": jnp.zeros(4)}))(jnp.eye(4))
    assert_close(columns.T, ref["matrix"])


def test_double():
    ref = load("double_layer_dense")

    def fun(theta, x):
        return layer("double")({**theta, "b2": jnp.full(3, theta["b2_scalar"])}, x) + theta["shift"]

    names = ("K1", "K2", "b1", "b2_scalar", "shift")
    g = compare(fun, pick(ref, "", *names), pick(ref, "d", *names), ref)
    for name, value in g.items():
        assert_close(value, ref["g" + name])


def test_double_symmetric():
    ref = load("double_sym_layer_dense")

    def fun(theta, x):
        return layer("double_symmetric")(theta, x) + theta["shift"]

    g = compare(fun, pick(ref, "", "K", "b", "shift"), pick(ref, "d", "K", "b", "shift"), ref)
    for name, value in g.items():
        assert_close(value, ref["g" + name])


@dataclasses.dataclass(frozen=True)
class NodesAndMidpoints:
    """Weights at both ends and in the middle of each step: a third control, written against the contract only."""

    nt: int

    def cells(self, coeffs):
        return jax.tree.map(lambda leaf: jnp.stack([leaf[:-1:2], leaf[1::2], leaf[2::2]], axis=1), coeffs)

    def at(self, cell, c):
        return jax.tree.map(lambda leaf: leaf[round(2 * c)], cell)

    def refine(self, coeffs):
        raise NotImplementedError


def march(way, scheme, control, coeffs, x, h):
    f = get_dynamics("plain").vector_field(get_activation("tanh"))
    return jax.vmap(lambda u: way(get_scheme(scheme), f, control, coeffs, u, 0.0, h))(x)


RESNN = [("resnn_euler", "euler", PiecewiseConstant(4)), ("resnn_rk4", "rk4", NodesAndMidpoints(4))]


@pytest.mark.parametrize(("name", "scheme", "control"), RESNN)
def test_integrator(name, scheme, control):
    ref = load(name)

    def fun(coeffs, x):
        return march(final, scheme, control, coeffs, x, ref["h"])

    g = compare(fun, pick(ref, "", "K", "b"), pick(ref, "d", "K", "b"), ref)
    assert_close(g["K"], ref["gK"])
    assert_close(g["b"], ref["gb"])


def compare_objective(fun, names, ref):
    """Mean softmax loss of a head on ``fun(coeffs, x)``: value, gradient, Gauss-Newton product of flow and of head."""
    c, head, flow = ref["c"], ref["head"], pick(ref, "", *names)

    def scores(coeffs, W):
        u = fun(coeffs, ref["x"])
        return jnp.hstack([u, jnp.ones((len(u), 1))]) @ W.T

    @jax.jit
    def objective(coeffs, W):
        return jnp.mean(jax.vmap(SOFTMAX.value)(scores(coeffs, W), c))

    assert_close(objective(flow, head), ref["obj"])
    g_flow, g_head = jax.jit(jax.grad(objective, argnums=(0, 1)))(flow, head)
    assert_close(g_head, ref["obj_gW"])

    @functools.partial(jax.jit, static_argnums=0)
    def gauss_newton(fun, p, v):
        s, ds = jax.jvp(fun, (p,), (v,))
        factors = jax.vmap(SOFTMAX.factor)(s, c)
        return jax.vjp(fun, p)[1](jnp.einsum("nri,nrj,nj->ni", factors, factors, ds) / len(s))[0]

    hv_flow = gauss_newton(lambda coeffs: scores(coeffs, head), flow, pick(ref, "obj_v", *names))
    for name in names:
        assert_close(g_flow[name], ref["obj_g" + name])
        assert_close(hv_flow[name], ref["obj_hv" + name])
    assert_close(gauss_newton(lambda W: scores(flow, W), head, ref["obj_vW"]), ref["obj_hvW"])


@pytest.mark.quick("resnn_rk4-*")
@pytest.mark.parametrize(("name", "scheme", "control"), RESNN)
def test_objective_with_head(name, scheme, control):
    ref = load(name)
    compare_objective(lambda coeffs, x: march(final, scheme, control, coeffs, x, ref["h"]), ("K", "b"), ref)


def test_prolongation_euler():
    ref = load("resnn_euler")
    nodes = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf[-1:]]), pick(ref, "", "K", "b"))
    control = PiecewiseLinear(4)
    assert_close(march(final, "euler", control, nodes, ref["x"], ref["h"]), ref["z"])
    fine = control.refine(nodes)
    for name in ("K", "b"):
        assert_close(fine[name][:-1], ref["prolong_" + name])
        assert_close(fine[name][-1], nodes[name][-1])
    assert_close(march(serial, "euler", control.refined(), fine, ref["x"], ref["prolong_h"])[:, -1], ref["prolong_z"])


def test_prolongation_rk4():
    ref = load("resnn_rk4")
    fine = PiecewiseLinear(8).refine(pick(ref, "", "K", "b"))
    for name in ("K", "b"):
        assert_close(fine[name], ref["prolong_" + name])
