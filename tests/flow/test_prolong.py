"""Prolongation in time: exact for the weights it promises, the same for every control, features that agree to O(h)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import (
    PROLONGATIONS,
    SCHEMES,
    BasisInTime,
    PiecewiseConstant,
    PiecewiseLinear,
    SmoothInTime,
    prolong,
)
from numdl.models import ResNet, coarsened, prolonged, refined

pytestmark = pytest.mark.usefixtures("x64")
CONTROLS = [PiecewiseConstant, PiecewiseLinear]


def times(control, sizes=None):
    """When the coefficients of a control are taken, by its definition."""
    sizes = np.full(control.nt, 1 / control.nt) if sizes is None else np.asarray(sizes)
    ends = np.append(0, np.cumsum(sizes))
    return ends if isinstance(control, PiecewiseLinear) else ends[:-1] + sizes / 2


def polynomial(degree):
    c = np.random.default_rng(degree).normal(size=(degree + 1, 2, 3))
    return lambda t: {"K": jnp.asarray(np.einsum("pt,pij->tij", t ** np.arange(degree + 1)[:, None], c))}


@pytest.mark.parametrize("control", [kind(4) for kind in CONTROLS])
@pytest.mark.parametrize(("kind", "degree"), [("linear", 1), ("cubic", 3)])
@pytest.mark.parametrize("sizes", [None, [0.1, 0.4, 0.2, 0.3]])
def test_weights_that_are_polynomials_in_time_are_prolonged_exactly(control, kind, degree, sizes):
    theta = polynomial(degree)
    halves = None if sizes is None else np.repeat(sizes, 2) / 2
    wanted = theta(times(control.refined(), halves))["K"]
    found = prolong(control, theta(times(control, sizes)), kind, sizes)["K"]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    # Planted: values of cells taken at their left ends, as if they were nodes, and one degree too many.
    if isinstance(control, PiecewiseConstant):
        wrong = theta(times(control, sizes) - 1 / 8)
        assert np.abs(prolong(control, wrong, kind, sizes)["K"] - wanted).max() > 1e-2
    more = polynomial(degree + 1)
    error = (
        prolong(control, more(times(control, sizes)), kind, sizes)["K"] - more(times(control.refined(), halves))["K"]
    )
    assert np.abs(error).max() > 1e-4


@pytest.mark.parametrize("control", [*(kind(3) for kind in CONTROLS), SmoothInTime(PiecewiseConstant(3), 0.7)])
@pytest.mark.parametrize("kind", PROLONGATIONS)
def test_shapes_dtypes_and_constants(control, kind):
    coeffs = {"a": jnp.ones((control.n_coeffs, 2), jnp.float32), "b": jnp.zeros((control.n_coeffs, 0))}
    finer = prolong(control, coeffs, kind)
    assert finer["a"].shape == (control.refined().n_coeffs, 2) and finer["b"].shape[1:] == (0,)
    assert finer["a"].dtype == jnp.float32
    if not isinstance(control, SmoothInTime):
        np.testing.assert_allclose(finer["a"], 1.0, rtol=1e-6)


@pytest.mark.parametrize("kind", PROLONGATIONS)
def test_same_and_other_controls_keep_their_function_of_time(kind):
    basis = BasisInTime(4, 5, "legendre")
    coeffs = {"a": jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)))}
    assert prolong(basis, coeffs, kind) is coeffs
    control = PiecewiseConstant(5)
    np.testing.assert_array_equal(prolong(control, coeffs, "same")["a"], np.repeat(coeffs["a"], 2, axis=0))
    linear = prolong(PiecewiseLinear(4), coeffs, "linear")["a"]
    np.testing.assert_allclose(linear, PiecewiseLinear(4).refine(coeffs)["a"], atol=1e-14)


@pytest.mark.parametrize("kind", PROLONGATIONS)
@pytest.mark.parametrize("inner", CONTROLS)
def test_smooth_weights_are_prolonged_as_weights(inner, kind):
    control = SmoothInTime(inner(4), 1.3)
    coeffs = {"a": jnp.asarray(np.random.default_rng(0).normal(size=(control.n_coeffs, 2)))}
    finer = control.refined().smooth(prolong(control, coeffs, kind))
    wanted = prolong(inner(4), control.smooth(coeffs), kind)
    np.testing.assert_allclose(finer["a"], wanted["a"], atol=1e-12)


@pytest.mark.quick("*-0", "*Linear-cubic-*", "*Constant-*-2")
@pytest.mark.parametrize("nt", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", PROLONGATIONS)
@pytest.mark.parametrize("inner", CONTROLS)
def test_few_steps(inner, kind, nt):
    coeffs = {"a": jnp.arange(float(inner(nt).n_coeffs))[:, None]}
    finer = prolong(inner(nt), coeffs, kind)["a"]
    assert finer.shape == (inner(2 * nt).n_coeffs, 1)
    if nt > 1 and kind != "same":  # a line stays a line
        np.testing.assert_allclose(np.diff(finer[:, 0]), 0.5, atol=1e-12)


def test_refusals():
    coeffs = {"a": jnp.ones((3, 2))}
    with pytest.raises(ValueError, match=r"unknown. Use one of same, linear, cubic"):
        prolong(PiecewiseConstant(3), coeffs, "quadratic")
    with pytest.raises(ValueError, match="leading axis of 4"):
        prolong(PiecewiseConstant(4), coeffs)
    with pytest.raises(ValueError, match="3 positive numbers"):
        prolong(PiecewiseConstant(3), coeffs, "linear", [1.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="no steps to halve"):
        refined(ResNet(2, 3, 0))
    with pytest.raises(ValueError, match=r"multiple of 4. Use depth=8"):
        coarsened(ResNet(2, 3, 6), 3)
    with pytest.raises(ValueError, match=r"levels=0.*needs a whole number >= 1"):
        coarsened(ResNet(2, 3, 6), 0)


def smooth_weights(net):
    """The same weights in time, whatever the number of steps."""
    control = net.weights_in_time
    inner = getattr(control, "control", control)
    t = times(inner)
    theta = ResNet(net.d, net.width, 1, dynamics=net.dynamics).init(3)
    flow = {
        name: jnp.asarray(np.stack([np.asarray(leaf[0]) * np.cos(2 * s) + 0.3 * np.sin(s) for s in t]))
        for name, leaf in theta["flow"].items()
    }
    return theta | {"flow": flow}


@pytest.mark.quick("linear-euler", "cubic-verlet")
@pytest.mark.parametrize("scheme", ["euler", "heun", "verlet", "adams_bashforth"])
@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_features_of_the_prolonged_network_agree_to_the_order_of_the_step(scheme, kind):
    dynamics = "hamiltonian" if SCHEMES[scheme].halves else "antisymmetric"
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2)))
    gaps = []
    for depth in (16, 32, 64):
        net = ResNet(2, 4, depth, dynamics=dynamics, scheme=scheme)
        theta = smooth_weights(net)
        fine = refined(net).batch(prolonged(net, theta, kind), x)
        gaps.append(float(jnp.linalg.norm(fine - net.batch(theta, x))))
    orders = -np.diff(np.log2(gaps))
    assert np.all(orders > 0.9), orders


def test_learned_steps_are_halved():
    net = ResNet(2, 3, 4, T=2.0, steps="learned")
    theta = net.init(0) | {"steps": jnp.asarray(np.random.default_rng(0).normal(size=4))}
    finer = prolonged(net, theta, "linear")
    sizes = np.asarray(net.step_sizes(theta))
    np.testing.assert_allclose(refined(net).step_sizes(finer), np.repeat(sizes, 2) / 2, rtol=1e-12)
    wanted = prolong(net.weights_in_time, theta["flow"], "linear", list(sizes))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(np.all(a == b)), finer["flow"], wanted))


@pytest.mark.parametrize("control", ["constant", "linear", "spline"])
@pytest.mark.parametrize("smoothness", [0.0, 0.5])
def test_levels_of_a_network(control, smoothness):
    net = ResNet(2, 3, 8, control=control, smoothness=0.0 if control == "spline" else smoothness)
    coarse = coarsened(net, 3)
    assert coarse.depth == 2 and refined(refined(coarse)) == net and coarsened(net, 1) == net
    theta = prolonged(coarse, coarse.init(0))
    assert jax.tree.map(jnp.shape, theta) == jax.tree.map(jnp.shape, refined(coarse).init(0))
    assert dataclasses.replace(coarse, depth=4) == refined(coarse)
