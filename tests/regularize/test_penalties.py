"""Penalties: derivatives, reference values, and which weights share an alpha."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.models import ResNet
from numdl.regularize import GROUPINGS, GroupPenalty, TimeSmoothness, group_labels
from numdl.testing import check_curvature, check_gradient

REFERENCE = Path(__file__).parents[1] / "reference"
KEY = jax.random.key(0)
pytestmark = pytest.mark.usefixtures("x64")


def weights(seed=0):
    rng = np.random.default_rng(seed)
    return {"K": jnp.asarray(rng.normal(size=(3, 2, 2))), "b": jnp.asarray(rng.normal(size=(3, 2)))}


def group_penalty(reference=True):
    rng = np.random.default_rng(1)
    labels = jnp.asarray(rng.permutation(np.arange(18) % 3), jnp.int32)
    return GroupPenalty(jnp.array([0.5, 0.0, 2.0]), labels, jnp.asarray(rng.normal(size=18)) if reference else None)


def smoothness(reference=True):
    return TimeSmoothness(jnp.asarray(0.3), jnp.asarray(0.25), weights(1) if reference else None)


@pytest.fixture(params=[group_penalty, smoothness])
def make(request):
    return request.param


@pytest.mark.parametrize("reference", [True, False])
def test_value_gradient_root_and_product_belong_together(make, reference):
    penalty = make(reference)
    theta, v = weights(), weights(2)
    check_gradient(lambda p: (penalty.value(p), penalty.gradient(p)), theta, KEY)
    check_curvature(penalty.product, theta, KEY)
    np.testing.assert_allclose(0.5 * jnp.sum(ravel_pytree(penalty.root(theta))[0] ** 2), penalty.value(theta))
    # quadratic: the gradient is affine with the Hessian as its slope
    moved = penalty.gradient(jax.tree.map(jnp.add, theta, v))
    slope = jax.tree.map(jnp.subtract, moved, penalty.gradient(theta))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), penalty.product(v), slope)


def test_a_wrong_gradient_is_seen(make):
    penalty = make(True)
    with pytest.raises(AssertionError, match="orders are"):
        # mutant: the reference is forgotten in the gradient
        check_gradient(lambda p: (penalty.value(p), penalty.product(p)), weights(), KEY)


def test_group_penalty_is_zero_at_its_reference():
    penalty = group_penalty()
    theta = ravel_pytree(weights())[1](penalty.reference)
    assert float(penalty.value(theta)) == 0.0


def test_group_penalty_weighs_each_entry_by_its_group():
    penalty = group_penalty(reference=False)
    vector = np.asarray(ravel_pytree(weights())[0])
    by_hand = sum(
        float(a) / 2 * np.sum(vector[np.asarray(penalty.labels) == g] ** 2) for g, a in enumerate(penalty.alpha)
    )
    np.testing.assert_allclose(penalty.value(weights()), by_hand, rtol=1e-14)


def test_smoothness_agrees_with_the_reference():
    ref = {name: jnp.asarray(a) for name, a in np.load(REFERENCE / "tikhonov_optimeder.npz").items()}
    penalty = TimeSmoothness(ref["alpha"], ref["h"], ref["xref"])

    def close(found, expected):
        assert np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)

    close(penalty.value(ref["x"]), ref["value"])
    close(penalty.gradient(ref["x"]), ref["gradient"])
    close(penalty.product(ref["v"]), ref["hv"])
    root = TimeSmoothness(jnp.ones(()), ref["h"]).root
    close(root(ref["x"]), ref["Bx"])
    close(jax.vmap(lambda e: root(e.reshape(4, 3)).ravel())(jnp.eye(12)).T, ref["B"])
    # the whole operator: B'B from products, its inverse shifted, its spectrum in time
    squared = TimeSmoothness(jnp.ones(()), ref["h"]).product
    matrix = jax.vmap(lambda e: squared(e.reshape(4, 3)).reshape(-1))(jnp.eye(12))
    close(jnp.linalg.solve(0.7 * matrix + 0.2 * jnp.eye(12), ref["v"].reshape(-1)).reshape(4, 3), ref["inverse_v"])
    close(jnp.linalg.eigvalsh(jax.vmap(squared)(jnp.eye(4))), ref["eigenvalues"])


def test_smoothness_ignores_constants_and_single_times():
    constant = jax.tree.map(lambda a: jnp.broadcast_to(a[:1], a.shape), weights())
    assert float(smoothness(False).value(constant)) == 0.0
    single = jax.tree.map(lambda a: a[:1], weights())
    assert float(smoothness(False).value(single)) == 0.0
    assert not np.any(smoothness(False).gradient(single)["K"])


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_labels_follow_the_order_of_the_leaves(grouping):
    shapes = ResNet(d=3, width=4, depth=2).init(0)
    theta = jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes)
    labels, names = group_labels(theta, grouping)
    assert labels.shape == ravel_pytree(theta)[0].shape
    assert set(labels) == set(range(len(names)))
    marked = ravel_pytree(theta)[1](jnp.asarray(labels, float))
    if grouping == "one":
        assert names == ("weights",)
    else:
        assert len(np.unique(marked["flow"]["K"])) == len(np.unique(marked["opening"]["b"])) == 1
        assert not set(np.unique(marked["flow"]["K"])) & set(np.unique(marked["opening"]["K"]))
    if grouping == "kind":
        assert names == ("flow K", "flow b", "opening K", "opening b")
    if grouping == "inputs":
        columns = np.asarray(marked["opening"]["K"])
        assert np.all(columns == columns[0]) and len(set(columns[0])) == 3
        assert [names[int(g)] for g in columns[0]] == ["input 0", "input 1", "input 2"]


def test_unknown_grouping_is_refused():
    with pytest.raises(ValueError, match=r"group_labels\(grouping='layers'\): unknown. Use one of 'one', 'kind'"):
        group_labels(weights(), "layers")
