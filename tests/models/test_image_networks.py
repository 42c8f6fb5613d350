"""Image networks: connectors against loops, adjoints, norms and pooling, chains of flows, marches, memory, refusals."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from numdl.analysis.stability import reversal_error
from numdl.contracts import Status
from numdl.flow import on_images
from numdl.flow.images import average_pool, convolve, normalise, space_to_depth
from numdl.flow.march import coupled
from numdl.models import (
    Chain,
    Connector,
    ResNet,
    batch_with_statistics,
    image_resnet,
    running_statistics,
    without_batch_norm,
)
from numdl.optimize import StochasticGradient, minimize_stochastic
from numdl.problems import LOSSES, Empirical
from numdl.regularize import GroupPenalty
from numdl.testing import check_gradient

pytestmark = pytest.mark.usefixtures("x64")


@functools.partial(jax.jit, static_argnums=0)
def run(net, theta, x):
    return net.batch(theta, x)


def channels(c):
    return {"block 1": {"mean": np.ones(c), "var": np.ones(c)}}


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def by_loops(net, theta, x):
    """A connector without a norm, number by number, zeros beyond the border."""
    (height, width, channels), (a, b), (p, q) = net.image, net.merge, net.pool
    u = np.zeros((len(x), height // p, width // q, channels))
    for i, j in np.ndindex(*u.shape[1:3]):
        u[:, i, j] = (
            np.asarray(x).reshape(-1, *net.image)[:, i * p : (i + 1) * p, j * q : (j + 1) * q].mean(axis=(1, 2))
        )
    K, r = np.asarray(theta["K"]), net.taps // 2
    found = np.zeros((len(x), *net.after))
    for i, j, o in np.ndindex(*net.after):
        z = np.full(len(x), theta["b"][o])
        for s, t, part, across, c in np.ndindex(net.taps, net.taps, a, b, channels):
            y, w = (net.stride * i + s - r) * a + part, (net.stride * j + t - r) * b + across
            if 0 <= y < u.shape[1] // a * a and 0 <= w < u.shape[2] // b * b:
                z += K[s, t, (part * b + across) * channels + c, o] * u[:, y, w, c]
        found[:, i, j, o] = np.maximum(z, 0)
    return found.reshape(len(x), -1)


CONNECTORS = {
    "merge": Connector((6, 8, 2), 3, merge=(2, 4), norm="none"),
    "patches": Connector((6, 4, 1), 3, merge=2, taps=1, norm="none"),
    "stride": Connector((7, 5, 2), 3, stride=2, norm="none"),
    "pool": Connector((12, 8, 2), 3, merge=(1, 2), pool=(3, 2), norm="none"),
}


@pytest.mark.quick("merge", "stride", "pool")
@pytest.mark.parametrize("name", CONNECTORS)
def test_connectors_are_those_of_loops(name):
    net = CONNECTORS[name]
    theta, x = net.init(0), normal(1, 2, net.d)
    theta["b"] = jnp.asarray(normal(2, net.channels))
    expected = by_loops(net, theta, x)
    found = run(net, theta, x)
    assert found.shape == (2, net.width) and net.width == np.prod(net.after)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    turned = by_loops(net, {**theta, "K": theta["K"][:, :, ::-1]}, x)  # the mutant: channels in another order
    assert np.abs(found - turned).max() > 1e-2


def test_halves_are_images_one_after_the_other():
    x = normal(0, 2, 4 * 6 * 2)
    one = Connector((4, 6, 2), to_halves=True)
    moved = np.asarray(one.batch({}, x)).reshape(2, 2, 4, 6, 1)
    np.testing.assert_array_equal(moved, np.moveaxis(np.asarray(x).reshape(2, 4, 6, 2, 1), 3, 1))
    np.testing.assert_array_equal(
        Connector((4, 6, 2), from_halves=True).batch({}, jnp.asarray(moved.reshape(2, -1))), x
    )
    net = image_resnet((8, 8, 1), (2, 4), **FLOWS)
    u = normal(1, 1, net.blocks[0].width)
    theta = net.blocks[1].init(0)  # a change in one corner changes no other corner in one step
    dynamics = on_images("hamiltonian", (4, 4))
    step = jax.jit(ResNet(32, 32, 1, T=0.1, dynamics=dynamics, scheme="symplectic_euler", opening=False).batch)
    theta = jax.tree.map(lambda leaf: leaf[:1], theta)
    apart = np.abs(step(theta, u.at[0, 0].add(1.0)) - step(theta, u)).reshape(2, 4, 4)
    assert apart[:, 3, 3].max() == 0 and apart[:, :2, :2].min() > 0


def test_rearranging_loses_nothing_and_adjoints_are_exact():
    u = normal(0, 2, 4, 6, 3)
    for way, shape in ((space_to_depth, (2, 2, 2, 18)), (average_pool, (2, 2, 2, 3))):
        z = normal(1, *shape)
        found = way(u, (2, 3))
        assert found.shape == shape
        back = jax.linear_transpose(lambda u: way(u, (2, 3)), u)(z)[0]  # noqa: B023
        np.testing.assert_allclose(np.vdot(found, z), np.vdot(u, back), atol=1e-12)
    moved = space_to_depth(u, (2, 3))
    np.testing.assert_allclose(jax.linear_transpose(lambda u: space_to_depth(u, (2, 3)), u)(moved)[0], u, atol=0)
    assert float(moved[1, 1, 0, (1 * 3 + 2) * 3 + 1]) == u[1, 3, 2, 1]


@pytest.mark.quick("layer")
@pytest.mark.parametrize("norm", ["tv", "instance", "layer"])
def test_derivatives_of_a_connector(norm):
    net = Connector((4, 4, 2), 3, merge=2, norm=norm, activation="tanh")
    theta, x = net.init(0), normal(1, 3, net.d)
    check_gradient(
        jax.jit(jax.value_and_grad(lambda theta: jnp.sum(jnp.sin(net.batch(theta, x))))), theta, jax.random.key(0)
    )
    alone = run(net, theta, x[:1])
    np.testing.assert_allclose(run(net, theta, x)[:1], alone, atol=1e-13)  # no sample tells on another


FLOWS = {"dynamics": "hamiltonian", "scheme": "verlet", "cells": (2, 1), "depth": 4}


def test_an_image_network_is_its_blocks_one_after_the_other():
    net = image_resnet((8, 8, 1), (2, 4), **FLOWS)
    assert [type(block) for block in net.blocks] == [Connector, ResNet, Connector, ResNet, Connector]
    assert (net.d, net.width) == (64, 8) and [b.after for b in net.blocks[::2] if isinstance(b, Connector)] == [
        (4, 4, 2),
        (2, 2, 4),
        (2, 1, 4),
    ]
    theta, x = net.init(0), normal(0, 3, 64)

    @jax.jit
    def each(theta, x):
        u = x
        for j, block in enumerate(net.blocks, start=1):
            u = jax.vmap(block.features, (None, 0))(theta[f"block {j}"], u)
        return u

    u = each(theta, x)
    np.testing.assert_allclose(run(net, theta, x), u, atol=1e-12)
    leaves = jax.tree.leaves(image_resnet((8, 8, 1), (2,)).init(0, "float32"))
    assert {leaf.dtype for leaf in leaves} == {np.dtype("float32")}
    with jax.enable_x64(False):
        assert {leaf.dtype for leaf in jax.tree.leaves(net.init(0))} == {np.dtype("float32")}


def test_flows_have_the_diffusion_of_the_first_in_their_own_pixels():
    net = image_resnet((8, 8, 1), (2, 4), dynamics="parabolic", scheme="imex", diffusion=(0.5, 8.0))
    flows = [block for block in net.blocks if isinstance(block, ResNet)]
    assert [flow.field.rule.diffusion for flow in flows] == [(0.5, 8.0), (0.125, 2.0)]
    theta, x = net.init(0), normal(0, 3, 64)
    alike = image_resnet((8, 8, 1), (2, 4), dynamics="parabolic", scheme="imex", diffusion=1.0)
    assert np.isfinite(run(net, theta, x)).all() and np.abs(run(net, theta, x) - run(alike, theta, x)).max() > 1e-4
    with pytest.raises(ValueError, match=r"two halves, which leaves no place for diffusion"):
        image_resnet((8, 8, 1), (2,), dynamics="hamiltonian", scheme="verlet", diffusion=1.0)


BATCH = image_resnet((8, 8, 1), (2,), norm="batch", **FLOWS)
LAYERS = image_resnet((8, 8, 1), (2,), norm="none", **FLOWS)
MERGE = CONNECTORS["merge"]


def test_without_its_batch_norm_a_network_does_the_same_sample_by_sample():
    theta, x = BATCH.init(0), 3 + normal(0, 20, 64)
    theta["block 1"]["scale"], theta["block 1"]["b"] = jnp.array([0.5, 2.0]), normal(1, 2)
    net, settled = without_batch_norm(BATCH, theta, x)
    expected = run(BATCH, theta, x)
    np.testing.assert_allclose(run(net, settled, x), expected, atol=1e-12)
    np.testing.assert_allclose(run(net, settled, x[:3]), expected[:3], atol=1e-12)
    assert np.abs(run(BATCH, theta, x[:3]) - expected[:3]).max() > 1e-2  # which the batch norm does not


def test_running_statistics_are_means_over_batches_and_predict_alone():
    theta, x = BATCH.init(0), 3 + normal(0, 20, 64)
    theta["block 1"]["scale"] = jnp.array([0.5, 2.0])
    features, first = jax.jit(functools.partial(batch_with_statistics, BATCH))(theta, x[:10])
    np.testing.assert_allclose(features, run(BATCH, theta, x[:10]), atol=1e-12)
    second = batch_with_statistics(BATCH, theta, x[10:])[1]
    kept = running_statistics(first, second, 0.25)
    net, settled = without_batch_norm(BATCH, theta, statistics=kept)
    opening = dataclasses.replace(BATCH.blocks[0], norm="none")
    plain = {"K": theta["block 1"]["K"], "b": jnp.zeros(2)}
    z = [np.asarray(opening.convolved(plain, opening.pooled(part))) for part in (x[:10], x[10:])]
    mean, var = ([part.mean((0, 1, 2)), part.var((0, 1, 2))] for part in z)
    mean, var = (0.75 * a + 0.25 * b for a, b in zip(mean, var, strict=True))  # of means, of variances
    np.testing.assert_allclose(kept["block 1"]["mean"], mean, atol=1e-12)
    np.testing.assert_allclose(kept["block 1"]["var"], var, atol=1e-12)
    opened = np.maximum((z[0] - mean) / np.sqrt(var + 1e-4) * np.array([0.5, 2.0]), 0)
    opened = jnp.asarray(np.moveaxis(opened, 3, 1).reshape(10, -1))  # halves of one channel each
    expected = Chain(BATCH.blocks[1:]).batch({f"block {j}": theta[f"block {j + 1}"] for j in (1, 2)}, opened)
    np.testing.assert_allclose(run(net, settled, x[:10]), expected, atol=1e-12)
    np.testing.assert_allclose(run(net, settled, x[:1]), expected[:1], atol=1e-12)  # of one sample alone
    traced = jax.jit(running_statistics)(first, second, 0.25)  # a momentum that a schedule gives
    np.testing.assert_allclose(traced["block 1"]["var"], kept["block 1"]["var"], rtol=1e-14)
    for _ in range(200):  # they come to those of the batches
        kept = running_statistics(kept, first)
    np.testing.assert_allclose(kept["block 1"]["var"], first["block 1"]["var"], rtol=1e-8)
    whole = without_batch_norm(BATCH, theta, x)[1]
    again = without_batch_norm(BATCH, theta, statistics=batch_with_statistics(BATCH, theta, x)[1])[1]
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), whole, again)))


@functools.cache
def gradient(march, scheme):
    net = image_resnet(
        (4, 4, 1), (2,), march=march, **FLOWS | {"scheme": scheme, "activation": "tanh", "cells": (1, 2)}
    )
    x = normal(1, 2, 16)
    return jax.tree.leaves(jax.jit(jax.grad(lambda theta: jnp.sum(jnp.sin(net.batch(theta, x)))))(net.init(0)))


@pytest.mark.thorough
@pytest.mark.parametrize("march", ["checkpointed", "reversible", "layer-parallel", "parallel-newton"])
def test_marches_agree_on_the_gradient_of_an_image_network(march):
    scheme = "heun" if "parallel" in march else "verlet"
    expected = gradient("stored", scheme)
    for found, wanted in zip(gradient(march, scheme), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert max(np.abs(leaf).max() for leaf in expected) > 0.1


def memory(march, depth, n=16):
    """MiB beside weights and their gradient that a gradient takes, as XLA reports it; float32."""
    flows = {"dynamics": "hamiltonian", "scheme": "verlet", "depth": depth, "T": 8.0}
    with jax.enable_x64(False):
        net = image_resnet((32, 32, 3), (32,), march=march, **flows)
        total = lambda theta, x: jnp.sum(jnp.sin(net.batch(theta, x)))  # noqa: E731
        compiled = jax.jit(jax.grad(total)).lower(net.init(0), jnp.zeros((n, net.d))).compile()
    told: Any = compiled.memory_analysis()
    return told.temp_size_in_bytes / 2**20


@pytest.mark.thorough
def test_a_gradient_of_a_thousand_layers_takes_eight_mebibytes():
    assert memory("reversible", 1024) < 8
    assert memory("stored", 64) > 40  # the mutant: in proportion to the depth


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Connector((4, 4, 2), merge=2), r"needs channels, of the convolution behind"),
        (lambda: Connector((4, 4, 2), 3, merge=3), r"merge=3\): an image of 4 x 4 is not made of rectangles of 3 x 3"),
        (lambda: Connector((4, 4, 2), pool=(1, 3)), r"pool=\(1, 3\)\): an image of 4 x 4 is not made of"),
        (lambda: Connector((4, 4), 3), r"image"),
        (lambda: Connector((4, 4, 1), 0), r"Connector\(channels=0\): needs a whole number >= 1"),
        (lambda: Connector((4, 4, 1), 2, taps=2), r"Connector\(taps=2\): needs an odd number of taps"),
        (lambda: Connector((2, 2, 1), 2, taps=7, border="periodic"), r"reach no further than the image of 2 x 2"),
        (lambda: Connector((4, 4, 1), 2, norm="max"), r"norm"),
        (
            lambda: BATCH.features(BATCH.init(0), normal(0, 64)),
            r"norm='batch'\)\.features: needs the other samples too",
        ),
        (lambda: without_batch_norm(BATCH, BATCH.init(0), normal(0, 0, 64)), r"n = 0, needs at least 1 sample"),
        (lambda: without_batch_norm(BATCH, BATCH.init(0)), r"needs x or statistics, one of them"),
        (
            lambda: without_batch_norm(BATCH, BATCH.init(0), statistics={}),
            r"without_batch_norm\(statistics={}\): needs those of block 1",
        ),
        (
            lambda: without_batch_norm(
                BATCH, BATCH.init(0), statistics={"block 1": {"mean": np.zeros(2), "var": -np.ones(2)}}
            ),
            r"\['var'\]\): a variance is negative",
        ),
        (lambda: running_statistics({}, {}, 0.0), r"running_statistics\(momentum=0.0\)"),
        (
            lambda: running_statistics(channels(2), {"block 2": channels(2)["block 1"]}),
            r"before is of \['block 1'\], now of \['block 2'\]",
        ),
        (
            lambda: running_statistics(channels(2), channels(7)),
            r"'block 1' have the shapes \(2,\) and \(7,\), need one",
        ),
        (
            lambda: running_statistics(channels(2), channels(1)),
            r"'block 1' have the shapes \(1,\) and \(2,\), need one",
        ),
        (
            lambda: running_statistics(channels(2), {"block 1": {"mean": np.ones(2)}}),
            r"running_statistics\(now\['block 1'\]\): needs 'mean' and 'var'",
        ),
        (lambda: CONNECTORS["pool"].batch(CONNECTORS["pool"].init(0), normal(0, 2, 9)), r"x has 9 entries, needs 192"),
        (lambda: image_resnet((8, 8, 1), (2, 4), cells=(3, 1)), r"cells=\(3, 1\)\): the last images have 2 x 2 pixels"),
        (lambda: image_resnet((6, 6, 1), (2, 4)), r"an image of 3 x 3 is not made of rectangles of 2 x 2"),
        (
            lambda: image_resnet((8, 8, 1), (3,), dynamics="hamiltonian", scheme="verlet"),
            r"to_halves=True\): 3 channels have no halves",
        ),
        (lambda: BATCH.batch(BATCH.init(0), normal(0, 2, 8, 8)), r"x has the shape \(2, 8, 8\), needs \(n, 64\)"),
        (lambda: BATCH.batch(BATCH.init(0), "pixels"), r"Connector\.batch\(x='pixels'\): needs an array"),
        (lambda: BATCH.batch({}, normal(0, 2, 64)), r"Chain\.batch\(theta\): needs weights 'block 1', 'block 2'"),
        (
            lambda: MERGE.batch(None, normal(0, 2, 96)),
            r"Connector\.convolved\(theta\): needs weights 'K', 'b', found no",
        ),
        (
            lambda: MERGE.batch(CONNECTORS["patches"].init(0), normal(0, 2, 96)),
            r"theta\['K'\] of shape \(1, 1, 4, 3\)\): needs \(3, 3, 16, 3\)",
        ),
        (
            lambda: without_batch_norm(BATCH, LAYERS.init(0), normal(0, 2, 64)),
            r"needs weights 'K', 'b', 'scale', found the names K, b",
        ),
        (lambda: image_resnet((8, 8, 1), (2,), width=3), r"image_resnet\(width=3\): sizes of the flows follow"),
        (lambda: image_resnet((8, 8, 1), (2,), scale=3), r"image_resnet\(scale=3\).*ResNet knows of a flow T, scheme"),
        (lambda: MERGE.init("first"), r"init\(key='first'\): needs a seed >= 0"),
        (lambda: MERGE.init(0, "int32"), r"Connector\.init\(dtype='int32'\): needs a type of real numbers"),
        (
            lambda: ResNet(2, 3, 2).features({}, jnp.ones(2)),
            r"ResNet\.features\(theta\): needs weights 'opening', 'flow', found none",
        ),
        (lambda: on_images("parabolic", (2, 2)).init(0, 0, 1.0), r"m=0\): needs a whole number >= 1"),
        (lambda: on_images("hamiltonian", (2, 2)).init(0, 4, 1.0), r"even number of channels, found 1\. Give m=8"),
    ],
)
def test_refusals(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.usefixtures("unchecked")
def test_images_of_bytes_and_lists_and_none_at_all():
    """Sums and squares of bytes would overflow; no image has no features."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (3, 4, 6, 2)).astype(np.uint8)
    K = rng.integers(0, 256, (3, 3, 2, 2)).astype(np.uint8)
    for norm in ("tv", "layer"):
        np.testing.assert_allclose(normalise(x, norm), normalise(x.astype(float), norm), atol=1e-12)
    np.testing.assert_allclose(convolve(K, x), convolve(K.astype(float), x.astype(float)), rtol=1e-12)
    flat = x.reshape(3, -1)
    for layer in (Connector((4, 6, 2), 3), Connector((4, 6, 2), pool=2)):
        theta = layer.init(0)
        told = layer.batch(theta, flat.astype(float))
        np.testing.assert_allclose(layer.batch(theta, flat), told, atol=1e-12)
        np.testing.assert_allclose(layer.batch(theta, flat.tolist()), told, atol=1e-12)
        assert layer.batch(theta, flat[:0]).shape == (0, layer.width)


def test_training_that_was_interrupted_goes_on_with_the_same_batches():
    """Batches of 4 rows of 3 classes: most of them lack one."""
    net = image_resnet((4, 4, 1), (2,), dynamics="parabolic", depth=1)
    y = np.arange(14) % 3
    x = normal(0, 14, 16) + y[:, None]
    start = {"theta": net.init(0), "W": normal(1, 3, net.width)}
    none = GroupPenalty(jnp.zeros(1), jnp.zeros(sum(leaf.size for leaf in jax.tree.leaves(start)), jnp.int32))
    problem = Empirical(
        lambda p, x: p["W"] @ net.features(p["theta"], x), LOSSES["softmax"], none, x, jnp.eye(3)[y], jnp.ones(14)
    )
    method = StochasticGradient(optax.adam(1.0))
    how = {"batch": 4, "rate": 0.05, "key": 3}
    whole, _ = minimize_stochastic(problem, method, start, epochs=6, **how)
    stop = lambda progress: Status("interrupted", "As Ctrl-C does.") if progress.epoch == 2 else None  # noqa: E731
    part, progress = minimize_stochastic(problem, method, start, epochs=6, observe=stop, **how)
    assert part.status.code == "interrupted" and len(part.history["objective"]) == 2
    again, _ = minimize_stochastic(problem, method, start, epochs=6, resume=progress, **how)
    jax.tree.map(np.testing.assert_array_equal, again.p, whole.p)
    assert whole.history["objective"][-1] < 0.6 * whole.history["objective"][0]
    other, _ = minimize_stochastic(problem, method, part.p, epochs=4, **how)  # the mutant: from the point alone
    assert np.abs(other.p["W"] - whole.p["W"]).max() > 1e-3


@pytest.mark.parametrize("march", ["reversible", "coupled"])
def test_states_that_do_not_come_back_are_warned_of(march, recwarn):
    """The error is that of steps undone one by one; waves come back, what forgets does not."""
    x = np.random.default_rng(0).standard_normal((3, 16))
    waves = image_resnet((4, 4, 1), (2,), merge=1, dynamics="hamiltonian", scheme="verlet", march=march, depth=8)
    theta = waves.init(0, "float64")
    told = reversal_error(waves, theta, x)
    assert list(told) == ["block 2"] and 0 < told["block 2"] < 1e-12 and not recwarn.list
    forgets = {"dynamics": "contractive", "depth": 40, "T": 40.0}
    net = image_resnet((4, 4, 1), (2,), merge=1, scheme="implicit_midpoint" if march == "reversible" else "euler",
                       march=march, **forgets)  # fmt: skip
    theta = net.init(0, "float32")
    with pytest.warns(UserWarning, match=r"'block 2' come back with a relative error of .*march='checkpointed'"):
        assert reversal_error(net, theta, x.astype("f4"))["block 2"] > 1e-4
    flow, u0 = net.blocks[1], net.blocks[0].batch(theta["block 1"], jnp.asarray(x, "float32"))
    if march == "coupled":
        scheme, f, _, coeffs, _, t0, h = flow.flow(theta["block 2"], u0)
        scheme, at = coupled(scheme), lambda j: lambda c: jax.tree.map(lambda a: a[j], coeffs)

        def there_and_back(u):
            carry = u, u
            for j in range(40):
                carry = scheme.step(f, t0 + j * h, h, carry, at(j))
            for j in reversed(range(40)):
                carry = scheme.inverse(f, t0 + j * h, h, carry, at(j))
            return carry[0]

        expected = jnp.linalg.norm(jax.jit(jax.vmap(there_and_back))(u0) - u0) / jnp.linalg.norm(u0)
        with pytest.warns(UserWarning):
            found = reversal_error(net, theta, x.astype("f4"))["block 2"]
        assert 0.1 < found / expected < 10  # rounding is that of another program
    with pytest.raises(ValueError, match="none of its flows is undone"):
        reversal_error(dataclasses.replace(flow, march="stored"), theta["block 2"], u0)
