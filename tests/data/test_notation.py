"""Notations of numbers, word by word: read right with their unit, or refused; never a part of what stands there."""

import numpy as np
import pytest

from numdl.data.table.dates import calendar_of
from numdl.data.table.notation import interpret

READ = {
    "an exponent is no unit": ("1.2E-05/K 2.3E-05/K", [1.2e-5, 2.3e-5], "/K"),
    "powers of ten over a unit": ("1.2·10⁻⁵/K 3x10^-5/K", [1.2e-5, 3e-5], "/K"),
    "powers alone": ("10^-3 10^5 -10² 2x10^3", [1e-3, 1e5, -100.0, 2e3], ""),
    "a large X, and a minus of typography in brackets": ("2X10^3 1.5x10^(−3)", [2e3, 1.5e-3], ""),
    "a mantissa that ends in 10": ("101x10^2 2x10^1", [10100.0, 20.0], ""),
    "exponents of FORTRAN": ("1.0D+03 2.0D-01", [1e3, 0.2], ""),
    "days": ("3.5d 4.5d", [3.5, 4.5], "d"),
    "exponents before a unit": ("1.2E5_N 1.3E5_N", [1.2e5, 1.3e5], "N"),
}
REFUSED = [
    *("1x10^-3/5 2x10^-3/5", "1.5e-3(2) 1.7e-3(2)", "1d_2h 2d_12h", "1d2h 2d3h", "1d_1_min 2d_2_min"),
    *("1.5j 2.5j", "5×103 2×104", "6.23(12) 6.25(11)"),
]
NO_NUMBERS = ["1d_10% 2d_20%", "1E_41N 2E_42N", "4x100 4x200", "12E 13E"]


def words(text):
    return np.array([word.replace("_", " ") for word in text.split()], dtype=object)


@pytest.mark.parametrize("name", READ)
def test_values_and_units(name):
    text, values, unit = READ[name]
    found = interpret(words(text))
    assert found.problem is None and found.unit == unit
    np.testing.assert_allclose(found.values, values, rtol=1e-15)


@pytest.mark.parametrize("text", REFUSED)
def test_what_stands_for_no_single_number_is_refused_by_row(text):
    found = interpret(words(text))
    assert found.values is None and found.problem is not None


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_names_stay_names(text):
    found = interpret(words(text))
    assert found.values is None and found.problem is None


def test_minutes_and_seconds_are_not_taken_for_hours():
    column = words("50:00 59:30 1:00:00")
    with pytest.raises(ValueError, match=r"row 1: '50:00' is no date .* write times as 0:50:00 or 50:00:00"):
        calendar_of("call", "t", column).days("call", "t", column)
    with pytest.raises(ValueError, match="row 2: '10:75' is no date"):
        calendar_of("call", "t", words("10:15 10:75"))
    column = words("26:30:00 1:00:00 23:15")
    days = calendar_of("call", "t", column).days("call", "t", column)
    np.testing.assert_allclose(days, np.array([25.5, 0.0, 22.25]) / 24)
