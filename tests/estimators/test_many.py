"""Many rows: processes on the nearest rows, passes over blocks, weights by stacking, and the fit that uses them."""

import time

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

import numdl
from numdl import AutoRegressor
from numdl.estimators.auto import blocks, boosted, many, training
from numdl.estimators.auto.blocks import Blocks, Streamed
from numdl.estimators.auto.laplace import Curvature
from numdl.estimators.auto.network import Architecture, draw, jacobian
from numdl.estimators.auto.training import Training, train
from numdl.estimators.kernels import base, threads, vecchia
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import Rows
from numdl.estimators.kernels.nearest import PROFILES, Nearest, Neighbours
from numdl.estimators.kernels.vecchia import Density

BOX = np.empty((2, 0))


def data(n=40, d=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return Rows(x, np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=n), rng.uniform(0.5, 2, n), 0.0)


def process(kernel="matern52", neighbours=100, d=3):
    theta = np.r_[np.log(0.02), 0.3, -1.0, np.linspace(-0.3, 0.4, d)]
    return Nearest(kernel, theta, neighbours, 0.0)


def covariance(one, x, z):
    """Entry by entry, from the definition."""
    (_, signal, linear), lengths = np.exp(one.theta[:3]), np.exp(one.theta[3:])
    shapes = {
        "rbf": lambda r: np.exp(-(r**2) / 2),
        "matern52": lambda r: (1 + 5**0.5 * r + 5 * r**2 / 3) * np.exp(-(5**0.5) * r),
        "matern32": lambda r: (1 + 3**0.5 * r) * np.exp(-(3**0.5) * r),
        "exponential": lambda r: np.exp(-r),
    }
    shape = shapes[one.kernel]
    return np.array([[1 + linear * a @ b + signal * shape(np.linalg.norm((a - b) / lengths)) for b in z] for a in x])


@pytest.mark.parametrize("kernel", PROFILES)
def test_with_all_rows_as_neighbours_it_is_the_gaussian_process(kernel):
    rows, one = data(12), process(kernel)
    C = covariance(one, rows.x, rows.x) + np.diag(one.noise / rows.w)
    new = np.random.default_rng(1).normal(size=(5, 3))
    k, own = covariance(one, new, rows.x), covariance(one, new, new).diagonal()
    mean, variance = one.moments(rows, BOX, new, std=True)
    np.testing.assert_allclose(mean, k @ np.linalg.solve(C, rows.y), rtol=1e-7)
    np.testing.assert_allclose(variance, own - np.einsum("an,na->a", k, np.linalg.solve(C, k.T)) + one.noise, rtol=1e-7)
    Q = np.linalg.inv(C)
    mean, variance = one.left_out(rows)
    np.testing.assert_allclose(mean, rows.y - Q @ rows.y / Q.diagonal(), rtol=1e-7)
    np.testing.assert_allclose(variance, 1 / Q.diagonal(), rtol=1e-7)
    density, _ = Density(kernel, rows, Neighbours(rows, one.theta, 100).others(np.arange(12)))(one.theta)
    other = [np.delete(np.arange(12), i) for i in range(12)]
    whole = multivariate_normal.logpdf(rows.y, np.zeros(12), C)
    parts = [multivariate_normal.logpdf(rows.y[i], np.zeros(11), C[np.ix_(i, i)]) for i in other]
    assert abs(density - (whole - np.mean(parts))) < 1e-7


def order_of_density(kernel, spoil):
    """Order of the error of value + slope of the density."""
    rows, one = data(), process(kernel)
    density = Density(kernel, rows, Neighbours(rows, one.theta, 8).others(np.arange(20)))
    value, slope = density(one.theta)
    way = np.random.default_rng(2).normal(size=len(slope))
    slope = slope * spoil
    errors = [abs(density(one.theta + h * way)[0] - value - h * slope @ way) for h in (1e-4, 1e-5)]
    return np.log10(errors[0] / errors[1])


@pytest.mark.parametrize("kernel", PROFILES)
def test_the_taylor_order_of_the_density_and_that_a_planted_mistake_is_seen(kernel):
    assert abs(order_of_density(kernel, np.ones(6)) - 2) < 0.1
    for place in (0, 1, 5):
        assert order_of_density(kernel, np.where(np.arange(6) == place, 1.1, 1.0)) < 1.8


@pytest.mark.parametrize("kernel", PROFILES)
def test_the_slope_is_that_of_the_mean(kernel):
    rows, one, h = data(), process(kernel, 9), 1e-6
    new = np.random.default_rng(3).normal(size=(6, 3))
    for j, unit in enumerate(np.eye(3)):
        ends = [one.moments(rows, BOX, new + way * h * unit, std=False)[0] for way in (-1, 1)]
        np.testing.assert_allclose(one.slope(rows, BOX, new)[:, j], (ends[1] - ends[0]) / (2 * h), atol=1e-6)


def test_neighbours_are_the_nearest_and_no_row_is_its_own():
    rows, one = data(), process(neighbours=5)
    z = rows.x / np.exp(one.theta[3:])
    some = np.array([3, 17, 30])
    index = Neighbours(rows, one.theta, 5).others(some)
    for i, row in zip(some, index, strict=True):
        expected = np.argsort(np.linalg.norm(z - z[i], axis=1))[:6]
        assert row[0] == i and set(row) == set(expected)
    twins = rows._replace(x=np.zeros((40, 3)))  # so many at one place that the row itself may not be found
    index = Neighbours(twins, one.theta, 5).others(np.arange(40))
    assert index.shape == (40, 6) and (index[:, 0] == np.arange(40)).all()
    assert not (index[:, 1:] == index[:, :1]).any()


def test_one_factor_on_all_variances_leaves_the_mean():
    rows, network = data(), train(data(), Architecture(3, 4), np.random.default_rng(0))
    for one in (process(neighbours=9), network):
        mean, variance = one.moments(rows, BOX, rows.x + 0.1, std=True)
        other, more = one.spread(4.0).moments(rows, BOX, rows.x + 0.1, std=True)
        np.testing.assert_allclose(other, mean, atol=2e-2)
        np.testing.assert_allclose(more, 4 * variance, rtol=2e-2)


def test_the_search_finds_which_input_matters_and_how_much_is_noise():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 2))
    rows = Rows(x, np.sin(3 * x[:, 0]) + 0.1 * rng.normal(size=1500), np.ones(1500), 0.0)
    one = vecchia.nearest(rows, rng, Clock(None), ("rbf",))
    assert one.theta[4] - one.theta[3] > np.log(4) and 0.08 < one.noise**0.5 < 0.12
    new = rng.normal(size=(300, 2))
    mean, variance = one.moments(rows, BOX, new, std=True)
    assert np.sqrt(np.mean((mean - np.sin(3 * new[:, 0])) ** 2)) < 0.05
    assert 0.8 < np.mean((mean - np.sin(3 * new[:, 0]) - 0.1 * rng.normal(size=300)) ** 2 / variance) < 1.25
    assert 5 < one.freedom < 400


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "ENTRIES", 64 * 20)
    monkeypatch.setattr(blocks, "LEAST", 64)
    monkeypatch.setattr(blocks, "STORED", 0)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("n", [64, 65, 300])
def test_passes_over_blocks_give_what_the_whole_matrix_gives(n):
    rows, spec = data(n), Architecture(3, 3, 1, linear=True)
    p = draw(spec, np.random.default_rng(1)) + 0.1
    f, J = jacobian(spec, p, rows.x)
    one, rng = Blocks(spec, p, rows.x), np.random.default_rng(2)
    v, q, a = rng.normal(size=n), rng.normal(size=len(p)), rng.uniform(0.5, 2, len(p))
    value, gram = one.normal(rows.w)
    np.testing.assert_allclose(value, f, rtol=1e-12)
    np.testing.assert_allclose(np.triu(gram), np.triu(J.T @ np.diag(rows.w) @ J), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(one @ q, J @ q, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(v @ one, v @ J, rtol=1e-10, atol=1e-12)
    streamed, whole = Streamed(one, a, 0.1, rows.w), Curvature(J, a, 0.1, rows.w)
    np.testing.assert_allclose(streamed.precision(), whole.precision(), rtol=1e-8)
    np.testing.assert_allclose(streamed.determined()[0], whole.determined()[0], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(streamed.diagonal, rows.w @ J**2, rtol=1e-10)
    assert abs(streamed.square(q) / (rows.w @ (J @ q) ** 2) - 1) < 1e-10


@pytest.mark.usefixtures("small_blocks")
def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    rows, found = data(400), []
    for count in (1, 3):
        monkeypatch.setattr(threads, "cores", lambda count=count: count)
        training_ = Training(rows, Architecture(3, 4, 1), np.random.default_rng(0))
        training_.advance(5)
        found.append((training_.best.weights, process(neighbours=9).left_out(rows)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_as_many_threads_as_the_environment_allows(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads.cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads.cores() >= 1
    assert threads.each(lambda i: i**2, range(5)) == [0, 1, 4, 9, 16] and threads.each(str, []) == []


def test_a_member_that_errs_beyond_all_measure_does_not_hide_how_the_others_err():
    errors = np.random.default_rng(0).normal(size=(100, 3)) * [1.0, 2.0, 1e14]
    w = many.simplex(errors.T @ errors)
    np.testing.assert_allclose(w[:2], many.simplex(errors[:, :2].T @ errors[:, :2]), rtol=1e-6)
    assert 0 <= w[2] < 1e-14
    np.testing.assert_allclose(many.simplex(np.diag([0.0, 1.0])), [1.0, 0.0], atol=1e-300)  # one that errs nowhere


@pytest.mark.parametrize("seed", range(3))
def test_weights_on_the_simplex_are_the_best_of_a_grid(seed):
    R = np.random.default_rng(seed).normal(size=(6, 3)) + 1.0
    G = R.T @ R
    w = many.simplex(G)
    steps = np.linspace(0, 1, 201)
    grid = np.array([(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1])
    assert abs(w.sum() - 1) < 1e-12 and (w >= 0).all()
    assert w @ G @ w <= np.einsum("gi,ij,gj->g", grid, G, grid).min() + 1e-9
    assert w @ G @ w < np.einsum("i,ij,j->", np.ones(3) / 3, G, np.ones(3) / 3) + 1e-12


def test_training_goes_on_with_more_rows_and_begins_no_step_that_ends_too_late(monkeypatch):
    few, all_ = data(100), data(400)
    one = Training(few, Architecture(3, 4), np.random.default_rng(0), 0.1)
    one.advance(20)
    weights = one.best.weights
    one.onto(all_)
    one.advance(1)
    np.testing.assert_array_equal(one.best.weights, weights)
    assert len(one.best.f) == 400 and len(one.seen) == 1
    now = [0.0]

    def clock():
        now[0] += 1.0  # a step asks before and after, and takes a second
        return now[0]

    monkeypatch.setattr(training.time, "monotonic", clock)
    one.advance(50, deadline=10.0)
    assert now[0] <= 11 and 3 <= len(one.seen) < 8


def test_left_out_rows_of_a_trained_network_without_a_pass_over_all():
    rows = data(200)
    one = train(rows, Architecture(3, 4), np.random.default_rng(0))
    some = np.array([0, 50, 199])
    exact, near = one.left_out(rows), one.left_out(rows, some)
    np.testing.assert_allclose(near[0], exact[0][some], atol=1e-3)
    np.testing.assert_allclose(near[1], exact[1][some], rtol=1e-6)


def table(n=700, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 3))
    return x, 5 + 100 * (np.abs(x[:, 0]) + x[:, 1] + 0.05 * rng.normal(size=n))


@pytest.fixture
def few_are_many(monkeypatch):
    monkeypatch.setattr(many, "MANY", 100)
    monkeypatch.setattr(many, "STAGES", ((200, 10), (500, 5)))
    monkeypatch.setattr(many, "JUDGED", 200)
    monkeypatch.setattr(vecchia, "SOUGHT", 200)
    monkeypatch.setattr(base, "ASKED", 300)
    monkeypatch.setattr(boosted, "TREES", 120)  # how good many are is the subject of their own tests


@pytest.mark.usefixtures("few_are_many")
def test_a_fit_to_many_rows(tmp_path):
    x, y = table()
    model = AutoRegressor(n_networks=1, random_state=0).fit(x, y)  # nobody is warned of steps that were planned
    assert model.status_.code == "max_iter" and not all(one.settled for one in model.mixtures_[0].members[-1:])
    new, truth = table(300, 1)
    mean, std = model.predict(new, return_std=True)
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 8 and 0.8 < np.mean(np.abs(mean - truth) < 1.645 * std) < 0.97
    assert set(model.evidence_[0]) >= {"line", "boosted trees", "flow 16x2 (1)"} and len(model.evidence_[0]) == 4
    assert abs(sum(model.weights_[0].values()) - 1) < 1e-12 and 3 < model.noise_ < 8
    assert model.log_evidence_ == max(model.evidence_[0].values())
    asked = np.isfinite(model.leave_one_out_)
    assert 200 < asked.sum() <= 300
    assert np.sqrt(np.mean((model.leave_one_out_[asked] - y[asked]) ** 2)) < 8
    assert model.relevance_[:2].min() > 3 * model.relevance_[2]
    model.save(tmp_path / "model.numdl")
    again = numdl.load(tmp_path / "model.numdl")
    np.testing.assert_allclose(again.predict(new), mean, rtol=1e-10)
    np.testing.assert_allclose(again.gradient(new), model.gradient(new), rtol=1e-7, atol=1e-8)
    repeated = AutoRegressor(n_networks=1, random_state=0).fit(x, y)
    np.testing.assert_allclose(repeated.predict(new), mean, rtol=1e-6)


@pytest.mark.usefixtures("few_are_many")
def test_weights_are_relative_and_no_weight_is_no_row():
    x, y = table(300)
    w = np.random.default_rng(0).integers(0, 3, 300)
    fits = (AutoRegressor(n_networks=0, random_state=0).fit(x, y, given) for given in (w, 1024.0 * w))
    one, other = (model.predict(x) for model in fits)
    np.testing.assert_allclose(one, other, rtol=1e-9)
    once = AutoRegressor(n_networks=0, random_state=0).fit(x, y, np.minimum(w, 1))
    kept = AutoRegressor(n_networks=0, random_state=0).fit(x[w > 0], y[w > 0])
    np.testing.assert_allclose(once.predict(x), kept.predict(x), rtol=1e-6)


@pytest.mark.usefixtures("few_are_many")
def test_a_budget_that_is_over_and_an_interruption_leave_the_line(monkeypatch):
    x, y = table(300)
    with pytest.warns(ConvergenceWarning, match="The time was over before network 1 of 3 was tried"):
        model = AutoRegressor(time_budget=1e-9, random_state=0).fit(x, y)
    assert model.status_.code == "time_budget" and set(model.weights_[0]) == {"layer 1"}

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(many, "nearest", interrupted)
    with pytest.warns(ConvergenceWarning):
        model = AutoRegressor(random_state=0).fit(x, y)
    assert model.status_.code == "interrupted" and np.isfinite(model.predict(x)).all()


def test_a_search_keeps_its_budget():
    rows, began = data(3000, 3), time.monotonic()
    found = many.search(rows, 1, np.random.default_rng(0), [], clock := Clock(0.0))
    assert clock.late and [one.name for one in found.members] == ["layer 1"] and time.monotonic() > began


def test_a_factorisation_that_cannot_end_in_time_is_not_begun(monkeypatch):
    clock = Clock(1.0)
    assert Clock(None).spare(1e30) and clock.spare(1.0) and not clock.spare(1e18)
    x, y = table(700)
    monkeypatch.setattr(Clock, "spare", lambda self, operations: operations < 700**3)
    with pytest.warns(ConvergenceWarning):
        model = AutoRegressor(time_budget=0.2, random_state=0).fit(x, y)
    assert "line" in model.evidence_[0]  # not the linear process, which takes all rows


def test_a_table_that_is_wide_gets_narrow_networks_or_none(monkeypatch):
    rng, made = np.random.default_rng(0), []
    rows = Rows(x := rng.normal(size=(300, 200)), x[:, 0], np.ones(300), 0.0)
    monkeypatch.setattr(many, "_network", lambda rows, order, spec, *_: made.append(spec.width))
    monkeypatch.setattr(many, "boosted", lambda *_: None)
    for d in (200, 2000):
        with pytest.raises(ValueError, match="neither a straight line nor a network gave finite values"):
            many.search(rows._replace(x=np.zeros((300, d))), 1, rng, notes := [], Clock(None))
    assert made == [1, 8, 1] and "2000 inputs are too many" in notes[0]


def test_the_stretch_is_the_variance_of_normal_errors_and_not_that_of_heavy_tails():
    rng = np.random.default_rng(0)
    assert abs(vecchia.stretch(3 * np.abs(rng.normal(size=100_000))) - 9) < 0.2
    heavy = np.abs(rng.standard_t(2.5, size=100_000))
    assert vecchia.stretch(heavy) < 0.6 * np.mean(heavy**2)
    inside = [np.mean(heavy < z * vecchia.stretch(heavy) ** 0.5) for z in (0.6745, 1.6449)]
    assert 0.5 < inside[0] < 0.6 and 0.85 < inside[1] < 0.9


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize(("weight", "expected"), [(0.05, 1), (0.5, 3)])
def test_other_networks_follow_where_the_first_has_weight(monkeypatch, weight, expected):
    rows = data(300)
    network = train(data(100), Architecture(3, 2, 1), np.random.default_rng(0))
    monkeypatch.setattr(many, "nearest", lambda *_: None)
    monkeypatch.setattr(many, "_network", lambda *_: network)
    monkeypatch.setattr(many, "_share", lambda found: weight)
    found = many.search(rows, 3, np.random.default_rng(0), [], Clock(None))
    assert len([name for name in found.evidence if "flow" in name]) == expected


@pytest.mark.filterwarnings("error")
def test_a_matrix_that_rounding_makes_indefinite_has_no_density(monkeypatch):
    rows, one = data(), process("rbf")
    monkeypatch.setattr(vecchia, "solve", lambda C, right: -right)
    value, slope = Density("rbf", rows, Neighbours(rows, one.theta, 8).others(np.arange(20)))(one.theta)
    assert value == -np.inf and not slope.any()
