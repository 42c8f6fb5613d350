"""The summary brings arrays to their shapes and refuses what contradicts itself."""

import numpy as np
import pytest
from report_summaries import CONVERGED, classification, regression

from numdl.report import FitSummary


def test_only_three_fields_are_required():
    summary = FitSummary(title="t", task="regression", status=CONVERGED)
    assert summary.c is None and summary.history == {} and summary.scores == ()


def test_one_target_becomes_a_column():
    summary = regression(c=np.arange(5.0), prediction=np.arange(5.0), interval=np.ones(5))
    assert summary.c.shape == summary.prediction.shape == summary.interval.shape == (5, 1)


def test_names_are_made_up_where_missing():
    assert regression(k=2, target_names=()).target_names == ("target 0", "target 1")
    assert classification(k=3, class_names=()).class_names == ("class 0", "class 1", "class 2")


def test_lists_and_none_are_accepted_in_the_history():
    summary = regression(history={"objective": [1.0, None, 0.5]})
    np.testing.assert_array_equal(summary.history["objective"], [1.0, np.nan, 0.5])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "clustering"}, "task must be one of"),
        ({"history": {"objective": np.ones(3), "seconds": np.ones(2)}}, "one length"),
        ({"history": {"objective": np.ones((3, 1))}}, "one length"),
        ({"history": {"objective": ["a"]}}, "not an array of numbers"),
        ({"weights": {"K": np.float64(1.0)}}, "no axis of layers"),
        ({"c": np.ones((200, 1)) * 1j}, "needs real numbers"),
        ({"history": {"objective": [1.0, 1j]}}, "needs real numbers"),
        ({"scores": "numdl"}, "needs a sequence"),
        ({"path": {"alpha": np.ones(3)}}, "needs alpha and criterion of one length"),
        ({"prediction": None}, "c is given without prediction"),
        ({"c": None}, "prediction is given without c"),
        ({"prediction": np.ones((7, 1))}, "must be the same"),
        ({"interval": np.ones((7, 1))}, "one standard deviation per row"),
        ({"target_names": ["a", "b"]}, "2 target_names for 1 targets"),
        ({"c": np.ones((2, 2, 2)), "prediction": np.ones((2, 2, 2))}, r"needed is \(n, k\)"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        regression(**changes)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.eye(3), "argmax"), (np.array([0.5]), "integers"), (np.array([-1]), "integers"), (np.array([7]), "index 7")],
)
def test_labels_are_indices_of_classes(labels, message):
    with pytest.raises(ValueError, match=message):
        classification(k=3, c=labels, prediction=labels)
