"""Each file of `hostile` comes out right or is refused in one sentence with line, column or cell."""

import io

import numpy as np
import pytest
from hostile import CASES, Case
from scipy.io import savemat

from numdl.data import TableEncoder, read_table


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_right_values_or_a_right_refusal(tmp_path, case):
    path = tmp_path / case.name
    path.write_bytes(case.content)
    if case.refused:
        with pytest.raises(
            ValueError, match=case.refused.replace("(", r"\(") if "\\" not in case.refused else case.refused
        ) as error:
            table = read_table(path)
            TableEncoder.fit(table, case.target or table.names[-1])
        assert "\n" not in str(error.value) and len(str(error.value)) < 450
        return
    table = read_table(path)
    for name, values in case.columns.items():
        if isinstance(values[0], str):
            assert table.column(name).tolist() == list(values)
        else:
            np.testing.assert_array_equal(table.column(name), values)
    assert case.note in " ".join(table.notes)
    assert case.note or not table.notes


FORMATS = ("csv", "gz", "zip", "xlsx", "jsonl", "parquet", "h5", "mat", "npz", "mat 5")
HEADED = ("one.lvm", "comma.lvm", "rig.arff", "campbell.dat", "scope.csv", "block.txt")
"""Files whose headers say what they hold, each with a way of its own."""


def archive(end):
    """Arrays of numbers and text as NumPy and SciPy write them."""
    packed, arrays = io.BytesIO(), {"X": np.arange(12.0).reshape(4, 3), "s": np.array(["a", "b", "a", "b"])}
    if end == "npz":
        np.savez(packed, **arrays)
        return Case("a.npz", packed.getvalue(), {})
    savemat(packed, arrays, do_compression=True)
    return Case("a.mat", packed.getvalue(), {})


def flipped(content, rng):
    """The bytes with some changed, cut off, doubled or taken out."""
    raw, at = bytearray(content), int(rng.integers(max(len(content), 1)))
    match rng.integers(5):
        case 0:
            return bytes(raw[:at])
        case 1:
            return bytes(raw[:at] + raw[at + int(rng.integers(1, 40)) :])
        case 2:
            return bytes(raw[:at] + raw[max(at - 20, 0) : at] + raw[at:])
    for _ in range(int(rng.integers(1, 6))):
        raw[int(rng.integers(len(raw)))] = int(rng.choice([0, 255, 34, 44, 10, int(rng.integers(256))]))
    return bytes(raw)


def damaged(case, count, folder):
    """What reading damaged copies of a file raises beside refusals."""
    rng, wrong = np.random.default_rng(0), []
    path = folder / case.name
    for i in range(count):
        path.write_bytes(flipped(case.content, rng))
        try:
            read_table(path)
        except ValueError as error:
            if "\n" in str(error):
                wrong.append(f"{i}: {error}")
        except Exception as error:
            wrong.append(f"{i}: {type(error).__name__}: {error}")
    return wrong


def of_format(end):
    """The shortest file of a format that is read."""
    if end in HEADED:
        return next(case for case in CASES if case.name == end)
    if end in ("npz", "mat 5"):
        return archive(end)
    known = [case for case in CASES if case.name.endswith(f".{end}") and not case.refused and len(case.content) > 30]
    return min(known, key=lambda case: len(case.content)) if known else None


@pytest.mark.thorough
@pytest.mark.parametrize("end", [end for end in (*FORMATS, *HEADED) if of_format(end)])
def test_damaged_files_of_each_format(end, tmp_path):
    assert damaged(of_format(end), 500, tmp_path) == []
