"""Least squares on labels: rows left out against fits without them, weights, single precision, calibration, export."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import numdl
from numdl import AutoClassifier
from numdl.estimators.classes import search, shares
from numdl.estimators.classes.member import Labels, kernel_matrix
from numdl.estimators.classes.softmax import contrasts
from numdl.estimators.classes.softmax import shares as logs_of_shares
from numdl.estimators.classes.trees import BLURS, SHARPNESSES, calibrated, taken_for
from numdl.estimators.kernels import clock as clocks
from numdl.export.targets import numpy_module
from numdl.export.write import export

NAME, NOISE = "rbf", 0.1
BOX = np.array([[-4.0, -4.0], [4.0, 4.0]])
THETA = np.r_[np.log([0.1, 1.0, 0.1]), np.log([1.0, 1.5])]


def problem(n=30, k=3, seed=0):
    """Rows and counts of k classes, one observation of each row."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, np.eye(k)[np.digitize(x[:, 0] + 0.5 * rng.normal(size=n), np.linspace(-1, 1, k + 1)[1:-1])]


def shares_at(new, x, c, marks, base):
    """Shares at new rows by normal equations in the coefficients of the kernels."""
    Q, w = contrasts(c.shape[1]), c.sum(axis=1)
    y = (c / w[:, None] - base) @ Q
    K = kernel_matrix(NAME, THETA, x, x[marks], BOX)
    own = kernel_matrix(NAME, THETA, x[marks], x[marks], BOX)
    coef = np.linalg.solve(K.T @ (w[:, None] * K) + NOISE * own, K.T @ (w[:, None] * y))
    return np.maximum(kernel_matrix(NAME, THETA, new, x[marks], BOX) @ coef @ Q.T + base, 0.0)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_left_out_rows_are_those_of_fits_without_them_and_their_kernels(sparse, k, weighted):
    x, c = problem(k=k)
    c = c * np.random.default_rng(1).uniform(0.1, 1, (30, 1)) if weighted else c
    marks = np.arange(0, 30, 3) if sparse else np.arange(30)
    base, found = np.exp(logs_of_shares(c)), shares.regress(NAME, THETA, x, c, logs_of_shares(c), marks, BOX, NOISE)
    for i in range(30):
        rest = np.delete(np.arange(30), i)
        others = np.searchsorted(rest, np.setdiff1d(marks, [i]))
        expected = shares_at(x[[i]], x[rest], c[rest], others, base)[0]
        np.testing.assert_allclose(found.left[i], expected, atol=2e-5)


def test_a_row_whose_kernel_stays_would_be_seen():
    x, c = problem()
    marks, base = np.arange(0, 30, 3), np.exp(logs_of_shares(c))
    found, gaps = shares.regress(NAME, THETA, x, c, logs_of_shares(c), marks, BOX, NOISE), []
    for i in marks:
        rest = np.delete(np.arange(30), i)
        nearby = np.vstack([x[rest], x[i]]), np.vstack([c[rest], 1e-9 * c[i]])  # of no weight: only its kernel is left
        gaps.append(
            np.abs(
                found.left[i]
                - shares_at(x[[i]], *nearby, np.r_[np.searchsorted(rest, np.setdiff1d(marks, [i])), 29], base)[0]
            ).max()
        )
    assert max(gaps) > 1e-3


@pytest.mark.parametrize("sparse", [False, True])
def test_of_several_observations_one_is_left_out(sparse):
    x, c = problem(n=20)
    rng = np.random.default_rng(1)
    c = c * rng.integers(1, 4, size=(20, 1)) + np.eye(3)[rng.integers(0, 3, 20)]
    marks, base = np.arange(0, 20, 2) if sparse else np.arange(20), np.exp(logs_of_shares(c))
    found = shares.regress(NAME, THETA, x, c, logs_of_shares(c), marks, BOX, NOISE)
    for (i, label), left in zip(np.argwhere(c), found.left, strict=True):
        if sparse and i in marks:
            continue  # without the row its kernel goes, with an observation less it would stay
        less = c.copy()
        less[i, label] -= 1
        np.testing.assert_allclose(left, shares_at(x[[i]], x, less, marks, base)[0], atol=2e-5)


@pytest.mark.parametrize("sparse", [False, True])
def test_single_precision_says_the_same(monkeypatch, sparse):
    x, c = problem(n=200)
    marks, found = np.arange(0, 200, 10) if sparse else np.arange(200), []
    for least in (10**6, 0):
        monkeypatch.setattr(shares, "SINGLE", least)
        found.append(shares.regress(NAME, THETA, x, c, logs_of_shares(c), marks, BOX, shares.NOISES[0]))
    np.testing.assert_allclose(found[0].left, found[1].left, atol=1e-2)
    across = kernel_matrix(NAME, THETA, x, x[marks], BOX)
    np.testing.assert_allclose(across @ found[0].coef, across @ found[1].coef, atol=1e-2)


def test_what_has_no_factor_in_single_precision_is_done_in_double(monkeypatch):
    monkeypatch.setattr(shares, "SINGLE", 0)
    x, c = problem(n=60)
    theta = np.r_[THETA[:1], np.log([1e9, 0.1]), np.log([30.0, 30.0])]  # its eigenvalues go from 1e10 to 1e-2
    found = shares.regress(NAME, theta, x, c, logs_of_shares(c), np.arange(60), BOX, 0.01)
    assert np.isfinite(found.coef).all() and np.isfinite(found.left).all()


@pytest.mark.parametrize("blurs", [BLURS, shares.LEVELS])
def test_steps_to_neighbours_find_what_all_levels_find(blurs):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        truth = rng.dirichlet(np.full(3, 0.3), size=400)
        label = np.array([rng.choice(3, p=p) for p in truth])
        q, b, count = truth ** rng.uniform(0.3, 2), np.full(3, 1 / 3), np.ones(400)
        q /= q.sum(axis=1, keepdims=True)
        told = {(e, s): taken_for(q, b, e, s)[np.arange(400), label].sum() for e in blurs for s in SHARPNESSES}
        blur, sharpness, density = calibrated(q, b, label, count, blurs)
        assert density == pytest.approx(told[blur, sharpness])
        assert density >= max(told.values()) - 0.4  # a thousandth of a nat for each


@pytest.fixture
def few_are_many(monkeypatch):
    for name, value in (("SCREEN", 40), ("REFINE", 60), ("AVERAGED", 80), ("MARKS", 90)):
        monkeypatch.setattr(search, name, value)


def stripes(n, seed=0):
    x = np.random.default_rng(seed).uniform(-2, 2, size=(n, 2))
    return x, np.floor(x[:, 0] + 0.5 * np.sin(2 * x[:, 1])).astype(int)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("exact", [4000, 100])
def test_members_by_least_squares_predict_are_stored_and_exported(monkeypatch, tmp_path, exact):
    monkeypatch.setattr(search, "EXACT", exact)
    monkeypatch.setattr(search, "KERNELS", 100)
    monkeypatch.setattr(search, "GAIN", 1.0)
    model = AutoClassifier(random_state=0).fit(*stripes(300))
    kinds = [one for one in model.mixture_.members if isinstance(one, Labels)]
    assert len(kinds) == search.KEPT and all(len(one.marks) == (300 if exact > 300 else 100) for one in kinds)
    assert any(name.endswith("least squares") for name in model.weights_)
    new, label = stripes(400, 1)
    assert model.score(new, label) > 0.9
    model.save(tmp_path / "model.numdl")
    p = model.predict_proba(new)
    np.testing.assert_array_equal(numdl.load(tmp_path / "model.numdl").predict_proba(new), p)
    space = numpy_module.loaded(export(model, tmp_path / "m.py").read_bytes())
    np.testing.assert_allclose(space["predict_proba"](new[:50]), p[:50], atol=1e-9)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("better", [True, False])
def test_a_softmax_takes_the_place_of_least_squares_where_it_says_more_of_held_out_rows(monkeypatch, better):
    monkeypatch.setattr(search, "GAIN", -9.0 if better else 1.0)
    monkeypatch.setattr(search, "CERTAIN", -99.0)
    model = AutoClassifier(random_state=0).fit(*stripes(300))
    kernels = set(model.left_out_) - {"linear", "random forest", "extra trees"}
    assert len(kernels) == search.KEPT
    assert all(name.endswith("least squares") != better for name in kernels)


@pytest.fixture
def screened(few_are_many):
    """A kernel on 60 of 300 rows, the table and the order of its rows."""
    x, label = stripes(300)
    table = search.Classes(x, np.eye(label.max() - label.min() + 1)[label - label.min()], BOX)
    order = np.random.default_rng(0).permutation(300)
    rows = search.as_numbers(table)
    few, more = search.part(rows, order[: search.SCREEN]), search.part(rows, order[: search.REFINE])
    return search._candidate("rbf", table, few, more, order, np.random.default_rng(0), None), table, order, more


def test_kernels_are_judged_on_rows_that_know_nothing_of_them(screened):
    one, table, order, _ = screened
    assert set(one.member.marks) == set(order[: search.REFINE])
    held = order[search.REFINE :]
    said = one.member.log_p(logs_of_shares(table.c), table.x[held], table.x, table.box)
    assert one.loss == pytest.approx(-np.vdot(said, table.c[held]) / len(held), rel=1e-12)


def test_the_noise_is_that_under_which_left_out_rows_are_most_probable(screened):
    one, table, *_ = screened
    at, base, densities = one.member.marks, logs_of_shares(table.c), []
    x, c = table.x[at], table.c[at]
    row, label = np.nonzero(c)
    for noise in shares.NOISES:
        left = shares.regress("rbf", one.best.theta, x, c, base, np.arange(len(at)), table.box, noise).left
        densities.append(calibrated(left, np.exp(base), label, c[row, label], shares.LEVELS)[2])
    assert one.noise == shares.NOISES[np.argmax(densities)]
    assert max(densities) - min(densities) > 1


def test_of_the_rows_that_a_kernel_knows_left_out_shares_count(screened):
    one, table, _, more = screened
    found = search._on_some_rows(one, table, more)
    (member,), base = found.members, np.exp(logs_of_shares(table.c))
    known = np.isin(found.left.row, member.marks)
    expected = taken_for(one.left, base, member.blur, member.sharpness)
    np.testing.assert_allclose(found.left.log_p[known], expected, rtol=1e-12)
    said = member.log_p(np.log(base), table.x, table.x, table.box)
    np.testing.assert_allclose(found.left.log_p[~known], said[found.left.row[~known]], rtol=1e-9)
    assert np.abs(expected - said[found.left.row[known]]).max() > 1e-2


def test_a_softmax_has_to_say_more_of_held_out_rows(screened, monkeypatch):
    """By the gain and the certainty that are shipped: sharp lines ask for a softmax, unless least squares knew them."""
    one, table, order, _ = screened
    other = search._as_softmax(one, table, order, lambda: None)
    assert search._worth_a_softmax(other, table, order, lambda: None)
    truth = {tuple(row): count for row, count in zip(table.x, table.c, strict=True)}

    def known(self, base, x, rows, box):
        return np.log(0.99 * np.array([truth[tuple(row)] for row in x]) + 0.01 / len(base))

    monkeypatch.setattr(Labels, "log_p", known)
    assert not search._worth_a_softmax(other, table, order, lambda: None)


@pytest.mark.usefixtures("few_are_many")
def test_time_that_ends_while_kernels_are_tried_leaves_the_best_of_them(monkeypatch):
    x, label = stripes(300)
    inner, now = search._candidate, [0.0]
    monkeypatch.setattr(clocks.time, "monotonic", lambda: now[0])

    def candidate(name, *rest):
        found = inner(name, *rest)
        now[0] += 10.0
        return found

    monkeypatch.setattr(search, "_candidate", candidate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = AutoClassifier(time_budget=25, random_state=0).fit(x, label)
    assert model.status_.code == "time_budget"
    (name,) = set(model.left_out_) - {"linear"}
    assert name.endswith("least squares") and model.weights_[name] > 0.5
    (one,) = (one for one in model.mixture_.members if one.name == name)
    assert len(one.marks) == search.REFINE
    assert model.score(*stripes(400, 1)) > 0.8
    assert np.isfinite(model.leave_one_out_).all()
