"""Equinox modules and functions of any pytree as problems."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.optimize import LBFGS, LevenbergMarquardt, NewtonCG, minimize
from numdl.problems import LEAST_SQUARES, SOFTMAX, empirical, split_module
from numdl.testing import check_gradient

pytestmark = pytest.mark.usefixtures("x64")
X = np.random.default_rng(0).normal(size=(30, 2))
C = np.sin(X[:, :1]) * X[:, 1:]


def module(seed=0, depth=1):
    return eqx.nn.MLP(2, 1, 4, depth, activation=jnp.tanh, key=jax.random.key(seed))


def by_hand(params, x):
    (K, b), (W,) = params
    return W @ jnp.tanh(K @ x + b)


def weights():
    rng = np.random.default_rng(1)
    return (jnp.asarray(rng.normal(size=(4, 2))), jnp.asarray(rng.normal(size=4))), [
        jnp.asarray(rng.normal(size=(1, 4)))
    ]


@pytest.mark.quick("equinox-LevenbergMarquardt", "pytree-LBFGS")
@pytest.mark.parametrize(
    "method", [LevenbergMarquardt(), NewtonCG(), LBFGS()], ids=lambda method: type(method).__name__
)
@pytest.mark.parametrize("kind", ["equinox", "pytree"])
def test_every_method_lowers_any_model(kind, method):
    apply, p = split_module(module()) if kind == "equinox" else (by_hand, weights())
    result, _ = minimize(empirical(apply, LEAST_SQUARES, X, C, p, alpha=1e-6), method, p, max_iter=25)
    assert result.history["objective"][-1] < 0.2 * result.history["objective"][0]
    assert jax.tree.structure(result.p) == jax.tree.structure(p)


def test_a_split_module_is_the_module_and_compares_by_value():
    apply, p = split_module(module())
    np.testing.assert_array_equal(apply(p, X[0]), module()(X[0]))
    np.testing.assert_array_equal(eqx.combine(p, apply.rest)(X[0]), module()(X[0]))
    other = split_module(module(1))[0]
    assert other == apply and hash(other) == hash(apply), "other weights compile nothing"
    assert split_module(module(depth=2))[0] != apply


def test_the_objective_written_out():
    p, w = weights(), np.linspace(0.5, 1.5, 30)
    problem = empirical(by_hand, LEAST_SQUARES, X, C, p, alpha=0.3, w=w)
    scores = np.stack([by_hand(p, x) for x in X])
    expected = np.mean(w[:, None] * (scores - C) ** 2) / 2 + 0.15 * sum(np.sum(leaf**2) for leaf in jax.tree.leaves(p))
    np.testing.assert_allclose(problem.value(p, None)[0], expected, rtol=1e-13)
    check_gradient(lambda p: problem.linearize(p, None)[:2], p, jax.random.key(0))


def test_single_precision_stays():
    p = jax.tree.map(lambda leaf: leaf.astype("float32"), weights())
    problem = empirical(by_hand, LEAST_SQUARES, X.astype("float32"), C.astype("float32"), p, alpha=0.1)
    assert problem.value(p, None)[0].dtype == jnp.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c": C[:5]}, "x has 30 rows, c has 5"),
        ({"c": np.ones((30, 2))}, r"apply\(p, x_i\) has shape \(1,\), a target \(2,\)"),
        ({"alpha": -1.0}, r"alpha=-1.0\): needs a finite number >= 0"),
        ({"alpha": float("nan")}, "alpha=nan.*needs a finite number"),
    ],
)
def test_refusals(change, message):
    given = {"apply": by_hand, "loss": SOFTMAX, "x": X, "c": C, "p": weights()} | change
    with pytest.raises(ValueError, match=message):
        empirical(**given)


def test_modules_without_weights_or_with_other_arrays_are_refused():
    with pytest.raises(ValueError, match="no floating-point array"):
        split_module(eqx.nn.Identity())
    with pytest.raises(ValueError, match="arrays that are no weights"):
        split_module(eqx.nn.Sequential([module(), eqx.nn.Lambda(jnp.arange(3))]))
