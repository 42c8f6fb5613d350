"""The terminal shows scores, progress and the end of a fit, with and without a terminal."""

import io

import numpy as np
import pytest
from report_summaries import EVIL, regression
from rich.console import Console

from numdl.contracts import Status
from numdl.report import ProgressLine, print_status, score_table


def console(width=120, terminal=False):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, _environ={})


def text_of(screen):
    return screen.file.getvalue()


def test_score_table_shows_known_numbers_and_dashes():
    screen = console()
    screen.print(score_table(regression()))
    text = text_of(screen)
    assert all(word in text for word in ("RMSE", "numdl ResNet", "ridge", "14.5", "–", "validation"))


def test_score_table_leaves_out_empty_parts_and_does_not_read_markup():
    screen = console(200)
    rows = [{"name": EVIL, "train": 1.0, "validation": None, "test": float("nan")}]
    screen.print(score_table(regression(scores=rows, score_name="RMSE [m]")))
    text = text_of(screen)
    assert "[red]" in text and "RMSE [m]" in text and "validation" not in text and "test" not in text


def test_status_is_a_sentence_and_not_markup():
    screen = console()
    print_status(Status("time_budget", "Stopped [bold] after 60 s."), screen)
    print_status(Status("max_iter", "Members."), screen)
    assert text_of(screen) == "time budget: Stopped [bold] after 60 s.\nlimit of steps reached: Members.\n"


def test_plain_progress_prints_every_tenth_update_and_the_last():
    screen = console()
    with ProgressLine(screen) as line:
        for i in range(25):
            line.update(i, 1.0 / (i + 1), alpha=[1e-3, 0.1], seconds=i)
    lines = text_of(screen).splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"iteration {i}" for i in (0, 10, 20, 24)]
    assert "alpha 0.001..0.1" in lines[0] and "left" not in lines[0]


def test_plain_progress_prints_nothing_twice():
    screen = console()
    with ProgressLine(screen) as line:
        line.update(1, 1.0)
    line.close()
    assert len(text_of(screen).splitlines()) == 1


@pytest.mark.parametrize("width", [20, 40, 80, 140])
def test_live_progress_stays_on_one_line(width):
    screen = console(width, terminal=True)
    with ProgressLine(screen) as line:
        for i in range(3):
            line.update(i, 1e-5 * i, 0.123, 0.456, np.array([1e-8, 1e3]), 1e-3, 1234.0, 99.0)
    text = text_of(screen)
    assert text.count("\n") == 1 and "iteration 2" in text
    assert ("damping" in text) == (width == 140) and ("left" in text) == (width >= 80)


def test_the_terminal_comes_back_after_an_interruption():
    screen = console(terminal=True)
    with pytest.raises(KeyboardInterrupt), ProgressLine(screen) as line:
        line.update(1, 1.0)
        raise KeyboardInterrupt
    assert text_of(screen).rstrip().endswith("\x1b[?25h")


def test_missing_numbers_are_left_out():
    screen = console()
    with ProgressLine(screen) as line:
        line.update(3, float("nan"), None, float("nan"), alpha=[np.nan], damping=None)
    assert text_of(screen) == "iteration 3\n"


def test_every_must_be_positive():
    with pytest.raises(ValueError, match="needs a whole number >= 1"):
        ProgressLine(console(), every=0)
