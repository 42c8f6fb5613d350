"""``numdl predict`` and ``numdl report`` on what a fit has written; with the stand-in."""

import csv
import io

import numpy as np
import pytest
from flats import table, write_csv

from numdl.container import read_container, write_container
from numdl.estimators.common.saving import load

pytestmark = pytest.mark.usefixtures("stand_in")


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def fitted(numdl, csv_file, tmp_path):
    def fit(*targets):
        run = tmp_path / "run"
        args = [word for target in targets for word in ("--target", target)]
        assert numdl("fit", csv_file, *args, "--out", run).code == 0
        return run

    return fit


@pytest.fixture
def new(tmp_path):
    """New rows: columns in another order, one more, and no target."""
    columns = table(n=5, seed=1)
    return write_csv(
        tmp_path / "new.csv", {"more": range(5), **{k: columns[k] for k in ("city", "kind", "cost", "floor", "area")}}
    )


def test_values_that_training_did_not_have_are_named(numdl, fitted, tmp_path):
    columns = table(n=5, seed=1)
    columns["city"][2] = "Oz"
    path = write_csv(tmp_path / "far.csv", {k: columns[k] for k in ("city", "kind", "cost", "floor", "area")})
    end = numdl("predict", fitted("price"), path)
    assert end.code == 0 and len(rows(end.out)) == 5
    assert "Column 'city' holds values that training did not have, 'Oz' for one: 1 of 5 rows" in end.err


def test_predictions_go_to_standard_output(numdl, fitted, new):
    end = numdl("predict", fitted("price") / "model.numdl", new)
    assert end.code == 0, end.err
    found = np.array([float(row["price"]) for row in rows(end.out)])
    assert np.abs(found - table(n=5, seed=1)["price"]).max() < 5
    assert list(rows(end.out)[0]) == ["price"]


def test_the_folder_and_the_file_give_the_same(numdl, fitted, new, tmp_path):
    run = fitted("price")
    printed = rows(numdl("predict", run, new).out)
    end = numdl("predict", run, new, "--out", tmp_path / "p.csv")
    assert end.out == f"Predictions  {tmp_path / 'p.csv'}\n"
    assert rows((tmp_path / "p.csv").read_text()) == printed


def test_parquet(numdl, fitted, new, tmp_path):
    import pyarrow.parquet as pq

    assert numdl("predict", fitted("price", "cost"), new, "--out", tmp_path / "p.parquet").code == 0
    assert pq.read_table(tmp_path / "p.parquet").column_names == ["price", "cost"]


def test_standard_deviations(numdl, fitted, new):
    found = rows(numdl("predict", fitted("price", "cost"), new, "--std").out)
    assert list(found[0]) == ["price", "price_std", "cost", "cost_std"]
    assert {row["cost_std"] for row in found} == {"0.5"}


def test_classes_come_with_probabilities(numdl, fitted, new):
    run = fitted("kind")
    found = rows(numdl("predict", run, write_csv(new, table(n=5, seed=1))).out)
    assert list(found[0]) == ["kind", "probability_cheap", "probability_dear"]
    for row in found:
        dear = float(row["probability_dear"])
        assert dear + float(row["probability_cheap"]) == pytest.approx(1)
        assert row["kind"] == ("dear" if dear > 0.5 else "cheap")
    end = numdl("predict", run, new, "--std")
    assert end.code == 1
    assert "--std is for numbers" in end.err


def test_numbers_survive_the_output_exactly(numdl, fitted, new):
    run = fitted("price")
    from numdl.cli.predict import predictions
    from numdl.data import TableEncoder, read_table
    from numdl.estimators.common.saving import load_with_extra

    model, extra = load_with_extra(run / "model.numdl")
    encoder = TableEncoder.from_json(extra["encoder"])
    names, (expected,) = predictions(model, encoder, encoder.transform(read_table(new)))
    assert names == ["price"]
    assert [float(row["price"]) for row in rows(numdl("predict", run, new).out)] == expected.tolist()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("options",), [0, float("inf")]),
        (("options", "na"), -0.5),
        (("options", "na"), [10**12]),
        (("options", "header"), 3),
        (("encoder", "features", 0, "name"), [[1]]),
        (("encoder", "features", 1, "name"), "no such column"),
        (("encoder", "features", 0, "kind"), "float32"),
        (("encoder", "features", 0, "kind"), {}),
        (("encoder", "features", 0, "fill"), float("nan")),
        (("encoder", "features"), []),
        (("encoder", "target_names"), ["price", "cost"]),
        (("encoder", "target_names"), [3]),
        (("encoder", "task"), None),
        (("encoder",), "x"),
    ],
    ids=lambda part: "-".join(map(str, part)) if isinstance(part, tuple) else "",
)
def test_altered_columns_are_refused_in_a_sentence(numdl, fitted, new, path, value):
    """The checksum of a file authenticates nobody, and columns are stored beside the model."""
    run = fitted("price")
    arrays, header = read_container(run / "model.numdl", kind="model")
    into = header["extra"]
    for key in path[:-1]:
        into = into[key]
    into[path[-1]] = value
    write_container(run / "model.numdl", arrays, header, kind="model")
    end = numdl("predict", run, new)
    assert end.code == 1 and end.err.startswith("Error: ") and end.err.count("\n") == 1


def test_altered_columns_in_use_are_refused_in_a_sentence(numdl, csv_file, new, tmp_path):
    """Which columns vary is asked for the region of the training rows, beside the formula."""
    run = tmp_path / "run"
    assert numdl("fit", csv_file, "--target", "price", "--model", "kernel", "--out", run).code == 0
    arrays, header = read_container(run / "model.numdl", kind="model")
    write_container(run / "model.numdl", arrays | {"_active": arrays["_active"][None]}, header, kind="model")
    end = numdl("predict", run, new)
    assert end.code == 1 and end.err.splitlines()[-1].startswith("Error: load(")


def test_an_existing_file_is_refused_before_any_work(numdl, new, tmp_path):
    out = tmp_path / "p.csv"
    out.write_text("precious")
    end = numdl("predict", tmp_path / "no such model", new, "--out", out)
    assert end.code == 1
    assert "the file exists; give another name, or add --overwrite" in end.err
    assert out.read_text() == "precious"


def test_overwrite_replaces_but_never_the_input(numdl, fitted, new, tmp_path):
    run = fitted("price")
    out = tmp_path / "p.csv"
    out.write_text("old")
    assert numdl("predict", run, new, "--out", out, "--overwrite").code == 0
    assert "price" in out.read_text()
    end = numdl("predict", run, new, "--out", new, "--overwrite")
    assert end.code == 1
    assert "this is the file to predict from" in end.err


@pytest.mark.parametrize(
    ("out", "message"),
    [("p.xlsx", "a name that ends in .csv or .parquet"), ("absent/p.csv", "there is no folder"), (".", "extension")],
)
def test_bad_places_are_refused(numdl, new, tmp_path, out, message):
    end = numdl("predict", tmp_path / "no such model", new, "--out", tmp_path / out)
    assert end.code == 1
    assert message in end.err


def test_wrong_columns_and_text_are_refused(numdl, fitted, tmp_path):
    run = fitted("price")
    columns = table(n=3)
    end = numdl("predict", run, write_csv(tmp_path / "a.csv", {"area": columns["area"]}))
    assert (end.code, "there is no column 'floor'" in end.err) == (1, True)
    columns["area"] = ["big", "small", "big"]
    end = numdl("predict", run, write_csv(tmp_path / "b.csv", columns))
    assert (end.code, "column 'area', row 1: 'big' is not a number" in end.err) == (1, True)


def test_models_that_cannot_be_read_are_refused(numdl, fitted, new, tmp_path):
    run = fitted("price")
    end = numdl("predict", tmp_path / "absent", new)
    assert (end.code, "give the folder that numdl fit wrote, or the model in it" in end.err) == (1, True)
    end = numdl("predict", tmp_path, new)
    assert (end.code, "there is no model in" in end.err) == (1, True)
    end = numdl("predict", run / "summary.numdl", new)
    assert (end.code, "holds a summary, needed is a model" in end.err) == (1, True)
    path = run / "model.numdl"
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1  # in the arrays: a flip in the header may also read as "no model of numdl"
    path.write_bytes(whole)
    end = numdl("predict", run, new)
    assert (end.code, "the file is damaged" in end.err) == (1, True)
    assert end.err.count("\n") == 1
    (run / "model.numdl").unlink()
    assert "its fit is not finished" in numdl("predict", run, new).err


def test_a_model_from_python_has_no_columns(numdl, fitted, new, tmp_path):
    from numdl.estimators.common.saving import save

    save(load(fitted("price") / "model.numdl"), tmp_path / "bare.numdl")
    end = numdl("predict", tmp_path / "bare.numdl", new)
    assert (end.code, "was not made by numdl fit" in end.err) == (1, True)


@pytest.mark.usefixtures("real_page")
def test_the_report_is_made_again(numdl, fitted, tmp_path, monkeypatch):
    run = fitted("price")
    page = (run / "report.html").read_text()
    (run / "report.html").unlink()
    end = numdl("report", run)
    assert (end.code, end.out) == (0, f"{run / 'report.html'}\n")
    assert (run / "report.html").read_text() == page
    monkeypatch.setattr("numdl.cli.report.write_page", lambda summary, path: path.write_text(summary.title))
    assert numdl("report", run / "summary.numdl", "--out", tmp_path / "page.html").code == 0
    assert (tmp_path / "page.html").read_text() in page
    end = numdl("report", run, "--out", tmp_path / "page.html")
    assert (end.code, "the file exists" in end.err) == (1, True)
    assert numdl("report", run, "--out", tmp_path / "page.html", "--overwrite").code == 0


def test_reports_of_nothing_are_refused(numdl, tmp_path):
    assert "there is no" in numdl("report", tmp_path / "absent").err
    assert "there is no summary in" in numdl("report", tmp_path).err
    write_container(tmp_path / "x", {}, {}, kind="checkpoint")
    end = numdl("report", tmp_path / "x")
    assert (end.code, "needed is a summary" in end.err) == (1, True)
