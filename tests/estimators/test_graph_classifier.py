"""Few labels on many points: scikit-learn's checks, its LabelSpreading, new points, files, refusals."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelSpreading
from sklearn.utils.estimator_checks import parametrize_with_checks

import numdl
from numdl.estimators import GraphRegularizedClassifier


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [GraphRegularizedClassifier(), GraphRegularizedClassifier(3, normalized=False)],
    expected_failed_checks=lambda estimator: {"check_classifiers_classes": "-1 is no class here, it means no label"},
)
def test_scikit_learn(estimator, check):
    check(estimator)


def few_labels(y, count, seed):
    """The first ``count`` of each class in random order, -1 elsewhere."""
    order = np.random.default_rng(seed).permutation(len(y))
    kept = np.concatenate([order[y[order] == label][:count] for label in np.unique(y)])
    return np.where(np.isin(np.arange(len(y)), kept), y, -1)


def share_right(model, x, y, count, seed):
    labels = few_labels(y, count, seed)
    found = model.fit(x, labels).transduction_
    return np.mean(found[labels == -1] == y[labels == -1])


@pytest.mark.quick("moons")
@pytest.mark.parametrize("data", ["moons", "digits"])
def test_ten_labels_do_more_than_with_label_spreading(data):
    if data == "moons":
        (x, y), count = make_moons(500, noise=0.1, random_state=0), 5
    else:
        (x, y), count = load_digits(return_X_y=True), 1
    ours = [share_right(GraphRegularizedClassifier(), x, y, count, seed) for seed in range(5)]
    theirs = [share_right(LabelSpreading("knn"), x, y, count, seed) for seed in range(5)]
    assert np.median(ours) > np.median(theirs) + 0.05


def test_labels_given_are_kept_and_new_points_follow_their_neighbours():
    x, y = make_moons(400, noise=0.08, random_state=0)
    labels = few_labels(y, 10, 0)
    model = GraphRegularizedClassifier(alpha=1e-6).fit(x, labels)
    np.testing.assert_array_equal(model.transduction_[labels >= 0], labels[labels >= 0])
    new, right = make_moons(500, noise=0.08, random_state=1)
    assert model.score(new, right) > 0.97
    shares = model.predict_proba(new + 1e6)  # far away the nearest still count
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_shares_of_the_plain_laplacian_need_no_scaling():
    x, y = make_moons(200, noise=0.08, random_state=0)
    model = GraphRegularizedClassifier(normalized=False).fit(x, few_labels(y, 5, 0))
    assert np.all(model.label_distributions_ >= 0)
    np.testing.assert_allclose(model.label_distributions_.sum(axis=1), 1)


def test_a_part_without_label_is_said():
    x = np.concatenate([np.arange(8.0), 100 + np.arange(8.0)])[:, None]
    y = np.full(16, -1)
    y[[0, 1, 7]] = [0, 0, 1]
    with pytest.warns(ConvergenceWarning, match="8 of 16 points are in parts of the graph without a label"):
        model = GraphRegularizedClassifier(2).fit(x, y)
    np.testing.assert_allclose(model.label_distributions_[8:], [[2 / 3, 1 / 3]] * 8)


@pytest.mark.parametrize("text", [False, True])
def test_model_files_keep_the_predictions(tmp_path, text):
    x, y = make_moons(100, noise=0.1, random_state=0)
    model = GraphRegularizedClassifier().fit(x, np.array(["a", "b"])[y] if text else few_labels(y, 5, 0))
    model.save(tmp_path / "model.numdl")
    loaded = numdl.load(tmp_path / "model.numdl")
    np.testing.assert_array_equal(loaded.predict_proba(x + 0.1), model.predict_proba(x + 0.1))
    np.testing.assert_array_equal(loaded.transduction_, model.transduction_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_neighbors": 0}, r"n_neighbors=0\): needs a whole number >= 1"),
        ({"alpha": 0.0}, "needs a finite number > 0"),
        ({"weights": "rbf"}, "Use one of 'gaussian', 'connectivity'"),
        ({"method": "qr"}, "Use one of 'auto', 'direct', 'cg'"),
    ],
)
def test_what_cannot_be_used_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GraphRegularizedClassifier(**options).fit(*make_moons(20, random_state=0))


def test_no_label_at_all_is_refused():
    with pytest.raises(ValueError, match="n_samples = 9, 0 of them labelled"):
        GraphRegularizedClassifier().fit(np.arange(9.0)[:, None], np.full(9, -1))
