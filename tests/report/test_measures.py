"""Numbers derived from a summary agree with their definitions."""

import dataclasses

import numpy as np
import pytest
from report_summaries import classification, history, regression
from sklearn.metrics import confusion_matrix

from numdl.report import calibration, measures
from numdl.report.calibration import certainty_groups


def test_judge_takes_the_test_rows_and_falls_back():
    test = measures.judge(regression())
    assert (test.part, test.own, test.linear, test.trivial, test.train) == ("test", 0.1, 8.7, 14.5, 0.12)
    rows = [{"name": "ridge", "train": 2.0}, {"name": "numdl ResNet", "train": 1.0, "test": float("nan")}]
    train = measures.judge(regression(scores=rows))
    assert (train.part, train.own, train.linear, train.trivial) == ("train", 1.0, 2.0, None)


def test_judge_without_scores_knows_nothing():
    assert measures.judge(regression(scores=())).own is None


def test_columns_without_a_number_are_absent():
    summary = regression(history={"objective": [np.nan, np.inf], "noise": [1.0, np.nan]})
    assert measures.column(summary, "objective") is None
    assert measures.column(summary, "damping") is None
    assert measures.last(summary, "noise") == 1.0


def test_rows_that_are_not_finite_are_left_out():
    c, prediction = np.arange(4.0), np.array([0.0, np.nan, np.inf, 1e300])
    np.testing.assert_array_equal(measures.finite_rows(regression(c=c, prediction=prediction, interval=None)), [0])


def test_confusion_agrees_with_scikit_learn():
    summary = classification(accuracy=0.6)
    ours = measures.confusion(summary.c, summary.prediction, 10)
    np.testing.assert_array_equal(ours, confusion_matrix(summary.c, summary.prediction, labels=range(10)))


def test_layers_of_equal_weights_do_not_change():
    values = np.broadcast_to(np.array([3.0, 4.0]), (5, 2))
    np.testing.assert_allclose(measures.layer_norms(values), 5.0)
    np.testing.assert_array_equal(measures.layer_changes(values), np.zeros(4))
    assert measures.layer_norms(np.arange(3.0)).tolist() == [0.0, 1.0, 2.0]


def test_coverage_of_a_normal_error_is_the_nominal_one():
    levels = [0.5, 0.9]
    n = 20_000
    residual = np.random.default_rng(3).normal(size=(n, 1))
    summary = regression(c=np.zeros((n, 1)), prediction=residual, interval=np.ones((n, 1)))
    # four standard deviations of a share of n independent rows
    bound = 4 * np.sqrt(0.25 / n)
    np.testing.assert_allclose(calibration.coverage(summary, levels), levels, atol=bound)
    doubled = regression(c=np.zeros((n, 1)), prediction=2 * residual, interval=np.ones((n, 1)))
    assert np.all(calibration.coverage(doubled, levels) < np.array(levels) - bound)  # the mutant is seen


def test_decline_recovers_the_rate_of_an_exponential():
    t = np.linspace(0, 9, 40)
    slope = measures.decline(regression(history={"seconds": t, "objective": 5 * np.exp(-0.3 * t)}))
    assert slope.rate == pytest.approx(0.3, rel=1e-10) and slope.elapsed == 9 and slope.unit == "s"


@pytest.mark.parametrize("objective", [np.ones(3), -np.ones(20), np.full(20, np.nan)])
def test_decline_refuses_to_guess(objective):
    assert measures.decline(regression(history={"objective": objective})) is None


def test_groups_of_alpha_are_found():
    assert list(measures.alphas(regression(history=history(groups=2)))) == ["layer 0", "layer 1"]


def test_certainty_is_compared_in_groups_of_equal_size():
    rng = np.random.default_rng(0)
    told = np.sort(rng.uniform(0.5, 1, 60))
    right = rng.uniform(size=60) < told
    p = np.stack([told, 1 - told], axis=1)
    found = certainty_groups(p, np.where(right, 0, 1))
    by_hand = [(told[i : i + 15].mean(), right[i : i + 15].mean()) for i in range(0, 60, 15)]
    np.testing.assert_allclose(np.stack(found[:2], axis=1), by_hand)
    np.testing.assert_array_equal(found.size, [15, 15, 15, 15])
    assert np.isclose(found.error, np.mean([abs(a - b) for a, b in by_hand]))
    mixed = rng.permutation(60)
    assert np.isclose(certainty_groups(p[mixed], np.where(right, 0, 1)[mixed]).error, found.error)


def test_rows_of_one_certainty_stay_together_whatever_their_order():
    p = np.tile([0.75, 0.25], (80, 1))
    label = np.repeat([0, 1], [60, 20])
    by_order = np.mean([abs(0.75 - np.mean(part == 0)) for part in np.array_split(label, 5)])
    assert by_order > 0.25  # the mutant: groups that are always right, and one that never is
    assert certainty_groups(p, label).error < 1e-12
    assert certainty_groups(p[:2], np.array([0, 1]), np.array([60.0, 20.0])).error < 1e-12  # counted rows
    assert np.isclose(certainty_groups(p[:2], np.array([0, 1]), np.array([20.0, 60.0])).error, 0.5)


def test_the_page_and_the_terminal_show_the_same_targets():
    few, many = measures.target_cells(regression(k=3), 10), measures.target_cells(regression(k=3), 2)
    assert few.heads == ["target", "RMSE", "MAE", "median", "R²", "90 % interval"] and few.more == ""
    assert [row[0] for row in few.rows] == ["target 0", "target 1", "target 2"]
    assert many.more == ", the worst 2 of 3"
    worst = sorted(measures.target_errors(regression(k=3)), key=lambda one: one.r2)
    assert [row[0] for row in many.rows] == [one.name for one in worst[:2]]
    assert measures.target_cells(regression(k=3, interval=None), 2).heads[-1] == "R²"


def test_gross_errors_of_some_targets_do_not_move_the_median_error():
    c = np.arange(20.0)
    prediction = c + np.where(np.arange(20) < 2, 1e6, 0.5)
    one = measures.target_errors(dataclasses.replace(regression(k=1), c=c, prediction=prediction, interval=None))[0]
    assert one.middle == 0.5 and one.rmse > 1e5 and one.mae > 1e4
