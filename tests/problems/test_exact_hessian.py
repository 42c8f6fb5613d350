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


@jax.jit
def linearized(problem, p, aux):
    return problem.linearize(p, aux)._replace(curvature=None)


@jax.jit
def first_head(problem, theta):
    return problem.first_head(theta)


@pytest.mark.quick("softmax")
@pytest.mark.parametrize("name", cs.LOSSES)
def test_of_a_network(name):
    problem, p = cs.nonlinear(name)
    vector, unravel = ravel_pytree(p)
    value, gradient, _, metrics, dense = judge(ExactHessian(problem), p, None)
    plain = judge(problem, p, None)
    np.testing.assert_allclose(value, plain[0], rtol=1e-14)
    np.testing.assert_allclose(gradient, plain[1], atol=1e-14)
    assert metrics.keys() == dict(plain[3]).keys()
    oracle = jax.jit(jax.hessian(lambda v: problem.value(unravel(v), None)[0]))(vector)
    np.testing.assert_allclose(dense, oracle, atol=1e-12)
    assert np.min(np.linalg.eigvalsh(oracle)) < 0, "the Hessian is definite: this shows little"
    with pytest.raises(AssertionError):  # planted: Gauss-Newton leaves out second derivatives
        np.testing.assert_allclose(plain[-1], oracle, atol=1e-12)


FEW = ("squares", "softmax", "poisson")


@pytest.mark.quick("softmax")
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in FEW else pytest.mark.thorough) for kind in sp.KINDS]
)
def test_of_a_reduced_problem_with_a_head_that_is_solved_anew(kind):
    problem, theta = sp.separable(kind), sp.weights()
    first = first_head(problem, theta)
    value, gradient, head, metrics, dense = judge(ExactHessian(problem), theta, first)
    lin = linearized(problem, theta, first)
    np.testing.assert_allclose(value, lin.value, rtol=1e-13)
    np.testing.assert_allclose(gradient, ravel_pytree(lin.gradient)[0], atol=1e-9)
    assert metrics.keys() == dict(lin.metrics).keys()
    vector, unravel = ravel_pytree(theta)
    both = jnp.concatenate([vector, head.ravel()])

    def objective(v):
        return sp.full_value(problem, unravel(v[: vector.size]), v[vector.size :].reshape(head.shape))

    full = np.asarray(jax.jit(jax.hessian(objective))(both))
    outer, mixed = np.split(full[: vector.size], [vector.size], axis=1)
    inner = full[vector.size :, vector.size :]
    oracle = outer - mixed @ np.linalg.pinv(inner, rcond=1e-12, hermitian=True) @ mixed.T  # the Schur complement
    np.testing.assert_allclose(dense, oracle, atol=1e-8)
    np.testing.assert_allclose(dense, dense.T, atol=1e-10)
    step = 1e-4 * np.random.default_rng(0).normal(size=vector.size)
    ahead, back = (judge(ExactHessian(problem), unravel(vector + d), head)[1] for d in (step, -step))
    np.testing.assert_allclose((ahead - back) / 2, dense @ step, atol=1e-4 * np.linalg.norm(dense @ step))
    with pytest.raises(AssertionError):  # planted: a head that stands still
        np.testing.assert_allclose(outer, oracle, atol=1e-8)


def test_rows():
    problem, theta = sp.separable("squares"), sp.weights()
    part = ExactHessian(problem).rows(jnp.arange(7))
    assert part.problem.x.shape[0] == 7
    np.testing.assert_allclose(
        part.value(theta, problem.first_head(theta))[0],
        problem.rows(jnp.arange(7)).value(theta, problem.first_head(theta))[0],
    )
