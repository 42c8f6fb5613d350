import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from numdl.data import check_writable, read_table, write_predictions
from numdl.data.read import several


def sentence(error):
    """The message is one line without a library's class names."""
    text = str(error.value)
    assert "\n" not in text and "Traceback" not in text and "Arrow" not in text
    assert text.startswith(("read_table(", "write_predictions("))
    return text


def test_missing_file_names_close_ones(tmp_path):
    (tmp_path / "prices.csv").write_text("a\n1\n")
    with pytest.raises(FileNotFoundError) as error:
        read_table(tmp_path / "price.csv")
    assert "did you mean prices.csv?" in sentence(error)
    with pytest.raises(FileNotFoundError) as error:
        read_table(tmp_path / "nowhere" / "price.csv")
    assert "no folder" in sentence(error)


@pytest.mark.parametrize("extension", [".csv", ".txt", ".parquet", ".npz", ".mat"])
def test_empty_file(tmp_path, extension):
    path = tmp_path / f"a{extension}"
    path.touch()
    with pytest.raises(ValueError, match="the file is empty") as error:
        read_table(path)
    sentence(error)


@pytest.mark.parametrize("extension", [".csv", ".txt", ".parquet", ".npz", ".mat"])
def test_bytes_of_another_format(tmp_path, extension):
    path = tmp_path / f"a{extension}"
    path.write_bytes(bytes(range(256)) * 8)
    with pytest.raises(ValueError) as error:
        read_table(path)
    sentence(error)


def test_folder_and_unknown_extension(tmp_path):
    with pytest.raises(ValueError, match="this is a folder") as error:
        read_table(tmp_path)
    sentence(error)
    for name in ("a.doc", "noextension", "a.mat.gz"):
        (tmp_path / name).write_text("x")
        with pytest.raises(ValueError, match="unknown extension") as error:
            read_table(tmp_path / name)
        assert ".parquet" in sentence(error)


def test_duplicate_names_name_the_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,a\n1,2,3\n")
    with pytest.raises(ValueError, match="'a' occur more than once") as error:
        read_table(path)
    assert sentence(error).startswith(f"read_table({str(path)!r}): column names")


def test_parquet_types(tmp_path):
    path = tmp_path / "a.PARQUET"
    arrow = pa.table(
        {
            "int": pa.array([1, None, 3]),
            "float": pa.array([1.5, 2.5, float("inf")], pa.float32()),
            "bool": pa.array([True, False, None]),
            "decimal": pa.array([1, 2, 3]).cast(pa.decimal128(30, 2)),
            "text": pa.array(["a ", None, "c"]),
            "category": pa.array(["u", "v", "u"]).dictionary_encode(),
            "date": pa.array([0, 1, 2], pa.date32()),
            "big": pa.array([2**60 + 1, 0, 0]),
            "__index_level_0__": pa.array([0, 1, 2]),
        }
    )
    pq.write_table(arrow, path)
    table = read_table(path)
    assert table.names == ("int", "float", "bool", "decimal", "text", "category", "date", "big")
    np.testing.assert_array_equal(table.column("int"), [1, np.nan, 3])
    np.testing.assert_array_equal(table.column("float"), [1.5, 2.5, np.inf])
    np.testing.assert_array_equal(table.column("bool"), [1, 0, np.nan])
    np.testing.assert_array_equal(table.column("decimal"), [1, 2, 3])
    assert table.column("text").tolist() == ["a", None, "c"]
    assert table.column("category").tolist() == ["u", "v", "u"]
    assert table.column("date").tolist() == ["1970-01-01", "1970-01-02", "1970-01-03"]
    assert table.column("big").tolist() == ["1152921504606846977", "0", "0"]


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_truncated_parquet(tmp_path, keep):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": np.arange(1000.0)}), path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(ValueError, match="truncated or is not Parquet") as error:
        read_table(path)
    sentence(error)


def test_parquet_without_rows_or_with_lists(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": pa.array([], pa.float64())}), path)
    with pytest.raises(ValueError, match="1 columns and 0 rows"):
        read_table(path)
    pq.write_table(pa.table({"a": [1.0], "v": [[1, 2]]}), path)
    with pytest.raises(ValueError, match="column 'v' has type list"):
        read_table(path)


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_predictions_come_back(tmp_path, name):
    values = np.array([0.1, 1e-300, -1 / 3])
    path = write_predictions(
        tmp_path / name, ["price", "class", "rank"], [values, np.array(["a", "b", "c"]), [3, 1, 2]]
    )
    table = read_table(path)
    assert table.names == ("price", "class", "rank")
    np.testing.assert_array_equal(table.column("price"), values)
    assert table.column("class").tolist() == ["a", "b", "c"]
    assert sorted(os.listdir(tmp_path)) == [name]
    assert path.stat().st_mode & 0o400


def test_predictions_refused_before_anything_is_written(tmp_path):
    there = tmp_path / "there.csv"
    there.write_text("keep")
    column = [np.ones(2)]
    with pytest.raises(ValueError, match="the file exists") as error:
        write_predictions(there, ["a"], column)
    sentence(error)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_predictions(tmp_path / "no" / "a.csv", ["a"], column)
    with pytest.raises(ValueError, match=r"'\.xls'; give a name that ends in"):
        write_predictions(tmp_path / "a.xls", ["a"], column)
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(ValueError, match="this is a folder"):
        check_writable(tmp_path / "d.csv", overwrite=True)
    with pytest.raises(ValueError, match="column 'a' has 2 rows but column 'b' has 3"):
        write_predictions(tmp_path / "a.csv", ["a", "b"], [np.ones(2), np.ones(3)])
    assert there.read_text() == "keep" and sorted(os.listdir(tmp_path)) == ["d.csv", "there.csv"]
    write_predictions(there, ["a"], column, overwrite=True)
    assert read_table(there).names == ("a",)


def test_archive_that_inflates_beyond_the_limit(tmp_path, monkeypatch):
    import gzip
    import zipfile

    from numdl.data.read import sources

    monkeypatch.setattr(sources, "MOST_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", bytes(2 << 20))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(bytes(2 << 20)))
    np.savez_compressed(tmp_path / "a.npz", X=np.zeros((1 << 17, 2)))
    (tmp_path / "a.xlsx").write_bytes((tmp_path / "a.zip").read_bytes())
    for name in ("a.zip", "a.csv.gz", "a.npz", "a.xlsx"):
        with pytest.raises(ValueError, match=r"bytes inflates to [\d, a-z]+, above the limit of 1,048,576") as error:
            read_table(tmp_path / name)
        sentence(error)


def test_an_extra_that_is_not_installed_is_named(tmp_path, monkeypatch):
    import sys

    for package, extra, name in (("python_calamine", "excel", "a.xlsx"), ("h5py", "hdf5", "a.h5")):
        (tmp_path / name).write_bytes(b"x")
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ValueError, match=rf"{package}, which is not installed; run pip install 'numdl\[{extra}\]'"):
            read_table(tmp_path / name)


def test_rows_of_several_files(tmp_path):
    (tmp_path / "run1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "run2.csv").write_text("b,a\n7,2\n")
    table = read_table(tmp_path / "run*.csv")
    assert table.column("a").tolist() == [1, 2] and table.column("b").tolist() == ["x", "7"]
    assert table.notes == ("The rows of 2 files are joined.",)
    (tmp_path / "run3.csv").write_text("a,c\n1,x\n")
    with pytest.raises(
        ValueError, match=r"run1.csv and \S*run3.csv do not have the same columns \('b', 'c' only in one"
    ):
        read_table(tmp_path / "run*.csv")


def test_standard_input(monkeypatch):
    import io
    import sys
    from types import SimpleNamespace

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a;b\n1;2,5\n")))
    assert read_table("-").column("b").tolist() == [2.5]
    with pytest.raises(ValueError, match="standard input is empty"):
        read_table("-")


def test_packed_standard_input_has_the_limits_of_a_file(monkeypatch):
    import gzip
    import io
    import sys
    from types import SimpleNamespace

    packed = gzip.compress(b"a,b\n1,2\n" * 1000)

    def read(content):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        return read_table("-")

    assert read(gzip.compress(b"a;b\n1;2,5\n")).column("b").tolist() == [2.5]
    with pytest.raises(ValueError, match="cannot be unpacked"):
        read(packed[:-9])
    monkeypatch.setattr("numdl.data.read.sources.MOST_BYTES", 100)
    with pytest.raises(ValueError, match=r"inflates to more than 100, above the limit"):
        read(packed)


def test_a_spreadsheet_runs_nothing_that_is_written(tmp_path):
    labels = np.array(["=1+1", "@SUM(A1)", "-3", "+cmd", "-1e5", "x=1", "\t=2"])
    write_predictions(tmp_path / "p.csv", ["=name", "y"], [labels, np.arange(-3.0, 4.0)])
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == '"\'=name","y"'
    assert [line.split(",")[0].strip('"') for line in lines[1:]] == [
        "'=1+1",
        "'@SUM(A1)",
        "-3",
        "'+cmd",
        "-1e5",
        "x=1",
        "'\t=2",
    ]
    assert [line.split(",")[-1] for line in lines[1:3]] == ["-3", "-2"]
    write_predictions(tmp_path / "p.parquet", ["=name"], [labels])
    assert read_table(tmp_path / "p.parquet").column("=name").tolist()[:-1] == labels.tolist()[:-1]


@pytest.mark.skipif(os.pathsep != ":", reason="names of files hold no semicolons by which paths are joined here")
def test_names_that_hold_what_joins_paths_stay_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("12:30").mkdir()
    for name in ("a.csv", "T12:30.csv", "12:30:00.csv", "12:30/b.csv", "12:30/c.csv"):
        Path(name).write_text("x,y\n1,2\n")
    given = [Path(name) for name in ("T12:30.csv", "a.csv", "12:30:00.csv", "12:30/*.csv", "missing.csv")]
    assert several.apart(several.joined(given)) == given
    found = several.matching(several.joined(given))
    assert list(map(str, found)) == [*map(str, given[:3]), "12:30/b.csv", "12:30/c.csv", "missing.csv"]
    assert several.matching(Path("12:30/*.csv")) == [Path("12:30/b.csv"), Path("12:30/c.csv")]


def test_many_files_are_more_than_a_path_may_be_long(tmp_path):
    given = [tmp_path / f"measurement_{i:06d}.csv" for i in range(2000)]
    assert several.apart(several.joined(given)) == given
