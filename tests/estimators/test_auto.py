"""The model that chooses: members by evidence, interruptions and budgets, edges, files, scikit-learn."""

import itertools
import warnings

import numpy as np
import pytest
from kernel_data import table
from scikit_learn_checks import parametrize_with_quick_checks
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import BayesianRidge

import numdl
from numdl import AutoRegressor, KernelRegressor
from numdl.estimators.auto import regressor as auto
from numdl.estimators.kernels import base, search
from numdl.estimators.kernels import clock as clocks


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks([AutoRegressor(n_networks=0)])
def test_scikit_learn(estimator, check):
    check(estimator)


def rmse(model, x, truth):
    return np.sqrt(np.mean((model.predict(x) - truth) ** 2))


def kink(n, seed):
    x = np.random.default_rng(seed).uniform(size=(n, 2))
    return x, np.abs(x[:, 0] - 0.4) + np.maximum(x[:, 0] + x[:, 1] - 1, 0)


def test_networks_carry_what_has_kinks():
    x, y = kink(150, 0)
    model, kernels = AutoRegressor(random_state=0).fit(x, y), KernelRegressor(random_state=0).fit(x, y)
    assert model.status_.code == "max_iter" and kernels.status_.code == "converged"
    new, truth = kink(1000, 1)
    assert rmse(model, new, truth) < 0.5 * rmse(kernels, new, truth)
    names = model.weights_[0]
    assert abs(sum(names.values()) - 1) < 1e-12 and max(names, key=names.get).split()[0] in ("flow", "layer")
    assert list(names.values()) == sorted(names.values(), reverse=True)
    assert {name for name in model.evidence_[0] if "(" in name} >= {"flow 8x4 (1)", "layer 16 (2)"}
    assert model.log_evidence_ == max(model.evidence_[0].values()) > kernels.log_evidence_
    inside = [np.mean(np.abs(model.predict(new, True)[0] - truth) < z * model.predict(new, True)[1]) for z in (0.67, 3)]
    assert inside[0] > 0.4 and inside[1] > 0.9


def test_a_straight_line_in_much_noise_is_a_straight_line():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5))
    y = x @ [1.0, -1, 0.5, 0, 0] + 1.5 * rng.normal(size=60)
    model = AutoRegressor(random_state=0).fit(x, y)
    new = rng.normal(size=(500, 5))
    mean, std = model.predict(new, return_std=True)
    expected, spread = BayesianRidge().fit(x, y).predict(new, return_std=True)
    truth = new @ [1.0, -1, 0.5, 0, 0] + 1.5 * rng.normal(size=500)
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 1.02 * np.sqrt(np.mean((expected - truth) ** 2))
    assert np.abs(np.median(std / spread) - 1) < 0.2
    assert model.weights_[0]["linear"] > 0.1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_slope_is_that_of_the_mean():
    x, y = kink(120, 0)
    model, h = AutoRegressor(random_state=0).fit(x, y), 1e-5
    assert any(name.startswith(("flow", "layer")) for name in model.weights_[0])
    for j, unit in enumerate(np.eye(2)):
        numeric = (model.predict(x + h * unit) - model.predict(x - h * unit)) / (2 * h)
        np.testing.assert_allclose(model.gradient(x)[:, j], numeric, atol=1e-4)


def test_equal_weights_are_none_and_rows_of_weight_zero_are_absent():
    x, y = kink(70, 0)
    kept = np.random.default_rng(0).integers(0, 3, 70) > 0
    one = AutoRegressor(n_networks=1, random_state=0).fit(x, y, 3.0 * kept)
    other = AutoRegressor(n_networks=1, random_state=0).fit(x[kept], y[kept])
    np.testing.assert_allclose(one.predict(x), other.predict(x), atol=1e-6)


def test_targets_have_models_of_their_own_and_files_hold_them(tmp_path):
    x, y = kink(80, 0)
    c = np.column_stack([y, 100 * x[:, 1] + np.random.default_rng(0).normal(size=80)])
    model = AutoRegressor(random_state=0).fit(x, c)
    assert len(model.weights_) == 2 and 0.7 < model.noise_[1] < 1.4 and model.noise_[0] < 0.02
    model.save(tmp_path / "model.numdl")
    again, new = numdl.load(tmp_path / "model.numdl"), kink(300, 3)[0]
    for a, b in zip(model.predict(new, True), again.predict(new, True), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.gradient(new), again.gradient(new))
    np.testing.assert_array_equal(model.predict_quantiles(new), again.predict_quantiles(new))
    np.testing.assert_array_equal(clone(model).fit(x, c).predict(new), model.predict(new))
    assert again.weights_ == model.weights_ and again.status_ == model.status_
    assert model.summary(x, c).status.message.count("flow 8x4") == model._names().count("flow 8x4")


def interrupt_at(monkeypatch, module, name, call):
    """Ctrl-C in this call of a function, counted from 1."""
    inner, calls = getattr(module, name), []

    def interrupted(*args, **kwargs):
        calls.append(name)
        if len(calls) == call:
            raise KeyboardInterrupt
        return inner(*args, **kwargs)

    monkeypatch.setattr(module, name, interrupted)


@pytest.mark.parametrize(
    ("module", "name", "call", "left"),
    [(search, "optimise", 3, 2), (search, "draw", 1, 13), (auto.Training, "advance", 2, 9)],
)
def test_an_interruption_keeps_what_was_found(monkeypatch, module, name, call, left):
    x, y = table(70, d=2, noise=0.1)
    interrupt_at(monkeypatch, module, name, call)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = AutoRegressor(random_state=0).fit(x, y)
    assert model.status_.code == "interrupted" and len(model.evidence_[0]) <= left
    assert "The time was over" not in model.status_.message
    assert np.isfinite(model.predict(x)).all() and rmse(model, x, y) < y.std()


def test_who_observes_hears_of_each_part_of_the_search_and_may_end_it():
    x, y = kink(40, 0)
    heard = []
    AutoRegressor(n_networks=1, random_state=0).fit(x, y, observe=heard.append)
    phases = [record["phase"] for record in heard]
    assert phases[:2] == ["kernel linear on 40 rows", "kernel rbf on 40 rows"] and "network 1 of 1, flow 8x4" in phases
    assert all(a["seconds"] <= b["seconds"] for a, b in itertools.pairwise(heard))

    def enough(record):
        if "matern52" in record["phase"]:
            raise KeyboardInterrupt

    with pytest.warns(ConvergenceWarning):
        model = AutoRegressor(random_state=0).fit(x, y, observe=enough)
    assert model.status_.code == "interrupted" and set(model.evidence_[0]) <= {"linear", "rbf", "matern52"}
    with pytest.raises(TypeError, match="observe"):
        AutoRegressor().fit(x, y, observe="loud")


def test_an_interruption_before_there_is_anything_is_one(monkeypatch):
    interrupt_at(monkeypatch, search, "optimise", 1)
    with pytest.raises(KeyboardInterrupt):
        AutoRegressor().fit(*table(30))


def test_the_targets_after_an_interruption_get_the_first_candidate(monkeypatch):
    x, y = table(70, d=2, noise=0.1)
    interrupt_at(monkeypatch, search, "optimise", 3)
    with pytest.warns(ConvergenceWarning):
        model = AutoRegressor(random_state=0).fit(x, np.column_stack([y, 2 * y + x[:, 0]]))
    assert set(model.evidence_[1]) == {"linear"} and model.predict(x).shape == (70, 2)


def test_a_budget_that_is_over_leaves_the_first_candidate(monkeypatch):
    clock = iter(np.arange(0.0, 1e6, 10.0))
    monkeypatch.setattr(clocks.time, "monotonic", lambda: float(next(clock)))
    with pytest.warns(ConvergenceWarning, match="The time was over before the kernel rbf was tried"):
        model = AutoRegressor(time_budget=5, random_state=0).fit(*table(70))
    assert set(model.weights_[0]) == {"linear"}


def test_a_network_without_finite_evidence_is_left_out(monkeypatch):
    monkeypatch.setattr(auto.Training, "network", lambda self: None)
    with pytest.warns(ConvergenceWarning, match=r"Network flow 8x4 \(1\) is left out"):
        model = AutoRegressor(n_networks=1, random_state=0).fit(*table(40))
    assert not any("flow" in name for name in model.evidence_[0])


@pytest.mark.quick("0-1", "2-2", "2-5")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("networks", [0, 2])
def test_few_rows_and_constant_targets(n, networks):
    x, y = table(n, d=2)
    for c in (y, np.full(n, 3.0)):
        mean, std = AutoRegressor(n_networks=networks, random_state=0).fit(x, c).predict(x, return_std=True)
        assert np.isfinite(mean).all() and (std >= 0).all()
    np.testing.assert_allclose(mean, 3.0, atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_networks": -1}, r"AutoRegressor\(n_networks=-1\): needs a whole number >= 0"),
        ({"n_networks": "many"}, r"n_networks='many'\): needs a whole number"),
        ({"time_budget": 0}, r"time_budget=0\): needs a finite number > 0"),
    ],
)
def test_parameters_that_cannot_be_used(parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoRegressor(**parameters).fit(*table())


@pytest.mark.parametrize("unit", [0.0, 1e-300, 1e-200, 1e200, 1e300])
def test_targets_of_any_unit(unit):
    x, y = table(30, d=2)
    model, plain = (AutoRegressor(n_networks=0, random_state=0).fit(x, u * y) for u in (unit, 1.0))
    mean, std = model.predict(x, return_std=True)
    if unit == 0:
        assert (mean == 0).all() and (std < 1e-4).all() and model.noise_ < 1e-4
        return
    np.testing.assert_allclose(mean / unit, plain.predict(x), atol=1e-6)
    np.testing.assert_allclose(std / unit, plain.predict(x, True)[1], rtol=1e-4)


def test_fewer_observations_than_weights_that_they_determine():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3))
    y, w = x[:, 0] + 0.1 * rng.normal(size=50), rng.uniform(size=50)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)  # no network is left out
        model = AutoRegressor(random_state=0).fit(x, y, w)
    assert len([name for name in model.evidence_[0] if "(" in name]) == 6


@pytest.mark.parametrize("seed", [11, 12])
def test_few_rows_do_not_drop_the_straight_line(seed):
    rng = np.random.default_rng(seed)
    x, slopes, noise = rng.normal(size=(200, 8)), rng.normal(size=8), rng.normal(size=200)
    model = AutoRegressor(n_networks=0, random_state=seed - 10).fit(x, x @ slopes + noise)
    assert model.weights_[0]["linear"] > 0.1  # the best two on 150 rows were curved


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [(search, "refine", 1), (search, "judge", 7), (search, "judge", 8), (base, "each_left_out", 1)],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_interruption_after_the_screen_keeps_a_model(monkeypatch, module, name, call):
    x, y = table(170, d=2, noise=0.1)
    interrupt_at(monkeypatch, module, name, call)
    model = AutoRegressor(n_networks=0, random_state=0).fit(x, y)
    assert model.status_.code == "interrupted" and len(model.leave_one_out_) == 170
    assert rmse(model, x, y) < 0.5 * y.std()


def test_an_interruption_of_a_networks_end_leaves_it_out(monkeypatch):
    x, y = table(70, d=2, noise=0.1)
    interrupt_at(monkeypatch, auto, "_scored", 1)
    with pytest.warns(ConvergenceWarning, match="The search was interrupted; fit again"):
        model = AutoRegressor(n_networks=2, random_state=0).fit(x, y)
    assert model.status_.code == "interrupted" and "flow 8x4 (1)" not in model.evidence_[0]


def test_the_time_ends_a_kernel_that_is_being_tried(monkeypatch):
    asked, over = [], clocks.Clock.over
    monkeypatch.setattr(clocks.Clock, "over", lambda self: over(self) or len(asked) > 20)
    inner = clocks.Clock.check
    monkeypatch.setattr(clocks.Clock, "check", lambda self: (asked.append(1), inner(self))[1])
    with pytest.warns(ConvergenceWarning, match="The time was over while the kernel rbf was tried"):
        model = AutoRegressor(random_state=0).fit(*table(70))
    assert set(model.evidence_[0]) == {"linear"} and len(asked) == 21


@pytest.mark.parametrize("state", [-1, "a", 1.5])
def test_random_states_that_are_none(state):
    with pytest.raises(ValueError, match=r"AutoRegressor\(random_state=.*\): needs a seed >= 0, a generator"):
        AutoRegressor(random_state=state).fit(*table())
