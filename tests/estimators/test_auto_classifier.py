"""Classes: scores, left-out rows, weights, calibration; edges, interruptions, files, scikit-learn."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from scikit_learn_checks import parametrize_with_quick_checks
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import numdl
from numdl import AutoClassifier
from numdl.estimators.classes import classifier, member, mixing, search, softmax
from numdl.estimators.kernels import clock as clocks
from numdl.estimators.kernels.evidence import Evidence, Rows
from numdl.report.calibration import certainty_groups


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks([AutoClassifier(time_budget=1e-9, random_state=0)])
def test_scikit_learn(estimator, check):
    check(estimator)  # the linear candidate goes the way of all


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks([AutoClassifier(random_state=0)])
def test_scikit_learn_with_all_candidates(estimator, check):
    check(estimator)


def problem(k, n=40, m=4, seed=0):
    """Features, counts of k classes."""
    rng = np.random.default_rng(seed)
    phi = np.asfortranarray(np.column_stack([rng.normal(size=(n, m - 1)), np.ones(n)]))
    scores = phi @ rng.normal(size=(m, k))
    labels = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    return phi, np.eye(k)[labels], labels


def rings(n, seed, k=3):
    """Classes by distance from the origin, a tenth of them at random."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 2))
    labels = np.minimum((k * np.linalg.norm(x, axis=1) / 1.1).astype(int), k - 1)
    return x, np.where(rng.uniform(size=n) < 0.1, rng.integers(0, k, n), labels)


# ------------------------------------------------------------------------------------------------------------- scores
@pytest.fixture
def exactly(monkeypatch):
    """Climbs that end at the minimum."""
    monkeypatch.setattr(softmax, "SMALL", 1e-12)


@pytest.mark.parametrize("k", [2, 3, 7])
def test_contrasts_are_orthonormal_and_orthogonal_to_1(k):
    Q = softmax.contrasts(k)
    np.testing.assert_allclose(Q.T @ Q, np.eye(k - 1), atol=1e-15)
    np.testing.assert_allclose(Q.sum(axis=0), 0, atol=1e-15)


@pytest.mark.usefixtures("exactly")
@pytest.mark.parametrize("k", [2, 4])
def test_the_climb_ends_at_the_minimum_that_another_method_finds(k):
    phi, c, _ = problem(k)
    Q, scale = softmax.contrasts(k), 3.0

    def objective(v):
        V = v.reshape(phi.shape[1], k - 1)
        p = log_softmax(phi @ V @ Q.T + softmax.shares(c), axis=1)
        slope = phi.T @ ((np.exp(p) - c) @ Q) + V / scale
        return -np.vdot(c, p) + 0.5 * np.vdot(V, V) / scale, slope.ravel()

    expected = minimize(objective, np.zeros(phi.shape[1] * (k - 1)), jac=True, tol=1e-12)
    fit = softmax.climb(phi, c, scale, np.zeros((phi.shape[1], k - 1)))
    assert fit.converged
    np.testing.assert_allclose(fit.V.ravel(), expected.x, atol=1e-4)
    assert objective(fit.V.ravel())[0] - expected.fun < 1e-6


def without_each(phi, c, fit, k):
    """Log probabilities of each row by a fit to all others."""
    Q, exact = softmax.contrasts(k), []
    for i in range(len(phi)):
        rest = np.delete(np.arange(len(phi)), i)
        one = softmax.climb(np.asfortranarray(phi[rest]), c[rest], 2.0, fit.V)
        exact.append(log_softmax(phi[i] @ one.V @ Q.T + softmax.shares(c[rest])))
    return np.array(exact)


@pytest.mark.usefixtures("exactly")
@pytest.mark.parametrize(("k", "close"), [(2, 0.1), (3, 0.35)])
def test_left_out_rows_are_those_of_fits_without_them(k, close):
    phi, c, labels = problem(k, n=60)
    fit = softmax.climb(phi, c, 2.0, np.zeros((phi.shape[1], k - 1)))
    left, exact = softmax.leave_out(phi, c, fit), without_each(phi, c, fit, k)
    moved = np.abs(exact - log_softmax(fit.f @ softmax.contrasts(k).T + softmax.shares(c), axis=1)).mean()
    assert np.abs(left.log_p - exact).mean() < close * moved
    np.testing.assert_array_equal(left.label, labels)


@pytest.mark.usefixtures("exactly")
def test_a_variance_that_counts_the_row_itself_would_be_seen(monkeypatch):
    phi, c, _ = problem(2, n=60)
    fit = softmax.climb(phi, c, 2.0, np.zeros((phi.shape[1], 1)))
    exact = without_each(phi, c, fit, 2)
    moved = np.abs(exact - log_softmax(fit.f @ softmax.contrasts(2).T + softmax.shares(c), axis=1)).mean()
    monkeypatch.setattr(softmax, "_curvature", lambda p: np.zeros(len(p)))  # v = h
    assert np.abs(softmax.leave_out(phi, c, fit).log_p - exact).mean() > 0.1 * moved


@pytest.mark.usefixtures("exactly")
def test_rows_of_whole_weight_leave_out_one_observation():
    phi, c, _ = problem(2, n=30)
    times = np.random.default_rng(0).integers(1, 4, 30)
    V = np.zeros((4, 1))
    one = softmax.leave_out(phi, c * times[:, None], softmax.climb(phi, c * times[:, None], 2.0, V))
    again = np.asfortranarray(np.repeat(phi, times, axis=0)), np.repeat(c, times, axis=0)
    many = softmax.leave_out(*again, softmax.climb(*again, 2.0, V))
    np.testing.assert_allclose(np.repeat(one.log_p, times, axis=0), many.log_p, atol=1e-6)
    assert abs(one.density - many.density) < 1e-5


def test_several_targets_of_one_process_have_the_sum_of_their_evidence():
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(12, 2)), rng.normal(size=(12, 2)), rng.integers(1, 4, 12).astype(float)
    box = np.array([[-3.0, -3], [3, 3]])
    models = [Evidence("rbf", Rows(x, t, w, s), box) for t, s in ((y[:, 0], 0.3), (y[:, 1], 0.4), (y, 0.7))]
    theta = models[0].centre + 0.3
    (a, da), (b, db), (both, d) = (model(theta) for model in models)
    off = (theta - models[0].centre) / models[0].spread
    prior = -0.5 * off @ off - np.log(models[0].spread).sum() - 0.5 * len(off) * np.log(2 * np.pi)
    np.testing.assert_allclose(both, a + b - prior, rtol=1e-12)
    np.testing.assert_allclose(d, da + db + off / models[0].spread, rtol=1e-9)


@pytest.mark.parametrize("name", ["rbf of one length", "matern52 of one length"])
def test_one_length_is_all_lengths_alike_and_has_their_slope(name):
    rng, box = np.random.default_rng(0), np.array([[-3.0] * 3, [3.0] * 3])
    rows = Rows(rng.normal(size=(15, 3)), rng.normal(size=15), np.ones(15), 0.0)
    tied, free = Evidence(name, rows, box), Evidence(name.split()[0], rows, box)
    theta = tied.centre + 0.2
    np.testing.assert_allclose(tied.covariance(theta), free.covariance(np.r_[theta, theta[-1:], theta[-1:]]))
    for j, unit in enumerate(np.eye(4)):
        numeric = (tied(theta + 1e-5 * unit)[0] - tied(theta - 1e-5 * unit)[0]) / 2e-5
        np.testing.assert_allclose(tied(theta)[1][j], numeric, rtol=1e-6, atol=1e-6)


def test_labels_as_numbers_have_mean_0_and_mean_square_1():
    rng = np.random.default_rng(0)
    c = rng.integers(0, 3, size=(9, 3)).astype(float) + np.eye(3)[rng.integers(0, 3, 9)]
    rows = search.as_numbers(search.Classes(rng.normal(size=(9, 2)), c, np.zeros((2, 2))))
    np.testing.assert_allclose(rows.w @ rows.y, 0, atol=1e-12)
    np.testing.assert_allclose(rows.w @ (rows.y**2).sum(axis=1) + rows.spread, 2 * c.sum())


@pytest.mark.parametrize("name", ["linear", "rbf", "arcsine", "matern52 of one length"])
def test_coefficients_of_rows_say_what_weights_of_features_say(name):
    rng = np.random.default_rng(0)
    x, box = rng.normal(size=(20, 2)), np.array([[-3.0, -3], [3, 3]])
    theta = Evidence(name, Rows(x, np.zeros(20), np.ones(20), 0.0), box).centre
    for marks in (np.arange(20), np.arange(0, 20, 2)):
        phi, upper = member.features(name, theta, x, marks, box)
        V = rng.normal(size=(phi.shape[1], 2))
        one = member.scores_of(name, theta, marks, upper, V)
        mixture = member.ClassMixture([one], x, box, np.log([0.2, 0.3, 0.5]), 1.0)
        expected = log_softmax(phi @ V @ softmax.contrasts(3).T + mixture.base, axis=1)
        np.testing.assert_allclose(member.log_probabilities(mixture, x), expected, atol=2e-3)  # the jitter


# ------------------------------------------------------------------------------------------------------------- mixing
def test_weights_favour_who_is_right_and_join_who_are_right_in_turn():
    good, bad = np.log(np.full(50, 0.9)), np.log(np.full(50, 0.3))
    assert mixing.stack(np.array([good, bad]), np.ones(50))[0] > 0.85  # all observations, and five for each
    turn = np.where(np.arange(50) % 2, good, bad)
    np.testing.assert_allclose(mixing.stack(np.array([turn, turn[::-1]]), np.ones(50)), [0.5, 0.5], atol=1e-6)


def test_the_temperature_undoes_what_was_exaggerated():
    rng = np.random.default_rng(0)
    truth = log_softmax(2 * rng.normal(size=(3000, 3)), axis=1)
    label = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    loud = log_softmax(2 * truth, axis=1)
    assert abs(mixing.temperature(loud, label, np.ones(3000)) - 2) < 0.15
    assert certainty_groups(np.exp(loud), label).error > 0.05
    assert certainty_groups(np.exp(truth), label).error < 0.03


def test_draws_count_the_less_the_more_they_knew():
    draws = np.log(np.array([[[0.5, 0.5]], [[0.9, 0.1]]]))
    found = np.exp(mixing.without_each(draws, np.array([0])))
    np.testing.assert_allclose(found.sum(), 1)
    np.testing.assert_allclose(found[0, 0], 2 / (1 / 0.5 + 1 / 0.9))


# ---------------------------------------------------------------------------------------------------------- estimator
@pytest.fixture(scope="module")
def fitted():
    x, labels = rings(150, 0)
    return AutoClassifier(random_state=0).fit(x, np.array(["in", "middle", "out"])[labels])


def test_what_is_curved_gets_a_curved_model_that_keeps_its_word(fitted):
    x, labels = rings(2000, 1)
    y = np.array(["in", "middle", "out"])[labels]
    log_p = fitted.predict_log_proba(x)
    assert fitted.score(x, y) > 0.82  # 0.93 is possible
    assert min(fitted.weights_, key=fitted.weights_.get) == "linear" and fitted.weights_["linear"] < 0.2
    assert abs(sum(fitted.weights_.values()) - 1) < 1e-12
    assert certainty_groups(np.exp(log_p), labels).error < 0.08
    loss = -log_p[np.arange(2000), labels].mean()
    assert abs(loss - fitted.log_loss_) < 0.15 and -max(fitted.left_out_.values()) >= fitted.log_loss_ - 0.02
    np.testing.assert_allclose(np.exp(log_p), fitted.predict_proba(x))
    np.testing.assert_array_equal(fitted.predict(x), fitted.classes_[fitted.decision_function(x).argmax(axis=1)])
    assert fitted.leave_one_out_.shape == (150, 3) and fitted.status_.code == "converged"


def test_what_is_linear_is_no_worse_than_logistic_regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(560, 6))
    y = x @ [1.0, -1, 0.5, 0, 0, 0] + rng.logistic(size=560) > 0
    model = AutoClassifier(random_state=0).fit(x[:60], y[:60])
    other = LogisticRegression(C=1.0).fit(x[:60], y[:60])
    losses = [-np.mean(m.predict_log_proba(x[60:])[np.arange(500), y[60:].astype(int)]) for m in (model, other)]
    assert losses[0] < losses[1] + 0.1  # with 60 rows curved ones are as probable
    assert model.decision_function(x).ndim == 1 and model.predict(x).dtype == bool


def test_files_hold_it(fitted, tmp_path):
    fitted.save(tmp_path / "model.numdl")
    again, x = numdl.load(tmp_path / "model.numdl"), rings(50, 3)[0]
    np.testing.assert_array_equal(again.predict_log_proba(x), fitted.predict_log_proba(x))
    assert again.weights_ == fitted.weights_ and again.status_ == fitted.status_
    summary = fitted.summary()
    assert f"Members, weights: {fitted._names()}." in summary.status.message
    assert "Members" not in summary.facts and "nats" in summary.facts["Left-out log loss"]


def test_a_seed_repeats_it(fitted):
    x, labels = rings(150, 0)
    again = clone(fitted).fit(x, np.array(["in", "middle", "out"])[labels])
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


def test_weights_are_relative_and_no_weight_is_no_row():
    x, y = rings(60, 0, k=2)
    w = np.random.default_rng(0).integers(0, 3, 60)
    one = AutoClassifier(random_state=0).fit(x, y, w)
    other = AutoClassifier(random_state=0).fit(x, y, 1024.0 * w)
    np.testing.assert_allclose(one.predict_proba(x), other.predict_proba(x), atol=1e-9)
    once = AutoClassifier(random_state=0).fit(x, y, np.minimum(w, 1))
    np.testing.assert_allclose(
        once.predict_proba(x), AutoClassifier(random_state=0).fit(x[w > 0], y[w > 0]).predict_proba(x), atol=1e-9
    )
    double = AutoClassifier(random_state=0, class_weight={0: 2, 1: 1}).fit(x, y)
    np.testing.assert_allclose(
        double.predict_proba(x), AutoClassifier(random_state=0).fit(x, y, 2 - y).predict_proba(x), atol=1e-12
    )


def test_more_rows_than_marks_or_than_are_averaged(monkeypatch):
    for name, value in (("SCREEN", 30), ("REFINE", 60), ("AVERAGED", 60), ("MARKS", 70)):
        monkeypatch.setattr(search, name, value)
    monkeypatch.setattr(classifier, "LARGEST", 110)
    x, y = rings(120, 0)
    with pytest.warns(ConvergenceWarning, match="110 of them"):
        model = AutoClassifier(random_state=0).fit(x, y)
    assert model.score(*rings(500, 1)) > 0.7 and np.isfinite(model.leave_one_out_).all()
    assert all(len(one.marks) in (0, 70, 110) for one in model.mixture_.members)


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("labels", [["a", "b"], [True, False], [3, 1]])
def test_few_rows(n, labels):
    x = np.random.default_rng(0).normal(size=(n, 3))
    x[:, 1] = 7.0
    y = np.resize(labels, n)
    p = AutoClassifier(random_state=0).fit(x, y).predict_proba(x)
    assert np.isfinite(p).all() and p.shape == (n, 2)


def test_rows_alike_and_columns_that_are_all_constant_leave_the_shares_of_the_classes():
    y = np.repeat([0, 1, 2], [10, 20, 30])
    model = AutoClassifier(random_state=0).fit(np.ones((60, 2)), y)
    np.testing.assert_allclose(model.predict_proba(np.ones((1, 2)))[0], [1 / 6, 1 / 3, 1 / 2], atol=0.03)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"time_budget": 0}, r"AutoClassifier\(time_budget=0\): needs a finite number > 0"),
        ({"random_state": -1}, r"AutoClassifier\(random_state=-1\): needs a seed >= 0"),
        ({"class_weight": "even"}, r"AutoClassifier\(class_weight\).*Give 'balanced'"),
    ],
)
def test_parameters_that_cannot_be_used(parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoClassifier(**parameters).fit(*rings(20, 0))


def interrupt_at(monkeypatch, name, call):
    """Ctrl-C in this call of a function of the search, counted from 1."""
    inner, calls = getattr(search, name), []

    def interrupted(*args, **kwargs):
        calls.append(name)
        if len(calls) == call:
            raise KeyboardInterrupt
        return inner(*args, **kwargs)

    monkeypatch.setattr(search, name, interrupted)


@pytest.mark.parametrize(("name", "call", "left"), [("optimise", 1, 1), ("optimise", 3, 2), ("leave_out", 1, 1)])
def test_an_interruption_keeps_what_was_found(monkeypatch, name, call, left):
    x, y = rings(60, 0)
    interrupt_at(monkeypatch, name, call)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = AutoClassifier(random_state=0).fit(x, y)
    assert model.status_.code == "interrupted" and len(model.left_out_) == left
    assert np.isfinite(model.predict_proba(x)).all()


def test_a_budget_that_is_over_leaves_the_linear_candidate(monkeypatch):
    clock = iter(np.arange(0.0, 1e6, 10.0))
    monkeypatch.setattr(clocks.time, "monotonic", lambda: float(next(clock)))
    with pytest.warns(ConvergenceWarning, match="The time was over before the kernel matern52 of one length was tried"):
        model = AutoClassifier(time_budget=5, random_state=0).fit(*rings(40, 0))
    assert set(model.weights_) == {"linear"} and model.status_.code == "time_budget"


def test_nothing_is_compiled():
    code = (
        "import sys, numpy as np; from numdl import AutoClassifier\n"
        "x = np.linspace(0, 1, 10)[:, None]; AutoClassifier(random_state=0).fit(x, x[:, 0] > 0.5).predict_proba(x)\n"
        "assert 'jax' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
