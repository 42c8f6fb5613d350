"""What a regressor learns and how it takes part in scikit-learn."""

import dataclasses
import itertools

import jax
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import D, N, regressor, table

from numdl.optimize import LevenbergMarquardt

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = table()


@pytest.fixture(scope="module")
def fitted():
    with pytest.warns(ConvergenceWarning, match=r"ResNetRegressor: Stopped after 12 iterations.*raise max_iter"):
        return regressor().fit(X, Y)


def test_a_smooth_function_is_learned():
    model = regressor(max_iter=60, n_restarts=2).fit(X, Y)
    assert model.score(X, Y) > 0.999
    assert model.status_.code in ("converged", "max_iter")


def test_fitted_attributes_tell_what_happened(fitted):
    assert fitted.n_features_in_ == D and fitted.n_iter_ == 12 and fitted.status_.code == "max_iter"
    assert fitted.architecture_.width == 4 and len(fitted.members_) == 1
    assert fitted.n_parameters_ == fitted.architecture_.n_parameters + 5
    assert 0 < fitted.effective_dof_ <= fitted.n_parameters_
    assert set(fitted.alpha_) == {"flow K", "flow b", "opening K", "opening b", "head"}
    assert fitted.log_evidence_ == max(fitted.history_["log_evidence"])
    assert "dense" in fitted.solver_ and fitted.seconds_ > 0
    (row,) = fitted.search_
    assert row["network"] == "plain 4x1" and row["log_evidence"] == fitted.log_evidence_
    names = {"seconds", "objective", "gradient_norm", "misfit", "train_error", "damping", "noise", "log_evidence"}
    assert names | {"effective_dof", "alpha:head"} <= set(fitted.history_)
    assert {len(column) for column in fitted.history_.values()} == {12}
    assert np.all(np.diff(fitted.history_["seconds"]) >= 0)


def test_the_training_error_is_that_of_the_predictions_in_scaled_units(fitted):
    best = np.argmax(fitted.history_["log_evidence"])
    error = np.sqrt(np.mean((fitted.predict(X) - Y) ** 2)) / np.std(Y)
    np.testing.assert_allclose(error, fitted.history_["train_error"][best], rtol=1e-6)


def test_clones_and_seeds_reproduce(fitted):
    again = clone(fitted).fit(X, Y)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert not np.allclose(regressor(random_state=1).fit(X, Y).predict(X), fitted.predict(X), rtol=1e-6)
    first, second = (regressor(random_state=np.random.RandomState(7)).fit(X, Y) for _ in range(2))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


def test_pipeline_and_grid_search():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), regressor(max_iter=6)), {"resnetregressor__width": [2, 4]}, cv=2
    )
    search.fit(X, Y)
    assert search.best_params_["resnetregressor__width"] in (2, 4)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames(fitted, frame):
    data = frame({f"x{j}": X[:, j] for j in range(D)})
    model = regressor().fit(data, Y)
    assert list(model.feature_names_in_) == ["x0", "x1", "x2"]
    np.testing.assert_array_equal(model.predict(data), fitted.predict(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(data[["x1", "x0", "x2"]])
    assert not hasattr(fitted, "feature_names_in_")


def test_several_targets():
    y = np.column_stack([Y, X[:, 0] - 100.0])
    model = regressor().fit(X, y)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == (N, 2)
    assert model.score(X, y) > 0.9
    one = regressor().fit(X, Y[:, None])
    assert one.predict(X).shape == (N, 1)


def test_weights_are_relative_and_rows_of_weight_zero_are_absent():
    w = np.r_[np.full(10, 2), np.ones(20), np.zeros(10)]
    weighted = regressor().fit(X, Y, w)
    repeated = regressor().fit(X[:30], Y[:30], w[:30] / 1e7)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-5)
    for a, b in zip(*(m.predict(X, return_std=True) for m in (weighted, repeated)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3)
    assert weighted.log_evidence_ == pytest.approx(repeated.log_evidence_, rel=1e-6)


def test_standard_deviations_cover():
    x, y = table(150, noise=0.5, seed=1)
    model = regressor(max_iter=30).fit(x, y)
    x_new, y_new = table(400, noise=0.5, seed=2)
    mean, std = model.predict(x_new, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(x_new))
    score = np.abs(y_new - mean) / std
    assert 0.4 < np.mean(score < 0.674) < 0.65 and 0.8 < np.mean(score < 1.645) < 0.96
    noise = 1 / np.sqrt(model.members_[0].noise) * np.std(y)
    assert noise == pytest.approx(0.5, rel=0.25)
    assert np.all(std >= 0.99 * noise)
    # far from the data it is less sure
    assert model.predict(10 * x_new, return_std=True)[1].mean() > 1.2 * std.mean()


def test_single_precision_is_close():
    single, double = (regressor(dtype=dtype, max_iter=40).fit(X, Y) for dtype in ("float32", "float64"))
    assert single.members_[0].head.dtype == np.float32
    np.testing.assert_allclose(single.predict(X), double.predict(X), atol=0.2)
    assert np.all(np.isfinite(single.predict(X, return_std=True)[1]))


def test_matrix_free_comes_close_to_dense():
    dense, free = (regressor(solver=solver, max_iter=40).fit(X, Y) for solver in ("dense", "matrix-free"))
    assert "dense" in dense.solver_ and "matrix-free" in free.solver_
    assert dense.score(X, Y) > 0.99 and free.score(X, Y) > 0.99
    assert np.all(np.isfinite(free.predict(X, return_std=True)[1]))


def test_a_small_memory_budget_works_in_blocks():
    x, y = table(400)
    blocks, whole = (regressor(memory_budget=budget, max_iter=6).fit(x, y) for budget in (2**20, 2**31))
    assert "blocks of" in blocks.solver_ and "blocks" not in whole.solver_
    np.testing.assert_allclose(blocks.predict(x), whole.predict(x), rtol=1e-6)


def test_no_time_still_gives_a_model():
    with pytest.warns(ConvergenceWarning, match="raise time_budget"):
        model = regressor(time_budget=1e-9, n_restarts=3).fit(X, Y)
    assert model.status_.code == "time_budget" and len(model.members_) == 1 and model.n_iter_ == 1
    assert np.all(np.isfinite(model.predict(X)))


def test_warm_start_begins_where_the_last_fit_ended():
    model = regressor(warm_start=True).fit(X, Y)
    cold, ended = model.history_["train_error"][0], model.history_["train_error"][-1]
    model.fit(X, Y)
    assert model.history_["train_error"][0] < 0.5 * (cold + ended)
    assert regressor(warm_start=True).fit(X, Y).history_["train_error"][0] == cold


def test_penalties_of_the_user_hold():
    model = regressor(alpha=1e-3, alpha_head=1e-2).fit(X, Y)
    assert model.alpha_.pop("head") == 1e-2 and set(model.alpha_.values()) == {1e-3}
    stiff = regressor(alpha=1e6, alpha_head=1e6).fit(X, Y)
    np.testing.assert_allclose(stiff.predict(X), Y.mean(), atol=1e-3)


def test_validation_rows_are_watched_and_change_nothing(fitted):
    x_val, y_val = table(25, seed=3)
    watched = regressor().fit(X, Y, X_val=x_val, y_val=y_val)
    np.testing.assert_array_equal(watched.predict(X), fitted.predict(X))
    errors = watched.history_["validation_error"]
    assert len(errors) == 12 and np.all(np.isfinite(errors)) and errors[-1] < errors[0]


def test_observe_sees_every_iteration(capsys):
    seen = []
    regressor(max_iter=6, n_restarts=2, time_budget=1e6, verbose=3).fit(X, Y, observe=seen.append)
    assert [record["iteration"] for record in seen] == [1, 2, 3, 4, 5, 6] * 2
    first, second = ([r["phase"] for r in seen][i] for i in (3, 9))
    assert first == "training plain 4x1, start 1 of 2" and second == "training plain 4x1, start 2 of 2"
    assert all(a["seconds"] <= b["seconds"] for a, b in itertools.pairwise(seen))
    names = {"objective", "train_error", "alpha", "damping", "log_evidence", "seconds_left"}
    assert all(names <= set(record) and record["seconds_left"] > 0 for record in seen)
    assert capsys.readouterr().out.count("iteration ") == 4


def test_ctrl_c_returns_the_best_model_so_far():
    def interrupt(record):
        if record["iteration"] == 5:
            raise KeyboardInterrupt

    model = regressor(n_restarts=3).fit(X, Y, observe=interrupt)
    assert model.status_.code == "interrupted" and model.n_iter_ == 5 and len(model.members_) == 1
    np.testing.assert_array_equal(model.predict(X), regressor(max_iter=5).fit(X, Y).predict(X))


def test_ctrl_c_while_the_second_start_is_prepared_keeps_the_first(monkeypatch):
    init, calls = LevenbergMarquardt.init, []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) >= 2:
            raise KeyboardInterrupt
        return init(self, *args)

    monkeypatch.setattr(LevenbergMarquardt, "init", interrupted)
    model = regressor(n_restarts=3).fit(X, Y)
    assert model.status_.code == "interrupted" and model.n_iter_ == 12 and len(model.members_) == 1
    with pytest.raises(KeyboardInterrupt):  # nothing to keep
        regressor().fit(X, Y)


def test_open_choices_are_compared_by_evidence():
    model = regressor(dynamics="auto", width=2, max_iter=4).fit(X, Y)
    assert [row["network"] for row in model.search_] == ["antisymmetric 2x1", "plain 2x1"]
    best = max(model.search_, key=lambda row: row["log_evidence"])
    assert best["network"].startswith(model.architecture_.dynamics)


def test_starts_predict_together():
    model = regressor(n_restarts=3).fit(X, Y)
    seeds = [member.seed for member in model.members_]
    assert 1 <= len(seeds) <= 3 and len(set(seeds)) == len(seeds)
    scores = [member.score for member in model.members_]
    assert scores == sorted(scores, reverse=True)


def test_report_and_summary(fitted, tmp_path):
    summary = fitted.summary(X, Y, title="A title")
    assert summary.title == "A title" and summary.task == "regression"
    assert summary.scores[0]["test"] == pytest.approx(np.sqrt(np.mean((fitted.predict(X) - Y) ** 2)))
    assert summary.scores[1]["test"] == pytest.approx(np.std(Y))
    fitted.report(tmp_path / "report.html", X, Y)
    assert "plain 4x1" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("noise", [1e-5, pytest.param(1e-1, marks=pytest.mark.thorough)])
def test_nearly_linear_maps_are_predicted_with_honest_deviations(noise):
    """Their features are tiny and the head is huge, so that normal equations lose all digits."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 4))
    y = x @ [1.0, 2.0, 3.0, 4.0] + noise * rng.normal(size=150)
    model = regressor(random_state=1, width=16, depth=2, max_iter=60).fit(x[:100], y[:100])
    mean, std = model.predict(x[100:], return_std=True)
    error = np.sqrt(np.mean((mean - y[100:]) ** 2))
    assert error < 2 * noise and 0.5 * error < np.median(std) < 2 * error


def test_an_overflow_names_layer_and_step():
    X = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    options = {"width": 2, "T": 150.0, "dynamics": "contractive", "n_restarts": 1, "max_iter": 1}
    with pytest.raises(ValueError, match=r"2x150, before any training: row 1 overflows in layer \d+, .*h = 1"):
        regressor(**options, depth=150, damping=1e3).fit(X, X[:, 0])
    model = regressor(**options | {"T": 1.0}, depth=2).fit(X, X[:, 0])
    member = model.members_[0]
    broken = jax.tree.map(lambda leaf: np.full_like(leaf, 1e308), member.theta)
    model.members_ = [member._replace(net=dataclasses.replace(member.net, activation="identity"), theta=broken)]
    with pytest.raises(ValueError, match=r"contractive 2x2: row 1 overflows in layer 0, step size h = 0.5"):
        model.predict(X)


def test_a_start_that_overflows_is_left_out():
    X = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    options = {"width": 2, "depth": 2, "activation": "identity", "max_iter": 1, "random_state": 0}
    model = regressor(**options, n_restarts=1, warm_start=True).fit(X, X[:, 0])
    huge = jax.tree.map(lambda leaf: np.full_like(leaf, 1e308), model.members_[0].theta)
    model.members_ = [model.members_[0]._replace(theta=huge)]
    with pytest.warns(RuntimeWarning, match=r"1 of 2 starts were left out\. .*before any training: row 1 overflows"):
        model.set_params(n_restarts=2).fit(X, X[:, 0])
    assert len(model.members_) == 1 and np.isfinite(model.predict(X)).all()


def test_only_starts_without_a_finite_objective_are_left_out(monkeypatch):
    def refused(*args, **options):
        raise ValueError("another reason")

    monkeypatch.setattr("numdl.estimators.networks.training.trainer.minimize", refused)
    with pytest.raises(ValueError, match=r"^another reason$"):
        regressor(width=2, depth=2, max_iter=1).fit(np.eye(9, 2), np.arange(9.0))


def test_a_damping_reaches_the_network_and_its_file(tmp_path):
    from numdl.estimators.common.saving import load, save

    X = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    options = {"width": 3, "depth": 2, "T": 4.0, "dynamics": "antisymmetric", "n_restarts": 1, "max_iter": 3}
    fits = [regressor(**options, damping=damping).fit(X, X[:, 0] * X[:, 1]) for damping in (None, 0.5)]
    assert fits[1].architecture_.field.damping == 0.5
    assert np.max(np.abs(fits[0].predict(X) - fits[1].predict(X))) > 1e-6
    save(fits[1], tmp_path / "model.numdl")
    np.testing.assert_array_equal(load(tmp_path / "model.numdl").predict(X), fits[1].predict(X))


@pytest.mark.thorough
def test_a_reversible_march_fits_the_same_network():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (40, 2))
    y = np.sin(2 * X[:, 0]) + X[:, 1]
    options = {"width": 4, "depth": 3, "dynamics": "hamiltonian", "scheme": "verlet", "n_restarts": 1, "max_iter": 4}
    fits = [regressor(**options, march=march).fit(X, y) for march in ("stored", "reversible")]
    np.testing.assert_allclose(fits[0].predict(X), fits[1].predict(X), rtol=1e-6)
