"""Do the defaults classify as well as the usual alternatives on four tables of digits and mail?

Test error (share of wrong labels), mean negative log probability of the right label, expected calibration error in 15
bins of certainty, and fit time, on standardised inputs. "numdl" is `AutoClassifier`, which ``numdl fit`` takes for as
many rows as these. optdigits, pendigits and spambase come with
their own test part, ``digits`` (in scikit-learn) is split 80/20 within classes by the seed. Methods without randomness
run once where the split is fixed; the others run with three random states (five on digits).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier

from benchmarks._common import Run, median, ratio, standardise, table, timed
from benchmarks._rivals import catboost_classes, installed

SETS = ("digits", "optdigits", "pendigits", "spambase")
DETERMINISTIC = ("logistic_cv", "hist_gradient_boosting")
Part = tuple[np.ndarray, np.ndarray]


def load(run: Run, name: str, seed: int) -> tuple[Part, Part]:
    """Training and test part, each ``x (n, d), labels (n,)``."""
    if name == "digits":
        digits: Any = load_digits()
        x, labels = digits.data, digits.target
        every = np.arange(len(labels))
        rows, held = train_test_split(every, test_size=0.2, stratify=labels, random_state=seed)
        return (x[rows], labels[rows]), (x[held], labels[held])
    folder = run.folder("uci_classification", name)
    if name == "spambase":
        rows = np.loadtxt(folder / "spam.data")
        held = np.loadtxt(folder / "spam.traintest") == 1
        parts = rows[~held], rows[held]
    else:
        parts = tuple(np.loadtxt(folder / f"{name}.{end}", delimiter=",") for end in ("tra", "tes"))
    train, test = ((part[:, :-1], part[:, -1].astype(int)) for part in parts)
    return train, test


def logistic_cv(x: np.ndarray, labels: np.ndarray, seed: int) -> GridSearchCV:
    """Logistic or softmax regression, C by 3-fold cross validation."""
    return GridSearchCV(LogisticRegression(max_iter=1000), {"C": np.logspace(-3, 2, 6)}, cv=3).fit(x, labels)


ALTERNATIVES: dict[str, Callable[[np.ndarray, np.ndarray, int], Any]] = {
    "logistic_cv": logistic_cv,
    "hist_gradient_boosting": lambda x, c, seed: HistGradientBoostingClassifier(random_state=seed).fit(x, c),
    "mlp_default": lambda x, c, seed: MLPClassifier(random_state=seed).fit(x, c),
    "catboost": catboost_classes,
}


def judged(model: Any, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Error, log loss and calibration error on the test part."""
    p = np.clip(model.predict_proba(x), 1e-12, 1.0)
    codes, certainty = np.searchsorted(model.classes_, labels), p.max(axis=1)
    right = p.argmax(axis=1) == codes
    gaps = np.bincount(np.minimum((15 * certainty).astype(int), 14), certainty - right, 15)
    return {
        "error": float(1 - right.mean()),
        "log_loss": -float(np.log(p[np.arange(len(p)), codes]).mean()),
        "calibration_error": float(np.abs(gaps).sum() / len(p)),
    }


def theirs(run: Run, name: str, seed: int, train: Part, test: Part) -> None:
    """All alternatives on one split."""
    x, x_test = standardise(train[0], test[0])
    for method, fit in ALTERNATIVES.items():
        repeats = name == "digits" or seed == 0 or method not in DETERMINISTIC
        if repeats and installed(method) and run.wants("theirs", method, set=name, seed=seed):
            model, seconds = timed(lambda fit=fit: fit(x, train[1], seed))
            run.record("theirs", method, {"set": name, "seed": seed}, **judged(model, x_test, test[1]), seconds=seconds)


def ours(run: Run, name: str, seed: int, train: Part, test: Part) -> None:
    """Our defaults on one split."""
    if not run.wants("ours", "numdl", set=name, seed=seed):
        return
    from numdl import AutoClassifier

    model, seconds = timed(lambda: AutoClassifier(random_state=seed).fit(*train))
    run.record("ours", "numdl", {"set": name, "seed": seed}, **judged(model, *test), seconds=seconds)


def run(run: Run) -> None:
    """Both sides on every set and seed."""
    for name in run.chosen(SETS, quick=1):
        for seed in range(run.seeds or (1 if run.quick else 5 if name == "digits" else 3)):
            train, test = load(run, name, seed)
            theirs(run, name, seed, train, test)
            ours(run, name, seed, train, test)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean error and fit time per set and method; ratio of ours to the best alternative."""
    methods = (*ALTERNATIVES, "numdl")
    sets, rows = {}, []
    for name in [name for name in SETS if any(r["set"] == name for r in records)]:
        found = {m: [r for r in records if r["set"] == name and r["method"] == m] for m in methods}
        error = {m: float(np.mean([r["error"] for r in rs])) for m, rs in found.items() if rs}
        seconds = {m: float(np.median([r["seconds"] for r in rs])) for m, rs in found.items() if rs}
        more = {
            key: {m: float(np.mean(all_of)) for m, rs in found.items() if (all_of := [r[key] for r in rs if key in r])}
            for key in ("log_loss", "calibration_error")
        }
        rivals = {m: error[m] for m in ALTERNATIVES if m in error}
        best = min(rivals, key=rivals.__getitem__) if rivals else None
        quotient = ratio(error.get("numdl"), rivals[best] if best else None)
        sets[name] = {"error": error, **more, "seconds": seconds, "best_rival": best, "ratio": quotient}
        percent = [100 * error[m] if m in error else None for m in methods]
        rows.append([name, *percent, best, quotient, *(seconds.get(m) for m in methods)])
    header = ["logistic", "HGB", "MLP", "CatBoost", "numdl"]
    title = "classification: mean test error in %, then median fit time in s"
    table(title, ["set", *header, "best rival", "ratio", *(f"{name} s" for name in header)], rows)
    for key, name in (("log_loss", "log loss"), ("calibration_error", "expected calibration error")):
        table(
            f"classification: mean {name}", ["set", *header], [[n, *map(s[key].get, methods)] for n, s in sets.items()]
        )
    ratios = [s["ratio"] for s in sets.values() if s["ratio"]]
    complete = len(ratios) == len(SETS)
    requirements = {
        "error over the best: median at most 0.95": median(ratios) <= 0.95 if complete else None,
        "error over the best: never above 1.05": max(ratios) <= 1.05 if complete else None,
    }
    return {"sets": sets, "median_ratio": median(ratios), "requirements": requirements}
