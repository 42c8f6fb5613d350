"""Numbers that can be trusted: a noise for each target, relative weights, constant columns, threads and forks."""

import dataclasses
import functools
import os
import subprocess
import sys
import threading
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

from numdl import load
from numdl.contracts.threads import one_blas_thread, require_threads
from numdl.estimators import (
    AutoClassifier,
    AutoRegressor,
    KernelRegressor,
    LogisticClassifier,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
    ResNetRegressor,
    SingleLayerClassifier,
    SingleLayerRegressor,
    TikhonovRegressor,
)
from numdl.estimators.common.plain import formula_of, read_plain
from numdl.estimators.common.reporting import predicted_as_seen
from numdl.estimators.common.weights import raw_weights, sample_weights, weighed
from numdl.estimators.kernels import base, search
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.logarithm import Bounds, bounds, in_units, lift
from numdl.estimators.kernels.mixture import combine, slopes, tails
from numdl.export import describe
from numdl.report.measures import coverage

UNITS, NOISE = np.array([100.0, 1e-3, 5.0]), np.array([0.02, 0.5, 0.1])


def table(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    f = np.stack([np.sin(2 * x[:, 0]) + x[:, 1], np.exp(x[:, 0]) * x[:, 1], x[:, 0] ** 2 - x[:, 1]], axis=1)
    return x, UNITS * (f + NOISE * rng.standard_normal(f.shape))


def uneven(n, seed=0):
    """Rows of deviations from 0.01 to 0.5."""
    rng = np.random.default_rng(seed)
    x, sigma = rng.uniform(-1, 1, (n, 1)), 10 ** rng.uniform(-2, -0.3, n)
    return x, 1 + np.sin(2 * x[:, 0]) + sigma * rng.standard_normal(n), sigma


def test_three_targets_have_three_noises():
    x, y = table(150)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SingleLayerRegressor(width=8, n_restarts=1, max_iter=60, random_state=0).fit(x, y)
    new, target = table(1000, 1)
    mean, std = model.predict(new, return_std=True)
    errors = np.sqrt(np.mean((mean - target) ** 2, axis=0))
    assert (errors < 1.5 * NOISE * UNITS).all()
    ratio = std.mean(axis=0) / errors
    assert ((ratio > 0.75) & (ratio < 1.35)).all(), ratio
    # mutant: one noise for all is 5 times too large for the first
    shared = np.sqrt(np.mean((errors / UNITS) ** 2)) * UNITS
    assert (shared / errors).max() > 5


def test_relative_weights_have_the_sum_of_kish():
    w = np.array([1.0, 2.0, 0.0, 4.0])
    for factor in (1.0, 1e-300, 1 / 3, 1e300):
        found = sample_weights("call", factor * w, np.empty((4, 1)))
        np.testing.assert_allclose(found.sum(), 49 / 21, rtol=1e-11)
        np.testing.assert_allclose(found / found[0], w, rtol=1e-11)
    assert sample_weights("call", np.full(7, 1e-9), np.empty((7, 1))).tolist() == [1.0] * 7
    parts = weighed(w[2:], weighed(w[:2]).sums)
    np.testing.assert_allclose(parts.n, weighed(w).n, rtol=1e-14)
    assert raw_weights("call", w, np.empty((4, 1))).tolist() == w.tolist()


@pytest.mark.parametrize("model", [TikhonovRegressor(), KernelRegressor("rbf", random_state=0)])
def test_no_factor_on_the_weights_changes_a_fit(model):
    x, y, sigma = uneven(40)
    first = model.fit(x, y, sample_weight=1 / sigma**2).predict(x, return_std=True)
    for factor in (1e-9, 1e6):
        again = model.fit(x, y, sample_weight=factor / sigma**2).predict(x, return_std=True)
        np.testing.assert_allclose(again, first, rtol=1e-5)


def test_inverse_variances_as_weights_give_calibrated_intervals():
    x, y, sigma = uneven(100)
    new, target, _ = uneven(1000, 1)
    model = KernelRegressor("rbf", random_state=0).fit(x, y, sample_weight=1 / sigma**2)
    mean, std = model.predict(new, return_std=True)
    truth = 1 + np.sin(2 * new[:, 0])
    plain = KernelRegressor("rbf", random_state=0).fit(x, y).predict(new)
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 0.5 * np.sqrt(np.mean((plain - truth) ** 2))
    assert 0.86 < np.mean(np.abs(mean - target) < 1.645 * std) < 0.95


@pytest.mark.parametrize("rows", [slice(None), slice(0, 20)])
def test_rows_in_pieces_have_weights_relative_to_all(rows):
    x, y, sigma = uneven(40)
    w = 1e-5 / sigma**2
    whole = TikhonovRegressor().fit(x, y, sample_weight=w)
    pieces = TikhonovRegressor().partial_fit(x[rows], y[rows], sample_weight=w[rows])
    if rows.stop:
        pieces.partial_fit(x[20:], y[20:], sample_weight=w[20:])
    assert pieces.alpha_ == pytest.approx(whole.alpha_, rel=1e-6)
    np.testing.assert_allclose(pieces.coef_, whole.coef_, rtol=1e-8)


@pytest.mark.parametrize(
    "model",
    [
        RandomFeaturesRegressor(20, scale=1.0, random_state=0),
        TikhonovRegressor(standardize=True),
        KernelRegressor("rbf", random_state=0),
        AutoRegressor(random_state=0),
        ResNetRegressor(width=3, depth=2, max_iter=2, random_state=0),
        LogisticClassifier(0.1),
        RandomFeaturesClassifier(20, scale=1.0, random_state=0),
        AutoClassifier(random_state=0),
    ],
)
@pytest.mark.filterwarnings("ignore:.*raise max_iter:sklearn.exceptions.ConvergenceWarning")
def test_a_constant_column_cannot_move_a_prediction(tmp_path, model):
    """Nor keep a file from being loaded: the rows that ask whether its parts fit together were infinite there."""
    x, y, _ = uneven(30)
    classes = hasattr(model, "classes_") or "Classifier" in type(model).__name__
    model.fit(np.column_stack([x, np.full(30, 7.3)]), y > 1 if classes else y)
    model.save(tmp_path / "m")
    loaded, asked = load(tmp_path / "m"), "predict_proba" if classes else "predict"
    for one in (model, loaded):
        here, far = (getattr(one, asked)(np.column_stack([x, np.full(30, value)])) for value in (7.3, -1e4))
        np.testing.assert_allclose(far, here, rtol=1e-12, atol=1e-12)
    plain = formula_of(read_plain(tmp_path / "m")[0], std=False)
    assert plain is not None


def test_threads_give_the_threads_of_the_blas_back():
    def setting():
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    before, inside, leave = setting(), threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        inside.wait(10)
    assert set(setting()) <= {1}, "the other one is still at work"
    leave.set()
    thread.join()
    assert setting() == before


THREADS = """
import threading, scipy.linalg
from threadpoolctl import threadpool_info
from numdl.contracts.threads import one_blas_thread
setting = lambda: {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}
inside, leave, left, end = (threading.Event() for _ in range(4))
def other():
    with one_blas_thread():
        print("other", setting())
        inside.set()
        leave.wait(10)
    left.set()
    end.wait(10)  # still alive, as threads of a pool are
print("before", setting())
with one_blas_thread():
    print("main", setting())
thread = threading.Thread(target=other)
thread.start()
inside.wait(10)
with one_blas_thread():
    leave.set()
    left.wait(10)
    print("both", setting())
print("after", setting())
end.set()
"""


def test_threads_heed_each_other_after_a_fit_in_the_main_one():
    """threadpoolctl from 3.8 on heeds the first thread that sets something, as long as it lives."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, timeout=60)
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    if told.get("before") != "{2}":
        pytest.skip(f"the BLAS has not two threads here, but {told.get('before')}: {done.stderr}")
    assert told == {"before": "{2}", "main": "{1}", "other": "{1}", "both": "{1}", "after": "{2}"}, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_is_refused_after_work_in_jax():
    require_threads("here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        try:
            require_threads("ResNetRegressor.fit")
        except RuntimeError as error:
            os._exit(3 if "forked" in str(error) else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def positive(n, seed=0):
    """A target over nine decades, one that is plain, and the median of the first at each row."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    middle = 1e-3 * 10 ** (4.5 * np.sin(1.5 * x[:, 0]) * (1 + 0.1 * x[:, 1]))
    noise = rng.standard_normal((n, 2))
    plain = 5 + x[:, 0] + x[:, 1] ** 2 + 0.2 * noise[:, 1]
    return x, np.stack([middle * np.exp(0.2 * noise[:, 0]), plain], axis=1), middle


@pytest.fixture(scope="module")
def decades():
    x, y, _ = positive(70)
    return KernelRegressor("rbf", average=False, random_state=0).fit(x, y)


def test_targets_over_decades_are_seen_by_their_logarithm(decades):
    new, y, middle = positive(1000, 1)
    assert decades.logarithm_.tolist() == [True, False]
    assert decades.gain_[0] > 0.6 * 70
    mean, std = decades.predict(new, return_std=True)
    low, median, high = decades.predict_quantiles(new)[:, :, 0]
    assert (mean > 0).all()
    assert (low > 0).all()
    assert np.sqrt(np.mean(np.log(median / middle) ** 2)) < 0.25  # of 20 for all decades
    assert 0.85 < np.mean((low < y[:, 0]) & (y[:, 0] < high)) < 0.95
    # a lognormal distribution by its median and the 95 % quantile
    sigma = np.log(high / median) / 1.6448536269514722
    np.testing.assert_allclose(mean[:, 0], median * np.exp(sigma**2 / 2), rtol=1e-9)
    np.testing.assert_allclose(std[:, 0], mean[:, 0] * np.sqrt(np.expm1(sigma**2)), rtol=1e-7)
    assert "logarithm of 1 of 2" in decades.status_.message
    summary = decades.summary(new, y)
    assert summary.facts["Target"].startswith("by the logarithm of 1 of 2, which gains")
    inside = np.mean((low < y[:, 0]) & (y[:, 0] < high))
    assert coverage(summary, (0.9,), 0) == pytest.approx(inside, abs=1e-12)
    # mutant: intervals of the mean and deviation, as if it were normal
    assert coverage(dataclasses.replace(summary, below=None), (0.9,), 0) != pytest.approx(inside, abs=1e-12)


def test_importance_of_a_logarithm_asks_for_no_variances_of_shuffled_rows(decades, monkeypatch):
    x, y, _ = positive(80, 3)
    by_log, asked, inner = np.array([True, False]), [], base.moments
    medians = predicted_as_seen(decades, x, by_log)
    np.testing.assert_allclose(decades._centres(x, by_log), medians, rtol=1e-10)  # of one member
    np.testing.assert_allclose(decades._centres(x, ~by_log), decades.predict(x), rtol=1e-12)
    monkeypatch.setattr(
        base, "moments", lambda mixture, x, *, std: asked.append((len(x), std)) or inner(mixture, x, std=std)
    )
    found = decades.summary(x, y).effects["importance"]
    assert (80 * 7, False) in asked and (80 * 7, True) not in asked  # two inputs, three shuffles, and the rows
    assert found[0] > 5 * abs(found[1])


def test_evidence_of_a_logarithm_is_that_of_the_target(decades):
    """In other units densities change by the unit, whatever members see."""
    x, y, _ = positive(70)
    other = KernelRegressor("rbf", average=False, random_state=0).fit(x, 1e4 * y)
    np.testing.assert_allclose(other.log_evidence_, np.asarray(decades.log_evidence_) - 70 * np.log(1e4), rtol=1e-5)
    np.testing.assert_allclose(other.gain_, decades.gain_, rtol=1e-5)
    np.testing.assert_allclose(other.leave_one_out_, 1e4 * decades.leave_one_out_, rtol=1e-5)


def test_moments_of_mixtures_of_lognormal_distributions():
    weights, m, v = np.array([0.3, 0.7]), np.array([[0.2], [-0.4]]), np.array([[0.5], [0.1]])
    mean, std = np.exp(1.5) * np.array(combine(weights, *in_units(m, v, 1.5, 0.8, Bounds())))
    z, w = np.polynomial.hermite_e.hermegauss(60)
    y = np.exp(1.5 + 0.8 * (m + np.sqrt(v) * z))
    first, second = (float(weights @ (y**power) @ w) / np.sqrt(2 * np.pi) for power in (1, 2))
    np.testing.assert_allclose([mean[0], std[0]], [first, np.sqrt(second - first**2)], rtol=1e-12)
    for center in (-300.0, 0.0, 690.0):
        assert np.isfinite(np.exp(center) * in_units(np.array(1e9), np.array(1e9), center, 1.0, Bounds())[0])


def test_who_knows_nothing_of_a_logarithm_predicts_mean_and_deviation_of_all_targets():
    y = np.random.default_rng(0).uniform(-8, 9, 60)
    w = np.r_[np.zeros(20), np.full(40, 2.0)]
    most, seen = bounds(y, w), np.exp(y[20:])
    mean, variance = in_units(np.array([0.0]), np.array([1.5]), y[20:].mean(), y[20:].std(), most)
    unit = np.exp(y[20:].mean())
    np.testing.assert_allclose([unit * mean[0], unit * np.sqrt(variance[0])], [seen.mean(), seen.std()], rtol=1e-12)
    assert 0.5 * 1.5 * y[20:].var() > np.log(seen.mean() / unit) + 2  # mutant: that of a lognormal distribution
    lifted = lift(np.array([0.0, most.top - 1, most.top + 3]), np.full(3, 1e3), most)
    np.testing.assert_allclose(lifted, [0.5 * most.of_mean, 1.0, 0.5])


def lifetimes(n, seed):
    """Lifetimes over nine decades where the input that decides is missing in a fifteenth of the rows."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    y = np.exp(8 + 9 * x[:, 0] - 4 * x[:, 1] ** 2 + 0.3 * rng.normal(size=n))
    gap = (rng.random(n) < 0.07) * 1.0
    return np.column_stack([np.where(gap > 0, 0.0, x[:, 0]), x[:, 1], gap]), y


def test_rows_without_the_input_that_decides_are_predicted_within_the_targets(tmp_path):
    x, y = lifetimes(200, 0)
    model = KernelRegressor(average=False, random_state=0).fit(x, y)
    assert model.logarithm_.all()
    x[:, 2] = 1.0
    x[:, 0] = 0.0
    mean, std = model.predict(x, return_std=True)
    assert mean.max() < 1.7 * y.max() and np.median(mean) < 3 * y.mean() and (std < 100 * y.std()).all()
    model.save(tmp_path / "m.numdl")
    for one, other in zip(load(tmp_path / "m.numdl").predict(x, return_std=True), (mean, std), strict=True):
        np.testing.assert_array_equal(one, other)
    described = describe(model, std=True)
    for one, other in zip(described.evaluate(x), (mean, std), strict=True):
        np.testing.assert_allclose(np.ravel(one), other, rtol=1e-10)
    assert np.isfinite(model.predict(1e6 * x, return_std=True)).all()


def test_the_gradient_of_a_logarithm_by_formula_and_by_differences(decades):
    x = positive(5, 2)[0]
    gradient, h = decades.gradient(x), 1e-5
    for i, step in enumerate(h * np.eye(2)):
        differences = (decades.predict(x + step) - decades.predict(x - step)) / (2 * h)
        np.testing.assert_allclose(gradient[:, :, i], differences, rtol=1e-6, atol=1e-9)
    rows = decades._scaled(x, "gradient")[1]
    own = decades._slopes_of_lognormal(0, rows) * decades._scaler.derivative(x)
    np.testing.assert_allclose(own, gradient[:, 0], rtol=1e-6)
    mean = decades.predict(x)[:, 0, None]  # mutant: variances that do not change
    still = mean * slopes(decades.mixtures_[0], rows) * decades._targets.scale[0] * decades._scaler.derivative(x)
    assert np.abs(still / gradient[:, 0] - 1).max() > 1e-3


def test_a_logarithm_is_asked_for_forbidden_and_kept_in_files(decades, tmp_path):
    x, y, _ = positive(30)
    fit = functools.partial(KernelRegressor, "linear", random_state=0)
    assert not fit(target_transform=None).fit(x, y).logarithm_.any()
    assert fit(target_transform="log").fit(x, y).logarithm_.all()
    with pytest.raises(ValueError, match="target 0 is 0 in row 3, and only positive"):
        fit(target_transform="log").fit(x, np.where(np.arange(30) == 3, 0.0, y[:, 0]))
    assert not fit().fit(x, np.where(np.arange(30) == 3, 0.0, y[:, 0])).logarithm_.any()
    with pytest.raises(ValueError, match="target_transform='sqrt'"):
        fit(target_transform="sqrt").fit(x, y)
    decades.save(tmp_path / "m.numdl")
    np.testing.assert_array_equal(load(tmp_path / "m.numdl").predict(x), decades.predict(x))


def test_the_summary_names_constant_columns():
    x, y, _ = uneven(30)
    model = KernelRegressor("rbf", random_state=0).fit(np.column_stack([np.full(30, 7.3), x]), y)
    assert model.summary().facts["Constant inputs"] == "0: left out"


@pytest.mark.parametrize("kind", [KernelRegressor, AutoClassifier])
def test_rows_outside_the_training_rows_are_marked(kind):
    rng = np.random.default_rng(0)

    def rows(n):
        a, b = rng.uniform(-1, 1, (2, n))
        return np.column_stack([a, a + 0.01 * b, np.full(n, 3.0), b**3])

    x = rows(80)
    options = {"kernel": "linear"} if kind is KernelRegressor else {"time_budget": 1e-3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind(random_state=0, **options).fit(x, x[:, 0] > 0)
    assert not model.is_outside(x).any()
    assert model.is_outside(rows(2000)).mean() < 0.01
    inside, far = x[0], np.array([[2.0, 2.0, 3.0, 0.0], [0.5, -0.5, 3.0, 0.0], [0.5, 0.5, 4.0, 0.0]])
    assert model.is_outside(far).all(), "beyond a range; usual alone, not together; another constant"
    low, high = x.min(axis=0), x.max(axis=0)  # mutant: ranges alone do not see the second
    assert ((far[1] >= low) & (far[1] <= high)).all()
    summary = model.summary(np.vstack([inside, far]), np.array([1, 0, 0, 1]) > 0)
    assert summary.facts["Extrapolations"] == "3 of 4 rows shown lie outside the training rows"


def test_an_interruption_within_a_grid_search_ends_it(monkeypatch):
    calls = []

    def interrupted(*args, **settings):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return optimise(*args, **settings)

    optimise = search.optimise
    monkeypatch.setattr(search, "optimise", interrupted)
    x, y, _ = uneven(20)
    fit = KernelRegressor(n_restarts=1, average=False, target_transform=None, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert fit.fit(x, y).status_.code == "interrupted", "alone it keeps what it has"
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(fit, {"average": [True, False]}, cv=2).fit(x, y)
    assert len(calls) == 2


def test_a_second_interruption_ends_a_fit():
    clock = Clock(None)

    def interrupt(needed=False):
        with clock.guard(needed=needed):
            raise KeyboardInterrupt

    interrupt()
    assert clock.interrupted
    with pytest.raises(KeyboardInterrupt):
        interrupt()


@pytest.mark.parametrize(
    "model",
    [
        LogisticClassifier(0.1, max_iter=3),
        pytest.param(
            SingleLayerClassifier(width=3, max_iter=3, n_restarts=1, random_state=0), marks=pytest.mark.thorough
        ),
    ],
)
def test_classifiers_work_where_jax_promotes_nothing(model):
    x, y, _ = uneven(30)
    with jax.numpy_dtype_promotion("strict"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.fit(x, y > 1).predict_proba(x)
        with pytest.raises(Exception, match="promotion"):
            jnp.zeros(2) + jnp.arange(2)  # the setting is on
    assert np.isfinite(found).all()


def test_weights_of_classes_are_weights_of_rows():
    x, y, _ = uneven(30)
    labels = np.where(y > 1.6, "high", "low")
    factors = np.where(labels == "high", 3.0, 1.0)
    wanted = LogisticClassifier(0.1).fit(x, labels, sample_weight=factors).coef_
    found = LogisticClassifier(0.1, class_weight={"high": 3.0, "low": 1.0}).fit(x, labels).coef_
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    balanced = LogisticClassifier(0.1, class_weight="balanced").fit(x, labels)
    assert np.mean(balanced.predict(x) == "high") > np.mean(LogisticClassifier(0.1).fit(x, labels).predict(x) == "high")
    with pytest.raises(ValueError, match=r"LogisticClassifier\(class_weight\).*Give 'balanced', or a dictionary"):
        LogisticClassifier(0.1, class_weight="even").fit(x, labels)


@pytest.mark.parametrize(
    "model",
    [
        AutoClassifier(time_budget=0.01, random_state=0),
        RandomFeaturesClassifier(20, scale=1.0, alpha=0.01, random_state=0),
        SingleLayerClassifier(width=2, max_iter=3, n_restarts=1, random_state=0),
    ],
)
def test_every_classifier_has_weights_of_classes(model):
    x, y, _ = uneven(30)
    labels = np.where(y > 1.6, "high", "low")
    factors = np.where(labels == "high", 3.0, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = clone(model).fit(x, labels, sample_weight=factors).predict_proba(x)
        found = clone(model).set_params(class_weight={"high": 3.0}).fit(x, labels).predict_proba(x)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    with pytest.raises(ValueError, match=r"\(class_weight\): 'hihg' is no label of y, which holds 'high', 'low'"):
        clone(model).set_params(class_weight={"hihg": 3.0}).fit(x, labels)


@pytest.mark.parametrize("estimator", [KernelRegressor, AutoRegressor])
def test_copies_of_rows_do_not_say_that_there_is_no_noise(estimator):
    """A quarter of the rows twice: the error rose from 0.038 to 0.185, and 90 % intervals held 70 %."""
    rng = np.random.default_rng(0)
    X, new = rng.uniform(0, 1, (120, 2)), rng.uniform(0, 1, (1000, 2))
    f = [np.sin(5 * x[:, 0]) + x[:, 1] for x in (X, new)]
    y, seen = (c + 0.1 * rng.standard_normal(len(c)) for c in f)
    copied = np.r_[np.arange(120), np.arange(30)]
    mean, std = estimator(random_state=0).fit(X[copied], y[copied]).predict(new, return_std=True)
    assert np.sqrt(np.mean((mean - f[1]) ** 2)) < 0.06
    assert 0.84 < np.mean(np.abs(seen - mean) < 1.645 * std) < 0.95


def test_equal_values_of_a_target_with_few_values_are_observations():
    """Ratings at three settings: that two agree is no copy, and all count."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(3, size=(200, 1)).astype(float), rng.integers(1, 6, 200).astype(float)
    assert KernelRegressor(random_state=0).fit(x, y).mixtures_[0].rows.w.sum() == 200
    y = rng.standard_normal(200)
    copied = np.r_[np.arange(200), np.arange(60)]
    model = KernelRegressor(random_state=0).fit(x[copied], y[copied])
    np.testing.assert_allclose(model.mixtures_[0].rows.w.sum(), 200, rtol=1e-12)
    np.testing.assert_array_equal(model.leave_one_out_[200:], model.leave_one_out_[:60])


@pytest.mark.parametrize("noise", ["normal", "two sizes"])
def test_intervals_have_the_shape_of_the_errors(noise, tmp_path):
    """Every tenth error ten times as large: half of the new ones lay within intervals for 90 %."""
    rng = np.random.default_rng(1)
    x, new = rng.uniform(0, 1, (300, 1)), rng.uniform(0, 1, (4000, 1))
    size = np.where(rng.uniform(size=4300) < 0.9, 0.02, 0.2) if noise == "two sizes" else np.full(4300, 0.05)
    error = size * rng.standard_normal(4300)
    y, seen = np.sin(5 * x[:, 0]) + error[:300], np.sin(5 * new[:, 0]) + error[300:]
    model = KernelRegressor(random_state=0).fit(x, y)
    shape = model.mixtures_[0].tails
    assert (shape.share == 1) == (noise == "normal")
    low, lower, upper, high = model.predict_quantiles(new, (0.05, 0.25, 0.75, 0.95))
    assert 0.45 < np.mean((lower < seen) & (seen < upper)) < 0.55
    assert 0.86 < np.mean((low < seen) & (seen < high)) < 0.94
    below = model._below(new, seen[:, None])[:, 0]
    np.testing.assert_array_equal(below < 0.25, seen < lower)
    model.save(tmp_path / "m.numdl")
    np.testing.assert_array_equal(load(tmp_path / "m.numdl").predict_quantiles(new), model.predict_quantiles(new))


def test_one_gross_error_is_a_tail():
    """Both densities vanished in floating point: NaN, a warning and a normal shape."""
    off = np.random.default_rng(0).standard_normal(6000)
    off[0] = 1e3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tails(off)
    assert found.share > 0.999 and 0.9 < found.narrow < 1.1 and found.wide == pytest.approx(1e6, rel=1e-2)


def test_ctrl_c_before_the_first_step(monkeypatch):
    """While the first step is compiled: once a KeyError about penalties that nobody had set."""
    from numdl.contracts import Status
    from numdl.estimators.networks.training import trainer

    minimize, calls = trainer.minimize, []

    def cut_short(*arguments, **options):
        calls.append(options["max_iter"])
        if len(calls) <= spared:
            return minimize(*arguments, **options)
        result, progress = minimize(*arguments, **options | {"max_iter": 0})
        return result._replace(status=Status("interrupted", "Ctrl-C came after 0 iterations.")), progress

    monkeypatch.setattr(trainer, "minimize", cut_short)
    X = np.random.default_rng(0).normal(size=(30, 2))
    model, spared = SingleLayerRegressor(width=3, max_iter=4, n_restarts=2, random_state=0), 0
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, X)
    calls.clear()
    spared = 1  # and with one network that is trained, this one predicts
    with pytest.warns(match="Ctrl-C came"):
        model.fit(X, X)
    assert model.status_.code == "interrupted" and len(model.members_) == 1
    assert np.isfinite(model.predict(X)).all()
