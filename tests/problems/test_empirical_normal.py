"""Any model of one sample, for the methods that need a matrix or a residual, and in blocks of rows."""

import dataclasses

import convex_samples as cs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.problems.varpro.normal import WIDE, gram, joined
from numdl.testing import check_adjoint, check_gradient

pytestmark = pytest.mark.usefixtures("x64")
losses = pytest.mark.parametrize("name", cs.LOSSES)


@jax.jit
def everything(problem, p):
    lin, normal = problem.linearize(p, None), problem.normal(p, None)
    vector, unravel = ravel_pytree(p)
    columns = jax.vmap(lambda e: ravel_pytree(lin.curvature(unravel(e)))[0])(jnp.eye(vector.size))
    return problem.value(p, None)[0], lin[:2], lin.metrics, columns.T, normal


@pytest.mark.quick("None-softmax", "1-least_squares", "7-logistic")
@losses
@pytest.mark.parametrize("chunk", [None, 1, 7, 30])
def test_the_matrix_is_that_of_the_products_whatever_the_block(name, chunk):
    problem, p = cs.nonlinear(name)
    value, lin, metrics, dense, _ = everything(problem, p)
    blocks = everything(dataclasses.replace(problem, chunk=chunk), p)
    for found in (blocks[0], blocks[1][0], blocks[-1].value):
        np.testing.assert_allclose(found, value, rtol=1e-13)
    for gradient in (ravel_pytree(blocks[1][1])[0], blocks[-1].gradient):
        np.testing.assert_allclose(gradient, ravel_pytree(lin[1])[0], atol=1e-13)
    np.testing.assert_allclose(blocks[3], dense, atol=1e-13)
    np.testing.assert_allclose(blocks[-1].matrix + jnp.diag(blocks[-1].diagonal), dense, atol=1e-12)
    for key in ("misfit", "train_error"):
        np.testing.assert_allclose(blocks[-1].metrics[key], metrics[key], rtol=1e-12)


@pytest.mark.parametrize("n_shards", [1, 2])
@pytest.mark.parametrize("p", [WIDE - 1, WIDE + 1, 4 * WIDE - 1])
def test_panels_of_the_lower_half_make_up_the_matrix(p, n_shards):
    jt = jax.random.normal(jax.random.key(p), (p, 2, 6))
    panels = gram(jt, n_shards)
    assert sum(panel.size for panel in panels) == p * p if p < WIDE else sum(a.size for a in panels) < 0.63 * p * p
    np.testing.assert_allclose(joined(panels), jt.reshape(p, -1) @ jt.reshape(p, -1).T, atol=1e-13)


def test_a_penalty_that_is_no_diagonal_is_in_the_matrix():
    p = cs.weights("softmax")
    problem = cs.general("softmax", operator=np.eye(cs.D) - 0.5 * np.eye(cs.D, k=1))
    *_, dense, normal = everything(problem, p)
    np.testing.assert_allclose(normal.matrix, dense, atol=1e-12)
    assert not np.any(normal.diagonal)


def test_half_the_square_of_the_residual_is_the_objective_and_its_jacobian_the_matrix():
    for problem, p in (cs.nonlinear("least_squares"), (cs.general("least_squares"), cs.weights("least_squares"))):
        vector, unravel = ravel_pytree(p)
        value, lin, _, dense, _ = everything(problem, p)
        residual = jax.jit(lambda v, u=unravel, q=problem: q.residual(u(v)))
        r, j = residual(vector), jax.jit(jax.jacfwd(residual))(vector)
        np.testing.assert_allclose(r @ r / 2, value, rtol=1e-13)
        np.testing.assert_allclose(r @ j, ravel_pytree(lin[1])[0], atol=1e-12)
        np.testing.assert_allclose(j.T @ j, dense, atol=1e-12)
    with pytest.raises(ValueError, match=r"Empirical\.residual: the loss is 'softmax', needs least_squares"):
        cs.nonlinear("softmax")[0].residual({})


@pytest.mark.quick("7")
@pytest.mark.parametrize("chunk", [None, 7])
def test_products_with_the_derivative_are_adjoint_and_its_own(chunk):
    from numdl.problems.risk.passes import linear_passes

    problem, p = cs.nonlinear("softmax")
    s, push, pull = linear_passes(problem.apply, p, problem.x, chunk)
    v = jax.tree.map(jnp.cos, p)
    push, pull = jax.jit(push), jax.jit(pull)
    check_adjoint(push, pull, v, s)
    along = jax.jit(lambda v: jax.jvp(problem.scores, (p,), (v,))[1])
    np.testing.assert_allclose(push(v), along(v), atol=1e-13)
    blocks = dataclasses.replace(problem, chunk=chunk)
    check_gradient(jax.jit(lambda q: blocks.linearize(q, None)[:2]), p, jax.random.key(1))


def test_a_planted_row_that_counts_twice_is_seen(monkeypatch):
    problem, p = cs.nonlinear("softmax")
    *_, dense, _ = everything(problem, p)
    monkeypatch.setattr("numdl.problems.blocks._starts", lambda n, chunk: (jnp.arange(0, n, chunk), 0))
    normal = dataclasses.replace(problem, chunk=7).normal(p, None)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(normal.matrix + jnp.diag(normal.diagonal), dense, atol=1e-12)


@pytest.mark.quick("None-softmax", "7-least_squares")
@losses
@pytest.mark.parametrize("chunk", [None, 7])
def test_bend_is_the_second_derivative_of_the_scores_pulled_back(name, chunk):
    problem, p = cs.nonlinear(name)
    vector, unravel = ravel_pytree(p)
    d = jnp.cos(jnp.arange(vector.size))
    scores = lambda v: problem.scores(unravel(v))  # noqa: E731

    @jax.jit
    def definition(vector):
        j = jax.jacfwd(scores)(vector)
        second = jax.jvp(lambda v: jax.jacfwd(scores)(v) @ d, (vector,), (d,))[1]
        bend = jax.vmap(jax.hessian(problem.loss.value))(scores(vector), problem.c)
        return jnp.einsum("nap,n,nab,nb->p", j, problem.w / cs.N, bend, second)

    oracle = definition(vector)
    blocks = dataclasses.replace(problem, chunk=chunk)
    found = jax.jit(lambda p, d: blocks.bend(p, d))(p, unravel(d))
    np.testing.assert_allclose(ravel_pytree(found)[0], oracle, atol=1e-12)
    assert np.max(np.abs(oracle)) > 1e-3
