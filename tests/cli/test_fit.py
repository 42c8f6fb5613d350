"""``numdl fit`` checks first, then trains, compares and writes; with the stand-in for the estimators."""

import json

import numpy as np
import pytest
from flats import table, write_csv

from numdl.estimators.common.saving import load_with_extra
from numdl.report.summary import read_summary

pytestmark = pytest.mark.usefixtures("stand_in")


@pytest.mark.usefixtures("real_page")
def test_a_fit_writes_model_report_and_summary(numdl, csv_file, tmp_path, stand_in):
    run = tmp_path / "run"
    end = numdl("fit", csv_file, "--target", "price", "--out", run)
    assert end.code == 0, end.err
    assert sorted(path.name for path in run.iterdir()) == [
        "model.numdl",
        "options.json",
        "report.html",
        "report.json",
        "summary.numdl",
    ]
    assert "60 rows, 6 columns" in end.out
    assert "regression of price from 8 inputs" in end.out
    assert "48 training, 6 validation, 6 test" in end.out
    for words in ("numdl ResNet", "ridge", "mean of the targets", "training", "validation", "test"):
        assert words in end.out
    assert "converged: The slope is known." in end.out
    for name in ("model.numdl", "report.html", "report.json"):
        assert str(run / name) in end.out.replace("\n", "")
    assert "iteration 1 " in end.err
    assert "phase 2" in end.err
    assert "residuals" in (run / "report.html").read_text().lower()
    assert stand_in.Regressor.seen["X_val"].shape == (6, 8)


def test_the_model_carries_the_encoding(numdl, csv_file, tmp_path):
    numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run")
    model, extra = load_with_extra(tmp_path / "run" / "model.numdl")
    assert extra["encoder"]["target_names"] == ["price"]
    assert extra["options"]["target"] == ["price"]
    assert extra["facts"]["File"] == "flats.csv"
    assert model.checkpoint is None


def test_the_summary_holds_scores_of_all_models(numdl, csv_file, tmp_path):
    numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run")
    summary = read_summary(tmp_path / "run" / "summary.numdl")
    own, ridge, mean = summary.scores
    assert own["test"] < 3 < mean["test"]
    assert ridge["test"] < mean["test"]
    assert summary.held_out_name == "test"
    assert len(summary.c) == 6
    assert summary.title == "price from flats.csv"
    assert summary.facts["Scheme"] == "euler"
    assert summary.score_name == "RMSE of price"


def test_several_targets_are_compared_in_their_standard_deviations(numdl, csv_file, tmp_path, stand_in):
    end = numdl("fit", csv_file, "--target", "price", "--target", "cost", "--out", tmp_path / "run")
    assert end.code == 0, end.err
    assert stand_in.Regressor.seen["y"].shape == (48, 2)
    own, _, mean = read_summary(tmp_path / "run" / "summary.numdl").scores
    assert mean["train"] == pytest.approx(1.0)
    assert own["train"] < 0.1
    assert "RMSE in standard deviations" in end.out


def test_classes_with_text_labels(numdl, csv_file, tmp_path):
    end = numdl("fit", csv_file, "--target", "kind", "--out", tmp_path / "run")
    assert end.code == 0, end.err
    for words in (
        "classification of kind",
        "logistic regression",
        "most frequent class",
        "Wrong predictions of kind (%)",
    ):
        assert words in end.out
    summary = read_summary(tmp_path / "run" / "summary.numdl")
    assert summary.class_names == ("cheap", "dear")
    assert summary.scores[2]["train"] == pytest.approx(50, abs=3)


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".mat", ".tsv"])
def test_other_formats(numdl, tmp_path, suffix):
    columns = table()
    path = tmp_path / f"flats{suffix}"
    numbers = {"X": np.column_stack([columns["area"], columns["floor"]]), "y": columns["price"]}
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), path)
    elif suffix == ".npz":
        np.savez(path, **numbers)
    elif suffix == ".mat":
        import scipy.io

        scipy.io.savemat(path, numbers)
    else:
        write_csv(path, columns)
        path.write_text(path.read_text().replace(",", "\t"))
    target = "y" if suffix in {".npz", ".mat"} else "price"
    end = numdl("fit", path, "--target", target, "--out", tmp_path / "run")
    assert end.code == 0, end.err


@pytest.mark.parametrize("n", [1, 2, 5, 9, 10, 12])
def test_few_rows(numdl, tmp_path, n):
    path = write_csv(tmp_path / "few.csv", {"a": np.arange(n) ** 2, "b": np.arange(n), "y": np.sqrt(np.arange(n))})
    end = numdl("fit", path, "--target", "y", "--out", tmp_path / "run")
    if n == 1:
        assert end.code == 1
        assert "so there is nothing to learn" in end.err
    else:
        assert end.code == 0, end.err
        assert ("too few to hold some out" in end.out) == (n < 10)


def test_a_rare_class_is_trained_on(numdl, tmp_path, stand_in):
    path = write_csv(tmp_path / "rare.csv", {"a": np.arange(40.0), "y": ["x"] * 20 + ["y"] * 19 + ["once"]})
    assert numdl("fit", path, "--target", "y", "--out", tmp_path / "run").code == 0
    assert set(stand_in.Classifier.seen["y"]) == {"x", "y", "once"}


def test_options_reach_the_estimator(numdl, csv_file, tmp_path, stand_in):
    options = (
        "--width 3 --depth 2 --T 2.5 --dynamics antisymmetric --damping 0.5 --scheme heun "
        "--alpha 0.1 --restarts 2 --max-iter 4 --dtype float32 --seed 7"
    )
    end = numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run", *options.split(), "--time", "2m")
    assert end.code == 0, end.err
    assert stand_in.Regressor.seen["parameters"] == {
        "width": 3,
        "depth": 2,
        "T": 2.5,
        "dynamics": "antisymmetric",
        "damping": 0.5,
        "scheme": "heun",
        "alpha": 0.1,
        "n_restarts": 2,
        "max_iter": 4,
        "dtype": "float32",
        "random_state": 7,
    }
    assert json.loads((tmp_path / "run" / "options.json").read_text())["options"]["time"] == 120


def test_shares_can_be_zero(numdl, csv_file, tmp_path, stand_in):
    end = numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run", "--test", "0", "--validation", "0")
    assert end.code == 0, end.err
    assert len(stand_in.Regressor.seen["X"]) == 60
    assert stand_in.Regressor.seen["X_val"] is None
    assert read_summary(tmp_path / "run" / "summary.numdl").held_out_name == "training"


def test_quiet_prints_nothing(numdl, csv_file, tmp_path):
    end = numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run", "--quiet")
    assert (end.code, end.out, end.err) == (0, "", "")


def test_notes_of_the_encoder_are_shown(numdl, tmp_path):
    path = write_csv(tmp_path / "a.csv", table() | {"same": [1] * 60, "[red]id": [f"n{i}" for i in range(60)]})
    end = numdl("fit", path, "--target", "price", "--out", tmp_path / "run")
    assert "Column 'same' is dropped: it is constant." in end.out
    assert "Column '[red]id' is dropped" in end.out


def test_extreme_scales_do_not_break_the_comparison(numdl, tmp_path):
    rng = np.random.default_rng(0)
    columns = {"tiny": 1e-12 * rng.normal(size=50), "huge": 1e12 * rng.normal(size=50)}
    columns["y"] = 1e12 * columns["tiny"] + 1e-12 * columns["huge"]
    end = numdl("fit", write_csv(tmp_path / "a.csv", columns), "--target", "y", "--out", tmp_path / "run")
    assert end.code == 0, end.err
    assert read_summary(tmp_path / "run" / "summary.numdl").scores[1]["test"] < 1e-3


MISTAKES = {
    "no file": (["absent.csv", "--target", "y"], "there is no such file"),
    "no target": (["flats.csv", "--target", "prise"], "there is no column 'prise'; did you mean 'price'"),
    "target twice": (["flats.csv", "--target", "price", "--target", "price"], "different column names"),
    "text target": (["flats.csv", "--target", "kind", "--task", "regression"], "is text"),
    "task": (["flats.csv", "--target", "price", "--task", "cluster"], "give 'auto', 'regression' or 'classification'"),
    "time": (["flats.csv", "--target", "price", "--time", "soon"], "needed is a positive time such as 60, 60s, 5m"),
    "no time": (["flats.csv", "--target", "price", "--time", "0"], "needed is a positive time"),
    "share": (["flats.csv", "--target", "price", "--test", "1.5"], "needed is a share of the rows in [0, 1)"),
    "shares": (["flats.csv", "--target", "price", "--test", "0.5", "--validation", "0.5"], "less than a tenth"),
    "width": (["flats.csv", "--target", "price", "--width", "wide"], "needed is a whole number or auto"),
    "estimator": (["flats.csv", "--target", "price", "--width", "0"], "needs width >= 1"),
    "alpha": (["flats.csv", "--target", "price", "--alpha", "x"], "needed is a number or auto"),
    "contradiction": (["flats.csv", "--target", "price", "--resume", "--overwrite"], "give one of them"),
    "folder is a file": (["flats.csv", "--target", "price", "--out", "flats.csv"], "this is a file"),
    "below a file": (["flats.csv", "--target", "price", "--out", "flats.csv/run"], "cannot be written"),
    "no option": (["flats.csv", "--target", "price", "--colour", "red"], "No such option"),
    "target missing": (["flats.csv"], "which column is to be predicted? The columns are"),
    "target to try": (["flats.csv"], "Add for example --target price."),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_one_message_and_leave_nothing(numdl, csv_file, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    args, message = MISTAKES[case]
    end = numdl("fit", *args)
    assert end.code == 1
    assert message in end.err
    assert "Traceback" not in end.err
    if "Usage" not in end.err:
        *before, last = end.err.splitlines()
        assert last.startswith("Error: ")
        assert not before or case == "estimator"
    assert [path.name for path in tmp_path.iterdir()] == ["flats.csv"]


def test_a_missing_value_names_column_and_row(numdl, tmp_path):
    path = write_csv(tmp_path / "gap.csv", {"a": [1, "", 3], "y": [1, 2, 3]})
    end = numdl("fit", path, "--target", "y", "--out", tmp_path / "run")
    assert end.code == 1
    assert "column 'a', row 2 is missing" in end.err


def test_a_used_folder_is_refused_or_replaced(numdl, csv_file, tmp_path):
    run = tmp_path / "run"
    args = ("fit", csv_file, "--target", "price", "--out", run)
    assert numdl(*args).code == 0
    (run / "my notes.txt").write_text("keep me")
    before = (run / "model.numdl").read_bytes()
    end = numdl(*args)
    assert end.code == 1
    assert "the folder is not empty" in end.err
    assert (run / "model.numdl").read_bytes() == before
    assert numdl(*args, "--overwrite", "--seed", "1").code == 0
    assert (run / "model.numdl").read_bytes() != before
    assert (run / "my notes.txt").read_text() == "keep me"


def test_an_empty_folder_is_used(numdl, csv_file, tmp_path):
    (tmp_path / "run").mkdir()
    assert numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run").code == 0


def test_a_read_only_place_is_refused(numdl, csv_file, tmp_path, monkeypatch):
    import os

    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    end = numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run")
    assert end.code == 1
    assert "cannot be written; choose another place" in end.err


def test_an_unexpected_error_asks_for_a_report(numdl, csv_file, tmp_path, monkeypatch, stand_in):
    def broken(*_, **__):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(stand_in.Regressor, "summary", broken)
    end = numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run")
    assert end.code == 70
    assert "ZeroDivisionError: oh" in end.err
    assert "please report it" in end.err
    assert "Traceback" not in end.err
    end = numdl("--debug", "fit", csv_file, "--target", "price", "--out", tmp_path / "other")
    assert end.code == 70
    assert "Traceback" in end.err


def test_marks_of_direction_are_shown_and_not_obeyed(numdl, tmp_path):
    columns = {"a": np.arange(30.0), "pri\u202ece": np.arange(30.0)}
    path = write_csv(tmp_path / "marks.csv", columns)
    end = numdl("fit", path, "--target", "pri\u202ece", "--out", tmp_path / "run")
    assert end.code == 0, end.err
    assert "pri[U+202E]ce" in end.out and "\u202e" not in end.out
    for words in (("info", tmp_path / "run"), ("look", path)):
        said = numdl(*words)
        assert said.code == 0 and "pri[U+202E]ce" in said.out and "\u202e" not in said.out
    end = numdl("fit", path, "--target", "\u202ecost", "--out", tmp_path / "other")
    assert end.code == 1 and "\u202e" not in end.err


def test_marks_of_direction_on_the_page():
    from numdl.report.template import document

    assert "pri[U+202E]ce" in document("pri\u202ece", "")
