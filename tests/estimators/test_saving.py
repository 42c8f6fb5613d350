"""A stored estimator predicts what it predicted before; a file can name no class but ours."""

import dataclasses
import json
import re
import warnings

import jax.numpy as jnp
import lineax
import numpy as np
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator, clone

import numdl
from numdl.container import read_container, write_container
from numdl.estimators.common import saving
from numdl.estimators.common.codec import Encoder, decode
from numdl.estimators.common.saving import SaveMixin, load, load_with_extra, save
from numdl.flow import DYNAMICS, Dynamics, damped, get_dynamics
from numdl.models import ResNet
from numdl.regularize.selectors import Choice


class Line(SaveMixin, BaseEstimator):
    """The smallest fitted thing: it keeps its slope and what it was asked to do."""

    def __init__(self, how=None):
        self.how = how

    def fit(self, slope):
        self.slope_ = np.asarray(slope)
        return self

    def predict(self, X):
        return X @ self.slope_


def test_a_model_and_its_extra_come_back(tmp_path):
    path = tmp_path / "line.numdl"
    save(Line({"note": "ü"}).fit([1.0, 2.0]), path, {"encoder": {"names": ["a", "b"]}})
    model, extra = load_with_extra(path)
    assert isinstance(model, Line)
    np.testing.assert_array_equal(model.slope_, [1.0, 2.0])
    assert model.how == {"note": "ü"}
    assert extra == {"encoder": {"names": ["a", "b"]}}
    assert isinstance(load(str(path)), Line)


def test_without_extra_it_is_empty(tmp_path):
    save(Line().fit([1.0]), tmp_path / "x")
    assert load_with_extra(tmp_path / "x")[1] == {}


def test_the_header_names_versions(tmp_path):
    save(Line().fit([1.0]), tmp_path / "x")
    _, header = read_container(tmp_path / "x", kind="model")
    assert header["class"] == "Line"
    assert header["versions"]["numdl"] == numdl.__version__
    assert header["versions"]["numpy"] == np.__version__
    assert set(header["versions"]) == {"numdl", "python", *saving.LIBRARIES}


def test_other_objects_are_not_stored(tmp_path):
    from sklearn.linear_model import Ridge

    with pytest.raises(ValueError, match=r"save\(Ridge\): only estimators of numdl can be stored \(.*Line.*\)"):
        save(Ridge(), tmp_path / "x")
    impostor = type("Line", (Line,), {})
    with pytest.raises(ValueError, match="another class has this name"):
        save(impostor().fit([1.0]), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Pickle", "os.system", "builtins.eval", "annotations", "__all__", None, "Any"])
def test_a_file_cannot_name_another_class(tmp_path, name):
    header = {"class": name, "versions": {"numdl": "9.9"}, "state": {}, "extra": {}}
    write_container(tmp_path / "x", {}, header, kind="model")
    with pytest.raises(ValueError, match=rf"holds a {re.escape(str(name))}, .*; use numdl 9\.9, which wrote it"):
        load(tmp_path / "x")


def test_other_kinds_and_missing_files_are_refused(tmp_path):
    write_container(tmp_path / "x", {}, {}, kind="checkpoint")
    with pytest.raises(ValueError, match="holds a checkpoint, needed is a model"):
        load(tmp_path / "x")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load(tmp_path / "absent")


def round_trip(value):
    encoder = Encoder()
    stored = encoder.encode(value, "value")
    return decode(json.loads(json.dumps(stored)), encoder.arrays)


def same(a, b):
    """Equal in value, type and precision, to the last bit."""
    assert type(a) is type(b), (type(a), type(b))
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape
        if a.dtype == object:
            for p, q in zip(a.ravel(), b.ravel(), strict=True):
                same(p, q)
        else:
            np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for p, q in zip(a, b, strict=True):
            same(p, q)
    elif dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, SaveMixin):
        same(vars(a), vars(b))
    else:
        assert a == b or (a != a and b != b)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1 + 0.2,
        float("nan"),
        float("-inf"),
        "ü",
        np.float32(0.1),
        np.int16(-3),
        np.bool_(True),
        np.array(["a", "bcd"]),
        np.array(["a", None, 2, True], object),
        np.array(["2020-01-01", "NaT"], "datetime64[D]"),
        np.zeros((0, 3), np.float32),
        np.array(2.5),
        [1, (2.0, "x"), {"a": np.arange(3), 2: None}],
        {"$array": "not an array", "": 1},
        ResNet(2, 4, 3, dynamics="antisymmetric", damping=0.5),
        Choice("gcv", 1, 0.1, np.arange(3.0), (0.01, 1.0), "flat", ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_fit_keeps_comes_back_bit_for_bit(value):
    same(round_trip(value), value)


def test_dynamics_of_somebodys_own_are_stored_by_name_and_must_be_registered(monkeypatch):
    own = Dynamics("decay", lambda key, m, scale, dtype=None: {"rate": jnp.ones(m)}, lambda act: lambda t, u, th: -u)
    net = ResNet(2, 3, 4, dynamics=own)
    with pytest.raises(ValueError, match=r"somebody's own, 'decay'.*numdl\.flow\.DYNAMICS\['decay'\]"):
        round_trip(net)
    monkeypatch.setitem(DYNAMICS, "decay", own)
    assert round_trip(net) == net


def test_operators_come_back_as_matrices_and_sparse_ones_sparse():
    dense = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(round_trip(lineax.MatrixLinearOperator(dense)), dense)
    found = round_trip(scipy.sparse.csc_matrix(dense))
    assert scipy.sparse.issparse(found)
    np.testing.assert_array_equal(found.toarray(), dense)
    assert round_trip(np.random.default_rng(0)) is None


@pytest.mark.parametrize(
    "value", [print, object(), {1, 2}, np.array([b"x"]), np.array([1j])], ids=lambda value: type(value).__name__
)
def test_what_a_file_cannot_hold_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"save: here is an? .*cannot hold"):
        Encoder().encode(value, "here")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"$record": ["Popen", {"args": "true"}]}, "holds a Popen, which this numdl does not know"),
        ({"$estimator": ["object", {}]}, "holds a object, which this numdl does not know"),
        ({"$pickle": "x"}, r"holds '\$pickle', which this numdl does not know"),
        ({"$dynamics": "mine"}, r"dynamics of somebody's own, 'mine'.*numdl\.flow\.DYNAMICS\['mine'\]"),
    ],
)
def test_a_file_reaches_no_other_code(stored, message):
    with pytest.raises(ValueError, match=message):
        decode(stored, {})


def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path):
    for state in ({"slope_": {"$array": ["absent", ""]}}, {"slope_": {"$record": ["Status", {"wrong": 1}]}}):
        header = {"class": "Line", "versions": {}, "state": state, "extra": {}}
        write_container(tmp_path / "x", {}, header, kind="model")
        with pytest.raises(ValueError, match="the parts of the file do not fit together"):
            load(tmp_path / "x")


RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 2))
Y = np.sin(X[:, 0]) + X[:, 1]
LABELS = np.where(Y > 0, "yes", "no")
FAST = {"n_restarts": 1, "max_iter": 2, "random_state": 0}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("model", "y"),
    [
        (numdl.ResNetRegressor(4, 2, dynamics="plain", **FAST), Y),
        (numdl.ResNetClassifier(4, 2, dynamics="plain", **FAST), LABELS),
        (numdl.MLPRegressor((4,), **FAST), np.stack([Y, -Y], axis=1)),
        (numdl.SingleLayerRegressor(4, **FAST), Y),
        (numdl.TikhonovRegressor(operator=scipy.sparse.eye_array(2).tocsr()), Y),
        (numdl.TikhonovRegressor("loo", method="svd"), np.stack([Y, -Y], axis=1)),
        (numdl.SoftmaxClassifier(), LABELS),
        (numdl.LogisticClassifier(0.1), Y > 0),
        (numdl.RandomFeaturesRegressor(9, random_state=0), Y),
        (numdl.RandomFeaturesClassifier(9, random_state=0), LABELS),
        (numdl.GraphRegularizedClassifier(), np.where(np.arange(40) < 20, LABELS, "")),
    ],
    ids=lambda item: type(item).__name__,
)
def test_every_estimator_comes_back_bit_for_bit(tmp_path, model, y):
    model.fit(X, y)
    model.save(tmp_path / "model.numdl")
    loaded = numdl.load(tmp_path / "model.numdl")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    stored = {name: value for name, value in vars(model).items() if name not in model._left_out}
    found = {name: value for name, value in vars(loaded).items() if name not in model._left_out}
    if scipy.sparse.issparse(stored.get("operator")):
        np.testing.assert_array_equal(found.pop("operator").toarray(), stored.pop("operator").toarray())
    same(found, stored)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("kind", "y"), [(numdl.ResNetRegressor, Y), (numdl.ResNetClassifier, LABELS)])
def test_an_estimator_takes_dynamics_of_somebodys_own_and_resumes_and_saves_them(tmp_path, monkeypatch, kind, y):
    own = DYNAMICS["plain"]._replace(name="mine", vector_field=lambda act: lambda t, u, th: act(th["K"] @ u) - u)
    model = clone(kind(4, 2, dynamics=own, checkpoint=tmp_path / "fit.checkpoint", **FAST))
    monkeypatch.setitem(DYNAMICS, "mine", own)
    stop = lambda record: (_ for _ in ()).throw(KeyboardInterrupt)  # noqa: E731
    model.fit(X, y, observe=stop)
    model.fit(X, y)
    assert model.architecture_.dynamics == own and "mine" in model.architecture_.title
    model.save(tmp_path / "model.numdl")
    np.testing.assert_array_equal(numdl.load(tmp_path / "model.numdl").predict(X), model.predict(X))
    monkeypatch.delitem(DYNAMICS, "mine")
    with pytest.raises(ValueError, match=r"load: the model uses dynamics of somebody's own, 'mine'"):
        numdl.load(tmp_path / "model.numdl")


DAMPED = damped(get_dynamics("antisymmetric"), 5.0)


@pytest.fixture(scope="module")
def with_damping():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return numdl.ResNetRegressor(3, 2, dynamics=DAMPED, alpha=1e-3, **FAST).fit(X, Y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_damped_dynamics_that_were_asked_for_are_asked_for_again(tmp_path, with_damping):
    """The parameter lost its damping in the file: a clone of what was loaded was fitted without."""
    with_damping.save(tmp_path / "model.numdl")
    loaded = numdl.load(tmp_path / "model.numdl")
    assert loaded.dynamics == DAMPED and loaded.dynamics.damping == 5.0
    again, same_again = (clone(model).fit(X, Y).predict(X) for model in (loaded, with_damping))
    np.testing.assert_array_equal(again, same_again)
    assert round_trip(get_dynamics("plain")) is get_dynamics("plain")


def test_files_that_lost_a_damping_say_so(tmp_path, with_damping):
    with_damping.save(tmp_path / "new.numdl")
    arrays, header = read_container(tmp_path / "new.numdl", kind="model")
    text = json.dumps(header).replace('["antisymmetric", 5.0]', '"antisymmetric"')
    write_container(tmp_path / "old.numdl", arrays, json.loads(text), kind="model")
    with pytest.warns(UserWarning, match=r"load\(.*old.*'antisymmetric' without their damping.*with 0.*Fit it again"):
        assert numdl.load(tmp_path / "old.numdl").dynamics == get_dynamics("antisymmetric")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numdl.load(tmp_path / "new.numdl")
        assert decode({"$dynamics": "plain"}, {}) is get_dynamics("plain")
    net = Encoder().encode(ResNet(2, 3, 4, dynamics=get_dynamics("antisymmetric")), "net")
    assert decode(net, {}, plain=True).dynamics == "antisymmetric"
    net["$record"][1]["dynamics"] = {"$dynamics": "antisymmetric"}
    assert decode(net, {}, plain=True).dynamics is None  # so no formula guesses it
