"""Objectives of a single layer and of a residual network against values of an independent code (tests/reference)."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import PiecewiseConstant, get_activation, get_field, get_scheme
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
    u = MLP(4, 5, "sine").features({"opening": layer}, x)
    return p["W"] @ jnp.append(u, 1.0)


def residual_network(p, x):
    opening = MLP(2, 4).features({"opening": {"K": p["opening_K"], "b": p["opening_b"]}}, x)
    f = get_field("plain").dynamics(get_activation("tanh"))
    # In the reference the opening is a step too, from a state of zeros.
    u = final(get_scheme("euler"), f, PiecewiseConstant(2), {"K": p["K"], "b": p["b"]}, H * opening, 0.0, H)
    return p["W"] @ jnp.append(u, 1.0)


@pytest.mark.parametrize(
    ("name", "apply", "names"),
    [
        ("single_layer_objective", single_layer, ("K", "W", "b_scalar")),
        ("resnet_objective", residual_network, ("K", "W", "b", "opening_K", "opening_b")),
    ],
)
def test_value_and_gradient(name, apply, names):
    ref = load(name)
    assert ref.get("h", H) == H
    p, n = pick(ref, "", names), len(ref["x"])
    count = sum(leaf.size for leaf in p.values())
    penalty = GroupPenalty(ref["alpha"][None], jnp.zeros(count, jnp.int32))
    problem = Empirical(apply, SOFTMAX, penalty, ref["x"], ref["c"], jnp.ones(n))
    found = problem.linearize(p, None)
    np.testing.assert_allclose(found.value, ref["value"], rtol=1e-12)
    for part in names:
        np.testing.assert_allclose(found.gradient[part], ref["g" + part], rtol=1e-10, atol=1e-13)
