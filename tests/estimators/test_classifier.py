"""What a classifier learns: labels of any kind, probabilities, and what zero weights leave of a class."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss
from small_models import N, classifier, labels, table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = labels()


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(X, Y)


def test_string_labels(fitted):
    assert list(fitted.classes_) == ["high", "low", "mid"]
    assert set(fitted.predict(X)) <= set(Y) and fitted.score(X, Y) > 0.8
    best = np.argmax(fitted.history_["log_evidence"])
    np.testing.assert_allclose(1 - fitted.score(X, Y), fitted.history_["train_error"][best], atol=1e-12)


def test_probabilities(fitted):
    p = fitted.predict_proba(X)
    assert p.shape == (N, 3) and np.all(p >= 0)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    np.testing.assert_array_equal(fitted.classes_[np.argmax(p, axis=1)], fitted.predict(X))
    assert log_loss(Y, p) < 0.7 * np.log(3)


@pytest.mark.quick("two0")
@pytest.mark.parametrize("two", [[False, True], [-1, 1], ["a", "b"], [0.0, 2.0]])
def test_two_classes_of_any_kind(two):
    y = np.asarray(two)[(Y == "high").astype(int)]
    model = classifier().fit(X, y)
    assert model.classes_.dtype == y.dtype and model.predict(X).dtype == y.dtype
    assert model.predict_proba(X).shape == (N, 2) and model.score(X, y) > 0.8


def test_two_classes_do_not_depend_on_their_order():
    y = (Y == "high").astype(int)
    p, q = (classifier().fit(X, target).predict_proba(X)[:, 1] for target in (y, 1 - y))
    np.testing.assert_allclose(p, 1 - q, atol=1e-5)


def test_same_seed_same_model(fitted):
    np.testing.assert_array_equal(clone(fitted).fit(X, Y).predict_proba(X), fitted.predict_proba(X))


@pytest.mark.thorough
def test_weights_are_repetitions():
    w = np.r_[np.full(10, 2), np.ones(20), np.zeros(10)]
    weighted = classifier().fit(X, Y, w)
    repeated = classifier().fit(np.repeat(X, w.astype(int), axis=0), np.repeat(Y, w.astype(int)))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-4)


def test_a_class_of_no_weight_stays_a_class_of_little_probability():
    w = (Y != "mid").astype(float)
    model = classifier().fit(X, Y, w)
    assert list(model.classes_) == ["high", "low", "mid"]
    p = model.predict_proba(X)
    assert np.all(np.isfinite(p)) and p[:, 2].max() < 0.2
    with pytest.raises(ValueError, match="all rows of positive weight belong to one class"):
        classifier().fit(X, Y, (Y == "mid").astype(float))


def test_separable_classes_stay_finite():
    x, y = table()
    far = np.where(y > 3, 1, 0)
    model = classifier().fit(x + 20.0 * far[:, None], far)
    assert model.score(x + 20.0 * far[:, None], far) == 1.0
    assert np.all(np.isfinite(model.predict_proba(100 * x)))


@pytest.mark.quick("matrix-free")
@pytest.mark.parametrize("solver", ["dense", "matrix-free"])
def test_both_solvers(solver):
    model = classifier(solver=solver).fit(X, Y)
    assert solver in model.solver_ and model.score(X, Y) > 0.8


@pytest.mark.thorough
def test_single_precision():
    model = classifier(dtype="float32").fit(X, Y)
    assert model.score(X, Y) > 0.8 and np.all(np.isfinite(model.predict_proba(X)))


def test_validation_labels(fitted):
    watched = classifier().fit(X, Y, X_val=X[:9], y_val=Y[:9])
    assert np.all(watched.history_["validation_error"] <= 1.0)
    np.testing.assert_array_equal(watched.predict_proba(X), fitted.predict_proba(X))
    with pytest.raises(ValueError, match="y_val holds 'other', which is no class of y"):
        classifier().fit(X, Y, X_val=X[:2], y_val=["low", "other"])


def test_summary(fitted):
    summary = fitted.summary(X, Y)
    assert summary.task == "classification" and list(summary.class_names) == ["high", "low", "mid"]
    assert summary.scores[0]["test"] == pytest.approx(100 * (1 - fitted.score(X, Y)))
    assert summary.scores[1]["test"] == pytest.approx(100 * (1 - max(np.mean(c == Y) for c in fitted.classes_)))
    with pytest.raises(ValueError, match="'other', which is no class"):
        fitted.summary(X[:1], ["other"])
