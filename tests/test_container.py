"""A container comes back exactly, or is refused with one sentence."""

import hashlib
import json
import os

import numpy as np
import pytest
from safetensors.numpy import save

from numdl.container import VERSION, read_container, write_container

RNG = np.random.default_rng(0)
ARRAYS = {
    "weights": RNG.normal(size=(2, 3)),
    "single": RNG.normal(size=4).astype(np.float32),
    "mask": np.array([True, False, True]),
    "count": np.arange(3),
    "small": np.arange(3, dtype=np.int32),
    "scalar": np.array(2.5),
    "flag": np.array(True),
    "empty": np.zeros((0, 3)),
    "übung/layer 0": np.array([np.nan, np.inf, -0.0]),
}
HEADER = {"class": "X", "name": 'ü "quoted" \\ [red]\n', "n": 3, "x": 0.1, "nothing": None, "list": [1, {"a": True}]}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.numdl"
    write_container(path, {"a": np.array([1.5, 2.5]), "b": np.array(True)}, {"é": "ü"}, kind="model")
    return path


def test_arrays_and_header_come_back(tmp_path):
    path = tmp_path / "all.numdl"
    write_container(path, ARRAYS, HEADER, kind="summary")
    arrays, header = read_container(path, kind="summary")
    assert header == HEADER
    assert list(arrays) == list(ARRAYS)
    for name, expected in ARRAYS.items():
        assert arrays[name].dtype == expected.dtype
        assert arrays[name].shape == expected.shape
        assert arrays[name].tobytes() == expected.tobytes()
        assert arrays[name].flags.writeable


def test_no_arrays_and_no_header(tmp_path):
    write_container(tmp_path / "none", {}, {}, kind="checkpoint")
    assert read_container(tmp_path / "none", kind="checkpoint") == ({}, {})


def test_memory_layout_and_byte_order_do_not_matter(tmp_path):
    matrix = np.arange(12.0).reshape(3, 4)
    given = {"fortran": np.asfortranarray(matrix), "view": matrix[::2, ::-1], "big": matrix.astype(">f8")}
    write_container(tmp_path / "x", given, {}, kind="model")
    arrays, _ = read_container(tmp_path / "x", kind="model")
    for name, expected in given.items():
        np.testing.assert_array_equal(arrays[name], expected)
        assert arrays[name].dtype.isnative


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x29, 0xFF])
def test_every_flipped_byte_is_noticed(file, mask):
    whole = file.read_bytes()
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= mask
        file.write_bytes(broken)
        with pytest.raises(ValueError, match=r"^read_container\(.*[^.]\.$"):
            read_container(file, kind="model")


def test_flipped_bytes_in_a_larger_file_are_noticed(tmp_path):
    path = tmp_path / "larger.numdl"
    write_container(path, ARRAYS | {"more": RNG.normal(size=(8, 20))}, HEADER, kind="model")
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        with pytest.raises(ValueError, match="read_container"):
            read_container(path, kind="model")


def test_every_truncation_and_added_bytes_are_noticed(file):
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut off|truncated"):
            read_container(file, kind="model")
    file.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="damaged"):
        read_container(file, kind="model")


def test_the_checksum_cannot_be_planted_in_the_header(tmp_path):
    path = tmp_path / "planted.numdl"
    header = {"text": '"sha256":"' + "0" * 64 + '"', "sha256": "0" * 64}
    write_container(path, {"sha256": np.arange(2)}, header, kind="model")
    arrays, found = read_container(path, kind="model")
    assert found == header
    assert arrays["sha256"].tolist() == [0, 1]


def sealed(version):
    """A whole file of some format version, built here from the description of the format."""
    metadata = {"format": "numdl", "version": version, "kind": "model", "header": "{}", "order": "[]"}
    blank = save({}, metadata | {"sha256": "0" * 64})
    return blank.replace(b'"' + b"0" * 64 + b'"', b'"' + hashlib.sha256(blank).hexdigest().encode() + b'"')


def test_the_format_is_what_it_says(tmp_path):
    path = tmp_path / "own.numdl"
    path.write_bytes(sealed(str(VERSION)))
    assert read_container(path, kind="model") == ({}, {})


def test_another_version_names_both(tmp_path):
    path = tmp_path / "later.numdl"
    path.write_bytes(sealed("7"))
    with pytest.raises(ValueError, match=rf"version 7, this numdl reads version {VERSION};"):
        read_container(path, kind="model")
    path.write_bytes(sealed("7").replace(b"{}", b"[]", 1))
    with pytest.raises(ValueError, match="or the file is damaged"):
        read_container(path, kind="model")


def test_another_kind_names_both(file):
    with pytest.raises(ValueError, match="holds a model, needed is a checkpoint"):
        read_container(file, kind="checkpoint")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"price,area\n1,2\n",
        b"\xff" * 100,
        save({"a": np.arange(3)}),
        save({"a": np.arange(3)}, {"format": "pt"}),
        (2).to_bytes(8, "little") + b"[]",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
    ],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no numdl file"):
        read_container(path, kind="model")


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_container(tmp_path / "absent", kind="model")
    with pytest.raises(ValueError, match="this is a folder"):
        read_container(tmp_path, kind="model")
    with pytest.raises(ValueError, match="this is a folder"):
        write_container(tmp_path, {}, {}, kind="model")
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_container(tmp_path / "absent" / "x", {}, {}, kind="model")


@pytest.mark.parametrize("values", [["text"], [b"bytes"], [None], [1j], np.array(["2020-01-01"], "datetime64[D]")])
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, values):
    with pytest.raises(ValueError, match="array 'a' has type"):
        write_container(tmp_path / "x", {"a": np.array(values)}, {}, kind="model")
    assert os.listdir(tmp_path) == []


def test_bad_headers_names_and_kinds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be written as JSON"):
        write_container(tmp_path / "x", {}, {"a": np.arange(3)}, kind="model")
    with pytest.raises(ValueError, match="__metadata__"):
        write_container(tmp_path / "x", {"__metadata__": np.zeros(1)}, {}, kind="model")
    with pytest.raises(ValueError, match="unknown kind 'cat'; use one of model"):
        write_container(tmp_path / "x", {}, {}, kind="cat")
    with pytest.raises(ValueError, match="unknown kind"):
        read_container(tmp_path / "x", kind="cat")


def test_a_failed_write_leaves_the_former_file(file, monkeypatch):
    before = file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"is full \(No space left on device\)"):
        write_container(file, {"a": np.zeros(9)}, {}, kind="model")
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_a_link_is_followed(file):
    link = file.with_name("link.numdl")
    link.symlink_to(file)
    write_container(link, {}, {"new": 1}, kind="model")
    assert link.is_symlink()
    assert read_container(file, kind="model")[1] == {"new": 1}


def test_it_is_a_safetensors_file(file):
    from safetensors import safe_open

    with safe_open(file, framework="np") as reader:
        assert reader.metadata()["format"] == "numdl"
        assert json.loads(reader.metadata()["header"]) == {"é": "ü"}
        np.testing.assert_array_equal(reader.get_tensor("a"), [1.5, 2.5])
