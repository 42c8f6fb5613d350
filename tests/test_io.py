"""A stored estimator predicts what it predicted before; a file can name no class but ours."""

import re

import numpy as np
import pytest

import numdl
from numdl import estimators, io
from numdl.container import read_container, write_container
from numdl.io import load, load_with_extra, save


class Line:
    """The smallest fitted thing: it stores its slope and what it was asked to do."""

    def __init__(self, slope, **how):
        self.slope, self.how = np.asarray(slope), how

    def _state(self):
        return {"slope": self.slope}, {"how": self.how}

    @classmethod
    def _from_state(cls, arrays, header):
        return cls(arrays["slope"], **header["how"])


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(estimators, "Line", Line, raising=False)
    monkeypatch.setattr(estimators, "__all__", [*estimators.__all__, "Line"])


def test_a_model_and_its_extra_come_back(tmp_path):
    path = tmp_path / "line.numdl"
    save(Line([1.0, 2.0], note="ü"), path, {"encoder": {"names": ["a", "b"]}})
    model, extra = load_with_extra(path)
    assert isinstance(model, Line)
    np.testing.assert_array_equal(model.slope, [1.0, 2.0])
    assert model.how == {"note": "ü"}
    assert extra == {"encoder": {"names": ["a", "b"]}}
    assert isinstance(load(str(path)), Line)


def test_without_extra_it_is_empty(tmp_path):
    save(Line([1.0]), tmp_path / "x")
    assert load_with_extra(tmp_path / "x")[1] == {}


def test_the_header_names_versions(tmp_path):
    save(Line([1.0]), tmp_path / "x")
    _, header = read_container(tmp_path / "x", kind="model")
    assert header["class"] == "Line"
    assert header["versions"]["numdl"] == numdl.__version__
    assert header["versions"]["numpy"] == np.__version__
    assert set(header["versions"]) == {"numdl", "python", *io.LIBRARIES}


def test_other_objects_are_not_stored(tmp_path):
    from sklearn.linear_model import Ridge

    with pytest.raises(ValueError, match=r"save\(Ridge\): only estimators of numdl can be stored \(.*Line\)"):
        save(Ridge(), tmp_path / "x")
    impostor = type("Line", (), {"_state": lambda self: ({}, {})})
    with pytest.raises(ValueError, match="only estimators of numdl"):
        save(impostor(), tmp_path / "x")
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
