"""The coupled problem and the reduced one are the same function where the head is optimal."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import separable_problems as sp
from jax.flatten_util import ravel_pytree

from numdl.problems import full_problem
from numdl.testing import check_gradient

pytestmark = pytest.mark.usefixtures("x64")
FEW = ("squares", "softmax", "huber")
kinds = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in FEW else pytest.mark.thorough) for kind in sp.KINDS]
)


@jax.jit
def reduced_value(reduced, theta):
    return reduced.value(theta, reduced.first_head(theta))


@jax.jit
def linearized(problem, p, aux):
    return *problem.linearize(p, aux)[:2], problem.value(p, aux)[0]


def pair(kind, **options):
    reduced, theta = sp.separable(kind, **options), sp.weights()
    value, head = reduced_value(reduced, theta)
    return reduced, full_problem(reduced, theta), {"theta": theta, "W": head}, value


@pytest.mark.quick("True-softmax", "False-squares")
@kinds
@pytest.mark.parametrize("intercept", [True, False])
def test_at_the_optimal_head_value_and_slope_are_those_of_the_reduced_problem(kind, intercept):
    reduced, full, p, value = pair(kind, intercept=intercept)
    (at, gradient, alone), (_, small, _) = linearized(full, p, None), linearized(reduced, p["theta"], p["W"])
    np.testing.assert_allclose([at, alone], value, rtol=1e-14)
    np.testing.assert_allclose(gradient["W"], 0.0, atol=1e-9)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), gradient["theta"], small)


@pytest.mark.quick("huber")
@kinds
def test_value_and_slope_away_from_the_optimal_head(kind):
    _, full, p, value = pair(kind)
    away = p | {"W": p["W"] + 0.3}
    np.testing.assert_allclose(full.value(away, None)[0], sp.full_value(*pair(kind)[:1], p["theta"], away["W"]))
    assert full.value(away, None)[0] > value
    check_gradient(lambda q: linearized(full, q, None)[:2], away, jax.random.key(0))


@pytest.mark.quick("softmax")
@kinds
def test_curvature_is_the_full_gauss_newton_matrix(kind):
    reduced, full, p, _ = pair(kind)
    vector, unravel = ravel_pytree(p)

    @jax.jit
    @jax.vmap
    def product(e):
        return ravel_pytree(full.linearize(p, None).curvature(unravel(e)))[0]

    found = product(jnp.eye(vector.size))
    size = p["W"].size
    order = np.r_[size : vector.size, :size]  # the oracle has theta first
    np.testing.assert_allclose(found[order][:, order], sp.full_matrix(reduced, p["theta"], p["W"]), atol=1e-12)


def test_the_reference_of_a_penalty_is_kept():
    reduced, _, p, _ = pair("squares")
    size = ravel_pytree(p["theta"])[0].size
    moved = dataclasses.replace(
        reduced, penalty=dataclasses.replace(reduced.penalty, reference=jnp.linspace(0.0, 1.0, size))
    )
    value, head = moved.value(p["theta"], p["W"])
    np.testing.assert_allclose(full_problem(moved, p["theta"]).value(p | {"W": head}, None)[0], value, rtol=1e-14)
    assert abs(value - reduced.value(p["theta"], p["W"])[0]) > 1e-4, "the reference does not matter: this shows nothing"


def test_a_planted_penalty_on_the_intercept_is_seen():
    reduced, full, p, value = pair("squares")
    planted = dataclasses.replace(
        full, penalty=dataclasses.replace(full.penalty, alpha=full.penalty.alpha.at[-1].set(reduced.alpha_head))
    )
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(planted.value(p, None)[0], value, rtol=1e-14)


def test_equal_problems_share_a_compilation():
    first, second = (full_problem(sp.separable("squares"), sp.weights()) for _ in range(2))
    assert hash(first.apply) == hash(second.apply) and first.apply == second.apply
