"""Ridge on random features, row by row: scikit-learn's checks, the dense oracle, streams, files, refusals."""

import numpy as np
import pytest
from scikit_learn_checks import parametrize_with_quick_checks
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

import numdl
from numdl.estimators import RandomFeaturesRegressor
from numdl.estimators.random_features import feature_map


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([RandomFeaturesRegressor(width=20, scale=1.0)])
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks(
    [
        RandomFeaturesRegressor(width=60, activation="tanh", random_state=0),
        RandomFeaturesRegressor(width=15, activation="relu", alpha=1e-3, scale=1.0, fit_intercept=False),
    ]
)
def test_scikit_learn_of_other_activations(estimator, check):
    check(estimator)


def data(n=60, k=1, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 2)) * [1.0, 50.0]
    y = np.column_stack([np.sin((j + 2) * x[:, 0]) + x[:, 1] / 50 for j in range(k)]) + noise * rng.normal(size=(n, k))
    return x, y[:, 0] if k == 1 else y


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("intercept", [True, False])
def test_coefficients_are_those_of_ridge_on_the_features(k, intercept):
    x, y = data(k=k)
    weights = np.linspace(0, 2, 60)
    model = RandomFeaturesRegressor(30, alpha=1e-3, fit_intercept=intercept, random_state=1)
    model.fit(x, y, sample_weight=weights)
    ridge = Ridge(1e-3 * weights.sum(), fit_intercept=intercept).fit(model.features_(x), y, sample_weight=weights)
    np.testing.assert_allclose(model.coef_, ridge.coef_, atol=1e-9)
    np.testing.assert_allclose(model.intercept_, ridge.intercept_, atol=1e-9)
    assert model.predict(x).shape == y.shape
    # mutant: the penalty of the sum of squares
    other = Ridge(1e-3, fit_intercept=intercept).fit(model.features_(x), y, sample_weight=weights)
    assert np.max(np.abs(model.coef_ - other.coef_)) > 1e-2


def test_gcv_is_that_of_the_dense_influence_matrix():
    x, y = data()
    model = RandomFeaturesRegressor(30, alpha="gcv", random_state=1).fit(x, y)
    z = model.features_(x)
    z, centred, n = z - z.mean(axis=0), y - y.mean(), len(y)

    def score(alpha, guard):
        influence = z @ np.linalg.solve(z.T @ z + n * alpha * np.eye(30), z.T) + 1 / n
        return np.sum((centred - influence @ centred) ** 2) / n / (1 - np.trace(influence) / n) ** (2 * guard)

    near = [score(model.alpha_ * factor, 1.4) for factor in (0.8, 1.0, 1.25)]
    assert np.argmin(near) == 1
    np.testing.assert_allclose(near[1], model.choice_.criterion[model.choice_.index], rtol=1e-6)
    assert abs(score(model.alpha_, 1.0) / near[1] - 1) > 0.05  # mutant: GCV without guard


def test_few_rows_are_left_out_one_by_one():
    """By the definition: without a row, weighted ones too, with the sum of the weights kept in the penalty."""
    x, y = data(40)
    weights = np.linspace(0.5, 1.5, 40)
    model = RandomFeaturesRegressor(15, scale=2.0, random_state=1).fit(x, y, sample_weight=weights)
    z, n = np.column_stack([model.features_(x), np.ones(40)]), model.path_.n
    w, penalty = weights * n / weights.sum(), n * model.alpha_ * np.diag([*np.ones(15), 0.0])

    def solved(kept):
        return np.linalg.solve((z[kept].T * w[kept]) @ z[kept] + penalty, (z[kept].T * w[kept]) @ y[kept])

    others = [np.delete(np.arange(40), i) for i in range(40)]
    errors = np.array([(y[i] - z[i] @ solved(kept)) ** 2 for i, kept in enumerate(others)])
    freedom = np.trace(z @ np.linalg.solve((z.T * w) @ z + penalty, z.T * w))
    guarded = w @ errors / w.sum() * (1 - freedom / n) ** -0.8
    np.testing.assert_allclose(model.choice_.criterion[model.choice_.index], guarded, rtol=1e-6)
    assert "guarded cross validation" in model.status_.message


def test_rows_unlike_all_others_do_not_make_interpolation_the_best():
    """Half of the colours are grey: GCV took them for what can be interpolated and erred by 25,000 deviations."""
    rng = np.random.default_rng(0)
    hue, chroma = rng.uniform(0, 2 * np.pi, 400), rng.uniform(0, 1, 400) * (rng.random(400) < 0.5)
    x, y = np.column_stack([rng.integers(0, 100, 400), chroma * np.cos(hue)]), chroma * np.sin(hue)
    model = RandomFeaturesRegressor(random_state=0).fit(x[:300], y[:300])
    assert np.sqrt(np.mean((model.predict(x[300:]) - y[300:]) ** 2)) < 1.3 * y.std()
    near = rng.normal(size=(40, 2))[rng.integers(0, 40, 400)] + 0.002 * rng.normal(size=(400, 2))
    near[:25] = 3 * rng.normal(size=(25, 2))
    y = np.sin(2 * near[:, 0]) + 0.01 * rng.normal(size=400)
    model = RandomFeaturesRegressor(random_state=0).fit(near[:300], y[:300])
    assert np.sqrt(np.mean((model.predict(near[300:]) - y[300:]) ** 2)) < 0.4 * y.std()


def test_copies_weights_and_units_do_not_choose_alpha():
    """Rows copied five times interpolated (errors of 771), weights forbade any fit, 1e150 was refused."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (18, 1))
    y = x[:, 0] + 0.5 * rng.normal(size=18)
    once, many = (RandomFeaturesRegressor(200, random_state=0).fit(np.tile(x, (k, 1)), np.tile(y, k)) for k in (1, 5))
    assert many.effective_dof_ == pytest.approx(once.effective_dof_, rel=0.2)
    huge = RandomFeaturesRegressor(200, random_state=0).fit(x, y * 1e110).predict(x)
    assert np.corrcoef(huge / 1e110, x[:, 0])[0, 1] > 0.7
    x = rng.uniform(-1, 1, (300, 1))
    sigma = np.where(np.arange(300) < 10, 1e-3, 0.1)
    y, new = np.sin(15 * x[:, 0]) + sigma * rng.normal(size=300), np.linspace(-0.95, 0.95, 400)[:, None]
    model = RandomFeaturesRegressor(200, random_state=0).fit(x, y, sample_weight=sigma**-2)
    assert np.sqrt(np.mean((model.predict(new) - np.sin(15 * new[:, 0])) ** 2)) < 0.03


@pytest.mark.parametrize("cuts", [[60], [59, 61], [60, 61, 62, 90]])
def test_rows_in_pieces_give_what_they_give_together(cuts):
    x, y = data(k=2)
    x, y = np.vstack([x, x[::-1]]), np.vstack([y, y[::-1] + 0.1])  # both halves have the same means and deviations
    whole = RandomFeaturesRegressor(25, alpha="gcv", scale=2.0, random_state=0).fit(x, y)
    pieces = RandomFeaturesRegressor(25, scale=2.0, random_state=0)  # "auto" is "gcv" there
    for rows in np.split(np.arange(120), cuts):
        pieces.partial_fit(x[rows], y[rows])
        if rows[0] == 0:  # the first piece fixes the map
            pieces.features_ = whole.features_
            pieces.condensed_ = feature_map.add_rows(None, whole.features_, x[rows], y[rows], np.ones(len(rows)))
    assert pieces.n_rows_ == 120
    np.testing.assert_allclose(pieces.alpha_, whole.alpha_, rtol=1e-5)
    np.testing.assert_allclose(pieces.predict(x), whole.predict(x), atol=1e-8)


def test_the_first_piece_fixes_the_map_as_fit_does():
    x, y = data()
    one = RandomFeaturesRegressor(25, random_state=0).partial_fit(x, y)
    two = RandomFeaturesRegressor(25, alpha="gcv", random_state=0).fit(x, y)
    np.testing.assert_array_equal(one.coef_, two.coef_)
    assert one.scale_ == two.scale_ == one.partial_fit(x * 3, y).scale_
    assert one.fit(x, y).n_rows_ == 60  # fit forgets


def test_equal_weights_are_none():
    x, y = data()
    twice = RandomFeaturesRegressor(25, scale=2.0, random_state=0).fit(x, y)
    weighted = RandomFeaturesRegressor(25, scale=2.0, random_state=0).fit(x, y, sample_weight=np.full(60, 2.0))
    np.testing.assert_allclose(weighted.predict(x), twice.predict(x), atol=1e-7)


def test_blocks_change_nothing(monkeypatch):
    x, y = data()
    whole = RandomFeaturesRegressor(25, scale=2.0, random_state=0).fit(x, y)
    monkeypatch.setattr(feature_map, "BLOCK", 25 * 7)
    blocks = RandomFeaturesRegressor(25, scale=2.0, random_state=0).fit(x, y)
    np.testing.assert_allclose(blocks.predict(x), whole.predict(x), atol=1e-8)


@pytest.mark.quick("tanh")
@pytest.mark.parametrize("activation", ["sine", "tanh", "relu"])
def test_the_automatic_scale_is_near_the_best(activation):
    x, y = data(n=400)
    x_test, y_test = data(n=1000, noise=0.0, seed=1)

    def error(scale):
        model = RandomFeaturesRegressor(100, activation, scale=scale, random_state=0).fit(x, y)
        return np.sqrt(np.mean((model.predict(x_test) - y_test) ** 2))

    errors = [error(scale) for scale in feature_map.SCALES]
    assert error("auto") < 1.3 * min(errors)
    assert max(errors) > 1.5 * min(errors)  # mutant: any scale


def test_one_factor_for_all_columns_on_request():
    x, y = data()
    model = RandomFeaturesRegressor(10, scale=1.0, standardize=False).fit(x, y)
    np.testing.assert_allclose(model.features_.deviation, np.sqrt(np.mean(x.var(axis=0))))


def test_model_files_keep_predictions_and_go_on_learning(tmp_path):
    for k in (1, 2):
        x, y = data(k=k)
        model = RandomFeaturesRegressor(20, random_state=0).fit(x, y)
        model.save(tmp_path / "model.numdl")
        loaded = numdl.load(tmp_path / "model.numdl")
        np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
        assert loaded.get_params() | {"random_state": 0} == model.get_params()
        np.testing.assert_array_equal(loaded.partial_fit(x, y).coef_, model.partial_fit(x, y).coef_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, r"RandomFeaturesRegressor\(width=0\): needs a whole number >= 1"),
        ({"activation": "cos"}, "Use one of 'sine', 'tanh', 'relu'"),
        ({"alpha": -1.0}, r"alpha=-1.0\): needs a finite number >= 0"),
        ({"alpha": "loo"}, "Use one of 'auto', 'gcv', 'l-curve'"),
        ({"scale": 0.0}, "needs a finite number > 0"),
        ({"scale": "best"}, "Use one of 'auto'"),
    ],
)
def test_what_cannot_be_used_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RandomFeaturesRegressor(**options).fit(*data())


def test_bad_data_are_refused_by_name():
    x, y = data()
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN at column 1, row 4"):
        RandomFeaturesRegressor().fit(x, y)
    with pytest.raises(ValueError, match="n_samples = 1"):
        RandomFeaturesRegressor().fit([[1.0]], [1.0])
    model = RandomFeaturesRegressor(5, scale=1.0).fit(*data(k=2))
    with pytest.raises(ValueError, match="y has 1 targets, earlier rows had 2"):
        model.partial_fit(*data())


def test_alpha_zero_and_more_features_than_rows():
    x, y = data(n=10)
    model = RandomFeaturesRegressor(40, alpha=0.0, scale=1.0, random_state=0).fit(x, y)
    np.testing.assert_allclose(model.predict(x), y, atol=1e-6)
