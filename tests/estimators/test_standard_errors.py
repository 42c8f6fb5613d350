"""Standard errors of linear models: certified ones, dense oracles, repeated draws, files, and where there are none."""

import functools

import jax
import numpy as np
import pytest
import scipy.sparse
from nist_problems import PROBLEMS, exact_standard_errors
from scipy.sparse.linalg import aslinearoperator

from numdl import (
    LogisticClassifier,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
    SoftmaxClassifier,
    TikhonovRegressor,
    load,
)
from numdl.estimators.common import standard_errors as module
from numdl.estimators.common.weights import sample_weights, weighed
from numdl.linalg import column_units

DIGITS = {"Filip": 7, "Longley": 10, "Wampler3": 10, "Wampler4": 10, "Wampler5": 10, "NoInt1": 10, "Pontius": 10}
CERTIFIED = {  # standard deviations of the estimates as NIST prints them
    "Longley": [
        890420.383607373,
        84.9149257747669,
        0.334910077722432e-01,
        0.488399681651699,
        0.214274163161675,
        0.226073200069370,
        455.478499142212,
    ],
    "Filip": [298.084530995537, 559.779865474950, 466.477572127796, 227.204274477751, 71.6478660875927],
}


@functools.cache  # in rational numbers: Filip takes seconds
def certified(name):
    problem = PROBLEMS[name]
    rows, y = problem.rational()
    A, b = problem.stored()
    return A[:, int(problem.intercept) :], b[:, 0], exact_standard_errors(rows, y), problem


def errors_of(model, problem):
    return np.append(model.intercept_std_, model.coef_std_) if problem.intercept else model.coef_std_


@pytest.mark.parametrize("name", DIGITS)
@pytest.mark.parametrize("operator", ["identity", "difference"])
def test_standard_errors_are_the_certified_ones(name, operator):
    x, y, expected, problem = certified(name)
    if operator == "difference" and x.shape[1] < 3:
        pytest.skip("too few columns")
    model = TikhonovRegressor(0.0, operator, fit_intercept=problem.intercept).fit(x, y)
    np.testing.assert_allclose(errors_of(model, problem), expected, rtol=10.0 ** -DIGITS[name])
    assert model.error_std_ == pytest.approx(problem.deviation, rel=10.0 ** -DIGITS[name])


@pytest.mark.parametrize("name", CERTIFIED)
def test_the_oracle_is_what_nist_prints(name):
    _, _, expected, _ = certified(name)
    np.testing.assert_allclose(expected[: len(CERTIFIED[name])], CERTIFIED[name], rtol=1e-13)


def test_the_planted_cut_in_units_of_the_columns_is_seen(monkeypatch):
    monkeypatch.setattr(column_units, "_UNEQUAL", np.inf)
    x, y, expected, problem = certified("Filip")
    model = TikhonovRegressor(0.0).fit(x, y)
    assert np.sum(model.decomposition_.c > 0) < 10
    assert errors_of(model, problem)[1] < expected[1] / 4


def test_rows_that_come_in_pieces_have_the_same_errors():
    x, y, expected, problem = certified("Filip")
    model = TikhonovRegressor(0.0)
    for rows in np.array_split(np.arange(len(x)), 5):
        model.partial_fit(x[rows], y[rows])
    np.testing.assert_allclose(errors_of(model, problem), expected, rtol=1e-6)


def data(n=30, d=4, k=2, seed=0):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, d)) + 1.0) * 10.0 ** np.arange(d)
    truth = rng.normal(size=(d, k)) / 10.0 ** np.arange(d)[:, None]
    return x, x @ truth + rng.normal(size=(n, k)) * [0.1, 1.0][:k]


@pytest.mark.parametrize("method", ["svd", "tsvd"])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_covariance_is_that_of_a_linear_map_of_the_targets(method, standardize, intercept):
    x, y = data()
    weights, new = np.arange(1.0, 31.0) % 3 + 1, data(seed=1)[0]
    options = {"method": method, "standardize": standardize, "fit_intercept": intercept}
    alpha = 0.3 if standardize else 30.0
    model = TikhonovRegressor(alpha, noise=0.7, **options).fit(x, y, sample_weight=weights)
    # the fit is linear in the targets: unit targets give its matrix; the noise given is that of relative weight 1
    whole = TikhonovRegressor(alpha, **options).fit(x, np.eye(30), sample_weight=weights)
    deviation = 0.7 / np.sqrt(sample_weights("here", weights, x))
    expected = np.linalg.norm(whole.coef_.T * deviation, axis=1)
    np.testing.assert_allclose(model.coef_std_, [expected, expected], rtol=1e-8)
    free = np.linalg.norm(np.broadcast_to(whole.intercept_, 30) * deviation)
    np.testing.assert_allclose(model.intercept_std_, [free, free], rtol=1e-8, atol=1e-15)
    mean, std = model.predict(new, return_std=True)
    np.testing.assert_allclose(mean, model.predict(new))
    moved = np.linalg.norm(whole.predict(new) * deviation, axis=1)
    noise = 0.7**2 * weighed(weights).typical
    np.testing.assert_allclose(std, np.sqrt(noise + moved**2)[:, None] * [1, 1], rtol=1e-8)
    np.testing.assert_allclose(model.predict(scipy.sparse.csr_array(new), return_std=True)[1], std)
    assert np.abs(std - moved[:, None]).max() > 1e-2  # mutant: the deviation of the mean


def test_each_target_has_its_own_noise_and_its_own_alpha():
    x, y = data(n=200)
    model = TikhonovRegressor("gcv", alpha_per_target=True, standardize=True).fit(x, y)
    assert model.error_std_ == pytest.approx([0.1, 1.0], rel=0.15)
    for j in range(2):
        alone = TikhonovRegressor(model.alpha_[j], standardize=True).fit(x, y[:, j])
        np.testing.assert_allclose(model.coef_std_[j], alone.coef_std_, rtol=1e-10)
        np.testing.assert_allclose(model.predict(x, True)[1][:, j], alone.predict(x, True)[1], rtol=1e-10)


def test_standard_errors_are_the_spread_over_draws_of_the_noise():
    x, truth = data(n=25)[0], np.ones(25)
    rng, draws = np.random.default_rng(3), 400
    many = TikhonovRegressor(2.0, noise=0.5, standardize=True).fit(
        x, truth[:, None] + 0.5 * rng.normal(size=(25, draws))
    )
    # the deviation of 400 normal numbers has a relative deviation of 1 / sqrt(800)
    np.testing.assert_allclose(many.coef_.std(axis=0, ddof=1), many.coef_std_[0], rtol=4 / np.sqrt(2 * draws))
    assert many.intercept_.std(ddof=1) == pytest.approx(many.intercept_std_[0], rel=4 / np.sqrt(2 * draws))


def test_without_degrees_of_freedom_the_noise_has_to_be_given():
    x, y = data(n=4)
    assert np.isnan(TikhonovRegressor(0.0).fit(x, y).coef_std_).all()
    assert np.isfinite(TikhonovRegressor(0.0, noise=1.0).fit(x, y).coef_std_).all()


@pytest.mark.quick("options0-asarray-*", "options1-csr_array-lsqr")
@pytest.mark.parametrize("method", ["cgls", "lsqr", "hybrid-lsqr"])
@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize("options", [{}, {"operator": "difference", "fit_intercept": False}])
def test_methods_by_products_have_those_of_the_same_table(method, kind, options):
    x, y = data()
    x, weights = x / 10.0 ** np.arange(4), np.arange(1.0, 31.0) % 3 + 1
    model = TikhonovRegressor(0.1, method=method, **options).fit(kind(x), y, sample_weight=weights)
    whole = TikhonovRegressor(0.1, method="svd", **options).fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-5)
    for name in ("coef_std_", "intercept_std_", "error_std_"):
        np.testing.assert_allclose(getattr(model, name), getattr(whole, name), rtol=1e-8)
    np.testing.assert_allclose(model.predict(kind(x), True)[1], whole.predict(x, True)[1], rtol=1e-8)


@pytest.mark.parametrize("method", ["cgls", "lsqr", "hybrid-lsqr"])
def test_methods_by_products_say_that_they_have_none(method, tmp_path):
    x, y = data()
    model = TikhonovRegressor(0.1, method=method).fit(aslinearoperator(x), y)
    model.save(tmp_path / "model.numdl")
    for found in (model, load(tmp_path / "model.numdl")):
        assert not hasattr(found, "coef_std_")
        with pytest.raises(AttributeError, match=r"coef_std_: method .* by its products only .* Use method='svd'"):
            _ = found.coef_std_
        with pytest.raises(ValueError, match=r"predict\(return_std=True\): method .* Use method='svd'"):
            found.predict(x, return_std=True)
    if method != "hybrid-lsqr":
        with pytest.raises(AttributeError, match="regularises by stopping, which is not linear in the targets"):
            _ = TikhonovRegressor("gcv", method=method).fit(x, y).coef_std_
    with pytest.raises(ValueError, match=r"known by its products only\. Give a table"):
        TikhonovRegressor(0.1).fit(x, y).predict(aslinearoperator(x), return_std=True)


def test_files_keep_them(tmp_path, monkeypatch):
    x, y = data()
    models = [
        TikhonovRegressor("upre", alpha_per_target=True).fit(x, y),
        TikhonovRegressor(0.1, method="tsvd").fit(x, y[:, 0]),
        RandomFeaturesRegressor(5, alpha=0.1, random_state=0).fit(x, y),
        RandomFeaturesRegressor(5, alpha=0.1, random_state=0).fit(x, y[:, 0]),
    ]
    for model in models:
        model.save(tmp_path / "model.numdl")
        again = load(tmp_path / "model.numdl")
        for name in ("coef_std_", "intercept_std_", "error_std_"):
            np.testing.assert_allclose(getattr(again, name), getattr(model, name), rtol=1e-12)
        np.testing.assert_allclose(again.predict(x, True)[1], model.predict(x, True)[1], rtol=1e-12)
    np.testing.assert_array_equal(models[0].noise_, load_of(models[0], tmp_path).noise_)


def test_large_models_keep_no_matrix_for_predictions(tmp_path, monkeypatch):
    x, y = data()
    whole = TikhonovRegressor(0.1).fit(x, y)
    monkeypatch.setattr(module, "LARGEST", 15)
    for found in (TikhonovRegressor(0.1).fit(x, y), load_of(TikhonovRegressor(0.1).fit(x, y), tmp_path)):
        np.testing.assert_array_equal(found.coef_std_, whole.coef_std_)
        with pytest.raises(ValueError, match=r"with 4 columns the covariance needs more than 15 numbers"):
            found.predict(x, return_std=True)


def load_of(model, folder):
    model.save(folder / "model.numdl")
    return load(folder / "model.numdl")


def test_random_features_are_a_linear_model_of_their_features():
    x, y = data()
    model = RandomFeaturesRegressor(6, alpha=0.05, random_state=0).fit(x, y)
    linear = TikhonovRegressor(0.05).fit(model.features_(x), y)
    np.testing.assert_allclose(model.coef_std_, linear.coef_std_, rtol=1e-8)
    np.testing.assert_allclose(model.intercept_std_, linear.intercept_std_, rtol=1e-8)
    np.testing.assert_allclose(model.predict(x, True)[1], linear.predict(model.features_(x), True)[1], rtol=1e-8)


def labels(k, n=80, d=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * [1.0, 10.0, 0.1] + 0.5
    return x, np.arange(n) % k if k > 2 else (x[:, 0] + rng.normal(size=n) > 0).astype(int)


@pytest.mark.quick("False-0.0-2-True", "True-0.2-3-False", "False-0.2-2-False")
@pytest.mark.parametrize(("k", "logistic"), [(2, True), (2, False), (3, False)])
@pytest.mark.parametrize("alpha", [0.0, 0.2])
@pytest.mark.parametrize("standardize", [False, True])
def test_fisher_information_of_classifiers(k, logistic, alpha, standardize):
    x, y = labels(k)
    weights = np.arange(80.0) % 2 + 1
    cls = LogisticClassifier if logistic else SoftmaxClassifier
    model = cls(alpha, standardize=standardize, tol=1e-10).fit(x, y, sample_weight=weights)
    # dense oracle: automatic derivatives of the objective in the coefficients as given, pseudo-inverse over all classes
    rows = 1 if logistic else k
    scale = np.sqrt(np.cov(x.T, aweights=weights, ddof=0).diagonal()) if standardize else np.ones(3)
    share = weights / weights.sum()

    def objective(W, alpha):
        s = x @ W[:, :-1].T + W[:, -1]
        s = jax.numpy.column_stack([0 * s[:, 0], s[:, 0]]) if logistic else s
        loss = jax.nn.logsumexp(s, axis=1) - s[np.arange(80), y]
        return share @ loss + alpha / 2 * jax.numpy.sum((W[:, :-1] * scale) ** 2)

    with jax.enable_x64(True):
        W = jax.numpy.column_stack([model.coef_, model.intercept_])
        size = rows * 4
        hessians = [np.asarray(jax.hessian(objective)(W, a)).reshape(size, size) for a in (alpha, 0.0)]
    unit = np.tile(np.append(scale, 1.0), rows)
    if standardize:  # the intercepts have mean 0 in the scaled features
        center = np.vstack([np.hstack([np.diag(1 / scale), np.zeros((3, 1))]), np.append(-(share @ x) / scale, 1.0)])
        back = np.kron(np.eye(rows), center)
    else:
        back = np.diag(1 / unit)
    H, F = (back.T @ h @ back for h in hessians)
    inverse = np.linalg.pinv(H, rcond=1e-10)
    n = weighed(weights).n
    covariance = back @ inverse @ F @ inverse @ back.T / n
    expected = np.sqrt(np.diag(covariance)).reshape(rows, 4)
    np.testing.assert_allclose(model.coef_std_, expected[:, :3], rtol=1e-6)
    np.testing.assert_allclose(model.intercept_std_, expected[:, 3], rtol=1e-6)
    if alpha:  # mutant: the posterior of Laplace's approximation
        posterior = np.sqrt(np.diag(back @ inverse @ back.T / n)).reshape(rows, 4)
        assert np.abs(model.coef_std_ / posterior[:, :3] - 1).max() > 1e-2


def test_classifiers_keep_them_or_say_why_not(tmp_path, monkeypatch):
    x, y = labels(3)
    model = SoftmaxClassifier(0.1).fit(x, y)
    again = load_of(model, tmp_path)
    np.testing.assert_array_equal(again.coef_std_, model.coef_std_)
    np.testing.assert_array_equal(again.intercept_std_, model.intercept_std_)
    random = RandomFeaturesClassifier(5, alpha=0.1, random_state=0).fit(x, y)
    np.testing.assert_array_equal(load_of(random, tmp_path).softmax_.coef_std_, random.softmax_.coef_std_)
    monkeypatch.setattr("numdl.estimators.linear.errors.DENSE_ERRORS", 11)
    model.fit(x, y)
    for found in (model, load_of(model, tmp_path)):
        with pytest.raises(AttributeError, match="coef_std_: 12 unknowns are more than 11"):
            _ = found.coef_std_


@pytest.mark.parametrize("alpha", ["discrepancy", 0.0])
def test_a_fit_is_summed_up_with_the_intervals_that_it_knows(alpha):
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = x @ np.array([1.0, -2.0, 0.5]) + 0.1 * x[:, 0] ** 2
    model = TikhonovRegressor(alpha, noise=0.1, method="cgls").fit(x, y)
    summary = model.summary(x, y)
    np.testing.assert_allclose(summary.prediction[:, 0], model.predict(x))
    assert (summary.interval is None) == (alpha == "discrepancy")
