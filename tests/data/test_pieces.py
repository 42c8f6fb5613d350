"""Numbered pieces of files and of anything with a shape and slices."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from numdl.data import ArrayPieces, row_pieces

RNG = np.random.default_rng(0)
X, C = RNG.standard_normal((23, 3)), RNG.standard_normal((23, 2))


class Dataset:
    """The part of an HDF5 dataset that is used: shape, and rows by slices."""

    def __init__(self, values):
        self.values, self.shape, self.read = values, values.shape, 0

    def __getitem__(self, part):
        assert isinstance(part, slice)
        self.read += 1
        return self.values[part]


def together(pieces):
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def files(folder):
    np.save(folder / "x.npy", X)
    np.save(folder / "c.npy", C)
    np.savez(folder / "both.npz", x=X, other=np.zeros(4), c=np.asfortranarray(C))
    columns = {f"x{j}": X[:, j] for j in range(3)} | {f"c{j}": C[:, j] for j in range(2)}
    pq.write_table(pa.table(columns), folder / "both.parquet", row_group_size=10)
    return {
        "npy": row_pieces(folder / "x.npy", folder / "c.npy", rows=10),
        "npz": row_pieces(folder / "both.npz", "c", rows=10),
        "parquet": row_pieces(folder / "both.parquet", ["c0", "c1"]),
    }


@pytest.mark.parametrize("kind", ["npy", "npz", "parquet"])
def test_the_pieces_together_are_the_file_and_come_in_any_order(tmp_path, kind):
    pieces = files(tmp_path)[kind]
    assert len(pieces) == 3 and [len(x) for x, _ in pieces] == [10, 10, 3]
    for found, expected in zip(together(pieces), (X, C), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(pieces[2][0], X[20:])
    np.testing.assert_array_equal(pieces[0][1], C[:10])


def test_the_archive_is_mapped_and_not_loaded(tmp_path):
    pieces = files(tmp_path)["npz"]
    assert isinstance(pieces.x, np.memmap) and isinstance(pieces.c, np.memmap)


def test_datasets_are_read_by_slices_one_piece_at_a_time():
    x, c = Dataset(X), Dataset(C)
    pieces = ArrayPieces(x, c, rows=12)
    assert x.read == 0 and len(pieces) == 2
    np.testing.assert_array_equal(pieces[1][0], X[12:])
    assert x.read == c.read == 1


def test_what_cannot_be_read_says_so(tmp_path):
    files(tmp_path)
    with pytest.raises(IndexError, match="no piece 3, needs 0 to 2"):
        ArrayPieces(X, C, 10)[3]
    with pytest.raises(ValueError, match=r"shape \(23, 3\) and c \(5, 2\)"):
        ArrayPieces(X, C[:5])
    with pytest.raises(ValueError, match="rows=0"):
        ArrayPieces(X, C, 0)
    with pytest.raises(ValueError, match="no array 'y'; choose from x, other, c"):
        row_pieces(tmp_path / "both.npz", "y")
    np.savez_compressed(tmp_path / "small.npz", x=X, c=C)
    with pytest.raises(ValueError, match="is compressed"):
        row_pieces(tmp_path / "small.npz", "c")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "both.npz").read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged"):
        row_pieces(tmp_path / "cut.npz", "c")
    with pytest.raises(ValueError, match="no column 'z'"):
        row_pieces(tmp_path / "both.parquet", "z")
    with pytest.raises(FileNotFoundError, match="no such file"):
        row_pieces(tmp_path / "none.npy", "c")
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match=r"extension '\.csv'"):
        row_pieces(tmp_path / "a.csv", "c")
