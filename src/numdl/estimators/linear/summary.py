"""What does an estimator that is linear in its coefficients, on columns or on random features, tell a report?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.checks import shown

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
        "model": _kind(estimator),
        "status": estimator.status_,
        "history": getattr(_inner(estimator), "history_", {}),
        "n_parameters": _count(estimator),
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
    inner = _inner(estimator)
    alphas = ", ".join(f"{alpha:.4g}" for alpha in np.ravel(inner.alpha_)[:5])
    found = {"Penalty": f"alpha = {alphas}" + (" and more" if np.size(inner.alpha_) > 5 else "")}
    if hasattr(estimator, "features_"):
        net = estimator.features_.net
        found["Features"] = f"{net.width:,} random, {net.activation}, scale {net.scale:.3g}"
    found["Parameters"] = f"{_count(estimator):,}"
    if hasattr(inner, "effective_dof_"):
        found["Parameters"] += f", {float(np.mean(inner.effective_dof_)):.4g} effective for each target"
    method = next((getattr(inner, name) for name in ("method_", "solver_") if hasattr(inner, name)), "qr in blocks")
    return found | {"Solver": f"{type(estimator).__name__}, {method}"}


def _inner(estimator: Any) -> Any:
    """What holds the coefficients."""
    return getattr(estimator, "softmax_", estimator)


def _kind(estimator: Any) -> str:
    return "random features" if hasattr(estimator, "features_") else "linear"


def _count(estimator: Any) -> int:
    inner = _inner(estimator)
    return int(np.size(inner.coef_) + np.size(inner.intercept_))


def _path(estimator: Any) -> dict[str, np.ndarray]:
    """Alphas and criterion, ascending in alpha, and where the choice fell; empty where it is not known."""
    inner = _inner(estimator)
    if hasattr(inner, "classes_"):
        alphas = np.asarray(inner.path_["alpha"])
        order = np.argsort(alphas)
        criterion = np.asarray(inner.path_["criterion"])[order]
        found = {"alpha": alphas[order], "criterion": criterion, "chosen": np.array([inner.alpha_])}
        return found if len(order) > 1 else {}
    choices, paths = ((inner.choice_,), (inner.path_,)) if hasattr(inner, "choice_") else (inner.choices_, inner.paths_)
    if not choices or choices[0] is None:
        return {}
    return {"alpha": paths[0].alphas, "criterion": choices[0].criterion, "chosen": np.array([choices[0].alpha])}


def _judged(estimator: Any, X: Any, y: np.ndarray, classifier: bool) -> dict[str, Any]:
    """Errors on the rows given, and the baseline that ignores the inputs."""
    from numdl.report import ScoreRow

    if classifier:
        unknown = ~np.isin(y, estimator.classes_)
        if unknown.any():
            raise ValueError(f"report: y holds {shown(y[unknown][0])}, which is no class of the fit. Drop these rows.")
        codes, predicted = (np.searchsorted(estimator.classes_, labels) for labels in (y, estimator.predict(X)))
        error, trivial = 100 * np.mean(predicted != codes), 100 * (1 - np.bincount(codes).max() / len(codes))
        names = (f"numdl {_kind(estimator)}", "most frequent class")
        found = {"c": codes, "prediction": predicted}
    else:
        c = y.reshape(len(y), -1).astype(float)
        predicted = estimator.predict(X).reshape(c.shape)
        error, trivial = np.sqrt(np.mean((predicted - c) ** 2)), np.sqrt(np.mean((c - c.mean(axis=0)) ** 2))
        names = (f"numdl {_kind(estimator)}", "mean of the targets")
        found = {"c": c, "prediction": predicted}
    pairs = zip(names, (error, trivial), strict=True)
    return found | {"scores": [ScoreRow(name=name, test=float(value)) for name, value in pairs]}
