"""Objectives of a single layer and of a residual network against values of an independent code (tests/reference)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import PiecewiseConstant, get_activation, get_dynamics, get_scheme
from numdl.flow.march import final
from numdl.models import MLP
from numdl.problems import SOFTMAX, Empirical
from numdl.regularize import GroupPenalty

REFERENCE = Path(__file__).parents[1] / "reference"
H = 0.5
pytestmark = pytest.mark.usefixtures("x64")


def load(name):
    with np.load(REFERENCE / f"{name}.npz") as file:
        return {key: jnp.asarray(file[key]) for key in file.files}


def pick(ref, prefix, names):
    return {name: ref[prefix + name] for name in names}


def single_layer(p, x):
    layer = {"K": p["K"], "b": jnp.full(5, p["b_scalar"])}  # the reference repeats one number
    return MLP(4, 5, "sine").features({"opening": layer}, x)


def residual_network(p, x):
    opening = MLP(2, 4).features({"opening": {"K": p["opening_K"], "b": p["opening_b"]}}, x)
    f = get_dynamics("plain").vector_field(get_activation("tanh"))
    # In the reference the opening is a step too, from a state of zeros.
    return final(get_scheme("euler"), f, PiecewiseConstant(2), {"K": p["K"], "b": p["b"]}, H * opening, 0.0, H)


NETWORKS = pytest.mark.parametrize(
    ("name", "features", "names"),
    [
        ("single_layer_objective", single_layer, ("K", "b_scalar")),
        ("resnet_objective", residual_network, ("K", "b", "opening_K", "opening_b")),
    ],
)


def objective(ref, features, names):
    p, n = pick(ref, "", names), len(ref["x"])
    count = sum(leaf.size for leaf in p.values())
    penalty = GroupPenalty(ref["alpha"][None], jnp.zeros(count, jnp.int32))

    def scores(p, x):
        return p["W"] @ jnp.append(features(p, x), 1.0)

    return Empirical(scores, SOFTMAX, penalty, ref["x"], ref["c"], jnp.ones(n)), p


@NETWORKS
def test_value_and_gradient(name, features, names):
    ref = load(name)
    assert ref.get("h", H) == H
    names = (*names, "W")
    problem, p = objective(ref, features, names)
    found = problem.linearize(p, None)
    np.testing.assert_allclose(found.value, ref["value"], rtol=1e-12)
    for part in names:
        np.testing.assert_allclose(found.gradient[part], ref["g" + part], rtol=1e-10, atol=1e-13)


@pytest.mark.quick("resnet_objective-*")
@NETWORKS
def test_gauss_newton_products(name, features, names):
    """The reference is block diagonal in flow and head; it adds 1e-5 I to the Hessian of the loss in W and in u."""
    ref = load(name)
    problem, p = objective(ref, features, (*names, "W"))
    curvature = problem.linearize(p, None).curvature
    flow, head = pick(ref, "v", names), {"W": ref["vW"]}
    still_flow, still_head = jax.tree.map(jnp.zeros_like, (flow, head))

    def states(q):
        return jax.vmap(lambda x: features(q, x))(ref["x"])

    du, pull = jax.linearize(states, pick(p, "", names))[1](flow), jax.vjp(states, pick(p, "", names))[1]
    by_flow, shift = curvature(flow | still_head), pull(1e-5 * du)[0]
    for part in names:
        np.testing.assert_allclose(by_flow[part] + shift[part], ref["hv" + part], rtol=1e-10, atol=1e-13)
    by_head = curvature(still_flow | head)["W"] + 1e-5 * ref["vW"]
    np.testing.assert_allclose(by_head, ref["hvW"], rtol=1e-10, atol=1e-13)
