"""Inexact heads: the error of the gradient obeys the rule, and the minimisers are those of the exact problem."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import separable_problems as sp
from jax.flatten_util import ravel_pytree

from numdl.contracts import Problem
from numdl.optimize import LBFGS, InexactNewton, LevenbergMarquardt, TrustRegion, minimize
from numdl.problems import InexactHead, InexactVarPro
from numdl.testing import check_curvature

pytestmark = pytest.mark.usefixtures("x64")
KINDS = ("softmax", pytest.param("poisson", marks=pytest.mark.thorough), "huber")
POINTS = 40
P = sp.M * (sp.D + 1)


@jax.jit
def exact(problem, theta):
    lin = problem.linearize(theta, problem.first_head(theta))
    return lin.value, ravel_pytree(lin.gradient)[0], lin.aux


@jax.jit
def inexact(problem, theta, aux):
    lin, normal = problem.linearize(theta, aux), problem.normal(theta, aux)
    vector, unravel = ravel_pytree(theta)
    columns = jax.vmap(lambda e: ravel_pytree(lin.curvature(unravel(e)))[0])(jnp.eye(vector.size))
    return lin.value, ravel_pytree(lin.gradient)[0], lin.aux, lin.metrics, columns.T, normal


value = jax.jit(lambda problem, theta, aux: problem.value(theta, aux))
partial_slope = jax.jit(lambda *a: ravel_pytree(jax.grad(sp.full_value, 1)(*a))[0])


def unknown(problem, W):
    """A head of which nothing is known: the rule alone decides how often it is improved."""
    return InexactHead(W, jnp.zeros(()), jnp.zeros(()))


def errors(problem, eta):
    """Error of the gradient and its estimate, relative to the gradient, where the head is that of another point."""
    found = []
    for seed in range(POINTS):
        theta, before = sp.weights(seed), sp.weights(seed + POINTS)
        near = jax.tree.map(lambda a, b: a + 0.5 * b, theta, before)
        _, g, _, metrics, _, normal = inexact(
            InexactVarPro(problem, eta), theta, unknown(problem, exact(problem, near)[2])
        )
        np.testing.assert_allclose(normal.gradient, g, rtol=1e-12)
        size = np.linalg.norm(g)
        found.append((np.linalg.norm(g - exact(problem, theta)[1]) / size, metrics["gradient_error"] / size))
    return np.array(found).T


@pytest.mark.quick("softmax")
@pytest.mark.parametrize("kind", KINDS)
def test_the_error_of_the_gradient_obeys_the_rule(kind):
    problem = sp.separable(kind)
    for eta in (0.5, 0.1, 0.01):
        error, estimate = errors(problem, eta)
        assert np.all(estimate <= eta)
        assert np.all(error <= eta)
    # planted: the head of the other point as it is
    theta, W = sp.weights(0), exact(problem, sp.weights(1))[2]
    slope = exact(problem, theta)[1]
    assert np.linalg.norm(partial_slope(problem, theta, W) - slope) > 0.5 * np.linalg.norm(slope)


@pytest.mark.parametrize("kind", KINDS)
def test_the_error_of_a_head_counts_by_its_square(kind):
    problem, theta = sp.separable(kind), sp.weights()
    _, slope, best = exact(problem, theta)
    move = np.random.default_rng(0).normal(size=best.shape)
    lengths = np.array([2e-2, 1e-2, 5e-3])
    error, estimate, mutant = [], [], []
    for t in lengths:
        aux = unknown(problem, best + t * move)
        _, g, _, metrics, *_ = inexact(InexactVarPro(problem, 1e9), theta, aux)
        error.append(np.linalg.norm(g - slope))
        estimate.append(metrics["gradient_error"])
        # planted: the gradient at the head as it was given
        mutant.append(np.linalg.norm(partial_slope(problem, theta, aux.W) - slope))
    orders = [np.log2(a[1] / a[2]) for a in map(np.asarray, (error, estimate, mutant))]
    np.testing.assert_allclose(orders, [2.0, 2.0, 1.0], atol=0.1)
    np.testing.assert_allclose(estimate[-1], error[-1], rtol=0.1)


@pytest.mark.quick("softmax")
@pytest.mark.parametrize("kind", KINDS)
def test_value_gradient_and_curvature_belong_together(kind):
    problem, theta = sp.separable(kind), sp.weights()
    start = exact(problem, sp.weights(5))[2]
    found, g, aux, metrics, curvature, normal = inexact(InexactVarPro(problem, 0.3), theta, unknown(problem, start))
    np.testing.assert_allclose(found, sp.full_value(problem, theta, aux.W), rtol=1e-13)
    np.testing.assert_allclose(g, partial_slope(problem, theta, aux.W), atol=1e-12)
    np.testing.assert_allclose(normal.value, found, rtol=1e-14)
    np.testing.assert_allclose(normal.matrix + jnp.diag(normal.diagonal), curvature, atol=1e-10)
    check_curvature(lambda v: curvature @ v, jnp.zeros(P), jax.random.key(0))
    assert metrics["inner"] == aux.inner >= 1
    # a value there is as near the reduced one as the decrement says
    least = exact(problem, theta)[0]
    above, head = value(InexactVarPro(problem, 0.3), theta, aux._replace(W=start))
    assert -1e-14 <= above - least <= 2 * aux.enough**2
    assert head.inner > aux.inner and head.enough == aux.enough


@pytest.mark.quick("huber")
@pytest.mark.parametrize("kind", KINDS)
def test_without_tolerance_it_is_the_exact_problem(kind):
    problem, theta = sp.separable(kind), sp.weights()
    wrapped = InexactVarPro(problem, 0.0)
    found, g, aux, _, curvature, normal = inexact(wrapped, theta, wrapped.first_head(theta))
    least, slope, best = exact(problem, theta)
    np.testing.assert_allclose(found, least, rtol=1e-13)
    np.testing.assert_allclose(g, slope, atol=1e-9)
    np.testing.assert_allclose(aux.W, best, atol=1e-8)
    judged = sp.judge(problem, theta)
    np.testing.assert_allclose(curvature, judged.curvature, atol=1e-8)
    np.testing.assert_allclose(normal.matrix, judged.normal.matrix, atol=1e-8)
    assert value(wrapped, theta, aux)[0] == pytest.approx(float(least), rel=1e-13)


METHODS = {
    "levenberg": ("softmax", LevenbergMarquardt(tol=1e-12)),
    "trust region": ("huber", TrustRegion(tol=1e-12)),
    "newton": ("poisson", InexactNewton()),
    "lbfgs": ("huber", LBFGS()),
}


@pytest.mark.quick("levenberg", "lbfgs")
@pytest.mark.parametrize("name", METHODS)
def test_every_method_finds_a_minimiser_of_the_exact_problem(name):
    kind, method = METHODS[name]
    problem, theta = sp.separable(kind), sp.weights()
    finals = []
    for eta in (0.0, 0.1):
        wrapped = InexactVarPro(problem, eta)
        result, _ = minimize(wrapped, method, theta, wrapped.first_head(theta), max_iter=300)
        least, slope, _ = exact(problem, result.p)
        assert np.linalg.norm(slope) < 1e-4
        assert result.history["objective"][-1] == pytest.approx(float(least), rel=1e-9)
        finals.append((float(least), result.history["inner"][-1]))
    (first, dear), (second, cheap) = finals
    assert second == pytest.approx(first, rel=1e-6)
    assert cheap < 0.8 * dear


def test_what_it_is():
    problem, theta = sp.separable("softmax"), sp.weights()
    wrapped = InexactVarPro(problem)
    assert isinstance(wrapped, Problem)
    assert wrapped.rows(jnp.arange(7)).problem.x.shape[0] == 7
    assert wrapped.work(theta).linearize == problem.work(theta).linearize + 2
    head = wrapped.first_head(theta)
    assert wrapped.held_out(theta, head) == problem.held_out(theta, head.W)
    with pytest.raises(ValueError, match="least_squares"):
        InexactVarPro(sp.separable("squares"))


def test_blocks_of_rows_give_the_same():
    theta, found = sp.weights(), []
    for chunk in (None, 7):
        wrapped = InexactVarPro(sp.separable("softmax", chunk=chunk), 0.1)
        found.append(inexact(wrapped, theta, wrapped.first_head(theta)))
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
