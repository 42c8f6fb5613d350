"""Leaving one out approximately agrees with leaving one out, and the evidence with its definition."""

import dataclasses

import convex_samples as cs
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.optimize import Newton, minimize
from numdl.problems.risk.loo import approximate_loo, laplace_evidence, left_out_scores

pytestmark = pytest.mark.usefixtures("x64")


def fitted(problem):
    k, q = problem.c.shape[1], problem.z.shape[0]
    _, progress = minimize(problem, Newton(tol=1e-12), jnp.zeros((k, q)), max_iter=50)
    return progress.iterate.p


def without(problem, i):
    """The fit without observation i; the others keep their share of 1/n, as the formula has it."""
    return dataclasses.replace(problem, w=jnp.where(jnp.arange(len(problem.w)) == i, 0.0, problem.w))


@pytest.mark.quick("softmax")
@pytest.mark.parametrize("name", ["softmax", pytest.param("logistic", marks=pytest.mark.thorough), "least_squares"])
def test_agrees_with_refitting(name):
    problem = dataclasses.replace(cs.linear(name, alpha=0.3), w=jnp.ones(cs.N))
    W = fitted(problem)
    moved = left_out_scores(problem, W, jnp.asarray(float(cs.N)))
    scores = jax.jit(lambda W: problem.scores(W))
    exact = np.stack([np.asarray(scores(fitted(without(problem, i))))[i] for i in range(cs.N)])
    change = np.max(np.abs(exact - problem.scores(W)))
    centred = lambda s: s - s.mean(axis=1, keepdims=True) if name == "softmax" else s  # noqa: E731
    # Exact for squares; one Newton step for the others.
    tolerance = 1e-9 if name == "least_squares" else 0.1 * change
    np.testing.assert_allclose(centred(moved), centred(exact), atol=tolerance)
    with pytest.raises(AssertionError):  # planted: the sign
        np.testing.assert_allclose(centred(2 * problem.scores(W) - moved), centred(exact), atol=tolerance)
    loss = np.mean(jax.jit(jax.vmap(problem.loss.value))(jnp.asarray(exact), problem.c))
    np.testing.assert_allclose(approximate_loo(problem, W, jnp.asarray(float(cs.N))), loss, rtol=0.02)


def test_a_row_of_weight_two_is_two_rows():
    w = np.ones(cs.N)
    w[[2, 5]] = 2.0
    twice = np.r_[np.arange(cs.N), 2, 5]
    problem = cs.linear("softmax")
    heavy = dataclasses.replace(problem, w=jnp.asarray(w / w.mean()))
    repeated = dataclasses.replace(problem, z=problem.z[:, twice], c=problem.c[twice], w=jnp.ones(len(twice)))
    W = fitted(heavy)
    total = jnp.asarray(float(len(twice)))
    np.testing.assert_allclose(approximate_loo(heavy, W, total), approximate_loo(repeated, W, total), rtol=1e-10)


@pytest.mark.quick("logistic")
@pytest.mark.parametrize("name", ["softmax", "logistic"])
def test_the_evidence_is_a_gaussian_integral(name):
    """``log int exp(-n f) dW`` with the prior's constant, from the dense Hessian."""
    L = np.eye(cs.D) - 0.5 * np.eye(cs.D, k=1)
    problem = cs.linear(name, alpha=0.2, operator=L)
    W = fitted(problem)
    n, k = 40.0, W.shape[0]
    hessian = n * np.asarray(problem.hessian(W))
    if name == "softmax":
        shift = np.zeros(W.shape)
        shift[:, -1] = 1.0
        hessian += n * np.outer(shift, shift)
    weights = k * cs.D
    expected = -n * float(problem.value(W)[0]) - 0.5 * np.linalg.slogdet(hessian)[1]
    expected += 0.5 * weights * np.log(0.2 * n)
    np.testing.assert_allclose(laplace_evidence(problem, W, n), expected, rtol=1e-9)


def test_one_compilation_for_all_alphas():
    traces = 0

    def counted(problem, W, total):
        nonlocal traces
        traces += 1
        return approximate_loo(problem, W, total)

    problem, total, run = cs.linear("softmax"), jnp.asarray(30.0), jax.jit(counted)
    for alpha in (0.1, 1.0, 10.0):
        run(problem.with_alpha(jnp.asarray(alpha)), cs.weights("softmax"), total)
    assert traces == 1
