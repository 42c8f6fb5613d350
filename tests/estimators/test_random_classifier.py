"""Softmax on random features: scikit-learn's checks, agreement with the parts it is made of, files, refusals."""

import numpy as np
import pytest
from scikit_learn_checks import parametrize_with_quick_checks
from sklearn.datasets import load_digits, make_moons
from sklearn.utils.estimator_checks import parametrize_with_checks

import numdl
from numdl import SoftmaxClassifier
from numdl.estimators import RandomFeaturesClassifier


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks(
    [RandomFeaturesClassifier(width=20, alpha=1e-3, scale=1.0)],
    also=("check_classifiers_train",),
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([RandomFeaturesClassifier(width=15, activation="tanh", alpha=1e-2, random_state=0)])
def test_scikit_learn_of_another_activation(estimator, check):
    check(estimator)


def moons(n=200, seed=0):
    return make_moons(n, noise=0.15, random_state=seed)


@pytest.mark.quick("sine")
@pytest.mark.parametrize("activation", ["sine", "tanh", "relu"])
def test_moons_are_separated(activation):
    model = RandomFeaturesClassifier(100, activation, random_state=0).fit(*moons())
    assert model.score(*moons(1000, seed=1)) > 0.97
    linear = SoftmaxClassifier().fit(*moons())
    assert linear.score(*moons(1000, seed=1)) < 0.92  # mutant: no features


@pytest.mark.quick("decision_function", "predict_proba")
@pytest.mark.parametrize("method", ["decision_function", "predict", "predict_proba", "predict_log_proba"])
def test_it_is_softmax_on_its_features(method):
    digits = load_digits()
    x, y = digits.data[:300], digits.target[:300]
    weights = np.linspace(0, 2, 300)
    model = RandomFeaturesClassifier(40, alpha=1e-3, random_state=0).fit(x, y, sample_weight=weights)
    plain = SoftmaxClassifier(1e-3, standardize=False).fit(model.features_(x), y, sample_weight=weights)
    np.testing.assert_allclose(getattr(model, method)(x), getattr(plain, method)(model.features_(x)), atol=1e-6)


def test_alpha_is_chosen_and_text_labels_are_kept():
    x, codes = moons()
    labels = np.array(["left", "right"])[codes]
    model = RandomFeaturesClassifier(30, scale=2.0, random_state=0).fit(x, labels)
    assert 0 < model.softmax_.alpha_ < 1
    assert model.score(x, labels) > 0.95
    assert model.predict_proba(x).shape == (200, 2)


@pytest.mark.quick("float32")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_model_files_keep_the_predictions(tmp_path, dtype):
    x, y = moons()
    model = RandomFeaturesClassifier(20, alpha=1e-3, tol=1e-4, dtype=dtype, random_state=0).fit(x, y)
    model.save(tmp_path / "model.numdl")
    loaded = numdl.load(tmp_path / "model.numdl")
    np.testing.assert_array_equal(loaded.predict_proba(x), model.predict_proba(x))
    assert loaded.scale_ == model.scale_


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 2.5}, r"RandomFeaturesClassifier\(width=2.5\): needs a whole number >= 1"),
        ({"activation": "cos"}, "Use one of 'sine', 'tanh', 'relu'"),
        ({"alpha": -1.0}, r"alpha=-1.0\): needs a finite number >= 0"),
        ({"solver": "adam"}, r"RandomFeaturesClassifier\(solver='adam'\)"),
        ({"scale": -1.0}, "needs a finite number > 0"),
    ],
)
def test_what_cannot_be_used_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RandomFeaturesClassifier(**options).fit(*moons())


def test_bad_data_are_refused_by_name():
    x, y = moons()
    with pytest.raises(ValueError, match="one class only"):
        RandomFeaturesClassifier().fit(x, np.zeros(200))
    with pytest.raises(ValueError, match=r"RandomFeaturesClassifier\.fit: all rows of positive weight"):
        RandomFeaturesClassifier().fit(x, y, sample_weight=(y == 0).astype(float))
    x[3, 1] = np.inf
    with pytest.raises(ValueError, match="infinity at column 1, row 4"):
        RandomFeaturesClassifier().fit(x, y)
