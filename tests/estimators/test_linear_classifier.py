"""Softmax and logistic classifier: agree with scikit-learn, choose alpha well, and survive what data may do."""

import dataclasses
import functools
import warnings

import jax
import jax.numpy as jnp
import lineax
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import numdl
from numdl import LogisticClassifier, SoftmaxClassifier
from numdl.problems import get_loss, linear_empirical
from numdl.problems.risk.dense_linear import DenseLinear, QuadraticPenalty
from numdl.regularize import OperatorPenalty

SOLVERS = ["auto", "newton-cg", "lbfgs", "gauss-newton", "steepest-descent", "nonlinear-cg"]


def table(n=90, d=5, k=3, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.geomspace(0.5, 2.0, d) + 1.0
    scores = (x - 1) @ rng.normal(size=(d, k)) + noise * rng.gumbel(size=(n, k))
    return x, np.array(["a", "b", "c", "d"])[np.argmax(scores, axis=1)]


def theirs(x, y, alpha, weights=None):
    n = len(x) if weights is None else np.sum(weights)
    model = LogisticRegression(C=1 / (n * alpha), tol=1e-12, max_iter=10000, solver="newton-cholesky")
    return model.fit(x, y, sample_weight=weights)


@pytest.mark.quick("True-auto", "False-newton-cg", "True-lbfgs", "False-gauss-newton", "True-steepest-descent")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_agrees_with_scikit_learn(solver, weighted):
    x, y = table()
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(x)) if weighted else None
    ours = SoftmaxClassifier(alpha=0.01, solver=solver, standardize=False, max_iter=20000, tol=1e-8)
    ours.fit(x, y, weights)
    other = theirs(x, y, 0.01, weights)
    assert ours.status_.converged and ours.solver_ in ours.status_.message
    np.testing.assert_allclose(ours.coef_, other.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, other.intercept_ - other.intercept_.mean(), atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(x), other.predict_proba(x), atol=1e-6)
    np.testing.assert_array_equal(ours.predict(x), other.predict(x))


def test_the_agreement_sees_a_planted_other_alpha():
    x, y = table()
    ours = SoftmaxClassifier(alpha=0.0101, standardize=False).fit(x, y)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(ours.coef_, theirs(x, y, 0.01).coef_, atol=1e-6)


@pytest.mark.quick("auto", "nonlinear-cg")
@pytest.mark.parametrize("solver", SOLVERS)
def test_logistic_agrees_with_scikit_learn(solver):
    x, y = table(k=2)
    ours = LogisticClassifier(alpha=0.02, solver=solver, standardize=False, max_iter=20000, tol=1e-9).fit(x, y)
    other = theirs(x, y, 0.02)
    np.testing.assert_allclose(ours.coef_, other.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, other.intercept_, atol=1e-6)
    np.testing.assert_allclose(ours.decision_function(x), other.decision_function(x), atol=1e-6)
    np.testing.assert_allclose(ours.predict_log_proba(x), other.predict_log_proba(x), atol=1e-6)


def test_standardising_is_scaling_before_the_fit():
    x, y = table()
    ours = SoftmaxClassifier(alpha=0.01).fit(x, y)
    scaled = StandardScaler().fit_transform(x)
    other = SoftmaxClassifier(alpha=0.01, standardize=False).fit(scaled, y)
    np.testing.assert_allclose(ours.predict_proba(x), other.predict_proba(scaled), atol=1e-10)
    units = SoftmaxClassifier(alpha=0.01).fit(1000 * x - 3, y)
    np.testing.assert_allclose(units.predict_proba(1000 * x - 3), ours.predict_proba(x), atol=1e-8)


def test_two_classes_by_softmax_and_by_logistic():
    """Scores s and -s share the penalty: softmax with twice the alpha is logistic."""
    x, y = table(k=2)
    softmax, logistic = SoftmaxClassifier(alpha=0.04).fit(x, y), LogisticClassifier(alpha=0.02).fit(x, y)
    np.testing.assert_allclose(softmax.decision_function(x), logistic.decision_function(x), atol=1e-8)
    assert softmax.coef_.shape == (2, 5) and logistic.coef_.shape == (1, 5)


@pytest.mark.quick("loo", "evidence")
@pytest.mark.parametrize("rule", ["loo", "cv", "evidence"])
def test_alpha_is_near_the_best_for_new_data(rule):
    x, y = table(n=120, d=12, noise=2.0)
    x_new, y_new = table(n=5000, d=12, noise=2.0)
    rng = np.random.default_rng(9)
    directions = np.random.default_rng(3).normal(size=(12, 3))
    x, x_new = rng.normal(size=(120, 12)), rng.normal(size=(20000, 12))
    y, y_new = (np.argmax(a @ directions + 2 * rng.gumbel(size=(len(a), 3)), axis=1) for a in (x, x_new))

    def loss(model):
        return -np.mean(model.predict_log_proba(x_new)[np.arange(len(y_new)), y_new])

    model = SoftmaxClassifier(alpha=rule, random_state=0).fit(x, y)
    best = min(loss(SoftmaxClassifier(alpha=a).fit(x, y)) for a in np.geomspace(1e-4, 10, 16))
    worst = loss(SoftmaxClassifier(alpha=1e-6).fit(x, y))
    assert loss(model) < best + 0.1 * (worst - best)
    path = model.path_
    assert np.all(np.diff(path["alpha"]) < 0) and {len(column) for column in path.values()} == {len(path["alpha"])}
    assert model.alpha_ == path["alpha"][np.argmin(path["criterion"])]


def test_warm_starts_along_the_path_spare_steps():
    x, y = table()
    model = SoftmaxClassifier(alpha="loo").fit(x, y)
    cold = [SoftmaxClassifier(alpha=a).fit(x, y).n_iter_ for a in model.path_["alpha"]]
    assert np.sum(model.path_["iterations"]) < 0.9 * np.sum(cold)


def test_warm_start_begins_at_the_last_fit():
    x, y = table()
    model = SoftmaxClassifier(alpha=0.01, warm_start=True, tol=1e-9).fit(x, y)
    first, proba = model.n_iter_, model.predict_proba(x)
    assert model.fit(x, y).n_iter_ == 1 < first
    np.testing.assert_allclose(model.predict_proba(x), proba, atol=1e-10)


@pytest.mark.parametrize("kind", ["array", "lineax"])
def test_an_operator_and_a_prior(kind):
    x, y = table(k=2)
    L = np.diff(np.eye(5), axis=0)
    operator = L if kind == "array" else lineax.MatrixLinearOperator(np.asarray(L, np.float32))
    smooth = LogisticClassifier(alpha=1e6, operator=operator, standardize=False).fit(x, y)
    np.testing.assert_allclose(smooth.coef_, smooth.coef_[0, 0], atol=1e-4)
    assert abs(smooth.coef_[0, 0]) > 1e-2, "constants cost nothing and help"
    prior = np.arange(5.0)
    for standardize in (False, True):
        held = LogisticClassifier(alpha=1e6, p_ref=prior, standardize=standardize).fit(x, y)
        np.testing.assert_allclose(held.coef_[0], prior, atol=1e-4)


def test_separable_data_end_with_a_status():
    x = np.r_[np.linspace(-2, -1, 10), np.linspace(1, 2, 10)][:, None]
    y = np.repeat([0, 1], 10)
    for model in (LogisticClassifier, SoftmaxClassifier):
        for solver in SOLVERS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                fit = model(alpha=1e-14, solver=solver, max_iter=300, tol=1e-14).fit(x, y)
            assert fit.status_.code in ("converged", "stalled", "max_iter"), solver
            assert np.all(np.isfinite(fit.coef_)) and fit.score(x, y) == 1.0
            assert np.all(np.isfinite(fit.history_["objective"]))


def test_a_best_alpha_at_the_edge_is_told():
    x = np.r_[np.linspace(-2, -1, 10), np.linspace(1, 2, 10)][:, None]
    with pytest.warns(ConvergenceWarning, match="smallest of all that were tried"):
        LogisticClassifier(alpha="loo").fit(x, np.repeat([0, 1], 10))
    rng = np.random.default_rng(0)
    with pytest.warns(ConvergenceWarning, match="largest of all that were tried.*no feature helps"):
        LogisticClassifier(alpha="loo").fit(rng.normal(size=(40, 8)), np.arange(40) % 2)


@pytest.mark.parametrize("calls", [0, 3])
def test_an_interrupted_choice_keeps_the_best_so_far(monkeypatch, calls):
    x, y = table()
    seen = []

    def criterion(dense, total):
        def judge(problem, solved):
            if len(seen) == calls:
                raise KeyboardInterrupt
            seen.append(float(problem.penalty.alpha))
            return -len(seen)

        return judge

    monkeypatch.setattr("numdl.estimators.linear.base.leave_one_out", criterion)
    if calls == 0:
        with pytest.raises(KeyboardInterrupt):
            SoftmaxClassifier(alpha="loo").fit(x, y)
        return
    with pytest.warns(ConvergenceWarning, match="after 3 alphas.*Fit again to finish it"):
        model = SoftmaxClassifier(alpha="loo").fit(x, y)
    assert model.status_.code == "interrupted" and "after 3 alphas" in model.status_.message
    np.testing.assert_allclose(model.alpha_, seen[-1])
    assert np.all(np.isfinite(model.predict_proba(x)))


@pytest.mark.parametrize("solver", ["gauss-newton", "newton-cg"])
def test_a_fit_that_is_interrupted_is_kept(monkeypatch, solver):
    x, y = table()
    hessian, curved, count = DenseLinear.hessian, DenseLinear.curved, []

    def interrupted(self, *args, method):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return method(self, *args)

    name, method = ("hessian", hessian) if solver == "gauss-newton" else ("curved", curved)
    monkeypatch.setattr(DenseLinear, name, functools.partialmethod(interrupted, method=method))
    with pytest.warns(ConvergenceWarning, match="after 2 steps.*Fit again to finish it"):
        model = SoftmaxClassifier(alpha=1e-3, solver=solver).fit(x, y)
    assert model.status_.code == "interrupted" and model.n_iter_ == 2 and np.all(np.isfinite(model.coef_))


@pytest.mark.quick("True-softmax", "True-logistic")
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("operator", [False, True])
def test_the_problem_in_numpy_is_the_compiled_one(loss, operator, x64):
    """Value, gradient, Hessian and its products; a planted other weight is seen."""
    rng, (n, d, k) = np.random.default_rng(0), (12, 3, 3 if loss == "softmax" else 1)
    x, w = rng.normal(size=(n, d)), rng.uniform(0.5, 1.5, n)
    labels = rng.integers(max(k, 2), size=n)
    c = np.eye(k)[labels] if k > 1 else labels[:, None].astype(float)
    L, reference = (np.diff(np.eye(d), axis=0), rng.normal(size=(k, d))) if operator else (None, None)
    held = None if reference is None else jnp.asarray(reference)
    theirs = linear_empirical(get_loss(loss), OperatorPenalty(jnp.asarray(0.3), L, held), x, c, w / w.mean())
    square = None if L is None else L.T @ L
    ours = DenseLinear(loss, QuadraticPenalty(0.3, square, reference), np.vstack([x.T, np.ones(n)]), c, w / w.mean())
    W, v = rng.normal(size=(2, k, d + 1))
    s, lin = ours.scores(W), theirs.linearize(jnp.asarray(W))
    assert ours.value(W) == pytest.approx(float(lin.value), rel=1e-13)
    assert ours.wrong(s) == pytest.approx(float(lin.metrics["train_error"]), rel=1e-13)
    np.testing.assert_allclose(ours.gradient(W, s), lin.gradient, atol=1e-14)
    np.testing.assert_allclose(ours.hessian(s), theirs.hessian(jnp.asarray(W)), atol=1e-14)
    np.testing.assert_allclose(ours.product(ours.curved(s), v), lin.curvature(jnp.asarray(v)), atol=1e-14)
    other = dataclasses.replace(ours, w=np.ones(n))
    assert abs(other.value(W) - float(lin.value)) > 1e-5


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_numbers_that_overflow_are_refused_by_name():
    x, y = table()
    with pytest.raises(ValueError, match=r"X contains infinity"):
        SoftmaxClassifier(dtype="float32", standardize=False, alpha=0.01).fit(1e100 * x, y)
    with pytest.raises(ValueError, match=r"p_ref contains infinity"):
        SoftmaxClassifier(alpha=0.01, p_ref=np.full(5, 1e300)).fit(1e10 * x, y)
    with pytest.raises(ValueError, match=r"the objective is (inf|nan) where it begins.*p_ref"):
        SoftmaxClassifier(alpha=0.01, p_ref=np.full(5, 1e200)).fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        far = LogisticClassifier(standardize=False).fit(1e300 * x, y == "a")
    assert np.all(np.isfinite(far.coef_))
    with pytest.raises(AttributeError, match="Fisher information overflows"):
        _ = far.coef_std_


def test_many_classes_need_no_matrix_for_each_sample():
    """n k^2 numbers would be 10 GB here."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2000, 3)), np.arange(2000) % 800
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = SoftmaxClassifier(alpha=0.1, max_iter=1).fit(x, y)
    assert fit.solver_ == "newton-cg" and np.all(np.isfinite(fit.coef_))


def test_linear_models_are_there_without_a_compiler():
    """Seconds of compiling were nearly all of a small fit."""
    x, y = table()
    seen = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: seen.append(event))
    for model in (SoftmaxClassifier(), SoftmaxClassifier(alpha="cv", solver="newton-cg"), LogisticClassifier()):
        model.fit(x[:77], y[:77] if model.__class__ is SoftmaxClassifier else y[:77] == "a").predict_proba(x)
    assert not [event for event in seen if "compile" in event]


def test_huge_scores():
    x, y = table()
    model = SoftmaxClassifier(alpha=0.01, standardize=False).fit(x, y)
    proba, logs = model.predict_proba(1e4 * x), model.predict_log_proba(1e4 * x)
    assert np.all(np.isfinite(proba)) and np.all(np.isfinite(logs)) and logs.min() < -1e3
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    start = SoftmaxClassifier(alpha=0.01, standardize=False, warm_start=True).fit(x, y)
    start.coef_ = 1e4 * start.coef_
    again = start.fit(x, y)
    np.testing.assert_allclose(again.coef_, model.coef_, atol=1e-5)


def test_single_precision():
    x, y = table()
    model = SoftmaxClassifier(alpha=0.01, dtype="float32", tol=1e-4).fit(x, y)
    double = SoftmaxClassifier(alpha=0.01).fit(x, y)
    np.testing.assert_allclose(model.predict_proba(x), double.predict_proba(x), atol=1e-3)


def test_the_large_way_agrees_with_the_small_one(monkeypatch):
    """Products in float32 and the preconditioner change the way, not the answer."""
    x, y = table(n=300, d=20)
    small = SoftmaxClassifier(alpha=1e-3, tol=1e-8).fit(x, y)
    monkeypatch.setattr("numdl.estimators.linear.base.LARGE", 0)
    large = SoftmaxClassifier(alpha=1e-3, tol=1e-8, solver="newton-cg").fit(x, y)
    assert large.status_.converged and np.sum(large.history_["products"]) < 60
    np.testing.assert_allclose(large.coef_, small.coef_, atol=1e-6)


def test_verbose_prints(capsys):
    x, y = table()
    SoftmaxClassifier(alpha=0.01, verbose=1).fit(x, y)
    assert "alpha 0.01: iteration 1, objective" in capsys.readouterr().out


@pytest.mark.quick("text-SoftmaxClassifier", "numbers-LogisticClassifier")
@pytest.mark.parametrize("model", [SoftmaxClassifier, LogisticClassifier])
@pytest.mark.parametrize("labels", ["text", "numbers"])
def test_a_loaded_classifier_is_the_saved_one(tmp_path, model, labels):
    x, y = table(k=2)
    y = y if labels == "text" else (y == "a").astype(int)
    fit = model(alpha="loo", operator=np.diff(np.eye(5), axis=0), random_state=3).fit(x, y)
    fit.save(tmp_path / "model.numdl")
    loaded = numdl.load(tmp_path / "model.numdl")
    np.testing.assert_array_equal(loaded.predict_proba(x), fit.predict_proba(x))
    np.testing.assert_array_equal(loaded.predict(x), fit.predict(x))
    np.testing.assert_array_equal(loaded.operator, fit.operator)
    assert loaded.status_ == fit.status_ and loaded.alpha_ == fit.alpha_ and loaded.random_state == 3
    for name in ("history_", "path_"):
        assert getattr(loaded, name).keys() == getattr(fit, name).keys()
    assert loaded.fit(x, y).alpha_ == fit.alpha_


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1.0}, r"alpha=-1.0\): needs a finite number >= 0"),
        ({"alpha": "gcv"}, r"alpha='gcv'\): unknown"),
        ({"solver": "sgd"}, r"solver='sgd'\): unknown.*'lbfgs'"),
        ({"tol": np.nan}, "tol=nan"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"operator": np.eye(4)}, r"operator has shape \(4, 4\), needs \(rows, 5\)"),
        ({"operator": np.full((1, 5), np.nan)}, "operator contains NaN"),
        ({"operator": lineax.MatrixLinearOperator(np.eye(3, dtype=np.float32))}, "acts on 3"),
        ({"p_ref": np.zeros(4)}, r"p_ref has shape \(4,\), needs \(3, 5\)"),
        ({"dtype": "float16"}, "dtype='float16'"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxClassifier(**options).fit(*table())


def test_data_that_cannot_be_used():
    x, y = table()
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        LogisticClassifier().fit(x, y)
    with pytest.raises(ValueError, match="one class only"):
        SoftmaxClassifier().fit(x, np.zeros(len(x)))
    with pytest.raises(ValueError, match="all rows of positive weight belong to one class"):
        SoftmaxClassifier().fit(x, y, np.where(y == "a", 1.0, 0.0))
    x[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN at column 2, row 4"):
        SoftmaxClassifier().fit(x, y)
