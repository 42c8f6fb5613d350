"""Multi-layer perceptrons and chains of blocks: what a call means, derivatives, problems, files, refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.models import MLP, Chain, ResNet
from numdl.optimize import LevenbergMarquardt, minimize
from numdl.problems import LEAST_SQUARES, VarPro
from numdl.regularize import GroupPenalty, group_labels
from numdl.testing import check_adjoint, check_gradient

pytestmark = pytest.mark.usefixtures("x64")
CHAIN = Chain((ResNet(2, 3, 2, dynamics="antisymmetric"), ResNet(3, 5, 1, T=0.5), MLP(5, 2)))
NETS = [MLP(2, 3), MLP(2, (3, 5, 2)), CHAIN]


@functools.partial(jax.jit, static_argnums=0)
def run(net, theta, x):
    return net.batch(theta, x)


@pytest.mark.parametrize(("d", "widths"), [(1, (1,)), (3, (4,)), (2, (5, 1, 3))])
def test_layers_written_out(d, widths):
    net = MLP(d, widths, "sine")
    theta, x = net.init(0), np.random.default_rng(1).normal(size=(6, d))
    assert list(theta) == ["opening", "layer 2", "layer 3"][: len(widths)]
    assert net.n_parameters == sum(leaf.size for leaf in jax.tree.leaves(theta))
    assert net.n_states == d + sum(widths)
    u = x
    for layer in theta.values():
        u = np.sin(u @ np.asarray(layer["K"]).T + np.asarray(layer["b"]))
    np.testing.assert_allclose(run(net, theta, x), u, rtol=1e-13, atol=1e-15)
    assert run(net, theta, x[:0]).shape == (0, net.width) == (0, widths[-1])


def test_a_single_layer_is_a_residual_network_without_steps():
    layer, net = MLP(3, 4), ResNet(3, 4, 0)
    theta = layer.init(7)
    for part, leaf in net.init(7)["opening"].items():
        np.testing.assert_array_equal(theta["opening"][part], leaf)
    x = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_array_equal(run(layer, theta, x), run(net, {**net.init(7), **theta}, x))
    assert layer.title == net.title == "single layer 4"


@pytest.mark.parametrize("widths", [4, [4], (4,), np.array([4]), np.int64(4)])
def test_widths_in_any_form_are_the_same_static_architecture(widths):
    assert MLP(3, widths) == MLP(3, (4,)) != MLP(3, (4, 4))
    assert hash(MLP(3, widths)) == hash(MLP(3, (4,)))


def test_a_chain_is_one_block_behind_the_other():
    theta, x = CHAIN.init(0), np.random.default_rng(1).normal(size=(4, 2))
    u = x
    for name, block in zip(("block 1", "block 2", "block 3"), CHAIN.blocks, strict=True):
        u = run(block, theta[name], u)
    np.testing.assert_allclose(run(CHAIN, theta, x), u, rtol=1e-14)
    assert (CHAIN.d, CHAIN.width, CHAIN.activation) == (2, 2, "tanh")
    assert CHAIN.n_parameters == sum(block.n_parameters for block in CHAIN.blocks)
    assert CHAIN.title == "antisymmetric 3x2, then plain 5x1, then single layer 2"
    assert {name: leaf.shape[0] for name, leaf in CHAIN.layers(theta).items()} == {
        "block 1 a": 2, "block 1 b": 2, "block 2 K": 1, "block 2 b": 1
    }  # fmt: skip
    # Connecting layers draw numbers of their own.
    assert not np.array_equal(theta["block 2"]["opening"]["b"][:2], theta["block 3"]["opening"]["b"])


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.title)
def test_derivatives(net):
    theta, x = net.init(3), jax.random.normal(jax.random.key(1), (4, 2))
    check_gradient(jax.jit(jax.value_and_grad(lambda p: jnp.sum(net.batch(p, x) ** 2))), theta, jax.random.key(2))
    jvp = jax.jit(lambda v: jax.jvp(lambda p: net.batch(p, x), (theta,), (v,))[1])
    vjp = jax.jit(lambda w: jax.vjp(lambda p: net.batch(p, x), theta)[1](w)[0])
    check_adjoint(jvp, vjp, net.init(4), jax.random.normal(jax.random.key(4), (4, net.width)))


@pytest.mark.quick("layers 3-5-2")
@pytest.mark.parametrize("net", NETS, ids=lambda net: net.title)
def test_variable_projection_lowers_it(net):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(40, 2)))
    c = jnp.sin(x[:, :1] + x[:, 1:])
    theta = net.init(1)
    labels, names = group_labels(theta, "kind")
    penalty = GroupPenalty(jnp.full(len(names), 1e-8), jnp.asarray(labels))
    problem = VarPro(net, LEAST_SQUARES, x, c, jnp.ones(40), penalty, jnp.asarray(1e-8))
    result, _ = minimize(problem, LevenbergMarquardt(), theta, problem.first_head(theta), max_iter=12)
    assert result.history["objective"][-1] < 0.1 * result.history["objective"][0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("net", NETS, ids=lambda net: net.title)
def test_dtype(net, dtype):
    theta = net.init(jax.random.key(0), dtype)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(theta)} == {dtype}
    assert run(net, theta, jnp.ones((2, 2), dtype)).dtype == dtype
    with jax.enable_x64(False), pytest.raises(ValueError, match=r"dtype=float64.*enable_x64"):
        net.init(0, "float64")


def test_initial_units_of_the_second_layer_are_not_saturated():
    net = MLP(20, (400, 400))
    u = run(net, net.init(0), np.random.default_rng(0).normal(size=(200, 20)))
    # Inputs of the second layer have a mean square below 1, and its offsets add 1/3.
    assert 0.3 < np.std(u) < 0.8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP(0, 3), r"MLP\(d=0\): needs a whole number >= 1"),
        (lambda: MLP(2, ()), r"widths=\(\)\): needs whole numbers >= 1"),
        (lambda: MLP(2, 0), r"widths=0\): needs whole numbers >= 1"),
        (lambda: MLP(2, (3, 0)), r"widths=\(3, 0\)"),
        (lambda: MLP(2, (3, 2.5)), r"widths=\(3, 2.5\)"),
        (lambda: MLP(2, (3, True)), r"widths=\(3, True\)"),
        (lambda: MLP(2, "16"), r"widths='16'"),
        (lambda: MLP(2, [[3, 4]]), r"widths=\[\[3, 4\]\]"),
        (lambda: MLP(2, 3, "step"), "unknown activation"),
        (lambda: Chain(()), "needs at least one block"),
        (lambda: Chain((MLP(2, 3), ResNet(4, 5, 1))), "block 2 has d=4, block 1 has 3 features. Give block 2 d=3"),
        (lambda: MLP(2, 3).batch(MLP(2, 3).init(0), jnp.ones((4, 3))), "x has 3 entries, needs 2"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
