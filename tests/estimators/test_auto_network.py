"""Small networks in NumPy: against JAX, against dense formulas, and what training promises."""

import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from numdl.estimators.auto.laplace import Curvature
from numdl.estimators.auto.network import Architecture, draw, features, jacobian, predict, slope
from numdl.estimators.auto.plan import plan
from numdl.estimators.auto.precisions import Precisions
from numdl.estimators.auto.precisions import start as first
from numdl.estimators.auto.regressor import _scored
from numdl.estimators.auto.step import Damping, direction, solve_head, step
from numdl.estimators.auto.training import MOST, Training, likelihood, look, settled, train
from numdl.estimators.common.codec import Encoder, decode
from numdl.estimators.kernels.evidence import Rows, within
from numdl.models import ResNet

BOX = np.empty((2, 0))  # networks have no interval

KINDS = [Architecture(3, 5, 4), Architecture(3, 5, 4, linear=True), Architecture(1, 6), Architecture(4, 1, 1)]


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
            np.asarray(jax.vmap(g, (None, 0))(jnp.asarray(p), jnp.asarray(x)))
            for g in (f, jax.jacrev(f), jax.jacrev(f, 1))
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


def table(n=30, d=2, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.7, 1.7, size=(n, d))
    y = np.sin(2 * x[:, 0]) + 0.5 * x[:, -1] + noise * rng.normal(size=n)
    return Rows(x, (y - y.mean()) / y.std(), np.ones(n), 0.0)


def test_the_evidence_of_a_linear_gaussian_model_is_its_density():
    """With all weights of the layer at 0 but the head's, precisions and noise known, and rows that are repeated."""
    rng = np.random.default_rng(1)
    n, times = 6, np.array([1, 2, 1, 3, 1, 2])
    J, a, noise = np.asfortranarray(rng.normal(size=(n, 4))), rng.uniform(0.5, 3, 4), 0.2
    index = np.repeat(np.arange(n), times)
    y = rng.normal(size=len(index))
    mean = np.bincount(index, y) / times
    rows = Rows(J, mean, times.astype(float), float(np.sum((y - mean[index]) ** 2)))
    expected = multivariate_normal.logpdf(
        y, np.zeros(len(y)), J[index] @ np.diag(1 / a) @ J[index].T + noise * np.eye(len(y))
    )
    for dual in (True, False):
        one = Curvature(J, a, noise, rows.w, dual=dual)
        weights = one.weights(mean)
        assert abs(likelihood(one, rows, J @ weights, a, weights) - expected) < 1e-9
        wrong = likelihood(one, rows._replace(w=np.ones(n)), J @ weights, a, weights)
        assert abs(wrong - expected) > 1e-2


@pytest.mark.parametrize("n", [12, 60])  # dual and primal
def test_left_out_rows_are_those_of_a_linearised_model_fitted_without_them(n):
    rows = table(n)._replace(w=np.random.default_rng(2).uniform(0.5, 2, n))
    one = train(rows, Architecture(2, 4), np.random.default_rng(0))
    mean, variance = one.left_out(rows)
    f, J = jacobian(one.spec, one.weights, rows.x)
    offset = f - J @ one.weights
    for i in (0, 5, n - 1):
        kept = np.delete(np.arange(n), i)
        w = rows.w[kept] / one.noise
        H = J[kept].T @ (w[:, None] * J[kept]) + np.diag(one.precisions)
        p = np.linalg.solve(H, J[kept].T @ (w * (rows.y - offset)[kept]))
        assert abs(mean[i] - offset[i] - J[i] @ p) < 1e-6 < abs(mean[i] - f[i])  # a row that was not left out is seen
        expected = J[i] @ np.linalg.solve(H, J[i]) + one.noise / rows.w[i]
        assert abs(variance[i] - expected) < 1e-6 * expected
    density = norm.logpdf(rows.y, mean, np.sqrt(variance)).sum() + within(rows, one.noise)
    assert abs(density - one.density) < 1e-6


@pytest.mark.parametrize("n", [12, 60])
def test_moments_are_those_of_the_linearised_posterior(n):
    rows = table(n)
    one = train(rows, Architecture(2, 4), np.random.default_rng(0))
    new = np.random.default_rng(3).normal(size=(700, 2))
    _, J = jacobian(one.spec, one.weights, rows.x)
    H = J.T @ J / one.noise + np.diag(one.precisions)
    at = jacobian(one.spec, one.weights, new)[1]
    mean, variance = one.moments(rows, BOX, new, std=True)
    np.testing.assert_allclose(mean, predict(one.spec, one.weights, new), atol=1e-12)
    expected = np.einsum("np,np->n", at, np.linalg.solve(H, at.T).T) + one.noise
    np.testing.assert_allclose(variance, expected, rtol=1e-6)
    assert one.moments(rows, BOX, new, std=False)[1] is None
    assert abs(one.freedom - (len(one.weights) - one.precisions @ np.linalg.inv(H).diagonal())) < 1e-6


def test_a_row_of_weight_2_is_a_row_that_is_there_twice():
    spec, once = Architecture(2, 3, 2), table(10)
    again = Rows(np.tile(once.x, (2, 1)), np.tile(once.y, 2), np.ones(20), 0.0)
    twice = once._replace(w=np.full(10, 2.0))
    start = draw(spec, np.random.default_rng(0))
    points = []
    for rows in (twice, again):
        precisions = first(spec)
        weights, f = solve_head(spec, start, precisions, rows)
        np.testing.assert_allclose(f, predict(spec, weights, rows.x), atol=1e-12)
        for _ in range(5):
            point = look(spec, weights, precisions, rows)
            points.append(point)
            weights, _ = step(spec, point.weights, point.f, point.curvature, precisions, rows, Damping())
    for a, b in zip(points[:5], points[5:], strict=True):
        np.testing.assert_allclose(a.evidence, b.evidence, rtol=1e-8)
        np.testing.assert_allclose(a.weights, b.weights, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(a.determined, b.determined, rtol=1e-6, atol=1e-8)


def test_a_step_is_the_minimiser_of_its_model_in_both_forms(monkeypatch):
    J, a, noise, w, r = linearised(9, 20)
    rng = np.random.default_rng(4)
    p, damping = rng.normal(size=20), np.append(rng.uniform(0, 2, 15), np.zeros(5))
    found = []
    for dual in (True, False):
        monkeypatch.setattr(
            sys.modules[direction.__module__],
            "Curvature",
            lambda *args, dual=dual, **rest: Curvature(*args, dual=dual, **rest),
        )
        found.append(direction(J, r, p, a, damping, noise, w))
    matrix = J.T @ np.diag(w / noise) @ J + np.diag(a + damping)
    expected = np.linalg.solve(matrix, J.T @ (w / noise * r) - a * p)
    np.testing.assert_allclose(found, [expected] * 2, rtol=1e-8, atol=1e-10)


def test_precisions_move_to_the_maximum_of_evidence_and_prior():
    """Of a linear model, whose evidence has no other part: the derivative by each logarithm vanishes there."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y = x @ [1.0, 0.1, 0.0] + 0.3 * rng.normal(size=40)
    groups = np.array([0, 1, 2])
    precisions = Precisions(np.zeros(4), np.zeros(4), np.full(4, 3.0), np.full(4, True), groups)

    def value(log):
        covariance = x @ np.diag(np.exp(-log[:3])) @ x.T + np.exp(-log[3]) * np.eye(40)
        return multivariate_normal.logpdf(y, np.zeros(40), covariance) - 0.5 * np.sum(log**2 / 9)

    def slopes(log):
        return [(value(log + 1e-4 * e) - value(log - 1e-4 * e)) / 2e-4 for e in np.eye(4)]

    assert np.abs(slopes(precisions.log)).min() > 1e-2
    for _ in range(300):
        one = Curvature(np.asfortranarray(x), precisions.each, precisions.noise, np.ones(40))
        share, left = one.determined()
        p = one.weights(y)
        squares = np.append(precisions.sums(p**2), np.sum((y - x @ p) ** 2))
        precisions = precisions.moved(np.append(precisions.sums(share), left), squares)
    np.testing.assert_allclose(slopes(precisions.log), 0, atol=1e-4)


def test_it_learns_and_knows_which_input_is_inert():
    rows = table(80, 2, noise=0.05)
    x = np.column_stack([rows.x, np.random.default_rng(9).normal(size=(80, 1))])
    one = train(rows._replace(x=x), Architecture(3, 8), np.random.default_rng(0))
    new = table(200, 2, noise=0.0, seed=5)
    mean, variance = one.moments(rows, BOX, np.column_stack([new.x, np.ones(200)]), std=True)
    assert np.corrcoef(mean, new.y)[0, 1] > 0.99
    assert 0.01 < one.noise**0.5 < 0.12 and (variance > one.noise).all()
    steepness = np.sqrt(np.mean(one.slope(rows, BOX, x) ** 2, axis=0))
    assert steepness[2] < 0.1 * steepness[:2].min()
    assert one.settled and 1 < one.freedom < 40


@pytest.mark.quick("constant-1-spec0", "line-2-spec1", "line-5-spec0")
@pytest.mark.parametrize("spec", [Architecture(1, 8, 4), Architecture(1, 16)])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("y", ["constant", "line"])
def test_few_rows_and_constant_targets(spec, n, y):
    x = np.linspace(-1, 1, n)[:, None]
    rows = Rows(x, np.zeros(n) if y == "constant" else x[:, 0] * 1.2, np.ones(n), 0.0)
    one = train(rows, spec, np.random.default_rng(0))
    mean, variance = one.moments(rows, BOX, np.linspace(-2, 2, 9)[:, None], std=True)
    assert np.isfinite(mean).all() and (variance > 0).all() and np.isfinite([one.evidence, one.density]).all()
    assert all(np.isfinite(a).all() for a in one.left_out(rows))


def test_what_cannot_be_trained_is_none_and_a_deadline_leaves_what_is_there():
    rows = table(20)
    assert train(rows._replace(y=np.full(20, np.inf)), Architecture(2, 3), np.random.default_rng(0)) is None
    assert train(rows._replace(x=rows.x * np.nan), Architecture(2, 3), np.random.default_rng(0)) is None
    late = train(rows, Architecture(2, 3), np.random.default_rng(0), deadline=time.monotonic() - 1)
    assert late.iterations == 1 and not late.settled


def test_the_same_seed_gives_the_same_network():
    both = [train(table(), Architecture(2, 4, 2), np.random.default_rng(7)) for _ in range(2)]
    np.testing.assert_array_equal(both[0].weights, both[1].weights)


def test_followed_a_few_steps_at_a_time_it_is_the_same_network():
    spec, rows = Architecture(2, 4, 2), table()
    training = Training(rows, spec, np.random.default_rng(7))
    assert training.network() is None and training.advance(3) and len(training.seen) == 3
    early = training.network()
    assert not _scored("flow", training).converged
    while training.advance(7):
        pass
    late, whole = training.network(), train(rows, spec, np.random.default_rng(7))
    assert early.evidence < late.evidence == max(training.seen) and late.settled
    np.testing.assert_array_equal(late.weights, whole.weights)
    assert late.iterations == whole.iterations < MOST and _scored("flow", training).converged


def test_the_plan_trains_what_it_says():
    starts = plan(3)
    assert [one.spec.name for one in starts[:3]] == ["flow 8x4", "layer 16", "flow 8x4"]
    assert len({(one.spec, one.noise, one.gain) for one in starts}) == len(starts)


def test_it_stops_when_the_best_of_the_last_steps_brings_nothing():
    assert not settled([0.0] * 39, 100) and settled([0.0] * 40, 100)
    assert not settled([0.0] * 39 + [0.5], 100) and settled([0.0] * 39 + [0.3], 100)


def test_jax_is_not_imported():
    code = "import sys, numdl.estimators.auto.training; print('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_a_file_can_hold_it():
    rows = table(12)
    one = train(rows, Architecture(2, 2, 1), np.random.default_rng(0))
    encoder = Encoder()
    again = decode(encoder.encode(one, "network"), encoder.arrays)
    x = table(5, seed=3).x
    assert again.spec == one.spec and type(again) is type(one)
    for a, b in zip(again.moments(rows, BOX, x, std=True), one.moments(rows, BOX, x, std=True), strict=True):
        np.testing.assert_array_equal(a, b)
