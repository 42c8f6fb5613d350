"""``numdl fit --model mlp|single-layer``: the same folder, page and commands as for a residual network."""

import pytest

from numdl import load

FAST = "--max-iter 3 --restarts 1"


@pytest.mark.quick("mlp---width 3,2-*")
@pytest.mark.parametrize(
    ("model", "words", "target", "kind", "title"),
    [
        ("mlp", "--width 3,2", "price", "MLPRegressor", "layers 3-2"),
        ("single-layer", "--width 3", "price", "SingleLayerRegressor", "single layer 3"),
        ("mlp", "--width 3", "kind", "MLPClassifier", "single layer 3"),
    ],
)
def test_fit_predict_and_resume(numdl, csv_file, tmp_path, model, words, target, kind, title):
    run = tmp_path / "run"
    command = ["--target", target, "--model", model, *words.split(), *FAST.split(), "--out", run]
    result = numdl("fit", csv_file, *command)
    assert result.code == 0, result.err
    label = "numdl MLP" if model == "mlp" else "numdl single layer"
    assert label in result.out
    stored = load(run / "model.numdl")
    assert type(stored).__name__ == kind and stored.architecture_.title == title
    assert title in (run / "report.html").read_text() and label in (run / "report.html").read_text()
    predictions = numdl("predict", run, csv_file)
    assert predictions.code == 0 and predictions.out.count("\n") == 61
    again = numdl("fit", csv_file, *command, "--resume")
    assert again.code == 0 and "nothing to resume" in again.out
    command[command.index("--width") + 1] = "5"
    assert "--width" in numdl("fit", csv_file, *command, "--resume").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model mlp --depth 2", "--depth: --model mlp has no such setting"),
        ("--model single-layer --dynamics plain", "--dynamics: --model single-layer has no such setting"),
        ("--model single-layer --width 3,4", "--width: --model single-layer takes one number"),
        ("--model resnet --width 3,4", "several are for --model mlp"),
        ("--model mlp --width 3,auto", "needed is a whole number for each layer, such as 32,16"),
        ("--model mlp --width 3,", "needed is a whole number or auto"),
        ("--model mlp --width 3,0", "widths=0"),
    ],
)
def test_options_that_do_not_fit_are_refused(numdl, csv_file, tmp_path, words, message):
    result = numdl("fit", csv_file, "--target", "price", *words.split(), "--out", tmp_path / "run")
    assert result.code == 1 and message in result.err.replace("\n", " "), result.err
