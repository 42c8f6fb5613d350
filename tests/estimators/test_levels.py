"""Estimators that train from coarse to fine: one history, kept runs, the same fit after an interruption."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from small_models import table

from numdl import ResNetClassifier, ResNetRegressor, load
from numdl.estimators.networks.training import checkpoint
from numdl.models import ResNet

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = table()


def model(kind=ResNetRegressor, **options):
    given = {"width": 3, "depth": 4, "dynamics": "plain", "levels": 3, "max_iter": 36, "n_restarts": 1}
    return kind(**given | {"random_state": 0} | options)


def interrupt_at(depth):
    def observe(record):
        if record["depth"] == depth and (seen := observe.seen):
            raise KeyboardInterrupt(seen)
        observe.seen = record["depth"] == depth

    observe.seen = False
    return observe


@pytest.fixture(scope="module")
def fitted():
    return model().fit(X, Y)


def test_the_depth_doubles_up_to_that_of_the_network(fitted):
    depth = fitted.history_["depth"]
    assert fitted.architecture_ == ResNet(X.shape[1], 3, 4) and fitted.members_[0].net.depth == 4
    assert list(dict.fromkeys(depth)) == [1, 2, 4] and np.all(np.diff(depth) >= 0)
    assert {len(column) for column in fitted.history_.values()} == {fitted.n_iter_}
    assert np.sum(depth == 1) <= 12 and np.sum(depth <= 2) <= 24 and fitted.n_iter_ <= 36
    assert np.all(np.diff(fitted.history_["work"]) > 0) and np.all(np.diff(fitted.history_["seconds"]) >= 0)
    assert [row["network"] for row in fitted.search_] == ["plain 3x1", "plain 3x2", "plain 3x4"]
    assert fitted.log_evidence_ == max(fitted.history_["log_evidence"][depth == 4])
    alphas = fitted.history_["alpha:flow K"]
    first = np.flatnonzero(depth == 4)[0]
    assert 0.1 < alphas[first] / alphas[first - 1] < 10, "penalties go on"
    error = np.sqrt(np.mean((fitted.predict(X) - Y) ** 2)) / np.std(Y)
    at = np.flatnonzero(depth == 4)[np.argmax(fitted.history_["log_evidence"][depth == 4])]
    np.testing.assert_allclose(error, fitted.history_["train_error"][at], rtol=1e-6)


def test_one_level_is_the_training_without(fitted):
    one, without = model(levels=1, max_iter=6).fit(X, Y), model(max_iter=6).set_params(levels=1).fit(X, Y)
    np.testing.assert_array_equal(one.predict(X), without.predict(X))
    assert "depth" not in one.history_ and len(one.search_) == 1


@pytest.mark.quick("2")
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_an_interrupted_fit_goes_on_as_if_it_had_not_been(fitted, depth, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    file = tmp_path / "fit.checkpoint"
    with pytest.warns(ConvergenceWarning, match="Ctrl-C came"):
        part = model(checkpoint=file).fit(X, Y, observe=interrupt_at(depth))
    assert part.status_.code == "interrupted" and part.history_["depth"][-1] == depth == part.architecture_.depth
    assert np.isfinite(part.predict(X)).all(), "a coarse network predicts where there was no time for more"
    again = model(checkpoint=file).fit(X, Y)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    for name in set(fitted.history_) - {"seconds"}:
        np.testing.assert_array_equal(again.history_[name], fitted.history_[name])


def test_files_and_warm_starts(fitted, tmp_path):
    fitted.save(tmp_path / "a.numdl")
    copy = load(tmp_path / "a.numdl")
    np.testing.assert_array_equal(copy.predict(X), fitted.predict(X))
    assert copy.levels == 3 and np.array_equal(copy.history_["depth"], fitted.history_["depth"])
    copy.set_params(warm_start=True, max_iter=2).fit(X, Y)
    assert set(copy.history_["depth"]) == {4.0}, "weights of full depth need no coarser level"
    assert copy.history_["misfit"][0] < 1.5 * fitted.history_["misfit"][-1]


@pytest.mark.thorough
def test_open_parts_are_compared_on_the_first_level():
    chosen = model(dynamics="auto", width="auto", max_iter=3, levels=2, n_restarts=2).fit(X, Y)
    assert chosen.architecture_.depth == 4
    assert {row["network"].split("x")[-1] for row in chosen.search_} == {"2", "4"}
    assert {len(column) for column in chosen.history_.values()} == {chosen.n_iter_}


@pytest.mark.thorough
def test_classes():
    labels = np.where(np.sin(3 * X[:, 0]) + X[:, 1] > 0, "up", "down")
    deep = model(ResNetClassifier, levels=2, max_iter=20).fit(X, labels)
    assert list(dict.fromkeys(deep.history_["depth"])) == [2, 4] and deep.score(X, labels) > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"depth": 6},
            r"ResNetRegressor\(levels=3, depth=6\): needs a depth that is a positive multiple of 4.*depth=8",
        ),
        ({"depth": 0}, "positive multiple of 4"),
        ({"depth": "auto"}, "needs a depth. Give a multiple of 4"),
        ({"levels": 0}, "levels"),
        ({"levels": 1.5}, "levels"),
    ],
)
def test_levels_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        model(**options).fit(X, Y)
