"""Without penalty the regressor is least squares to the last digit, whatever else was asked."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from numdl import TikhonovRegressor
from numdl.estimators.tikhonov import direct

WAVE = [759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048]


def wampler5():
    """A polynomial of degree 5 with all coefficients 1 and residuals 10000 times as large: Wampler, JASA 65 (1970)."""
    x = np.arange(21.0)[:, None] ** np.arange(1, 6)
    return x, 1 + x.sum(axis=1) + 10000.0 * np.array([*WAVE, 2048, *WAVE[::-1]])


def error(model):
    return np.max(np.abs(np.append(model.coef_, model.intercept_) - 1))


def test_certified_coefficients_with_an_intercept():
    model = TikhonovRegressor(alpha=0.0).fit(*wampler5())
    assert error(model) < 1e-13
    assert (model.alpha_, model.effective_dof_) == (0, 6)


def test_the_planted_old_way_is_seen(monkeypatch):
    monkeypatch.setattr(direct, "_unpenalised", lambda table: None)
    assert error(TikhonovRegressor(alpha=0.0).fit(*wampler5())) > 1e-11


def test_prior_and_operator_are_irrelevant_where_the_data_decide():
    x, y = wampler5()
    assert error(TikhonovRegressor(alpha=0.0, p_ref=np.full(5, 7.0)).fit(x, y)) < 1e-13
    assert error(TikhonovRegressor(alpha=0.0, operator="difference").fit(x, y)) < 1e-13


@pytest.mark.parametrize("intercept", [True, False])
def test_weights_and_targets(intercept):
    rng = np.random.default_rng(0)
    x, y, weights = rng.normal(size=(30, 4)), rng.normal(size=(30, 2)), rng.uniform(0, 2, size=30)
    ours = TikhonovRegressor(alpha=0.0, fit_intercept=intercept).fit(x, y, sample_weight=weights)
    theirs = LinearRegression(fit_intercept=intercept).fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-11, atol=1e-13)


def test_where_the_data_leave_a_choice_the_prior_makes_it():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(4, 6)), rng.normal(size=4)
    prior = np.arange(6.0)
    model = TikhonovRegressor(alpha=0.0, p_ref=prior).fit(x, y)
    centred = x - x.mean(axis=0)
    expected = prior + np.linalg.pinv(centred) @ (y - y.mean() - centred @ prior)
    np.testing.assert_allclose(model.coef_, expected, atol=1e-12)
