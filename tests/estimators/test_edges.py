"""Tables at the edge: scales, collinear and constant columns, few rows, many targets."""

import numpy as np
import pytest
from small_models import N, classifier, labels, regressor, table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = table()


def usable(model, x, y, least=0.9):
    mean, std = model.predict(x, return_std=True)
    assert np.all(np.isfinite(mean)) and np.all(np.isfinite(std)) and np.all(std >= 0)
    assert model.score(x, y) > least


@pytest.mark.quick("scales0")
@pytest.mark.parametrize("scales", [(1e-12, 1.0, 1e12), (1e12, 1e12, 1e12), (1e-12, 1e-12, 1e-12)])
def test_features_of_any_scale_give_the_same_model(scales):
    expected = regressor().fit(X, Y).predict(X)
    np.testing.assert_allclose(regressor().fit(X * scales, Y).predict(X * scales), expected, rtol=1e-4)


@pytest.mark.quick("1e-12")
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_targets_of_any_scale_give_the_same_model(scale):
    mean, std = regressor().fit(X, Y).predict(X, return_std=True)
    found, spread = regressor().fit(X, scale * Y).predict(X, return_std=True)
    np.testing.assert_allclose(found, scale * mean, rtol=1e-4)
    np.testing.assert_allclose(spread, scale * std, rtol=1e-2)


def test_far_from_the_origin_is_the_same_model():
    mean, std = regressor().fit(X, Y).predict(X, return_std=True)
    found, spread = regressor().fit(X + 1e6, Y + 1e6).predict(X + 1e6, return_std=True)
    np.testing.assert_allclose(found - 1e6, mean, atol=1e-4)  # 1e6 leaves ten digits of each number
    np.testing.assert_allclose(spread, std, rtol=1e-2)


def test_collinear_and_constant_columns():
    x = np.column_stack([X, X[:, 0], 2 * X[:, 0] - X[:, 1], np.full(N, 7.0)])
    usable(regressor().fit(x, Y), x, Y)
    x_one = np.ones((N, 2))
    flat = regressor().fit(x_one, Y)
    np.testing.assert_allclose(flat.predict(x_one), Y.mean(), rtol=1e-6)


@pytest.mark.quick("2")
@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_rows(n):
    usable(regressor().fit(X[:n], Y[:n]), X[:n], Y[:n], least=-1e-6)
    y = np.array(["a", "b"])[np.arange(n) % 2]
    p = classifier().fit(X[:n], y).predict_proba(X)
    assert np.all(np.isfinite(p))


@pytest.mark.parametrize("dynamics", [pytest.param("plain", marks=pytest.mark.thorough), "antisymmetric"])
def test_width_one(dynamics):
    x, y = labels()
    usable(regressor(width=1, dynamics=dynamics).fit(X, Y), X, Y, least=0.2)
    assert np.all(np.isfinite(classifier(width=1, dynamics=dynamics).fit(x, y).predict_proba(x)))


def test_a_single_layer():
    usable(regressor(depth=0).fit(X, Y), X, Y)


def test_one_column():
    x = np.linspace(-2, 2, N)[:, None]
    usable(regressor().fit(x, np.sin(x[:, 0])), x, np.sin(x[:, 0]), least=0.99)


def test_two_hundred_targets():
    y = np.sin(X @ np.random.default_rng(0).normal(size=(3, 200)))
    model = regressor().fit(X, y)
    assert model.predict(X, return_std=True)[1].shape == (N, 200)
    usable(model, X, y, least=0.3)


def test_repeated_rows_with_contradicting_targets():
    x = np.repeat(X[:10], 4, axis=0)
    usable(regressor().fit(x, Y), x, Y, least=-0.1)


def test_an_outlier_leaves_a_usable_model():
    x, y = X.copy(), Y.copy()
    x[0], y[1] = 1e9, 1e9
    model = regressor().fit(x, y)
    assert np.all(np.isfinite(model.predict(x)))


@pytest.mark.quick("options0")
@pytest.mark.parametrize("options", [{"scheme": "rk4"}, {"control": "linear", "depth": 2}, {"activation": "relu"}])
def test_other_networks(options):
    usable(regressor(**options).fit(X, Y), X, Y)


def test_predicting_one_row_is_predicting_many():
    model = regressor().fit(X, Y)
    np.testing.assert_allclose(model.predict(X[3:4]), model.predict(X)[3:4], rtol=1e-12)
    many = np.tile(X, (300, 1))
    np.testing.assert_allclose(model.predict(many), np.tile(model.predict(X), 300), rtol=1e-12)
