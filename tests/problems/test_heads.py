"""Heads: the optimum of other solvers, and factors that agree with dense algebra."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from numdl.problems.risk.losses import LOGISTIC, SOFTMAX
from numdl.problems.varpro.heads import newton_head, squares_head

pytestmark = pytest.mark.usefixtures("x64")
N, M, K = 30, 4, 2

squares = jax.jit(squares_head, static_argnames="intercept")
newton = jax.jit(functools.partial(newton_head, intercept=True), static_argnums=0)


def table(n=N, seed=0):
    rng = np.random.default_rng(seed)
    w = rng.uniform(0.2, 2.0, n)
    u = rng.normal(size=(n, M)) + 3.0
    return u, u @ rng.normal(size=(M, K)) + 1.0 + 0.1 * rng.normal(size=(n, K)), w / w.mean()


def solve(u, c, w, alpha, intercept=True):
    return squares(*map(jnp.asarray, (u, c, w, alpha)), intercept=intercept)


def design(u, w, intercept):
    z = np.column_stack([u, np.ones(len(u))]) if intercept else u
    return np.sqrt(w / len(u))[:, None] * z


def hessian(u, w, alpha, intercept):
    z = design(u, w, intercept)
    return z.T @ z + alpha * np.diag(np.append(np.ones(u.shape[1]), np.zeros(int(intercept))))


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-6, 0.3])
def test_squares_is_ridge_with_n_alpha(alpha, intercept):
    u, c, w = table()
    ridge = Ridge(alpha=N * alpha, fit_intercept=intercept, solver="svd").fit(u, c, sample_weight=w)
    found = solve(u, c, w, alpha, intercept).W
    np.testing.assert_allclose(found[:, :M], ridge.coef_, rtol=1e-9)
    if intercept:
        np.testing.assert_allclose(found[:, M], ridge.intercept_, rtol=1e-9)
    # mutant: alpha without the factor n is another ridge
    assert np.max(np.abs(found[:, :M] - Ridge(alpha=alpha, fit_intercept=intercept).fit(u, c, w).coef_)) > 1e-8


def test_each_output_may_have_its_penalty():
    u, c, w = table()
    both = np.array([1e-4, 0.7])
    found = solve(u, c, w, both)
    g = np.random.default_rng(1).normal(size=(K, M + 1))
    for j, alpha in enumerate(both):
        h, alone = hessian(u, w, alpha, True), solve(u, c[:, [j]], w, alpha)
        np.testing.assert_allclose(found.W[j], alone.W[0], rtol=1e-10)
        np.testing.assert_allclose(found.inverse(jnp.asarray(g))[j], np.linalg.solve(h, g[j]), rtol=1e-8)
        trace = np.trace(np.linalg.inv(h)[:M, :M])
        np.testing.assert_allclose(found.spectrum(intercept=True)[0][j], trace, rtol=1e-9)
    logdets = [np.linalg.slogdet(hessian(u, w, alpha, True))[1] for alpha in both]
    np.testing.assert_allclose(found.spectrum(intercept=True)[1], sum(logdets), rtol=1e-10)
    # mutant: one penalty for both is another head
    assert np.max(np.abs(found.W[1] - solve(u, c, w, both[0]).W[1])) > 1e-2


@pytest.mark.parametrize("intercept", [True, False])
def test_squares_without_penalty_is_the_solution_of_least_squares(intercept):
    u, c, w = table()
    root = np.sqrt(w)[:, None]
    z = np.column_stack([u, np.ones(N)]) if intercept else u
    expected = np.linalg.lstsq(root * z, root * c, rcond=None)[0].T
    np.testing.assert_allclose(solve(u, c, w, 0.0, intercept).W, expected, rtol=1e-9)


@pytest.mark.parametrize("intercept", [True, False])
def test_squares_reduces_rank_deficient_features_to_the_shortest_head(intercept):
    u, c, w = table()
    u[:, 3] = 2 * u[:, 1] - u[:, 0]
    found = solve(u, c, w, 0.0, intercept).W
    center = np.average(u, axis=0, weights=w) if intercept else 0.0
    offset = np.average(c, axis=0, weights=w) if intercept else 0.0
    root = np.sqrt(w)[:, None]
    expected = np.linalg.lstsq(root * (u - center), root * (c - offset), rcond=1e-12)[0].T
    np.testing.assert_allclose(found[:, :M], expected, rtol=1e-8)


@pytest.mark.parametrize("value", [0.0, 1.0, -1e6])
def test_squares_predicts_the_mean_from_constant_features(value):
    _, c, w = table()
    found = solve(np.full((N, M), value), c, w, 0.0).W
    np.testing.assert_allclose(found[:, :M], 0.0)
    np.testing.assert_allclose(found[:, M], np.average(c, axis=0, weights=w), rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 1e-3])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_squares_with_fewer_samples_than_features(n, alpha):
    u, c, w = table(n)
    found = solve(u, c, w, alpha)
    assert found.basis.shape == (n, M + 1)
    ridge = Ridge(alpha=max(n * alpha, 1e-10), solver="svd").fit(u, c, sample_weight=w)
    np.testing.assert_allclose(found.W @ np.append(u[0], 1.0), ridge.predict(u[:1])[0], rtol=1e-7)


def test_squares_with_features_of_extreme_scale_stays_finite():
    u, c, w = table()
    for scale in (1e-150, 1e150):
        for leaf in solve(u * scale, c, w, 1e-3):
            assert np.all(np.isfinite(leaf))


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_squares_factors_are_those_of_the_inner_hessian(alpha, intercept):
    u, c, w = table()
    head = solve(u, c, w, alpha, intercept)
    h, z = hessian(u, w, alpha, intercept), design(u, w, intercept)
    np.testing.assert_allclose((head.basis * head.filter**2) @ head.basis.T, z @ np.linalg.solve(h, z.T), atol=1e-12)
    np.testing.assert_allclose(head.logdet[0], np.linalg.slogdet(h)[1], rtol=1e-10)
    g = np.random.default_rng(1).normal(size=(K, M + intercept))
    np.testing.assert_allclose(head.inverse(jnp.asarray(g)), np.linalg.solve(h, g.T).T, rtol=1e-8)
    block = np.linalg.inv(h)[:M, :M]
    np.testing.assert_allclose(np.sum(head.scale**2), np.trace(block), rtol=1e-8)


def classes(k, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(60, M))
    scores = u @ rng.normal(size=(M, k)) + noise * rng.normal(size=(60, k))
    labels = np.argmax(scores, axis=1) if k > 1 else (scores[:, 0] > 0).astype(int)
    w = rng.uniform(0.2, 2.0, 60)
    return u, labels, w / w.mean()


def fit_classes(k, alpha, noise=1.0):
    u, labels, w = classes(k, noise=noise)
    c = np.eye(k)[labels] if k > 1 else labels[:, None].astype(float)
    loss = SOFTMAX if k > 1 else LOGISTIC
    arrays = map(jnp.asarray, (u, c, w, alpha, np.zeros((k, M + 1))))
    return newton(loss, *arrays), (u, labels, w)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("alpha", [1e-4, 0.1])
def test_newton_is_logistic_regression_with_one_over_n_alpha(k, alpha):
    found, (u, labels, w) = fit_classes(k, alpha)
    oracle = LogisticRegression(C=1 / (len(u) * alpha), tol=1e-12, max_iter=10000, solver="newton-cg")
    oracle.fit(u, labels, sample_weight=w)
    np.testing.assert_allclose(found.W[:, :M], oracle.coef_, rtol=1e-5, atol=1e-6)
    intercept = found.W[:, M] - (found.W[:, M].mean() if k > 1 else 0.0)
    shifted = oracle.intercept_ - (oracle.intercept_.mean() if k > 1 else 0.0)
    np.testing.assert_allclose(intercept, shifted, rtol=1e-5, atol=1e-6)
    assert found.metrics["head_gradient"] < 1e-9


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("alpha", [1e-8, 1e-14])
def test_newton_stays_finite_on_separable_data(k, alpha):
    found, (u, labels, _) = fit_classes(k, alpha, noise=0.0)
    for leaf in found:
        assert np.all(np.isfinite(leaf))
    scores = np.asarray(u @ found.W[:, :M].T + found.W[:, M])
    predicted = np.argmax(scores, axis=1) if k > 1 else scores[:, 0] > 0
    assert np.all(predicted == labels)


def test_newton_starts_anywhere():
    u, labels, w = classes(3)
    c = np.eye(3)[labels]
    start = 50.0 * np.random.default_rng(5).normal(size=(3, M + 1))
    arrays = [jnp.asarray(a) for a in (u, c, w, 0.1)]
    near, far = newton(SOFTMAX, *arrays, jnp.zeros((3, M + 1))), newton(SOFTMAX, *arrays, jnp.asarray(start))
    np.testing.assert_allclose(near.W[:, :M], far.W[:, :M], atol=1e-8)


def stopped(enough):
    u, labels, w = classes(1)
    c = labels[:, None].astype(float)

    def definition(W, alpha=1e-2):
        s = u @ W[0, :M] + W[0, M]
        return jnp.mean(w * jax.vmap(LOGISTIC.value)(s[:, None], c)) + alpha / 2 * jnp.sum(W[0, :M] ** 2)

    arrays = map(jnp.asarray, (u, c, w, 1e-2, np.zeros((1, M + 1))))
    return newton(LOGISTIC, *arrays, enough=enough), definition


@pytest.mark.quick("0.1")
@pytest.mark.parametrize("enough", [0.0, 0.1])
def test_newton_says_where_its_hessian_belongs_to(enough):
    found, definition = stopped(enough)
    h = np.asarray(jax.jit(jax.hessian(definition))(found.base))[0, :, 0]
    factor = np.asarray(found.factor)
    np.testing.assert_allclose(factor @ factor.T, h, rtol=1e-10)
    g = np.asarray(jax.jit(jax.grad(definition))(found.W))[0]
    np.testing.assert_allclose(found.gradient[0], g, atol=1e-14)
    np.testing.assert_allclose(found.decrement, np.sqrt(g @ np.linalg.solve(h, g)), rtol=1e-6, atol=1e-12)
    assert np.array_equal(found.base, found.W) == (enough == 0)


def test_newton_ends_where_the_decrement_is_enough():
    exact, near = stopped(0.0)[0], stopped(0.1)[0]
    assert near.steps < exact.steps
    assert near.decrement < 0.1 and exact.decrement < 1e-9


def test_newton_ends_on_features_that_are_not_finite():
    u, labels, w = classes(1)
    arrays = (u * np.nan, labels[:, None].astype(float), w, 1e-2, np.zeros((1, M + 1)))
    assert not np.isfinite(newton(LOGISTIC, *map(jnp.asarray, arrays)).decrement)
