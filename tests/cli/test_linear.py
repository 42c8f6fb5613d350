"""``numdl fit`` by default, and ``--model linear|random-features|kernel``: folder, page and commands in a second."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from numdl import load
from numdl.cli.models import choose_model
from numdl.cli.options import FitOptions
from numdl.report.summary import read_summary


@pytest.mark.quick("linear-kind-*", "random-features-price-*")
@pytest.mark.parametrize(
    ("model", "target", "kind"),
    [
        ("linear", "price", "TikhonovRegressor"),
        ("linear", "kind", "SoftmaxClassifier"),
        pytest.param("linear", "city", "SoftmaxClassifier", marks=pytest.mark.thorough),
        ("random-features", "price", "RandomFeaturesRegressor"),
        ("random-features", "kind", "RandomFeaturesClassifier"),
    ],
)
def test_fit_predict_and_report(numdl, csv_file, tmp_path, model, target, kind):
    run = tmp_path / "run"
    words = ["--width", "20"] if model == "random-features" else []
    result = numdl("fit", csv_file, "--target", target, "--model", model, *words, "--out", run)
    assert result.code == 0, result.err
    words = model.replace("-", " ")
    assert f"numdl {words}" in result.out and "Penalty" in result.out and kind in result.out
    assert type(load(run / "model.numdl")).__name__ == kind
    predictions = numdl("predict", run, csv_file)
    assert predictions.code == 0 and predictions.out.startswith(target) and predictions.out.count("\n") == 61
    summary = read_summary(run / "summary.numdl")
    assert summary.model == words and summary.path["alpha"].size > 10
    page = (run / "report.html").read_text()
    assert "Criterion for alpha" in page and "network" not in page.split("</style>")[1].replace("fit a network", "")
    again = tmp_path / "again.html"
    assert numdl("report", run, "--out", again).code == 0 and "Criterion for alpha" in again.read_text()


def test_a_robust_fit_is_judged_by_medians(numdl, tmp_path):
    """Gross errors in the test rows would say that the columns carry no signal, and that ridge does as well."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (200, 2))
    y = x @ [3.0, 2.0] + 0.05 * rng.normal(size=200)
    y[::8] += 50 * rng.normal(size=25)
    data = tmp_path / "gross.csv"
    np.savetxt(data, np.column_stack([x, y, -y]), delimiter=",", header="a,b,y,z", comments="")
    words = ["fit", data, "--model", "linear", "--loss", "pseudo-huber", "--overwrite", "--out", tmp_path / "run"]
    words += ["--inputs", "a", "--inputs", "b"]
    assert numdl(*words, "--target", "y").code == 0
    found = read_summary(tmp_path / "run" / "summary.numdl")
    assert found.score_name == "Median error of y"
    own, ridge, mean = (row["test"] for row in found.scores)
    assert own == pytest.approx(np.median(np.abs(found.prediction - found.c))) and own < 0.1 < min(ridge, mean)
    assert "little or no signal" not in (tmp_path / "run" / "report.html").read_text()
    importance = dict(zip(found.input_names, found.effects["importance"], strict=True))
    assert importance["a"] > importance["b"] > 0.2 and np.sqrt(np.mean((found.prediction - found.c) ** 2)) > 5
    assert numdl(*words, "--target", "y", "--target", "z").code == 0
    both = read_summary(tmp_path / "run" / "summary.numdl")
    middle = np.median(np.abs(y - np.median(y))) / 0.6745
    assert both.score_name.startswith("Median error in standard deviations")
    assert both.scores[0]["test"] == pytest.approx(own / middle, rel=0.15)
    model = load(tmp_path / "run" / "model.numdl")
    alone = model.summary(x, np.column_stack([y, -y]))
    assert alone.score_name == "median error" and alone.scores[0]["test"] < 0.1


def test_several_targets_and_a_given_alpha(numdl, csv_file, tmp_path):
    run = tmp_path / "run"
    words = ["--target", "price", "--target", "cost", "--model", "linear", "--alpha", "0.01", "--out", run]
    words += ["--loss", "pseudo-huber"]
    result = numdl("fit", csv_file, *words)
    assert result.code == 0, result.err
    model = load(run / "model.numdl")
    assert model.alpha_ == 0.01 and model.loss == "pseudo-huber" and "rows lie far off" in model.status_.message
    assert "Criterion for alpha" not in (run / "report.html").read_text()
    finished = numdl("fit", csv_file, *words, "--resume")
    assert finished.code == 0 and "nothing to resume" in finished.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "forest"], "unknown; use one of auto, resnet, mlp, single-layer, linear, random-features"),
        (["--model", "linear", "--loss", "l1"], "--loss l1: needed is squared or pseudo-huber"),
        (["--model", "linear", "--width", "3"], "--width: --model linear has no such setting"),
        (["--model", "linear", "--time", "5"], "--time: --model linear has no such setting"),
        (["--model", "random-features", "--max-iter", "5"], "--max-iter: --model random-features has no such setting"),
        (["--model", "linear", "--alpha", "-1"], "alpha=-1.0"),
    ],
)
def test_options_that_do_not_fit_are_refused(numdl, csv_file, tmp_path, words, message):
    result = numdl("fit", csv_file, "--target", "price", *words, "--out", tmp_path / "run")
    assert result.code == 1 and message in result.err and not (tmp_path / "run").exists()


def test_a_linear_model_predicts_with_deviations(numdl, csv_file, tmp_path):
    run = tmp_path / "run"
    numdl("fit", csv_file, "--target", "price", "--model", "linear", "--out", run)
    result = numdl("predict", run, csv_file, "--std")
    head, *rows = result.out.splitlines()
    assert result.code == 0 and head == "price,price_std"
    assert all(float(row.split(",")[1]) > 0 for row in rows) and len(rows) == 60


def test_deviations_that_a_fit_does_not_know_are_refused_in_a_sentence(numdl, csv_file, tmp_path):
    from numdl.estimators.common.saving import load_with_extra, save

    run = tmp_path / "run"
    numdl("fit", csv_file, "--target", "price", "--model", "linear", "--out", run)
    model, extra = load_with_extra(run / "model.numdl")
    model._errors = "the table was too large for a covariance. Use fewer columns."
    save(model, run / "model.numdl", extra)
    result = numdl("predict", run, csv_file, "--std")
    assert result.code == 1 and "Use fewer columns" in result.err


def test_kernels_fit_numbers_only(numdl, csv_file, tmp_path):
    run = tmp_path / "run"
    result = numdl("fit", csv_file, "--target", "price", "--model", "kernel", "--out", run)
    assert result.code == 0 and "numdl kernel" in result.out, result.err
    assert type(load(run / "model.numdl")).__name__ == "KernelRegressor"
    assert numdl("predict", run, csv_file, "--std").code == 0
    refused = numdl("fit", csv_file, "--target", "kind", "--model", "kernel", "--out", tmp_path / "other")
    assert refused.code == 1 and "the target holds classes" in refused.err


@pytest.mark.parametrize(
    ("rows", "targets", "task", "processes", "given", "expected"),
    [
        (100, 1, "regression", 1, {}, "auto"),
        (4000, 4, "regression", 1, {"time": 5.0, "seed": 3}, "auto"),
        (4001, 1, "regression", 1, {}, "auto"),
        (4_000_001, 1, "regression", 1, {}, "resnet"),
        (100, 5, "regression", 1, {}, "resnet"),
        (4000, 1, "classification", 1, {}, "auto"),
        (10_001, 1, "classification", 1, {}, "resnet"),
        (100, 1, "classification", 2, {}, "resnet"),
        (100, 1, "regression", 2, {}, "resnet"),
        (100, 1, "regression", 1, {"width": 8}, "resnet"),
        (100, 1, "regression", 1, {"alpha": 0.1}, "resnet"),
        (100, 1, "regression", 1, {"dtype": "float32"}, "resnet"),
        (100, 1, "regression", 1, {"model": "mlp"}, "mlp"),
    ],
)
def test_what_auto_stands_for(rows, targets, task, processes, given, expected):
    encoder = SimpleNamespace(task=task, target_names=["y"] * targets)

    def chosen(inputs):
        x = np.broadcast_to(0.0, (rows, inputs))
        found = SimpleNamespace(encoder=encoder, whole=SimpleNamespace(x=x))
        return choose_model(FitOptions(("y",), **given), found, processes)

    assert chosen(2) == expected
    assert chosen(51) == ("resnet" if expected == "auto" and rows > 4000 else expected)


def test_a_table_of_numbers_gets_the_model_that_chooses(numdl, csv_file, tmp_path):
    run = tmp_path / "run"
    result = numdl("fit", csv_file, "--target", "price", "--out", run)
    assert result.code == 0 and "numdl auto" in result.out and "Members, weights:" in result.out
    assert read_summary(run / "summary.numdl").model == "auto" and not (run / "checkpoint.numdl").exists()
    assert numdl("predict", run, csv_file, "--std", "--out", tmp_path / "p.csv").code == 0
    assert "finished" in numdl("fit", csv_file, "--target", "price", "--out", run, "--resume").out


def test_scores_of_a_target_seen_by_its_logarithm_are_ratios(numdl, tmp_path):
    """Errors in the unit of a target of decades are those of its few largest rows."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 40)
    y = np.exp(3 + 4 * x + 0.2 * rng.normal(size=40))
    data = tmp_path / "decades.csv"
    np.savetxt(data, np.column_stack([x, y]), delimiter=",", header="x,y", comments="")
    end = numdl("fit", data, "--target", "y", "--model", "kernel", "--out", tmp_path / "run")
    assert end.code == 0, end.err
    told = json.loads((tmp_path / "run" / "report.json").read_text())
    assert told["score_name"] == "RMS error of ln(y)"
    assert [row["name"] for row in told["scores"][1:]] == ["ridge on the logarithm", "mean of the logarithm"]
    rows = {part: np.array([row[part] for row in told["scores"]]) for part in ("train", "test")}
    spread = 4 / 12**0.5  # standard deviation of 4 x, hence of ln(y) but for its noise
    for own, ridge, mean in rows.values():
        assert 0.1 < own < 0.3 and 0.1 < ridge < 0.3 and 0.7 * spread < mean < 1.4 * spread
    summary = read_summary(tmp_path / "run" / "summary.numdl")
    off = np.log(np.ravel(summary.median)) - np.log(np.ravel(summary.c))
    assert rows["test"][0] == pytest.approx(np.sqrt(np.mean(off**2)))
