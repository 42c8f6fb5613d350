"""Cross validation: what does cross validation see of the error on new data, and how sharp is its minimum?

A linear model of 40 correlated inputs, 80 rows, noise as large as the signal. Five folds, leave-one-out and GCV
estimate the error on new rows for each alpha, without any; the rule of one standard error takes the largest alpha that
is as good as the folds can tell.

Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, sec. 7.10.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Cross validation: folds, leave-one-out and GCV against the error on new rows"
P = 40
PARAMETERS = {
    "noise": Parameter(1.0, 0.01, 10.0, "standard deviation of the noise over that of the signal"),
    "rows": Parameter(80, 45, 1000, "rows that are fitted"),
}


def run(
    quick: bool,
    random_state: int,
    *,
    noise: float = PARAMETERS["noise"].default,
    rows: float = PARAMETERS["rows"].default,
) -> Outcome:
    """Choose on many draws, show the first.

    Args:
        quick: fewer draws.
        random_state: seed of rows and noise.
        noise: its standard deviation over that of the signal.
        rows: that are fitted.

    Returns:
        Ratios of errors, claims and figure.
    """
    from sklearn.model_selection import KFold

    from numdl.regularize.ridge import decompose, fold_errors, leave_one_out, prepare_folds
    from numdl.regularize.selectors import cross_validation, gcv, one_standard_error

    n, alphas = int(rows), np.geomspace(1e-4, 1e2, 61)
    rng = np.random.default_rng(random_state)
    ratios: dict[str, list[float]] = {"5 folds": [], "leave-one-out": [], "GCV": [], "one standard error": []}
    shown: dict[str, Any] = {}
    for _ in range(10 if quick else 100):
        scale = np.geomspace(1.0, 0.03, P)
        turn = np.linalg.qr(rng.standard_normal((P, P)))[0]
        x, weights = (rng.standard_normal((n, P)) * scale) @ turn, rng.standard_normal(P)
        deviation = noise * float(np.linalg.norm(scale * (turn @ weights)))
        b = (x @ weights + deviation * rng.standard_normal(n))[:, None]
        d = decompose(x, b, keep_left=True)
        left_out = leave_one_out(d, alphas)
        folded = fold_errors(left_out, prepare_folds(x, b, KFold(5).split(x)))
        choices = {
            "5 folds": cross_validation(folded),
            "leave-one-out": cross_validation(left_out),
            "GCV": gcv(left_out),
            "one standard error": one_standard_error(folded),
        }
        # The error on new rows is known: the rows are normal with covariance turn' diag(scale^2) turn.
        away = np.stack([scale * (turn @ (d.solution(alpha)[0][:, 0] - weights)) for alpha in alphas])
        truth = deviation**2 + np.sum(away**2, axis=1)
        for name, choice in choices.items():
            ratios[name].append(float(truth[choice] / truth.min()))
        if not shown:
            curves = {name: choices[name].criterion for name in ("5 folds", "leave-one-out", "GCV")}
            shown = {"alphas": alphas, "truth": truth, "curves": curves, "choices": choices}
    medians = {name: float(np.median(found)) for name, found in ratios.items()}
    best = min(medians["5 folds"], medians["leave-one-out"])
    numbers = {"median_ratio": medians, "chosen": {name: c.alpha for name, c in shown["choices"].items()}}
    claims = [
        at_most("The alpha of 5 folds has the least error on new rows times, in the median,", medians["5 folds"], 1.15),
        at_most("That of leave-one-out has it times", medians["leave-one-out"], 1.15),
        at_most("GCV differs from leave-one-out by a factor of", medians["GCV"] / medians["leave-one-out"], 1.05),
        at_least(
            "One standard error costs, against the better of both, a factor of",
            medians["one standard error"] / best,
            1.0,
        ),
    ]
    return Outcome(numbers, claims, partial(_draw, shown, ratios))


def _draw(shown: dict[str, Any], ratios: dict[str, list[float]], figure: Figure) -> None:
    """Estimates and truth over alpha for the first draw, and what the choices cost on all draws."""
    from numdl.plots.canvas import CYCLE, INK, logarithmic_x

    left, right = figure.subplots(1, 2)
    alphas, truth = shown["alphas"], shown["truth"]
    left.plot(alphas, truth, color=INK, linewidth=2.2, label="error on new rows")
    for color, (name, values) in zip(CYCLE, shown["curves"].items(), strict=False):
        left.plot(alphas, values, color=color, label=name)
    for color, (name, choice) in zip(CYCLE, shown["choices"].items(), strict=False):
        left.plot(choice.alpha, truth[choice], "o", color=color)
        label = f"{name}, alpha {choice.alpha:.2g}"
        right.plot(np.linspace(0, 100, len(ratios[name])), np.sort(ratios[name]), color=color, label=label)
    logarithmic_x(left)
    left.set(title="First draw; dots: the choices", xlabel="alpha", ylabel="mean squared error")
    right.set(title="Error of the choice over the least", xlabel="% of the draws", ylabel="ratio")
    left.legend()
    right.legend()
