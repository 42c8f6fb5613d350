"""scikit-learn's callbacks see every iteration and can end a fit."""

import numpy as np
import pytest
from sklearn.callback import FitCallback, ProgressBar
from sklearn.exceptions import ConvergenceWarning
from small_models import classifier, labels, regressor, table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Counting:
    """Counts the ends of tasks; asks to stop after ``stop`` iterations."""

    def __init__(self, stop=None):
        self.stop, self.events, self.records = stop, [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.events.append(f"end {context.task_name}")
        if context.task_name == "iteration":
            self.records.append(metadata)
        return self.stop is not None and len(self.records) >= self.stop


@pytest.mark.quick("classifier-labels")
@pytest.mark.parametrize(("make", "data"), [(regressor, table), (classifier, labels)])
def test_every_iteration_is_a_task(make, data):
    counting = Counting()
    assert isinstance(counting, FitCallback)
    model = make().set_callbacks(counting).fit(*data())
    assert counting.events[0] == "setup" and counting.events[-1] == "teardown"
    assert counting.events.count("begin iteration") == counting.events.count("end iteration") == model.n_iter_
    assert counting.events[1] == "begin fit" and counting.events[-2] == "end fit"
    assert [record["iteration"] for record in counting.records] == list(range(1, model.n_iter_ + 1))


def test_a_callback_can_end_the_fit():
    with pytest.warns(ConvergenceWarning, match="A callback ended the fit"):
        model = regressor(n_restarts=3).set_callbacks(Counting(stop=4)).fit(*table())
    assert model.n_iter_ == 4 and len(model.members_) == 1
    assert model.status_.code == "interrupted"
    np.testing.assert_array_equal(model.predict(table()[0]), regressor(max_iter=4).fit(*table()).predict(table()[0]))


def test_progress_bar(capfd):
    model = regressor(max_iter=3).set_callbacks(ProgressBar()).fit(*table())
    assert model.n_iter_ == 3
    assert "ResNetRegressor" in capfd.readouterr().out
