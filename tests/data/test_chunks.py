"""Pieces of a file put together are the file, and what cannot be read is refused with its row."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from numdl.data import row_chunks

X = np.random.default_rng(0).normal(size=(23, 4))
NAMES = ["a", "b", "c", "y"]


def parquet(tmp_path, values=X, names=NAMES, **options):
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table([pa.array(column) for column in values.T], names=names), path, **options)
    return path


def npy(tmp_path, values=X, name="table.npy"):
    np.save(tmp_path / name, values)
    return tmp_path / name


def together(pieces):
    pieces = list(pieces)
    return *(np.concatenate(part) for part in zip(*pieces, strict=True)), [len(x) for x, _ in pieces]


@pytest.mark.parametrize("rows", [1, 7, 23, 1000])
@pytest.mark.parametrize(("write", "target"), [(parquet, "y"), (npy, 3)])
def test_pieces_are_the_file(tmp_path, write, target, rows):
    x, c, sizes = together(row_chunks(write(tmp_path), target, rows=rows))
    np.testing.assert_array_equal(x, X[:, :3])
    np.testing.assert_array_equal(c, X[:, 3:])
    assert max(sizes) == min(rows, 23) and sum(sizes) == 23


def test_pieces_do_not_outgrow_row_groups(tmp_path):
    x, _, sizes = together(row_chunks(parquet(tmp_path, row_group_size=5), "y", rows=10))
    np.testing.assert_array_equal(x, X[:, :3])
    assert max(sizes) <= 10


@pytest.mark.parametrize(
    ("write", "target", "columns"), [(parquet, ["y", "a"], ["c", "b"]), (npy, [3, 0], [2, 1]), (npy, (3, 0), (2, 1))]
)
def test_columns_in_the_order_asked_for(tmp_path, write, target, columns):
    x, c, _ = together(row_chunks(write(tmp_path), target, columns=columns, rows=6))
    np.testing.assert_array_equal(x, X[:, [2, 1]])
    np.testing.assert_array_equal(c, X[:, [3, 0]])


def test_target_from_a_second_array(tmp_path):
    path = npy(tmp_path, X[:, :3].astype(np.float32))
    for target in (npy(tmp_path, X[:, 3], "y.npy"), str(npy(tmp_path, X[:, 3:], "z.npy"))):
        x, c, _ = together(row_chunks(path, target, rows=6))
        assert x.dtype == c.dtype == np.float64
        np.testing.assert_array_equal(x, X[:, :3].astype(np.float32))
        np.testing.assert_array_equal(c, X[:, 3:])
    assert next(row_chunks(path, target, columns=[2]))[0].shape == (23, 1)


def test_integers_and_booleans_are_numbers(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"i": [1, 2], "f": [True, False]}), path)
    x, c = next(row_chunks(path, "f"))
    assert x.tolist() == [[1.0], [2.0]] and c.tolist() == [[1.0], [0.0]]


def test_an_empty_array_has_no_pieces(tmp_path):
    assert list(row_chunks(npy(tmp_path, X[:0]), 3)) == []


def missing(values):
    values = values.copy()
    values[17, 2] = np.nan
    return values


@pytest.mark.parametrize(("write", "target"), [(parquet, "y"), (npy, 3)])
def test_missing_entries_are_named_by_their_row_in_the_file(tmp_path, write, target):
    pieces = row_chunks(write(tmp_path, missing(X)), target, rows=5)
    assert len([next(pieces) for _ in range(3)]) == 3
    with pytest.raises(ValueError, match=r"Input sample contains NaN at column 2, row 18 .*needs finite numbers"):
        next(pieces)
    with pytest.raises(ValueError, match="Input target contains NaN at column 0, row 18"):
        list(row_chunks(write(tmp_path, missing(X)), "c" if write is parquet else 2))


def test_nulls_are_missing(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1.0, None], "y": [1, 2]}), path)
    with pytest.raises(ValueError, match="Input sample contains NaN at column 0, row 2"):
        list(row_chunks(path, "y"))


def test_the_index_of_pandas_is_no_column(tmp_path):
    x, _, _ = together(row_chunks(parquet(tmp_path, names=["__index_level_0__", "b", "c", "y"]), "y"))
    np.testing.assert_array_equal(x, X[:, 1:3])


def test_a_damaged_page_is_refused(tmp_path):
    path = parquet(tmp_path, compression="gzip")
    content = bytearray(path.read_bytes())
    content[40:200] = bytes(160)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="the file is damaged"):
        list(row_chunks(path, "y"))


def test_refuses_columns(tmp_path):
    with pytest.raises(ValueError, match=r"there is no column 'z', .*; choose from a, b, c, y"):
        row_chunks(parquet(tmp_path), "z")
    with pytest.raises(ValueError, match=r"there is no column 4, .*; choose from 0, 1, 2, 3"):
        row_chunks(npy(tmp_path), 0, columns=[4])
    path = tmp_path / "text.parquet"
    pq.write_table(pa.table({"a": ["u", "v"], "y": [1, 2]}), path)
    with pytest.raises(ValueError, match="column 'a' holds text, needs numbers"):
        list(row_chunks(path, "y"))


def test_refuses_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        row_chunks(tmp_path / "none.npy", 0)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"extension '.csv' is not read in pieces"):
        row_chunks(tmp_path / "a.csv", "b")
    with pytest.raises(ValueError, match=r"rows=0\): needs a whole number >= 1"):
        row_chunks(npy(tmp_path), 0, rows=0)
    with pytest.raises(ValueError, match=r"has 23 rows but .* 3; give files of the same samples"):
        row_chunks(npy(tmp_path), npy(tmp_path, np.ones(3), "y.npy"))
    with pytest.raises(ValueError, match=r"y\.npy is missing, truncated"):
        (tmp_path / "y.npy").unlink()
        row_chunks(npy(tmp_path), tmp_path / "y.npy")
    for values in (np.ones((2, 2, 2)), np.ones((2, 2)) * 1j):
        with pytest.raises(ValueError, match=r"needs real numbers \(n, d\)"):
            row_chunks(npy(tmp_path, values), 0)
    with pytest.raises(ValueError, match="no NPY array of numbers"):
        row_chunks(npy(tmp_path, np.array([{}], dtype=object)), 0)


@pytest.mark.parametrize(("write", "target"), [(parquet, "y"), (npy, 3)])
def test_truncated_files_are_refused(tmp_path, write, target):
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match="truncated"):
        row_chunks(path, target)
