"""What does a fitted linear estimator tell a report?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.estimators.inputs import shown

if TYPE_CHECKING:
    from numdl.report import FitSummary


def summarize_linear(estimator: Any, X: Any, y: Any, *, title: str | None = None, **fields: Any) -> FitSummary:
    """Summary of a fit, judged by the rows given.

    Args:
        estimator: fitted.
        X: rows, (n, d), or None.
        y: targets or labels of these rows.
        title: heading.
        **fields: fields of ``FitSummary`` that replace those found here; ``facts`` are added to.

    Returns:
        The summary.

    Raises:
        ValueError: y holds a label that is no class of the fit.
    """
    from numdl.report import FitSummary

    classifier = hasattr(estimator, "classes_")
    found: dict[str, Any] = {
        "title": title or type(estimator).__name__,
        "task": "classification" if classifier else "regression",
        "model": "linear",
        "status": estimator.status_,
        "history": getattr(estimator, "history_", {}),
        "n_parameters": int(np.size(estimator.coef_) + np.size(estimator.intercept_)),
        "path": _path(estimator),
        "score_name": "error %" if classifier else "RMSE",
        "facts": facts(estimator),
    }
    if classifier:
        found["class_names"] = [str(label) for label in estimator.classes_]
    if X is not None and y is not None:
        found |= _judged(estimator, X, np.asarray(y), classifier)
    found["facts"] = found["facts"] | fields.pop("facts", {})
    return FitSummary(**found | fields)


def facts(estimator: Any) -> dict[str, str]:
    """What was fitted, in words."""
    name = type(estimator).__name__
    alphas = ", ".join(f"{alpha:.4g}" for alpha in np.ravel(estimator.alpha_)[:5])
    found = {
        "Penalty": f"alpha = {alphas}" + (" and more" if np.size(estimator.alpha_) > 5 else ""),
        "Parameters": f"{np.size(estimator.coef_) + np.size(estimator.intercept_):,}",
    }
    if hasattr(estimator, "freedom_"):
        found["Parameters"] += f", {float(np.mean(estimator.freedom_)):.4g} effective for each target"
    found["Solver"] = f"{name}, {estimator.method_ if hasattr(estimator, 'method_') else estimator.solver_}"
    return found


def _path(estimator: Any) -> dict[str, np.ndarray]:
    """Alphas and criterion, ascending in alpha, and where the choice fell; empty where alpha was given."""
    if hasattr(estimator, "choices_"):
        if not estimator.choices_:
            return {}
        choice, path = estimator.choices_[0], estimator.paths_[0]
        return {"alpha": path.alphas, "criterion": choice.criterion, "chosen": np.array([choice.alpha])}
    alphas = np.asarray(estimator.path_["alpha"])
    order = np.argsort(alphas)
    if len(order) < 2:
        return {}
    criterion = np.asarray(estimator.path_["criterion"])[order]
    return {"alpha": alphas[order], "criterion": criterion, "chosen": np.array([estimator.alpha_])}


def _judged(estimator: Any, X: Any, y: np.ndarray, classifier: bool) -> dict[str, Any]:
    """Errors on the rows given, and the baseline that ignores the inputs."""
    from numdl.report import ScoreRow

    if classifier:
        unknown = ~np.isin(y, estimator.classes_)
        if unknown.any():
            raise ValueError(f"report: y holds {shown(y[unknown][0])}, which is no class of the fit. Drop these rows.")
        codes, predicted = (np.searchsorted(estimator.classes_, labels) for labels in (y, estimator.predict(X)))
        error, trivial = 100 * np.mean(predicted != codes), 100 * (1 - np.bincount(codes).max() / len(codes))
        names = ("numdl linear", "most frequent class")
        found = {"c": codes, "prediction": predicted}
    else:
        c = y.reshape(len(y), -1).astype(float)
        predicted = estimator.predict(X).reshape(c.shape)
        error, trivial = np.sqrt(np.mean((predicted - c) ** 2)), np.sqrt(np.mean((c - c.mean(axis=0)) ** 2))
        names = ("numdl linear", "mean of the targets")
        found = {"c": c, "prediction": predicted}
    pairs = zip(names, (error, trivial), strict=True)
    return found | {"scores": [ScoreRow(name=name, test=float(value)) for name, value in pairs]}
