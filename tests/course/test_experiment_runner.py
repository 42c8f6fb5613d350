import inspect
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from numdl import course
from numdl.course import at_once
from numdl.course.catalogue import settings_of
from numdl.course.outcome import Claim, Outcome, Parameter, at_least, at_most
from numdl.course.runner import find, plain, run_experiment


def draw(figure):
    figure.subplots().plot([1, 2, 3])


def stand_in(*claims, numbers=None):
    calls = []

    def run(quick, random_state):
        calls.append((quick, random_state))
        return Outcome(numbers or {"error": 0.5}, claims or (Claim("It is small", True, "0.5"),), draw)

    return SimpleNamespace(TITLE="A stand-in", run=run, calls=calls)


def quiet():
    return Console(file=io.StringIO(), width=200)


def test_every_registered_experiment_has_one_line():
    titles = course.names()
    assert list(titles) == list(course.REGISTRY) and list(titles)[:2] == ["peaks", "swiss-roll"]
    for title in titles.values():
        assert "\n" not in title and not title.endswith(".") and len(title) < 100


def test_an_unknown_name_suggests_the_nearest(tmp_path):
    with pytest.raises(ValueError, match=r"experiment\('peeks'\): unknown name. Did you mean 'peaks'\?"):
        course.run("peeks", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_files_hold_what_was_returned(tmp_path):
    experiment, console = stand_in(numbers={"errors": np.array([1.0, np.nan]), "n": np.int64(3)}), quiet()
    record = run_experiment("some", experiment, tmp_path / "a" / "b", quick=True, random_state=7, console=console)
    assert experiment.calls == [(True, 7)]
    assert json.loads((tmp_path / "a" / "b" / "some.json").read_text()) == record
    assert record["numbers"] == {"errors": [1.0, None], "n": 3}
    assert record["claims"] == [{"sentence": "It is small", "holds": True, "measured": "0.5"}]
    assert record["passed"] and record["quick"] and record["random_state"] == 7
    assert (tmp_path / "a" / "b" / "some.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "a" / "b" / "some.svg").read_text()
    assert "pass It is small: 0.5" in console.file.getvalue()


def test_one_failed_claim_fails_the_experiment(tmp_path):
    console = quiet()
    claims = (at_most("The error is", 0.5, 1), at_most("The distance is", 2.0, 1, " m"))
    record = run_experiment("some", stand_in(*claims), tmp_path, console=console)
    assert not record["passed"]
    assert "FAIL The distance is at most 1 m: 2 m" in console.file.getvalue()
    assert (tmp_path / "some.svg").exists()


def test_the_same_numbers_give_the_same_files(tmp_path):
    for folder in ("a", "b"):
        run_experiment("some", stand_in(), tmp_path / folder, console=quiet())
    for ending in ("json", "svg", "png"):
        assert (tmp_path / "a" / f"some.{ending}").read_bytes() == (tmp_path / "b" / f"some.{ending}").read_bytes()


def test_parameters_reach_the_experiment_and_its_record(tmp_path):
    seen = []

    def run(quick, random_state, *, noise=0.1, points=3):
        seen.append((noise, points))
        return Outcome({"noise": noise}, [Claim("It is small", True, "0.5")], draw)

    declared = {"noise": Parameter(0.1, 0.0, 1.0, "noise"), "points": Parameter(3, 2, 9, "points")}
    experiment, console = SimpleNamespace(TITLE="A stand-in", run=run, PARAMETERS=declared), quiet()
    record = run_experiment("some", experiment, tmp_path, settings={"noise": "0.25"}, console=console)
    assert record["settings"] == {"noise": 0.25} and seen == [(0.25, 3)]
    assert "with noise = 0.25; claims were made for the defaults" in console.file.getvalue()
    assert settings_of("some", experiment, {"points": "4"}) == {"points": 4}
    with pytest.raises(ValueError, match=r"experiment\('some', points=10\): needs a whole number from 2 to 9, points"):
        run_experiment("some", experiment, tmp_path / "none", settings={"points": 10}, console=console)
    assert not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match="It has no parameters: leave it out"):
        run_experiment("some", stand_in(), tmp_path / "none", settings={"noise": 1}, console=console)


def test_declared_parameters_are_those_that_run_takes():
    for name in course.REGISTRY:
        experiment = find(name, course.REGISTRY)
        declared = getattr(experiment, "PARAMETERS", {})
        taken = {
            key: entry.default
            for key, entry in inspect.signature(experiment.run).parameters.items()
            if entry.kind is entry.KEYWORD_ONLY
        }
        assert taken == {key: parameter.default for key, parameter in declared.items()}, name
        assert 1 <= len(declared) <= 2, name
        for parameter in declared.values():
            assert parameter.least <= parameter.default <= parameter.most and parameter.meaning


def test_a_bad_folder_or_seed_is_refused_before_any_work(tmp_path):
    experiment = stand_in()
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="is a file, needs a folder"):
        run_experiment("some", experiment, tmp_path / "file", console=quiet())
    with pytest.raises(OSError, match="cannot make the folder"):
        run_experiment("some", experiment, tmp_path / "file" / "below", console=quiet())
    with pytest.raises(ValueError, match="needs a seed >= 0"):
        run_experiment("some", experiment, tmp_path, random_state=-1, console=quiet())
    assert experiment.calls == []


@pytest.mark.parametrize(("value", "low", "high"), [(1.0, True, True), (0.5, True, False), (2.0, False, True)])
def test_bounds_include_their_end(value, low, high):
    assert at_most("It is", value, 1.0).holds is low
    assert at_least("It is", value, 1.0).holds is high


def test_nan_supports_no_claim():
    assert not at_most("It is", np.nan, 1.0).holds and not at_least("It is", np.nan, 1.0).holds


def test_plain_gives_json_types_or_refuses():
    value = {"a": (1, np.float32(0.5), "x", None, True), 2: np.inf}
    assert plain(value) == {"a": [1, 0.5, "x", None, True], "2": None}
    with pytest.raises(TypeError, match=r"plain\(object\)"):
        plain(object())


def test_find_imports_only_what_is_registered():
    assert find("swiss-roll", course.REGISTRY).__name__ == "numdl.course.nonlinear.swiss_roll"
    with pytest.raises(ValueError, match="unknown name"):
        find("json", course.REGISTRY)


def test_programs_are_compiled_at_once_where_jax_is_not_loaded_and_nobody_said_otherwise(monkeypatch):
    monkeypatch.setattr(at_once, "sys", SimpleNamespace(modules={}))
    for version, flags, expected in (("0.10.2", None, True), ("0.11.0", None, False), ("0.10.2", "--mine", False)):
        monkeypatch.setattr(at_once.metadata, "version", lambda name, version=version: version)
        monkeypatch.setattr(at_once.os, "environ", {} if flags is None else {"XLA_FLAGS": flags})
        assert at_once.compile_at_once() is expected
        told = at_once.os.environ.get("XLA_FLAGS")
        assert told == (" ".join(at_once.FLAGS) if expected else flags)
    monkeypatch.setattr(at_once, "sys", SimpleNamespace(modules={"jax": None}))
    monkeypatch.setattr(at_once.os, "environ", {})
    assert not at_once.compile_at_once() and not at_once.os.environ
