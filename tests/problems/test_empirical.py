"""Empirical risk: its slope and curvature are its own, and the linear case agrees with the general one."""

import functools

import convex_samples as cs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.testing import check_curvature, check_gradient

pytestmark = pytest.mark.usefixtures("x64")
losses = pytest.mark.parametrize("name", cs.LOSSES)
L = np.eye(cs.D) - 0.5 * np.eye(cs.D, k=1)


@jax.jit
def slope(problem, p):
    return problem.linearize(p, None)[:2]


def value_and_gradient(problem):
    return functools.partial(slope, problem)


@pytest.mark.quick("general-softmax", "linear-logistic", "<lambda>-least_squares")
@losses
@pytest.mark.parametrize("make", [cs.general, cs.linear, lambda name: cs.linear(name, operator=jnp.asarray(L))])
def test_gradient(name, make):
    check_gradient(value_and_gradient(make(name)), cs.weights(name), jax.random.key(0))


@pytest.mark.quick("softmax")
@losses
def test_gradient_of_a_network(name):
    problem, p = cs.nonlinear(name)
    check_gradient(value_and_gradient(problem), p, jax.random.key(0))


def test_the_gradient_sees_planted_forgotten_weights():
    problem = cs.linear("softmax")
    forgotten = cs.linear("softmax")
    object.__setattr__(forgotten, "w", jnp.ones(cs.N))

    def both(p):
        return problem.value(p)[0], forgotten.linearize(p).gradient

    with pytest.raises(AssertionError, match="orders"):
        check_gradient(both, cs.weights("softmax"), jax.random.key(0))


def dense(product, p):
    flat, unravel = ravel_pytree(p)
    return np.asarray(jax.jit(jax.vmap(lambda e: ravel_pytree(product(unravel(e)))[0]))(jnp.eye(flat.size)))


def curvature(problem, p):
    return lambda v: problem.linearize(p, None).curvature(v)


@pytest.mark.quick("identity-softmax", "array-least_squares")
@losses
@pytest.mark.parametrize("operator", [None, L], ids=["identity", "array"])
def test_curvature_is_the_hessian_of_the_value(name, operator):
    p = cs.weights(name)
    value = cs.general(name, operator=operator).value
    oracle = jax.jit(jax.hessian(lambda v: value(v.reshape(p.shape), None)[0]))(p.ravel())
    for problem in (cs.general(name, operator=operator), cs.linear(name, operator=operator)):
        np.testing.assert_allclose(dense(curvature(problem, p), p), oracle, atol=1e-12)
    np.testing.assert_allclose(cs.linear(name, operator=operator).hessian(p), oracle, atol=1e-12)


def test_the_curvature_sees_a_planted_other_point():
    p = cs.weights("softmax")
    moved = dense(curvature(cs.linear("softmax"), 2 * p), p)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(moved, cs.linear("softmax").hessian(p), atol=1e-12)


@pytest.mark.quick("softmax")
@losses
def test_curvature_of_a_network_is_semidefinite_and_of_gauss_newton(name):
    problem, p = cs.nonlinear(name)
    check_curvature(jax.jit(curvature(problem, p)), p, jax.random.key(1))
    flat, unravel = ravel_pytree(p)
    J = jax.jit(jax.jacobian(lambda v: problem.scores(unravel(v))))(flat)
    H = jax.jit(jax.vmap(problem.loss.hessian))(problem.scores(p), problem.c)
    oracle = np.einsum("n,nap,nab,nbq->pq", cs.WEIGHTS / cs.N, J, H, J) + 0.1 * np.eye(flat.size)
    np.testing.assert_allclose(dense(curvature(problem, p), p), oracle, atol=1e-12)


@losses
def test_linear_agrees_with_general(name):
    p, v = cs.weights(name), cs.weights(name, 0.3)
    ours, theirs = cs.linear(name).linearize(p, None), cs.general(name).linearize(p, None)
    for a, b in (
        (ours.value, theirs.value),
        (ours.gradient, theirs.gradient),
        (ours.curvature(v), theirs.curvature(v)),
    ):
        np.testing.assert_allclose(a, b, atol=1e-13)
    assert ours.metrics.keys() == theirs.metrics.keys()
    np.testing.assert_allclose(cs.linear(name).value(p)[0], theirs.value, rtol=1e-14)


@losses
def test_values_and_slopes_on_a_line(name):
    problem, p, d = cs.linear(name), cs.weights(name), cs.weights(name, -0.5)
    line = problem.along(p, d)
    for t in (0.0, 0.3, 2.0):
        value, slope, _ = line(jnp.asarray(t))
        np.testing.assert_allclose(value, problem.value(p + t * d)[0], rtol=1e-13)
        np.testing.assert_allclose(slope, np.sum(problem.linearize(p + t * d).gradient * d), atol=1e-13)


@pytest.mark.quick("softmax")
@losses
def test_single_precision_products_differ_by_single_rounding(name):
    p, v = cs.weights(name), cs.weights(name, 0.3)
    exact, light = cs.linear(name).linearize(p), cs.linear(name, light=True).linearize(p)
    np.testing.assert_array_equal(light.gradient, exact.gradient)
    error = np.max(np.abs(light.curvature(v) - exact.curvature(v)))
    assert light.curvature(v).dtype == jnp.float64 and 0 < error < 1e-6
    check_curvature(light.curvature, p, jax.random.key(1), tolerance=1e-5)


@pytest.mark.quick("identity-softmax", "array-least_squares")
@losses
@pytest.mark.parametrize("operator", [None, L], ids=["identity", "array"])
def test_the_preconditioner_is_the_inverse_where_all_directions_lead(name, operator):
    problem, p = cs.linear(name, operator=operator, precondition=True), cs.weights(name)
    inverse = dense(lambda v: problem.preconditioner(p)(v), p)
    hessian = np.asarray(problem.hessian(p))
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-6 * np.max(np.abs(inverse)))
    # The common shift of a softmax's intercepts is not seen by the Hessian.
    kept = np.eye(p.size)
    if name == "softmax":
        shift = np.zeros(p.shape)
        shift[:, -1] = 1 / np.sqrt(len(shift))
        kept = kept - np.outer(shift, shift)
    np.testing.assert_allclose(kept @ inverse @ hessian @ kept, kept, atol=1e-3)
    assert np.min(np.linalg.eigvalsh((inverse + inverse.T) / 2)) > 0


@pytest.mark.quick("softmax")
@losses
def test_the_preconditioner_with_few_leading_directions_is_definite(name):
    problem, p = cs.linear(name, precondition=True), cs.weights(name)
    few = problem.basis._replace(leading=jnp.zeros(2, jnp.float32))
    object.__setattr__(problem, "basis", few)
    inverse = dense(lambda v: problem.preconditioner(p)(v), p)
    assert np.min(np.linalg.eigvalsh((inverse + inverse.T) / 2)) > 0
    with pytest.raises(AssertionError):  # planted: two directions are not all
        np.testing.assert_allclose(inverse @ problem.hessian(p), np.eye(p.size), atol=1e-3)


@pytest.mark.quick("general-softmax", "linear-logistic")
@losses
@pytest.mark.parametrize("make", [cs.general, cs.linear])
def test_rows(name, make):
    p, index = cs.weights(name), np.array([3, 7, 8])
    part = make(name).rows(jnp.asarray(index))
    s = cs.X[index] @ p[:, :-1].T + p[:, -1]
    each = jax.jit(jax.vmap(cs.LOSSES[name].value))(s, jnp.asarray(cs.TARGETS[name][index]))
    misfit = np.average(each, weights=cs.WEIGHTS[index])
    np.testing.assert_allclose(part.value(p, None)[0], misfit + part.penalty.value(p), rtol=1e-12)
    one = make(name).rows(jnp.asarray([5]))
    assert np.isfinite(one.value(p, None)[0])


@pytest.mark.parametrize("name", ["softmax", "logistic"])
def test_huge_scores_stay_finite(name):
    lin = cs.linear(name).linearize(cs.weights(name, 1e4))
    assert np.isfinite(lin.value) and np.all(np.isfinite(lin.gradient))
    assert np.all(np.isfinite(lin.curvature(cs.weights(name))))


def test_penalty_and_problem_agree_about_the_intercept():
    with pytest.raises(ValueError, match=r"linear_empirical\(intercept=False\).*intercept=True"):
        cs.linear("softmax", intercept=False)
