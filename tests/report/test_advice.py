"""Each rule speaks on the fit it is about, with its numbers, and is silent on a good fit."""

import numpy as np
import pytest
from report_summaries import CONVERGED, classification, history, regression

from numdl.contracts import Status
from numdl.report import FitSummary, advise, verdict


def scores(own, ridge=8.7, mean=14.5, train=None):
    rows = [("numdl ResNet", own if train is None else train, own), ("ridge", ridge, ridge)]
    rows += [("mean of the targets", mean, mean)]
    return [{"name": name, "train": train, "validation": None, "test": test} for name, train, test in rows]


def said(summary, word):
    return [sentence for sentence in advise(summary) if word in sentence]


@pytest.mark.parametrize("make", [regression, classification])
def test_a_good_fit_says_so_and_nothing_more(make):
    assert advise(make()) == ["The fit is good; nothing needs to change."]


def test_no_signal():
    (sentence,) = advise(regression(scores=scores(14.0)))
    assert "97 %" in sentence and "14.5" in sentence and "Add columns" in sentence


def test_a_good_fit_that_was_not_finished():
    (told,) = advise(regression(history={}, status=Status("max_iter", "Members.")))
    assert told == "The fit is good; nothing needs to change, though more steps might still gain a little."


def test_ridge_is_as_good_or_better():
    assert said(regression(scores=scores(8.6)), "linear model")[0].startswith("Ridge does as well (8.7 against 8.6)")
    assert said(regression(scores=scores(9.9)), "Ridge does better (8.7 against 9.9)")
    assert not said(regression(scores=scores(5.0)), "Ridge")


def test_overfitting():
    (sentence,) = said(regression(scores=scores(4.0, train=0.4)), "overfits")
    assert "10 times smaller" in sentence
    assert said(regression(scores=scores(4.0, train=0.0)), "(zero)")
    assert not said(regression(scores=scores(4.0, train=3.0)), "overfits")


def test_a_gap_between_negligible_errors_is_no_overfitting():
    assert not said(regression(scores=scores(1e-6, train=1e-7)), "overfits")


def test_a_saturated_network():
    sentence = said(regression(n_parameters=510), "too small")[0]
    assert "498.6 of 510" in sentence and "(98 %)" in sentence


def test_more_time_with_the_halving_time_of_the_slope():
    t = np.linspace(0, 10, 50)
    falling = {"seconds": t, "objective": np.exp(-t * np.log(2) / 4)}
    stopped = Status("time_budget", "Time is up.")
    assert "halves every 4.0 s" in said(regression(history=falling, status=stopped), "still falling")[0]
    assert not said(regression(history=falling), "still falling")
    assert not said(regression(history=falling | {"objective": np.ones(50)}, status=stopped), "still falling")
    steps = Status("max_iter", "50 iterations done.")
    without_clock = regression(history={"objective": 0.5 ** (np.arange(50.0) / 7)}, status=steps)
    assert "halves every 7 iterations" in said(without_clock, "max_iter")[0]


def test_residuals_that_grow_with_the_prediction_ask_for_a_logarithm():
    rng = np.random.default_rng(0)
    c = np.exp(rng.normal(size=400))
    summary = regression(c=c, prediction=c * np.exp(0.2 * rng.normal(size=400)), interval=None, scores=scores(3.0))
    assert said(summary, "grow with the prediction")[0].endswith("Fit the logarithm of the target.")


def test_heavy_tails_name_the_worst_row():
    rng = np.random.default_rng(0)
    c = rng.normal(size=400)
    prediction = c + 0.1 * rng.normal(size=400)
    prediction[123] += 5
    summary = regression(c=c, prediction=prediction, interval=None, scores=scores(3.0))
    assert "test row 123" in said(summary, "heavy tails")[0]


def test_a_confused_pair_is_named():
    c = np.repeat(np.arange(5), 40)
    prediction = c.copy()
    prediction[np.flatnonzero(c == 3)[:15]] = 4
    prediction[np.flatnonzero(c == 4)[:3]] = 3
    prediction[0] = 2
    summary = classification(k=5, c=c, prediction=prediction)
    assert said(summary, "18 of 19 errors confuse digit 3 with digit 4")
    assert not said(classification(accuracy=0.8), "confuse")


def test_intervals_that_are_too_narrow_or_too_wide():
    assert said(regression(interval=np.full((200, 1), 0.01)), "too narrow")
    assert said(regression(interval=np.full((200, 1), 9.0)), "too wide")


def test_what_is_missing_is_said():
    assert said(regression(n=1), "single row")
    assert said(regression(scores=[{"name": "numdl", "train": 1.0}]), "No rows were held out")
    assert said(regression(status=Status("failed", "The factorisation broke.")), "The factorisation broke.")
    assert said(regression(prediction=np.full((200, 1), np.nan)), "200 of 200 test rows")
    assert advise(FitSummary(title="", task="regression", status=CONVERGED)) == [
        "Nothing to advise: no errors were recorded."
    ]


def test_verdict_compares_with_both_baselines():
    assert verdict(regression()) == (
        "The test RMSE is 0.1: 87 times below ridge (8.7) and 145 times below the mean of the targets (14.5)."
    )
    assert verdict(classification()).startswith("The test error is 2.4 %: 2.6 times below ridge (6.3)")
    assert "1.1 times above ridge" in verdict(regression(scores=scores(9.9)))
    assert verdict(regression(scores=())) == "The error of this model is not known."


def test_advice_survives_nan_in_the_history():
    columns = {name: np.where(np.arange(60) % 2, column, np.nan) for name, column in history().items()}
    assert advise(regression(history=columns, status=Status("max_iter", "60 iterations done.")))
