"""Robust losses: gross errors of targets change a fit by little, whatever the estimator."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse.linalg import aslinearoperator

from numdl.estimators import AutoRegressor, KernelRegressor, RandomFeaturesRegressor, ResNetRegressor, TikhonovRegressor
from numdl.estimators.common import robust
from numdl.estimators.kernels import gross
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.gross import gross_errors

ROBUST = {"loss": "pseudo-huber"}


def line(n=200, d=5, share=0.1, seed=0, scale=1.0):
    """Rows, targets with and without gross errors of one sign, and coefficients."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, d)), rng.normal(size=d)
    clean = x @ w + 2.0 + 0.3 * rng.normal(size=n)
    y = clean.copy()
    y[rng.permutation(n)[: int(share * n)]] += rng.uniform(3, 30, int(share * n))
    return x, scale * y, scale * clean, scale * w


def wave(n=60, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 1))
    clean = np.sin(3 * x[:, 0]) + 0.05 * rng.normal(size=n)
    y, bad = clean.copy(), rng.permutation(n)[: n // 10]
    y[bad] += rng.choice([-1, 1], len(bad)) * rng.uniform(2, 20, len(bad))
    return x, y, clean, bad


def test_a_tenth_of_gross_errors_costs_a_linear_map_little():
    off, plain, told = [], [], []
    for seed in range(20):
        x, y, clean, w = line(seed=seed)
        found = TikhonovRegressor(1e-3, **ROBUST).fit(x, y)
        others = [TikhonovRegressor(1e-3).fit(x, z) for z in (clean, y)]
        errors = [np.linalg.norm(model.coef_ - w) for model in (others[0], found, others[1])]
        off.append(errors[1] / errors[0])
        plain.append(errors[2] / errors[0])
        told.append((found.coef_ - w) / found.coef_std_)
        assert found.status_.converged and "20 of 200 rows lie far off" in found.status_.message
    assert np.sqrt(np.mean(np.square(off))) < 1.3 < 10 < np.median(plain)
    assert abs(np.std(told) - 1) < 0.2  # one hundred numbers: standard errors are those of the robust estimate


def test_the_convex_rounds_end_where_the_loss_is_least(monkeypatch):
    monkeypatch.setattr(robust, "CUT", (1e8, 1e9))  # psi never falls
    x, y, _, _ = line(60, 3)
    found = TikhonovRegressor(1e-2, **ROBUST).fit(x, y)
    residual = y - found.predict(x)
    fit = robust.Fit(found.predict(x)[:, None], found.effective_dof_)
    s = robust.DELTA * float(robust.pseudo_data(y[:, None], fit, np.ones(60)).scale[0])

    def loss(p):
        return np.mean(s**2 * (np.hypot(1, (y - x @ p[:3] - p[3]) / s) - 1))

    # The penalty is one of pseudo-data, whose misfit is the loss over the mean slope of psi.
    slope = np.mean((1 + (residual / s) ** 2) ** -1.5)
    best = minimize(lambda p: loss(p) / slope + 0.5e-2 * p[:3] @ p[:3], np.zeros(4), tol=1e-12)
    np.testing.assert_allclose(np.append(found.coef_, found.intercept_), best.x, atol=3e-4)
    squares = TikhonovRegressor(1e-2).fit(x, y)
    assert np.abs(squares.coef_ - best.x[:3]).max() > 0.1  # the mutant: no weights


@pytest.mark.parametrize("change", ["units", "weights", "operator", "two targets", "cv", "no error"])
def test_robust_linear_maps_in_every_shape(change):
    x, y, _, w = line(scale=1e-6 if change == "units" else 1.0)
    options, weights = {}, None
    if change == "weights":
        weights = np.full(200, 7.0)
    if change == "operator":
        x, options = aslinearoperator(x), {"method": "hybrid-lsqr"}
    if change == "two targets":
        y = np.stack([y, 100 * y[::-1]], axis=1)
    if change == "cv":
        options = {"alpha": "cv"}
    if change == "no error":
        y = x @ w + 2.0
    model = TikhonovRegressor(**{"alpha": 1e-4} | options | ROBUST).fit(x, y, sample_weight=weights)
    own = model.coef_[0] if change == "two targets" else model.coef_
    assert np.abs(own - w).max() < 0.1 * np.abs(w).max() and model.status_.converged


def test_a_robust_loss_is_refused_where_it_cannot_be():
    x, y, _, _ = line(20)
    with pytest.raises(ValueError, match=r"TikhonovRegressor\(loss='huber'\)"):
        TikhonovRegressor(loss="huber").fit(x, y)
    with pytest.raises(ValueError, match=r"noise=1.0, loss='pseudo-huber'.*Leave noise=None"):
        TikhonovRegressor(noise=1.0, **ROBUST).fit(x, y)
    with pytest.raises(ValueError, match=r"partial_fit\(loss='pseudo-huber'\).*Use fit"):
        TikhonovRegressor(**ROBUST).partial_fit(x, y)
    for model in (KernelRegressor(loss="l1"), AutoRegressor(loss="l1"), ResNetRegressor(loss="l1")):
        with pytest.raises(ValueError, match=rf"{type(model).__name__}\(loss='l1'\)"):
            model.fit(x, y)


def test_rows_that_all_others_contradict_are_found():
    x, y, clean, bad = wave()
    settings = (np.ones(60), np.random.default_rng(0), Clock(None))
    found = gross_errors("fit", x, y[:, None], *settings)
    np.testing.assert_array_equal(np.flatnonzero(found.held == 0), np.sort(bad))
    assert found.settled and f"{len(bad)} of 60" in found.message
    assert gross_errors("fit", x, clean[:, None], *settings).held.all()


@pytest.mark.quick("straight")
@pytest.mark.parametrize("view", ["straight", "logarithm"])
def test_gross_errors_do_not_choose_the_logarithm(view):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (60, 2))
    clean = 10 + 4 * x[:, 0] + 3 * x[:, 1] ** 2
    y, bad = clean.copy(), rng.permutation(60)[:6]
    y[bad] += rng.uniform(20, 100, 6)
    made = {"average": False, "n_restarts": 1, "random_state": 0}
    if view == "logarithm":
        decades = np.exp(6 * x[:, 0] + 0.05 * rng.normal(size=60))  # the largest of which are no errors
        decades[bad[:2]] *= 1e6
        model = KernelRegressor("rbf", **made, **ROBUST).fit(x, decades)
        assert model.logarithm_.all() and "2 of 60 rows" in model.status_.message
        return
    model = KernelRegressor("rbf", **made, **ROBUST).fit(x, y)
    assert not model.logarithm_.any() and "6 of 60 rows" in model.status_.message
    assert np.abs(model.predict(x) - clean).max() < 0.05


def test_processes_withstand_gross_errors():
    x, y, clean, bad = wave()
    t = np.linspace(-1, 1, 101)[:, None]
    models = [KernelRegressor("rbf", average=False, random_state=0, **more) for more in ({}, ROBUST, {})]
    errors = [
        np.sqrt(np.mean((model.fit(x, z).predict(t) - np.sin(3 * t[:, 0])) ** 2))
        for model, z in zip(models, (clean, y, y), strict=True)
    ]
    assert errors[1] < 1.3 * errors[0] + 0.005 and errors[2] > 5 * errors[0]
    assert models[1].noise_ < 1.5 * models[0].noise_ and models[1].status_.converged
    assert np.abs(models[1].leave_one_out_[bad] - clean[bad]).max() < 0.3  # rows that were left out are predicted


def test_random_features_withstand_gross_errors():
    x, y, clean, bad = wave(100)
    t = np.linspace(-1, 1, 101)[:, None]
    models = [RandomFeaturesRegressor(60, random_state=0, **more) for more in ({}, ROBUST, {})]
    errors = [
        np.sqrt(np.mean((model.fit(x, z).predict(t) - np.sin(3 * t[:, 0])) ** 2))
        for model, z in zip(models, (clean, y, y), strict=True)
    ]
    assert errors[1] < 1.3 * errors[0] + 0.005 and errors[2] > 5 * errors[0]
    assert models[1].n_rows_ == 100 - len(bad) and f"{len(bad)} of 100 rows" in models[1].status_.message
    with pytest.raises(ValueError, match=r"RandomFeaturesRegressor.partial_fit\(loss='pseudo-huber'\).*Use fit"):
        models[1].partial_fit(x, y)


@pytest.mark.thorough
def test_beyond_some_rows_the_last_fit_judges_the_others(monkeypatch):
    x, y, _, bad = wave(200)
    monkeypatch.setattr(gross, "ASKED", 120)
    found = gross_errors("fit", x, y[:, None], np.ones(200), np.random.default_rng(0), Clock(None))
    np.testing.assert_array_equal(np.flatnonzero(found.held == 0), np.sort(bad))
    assert f"{len(bad)} of 200 rows" in found.message and "on 120 of them" in found.message


@pytest.mark.thorough
def test_networks_withstand_gross_errors():
    x, y, clean, _ = wave(100)
    t = np.linspace(-1, 1, 101)[:, None]
    made = {"width": 4, "depth": 1, "n_restarts": 2, "max_iter": 60, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors = [
            np.sqrt(np.mean((ResNetRegressor(**made, **more).fit(x, z).predict(t) - np.sin(3 * t[:, 0])) ** 2))
            for more, z in (({}, clean), (ROBUST, y), ({}, y))
        ]
    assert errors[1] < 1.3 * errors[0] + 0.005 and errors[2] > 5 * errors[0]
