"""Small networks in NumPy: against JAX, against dense formulas, and what training promises."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from numdl.estimators.auto.laplace import Curvature
from numdl.estimators.auto.network import Architecture, draw, features, jacobian, predict, slope
from numdl.models import ResNet

KINDS = [Architecture(3, 5, 4), Architecture(3, 5, 4, linear=False), Architecture(1, 6), Architecture(4, 1, 1)]


def sample(spec, n=7, seed=0):
    rng = np.random.default_rng(seed)
    p = draw(spec, rng) + 0.3 * rng.normal(size=spec.n_weights)
    return p, rng.normal(size=(n, spec.d))


def as_jax(spec, p):
    """Weights of the model in JAX."""
    K, k = spec.open(p)
    steps = [spec.step(p, i)[1:] for i in range(spec.depth)]
    flow = {"K": np.array([s[0] for s in steps]), "b": np.array([s[1] for s in steps])}
    if not steps:
        flow = {"K": np.zeros((0, spec.width, spec.width)), "b": np.zeros((0, spec.width))}
    return {"opening": {"K": K, "b": k}, "flow": flow}


@pytest.mark.parametrize("spec", KINDS)
def test_the_network_and_its_derivatives_are_those_of_jax(spec):
    p, x = sample(spec)
    m, i = spec.width, spec.n_inner
    model = ResNet(spec.d, spec.width, spec.depth)
    with jax.enable_x64(True):

        def f(p, row):
            K, k = p[: m * spec.d].reshape(m, spec.d), p[m * spec.d : m * (spec.d + 1)]
            flat = p[m * (spec.d + 1) : i].reshape(spec.depth, m * (m + 1))
            flow = {"K": flat[:, : m * m].reshape(spec.depth, m, m), "b": flat[:, m * m :]}
            u = model.features({"opening": {"K": K, "b": k}, "flow": flow}, row)
            return p[i : i + m] @ u + p[-1] + (p[i + m : -1] @ row if spec.linear else 0.0)

        u = model.batch(jax.tree.map(jnp.asarray, as_jax(spec, p)), jnp.asarray(x))
        value, by_weights, by_rows = (
            np.asarray(jax.vmap(g, (None, 0))(jnp.asarray(p), jnp.asarray(x))) for g in (f, jax.jacrev(f), jax.jacrev(f, 1))
        )
    np.testing.assert_allclose(features(spec, p, x)[:, :m], u, rtol=0, atol=1e-12)
    np.testing.assert_allclose(predict(spec, p, x), value, rtol=0, atol=1e-12)
    mine, J = jacobian(spec, p, x)
    np.testing.assert_allclose(mine, value, rtol=0, atol=1e-12)
    np.testing.assert_allclose(J, by_weights, rtol=0, atol=1e-10)
    np.testing.assert_allclose(slope(spec, p, x), by_rows, rtol=0, atol=1e-10)


def order(spec, p, x, J):
    """Order of the error of value + slope."""
    way = np.random.default_rng(5).normal(size=len(p))
    f = predict(spec, p, x)
    errors = [np.linalg.norm(predict(spec, p + h * way, x) - f - h * J @ way) for h in (1e-3, 1e-4)]
    return np.log10(errors[0] / errors[1])


@pytest.mark.parametrize("spec", KINDS)
def test_the_taylor_order_and_that_a_planted_mistake_is_seen(spec):
    p, x = sample(spec)
    J = jacobian(spec, p, x)[1].copy()
    assert abs(order(spec, p, x, J) - 2) < 0.1
    for place in (0, spec.n_inner - 1, spec.n_weights - 2):
        wrong = J.copy()
        wrong[:, place] *= 1.1
        assert order(spec, p, x, wrong) < 1.9


@pytest.mark.parametrize("spec", KINDS)
def test_the_first_weights_are_of_the_size_of_those_of_jax(spec):
    with jax.enable_x64(True):
        theirs = ResNet(spec.d, spec.width, spec.depth).init(np.random.default_rng(3), np.float64)
    K, k = spec.open(draw(spec, np.random.default_rng(3)))
    np.testing.assert_allclose(K, theirs["opening"]["K"], rtol=1e-14)
    np.testing.assert_allclose(k, theirs["opening"]["b"], rtol=1e-14)
    steps = [spec.step(draw(spec, np.random.default_rng(3)), i)[1] for i in range(spec.depth)]
    np.testing.assert_allclose(np.array(steps).reshape(theirs["flow"]["K"].shape), theirs["flow"]["K"], rtol=1e-14)


def linearised(n, size, seed=0):
    rng = np.random.default_rng(seed)
    J = np.asfortranarray(rng.normal(size=(n, size)))
    return J, rng.uniform(0.5, 4, size), 0.03, rng.uniform(0.5, 3, n), rng.normal(size=n)


@pytest.mark.parametrize("dual", [True, False])
@pytest.mark.parametrize(("n", "size"), [(9, 20), (20, 9), (1, 1)])
def test_the_curvature_is_its_dense_definition(n, size, dual):
    J, a, noise, w, target = linearised(n, size)
    one = Curvature(J, a, noise, w, dual=dual)
    C = J @ np.diag(1 / a) @ J.T + noise * np.diag(1 / w)
    H = J.T @ np.diag(w / noise) @ J + np.diag(a)
    share, left = one.determined()
    np.testing.assert_allclose(one.logdet, np.linalg.slogdet(C)[1], rtol=1e-10)
    np.testing.assert_allclose(share, 1 - a * np.linalg.inv(H).diagonal(), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(left, w.sum() - share.sum(), rtol=1e-8)
    np.testing.assert_allclose(one.precision(), np.linalg.inv(C).diagonal(), rtol=1e-8)
    expected = np.linalg.solve(H, J.T @ (w / noise * target))
    np.testing.assert_allclose(one.weights(target), expected, rtol=1e-8, atol=1e-10)
    root = one.posterior_root()
    np.testing.assert_allclose(root @ root.T, np.linalg.inv(H), rtol=1e-7, atol=1e-9)
    assert np.array_equal(root, np.triu(root))
