"""Gaussian processes: kernels and evidence against dense definitions, predictions, edges, refusals, scikit-learn."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from kernel_data import SMOOTH, dense, table
from scipy.stats import multivariate_normal, norm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import numdl
from numdl import KernelRegressor
from numdl.estimators.kernels import tables
from numdl.estimators.kernels.evidence import JITTER, KERNELS, Evidence, Rows
from numdl.estimators.kernels.mixture import Mixture, combine, moments, quantile
from numdl.estimators.kernels.optimum import Candidate
from numdl.estimators.kernels.process import Process
from numdl.estimators.kernels.product import Legendre
from numdl.estimators.kernels.search import WORTH, Judged, _worth_all_rows, gate


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([KernelRegressor("rbf", n_restarts=1, average=False)])
def test_scikit_learn(estimator, check):
    check(estimator)


def problem(name, n=12, d=3, seed=0):
    """Evidence with weights and spread, and a point near the middle of the prior."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    rows = Rows(x, np.sin(x[:, 0]) + x[:, 1], rng.uniform(0.5, 3, n), 1.3)
    model = Evidence(name, rows, np.stack([x.min(axis=0) - 0.1, x.max(axis=0) + 0.1]))
    return model, model.centre + 0.3 * rng.normal(size=len(model.centre))


@pytest.mark.parametrize("name", SMOOTH)
def test_a_matrix_is_its_definition(name):
    model, theta = problem(name)
    new = np.random.default_rng(1).normal(size=(5, 3)) * 1.5  # some beyond the box
    for x in (model.rows.x, new):
        k = model.kernel.cross(theta[3:], model.kernel.features(x, model.box), model.features)
        expected = dense(name, theta, x, model.rows.x, model.box)
        own = np.exp(theta[1]) * k + np.exp(theta[2]) * x @ model.rows.x.T + 1
        np.testing.assert_allclose(own, expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(model.covariance(theta) + 1, dense(name, theta, *[model.rows.x] * 2, model.box), 1e-11)
    diagonal = model.kernel.diagonal(theta[3:], model.features)
    np.testing.assert_allclose(diagonal, model.kernel.train(theta[3:], model.features)[0].diagonal(), rtol=1e-12)


@pytest.mark.parametrize("name", SMOOTH)
def test_matrices_that_are_used_again_hold_nothing_of_the_evaluation_before(name, monkeypatch):
    """Nor does it matter whether the factors of a product are kept for the way back."""
    model, theta = problem(name, n=70)
    expected = model(theta)
    other = problem(name, n=70)[0]
    other(model.centre)
    monkeypatch.setattr("numdl.estimators.kernels.product.KEPT", 0)
    for value, gradient in (other(theta), other(theta)):
        assert value == expected[0]
        np.testing.assert_array_equal(gradient, expected[1])


@pytest.mark.parametrize("kept", [4e6, 0])
def test_a_factor_of_a_product_may_be_zero(kept, monkeypatch):
    """Two rows that the first polynomial sees at 1 and -1, and weight 1 for it: ``1 + a k = 0`` between them."""
    monkeypatch.setattr("numdl.estimators.kernels.product.KEPT", kept)
    kernel, theta = Legendre(), np.array([0.0, 0.0, -1.0, 8.0, 0.5])  # exp(-exp(8)) is 0
    f = np.zeros((12, 2, 2))
    f[0, 0] = 1, -1
    f[:, 1] = np.random.default_rng(0).normal(size=(12, 2))
    g = np.array([[0.3, -0.7], [-0.7, 0.4]])
    found = kernel.train(theta, f)[1](g)
    steps = 1e-6 * np.eye(5)
    ends = [[np.vdot(g, kernel.train(theta + way * step, f)[0]) for way in (1, -1)] for step in steps]
    np.testing.assert_allclose(found, [(a - b) / 2e-6 for a, b in ends], atol=1e-7)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_evidence_is_the_density_of_the_observations(name):
    """Rows of whole weight are rows that are there several times."""
    rng = np.random.default_rng(3)
    x, times = rng.normal(size=(6, 2)), np.array([1, 2, 3, 1, 1, 2])
    index = np.repeat(np.arange(6), times)
    y = rng.normal(size=len(index))
    mean = np.bincount(index, y) / times
    rows = Rows(x, mean, times.astype(float), np.sum((y - mean[index]) ** 2))
    model = Evidence(name, rows, np.array([[-3.0, -3.0], [3.0, 3.0]]))
    theta = model.centre.copy()
    theta[0] = np.log(0.1)
    covariance = dense(name, theta, x[index], x[index], model.box) + 0.1 * np.eye(len(y))
    prior = norm.logpdf(theta, model.centre, model.spread).sum()
    expected = multivariate_normal.logpdf(y, np.zeros(len(y)), covariance) + prior
    assert abs(model(theta)[0] - expected) < 1e-8 * abs(expected)


def order(model, theta, gradient, way):
    """Order of the error of value + slope along a way, from two steps."""
    errors = [abs(model(theta + h * way)[0] - model(theta)[0] - h * gradient @ way) for h in (1e-3, 1e-4)]
    return np.log10(errors[0] / errors[1])


@pytest.mark.parametrize("name", SMOOTH)
def test_the_gradient_of_the_evidence(name):
    model, theta = problem(name)
    value, gradient = model(theta)
    way = np.random.default_rng(5).normal(size=len(theta))
    assert abs(order(model, theta, gradient, way) - 2) < 0.1
    ends = [[model(theta + way * 1e-5 * unit)[0] for unit in np.eye(len(theta))] for way in (-1, 1)]
    np.testing.assert_allclose(gradient, (np.array(ends[1]) - ends[0]) / 2e-5, rtol=1e-6, atol=1e-6 * abs(value))


@pytest.mark.parametrize("name", SMOOTH)
def test_a_planted_mistake_in_the_gradient_is_seen(name):
    model, theta = problem(name)
    gradient = model(theta)[1]
    for j, unit in enumerate(np.eye(len(theta))):
        if abs(gradient[j]) > 0.1:
            assert order(model, theta, gradient * (1 + 0.2 * unit), unit) < 1.9


def one_process(kernel="rbf", n=25, noise=0.1, **settings):
    x, y = table(n, noise=noise)
    return KernelRegressor(kernel, average=False, n_restarts=1, random_state=0, **settings).fit(x, y), x, y


@pytest.mark.parametrize("name", SMOOTH)
def test_predictions_are_those_of_the_dense_formula(name):
    model, _, y = one_process(name)
    mixture, new = model.mixtures_[0], table(300, seed=7)[0]
    (process,), rows = mixture.members, mixture.rows
    z, noise = model._scaled(new, "test")[1], np.exp(process.theta[0])
    old = dense(name, process.theta, rows.x, rows.x, mixture.box) + (noise + process.jitter) * np.eye(25)
    cross = dense(name, process.theta, z, rows.x, mixture.box)
    own = np.array([dense(name, process.theta, r[None], r[None], mixture.box)[0, 0] for r in z])
    mean = cross @ np.linalg.solve(old, rows.y)
    variance = own - np.einsum("an,na->a", cross, np.linalg.solve(old, cross.T)) + noise
    predicted, std = model.predict(new, return_std=True)
    np.testing.assert_allclose(predicted, y.mean() + y.std() * mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(std, y.std() * np.sqrt(variance), rtol=1e-5)
    np.testing.assert_allclose(model.predict(new), predicted, rtol=1e-12)
    freedom = 25 - (noise + process.jitter) * np.trace(np.linalg.inv(old))
    assert abs(model.effective_dof_ - freedom) < 1e-6 and abs(model.noise_ - y.std() * np.sqrt(noise)) < 1e-9


@pytest.mark.quick("True-*", "False-rbf")
@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("tails", [False, True])
def test_the_gradient_of_the_mean(name, tails):
    x, y = table(25)
    if tails:  # one column squashed, one on a logarithmic scale
        x[3, 0], x[:, 2] = 1e3, np.where(np.arange(25) % 9 == 0, 50.0 + np.arange(25), 0)
    model = KernelRegressor(name, average=False, n_restarts=1, random_state=0).fit(x, np.column_stack([y, x[:, 1]]))
    new = table(40, seed=4)[0] * 0.9
    ends = [np.stack([model.predict(new + way * 1e-5 * unit) for unit in np.eye(3)], axis=-1) for way in (-1, 1)]
    gradient = model.gradient(new)
    assert gradient.shape == (40, 2, 3)
    np.testing.assert_allclose(gradient, (ends[1] - ends[0]) / 2e-5, atol=2e-5 * np.abs(gradient).max())


@pytest.mark.parametrize("repeated", [False, True])
def test_leave_one_out_is_refitting(repeated):
    model, x, y = one_process(n=15)
    w = np.ones(15)
    if repeated:
        x, w = np.vstack([x, x[:4]]), np.r_[np.linspace(0.5, 2, 15), 1, 2, 1, 1]
        y = np.r_[y, y[:4] + 0.1]
        model.fit(x, y, w)
        w = w / w.mean()  # weights are relative
    mixture = model.mixtures_[0]
    (process,), noise = mixture.members, np.exp(mixture.members[0].theta[0])
    z = (model._scaled(x, "test")[1], (y - model._targets.center) / model._targets.scale)
    covariance = dense("rbf", process.theta, z[0], z[0], mixture.box)
    for i in range(len(x)):
        kept = np.arange(len(x)) != i
        old = covariance[np.ix_(kept, kept)] + np.diag(noise / w[kept])
        mean = covariance[i, kept] @ np.linalg.solve(old, z[1][kept])
        variance = covariance[i, i] - covariance[i, kept] @ np.linalg.solve(old, covariance[kept, i]) + noise / w[i]
        found = (model.leave_one_out_[i] - model._targets.center[0]) / model._targets.scale[0]
        assert abs(found - mean) < 1e-6
        assert abs(model.leave_one_out_std_[i] / model._targets.scale[0] - np.sqrt(variance)) < 1e-6


def test_linear_gaussian_data_have_the_exact_answer():
    rng = np.random.default_rng(0)
    x, weights, noise = rng.normal(size=(60, 3)), np.array([1.0, -2.0, 0.5]), 0.5
    y = x @ weights + 1 + noise * rng.normal(size=60)
    new = rng.normal(size=(200, 3))
    design, points = (np.column_stack([np.ones(len(a)), a]) for a in (x, new))
    exact = points @ np.linalg.lstsq(design, y)[0]
    inverse = np.linalg.inv(design.T @ design)
    std = noise * np.sqrt(1 + np.einsum("nd,de,ne->n", points, inverse, points))
    mean, found = KernelRegressor(random_state=0).fit(x, y).predict(new, return_std=True)
    assert np.sqrt(np.mean((mean - exact) ** 2)) < 0.2 * noise
    assert 0.8 < np.median(found / std) < 1.2


def test_quantiles_are_those_of_the_mixture():
    weights, means = np.array([0.3, 0.7]), np.array([[0.0, 1.0], [2.0, -1.0]])
    variances = np.array([[1.0, 0.1], [0.5, 2.0]])
    for level in (0.01, 0.5, 0.95):
        at = quantile(weights, means, variances, level)
        np.testing.assert_allclose(weights @ norm.cdf((at - means) / np.sqrt(variances)), level, atol=1e-12)
    draws = np.random.default_rng(0).normal(means[:, 0], np.sqrt(variances[:, 0]), size=(200_000, 2))
    drawn = np.where(np.random.default_rng(1).random(200_000) < 0.3, draws[:, 0], draws[:, 1])
    mean, std = combine(weights, means, variances)
    assert abs(mean[0] - drawn.mean()) < 0.02 and abs(std[0] - drawn.std()) < 0.02
    model, x, _ = one_process()
    low, middle, high = model.predict_quantiles(x)
    mean, std = model.predict(x, return_std=True)
    np.testing.assert_allclose((low, middle, high), (mean + std * norm.ppf([[0.05], [0.5], [0.95]])), atol=1e-10)


def test_the_gate():
    weights = gate({"a": 0.0, "b": -9.0, "c": -30.0}, {"a": 0.0, "b": -1.0, "c": 50.0}, 20)
    assert set(weights) == {"a", "b"} and abs(sum(weights.values()) - 1) < 1e-12
    assert abs(weights["b"] / weights["a"] - np.exp(-1)) < 1e-12


def test_averaged_hyperparameters_and_all_kernels():
    x, y = table(40, noise=0.3)
    model = KernelRegressor(random_state=0).fit(x, y)
    assert abs(sum(model.weights_[0].values()) - 1) < 1e-12
    drawn = {name for name, weight in model.weights_[0].items() if weight >= WORTH}
    names = [member.name for member in model.mixtures_[0].members]
    assert set(names) == set(model.weights_[0]) and len(names) > len(set(names)) and drawn
    assert all(names.count(name) <= (12 if name in drawn else 1) for name in names)
    assert set(model.evidence_[0]) == set(KERNELS) and model.log_evidence_ == max(model.evidence_[0].values())
    assert model.status_.converged and 0.15 < model.noise_ < 0.6
    new, truth = table(500, noise=0.0, seed=9)
    assert np.sqrt(np.mean((model.predict(new) - truth) ** 2)) < 0.3
    assert np.sqrt(np.mean((model.leave_one_out_ - y) ** 2)) < 0.6
    np.testing.assert_array_equal(clone(model).fit(x, y).predict(new), model.predict(new))


def test_many_rows_choose_on_few():
    x, y = table(310, d=2, noise=0.05)
    model = KernelRegressor(random_state=0).fit(x, y)
    assert len(model.evidence_[0]) == 2 and len(model.mixtures_[0].rows.y) == 310
    assert 0.03 < model.noise_ < 0.08
    small = KernelRegressor("rbf", subset=60, random_state=0).fit(x, y)
    new, truth = table(500, d=2, noise=0.0, seed=9)
    for one in (model, small):
        assert np.sqrt(np.mean((one.predict(new) - truth) ** 2)) < 0.05


def test_some_more_rows_get_all_kernels_that_few_let_in():
    found = {"a": 0.0, "b": -1.0, "c": -25.0, "d": -35.0, "linear": -28.0}
    judged = [Judged(Candidate(name, *[None] * 4), None, e, 0.0, 0.0) for name, e in found.items()]  # type: ignore[arg-type]
    names = {n: [one.candidate.name for one in _worth_all_rows(judged, n)] for n in (300, 301)}
    assert names == {300: ["a", "b", "c", "linear"], 301: ["a", "b"]}


def test_more_rows_than_a_factorisation_takes(monkeypatch):
    monkeypatch.setattr("numdl.estimators.kernels.base.LARGEST", 30)
    x, y = table(80, noise=0.05)
    with pytest.warns(ConvergenceWarning, match="80 different rows are more .* 30 of them"):
        model = KernelRegressor("rbf", average=False, random_state=0).fit(x, y)
    assert "30 of them" in model.status_.message and len(model.mixtures_[0].rows.y) == 30
    assert model.leave_one_out_.shape == (80,) and np.isfinite(model.leave_one_out_std_).all()


def test_each_target_has_its_noise():
    x, y = table(80, noise=0.0)
    rng = np.random.default_rng(2)
    c = np.column_stack([y + 0.02 * rng.normal(size=80), 100 * (x[:, 2] + 0.5 * rng.normal(size=80))])
    model = KernelRegressor("rbf", average=False, random_state=0).fit(x, c)
    assert 0.01 < model.noise_[0] < 0.04 and 35 < model.noise_[1] < 70
    mean, std = model.predict(x[:5], return_std=True)
    assert mean.shape == std.shape == (5, 2) and model.gradient(x[:5]).shape == (5, 2, 3)
    assert model.predict_quantiles(x[:5], (0.1, 0.9)).shape == (2, 5, 2) and model.leave_one_out_.shape == (80, 2)
    assert model.relevance_.shape == model.lengths_.shape == (2, 3)
    assert model.relevance_[1].argmax() == 2 and model.lengths_[1].argmin() == 2


@pytest.mark.parametrize("kernel", ["rbf", "legendre"])
def test_equal_weights_are_none_and_rows_of_weight_zero_are_absent(kernel):
    x, y = table(15)
    kept = np.arange(15) != 4
    make = KernelRegressor(kernel, random_state=0)
    weighted, absent = clone(make).fit(x, y, 2.5 * kept), clone(make).fit(x[kept], y[kept])
    for a, b in zip(weighted.predict(x, True), absent.predict(x, True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7)
    np.testing.assert_allclose(weighted.log_evidence_, absent.log_evidence_, rtol=1e-7)


@pytest.mark.quick("1-*", "2-rbf", "5-anova")
@pytest.mark.parametrize("kernel", SMOOTH)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_hardly_any_rows(kernel, n):
    x, y = table(n)
    mean, std = KernelRegressor(kernel, random_state=0).fit(x, y).predict(table(9)[0], return_std=True)
    assert np.isfinite(mean).all() and (std > 0).all() and np.isfinite(std).all()


@pytest.mark.parametrize("kernel", SMOOTH)
def test_columns_and_targets_that_say_nothing(kernel):
    x, y = table(12)
    x = np.column_stack([x, np.full(12, 3.0), 2 * x[:, 0] + 1])  # constant, collinear
    make = KernelRegressor(kernel, average=False, n_restarts=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = clone(make).fit(x, y)
        assert model.relevance_[3] == 0 and np.isinf(model.lengths_[3]) and (model.gradient(x)[:, 3] == 0).all()
        np.testing.assert_allclose(clone(make).fit(x, np.full(12, 7.0)).predict(x), 7, rtol=1e-6)
        everywhere = clone(make).fit(np.ones((12, 2)), y)  # nothing but the mean is left
    np.testing.assert_allclose(everywhere.predict(np.ones((1, 2))), y.mean(), rtol=0.2)


@pytest.mark.parametrize("kernel", SMOOTH[1:])
def test_data_without_noise_are_interpolated(kernel):
    x, y = table(40, d=1, noise=0.0)
    model = KernelRegressor(kernel, average=False, random_state=0).fit(x, y)
    new, truth = table(200, d=1, noise=0.0, seed=5)
    inside = (new[:, 0] > x.min()) & (new[:, 0] < x.max())
    assert np.abs(model.predict(new) - truth)[inside].max() < (0.05 if kernel == "matern52" else 2e-3)
    assert model.noise_ < 1e-2 and model.jitter_ > 0


def test_two_inputs_of_thirty_matter():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(90, 30))
    y = np.sin(3 * x[:, 4]) + x[:, 4] * x[:, 11] + 0.01 * rng.normal(size=90)
    model = KernelRegressor("anova", average=False, random_state=0).fit(x, y)
    assert set(np.argsort(model.relevance_)[-2:]) == {4, 11}
    assert np.delete(model.relevance_, [4, 11]).max() < 0.2 * model.relevance_[[4, 11]].min()


def test_jitter_is_told():
    """Two rows that differ by less than rounding, with different targets: the matrix is singular without help."""
    model, theta = problem("rbf")
    rows = model.rows
    near = Rows(np.vstack([rows.x, rows.x]), np.r_[rows.y, rows.y], np.ones(24), 0.0)
    double, theta = Evidence("rbf", near, model.box), theta.copy()
    theta[0] = np.log(1e-14)
    assert np.isfinite(double(theta)[0])
    trace = np.exp(theta[1]) * 24 + np.exp(theta[2]) * np.sum(near.x**2) + 24
    assert JITTER * trace < 1e-11


def test_a_file_holds_all(tmp_path):
    x, y = table(30)
    model = KernelRegressor(random_state=0).fit(x, np.column_stack([y, x[:, 0]]))
    model.save(tmp_path / "model.numdl")
    again, new = numdl.load(tmp_path / "model.numdl"), table(600, seed=3)[0]
    for a, b in zip(model.predict(new, True), again.predict(new, True), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.gradient(new), again.gradient(new))
    np.testing.assert_array_equal(model.leave_one_out_, again.leave_one_out_)
    assert again.weights_ == model.weights_ and again.status_ == model.status_ and again.evidence_ == model.evidence_
    assert isinstance(again.mixtures_[0], Mixture) and isinstance(again.mixtures_[0].members[0], Process)


def test_a_report(tmp_path):
    model, x, y = one_process()
    summary = model.summary(x, y)
    assert (
        "Gaussian processes, weights: rbf 100 %" in summary.status.message
        and summary.model == "kernel"
        and summary.interval.shape == (25, 1)
    )
    model.report(tmp_path / "page.html", x, y)
    assert (tmp_path / "page.html").read_text().count("rbf 100 %") == 1


def test_jax_is_never_imported(tmp_path):
    code = (
        "import sys, numpy as np, numdl; from numdl import KernelRegressor\n"
        "assert 'jax' not in sys.modules\n"
        "x = np.linspace(0, 1, 20)[:, None]; m = KernelRegressor(random_state=0).fit(x, np.sin(x[:, 0]))\n"
        "m.predict(x, True), m.gradient(x), m.predict_quantiles(x)\n"
        f"m.save({str(tmp_path / 'm')!r}); numdl.load({str(tmp_path / 'm')!r}).predict(x)\n"
        f"m.report({str(tmp_path / 'm.html')!r}, x, np.sin(x[:, 0]))\n"
        "assert 'jax' not in sys.modules and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kernel": "cubic"}, r"KernelRegressor\(kernel='cubic'\): unknown. Use one of 'auto', 'linear'"),
        ({"n_restarts": 0}, r"n_restarts=0\): needs a whole number >= 1"),
        ({"average": "often"}, r"average='often'\): unknown"),
        ({"subset": 1}, r"subset=1\): needs a whole number >= 2"),
        ({"subset": "few"}, r"subset='few'\): needs a whole number"),
    ],
)
def test_parameters_that_cannot_be_used(parameters, message):
    with pytest.raises(ValueError, match=message):
        KernelRegressor(**parameters).fit(*table())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x, y, w: x.__setitem__((4, 1), np.nan), r"fit: Input X contains NaN at column 1, row 5"),
        (lambda x, y, w: y.__setitem__(7, np.inf), r"fit: Input y contains infinity at row 8"),
        (lambda x, y, w: w.__setitem__(0, -1.0), "[Nn]egative"),
        (lambda x, y, w: w.fill(0.0), "weight"),
    ],
)
def test_data_that_cannot_be_used(spoil, message):
    (x, y), w = table(), np.ones(20)
    spoil(x, y, w)
    with pytest.raises(ValueError, match=message):
        KernelRegressor("rbf").fit(x, y, w)


def test_rows_and_levels_that_cannot_be_predicted():
    model, x, _ = one_process()
    x[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"KernelRegressor.predict: Input X contains NaN at column 1, row 3"):
        model.predict(x)
    with pytest.raises(ValueError, match=r"predict_quantiles\(quantiles=1.5\): needs numbers between 0 and 1"):
        model.predict_quantiles(table()[0], 1.5)


def test_means_do_not_depend_on_the_rows_beside_them():
    model, _, _ = one_process()
    new = table(700, seed=8)[0]
    whole = moments(model.mixtures_[0], model._scaled(new, "test")[1], std=True)
    alone = moments(model.mixtures_[0], model._scaled(new[600:610], "test")[1], std=True)
    for a, b in zip(whole, alone, strict=True):
        np.testing.assert_allclose(a[:, 600:610], b, rtol=1e-7)


def test_a_target_that_is_a_sum_of_heavy_tailed_columns_stays_one():
    """Without their tails columns of a balance erred by 0.28 deviations, where ridge errs by 0.002."""
    rng = np.random.default_rng(0)
    x = np.exp(2.5 * rng.normal(size=(160, 3)))
    y = x[:, 0] - x[:, 2] + 0.01 * rng.normal(size=160)
    model = KernelRegressor(random_state=0).fit(x[:120], y[:120])
    assert not (model._scaler.squash | model._scaler.logarithmic).any()
    assert np.sqrt(np.mean((model.predict(x[120:]) - y[120:]) ** 2)) < 0.02
    bent = np.log1p(x[:, 0]) + np.tanh(x[:, 1])  # what most heavy-tailed columns do
    assert KernelRegressor(random_state=0).fit(x, bent)._scaler.squash.any()
    grows = KernelRegressor(random_state=0, target_transform="log").fit(x, np.exp(np.minimum(y, 99) / 99 + 1))
    assert grows._scaler.squash.any()  # what goes on straight would be an exponential


def test_with_hardly_more_rows_than_inputs_tails_go_unasked():
    """There errors of rows left out are rounding; sparse counts stayed as they are and erred by 1.24 deviations."""
    rng = np.random.default_rng(1)
    x = (rng.random((120, 250)) < 0.05) * np.exp(rng.normal(size=(120, 250)) + 1.5)
    x[:, :5] = np.exp(2.5 * rng.normal(size=(120, 5)))
    y = np.log(x[:, :5]) @ np.ones(5)
    for d in (250, 100):
        scaler = tables._of_inputs(x[:, :d], (y - y.mean())[:, None] / y.std(), np.ones(120), straight=True)
        assert (scaler.squash | scaler.logarithmic).any()
