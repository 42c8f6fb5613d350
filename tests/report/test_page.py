"""The page is whole, self-contained, escaped and small, for every kind of fit; bad paths fail before any work."""

import functools
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from report_summaries import CONVERGED, EVIL, classification, history, regression

from numdl.report import FitSummary, advise, calibration, page_html, verdict, write_page
from numdl.report.plain import plain
from numdl.report.template import table

VOID = {"meta", "br", "path", "use", "rect", "image", "line"}


class Reader(HTMLParser):
    """Collects tags, identifiers and references, and checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.tags, self.ids, self.titles = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop() == tag


def empty():
    return FitSummary(title="Nothing known", task="regression", status=CONVERGED)


SMALL = {"objective": history(8)["objective"]}
CASES = {
    "regression": regression,
    "classification": classification,
    "targets": lambda: regression(k=5, history=SMALL),
    "one row": lambda: regression(n=1, history=SMALL),
    "exact": lambda: regression(c=np.ones(9), prediction=np.ones(9), interval=np.zeros(9), history=SMALL, weights={}),
    "empty": empty,
    "empty history": lambda: regression(history={"objective": [], "seconds": []}, weights={}),
    "nothing finite": lambda: regression(prediction=np.full((200, 1), np.nan), history={"objective": [np.nan] * 4}),
    "one layer": lambda: regression(
        weights={"K": np.zeros((1, 3)), "s": np.ones(4), "none": np.zeros((0, 2))}, history=SMALL
    ),
    "many classes": lambda: classification(
        k=40, accuracy=0.7, class_names=[f"class {'long ' * 9}{j}" for j in range(40)], history=SMALL
    ),
    "one class": lambda: classification(k=1, history={}, weights={}),
    "other alphabets": lambda: regression(target_names=["温度\n\x07"], history=SMALL, weights={}),
}


@functools.cache
def page(name):
    return page_html(CASES[name]())


@pytest.mark.quick("regression", "classification", "empty", "one row", "other alphabets")
@pytest.mark.parametrize("name", CASES)
def test_page_is_well_formed_and_self_contained(name):
    text = page(name)
    reader = Reader(text)
    assert reader.stack == []
    assert len(reader.ids) == len(set(reader.ids))
    assert set(re.findall(r"""(?:url\(|href="|labelledby=")#?([\w-]+)""", text)) <= set(reader.ids) | {"data"}
    assert not re.search(r"https?:|<script|<link|@import|@font-face", text)
    assert "data" not in re.findall(r'href="(\w+):', text) or "data:image/png" in text
    assert reader.tags.count("svg") == text.count('role="img"') and "nan" not in re.findall(r'd="([^"]*)"', text)


def test_figures_have_text_as_text_and_a_title():
    text = page("regression")
    svgs = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(svgs) > 10
    assert all(re.search(r"<title id=[^>]+>[^<]+</title>", svg) and "<text" in svg for svg in svgs)
    assert "residuary resistance" in svgs[0]


def test_everything_a_user_writes_is_escaped():
    names = {"target_names": [EVIL], "facts": {EVIL: EVIL}, "title": EVIL}
    rows = [{"name": EVIL, "train": 1.0, "test": 2.0}]
    first = page_html(
        regression(
            **names,
            scores=rows,
            score_name=EVIL,
            held_out_name=EVIL,
            weights={EVIL: np.ones((2, 2))},
            history={f"alpha:{EVIL}": np.ones(3), "alpha:b": np.ones(3)},
        )
    )
    second = page_html(classification(k=3, class_names=[EVIL, EVIL, EVIL], title=EVIL, history={}, weights={}))
    for text in (first, second):
        assert "<script" not in text and "&lt;script&gt;" in text
        assert Reader(text).stack == []


def test_the_page_stays_small_with_many_rows():
    t = np.arange(20_000.0)
    long = {"seconds": t, "objective": 1 / (t + 1)} | {f"alpha:{g}": 1 / (t + g + 1) for g in range(4)}
    text = page_html(
        regression(n=100_000, k=4, history=long, weights={"K": np.random.default_rng(0).normal(size=(300, 2000))})
    )
    assert len(text.encode()) < 3e6
    assert "2,000 of them" in text  # fmt: skip


def test_write_page_replaces_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_page(empty(), path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert os.listdir(tmp_path) == ["report.html"]


def test_an_old_page_survives_a_failure(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr("numdl.report.page.page_html", lambda summary: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_page(empty(), path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["report.html"]


def test_bad_paths_fail_before_work(tmp_path, monkeypatch):
    monkeypatch.setattr("numdl.report.page.page_html", lambda summary: pytest.fail("worked too early"))
    with pytest.raises(IsADirectoryError, match="this is a folder"):
        write_page(empty(), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"does not exist\. Create it first"):
        write_page(empty(), tmp_path / "missing" / "report.html")
    with pytest.raises(OSError, match="cannot write there"):
        write_page(empty(), tmp_path / ("n" * 300))
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        write_page(empty(), tmp_path / "file" / "report.html")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        write_page(empty(), tmp_path / "pipe")


def test_import_is_light_and_drawing_leaves_pyplot_alone():
    code = (
        "import sys, numdl.report; heavy = {'matplotlib', 'rich', 'jax'} & set(sys.modules); assert not heavy, heavy\n"
        "from numdl.report.template import draw_svg; import matplotlib as mpl\n"
        "def settings(): return {key: mpl.rcParams[key] for key in mpl.rcParams if 'backend' not in key}\n"
        "before = settings()\n"
        "assert draw_svg('a', 't', lambda ax: ax.plot([0, 1])).startswith('<svg')\n"
        "assert 'matplotlib.pyplot' not in sys.modules and settings() == before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def certain(n=600, sharper=1.0):
    """Rows of two classes whose probabilities are told as they are, or with too much certainty."""
    rng = np.random.default_rng(3)
    odds = rng.normal(0.0, 1.5, n)
    c = (rng.uniform(size=n) < 1 / (1 + np.exp(-odds))).astype(int)
    p = 1 / (1 + np.exp(-sharper * odds))
    told = np.stack([1 - p, p], axis=1)
    return classification(c=c, prediction=(p > 0.5).astype(int), class_names=["no", "yes"], probability=told)


def test_probabilities_are_held_against_the_rows():
    kept, broken = calibration.reliability(certain()), calibration.reliability(certain(sharper=4.0))
    assert ((kept.low <= kept.certainty) & (kept.certainty <= kept.high)).mean() >= 0.8
    assert kept.error < 0.06 < 0.1 < broken.error and kept.log_loss < broken.log_loss
    c, p = certain().c, certain().probability
    assert np.isclose(kept.log_loss, -np.mean(np.log(p[np.arange(len(c)), c])))
    share = c.mean()
    assert np.isclose(kept.trivial, -share * np.log(share) - (1 - share) * np.log(1 - share))
    page = page_html(certain())
    assert "Reliability of the probabilities" in page and "Log loss" in page
    assert "Reliability" not in page_html(classification())
    found = plain(certain())["probabilities"]
    assert found == {"log_loss": kept.log_loss, "calibration_error": kept.error}
    one = classification(c=[1], prediction=[0], class_names=["a", "b"], probability=[[1.0, 0.0]])
    assert np.isfinite(calibration.reliability(one).log_loss) and "Reliability" in page_html(one)


@pytest.mark.parametrize("bad", [np.ones((3, 2)), np.ones(600), np.full((600, 2), 2.0), np.full((600, 2), np.nan)])
def test_probabilities_of_other_rows_are_refused(bad):
    with pytest.raises(ValueError, match=r"FitSummary\(probability"):
        classification(n=600, k=2, probability=bad)


def test_columns_of_words_are_flush_left():
    shown = table(["row", "target", "error", "share"], [["1", "nox", "-3.2e-05", "5 %"], ["2", "a & b", "—", ""]])
    head = '<th scope="col">row</th><th scope="col" class="text">target</th><th scope="col">error</th>'
    assert head in shown and '<td class="text">a &amp; b</td><td>—</td>' in shown
    assert table(["a", "b"], []).count('class="text"') == 0


def test_one_wrong_row_is_no_overfitting():
    scores = [{"name": "numdl auto", "train": 0.8, "test": 6.7}, {"name": "most frequent class", "test": 66.0}]
    c = np.zeros(15, int)
    few = {
        "scores": scores,
        "score_name": "Wrong predictions of y (%)",
        "c": c,
        "class_names": ["a", "b"],
        "model": "auto",
    }
    assert "overfits" not in " ".join(advise(classification(prediction=np.eye(15, dtype=int)[0], **few)))
    many = advise(classification(prediction=np.repeat([1, 0], [6, 9]), **few))
    assert "overfits" in many[0] and "alpha" not in many[0]
    assert verdict(classification(prediction=c, **few)).startswith("6.7 % of the test rows are predicted wrong")
