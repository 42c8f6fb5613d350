"""Advice after a fit: what should the user try next, and which numbers say so?

Each rule below reads the summary and returns one or two sentences or ``None``. The thresholds are conventions of this
page, not theorems; they are named here so that a reader can find and doubt them.
"""

from __future__ import annotations

import numpy as np

from numdl import checks
from numdl.plots.wording import compare, duration, factor, number, short
from numdl.report.measures import (
    Judgement,
    column,
    confusion,
    decline,
    finite_rows,
    judge,
    last,
    logarithmic,
    regression_rows,
    scaled_residuals,
    shown_rows,
    target_errors,
)
from numdl.report.summary import MAKE, FitSummary

NO_SIGNAL = 0.9  # own error over the trivial model's, from here on the columns explain nothing
NEGLIGIBLE = 0.05  # own error over the trivial model's, below it neither gaps nor residual shapes matter
LINEAR_ENOUGH = 0.95  # own error over the linear model's
OVERFIT = 0.5  # training error over held-out error
SATURATED = 0.9  # effective over all parameters
STILL_FALLING = 0.05  # relative fall of the objective that another run of the same length would bring
FEW_ROWS = 10
CUT_SHORT = {"max_iter", "time_budget", "interrupted"}  # the fit says nothing yet about what this model can do
FEW_WRONG = 5  # held-out rows of wrong class below which two shares of them cannot be told apart
CHOOSING = ("auto", "kernel", "patches", "images")  # models without a penalty or restarts to set
ROWS_FOR_SHAPE = 50  # fewer residuals do not show a shape
HEAVY_TAILS = 3.0  # excess kurtosis, 3 is the Laplace distribution
FANNING = 0.3  # rank correlation of |residual| with the prediction


def advise(summary: FitSummary) -> list[str]:
    """What to try next, in plain sentences with the numbers that led to them.

    Args:
        summary: the finished fit.

    Returns:
        One sentence group per finding, the most important first; a single one if the fit is good.

    Example:
        >>> import numpy as np
        >>> from numdl import TikhonovRegressor
        >>> X, e = np.arange(40.0)[:, None], np.resize([1, -1, -1, 1], 40)
        >>> model = TikhonovRegressor().fit(X[:30], X[:30, 0] + 0.1 * e[:30])
        >>> summary = model.summary(X[30:], X[30:, 0] + 0.1 * e[30:])
        >>> advise(summary)
        ['The fit is good; nothing needs to change.']
    """
    checks.instance("advise", "summary", summary, FitSummary, MAKE)
    judgement = judge(summary)
    rules = (_ended_badly, _not_finite, _no_held_out, _no_signal, _linear, _curved, _overfit, _saturated, _more_time)
    rules += (_residual_shape, _confused_pair, _intervals, _few_rows)
    findings = [sentence for rule in rules if (sentence := rule(summary, judgement)) is not None]
    return findings or [_good(summary, judgement)]


def verdict(summary: FitSummary) -> str:
    """One sentence: the held-out error, and how it stands to the baselines.

    Args:
        summary: the finished fit.

    Returns:
        The sentence.

    Example:
        >>> import numpy as np
        >>> from numdl import TikhonovRegressor
        >>> X, e = np.arange(40.0)[:, None], np.resize([1, -1, -1, 1], 40)
        >>> model = TikhonovRegressor().fit(X[:30], X[:30, 0] + 0.1 * e[:30])
        >>> summary = model.summary(X[30:], X[30:, 0] + 0.1 * e[30:])
        >>> verdict(summary)
        'The test RMSE is 0.1: 29 times below the mean of the targets (2.877).'
    """
    checks.instance("verdict", "summary", summary, FitSummary, MAKE)
    j = judge(summary)
    if j.own is None:
        return "The error of this model is not known."
    baselines = ((j.linear, j.linear_name), (j.trivial, j.trivial_name))
    parts = [f"{compare(j.own, e)} {_the(name)} ({number(e)})" for e, name in baselines if e is not None]
    name, percent = summary.score_name.removesuffix("%").strip(), " %" * summary.score_name.endswith("%")
    error = f"The {_part(j)} {name or 'error'} is {number(j.own)}{percent}"
    if summary.task == "classification" and name.endswith("(%)"):
        error = f"{number(j.own)} % of the {_part(j)} rows are predicted wrong"
    return f"{error}: {' and '.join(parts)}." if parts else f"{error}."


def _part(j: Judgement) -> str:
    return "training" if j.part == "train" else j.part


def _the(name: str) -> str:
    """A baseline inside a sentence: ridge needs no article, the mean of the targets does."""
    bare = name.split(" ")[0].lower() in {"ridge", "linear", "logistic", "the"}
    return short(name, 40) if bare else f"the {short(name, 40)}"


def _what(summary: FitSummary) -> str:
    return "network" if summary.model == "network" else "model"


def _ratio(own: float | None, other: float | None) -> float | None:
    return None if own is None or other is None or other <= 0 else own / other


def _ended_badly(summary: FitSummary, j: Judgement) -> str | None:
    if summary.status.code == "failed":
        return (
            f"The training failed: {summary.status.message} Mend this first; the numbers below are of the best iterate."
        )
    if j.own is None and summary.scores:
        return "The error is not finite: look for extreme values in the columns and the target."
    return None


def _not_finite(summary: FitSummary, j: Judgement) -> str | None:
    n = 0 if summary.c is None else len(summary.c)
    bad = n - len(finite_rows(summary))
    if not bad:
        return None
    return f"{bad:,} of {n:,} {summary.held_out_name} rows have a target or prediction that is not finite: check them."


def _no_held_out(summary: FitSummary, j: Judgement) -> str | None:
    if j.part != "train" or j.own is None:
        return None
    return "No rows were held out, so this error says nothing about new rows: keep some back and score them."


def _no_signal(summary: FitSummary, j: Judgement) -> str | None:
    ratio = _ratio(j.own, j.trivial)
    if ratio is None or ratio < NO_SIGNAL:
        return None
    return (
        f"The {_part(j)} error {number(j.own)} is {100 * ratio:.0f} % of that of {_the(j.trivial_name)} "
        f"({number(j.trivial)}): these columns carry little or no signal about the target. "
        "Add columns that should, and check that rows and targets belong together."
    )


def _curved(summary: FitSummary, j: Judgement) -> str | None:
    ratio = _ratio(j.own, j.trivial)
    if summary.model != "linear" or ratio is None or not NEGLIGIBLE < ratio < NO_SIGNAL:
        return None
    return (
        f"A linear model leaves {100 * ratio:.0f} % of the error of {_the(j.trivial_name)}: if the relation may bend, "
        "fit a network (--model resnet) and compare."
    )


def _linear(summary: FitSummary, j: Judgement) -> str | None:
    if summary.model == "linear":
        return None
    ratio, trivial = _ratio(j.own, j.linear), _ratio(j.own, j.trivial)
    if ratio is None or ratio < LINEAR_ENOUGH or (trivial is not None and trivial >= NO_SIGNAL):
        return None
    name = short(j.linear_name)[:1].upper() + short(j.linear_name)[1:]
    if summary.status.code in CUT_SHORT:
        than = "better" if ratio > 1 / LINEAR_ENOUGH else "as well"
        return (
            f"{name} does {than} ({number(j.linear)} against {number(j.own)}), but the training was cut short: allow "
            "it more time before you compare."
        )
    if ratio <= 1 / LINEAR_ENOUGH:
        return (
            f"{name} does as well ({number(j.linear)} against {number(j.own)}): the relation is linear "
            "as far as these rows can tell. Use the linear model, or bring columns that interact."
        )
    if summary.task == "classification" and (j.own - j.linear) / 100 * len(finite_rows(summary)) < FEW_WRONG:  # type: ignore[operator]
        return None  # a row more or less
    else_try = "more rows, a larger alpha or more restarts" if summary.model == "network" else "more rows"
    better = f"{name} does better ({number(j.linear)} against {number(j.own)})"
    return f"{better}: use it, or give the {_what(summary)} {else_try}."


def _wrong(summary: FitSummary) -> float:
    """Held-out rows of a classification that are predicted wrong, infinite where they are not known."""
    known = summary.c is not None and summary.prediction is not None
    return float((summary.c != summary.prediction).sum()) if known else np.inf


def _overfits(summary: FitSummary, j: Judgement) -> bool:
    gap, trivial = _ratio(j.train, j.own), _ratio(j.own, j.trivial)
    if summary.task == "classification" and j.part != "train" and _wrong(summary) < FEW_WRONG:
        return False  # one row more or less
    return j.part != "train" and gap is not None and gap < OVERFIT and (trivial is None or trivial > NEGLIGIBLE)


def _overfit(summary: FitSummary, j: Judgement) -> str | None:
    if not _overfits(summary, j) or j.train is None or j.own is None:
        return None
    gap = "zero" if j.train <= 0 else f"{factor(j.own / j.train)} times smaller"
    more = "; then a larger alpha or more restarts" if summary.model == "network" else "; then a larger alpha"
    more = "" if summary.model in CHOOSING else more
    return (
        f"The {_what(summary)} overfits: the {_part(j)} error is {number(j.own)}, the training error {number(j.train)} "
        f"({gap}). More rows help most{more}."
    )


def _saturated(summary: FitSummary, j: Judgement) -> str | None:
    effective, trivial = last(summary, "effective_dof"), _ratio(j.own, j.trivial)
    if (
        summary.model == "linear"
        or effective is None
        or summary.n_parameters <= 0
        or effective <= SATURATED * summary.n_parameters
        or _overfits(summary, j)
    ):
        return None
    if trivial is not None and trivial < 1e-3:
        return None
    return (
        f"{number(effective)} of {summary.n_parameters:,} parameters are in use "
        f"({100 * effective / summary.n_parameters:.0f} %): the network is too small for these "
        "data. Raise width or depth."
    )


def _more_time(summary: FitSummary, j: Judgement) -> str | None:
    if summary.status.code not in {"max_iter", "time_budget", "interrupted"}:
        return None
    slope = decline(summary)
    if slope is None or slope.rate <= 0 or -np.expm1(-slope.rate * max(slope.elapsed, 0.0)) < STILL_FALLING:
        return None
    halving = np.log(2) / slope.rate
    time = duration(halving) if slope.unit == "s" else f"{max(2, round(halving)):,} iterations"
    setting = "max_iter" if summary.status.code == "max_iter" else "time_budget"
    return (
        f"The objective was still falling when the training ended; at the slope of its last {slope.points} "
        f"iterations it halves every {time}. Allow at least that much more (a larger {setting})."
    )


def _residual_shape(summary: FitSummary, j: Judgement) -> str | None:
    (c, prediction), positive = shown_rows(summary), (regression_rows(summary)[0] > 0).all(axis=0)
    positive &= ~logarithmic(summary)
    ratio = _ratio(j.own, j.trivial)
    if (
        summary.task != "regression"
        or len(c) < ROWS_FOR_SHAPE
        or (ratio is not None and not NEGLIGIBLE < ratio < NO_SIGNAL)
    ):
        return None
    residual = scaled_residuals(c, prediction)
    even = "Transform the target so that its scatter is even."

    def remedy(target: int) -> str:
        return "Fit the logarithm of the target." if positive[target] else even

    correlations = [_rank_correlation(np.abs(residual[:, i]), prediction[:, i]) for i in range(c.shape[1])]
    rho = max(correlations, key=abs)
    if abs(rho) > max(FANNING, 3 / np.sqrt(len(c))):
        grow = "grow" if rho > 0 else "shrink"
        name = f" of {short(summary.target_names[correlations.index(rho)])}" if c.shape[1] > 1 else ""
        return (
            f"The residuals{name} {grow} with the prediction (rank correlation {rho:.2f}). "
            f"{remedy(correlations.index(rho)) if rho > 0 else even}"
        )
    centred = residual - residual.mean(axis=0)
    variance = np.mean(centred**2, axis=0)
    tails = np.mean(centred**4, axis=0) / np.where(variance > 0, variance, 1.0) ** 2 - 3
    worst = int(np.argmax(tails))
    if tails[worst] <= HEAVY_TAILS:
        return None
    row = int(finite_rows(summary)[np.argmax(np.abs(centred[:, worst]))])
    return (
        f"The residuals have heavy tails (excess kurtosis {tails[worst]:.1f}, a normal distribution has 0); the "
        f"largest is in {summary.held_out_name} row {row}. Look at such rows for errors. {remedy(worst)}"
    )


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    ranks = np.argsort(np.argsort(np.stack([a, b]), axis=1, kind="stable"), axis=1, kind="stable")
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def _confused_pair(summary: FitSummary, j: Judgement) -> str | None:
    n_classes = len(summary.class_names)
    if summary.task != "classification" or n_classes < 3 or summary.c is None or summary.prediction is None:
        return None
    table = confusion(summary.c, summary.prediction, n_classes)
    np.fill_diagonal(table, 0)
    errors, both = int(table.sum()), np.triu(table + table.T)
    first, second = divmod(int(both.argmax()), n_classes)
    count, even = int(both.max()), 2 / (n_classes * (n_classes - 1))
    if errors < 5 or count < max(0.4, min(0.9, 2 * even)) * errors:
        return None
    a, b = short(summary.class_names[first], 40), short(summary.class_names[second], 40)
    return (
        f"{count} of {errors} errors confuse {a} with {b}: look for a column that tells these two apart, check "
        "their labels, or merge them."
    )


def _intervals(summary: FitSummary, j: Judgement) -> str | None:
    each = [one for one in target_errors(summary) if np.isfinite(one.held)]
    if not each or summary.c is None or len(summary.c) < ROWS_FOR_SHAPE:
        return None
    worst = max(each, key=lambda one: abs(one.held - 0.9) / (0.15 if one.held < 0.9 else 0.08))
    if 0.75 <= worst.held <= 0.98:
        return None
    more = (
        "use more restarts" if summary.model == "network" else "bring more rows, or columns that tell these rows apart"
    )
    kind, remedy = ("narrow", more) if worst.held < 0.9 else ("wide", "check the noise level")
    what = short(worst.name, 40) if len(each) > 1 else "the targets"
    return f"The 90 % intervals hold {100 * worst.held:.0f} % of {what}: they are too {kind}; {remedy}."


def _few_rows(summary: FitSummary, j: Judgement) -> str | None:
    n = len(finite_rows(summary))
    if j.own is None or j.part == "train" or not 0 < n < FEW_ROWS:
        return None
    rows = "a single row" if n == 1 else f"{n} rows"
    return f"The {summary.held_out_name} error rests on {rows} only: cross-validate before trusting it."


def _good(summary: FitSummary, j: Judgement) -> str:
    if j.own is None:
        return "Nothing to advise: no errors were recorded."
    effective = last(summary, "effective_dof")
    known = column(summary, "objective") is not None or effective is not None or j.trivial is not None
    if known and summary.status.code == "max_iter":
        return "The fit is good; nothing needs to change, though more steps might still gain a little."
    return "The fit is good; nothing needs to change." if known else "Nothing in these numbers asks for a change."
