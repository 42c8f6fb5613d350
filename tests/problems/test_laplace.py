"""Effective parameters and log determinants against the dense full Gauss-Newton matrix."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import separable_problems as sp
from jax.flatten_util import ravel_pytree
from scipy.linalg import logm

from numdl.problems import laplace_metrics, probed_metrics
from numdl.problems.varpro.normal import sampled_factor

pytestmark = pytest.mark.usefixtures("x64")
P = sp.M * (sp.D + 1)
LABELS = np.repeat([0, 1], [sp.M * sp.D, sp.M])
# Far from optimal weights, with penalties that matter, no block of the covariance is negligible.


def laplace(problem, theta):
    found = sp.judge(problem, theta)
    return found.normal, found.laplace


@jax.jit
def probed(problem, theta):
    lin = problem.linearize(theta, problem.first_head(theta))
    return probed_metrics(problem, theta, lin, probes=200, steps=P)


def dense(problem, theta, head):
    """gamma and log determinant from the inverse of the full matrix."""
    h = sp.held(sp.full_matrix(problem, theta, head), problem, P)
    variances = np.diag(np.linalg.inv(h))
    gamma = np.bincount(LABELS, 1 - np.asarray(problem.penalty.diagonal) * variances[:P])
    of_head = variances[P:].reshape(head.shape)[:, : sp.M]
    return np.append(gamma, np.sum(1 - float(problem.alpha_head) * of_head)), np.linalg.slogdet(h)[1]


@pytest.mark.quick("wide squares-None", "softmax-None", "softmax-7")
@pytest.mark.parametrize(("kind", "chunk"), [*((kind, None) for kind in sp.KINDS), ("squares", 7), ("softmax", 7)])
def test_laplace_metrics_are_those_of_the_full_matrix(kind, chunk):
    problem, theta = sp.separable(kind, chunk=chunk), sp.weights()
    normal, found = laplace(problem, theta)
    gamma, logdet = dense(problem, theta, normal.aux)
    np.testing.assert_allclose(found["gamma"], gamma, rtol=1e-8)
    np.testing.assert_allclose(found["logdet"], logdet, rtol=1e-8)
    expected = [np.sum(theta["K"] ** 2), np.sum(theta["b"] ** 2), np.sum(normal.aux[:, : sp.M] ** 2)]
    np.testing.assert_allclose(found["squares"], expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["squares", "softmax"])
def test_a_head_without_the_uncertainty_of_theta_is_seen(kind):
    problem, theta = sp.separable(kind), sp.weights()
    normal, _ = laplace(problem, theta)
    mutant = normal._replace(eliminated=normal.eliminated._replace(coupling=0 * normal.eliminated.coupling))
    factor = jnp.linalg.cholesky(normal.matrix + jnp.diag(normal.diagonal))
    found = laplace_metrics(problem, theta, mutant, factor)["gamma"][-1]
    assert abs(found - dense(problem, theta, normal.aux)[0][-1]) > 1e-2


@pytest.mark.quick("softmax")
@pytest.mark.parametrize("kind", ["squares", "softmax"])
def test_probed_metrics_scatter_around_them(kind):
    problem, theta = sp.separable(kind), sp.weights()
    normal, exact = laplace(problem, theta)
    found = probed(problem, theta)
    s = np.asarray(normal.matrix + jnp.diag(normal.diagonal))

    def deviation(matrix):  # of z' A z over random signs: twice the squares beside the diagonal
        matrix = (matrix + matrix.T) / 2
        return np.sqrt(2 * (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2)) / 200)

    inverse, diagonal = np.linalg.inv(s), np.asarray(normal.diagonal)
    for group in (0, 1):
        bound = 4 * deviation((diagonal * (group == LABELS))[:, None] * inverse)
        assert abs(found["gamma"][group] - exact["gamma"][group]) <= bound + 1e-9
    assert abs(found["logdet"] - exact["logdet"]) <= 4 * deviation(logm(s).real) + 1e-9
    # the head is judged as if theta were known: a little surer than it is
    assert exact["gamma"][-1] <= found["gamma"][-1] <= normal.aux.shape[0] * sp.M
    np.testing.assert_allclose(found["squares"], exact["squares"], rtol=1e-9)


@pytest.mark.quick("softmax")
@pytest.mark.parametrize("kind", ["squares", "softmax"])
def test_a_part_of_the_rows_gives_the_matrix_but_never_the_gradient(kind):
    problem, theta = sp.separable(kind), sp.weights()
    partial = dataclasses.replace(problem, curvature_rows=12)
    whole, (found, metrics) = sp.judge(problem, theta).normal, laplace(partial, theta)
    for name in ("value", "gradient", "aux", "diagonal"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-10, err_msg=name)
    first = problem.w * (np.arange(sp.N) < 12)
    part = dataclasses.replace(problem, w=first / jnp.mean(first))  # rows of weight 0 are no rows
    full = sp.held(sp.full_matrix(part, theta, whole.aux), part, P)
    expected = sp.schur(full, P) - np.diag(whole.diagonal)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-9 * np.linalg.norm(expected))
    gamma, logdet = dense(part, theta, whole.aux)
    np.testing.assert_allclose(metrics["gamma"], gamma, rtol=1e-8)
    np.testing.assert_allclose(metrics["logdet"], logdet, rtol=1e-8)


def test_as_many_curvature_rows_as_rows_change_nothing():
    problem, theta = sp.separable("squares"), sp.weights()
    same = dataclasses.replace(problem, curvature_rows=sp.N).normal(theta, problem.first_head(theta))
    np.testing.assert_allclose(same.matrix, sp.judge(problem, theta).normal.matrix, rtol=1e-12, atol=1e-16)


def test_sampled_rows_have_the_softmax_hessian_as_mean():
    s, draws = np.array([1.0, -0.5, 0.3, -3.0]), 20000
    f = np.asarray(sampled_factor(jnp.asarray(np.tile(s, (draws, 1)))))[:, 0]
    p = np.exp(s) / np.exp(s).sum()
    products = f[:, :, None] * f[:, None, :]
    error = products.mean(axis=0) - (np.diag(p) - np.outer(p, p))
    assert np.all(np.abs(error) <= 5 * products.std(axis=0) / np.sqrt(draws))
    # mutant: rows drawn with equal probabilities
    wrong = p - np.eye(4)[np.random.default_rng(0).integers(4, size=draws)]
    error = np.einsum("ni,nj->ij", wrong, wrong) / draws - (np.diag(p) - np.outer(p, p))
    assert np.any(np.abs(error) > 5 * products.std(axis=0) / np.sqrt(draws))


def test_a_sampled_matrix_is_semidefinite_and_leaves_value_and_gradient_alone():
    problem, theta = sp.separable("softmax"), sp.weights()
    found, whole = (sp.judge(p, theta).normal for p in (dataclasses.replace(problem, sampled=True), problem))
    np.testing.assert_allclose(found.value, whole.value, rtol=1e-14)
    np.testing.assert_allclose(found.gradient, whole.gradient, rtol=1e-9)
    assert np.linalg.eigvalsh(found.matrix)[0] > -1e-12 * np.linalg.norm(found.matrix)
    assert ravel_pytree(theta)[0].size == len(found.matrix)
