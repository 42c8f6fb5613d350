"""Boosted trees beside smooth members: arrays that say what scikit-learn's say, when they join, what they promise."""

import numpy as np
import pytest

import numdl
from numdl import AutoRegressor
from numdl.estimators.auto import boosted as member
from numdl.estimators.auto.boosted import beside, boosted
from numdl.estimators.classes import worth
from numdl.estimators.classes.search import Classes
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import Rows
from numdl.estimators.kernels.search import Search
from numdl.estimators.trees import boost as growing
from numdl.estimators.trees.boost import as_forest, boost

BOX, LONG = np.empty((2, 0)), Clock(None)


def stairs(x):
    """A value of its own for each of five whole numbers, another one on the other side of a step."""
    values = np.array([[0.0, 2.0, -1.0, 3.0, 1.0], [2.0, 0.0, 1.0, -1.0, 3.0]])
    return values[(x[:, 1] > 0.3).astype(int), x[:, 0].astype(int)] + 2.0 * (x[:, 2] < -0.2)


def steps(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = np.c_[rng.integers(0, 5, n), rng.normal(size=(n, 2))]
    return x, stairs(x) + 0.1 * rng.normal(size=n)


def table(n=200, seed=0):
    x, y = steps(n, seed)
    return Rows(x, (y - y.mean()) / y.std(), np.random.default_rng(1).uniform(0.5, 2, n), 0.0)


@pytest.fixture
def small(monkeypatch):
    """Few trees, which is enough where they are not judged."""
    monkeypatch.setattr(member, "TREES", 60)


class Flat:
    """A member that says the same everywhere, from rows left out too."""

    noise, weight = 0.5, 1.0

    def left_out(self, rows):
        return np.zeros(len(rows.y)), np.ones(len(rows.y))

    def _replace(self, weight):
        other = Flat()
        other.weight = weight
        return other


class Knowing(Flat):
    """One that knows the targets of rows left out, to this error."""

    def __init__(self, error):
        self.error = error

    def left_out(self, rows):
        return rows.y + self.error * np.random.default_rng(5).normal(size=len(rows.y)), np.ones(len(rows.y))


# -------------------------------------------------------------------------------------------------------------- arrays
@pytest.mark.parametrize("n", [200, growing.SMALL + 1])
def test_arrays_say_what_scikit_learn_says(n):
    x, y = steps(n)
    model = boost(x, y, np.random.default_rng(2).uniform(0.5, 2, n), 30, 3)
    new = steps(500, 1)[0]
    np.testing.assert_allclose(as_forest(model).mean(new)[:, 0], model.predict(new), rtol=1e-12, atol=1e-12)
    edge = as_forest(model).threshold[:50, None] * np.ones(3)  # a row on a threshold goes where scikit-learn sends it
    np.testing.assert_allclose(as_forest(model).mean(edge)[:, 0], model.predict(edge), rtol=1e-12, atol=1e-12)


def test_weights_count_as_rows_that_are_repeated():
    x, y = steps(150)
    w = np.where(np.arange(150) % 3, 1.0, 2.0)
    again = np.repeat(np.arange(150), w.astype(int))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "LEAST", 20)  # rows, not weights: so large that no split depends on it
        patch.setattr(growing, "FEW", 3)
        once, twice = boost(x, y, w, 5, 0), boost(x[again], y[again], np.ones(len(again)), 5, 0)
    np.testing.assert_allclose(once.predict(x), twice.predict(x), rtol=1e-9)


# -------------------------------------------------------------------------------------------------------------- member
def test_a_row_is_left_out_by_trees_that_have_not_seen_it(small, monkeypatch):
    rows, without = table(150), {}
    y = rows.y.copy()
    y[7] += 50.0
    for trees in (60, 120):  # it has a say in how many there are
        monkeypatch.setattr(member, "TREES", trees)
        monkeypatch.setattr(member, "EACH", trees)
        one = boosted(rows._replace(y=np.where(np.arange(150) == 7, 0.1, y)), None, 0.1, np.random.default_rng(0), LONG)
        without[len(one.forest.root)] = one.left[7]
    other = boosted(rows._replace(y=y), None, 0.1, np.random.default_rng(0), LONG)
    assert other.left[7] == pytest.approx(without[len(other.forest.root)], abs=1e-9)
    assert abs(other.forest.mean(rows.x[[7]]) - other.left[7]) > 1


def test_the_number_of_trees_is_the_one_that_errs_least_on_parts(small):
    rng = np.random.default_rng(0)
    rows = Rows(rng.normal(size=(200, 3)), rng.normal(size=200), np.ones(200), 0.0)
    noise = boosted(rows, None, 1.0, np.random.default_rng(0), LONG)
    assert len(noise.forest.root) == member.EACH  # nothing is to be learnt
    assert np.mean((noise.left - rows.y) ** 2) > 0.95 * rows.y.var()
    assert len(boosted(table(), None, 1.0, np.random.default_rng(0), LONG).forest.root) > member.TREES


def test_moments_slope_and_scale(small):
    rows = table()
    one = boosted(rows, None, 0.01, np.random.default_rng(0), LONG)
    mean, variance = one.moments(rows, BOX, rows.x[:5], std=True)
    np.testing.assert_allclose(mean, one.forest.mean(rows.x[:5])[:, 0])
    np.testing.assert_allclose(variance, one.noise + one.more)
    assert one.noise == 0.01
    assert one.moments(rows, BOX, rows.x[:5], std=False)[1] is None
    assert not one.slope(rows, BOX, rows.x).any()
    np.testing.assert_allclose(one.spread(4.0).moments(rows, BOX, rows.x[:5], std=True)[1], 4 * variance)
    np.testing.assert_allclose(one.left_out(rows)[1], one.more + one.noise / rows.w)
    np.testing.assert_allclose(one.left_out(rows, np.array([3, 1]))[0], one.left[[3, 1]])
    off = np.abs(one.left - rows.y) * np.sqrt(rows.w)
    held = [np.mean(off <= z * np.sqrt(one.noise + one.more)) for z in (0.67449, 1.64485)]
    np.testing.assert_allclose(held, [0.5, 0.9], atol=0.1)
    assert 0 < one.freedom < 200
    assert one.n_parameters == (one.forest.feature.size + len(one.forest.root)) // 2  # binary trees


# ------------------------------------------------------------------------------------------------------------- joining
def test_they_join_where_the_others_miss_steps_with_the_weight_that_errs_least(small):
    rows = table()
    found = beside(Search([Flat()], {"flat": 0.0}, True), rows, BOX, np.random.default_rng(0), LONG)
    flat, trees = found.members
    assert trees.weight > 0.9
    assert flat.weight == pytest.approx(1 - trees.weight)
    assert found.evidence == {"flat": 0.0}
    grid = np.linspace(0, 1, 1001)
    errors = [rows.w @ (w * trees.left - rows.y) ** 2 for w in grid]
    assert trees.weight == pytest.approx(grid[np.argmin(errors)], abs=1e-3)


@pytest.mark.parametrize(("error", "fits"), [(0.005, 0), (0.1, 1)])
def test_they_stay_away_where_others_know_better_and_little_is_tried(error, fits, small, monkeypatch):
    asked = []
    monkeypatch.setattr(member, "boost", lambda *a, **k: asked.append(1) or boost(*a, **k))
    search = Search([Knowing(error)], {}, True)
    rng = np.random.default_rng(0)
    rows = table()._replace(y=rng.normal(size=200))  # nothing that trees could learn
    assert beside(search, rows, BOX, rng, LONG) is search
    assert len(asked) == fits


def test_few_rows_and_no_time_grow_nothing(monkeypatch):
    monkeypatch.setattr(member, "boost", None)
    search, rng = Search([Flat()], {}, True), np.random.default_rng(0)
    assert beside(search, table(member.FEWEST - 1), BOX, rng, LONG) is search
    late = Clock(1e-9)
    assert beside(search, table(), BOX, rng, late) is search
    assert late.late


class Watched(Clock):
    """A clock that time passes on only where trees grow: a second for ten."""

    def __init__(self, seconds, monkeypatch, module):
        super().__init__(None)
        self.rest, self.grown = seconds, []
        monkeypatch.setattr(module, "boost", self.boost)

    def boost(self, x, y, w, trees, *a, **k):
        self.rest -= trees / 10
        self.grown.append(trees)
        return boost(x, y, w, trees, *a, **k)

    def left(self):
        return self.rest


@pytest.mark.parametrize(("seconds", "trees"), [(1e9, 160), (60.0, 80), (20.0, None)])
def test_trees_are_as_many_as_the_time_allows(seconds, trees, monkeypatch):
    monkeypatch.setattr(member, "TREES", 80)
    monkeypatch.setattr(growing, "LEAST_TREES", 40)
    clock = Watched(seconds, monkeypatch, member)
    one = boosted(table(), None, 1.0, np.random.default_rng(0), clock)
    assert clock.rest > 0.4 * seconds and clock.grown[0] == growing.PIECE
    if trees is None:
        assert one is None and clock.late and len(clock.grown) == 1
    else:
        assert max(clock.grown[1:]) <= trees
        assert one is not None and not clock.late


def test_the_time_of_classes_is_watched_too(monkeypatch):
    monkeypatch.setattr(growing, "LEAST_TREES", 40)
    x, label = np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2
    data, rng = Classes(x, np.eye(2)[label], np.empty((2, 3))), np.random.default_rng(0)
    clock = Watched(60.0, monkeypatch, worth)
    assert len(worth._boosted(data, rng, clock)) == 1 and clock.rest > 20 and max(clock.grown) < 100
    assert worth._boosted(data, rng, late := Watched(5.0, monkeypatch, worth)) == [] and late.late


def test_repeated_measurements_leave_the_noise_of_one_what_it_is(small):
    rng, m = np.random.default_rng(0), 10
    x = rng.normal(size=(400, 2))
    mean = (x[:, 0] > 0) + 0.5 * rng.normal(size=400) / np.sqrt(m)
    one = boosted(Rows(x, mean, np.full(400, float(m)), 0.0), None, 0.25, rng, LONG)
    assert 0.2 < one.noise <= 0.25  # and not a tenth of it
    assert one.more < 0.05


def test_a_target_that_is_constant_has_no_trees(small):
    rows = table()._replace(y=np.zeros(200))
    assert boosted(rows, None, np.inf, np.random.default_rng(0), LONG) is None


def test_of_many_rows_some_are_grown_on_and_the_others_are_predicted(small, monkeypatch):
    monkeypatch.setattr(member, "MANY", 150)
    monkeypatch.setattr(member, "MOST", 200)
    rows = table(300)
    one = boosted(rows, None, 0.1, np.random.default_rng(0), LONG)
    assert (np.abs(one.left - one.forest.mean(rows.x)[:, 0]) < 1e-12).sum() == 100
    assert np.mean((one.left - rows.y) ** 2) < 0.5


# ----------------------------------------------------------------------------------------------------------- estimator
def cliffs(x):
    """Steps along three inputs of five, two of them together."""
    return 1.0 * (x[:, 0] > 0.3) + 2.0 * (x[:, 1] < -0.2) * (x[:, 2] > 0) - 1.5 * (x[:, 3] > 0.1) * (x[:, 0] < 0.6)


def cliff_table(n=300, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    return x, cliffs(x) + 0.1 * rng.normal(size=n)


@pytest.fixture(scope="module")
def model():
    return AutoRegressor(random_state=0).fit(*cliff_table())


def test_a_table_with_steps_is_learnt_by_them(model, monkeypatch):
    assert model.weights_[0]["boosted trees"] > 0.3
    new, y = cliff_table(1000, 2)
    monkeypatch.setattr(member, "FEWEST", 10**9)
    without = AutoRegressor(random_state=0).fit(*cliff_table())
    assert "boosted trees" not in without.weights_[0]
    error, other = (np.sqrt(np.mean((one.predict(new) - cliffs(new)) ** 2)) for one in (model, without))
    assert error < 0.8 * other
    mean, std = model.predict(new, return_std=True)
    assert 0.8 < np.mean(np.abs(mean - y) < 1.645 * std) < 0.99


def test_saved_models_predict_the_same(model, tmp_path):
    new = cliff_table(300, 2)[0]
    model.save(tmp_path / "m.numdl")
    again = numdl.load(tmp_path / "m.numdl")
    for one, other in zip(again.predict(new, return_std=True), model.predict(new, return_std=True), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)
    assert "boosted trees" in again.status_.message
