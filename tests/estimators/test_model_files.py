"""Saved models predict the same, and an interrupted fit goes on as if nothing had happened."""

import numpy as np
import pytest
from small_models import classifier, interrupt_at, labels, regressor, table

import numdl
from numdl import container
from numdl.estimators.networks.training import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = table()


def same_history(a, b):
    assert a.history_.keys() == b.history_.keys()
    for name in a.history_.keys() - {"seconds"}:
        np.testing.assert_array_equal(a.history_[name], b.history_[name], err_msg=name)


def test_a_loaded_regressor_is_the_saved_one(tmp_path):
    model = regressor(n_restarts=2, random_state=3).fit(X, np.column_stack([Y, -Y]))
    model.save(tmp_path / "model.numdl")
    loaded = numdl.load(tmp_path / "model.numdl")
    for a, b in zip(loaded.predict(X, return_std=True), model.predict(X, return_std=True), strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.get_params() == model.get_params()
    same_history(loaded, model)
    for name in ("n_features_in_", "n_iter_", "status_", "alpha_", "architecture_", "search_", "solver_", "seconds_"):
        assert getattr(loaded, name) == getattr(model, name), name
    loaded.save(tmp_path / "again.numdl")
    again = numdl.load(tmp_path / "again.numdl")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.quick("text")
@pytest.mark.parametrize("kind", ["text", "numbers", "two"])
def test_a_loaded_classifier_is_the_saved_one(tmp_path, kind):
    x, y = labels()
    if kind != "text":
        y = np.searchsorted(["high", "low", "mid"], y) if kind == "numbers" else y == "mid"
    model = classifier(max_iter=6).fit(x, y)
    model.save(tmp_path / "model.numdl")
    loaded = numdl.load(tmp_path / "model.numdl")
    np.testing.assert_array_equal(loaded.predict_proba(x), model.predict_proba(x))
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert loaded.classes_.dtype.kind == model.classes_.dtype.kind


def test_a_loaded_model_keeps_names_and_flatness(tmp_path):
    import pandas as pd

    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = regressor(max_iter=6).fit(frame, Y)
    model.save(tmp_path / "model.numdl")
    loaded = numdl.load(tmp_path / "model.numdl")
    assert list(loaded.feature_names_in_) == ["a", "b", "c"]
    assert loaded.predict(frame).shape == (len(X),)


def test_only_fitted_models_are_saved(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        regressor().save(tmp_path / "model.numdl")
    assert not list(tmp_path.iterdir())


@pytest.mark.quick("regressor-*-2-7", "classifier-*-1-3")
@pytest.mark.parametrize(("start", "iteration"), [(1, 3), (2, 7)])
@pytest.mark.parametrize(("make", "data"), [(regressor, table), (classifier, labels)])
def test_an_interrupted_fit_goes_on_to_the_same_result(tmp_path, make, data, start, iteration):
    x, y = data()
    file = tmp_path / "fit.checkpoint"
    unbroken = make(n_restarts=2, max_iter=9).fit(x, y)
    model = make(n_restarts=2, max_iter=9, checkpoint=file)
    model.fit(x, y, observe=interrupt_at(start, iteration))
    assert model.status_.code == "interrupted" and file.exists()
    seen = []
    model.fit(x, y, observe=seen.append)
    assert len(seen) == 18 - iteration - 9 * (start - 1) and not file.exists()
    np.testing.assert_array_equal(model.predict(x), unbroken.predict(x))
    same_history(model, unbroken)
    assert model.status_ == unbroken.status_ and model.search_ == unbroken.search_


def test_a_killed_fit_goes_on_from_the_last_write(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    file = tmp_path / "fit.checkpoint"
    unbroken = regressor(n_restarts=2, max_iter=9).fit(X, Y)
    model = regressor(n_restarts=2, max_iter=9, checkpoint=file)
    for start, iteration in ((1, 4), (2, 2), (2, 8)):
        with pytest.raises(RuntimeError, match="power"):
            model.fit(X, Y, observe=interrupt_at(start, iteration, RuntimeError("power failure")))
        assert file.exists()
    model.fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), unbroken.predict(X))
    same_history(model, unbroken)


def test_a_fit_without_seed_goes_on_with_the_seed_it_had(tmp_path):
    for state in (None, np.random.RandomState(3)):
        file = tmp_path / "fit.checkpoint"
        first = regressor(checkpoint=file, random_state=state).fit(X, Y, observe=interrupt_at(1, 3))
        again = regressor(checkpoint=file, random_state=state).fit(X, Y)
        assert again.members_[0].seed == first.members_[0].seed
        np.testing.assert_array_equal(again.history_["objective"][:3], first.history_["objective"])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    file = tmp_path_factory.mktemp("stored") / "fit.checkpoint"
    regressor(checkpoint=file).fit(X, Y, observe=interrupt_at(1, 3))
    return file


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({}, {"y": Y + 1e-3 * X[:, 0]}),
        ({}, {"X": X[::-1]}),
        ({}, {"sample_weight": np.arange(1.0, len(X) + 1)}),
        ({}, {"X_val": X[:5], "y_val": Y[:5]}),
        ({"alpha": 0.5}, {}),
        ({"T": 2.0}, {}),
        ({"random_state": 1}, {}),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused_and_kept(stored, options, data):
    before = stored.read_bytes()
    with pytest.raises(ValueError, match=r"checkpoint=.*belongs to a fit with other data or other parameters.*delete"):
        regressor(checkpoint=stored, **options).fit(**{"X": X, "y": Y} | data)
    assert stored.read_bytes() == before


def test_what_cannot_change_the_result_may_change(stored, tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(stored.read_bytes())
    model = regressor(checkpoint=copy, verbose=100, time_budget=1e6).fit(X, Y, sample_weight=np.full(len(X), 2.0))
    np.testing.assert_array_equal(model.predict(X), regressor().fit(X, Y).predict(X))


def test_a_damaged_checkpoint_is_refused(stored, tmp_path):
    damaged = tmp_path / "damaged"
    content = bytearray(stored.read_bytes())
    content[-5] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        regressor(checkpoint=damaged).fit(X, Y)


def test_a_checkpoint_needs_its_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder .* does not exist"):
        regressor(checkpoint=tmp_path / "none" / "file").fit(X, Y)


def test_a_checkpoint_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)

    def full(*_, **__):
        raise container.FullDisk("the disk is full")

    monkeypatch.setattr(checkpoint, "write_container", full)
    with pytest.warns(RuntimeWarning, match=r"the disk is full The fit goes on") as told:
        model = regressor(max_iter=6, checkpoint=tmp_path / "file").fit(X, Y)
    assert sum("disk" in str(one.message) for one in told) == 1
    np.testing.assert_array_equal(model.predict(X), regressor(max_iter=6).fit(X, Y).predict(X))


def test_a_checkpoint_names_its_versions_and_can_outlive_the_fit(tmp_path):
    model = regressor(max_iter=6, checkpoint=tmp_path / "file")
    model._keeps = True
    model.fit(X, Y)
    assert container.read_container(tmp_path / "file", kind="checkpoint")[1]["versions"]["numdl"] == numdl.__version__
    seen = []
    again = regressor(max_iter=6, checkpoint=tmp_path / "file").fit(X, Y, observe=seen.append)
    assert not seen and not (tmp_path / "file").exists()
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_a_checkpoint_of_another_network_names_the_versions(tmp_path):
    file = tmp_path / "file"
    regressor(checkpoint=file).fit(X, Y, observe=interrupt_at(1, 3))
    arrays, header = container.read_container(file, kind="checkpoint")
    for change in ({"0/0": arrays["0/0"][..., :1]}, {"0/0": arrays["0/0"].ravel()[:0]}):
        container.write_container(file, arrays | change, header, kind="checkpoint")
        with pytest.raises(ValueError, match=r"its parts do not fit together .* It was made with .*'numdl'"):
            regressor(checkpoint=file).fit(X, Y)
