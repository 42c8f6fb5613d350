import numpy as np
import pytest
import scipy.io

from numdl.data import read_table

X, Y = np.arange(12.0).reshape(4, 3), np.array([1.0, 2, 3, 5])


@pytest.fixture(autouse=True)
def in_this_process(request, monkeypatch):
    """No process of its own for each MATLAB file, but where a test is about it: a third of a second each."""
    if "crash" not in request.node.name:
        from numdl.data.read import containers, matlab

        def variables(path):
            try:
                return matlab.variables(path)
            except Exception as error:
                raise ValueError(str(error)) from None

        monkeypatch.setattr(containers, "variables_apart", variables)


def npz(tmp_path, **arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    return read_table(tmp_path / "a.npz")


def mat(tmp_path, arrays, **options):
    scipy.io.savemat(tmp_path / "a.mat", arrays, **options)
    return read_table(tmp_path / "a.mat")


def test_npz_columns(tmp_path):
    table = npz(tmp_path, y=Y, X=X, kind=np.array(["a", "b", "a", "c"]), flag=np.array([True] * 4)[:, None])
    assert table.names == ("X0", "X1", "X2", "kind", "flag", "y")
    np.testing.assert_array_equal(np.column_stack(table.columns[:3]), X)
    assert table.column("kind").tolist() == ["a", "b", "a", "c"]
    np.testing.assert_array_equal(table.column("y"), Y)


def test_npz_names(tmp_path):
    assert npz(tmp_path, X=X, y=Y, names=["p", "q", "r", "s"]).names == ("p", "q", "r", "s")
    with pytest.raises(ValueError, match="'names' holds 2 names for 4 columns"):
        npz(tmp_path, X=X, y=Y, names=["p", "q"])


def test_npz_refuses(tmp_path):
    with pytest.raises(ValueError, match=r"same number of rows \(X \(4, 3\), y \(3,\)\)"):
        npz(tmp_path, X=X, y=Y[:3])
    with pytest.raises(ValueError, match=r"array 'X' has type float64 and shape \(1, 4, 3\)"):
        npz(tmp_path, X=X[None], y=Y)
    with pytest.raises(ValueError, match="array 'X' has type complex128"):
        npz(tmp_path, X=1j * X)
    with pytest.raises(ValueError, match="Python objects"):
        npz(tmp_path, X=np.array([{}, {}], dtype=object))
    with pytest.raises(ValueError, match="no array of numbers"):
        npz(tmp_path, version=np.float64(3))


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("extension", [".npz", ".mat"])
def test_truncated(tmp_path, extension, keep):
    path = tmp_path / f"a{extension}"
    content = {"X": np.random.default_rng(0).normal(size=(200, 5)), "y": np.arange(200.0)}
    if extension == ".npz":
        np.savez_compressed(path, **content)
    else:
        scipy.io.savemat(path, content, do_compression=True)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(ValueError, match="truncated or is no") as error:
        read_table(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("damage", [20, 60, 200, 1000])
def test_flipped_byte_in_npz(tmp_path, damage):
    np.savez_compressed(tmp_path / "a.npz", X=np.random.default_rng(0).normal(size=(200, 5)))
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    raw[damage] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(raw)
    try:
        table = read_table(tmp_path / "a.npz")
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert table.n == 200  # a byte that carries no content, such as a date


@pytest.mark.parametrize("version", ["4", "5"])
def test_mat_rows(tmp_path, version):
    table = mat(tmp_path, {"X": X, "y": Y}, format=version, oned_as="row")
    assert table.names == ("X0", "X1", "X2", "y")
    np.testing.assert_array_equal(np.column_stack(table.columns), np.column_stack([X, Y]))


def test_mat_columns(tmp_path):
    """Samples as columns, the layout of the course's data: 5 parameters and 7 observations of 20 samples."""
    params, seen = np.random.default_rng(0).normal(size=(5, 20)), np.random.default_rng(1).normal(size=(7, 20))
    table = mat(tmp_path, {"C": seen, "Y": params, "h": 0.1}, do_compression=True)
    assert table.n == 20
    assert table.names == tuple(f"C{i}" for i in range(7)) + tuple(f"Y{i}" for i in range(5))
    np.testing.assert_array_equal(np.column_stack(table.columns), np.vstack([seen, params]).T)


def test_mat_other_types(tmp_path):
    cells = np.array(["oak", "elm", "oak", "ash"], dtype=object)[:, None]
    names = np.array(["p", "kind", "q"], dtype=object)
    content = {
        "a": np.arange(4, dtype=np.int16)[:, None],
        "kind": cells,
        "b": scipy.sparse.csc_matrix(np.eye(4)[:, :1]),
    }
    table = mat(tmp_path, content | {"names": names, "settings": {"s": 1}})
    assert table.names == ("p", "kind", "q")
    assert table.column("kind").tolist() == ["oak", "elm", "oak", "ash"]
    np.testing.assert_array_equal(table.column("q"), [1, 0, 0, 0])


def test_mat_refuses(tmp_path):
    with pytest.raises(ValueError, match=r"rows or the same number of columns \(X \(4, 3\), Z \(5, 2\)\)"):
        mat(tmp_path, {"X": X, "Z": np.ones((5, 2))})
    with pytest.raises(ValueError, match="no array of numbers"):
        mat(tmp_path, {"settings": np.zeros(2, [("s", float)])})
    with pytest.raises(ValueError, match="complex"):
        mat(tmp_path, {"X": 1j * X})


def test_damaged_mat_73(tmp_path):
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 ."
    (tmp_path / "a.mat").write_bytes(head.ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match="truncated or is not HDF5"):
        read_table(tmp_path / "a.mat")


def test_a_size_that_fills_the_memory_does_not_crash_the_reader(tmp_path):
    """Half a kilobyte that states half a thousand million structures: their places alone would take 13 GB."""
    scipy.io.savemat(tmp_path / "a.mat", {"run": {"speed": Y, "load": Y, "count": 4.0}})
    raw = (tmp_path / "a.mat").read_bytes()
    shape = np.array([1, 1], "<i4").tobytes()
    at = raw.index(shape, 128)
    (tmp_path / "a.mat").write_bytes(raw[:at] + np.array([1, 570_425_345], "<i4").tobytes() + raw[at + 8 :])
    with pytest.raises(ValueError, match="states a variable that is larger than the memory"):
        read_table(tmp_path / "a.mat")


def test_a_crash_of_the_reader_is_a_message(tmp_path, monkeypatch):
    from numdl.data.read import matlab

    crash = tmp_path / "crash.py"
    crash.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(matlab, "__file__", str(crash))
    scipy.io.savemat(tmp_path / "a.mat", {"X": X})
    with pytest.raises(ValueError, match=r"truncated or is not MATLAB 5 \(the reader crashed on it"):
        read_table(tmp_path / "a.mat")
