"""The penalty in general form: three kinds of L agree, intercepts are free, and its derivatives are its own."""

import jax
import jax.numpy as jnp
import lineax
import numpy as np
import pytest

from numdl.regularize import OperatorPenalty
from numdl.testing import check_curvature, check_gradient

pytestmark = pytest.mark.usefixtures("x64")
L = np.diff(np.eye(5), axis=0)
RNG = np.random.default_rng(0)
VALUES, REFERENCE = RNG.normal(size=(3, 6)), RNG.normal(size=(3, 5))


def penalties(alpha=0.3):
    kinds = {"none": None, "array": jnp.asarray(L), "lineax": lineax.MatrixLinearOperator(jnp.asarray(L))}
    return {name: OperatorPenalty(jnp.asarray(alpha), kind, jnp.asarray(REFERENCE)) for name, kind in kinds.items()}


@pytest.fixture
def W(x64):
    return jnp.asarray(VALUES)


kinds = pytest.mark.parametrize("kind", ["none", "array", "lineax"])


@kinds
def test_value_by_its_definition(kind, W):
    matrix = np.eye(5) if kind == "none" else L
    expected = 0.15 * np.linalg.norm(matrix @ (W[:, :5] - REFERENCE).T) ** 2
    penalty = penalties()[kind]
    np.testing.assert_allclose(penalty.value(W), expected, rtol=1e-13)
    np.testing.assert_allclose(0.5 * np.sum(penalty.root(W) ** 2), expected, rtol=1e-13)
    np.testing.assert_allclose(penalty.matrix(6)[:5, :5], 0.3 * matrix.T @ matrix, atol=1e-14)


@kinds
def test_gradient_and_hessian(kind, W):
    penalty = penalties()[kind]
    check_gradient(lambda W: (penalty.value(W), penalty.gradient(W)), W, jax.random.key(0))
    check_curvature(penalty.product, W, jax.random.key(1))
    np.testing.assert_allclose(penalty.product(W), W @ penalty.matrix(6), atol=1e-13)
    np.testing.assert_allclose(penalty.gradient(W), jax.grad(penalty.value)(W), atol=1e-13)


def test_the_gradient_sees_a_planted_penalised_intercept(W):
    penalty = penalties()["array"]
    with pytest.raises(AssertionError, match="orders"):
        check_gradient(
            lambda W: (penalty.value(W), penalty.gradient(W).at[:, -1].add(penalty.alpha * W[:, -1])),
            W,
            jax.random.key(0),
        )


@kinds
def test_intercepts_are_free(kind, W):
    penalty = penalties()[kind]
    moved = W.at[:, -1].add(100.0)
    assert penalty.value(moved) == penalty.value(W)
    assert not np.any(penalty.gradient(W)[:, -1]) and not np.any(penalty.matrix(6)[:, -1])


@kinds
def test_without_intercept_every_column_counts(kind, W):
    penalty = OperatorPenalty(jnp.asarray(0.3), penalties()[kind].operator, intercept=False)
    check_gradient(lambda W: (penalty.value(W), penalty.gradient(W)), W[:, :5], jax.random.key(0))
    assert penalty.matrix(5).shape == (5, 5)


def test_what_is_constant_costs_nothing_under_differences():
    penalty = OperatorPenalty(jnp.asarray(1.0), jnp.asarray(L))
    np.testing.assert_allclose(penalty.value(jnp.ones((2, 6))), 0.0)
