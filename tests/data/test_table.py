import numpy as np
import pytest

from numdl.data import Table
from numdl.data.read.several import without
from numdl.data.table.table import absent


def test_numbers_become_float64_and_text_object():
    table = Table(
        ("i", "b", "u", "o"), (np.arange(2), np.array([True, False]), np.array(["p", "q"]), np.array([None, "s"]))
    )
    assert [c.dtype.kind for c in table.columns] == ["f", "f", "O", "O"]
    assert table.n == len(table) == 2 and "b" in table and "z" not in table
    assert table.column("u").tolist() == ["p", "q"] and table.column("o").tolist() == [None, "s"]


def test_names_and_text_are_composed():
    words = np.array(["Gro\u0308\u00dfe", None, "Gr\u00f6\u00dfe", "k"], dtype=object)
    for given in (words, words[[0, 2, 3]].astype(str)):
        column = Table(("O\u0308l",), (given,)).column("\u00d6l")
        assert column.tolist() == [word and word.replace("o\u0308", "\u00f6") for word in given]
    assert words[0] == "Gro\u0308\u00dfe"  # what was given is not changed
    gone = without(Table(("w",), (words,)), ["gro\u0308\u00dfe", "Gro\u0308\u00dfe"])
    assert gone.columns[0].tolist() == [None, None, None, "k"]


@pytest.mark.parametrize(
    ("names", "columns", "says"),
    [
        ((), (), "0 names for 0 columns"),
        (("a",), (np.ones(2), np.ones(2)), "1 names for 2 columns"),
        (("a", "b", "a"), (np.ones(2),) * 3, "'a' occur more than once"),
        (("a", "b"), (np.ones(2), np.ones(3)), "column 'a' has 2 rows but column 'b' has 3"),
        (("a",), (np.ones(0),), "zero rows"),
        (("a",), (np.ones((2, 2)),), r"shape \(2, 2\)"),
        (("a",), (np.array([1j]),), "complex"),
        (("a",), (np.array(["x", 3], dtype=object),), "row 2 holds 3 of type int"),
    ],
)
def test_refuses(names, columns, says):
    with pytest.raises(ValueError, match=says):
        Table(names, columns)


def test_absent_column_names_the_close_ones():
    table = Table(("Price", "area"), (np.ones(1), np.ones(1)))
    with pytest.raises(ValueError, match=r"no column 'price'; did you mean 'Price'\?"):
        table.column("price")
    assert "the columns are 'Price', 'area'" in absent("zzz", table.names)
    assert "and 92 more" in absent("zzz", [f"c{i}" for i in range(100)])
