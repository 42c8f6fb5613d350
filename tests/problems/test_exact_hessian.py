"""The exact Hessian is that of the value, by automatic second derivatives of the definition."""

import convex_samples as cs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import separable_problems as sp
from jax.flatten_util import ravel_pytree

from numdl.problems import ExactHessian

pytestmark = pytest.mark.usefixtures("x64")


@jax.jit
def judge(problem, p, aux):
    lin = problem.linearize(p, aux)
    vector, unravel = ravel_pytree(p)
    dense = jax.vmap(lambda e: ravel_pytree(lin.curvature(unravel(e)))[0])(jnp.eye(vector.size))
    return lin.value, ravel_pytree(lin.gradient)[0], lin.aux, lin.metrics, dense


@pytest.mark.parametrize("name", cs.LOSSES)
def test_of_a_network(name):
    problem, p = cs.nonlinear(name)
    vector, unravel = ravel_pytree(p)
    value, gradient, _, metrics, dense = judge(ExactHessian(problem), p, None)
    lin = problem.linearize(p, None)
    np.testing.assert_allclose(value, lin.value, rtol=1e-14)
    np.testing.assert_allclose(gradient, ravel_pytree(lin.gradient)[0], atol=1e-14)
    assert metrics.keys() == dict(lin.metrics).keys()
    oracle = jax.hessian(lambda v: problem.value(unravel(v), None)[0])(vector)
    np.testing.assert_allclose(dense, oracle, atol=1e-12)
    assert np.min(np.linalg.eigvalsh(oracle)) < 0, "the Hessian is definite: this shows little"
    with pytest.raises(AssertionError):  # planted: Gauss-Newton leaves out second derivatives
        np.testing.assert_allclose(judge(problem, p, None)[-1], oracle, atol=1e-12)


def best_head(problem, theta, head, steps=30):
    """Newton's method in W on the definition of the full problem, differentiable in theta through all steps."""
    vector = head.reshape(-1)
    objective = lambda w: sp.full_value(problem, theta, w.reshape(head.shape))  # noqa: E731
    free = np.zeros(head.shape)
    free[:, -1] = problem.loss.name == "softmax"
    shift = jnp.outer(free.ravel(), free.ravel())
    for _ in range(steps):
        vector = vector - jnp.linalg.solve(jax.hessian(objective)(vector) + shift, jax.grad(objective)(vector))
    return vector.reshape(head.shape)


@pytest.mark.parametrize("kind", sp.KINDS)
def test_of_a_reduced_problem_with_a_head_that_is_solved_anew(kind):
    problem, theta = sp.separable(kind), sp.weights()
    value, gradient, head, metrics, dense = judge(ExactHessian(problem), theta, problem.first_head(theta))
    lin = problem.linearize(theta, problem.first_head(theta))
    np.testing.assert_allclose(value, lin.value, rtol=1e-13)
    np.testing.assert_allclose(gradient, ravel_pytree(lin.gradient)[0], atol=1e-9)
    assert metrics.keys() == dict(lin.metrics).keys()
    vector, unravel = ravel_pytree(theta)

    def reduced(v):
        return sp.full_value(problem, unravel(v), best_head(problem, unravel(v), head, steps=3))

    oracle = jax.jit(jax.hessian(reduced))(vector)
    np.testing.assert_allclose(dense, oracle, atol=1e-8)
    np.testing.assert_allclose(dense, dense.T, atol=1e-10)
    with pytest.raises(AssertionError):  # planted: a head that stands still
        still = jax.hessian(lambda v: sp.full_value(problem, unravel(v), head))(vector)
        np.testing.assert_allclose(still, oracle, atol=1e-8)


def test_rows():
    problem, theta = sp.separable("squares"), sp.weights()
    part = ExactHessian(problem).rows(jnp.arange(7))
    assert part.problem.x.shape[0] == 7
    np.testing.assert_allclose(
        part.value(theta, problem.first_head(theta))[0],
        problem.rows(jnp.arange(7)).value(theta, problem.first_head(theta))[0],
    )
