import gzip
import lzma
import struct

import numpy as np
import pytest

from numdl.data import read_cifar10, read_idx

RNG = np.random.default_rng(0)


def idx(array, code):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize(
    ("code", "kind"), [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
@pytest.mark.parametrize("shape", [(5,), (3, 4, 2), (0, 7)])
def test_idx_round_trip(tmp_path, code, kind, pack, shape):
    array = (100 * RNG.random(shape)).astype(kind)
    (tmp_path / "a").write_bytes(pack(idx(array, code)))
    back = read_idx(tmp_path / "a")
    np.testing.assert_array_equal(back, array)
    assert back.dtype == np.dtype(kind).newbyteorder("=") and back.dtype.isnative and back.flags.writeable


GOOD = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), 0x08)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "which is not IDX"),
        (b"\x89PNG\r\n", "which is not IDX"),
        (b"\0\0\x07\x01" + GOOD[4:], "which is not IDX"),
        (b"\0\0\x08\x00", "which is not IDX"),
        (GOOD[:9], "ends within its header of 16 bytes"),
        (GOOD[:-1], r"shape \(2, 3, 4\), that is 40 bytes, but there are 39"),
        (GOOD + b"\0", "there are 41"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, *(2**32 - 1,) * 3), "there are 16"),
        (gzip.compress(GOOD, mtime=0)[:-9], "cut off or damaged"),
        (gzip.compress(GOOD, mtime=0)[:4], "cut off or damaged"),
        (lzma.compress(GOOD)[:-5], "cut off or damaged"),
    ],
)
def test_idx_damaged(tmp_path, raw, says):
    (tmp_path / "a.gz").write_bytes(raw)
    with pytest.raises(ValueError, match=says) as error:
        read_idx(tmp_path / "a.gz")
    assert "\n" not in str(error.value)


def test_idx_flipped_byte_in_gzip(tmp_path):
    raw = bytearray(gzip.compress(GOOD, mtime=0))
    raw[-6] ^= 1  # in the checksum
    (tmp_path / "a.gz").write_bytes(raw)
    with pytest.raises(ValueError, match="cut off or damaged"):
        read_idx(tmp_path / "a.gz")


@pytest.mark.parametrize("read", [read_idx, read_cifar10])
def test_no_file(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read(tmp_path / "none")
    with pytest.raises(ValueError, match="this is a folder"):
        read(tmp_path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_cifar_round_trip(tmp_path, pack):
    images = RNG.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    labels = np.array([0, 9, 3, 3], dtype=np.uint8)
    raw = b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True))
    (tmp_path / "b.bin").write_bytes(pack(raw))
    back, kinds = read_cifar10(tmp_path / "b.bin")
    np.testing.assert_array_equal(back, images)
    np.testing.assert_array_equal(kinds, labels)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "has 0 bytes"),
        (bytes(3072), "has 3072 bytes, which is not a positive multiple of 3073"),
        (bytes(3073) + b"\x0a" + bytes(3072), "record 2 has the label 10"),
        (lzma.compress(bytes(3073))[:-8], "cut off or damaged"),
    ],
)
def test_cifar_damaged(tmp_path, raw, says):
    (tmp_path / "b.bin").write_bytes(raw)
    with pytest.raises(ValueError, match=says):
        read_cifar10(tmp_path / "b.bin")
