"""Multi-layer perceptrons and single layers: thin fronts of the machinery that residual networks use."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from small_models import labels, regressor, table

import numdl
from numdl import MLPClassifier, MLPRegressor, SingleLayerClassifier, SingleLayerRegressor
from numdl.estimators.networks.training.search_space import MLPs, ResNets
from numdl.models import MLP, ResNet

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = table()
FAST = {"max_iter": 12, "n_restarts": 1, "random_state": 0}
KINDS = [
    pytest.param(lambda **options: MLPRegressor(**{"widths": (4, 3)} | FAST | options), id="layers"),
    pytest.param(lambda **options: SingleLayerRegressor(**{"width": 4} | FAST | options), id="single"),
]


@pytest.mark.quick("layers")
@pytest.mark.parametrize("make", KINDS)
def test_regression_deviations_report_and_file(make, tmp_path):
    model = make().fit(X, Y)
    assert model.score(X, Y) > 0.8
    mean, std = model.predict(X, return_std=True)
    assert np.all(std > 0) and np.all(np.isfinite(std))
    model.save(tmp_path / "model.numdl")
    loaded = numdl.load(tmp_path / "model.numdl")
    for a, b in zip(loaded.predict(X, return_std=True), (mean, std), strict=True):
        np.testing.assert_array_equal(a, b)
    assert type(loaded) is type(model) and loaded.architecture_ == model.architecture_
    model.report(tmp_path / "page.html", X, Y)
    page = (tmp_path / "page.html").read_text()
    assert model._label in page and model.architecture_.title in page and "steps on" not in page
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


@pytest.mark.quick("MLPClassifier")
@pytest.mark.parametrize("make", [MLPClassifier, SingleLayerClassifier])
def test_classes_of_text_and_their_file(make, tmp_path):
    x, y = labels()
    model = make(4, **FAST).fit(x, y)
    assert model.score(x, y) > 0.7 and set(model.predict(x)) <= set(y)
    np.testing.assert_allclose(model.predict_proba(x).sum(axis=1), 1)
    model.save(tmp_path / "model.numdl")
    np.testing.assert_array_equal(numdl.load(tmp_path / "model.numdl").predict_proba(x), model.predict_proba(x))


def test_a_single_layer_is_the_residual_network_without_steps():
    single = SingleLayerRegressor(4, **FAST).fit(X, Y)
    residual = regressor(depth=0).fit(X, Y)
    np.testing.assert_array_equal(single.predict(X), residual.predict(X))
    layer = MLPRegressor(4, **FAST).fit(X, Y)
    assert layer.architecture_ == MLP(3, (4,))
    np.testing.assert_array_equal(layer.predict(X), single.predict(X))


@pytest.mark.parametrize("widths", [(4, 3), [4, 3], np.array([4, 3])])
def test_widths_in_any_form(widths, tmp_path):
    model = clone(MLPRegressor(widths, **FAST | {"max_iter": 3})).fit(X, Y)
    assert model.architecture_ == MLP(3, (4, 3))
    model.save(tmp_path / "model.numdl")
    loaded = numdl.load(tmp_path / "model.numdl")
    np.testing.assert_array_equal(loaded.widths, widths)
    loaded.fit(X, Y)


@pytest.mark.thorough
def test_grid_search_over_widths():
    search = GridSearchCV(MLPRegressor(**FAST), {"widths": [1, (4,), (3, 3)]}, cv=2).fit(X, Y)
    assert search.best_params_["widths"] in ((4,), (3, 3))


@pytest.mark.quick("single")
@pytest.mark.parametrize("make", KINDS)
def test_an_interrupted_fit_goes_on(make, tmp_path):
    def interrupt(record):
        if record["iteration"] == 3:
            raise KeyboardInterrupt

    file = tmp_path / "fit.checkpoint"
    model = make(checkpoint=file).fit(X, Y, observe=interrupt)
    assert model.status_.code == "interrupted" and file.exists()
    model.fit(X, Y)
    assert not file.exists()
    np.testing.assert_array_equal(model.predict(X), make().fit(X, Y).predict(X))


@pytest.mark.quick("options0")
@pytest.mark.parametrize("options", [{"dtype": "float32"}, {"activation": "sine"}, {"solver": "matrix-free"}])
def test_settings_of_the_machinery(options):
    model = MLPRegressor((4, 3), **FAST | options).fit(X, Y)
    assert model.score(X, Y) > 0.5


@pytest.mark.thorough
def test_warm_start_goes_on_from_the_weights():
    model = MLPRegressor((4, 3), warm_start=True, **FAST).fit(X, Y)
    before = model.history_["objective"]
    again = model.fit(X, Y).history_["objective"]
    assert again[0] < 0.5 * before[0]


def test_few_rows_and_one_column():
    MLPRegressor((3, 2), **FAST).fit(X[:2], Y[:2])
    x = np.linspace(-2, 2, 40)[:, None]
    assert MLPRegressor((3, 2), **FAST).fit(x, np.sin(x[:, 0])).score(x, np.sin(x[:, 0])) > 0.98


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        (0, r"MLPRegressor\(widths=0\): needs a whole number >= 1"),
        ((4, 0), r"widths=0\): needs a whole number >= 1"),
        ((4, 2.5), "needs a whole number >= 1"),
        ((4, True), "needs a whole number >= 1"),
        ((), r"widths=\(\)\): needs 'auto' or whole numbers"),
        ("wide", "widths='wide'.*needs 'auto' or whole numbers"),
        (None, "widths=None.*needs a whole number"),
        ([[4, 3]], "needs a whole number >= 1"),
    ],
)
def test_widths_that_cannot_be_built(widths, message):
    with pytest.raises(ValueError, match=message):
        MLPRegressor(widths, **FAST).fit(X, Y)


@pytest.mark.parametrize(
    ("model", "x", "y", "message"),
    [
        (MLPRegressor(), X, np.where(Y > 3, "a", "b"), "y holds text.*Use MLPClassifier for labels"),
        (MLPRegressor(), X, np.ones(len(X)), "the target is constant"),
        (SingleLayerRegressor(), X[:1], Y[:1], "n_samples = 1"),
        (
            SingleLayerClassifier(),
            np.where(X > 2, np.nan, X),
            np.arange(len(X)) % 2,
            "SingleLayerClassifier.fit: .*NaN",
        ),
        (SingleLayerRegressor(width=0), X, Y, r"SingleLayerRegressor\(width=0\)"),
        (MLPClassifier(activation="step"), X, Y > 3, "activation='step'"),
    ],
)
def test_refusals(model, x, y, message):
    with pytest.raises(ValueError, match=message):
        model.fit(x, y)


def test_unknown_parameters_are_refused():
    with pytest.raises(TypeError, match="depth"):
        SingleLayerRegressor(depth=3)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="Invalid parameter 'width'"):
        MLPRegressor().set_params(width=3)


def test_families():
    assert MLPs().candidates(3) == [MLP(3, (8, 8)), MLP(3, (16, 16))]
    assert MLPs((5,)).candidates(3) == [MLP(3, 5)] and MLPs().grows and not MLPs((5,)).grows
    assert MLP(3, (8, 4)).widened() == MLP(3, (16, 8)) and ResNet(3, 4, 2).widened() == ResNet(3, 8, 2)
    # Without steps, all dynamics are one network: it is trained once.
    assert ResNets(width=4, depth=0).candidates(3) == [ResNet(3, 4, 0)]
    assert ResNets(depth=0).candidates(3) == [ResNet(3, 8, 0), ResNet(3, 16, 0)]
