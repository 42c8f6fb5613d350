"""Numbers, durations and ratios read as people write them."""

import pytest

from numdl.plots.wording import compare, duration, number, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "0"),
        (0.123456, "0.1235"),
        (1234567.0, "1.235e6"),
        (-12345.6, "-12,346"),
        (1e-9, "1e-9"),
        ("x", "–"),
        (999.96, "1000"),
        (float("inf"), "–"),
    ],
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.81, "0.81 s"),
        (3, "3.0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (None, "–"),
        (-1, "–"),
        (3599.9, "1 h"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("own", "other", "text"),
    [
        (1, 12, "12 times below"),
        (1.3, 1, "1.3 times above"),
        (1, 1.01, "about equal to"),
        (0, 1, "below"),
        (1, 1, "equal to"),
        (1, 0, "above"),
        (0.1, 123.4, "1,234 times below"),
        (1e300, 1e-300, "above"),
    ],
)
def test_compare(own, other, text):
    assert compare(own, other) == text


def test_short_keeps_both_ends_of_one_line():
    text = short("a very long name\nof column number 14", 20)
    assert len(text) <= 20 and text.startswith("a very") and text.endswith("14") and "\n" not in text
    assert [short("abcdef", length) for length in (3, 4)] == ["a…f", "ab…f"]
