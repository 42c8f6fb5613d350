"""The regressor of linear inverse problems: scikit-learn's checks, every method and criterion, edges and refusals."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import aslinearoperator
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.utils.estimator_checks import parametrize_with_checks

import numdl
from numdl import TikhonovRegressor
from numdl.data.large.chunks import row_chunks
from numdl.estimators.common.weights import weighed
from numdl.linalg import Difference


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([TikhonovRegressor(), TikhonovRegressor(1e-3, method="lsqr"), TikhonovRegressor("cv", cv=2)])
def test_scikit_learn(estimator, check):
    check(estimator)


def data(n=40, d=6, k=1, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + 1.0
    y = x @ rng.normal(size=(d, k)) + 2.0 + noise * rng.normal(size=(n, k))
    return x, y[:, 0] if k == 1 else y


@pytest.mark.parametrize("k", [1, 3])
def test_a_given_alpha_is_ridge(k):
    x, y = data(k=k)
    weights = np.linspace(0, 2, 40)
    model = TikhonovRegressor(0.1).fit(x, y, sample_weight=weights)
    ridge = Ridge(0.1 * weights.sum()).fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(model.coef_, ridge.coef_, rtol=1e-9)
    np.testing.assert_allclose(model.intercept_, ridge.intercept_, rtol=1e-9)
    np.testing.assert_allclose(model.predict(x), ridge.predict(x), rtol=1e-9)
    assert np.shape(model.predict(x)) == np.shape(y) and model.choices_ == ()


@pytest.mark.parametrize("alpha", ["gcv", "discrepancy", "l-curve", "upre", "loo", "cv"])
@pytest.mark.parametrize("method", ["svd", "tsvd"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_each_criterion_predicts_as_well_as_ridgecv(alpha, method):
    x, y = data()
    model = TikhonovRegressor(alpha, method=method).fit(x, y)
    assert model.choices_[0].alpha == model.alpha_ and model.paths_[0].alphas[model.choices_[0]] == model.alpha_
    assert 1 < model.effective_dof_ <= 7 + 1e-9
    best = RidgeCV(np.geomspace(1e-4, 1e2, 50)).fit(x, y).score(x, y)
    # The L-curve is made for ill-posed problems: here all singular values are large, and its corner is not where
    # prediction is best.
    assert model.score(x, y) > best - (0.1 if alpha == "l-curve" else 0.02)


@pytest.mark.quick("table-*-difference", "*-cgls-sparse", "*-lsqr-array", "*-lineax")
@pytest.mark.parametrize("operator", ["identity", "difference", "laplacian", "array", "sparse", "lineax"])
@pytest.mark.parametrize("method", ["cgls", "lsqr", "hybrid-lsqr"])
@pytest.mark.parametrize("kind", ["table", "sparse", "operator"])
def test_methods_by_products_solve_the_same_problem(operator, method, kind):
    x, y = data(k=2)
    maps = {"array": np.diff(np.eye(6), axis=0), "lineax": Difference(6, 0.5)}
    maps["sparse"] = scipy.sparse.csr_array(maps["array"])
    operator = maps.get(operator, operator)
    options = {"operator": operator, "p_ref": np.full((2, 6), 0.3)}
    weights = np.linspace(0.5, 1.5, 40)
    direct = TikhonovRegressor(0.1, method="svd", **options).fit(x, y, sample_weight=weights)
    given = {"table": x, "sparse": scipy.sparse.csr_array(x), "operator": aslinearoperator(x)}[kind]
    model = TikhonovRegressor(0.1, method=method, **options).fit(given, y, sample_weight=weights)
    np.testing.assert_allclose(model.coef_, direct.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(model.predict(given), direct.predict(x), rtol=1e-6)


def test_image_operators_know_the_shape():
    x, y = data(d=6)
    for name in ("gradient", "laplacian"):
        one = TikhonovRegressor(1.0, name, operator_shape=(2, 3)).fit(x, y)
        two = TikhonovRegressor(1.0, name, operator_shape=(3, 2)).fit(x, y)
        assert np.abs(one.coef_ - two.coef_).max() > 1e-3
    # Infinitely held, neighbours are equal: the model is a multiple of the sum.
    stiff = TikhonovRegressor(1e12, "gradient", operator_shape=(2, 3)).fit(x, y)
    np.testing.assert_allclose(stiff.coef_, stiff.coef_[0], rtol=1e-6)


def test_hybrid_chooses_as_the_direct_method_does():
    x, y = data(n=60, d=30, noise=2.0)
    direct, hybrid = (TikhonovRegressor(method=method).fit(x, y) for method in ("svd", "hybrid-lsqr"))
    assert hybrid.alpha_ == pytest.approx(direct.alpha_, rel=0.05)
    np.testing.assert_allclose(hybrid.coef_, direct.coef_, rtol=0.05, atol=0.02)
    assert hybrid.effective_dof_ == pytest.approx(direct.effective_dof_, rel=0.05)


@pytest.mark.parametrize("alpha", ["gcv", "upre"])
def test_products_count_observations_as_the_direct_method_does(alpha):
    x, y = data(n=60, d=12, noise=2.0)
    weights = np.random.default_rng(0).integers(0, 4, 60)  # some rows count for nothing
    options = {"noise": 2.0 if alpha == "upre" else None}
    direct = TikhonovRegressor(alpha, method="svd", **options).fit(x, y, weights)
    for a in (x, aslinearoperator(x)):
        hybrid = TikhonovRegressor(alpha, method="hybrid-lsqr", **options).fit(a, y, weights)
        assert hybrid.alpha_ == pytest.approx(direct.alpha_, rel=0.02)
        assert hybrid.paths_[0].n == pytest.approx(weighed(weights.astype(float)).n, rel=1e-10)
    # mutant: as many observations as the sum of the weights
    assert weights.sum() > 1.5 * hybrid.paths_[0].n


@pytest.mark.parametrize("method", ["cgls", "lsqr"])
@pytest.mark.parametrize("alpha", ["gcv", "discrepancy"])
def test_stopping_regularises(method, alpha):
    x, y = data(n=60, d=30, noise=2.0)
    model = TikhonovRegressor(alpha, method=method, noise=2.0).fit(x, y)
    assert model.alpha_ == 0 and 1 < model.effective_dof_ < 31 and model.n_iter_ < 30
    assert 0 < np.linalg.norm(model.coef_) < np.linalg.norm(Ridge(1e-10).fit(x, y).coef_)


def test_each_target_may_have_its_own_alpha():
    x, y = data(k=2)
    y[:, 1] += 5 * np.random.default_rng(1).normal(size=40)
    model = TikhonovRegressor(alpha_per_target=True).fit(x, y)
    for j in range(2):
        alone = TikhonovRegressor().fit(x, y[:, j])
        np.testing.assert_allclose(model.coef_[j], alone.coef_, rtol=1e-9)
        assert model.alpha_[j] == pytest.approx(alone.alpha_)
    assert model.alpha_[1] > model.alpha_[0]


def test_standardize_makes_units_irrelevant():
    x, y = data()
    units = 10.0 ** np.arange(-12, 12, 4)
    one, other = (TikhonovRegressor(0.1, standardize=True).fit(a, y) for a in (x, x * units))
    np.testing.assert_allclose(other.coef_ * units, one.coef_, rtol=1e-8)


def test_more_columns_than_rows_and_tiny_problems():
    x, y = data(n=5, d=20)
    assert np.isfinite(TikhonovRegressor(1e-3).fit(x, y).predict(x)).all()
    for n in (1, 2):
        assert np.isfinite(TikhonovRegressor(1.0).fit(x[:n], y[:n]).coef_).all()
    one = TikhonovRegressor(0.0).fit(x[:, :1], y)
    np.testing.assert_allclose(one.coef_, np.polyfit(x[:, 0], y, 1)[:1], rtol=1e-9)


def test_wide_and_constant_inputs_do_not_break_the_choice():
    x, y = data(n=20, d=50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = TikhonovRegressor().fit(np.hstack([x, np.ones((20, 2))]), y)
        np.testing.assert_allclose(model.coef_[-2:], 0, atol=1e-12)
        flat = TikhonovRegressor().fit(x, np.full(20, 3.0))
    np.testing.assert_allclose(flat.predict(x), 3.0)


def test_pure_noise_warns_at_the_edge():
    x, _ = data()
    x = x - x.mean(axis=0)
    y = np.random.default_rng(0).normal(size=40)
    y -= x @ np.linalg.lstsq(x, y)[0]
    with pytest.warns(ConvergenceWarning, match="edge of the grid"):
        TikhonovRegressor().fit(x, y)


def test_exact_data_need_no_penalty_and_no_warning():
    x, y = data(noise=0.0)
    model = TikhonovRegressor().fit(x, y)
    assert "the data need none" in model.status_.message and model.alpha_ < 1e-10
    np.testing.assert_allclose(model.predict(x), y, rtol=1e-8)
    both = np.column_stack([y, y + x[:, 0]])
    assert "the data need none" in TikhonovRegressor(alpha_per_target=True).fit(x, both).status_.message


def test_noise_is_estimated_where_it_is_needed():
    x, y = data(n=400, noise=0.3)
    assert TikhonovRegressor("upre").fit(x, y).noise_ == pytest.approx(0.3, rel=0.15)
    assert TikhonovRegressor("upre", noise=0.5).fit(x, y).noise_ == 0.5
    assert TikhonovRegressor("gcv").fit(x, y).noise_ is None
    # as many unknowns as rows: only the fit that GCV chooses leaves a residual
    few = TikhonovRegressor("upre").fit(x[:7], y[:7])
    assert few.noise_ > 0
    assert "was estimated from the residuals of the fit that GCV chooses" in few.status_.message
    with pytest.raises(ValueError, match=r"do not tell their noise level, as no fit leaves a residual\. Give noise"):
        TikhonovRegressor("upre").fit(x[:7], np.ones(7))


@pytest.mark.parametrize("alpha", ["upre", "discrepancy"])
@pytest.mark.parametrize("method", ["svd", "hybrid-lsqr"])
def test_targets_with_their_own_alpha_have_their_own_noise(alpha, method):
    rng = np.random.default_rng(0)
    x, levels = rng.normal(size=(200, 6)), np.array([0.1, 1.0])
    y = x @ np.repeat(rng.normal(size=(6, 1)), 2, axis=1) + levels * rng.normal(size=(200, 2))
    model = TikhonovRegressor(alpha, alpha_per_target=True, method=method).fit(x, y)
    np.testing.assert_allclose(model.noise_, levels, rtol=0.15)
    alone = [TikhonovRegressor(alpha, method=method).fit(x, y[:, j]) for j in range(2)]
    np.testing.assert_allclose(model.alpha_, [found.alpha_ for found in alone], rtol=1e-10)
    assert model.alpha_[1] > 10 * model.alpha_[0]
    pooled = TikhonovRegressor(alpha, method=method, noise=np.sqrt(0.505)).fit(x, y[:, 0])  # mutant: one level for both
    assert pooled.alpha_ > 10 * model.alpha_[0]


@pytest.mark.parametrize("method", ["svd", "tsvd", "hybrid-lsqr", "cgls", "lsqr"])
def test_the_discrepancy_principle_needs_nothing_but_the_data(method):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 6))
    for noise in (0.0, 0.1):
        y = x @ rng.normal(size=6) + noise * rng.normal(size=60)
        model = TikhonovRegressor("discrepancy", method=method).fit(x, y)
        assert model.noise_ == pytest.approx(noise, rel=0.3, abs=1e-10)
        assert model.score(x, y) > 1 - 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1.0}, r"alpha=-1.0\): needs a finite number >= 0"),
        ({"alpha": "best"}, "Use one of 'gcv', 'discrepancy'"),
        ({"alpha": np.nan}, "needs a finite number"),
        ({"method": "qr"}, "unknown. Use one of 'auto'"),
        ({"noise": -1.0}, "noise=-1.0"),
        ({"operator": "smooth"}, "unknown. Use one of 'identity'"),
        ({"operator": np.eye(4)}, "4 columns for 6 unknowns"),
        ({"operator": "gradient", "operator_shape": (2, 2)}, "two numbers with product 6"),
        ({"p_ref": np.ones(5)}, r"needs finite numbers in the shape of coef_, \(6,\)"),
        ({"alpha": "cv", "method": "lsqr"}, "Use 'gcv' or 'discrepancy'"),
        ({"operator": "difference", "method": "cgls"}, "stopping regularises without operator"),
        ({"standardize": True, "method": "hybrid-lsqr"}, "Scale X before"),
        ({"alpha": "discrepancy", "noise": 100.0}, r"noise=632.*nothing to explain"),
    ],
)
def test_what_cannot_be_used_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TikhonovRegressor(**options).fit(*data())


def test_bad_data_are_refused_by_name():
    x, y = data()
    bad = x.copy()
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"TikhonovRegressor.fit: Input X contains NaN at column 2, row 4"):
        TikhonovRegressor().fit(bad, y)
    with pytest.raises(ValueError, match=r"TikhonovRegressor.fit: Input X contains NaN at column 2, row 4"):
        TikhonovRegressor().fit(scipy.sparse.csr_array(bad), y)
    with pytest.raises(ValueError, match="one target per row"):
        TikhonovRegressor().fit(aslinearoperator(x), y[:-1])
    with pytest.raises(ValueError, match="by its products only"):
        TikhonovRegressor(method="svd").fit(aslinearoperator(x), y)
    with pytest.raises(ValueError, match="at least one non-zero"):
        TikhonovRegressor().fit(x, y, sample_weight=np.zeros(40))
    centred = x - x.mean(axis=1, keepdims=True)
    with pytest.raises(ValueError, match=r"null spaces .* meet"):
        TikhonovRegressor(1.0, "difference", fit_intercept=False).fit(centred, y)


def test_clone_and_operators_as_parameters():
    model = TikhonovRegressor(0.1, Difference(6), p_ref=np.zeros(6))
    x, y = data()
    np.testing.assert_array_equal(clone(model).fit(x, y).coef_, model.fit(x, y).coef_)


def test_model_files_keep_the_predictions(tmp_path):
    x, y = data(k=2)
    model = TikhonovRegressor(operator="difference", alpha_per_target=True).fit(x, y)
    numdl.save(model, tmp_path / "a.numdl")
    again = numdl.load(tmp_path / "a.numdl")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.choices_[0].message == model.choices_[0].message
    assert again.paths_[1].limits == model.paths_[1].limits
    assert again.get_params()["operator"] == "difference"
    np.testing.assert_array_equal(again.paths_[0].residuals, model.paths_[0].residuals)


@pytest.mark.parametrize(
    "options", [{}, {"operator": "difference"}, {"standardize": True}, {"alpha": 0.1}, {"method": "tsvd"}]
)
@pytest.mark.parametrize("k", [1, 2])
def test_rows_that_come_in_pieces_are_rows_at_once(options, k):
    x, y = data(n=90, k=k)
    weights = np.linspace(2, 0, 90)
    whole = TikhonovRegressor(**options).fit(x, y, sample_weight=weights)
    model = TikhonovRegressor(**options)
    for rows in np.split(np.arange(90), [20, 21, 60]):
        model.partial_fit(x[rows], y[rows], sample_weight=weights[rows])
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-4)
    np.testing.assert_allclose(model.intercept_, whole.intercept_, rtol=1e-4)
    np.testing.assert_allclose(model.effective_dof_, whole.effective_dof_, rtol=1e-4)
    assert model.fit(x, y).condensed_ is None


def test_a_table_on_disk_is_fitted_piece_by_piece(tmp_path):
    x, y = data(n=300)
    np.save(tmp_path / "table.npy", np.column_stack([x, y]))
    model = TikhonovRegressor()
    for rows, targets in row_chunks(tmp_path / "table.npy", 6, rows=50):
        model.partial_fit(rows, targets[:, 0])
    np.testing.assert_allclose(model.coef_, TikhonovRegressor().fit(x, y).coef_, rtol=1e-4)


def test_what_pieces_cannot_do_is_refused():
    x, y = data()
    with pytest.raises(AttributeError, match="partial_fit"):
        TikhonovRegressor("cv").partial_fit(x, y)
    with pytest.raises(ValueError, match="are gone"):
        TikhonovRegressor(p_ref=np.ones(6)).partial_fit(x, y)
    with pytest.raises(ValueError, match="needs a table"):
        TikhonovRegressor().partial_fit(aslinearoperator(x), y)
    model = TikhonovRegressor().partial_fit(x, y)
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(x[:, :5], y)
    with pytest.raises(ValueError, match="targets"):
        model.partial_fit(x, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="n_samples = 1"):
        TikhonovRegressor().partial_fit(x[:1], y[:1])


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_numbers_whose_squares_floating_point_does_not_hold_are_refused_by_name(unit):
    """Targets of 1e-200 were fitted by their mean; a table of this size met an error of NumPy."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    y = x @ [1.0, 2.0, 3.0] + 0.1 * rng.normal(size=20)
    for method, given, message in (
        ("auto", (unit * x, y), "decompose: the largest entry of a"),
        ("auto", (x, unit * y), "decompose: the largest entry of b"),
        ("hybrid-lsqr", (x, unit * y), "hybrid_lsqr: the largest entry of b"),
        ("hybrid-lsqr", (unit * x, y), r"hybrid_lsqr: the largest entry of A' b / \|\|b\|\|"),
        ("lsqr", (x, unit * y), "gcv_of_iterates: the largest entry of residuals"),
    ):
        with pytest.raises(ValueError, match=f"{message} is .*whose square.*Give it in another unit"):
            TikhonovRegressor(method=method).fit(*given)
    plain, scaled = (TikhonovRegressor(method="lsqr").fit(size * x, y).predict(size * x) for size in (1.0, unit))
    np.testing.assert_allclose(scaled, plain, rtol=1e-10)
