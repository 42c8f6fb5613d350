import io

import numpy as np
import pytest
from rich.console import Console
from sklearn.linear_model import LogisticRegression, Ridge

from numdl.contracts import Status
from numdl.course.demo import page as demo_page
from numdl.course.demo import run as demo
from numdl.course.demo.data import DEMOS, DemoSet
from numdl.report import FitSummary


class StandIn:
    """What the demonstration asks of an estimator, at the price of a linear model."""

    status = Status("time_budget", "Stopped after 2 s.")

    def __init__(self, time_budget, random_state):
        self.time_budget = time_budget

    def fit(self, x, y, observe=lambda record: None):
        observe({"iteration": 1, "objective": 0.5, "phase": "training", "train_error": 0.1, "seconds": 0.1})
        self.model = (Ridge() if y.dtype.kind == "f" else LogisticRegression(max_iter=2000)).fit(x, y)
        self.status_, self.members_ = self.status, [0, 1]
        self.architecture_ = type("Net", (), {"title": "plain 8x2"})
        return self

    def predict(self, x):
        return self.model.predict(x)

    def summary(self, x, y):
        return FitSummary(title="untitled", task="regression", status=self.status_, facts={"network": "plain 8x2"})


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr("numdl.estimators.AutoRegressor", StandIn)
    monkeypatch.setattr("numdl.estimators.ResNetClassifier", StandIn)


def row(**changes):
    values = {"name": "some", "title": "Some <data>", "rows": 1000, "columns": 2, "task": "regression"}
    values |= {"measure": "RMSE", "unit": "m", "error": 0.5, "linear": 2.0, "trivial": 3.0, "seconds": 20.0}
    values |= {"model": "plain 8x2", "status": "converged", "page": "some.html"}
    return demo.DemoRow(**values | changes)


@pytest.mark.parametrize("name", DEMOS)
def test_data_sets_are_whole_and_always_the_same(name):
    data, again = DEMOS[name](), DEMOS[name]()
    for one, other in zip(data, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(data.x) == len(data.y) > len(data.x_test) == len(data.y_test) > 0
    assert np.isfinite(data.x).all() and np.isfinite(data.x_test).all()
    assert data.task == ("regression" if data.y.dtype.kind == "f" else "classification")
    if data.task == "classification":
        assert set(data.y) == set(data.y_test)


def test_no_row_is_in_both_parts():
    data = DEMOS["borehole"]()
    assert not set(map(tuple, data.x)) & set(map(tuple, data.x_test))


def test_one_table_one_page_each_and_an_index(stand_in, tmp_path):
    console = Console(file=io.StringIO(), width=120)
    rows = demo.run_demo(["diabetes", "swiss-roll", "diabetes"], tmp_path / "demo", console)
    assert [row.name for row in rows] == ["diabetes", "swiss-roll"]
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"index.html", "diabetes.html", "swiss-roll.html"}
    page = (tmp_path / "demo" / "diabetes.html").read_text()
    assert "Diabetes: progress" in page and "ridge regression" in page and "332 to train on, 110 held out" in page
    text = console.file.getvalue()
    assert "[2/2] Swiss roll" in text and "442 x 10" in text and "plain 8x2, 2 starts" in text
    assert rows[0].error < rows[0].trivial and rows[0].linear < rows[0].trivial


def test_an_interruption_still_shows_what_is_done(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(StandIn, "status", Status("interrupted", "Interrupted."))
    with pytest.raises(KeyboardInterrupt):
        demo.run_demo(["diabetes", "swiss-roll"], tmp_path, Console(file=io.StringIO()))
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "diabetes.html"}


def test_an_unknown_name_is_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"demo\('peeks'\): unknown data set. Use any of peaks, swiss-roll"):
        demo.run_demo(["peaks", "peeks"], tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_baselines_are_those_they_say():
    x = np.linspace(-1, 1, 40)[:, None]
    line = DemoSet("a line", "regression", "", x, 3 * x[:, 0], x, 3 * x[:, 0])
    found = demo.baselines(line)
    assert found["linear"] < 1e-4 and found["trivial"] == pytest.approx(3 * np.sqrt(np.mean(x**2)))
    classes = np.where(x[:, 0] > 0.5, "high", "low")
    step = DemoSet("a step", "classification", "", x, classes, x, classes)
    found = demo.baselines(step)
    assert found["trivial"] == 25 and found["linear"] <= 10


def test_the_table_keeps_its_numbers_in_a_narrow_terminal():
    console = Console(file=io.StringIO(), width=80)
    console.print(demo_page.result_table([row(model="antisymmetric 64x4, 4 starts", error=1.234e-5)]))
    text = console.file.getvalue()
    assert "…" not in text and "1.23e-5" in text and "1,000 x 2" in text


def test_the_index_escapes_and_links_only_to_its_neighbours():
    page = demo_page.index_html([row(), row(name="other", page="other.html", error=0.0)])
    assert "Some &lt;data&gt;" in page and "<data>" not in page
    assert 'href="some.html"' in page and 'href="other.html"' in page and "http" not in page.split("</head>")[1]
    assert "Error 0.5 (RMSE in m), 4 times below the linear model" in page


@pytest.mark.thorough
@pytest.mark.slow
def test_real_training_fits_in(tmp_path):
    (result,) = demo.run_demo(["diabetes"], tmp_path, Console(file=io.StringIO()), time_budget=2.0)
    assert np.isfinite(result.error) and result.error < 1.2 * result.trivial
    assert (tmp_path / "diabetes.html").stat().st_size > 1000
