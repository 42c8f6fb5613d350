"""Copies of rows: do fits that leave rows out to choose a penalty take a row's twin for new evidence?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

from numdl import (
    AutoClassifier,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
    SingleLayerRegressor,
    TikhonovRegressor,
)
from numdl.data.table.copies import first_copies
from numdl.estimators.common.weights import copies_once

COPIED = np.r_[np.arange(200), np.arange(50)]
TWICE = np.where(np.arange(200) < 50, 2.0, 1.0)


def noisy():
    """Rows, targets with noise 0.1, other rows and what the targets there would be without and with noise."""
    rng = np.random.default_rng(0)
    X, new = rng.uniform(0, 1, (200, 2)), rng.uniform(0, 1, (1000, 2))
    f, g = (np.sin(5 * x[:, 0]) + x[:, 1] for x in (X, new))
    return X, f + 0.1 * rng.standard_normal(200), new, g, g + 0.1 * rng.standard_normal(1000)


@pytest.mark.parametrize(
    "model", [RandomFeaturesRegressor(random_state=0), SingleLayerRegressor(random_state=0, n_restarts=1)]
)
def test_a_copy_is_no_observation(model):
    """Random features erred by 0.18 instead of 0.027 with a quarter of the rows twice."""
    X, y, new, f, seen = noisy()
    mean, std = clone(model).fit(X[COPIED], y[COPIED]).predict(new, return_std=True)
    assert np.sqrt(np.mean((mean - f) ** 2)) < 0.035
    assert 0.86 < np.mean(np.abs(seen - mean) < 1.645 * std) < 0.95


@pytest.mark.parametrize("alpha", ["gcv", "loo", "upre", "l-curve"])
def test_copies_are_a_row_of_their_summed_weight(alpha):
    """In the choice of alpha and in standard errors."""
    X, y = noisy()[:2]
    X = np.column_stack([X, X**2, X**3])
    model = TikhonovRegressor(alpha=alpha, noise=0.1) if alpha == "upre" else TikhonovRegressor(alpha=alpha)
    found, wanted = clone(model).fit(X[COPIED], y[COPIED]), clone(model).fit(X, y, sample_weight=TWICE)
    np.testing.assert_allclose(found.alpha_, wanted.alpha_, rtol=1e-9)
    np.testing.assert_allclose(found.coef_, wanted.coef_, rtol=1e-9)
    np.testing.assert_allclose(found.coef_std_, wanted.coef_std_, rtol=1e-9)


def overlapping():
    """Rows of two classes that overlap, and others."""
    X, y = make_classification(
        1600, 8, n_informative=5, n_redundant=0, n_classes=2, weights=[0.85], flip_y=0.1, class_sep=0.8, random_state=0
    )
    return X[:800], y[:800], X[800:], y[800:]


def test_copies_are_no_observations_of_classes():
    """All of 1000 rows twice: the log loss of others was 0.41 instead of 0.29, that of left-out rows 0.20."""
    X, y, new, _ = overlapping()
    once, twice = (AutoClassifier(random_state=0).fit(*table) for table in ((X, y), (np.r_[X, X], np.r_[y, y])))
    np.testing.assert_allclose(twice.predict_proba(new), once.predict_proba(new), rtol=1e-9)
    np.testing.assert_allclose(twice.leave_one_out_, np.r_[once.leave_one_out_, once.leave_one_out_], rtol=1e-9)


@pytest.mark.parametrize("rows", [400, 800])  # by softmax, and by least squares on the labels
def test_left_out_rows_of_any_weight_do_not_know_their_labels(rows):
    """Of a row of weight 1.7 a part of 0.7 stayed: 1500 rows had log losses of 0.14 left out and 0.34 on others."""
    X, y, new, label = overlapping()
    w = np.random.default_rng(0).uniform(0.3, 1.7, rows)
    plain, weighted = (AutoClassifier(random_state=0).fit(X[:rows], y[:rows], weights) for weights in (None, w))
    losses = [log_loss(label, model.predict_proba(new)) for model in (plain, weighted)]
    assert losses[1] < 1.08 * losses[0]
    assert weighted.log_loss_ > 0.8 * plain.log_loss_


def test_copies_do_not_choose_features_of_classes():
    """The mean log loss was 0.54 instead of 0.16."""
    X, y, new, _, seen = noisy()
    model = RandomFeaturesClassifier(100, random_state=0).fit(X[COPIED], (y > 1)[COPIED])
    p = model.predict_proba(new)[np.arange(1000), (seen > 1).astype(int)]
    assert -np.mean(np.log(p)) < 0.2


@pytest.mark.parametrize("factor", [5.0, 1e-3])
def test_the_unit_of_weights_does_not_choose_features(factor):
    """Weights of 5 counted each row five times in the choice of the scale: interpolation won."""
    X, y = noisy()[:2]
    one, other = (RandomFeaturesRegressor(100, random_state=0).fit(X, y, w) for w in (TWICE, factor * TWICE))
    assert one.scale_ == other.scale_ == RandomFeaturesRegressor(100, random_state=0).fit(X, y).scale_
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-6)


def test_which_rows_are_copies():
    rng = np.random.default_rng(0)
    X, y = rng.uniform(size=(200, 2)), rng.standard_normal((200, 1))
    np.testing.assert_array_equal(copies_once(np.ones(250), X[COPIED], y[COPIED]), np.r_[TWICE, np.zeros(50)])
    weights = np.where(np.arange(250) < 200, 1.0, 3.0)
    assert copies_once(weights, X[COPIED], y[COPIED])[0] == 4
    labels = (y > 0).astype(float)  # of rows that are otherwise alone
    assert copies_once(np.ones(250), X[COPIED], labels[COPIED])[:50].tolist() == [2.0] * 50
    labels = np.r_[labels[COPIED[:-1]], 1 - labels[49:50]]  # measured again, with another result
    assert copies_once(np.ones(250), X[COPIED], labels).tolist() == [1.0] * 250
    few = rng.integers(3, size=(250, 2)).astype(float)  # settings: equal by chance
    assert copies_once(np.ones(250), few, rng.integers(1, 6, (250, 1)).astype(float)).tolist() == [1.0] * 250
    assert copies_once(np.ones(250), few, rng.standard_normal((250, 1))).tolist() == [1.0] * 250  # repeated
    rounded, rating = np.round(5 * rng.normal(size=(200, 4))), rng.integers(3, 9, (200, 1)).astype(float)
    assert copies_once(np.ones(250), rounded[COPIED], rating[COPIED])[:50].tolist() == [2.0] * 50  # always agree
    rating = np.r_[rating[COPIED[:-1]], rating[49:50] + 1]
    assert copies_once(np.ones(250), rounded[COPIED], rating).tolist() == [1.0] * 250
    design = np.array([[i % 3, i // 3] for i in range(9)] + [[0, 0]], float)  # one setting twice, with equal ratings
    rating = np.array([2, 3, 4, 5, 3, 4, 2, 5, 4, 2], float)[:, None]
    assert copies_once(np.ones(10), design, rating).tolist() == [1.0] * 10
    one = np.ones((60, 2))  # a single place: its ratings repeat themselves
    assert copies_once(np.ones(60), one, np.repeat([0.0, 1.0, 2.0], 20)[:, None]).tolist() == [1.0] * 60


def test_rounded_targets_of_few_groups_agree_by_chance():
    """Agreement with two decimals in four groups: 109 of 259 rows were taken for copies, as few values repeat."""
    rng = np.random.default_rng(0)
    x = np.eye(4)[rng.integers(4, size=260)]
    y = np.round(rng.beta(2, 2, (260, 1)), 2)
    np.testing.assert_array_equal(first_copies(np.ones(260), x, y), np.arange(260))
    doses = rng.choice([1.0, 2.0, 5.0], (60, 1))  # measured to all digits: copies all the same
    twice, c = np.vstack([doses, doses[:20]]), rng.normal(size=(60, 1))
    found = first_copies(np.ones(80), twice, np.vstack([c, c[:20]]))
    np.testing.assert_array_equal(found, [*range(60), *range(20)])
