"""Forests: grown by scikit-learn, evaluated without it, judged by rows that they have not seen."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn import ensemble
from sklearn.exceptions import ConvergenceWarning

import numdl
from numdl import AutoClassifier
from numdl.estimators.classes import classifier, worth
from numdl.estimators.classes.search import Classes
from numdl.estimators.classes.trees import calibrated, taken_for
from numdl.estimators.common.plain import formula_of, read_plain
from numdl.estimators.kernels import clock as clocks
from numdl.estimators.trees import grow as growing
from numdl.estimators.trees.boost import as_forest, boost
from numdl.estimators.trees.forest import Forest, joined
from numdl.estimators.trees.grow import Kind, grow, together

KINDS = [Kind("random forest", False, "sqrt", 3), Kind("extra trees", True, 0.5, 1)]


def rows(n, seed=0, d=4):
    """Inputs that float32 holds, classes by a step and by chance, a target."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32).astype(float)
    label = (x[:, 0] > 0.3).astype(int) + (x[:, 1] > 0) * (x[:, 0] < -0.4)
    return x, np.where(rng.uniform(size=n) < 0.1, rng.integers(0, 3, n), label), np.sin(x[:, 0]) + label


def theirs(kind, k, trees, seed):
    """The same forest of scikit-learn."""
    name = ("ExtraTrees" if kind.random else "RandomForest") + ("Classifier" if k > 1 else "Regressor")
    return getattr(ensemble, name)(
        trees,
        max_features=kind.asked,
        min_samples_leaf=kind.least,
        bootstrap=True,
        oob_score=True,
        random_state=seed,
    )


# -------------------------------------------------------------------------------------------------------------- forest
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("k", [3, 1])
def test_arrays_say_what_scikit_learn_says_of_new_rows_and_of_unseen_ones(kind, k):
    (x, label, y), new = rows(60), rows(300, 1)[0]
    c, w = label if k > 1 else y, np.random.default_rng(2).uniform(0.5, 2, 60)
    grown = grow(kind, x, c, w, k, 40, 7)
    model = theirs(kind, k, 40, 7).fit(x, c, w)
    said = model.predict_proba(new) if k > 1 else model.predict(new)[:, None]
    np.testing.assert_allclose(grown.forest.mean(new), said, rtol=1e-12, atol=1e-12)
    unseen = model.oob_decision_function_ if k > 1 else model.oob_prediction_[:, None]
    np.testing.assert_allclose(grown.left_out(np.zeros(k)), unseen, rtol=1e-12, atol=1e-12)


def test_counting_the_trees_that_have_seen_a_row_would_be_noticed(monkeypatch):
    x, label, _ = rows(60)
    model = theirs(KINDS[1], 3, 40, 7).fit(x, label)
    monkeypatch.setattr(growing.np, "ones", lambda shape, kind: _stubborn(shape))
    grown = grow(KINDS[1], x, label, np.ones_like(x[:, 0]), 3, 40, 7)
    assert np.abs(grown.left_out(np.zeros(3)) - model.oob_decision_function_).max() > 0.1


def _stubborn(shape):
    """True, whatever is assigned: every tree counts as one that has not seen any row."""

    class Stubborn(np.ndarray):
        def __setitem__(self, key, value):
            pass

    return np.full(shape, True).view(Stubborn)


def test_forests_are_joined_and_rows_that_all_trees_have_seen_get_something_else():
    x, label, _ = rows(8)
    one, other = (grow(KINDS[1], x, label, np.ones(8), 3, trees, 1 + trees) for trees in (2, 3))
    both = together(one, other)
    mean = (2 * one.forest.mean(x) + 3 * other.forest.mean(x)) / 5
    np.testing.assert_allclose(both.forest.mean(x), mean, atol=1e-14)
    np.testing.assert_allclose(both.total, one.total + other.total)
    assert (one.times == 0).any()
    np.testing.assert_array_equal(one.left_out(np.array([0.2, 0.3, 0.5]))[one.times == 0][0], [0.2, 0.3, 0.5])


def test_classes_that_are_not_there_have_no_share():
    x, label, _ = rows(40)
    grown = grow(KINDS[0], x, 2 * (label > 0), np.ones(40), 4, 10, 0)
    np.testing.assert_array_equal(grown.forest.mean(x)[:, [1, 3]], 0)
    np.testing.assert_allclose(grown.forest.mean(x).sum(axis=1), 1)


def test_a_tree_that_goes_in_a_circle_is_refused():
    round_ = Forest(np.zeros(2, int), np.zeros(2), np.array([1, 0]), np.array([1, 0]), np.array([0]), np.ones((2, 1)))
    with pytest.raises(ValueError, match="circle"):
        joined([round_]).mean(np.zeros((1, 1)))


# ------------------------------------------------------------------------------------------------------------- classes
def test_what_was_blurred_is_sharpened():
    rng = np.random.default_rng(0)
    truth = log_softmax(2 * rng.normal(size=(4000, 3)), axis=1)
    label = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    shares, q = np.full(3, 1 / 3), np.exp(log_softmax(0.5 * truth, axis=1))
    blur, sharpness, _ = calibrated(q, shares, label, np.ones(4000))
    assert blur <= 0.01 and sharpness == 2.0
    np.testing.assert_allclose(taken_for(q, shares, 0.0, 2.0), truth, atol=1e-12)
    assert calibrated(np.exp(truth), shares, label, np.ones(4000))[1] in (0.9, 1.0, 1.15)


def steps(n, seed):
    """Classes by thresholds along three of eight columns, one label in 20 at random."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(n, 8))
    y = np.where(x[:, 0] > 0.55, x[:, 1] > 0.7, x[:, 2] > 0.3)
    return x, np.where(rng.uniform(size=n) < 0.05, 1 - y, y)


@pytest.fixture(scope="module")
def fitted():
    x, y = steps(200, 0)
    return AutoClassifier(random_state=0).fit(x, np.array(["a", "b"])[y.astype(int)])


def test_steps_get_trees_and_are_told_the_better_for_it(fitted, monkeypatch):
    x, y = steps(2000, 1)
    y = np.array(["a", "b"])[y.astype(int)]
    assert fitted.tree_gain_ > 0.02 and sum(fitted.weights_.get(name, 0.0) for name in classifier.TREES) > 0.3
    monkeypatch.setattr(classifier, "trees", lambda *args: ([], 0.0))
    smooth = AutoClassifier(random_state=0).fit(*_named(steps(200, 0)))
    losses = [-np.mean(m.predict_log_proba(x)[np.arange(2000), (y == "b").astype(int)]) for m in (fitted, smooth)]
    assert losses[0] < losses[1] - 0.02 and fitted.score(x, y) > smooth.score(x, y)
    np.testing.assert_allclose(1 - fitted.log_loss_ / smooth.log_loss_, fitted.tree_gain_, atol=1e-9)


def _named(pair):
    return pair[0], np.array(["a", "b"])[pair[1].astype(int)]


def test_what_is_smooth_gets_none_and_they_are_told_all_the_same():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = x @ [2.0, -1, 0.5] + rng.logistic(size=120) > 0
    model = AutoClassifier(random_state=0).fit(x, y)
    assert model.tree_gain_ < worth.MARGIN and not {"extra trees", "random forest"} & set(model.weights_)
    assert {"extra trees", "random forest"} <= set(model.left_out_) and "extra trees" not in model.evidence_
    assert "left out" in model.summary().facts["Trees"]


def test_files_and_formulas_say_the_same_without_scikit_learn(fitted, tmp_path):
    fitted.save(tmp_path / "m.numdl")
    x = steps(50, 3)[0]
    again = numdl.load(tmp_path / "m.numdl")
    np.testing.assert_array_equal(again.predict_log_proba(x), fitted.predict_log_proba(x))
    np.testing.assert_allclose(
        formula_of(read_plain(tmp_path / "m.numdl")[0], std=False).predict_proba(x), fitted.predict_proba(x), atol=1e-13
    )
    code = (
        "import sys, numpy as np; from numdl.estimators.common.plain import formula_of, read_plain\n"
        f"f = formula_of(read_plain({str(tmp_path / 'm.numdl')!r})[0], std=False)\n"
        "assert np.isfinite(f.predict_proba(np.full((2, 8), 0.5))).all()\n"
        "assert not {'sklearn', 'jax'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_seed_repeats_it(fitted):
    again = AutoClassifier(random_state=0).fit(*_named(steps(200, 0)))
    x = steps(50, 3)[0]
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


@pytest.fixture
def few(monkeypatch):
    """Few trees, and kernels that cost nothing: the linear candidate alone."""
    for name, value in (("FEW", 4), ("ALL", 8), ("FEWEST", 1), ("MARGIN", -np.inf)):
        monkeypatch.setattr(worth, name, value)
    monkeypatch.setattr(classifier, "MARGIN", -np.inf)
    monkeypatch.setattr(worth, "gain", lambda found, further: 1.0)
    monkeypatch.setattr("numdl.estimators.classes.search.TRIED", ("linear",))


@pytest.mark.usefixtures("few")
def test_weights_are_relative_and_no_weight_is_no_row():
    x, y, _ = rows(40)
    w = np.random.default_rng(0).integers(0, 3, 40)
    new = rows(20, 1)[0]
    one, other = (AutoClassifier(random_state=0).fit(x, y, f * w).predict_proba(new) for f in (1.0, 1024.0))
    np.testing.assert_allclose(one, other, atol=1e-9)
    heavier = AutoClassifier(random_state=0, class_weight={0: 4, 1: 1, 2: 1}).fit(x, y).predict_proba(new)
    assert heavier[:, 0].mean() > 1.2 * AutoClassifier(random_state=0).fit(x, y).predict_proba(new)[:, 0].mean()


@pytest.mark.usefixtures("few")
def test_repeated_rows_are_observations_of_their_own():
    x = np.repeat([[0.0], [1.0]], 300, axis=0)
    y = np.r_[np.arange(300) % 3 == 0, np.arange(300) % 4 > 0].astype(int)
    model = AutoClassifier(random_state=0).fit(x, y)
    said = {name: np.exp(value) for name, value in model.left_out_.items()}
    best = np.exp(-np.mean([0.6365, 0.5623]))  # entropies of 1/3 and 3/4
    assert abs(said["random forest"] - best) < 0.02 and abs(said["extra trees"] - best) < 0.02


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("n", [2, 5])
def test_few_rows_and_a_constant_column(n):
    x = np.random.default_rng(0).normal(size=(n, 3))
    x[:, 1] = 7.0
    p = AutoClassifier(random_state=0).fit(x, np.arange(n) % 2).predict_proba(x)
    assert np.isfinite(p).all()


@pytest.mark.usefixtures("few")
def test_trees_that_fail_are_left_out_with_a_note(monkeypatch):
    monkeypatch.setattr(worth, "grow", lambda *args: (_ for _ in ()).throw(ValueError("too large for float32")))
    with pytest.warns(ConvergenceWarning, match="Trees are left out: too large for float32"):
        model = AutoClassifier(random_state=0).fit(*rows(60)[:2])
    assert set(model.weights_) == {"linear"} and model.tree_gain_ == 0


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("call", "left"), [(1, set()), (3, {"random forest", "extra trees"})])
def test_an_interruption_keeps_what_was_found(monkeypatch, call, left):
    inner, calls = worth.grow, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return inner(*args)

    monkeypatch.setattr(worth, "grow", interrupted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = AutoClassifier(random_state=0).fit(*rows(60)[:2])
    assert model.status_.code == "interrupted" and set(model.weights_) == {"linear"} | left


def test_a_budget_that_is_over_grows_none(monkeypatch):
    clock = iter(np.arange(0.0, 1e6, 10.0))
    monkeypatch.setattr(clocks.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr("numdl.estimators.classes.search.TRIED", ("linear",))
    with pytest.warns(ConvergenceWarning, match="The time was over before trees were grown"):
        model = AutoClassifier(time_budget=5, random_state=0).fit(*rows(60)[:2])
    assert set(model.left_out_) == {"linear"} and model.status_.code == "time_budget"


# ------------------------------------------------------------------------------------------------------------- boosted
@pytest.mark.parametrize("k", [2, 3])
def test_boosted_arrays_say_what_scikit_learn_says(k):
    (x, label, _), new = rows(200), rows(300, 1)[0]
    label = np.minimum(label, k - 1)
    model = boost(x, label, np.random.default_rng(2).uniform(0.5, 2, 200), 20, 3, classes=k)
    said = softmax(as_forest(model).mean(new), axis=1)
    np.testing.assert_allclose(said, model.predict_proba(new), rtol=1e-9, atol=1e-12)


def spread_out(n, seed=0):
    """Two classes by the number of inputs, of ten, that are above a level of their own, with some mistakes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 10))
    label = ((x > np.linspace(-0.5, 0.5, 10)).sum(axis=1) > 4.5).astype(int)
    return x, np.where(rng.uniform(size=n) < 0.05, 1 - label, label), label


def test_boosted_trees_join_where_they_add_to_what_forests_gain():
    x, seen, _ = spread_out(400)
    model = AutoClassifier(random_state=0).fit(x, seen)
    assert model.weights_["boosted trees"] > 0.1
    new, _, label = spread_out(2000, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worth, "CLASSES", 1)
        without = AutoClassifier(random_state=0).fit(x, seen)
    assert "boosted trees" not in without.left_out_
    assert without.tree_gain_ < model.tree_gain_
    told, other = (-one.predict_log_proba(new)[np.arange(2000), label].mean() for one in (model, without))
    assert told < other


def test_an_observation_is_left_out_by_boosted_trees_that_have_not_seen_it(monkeypatch):
    monkeypatch.setattr(worth, "TREES", 40)
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(300, 3)), rng.integers(0, 2, 300)  # nothing is to be learnt
    (one,) = worth._boosted(Classes(x, np.eye(2)[label], np.empty((2, 3))), rng, clocks.Clock(None))
    assert one.left.density / 300 > -0.72 and one.left.density / 300 < -0.66  # ignorance has -0.69
    right = one.left.log_p[np.arange(300), one.left.label] > np.log(0.5)
    assert right.mean() < 0.6
