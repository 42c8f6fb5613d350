"""What does a fitted estimator tell a report, and how do the simplest alternatives do on the same rows?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.checks import shown
from numdl.models import Network, ResNet

if TYPE_CHECKING:
    from numdl.report import FitSummary


def summarize(estimator: Any, X: Any, y: Any, *, title: str | None = None, **fields: Any) -> FitSummary:
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
        ValueError: X and y do not belong together.
    """
    from numdl.report import FitSummary

    classifier = hasattr(estimator, "classes_")
    member = estimator.members_[0]
    found: dict[str, Any] = {
        "title": title or f"{type(estimator).__name__}: {_network(estimator)}",
        "task": "classification" if classifier else "regression",
        "status": estimator.status_,
        "history": estimator.history_,
        "n_parameters": int(estimator.n_parameters_),
        "weights": {name: np.asarray(a) for name, a in member.net.layers(member.theta).items() if np.size(a)},
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
    """What was trained, in words."""
    net = estimator.architecture_
    return {
        "network": _network(estimator),
        **_flow(net),
        "activation": net.activation,
        "inputs": str(estimator.n_features_in_),
        "weights": f"{estimator.n_parameters_}, of which the data determine {estimator.effective_dof_:.0f}",
        "solver": estimator.solver_,
        "networks tried": ", ".join(dict.fromkeys(row["network"] for row in estimator.search_)),
        "iterations": str(estimator.n_iter_),
        "seconds": f"{estimator.seconds_:.1f}",
    }


def _flow(net: Network) -> dict[str, str]:
    """How a residual network moves in time; other networks, and those without steps, have no time."""
    if not isinstance(net, ResNet) or not net.depth:
        return {}
    smooth = f", smooth over a time of {net.smoothness:g}" if net.smoothness else ""
    return {"scheme": f"{net.scheme}, {net.depth} steps on [0, {net.T:g}], weights {net.control} on each step{smooth}"}


def _network(estimator: Any) -> str:
    count = len(estimator.members_)
    networks = " and ".join(dict.fromkeys(member.net.title for member in estimator.members_))
    return networks + (f", mean of {count} starts" if count > 1 else "")


def _judged(estimator: Any, X: Any, y: np.ndarray, classifier: bool) -> dict[str, Any]:
    """Errors on the rows given, and the baseline that ignores the inputs."""
    from numdl.report import ScoreRow

    if classifier:
        codes = np.searchsorted(estimator.classes_, y)
        codes = np.minimum(codes, len(estimator.classes_) - 1)
        if (estimator.classes_[codes] != y).any():
            unknown = y[estimator.classes_[codes] != y][0]
            raise ValueError(f"report: y holds {shown(unknown)}, which is no class of the fit. Drop these rows.")
        predicted = np.searchsorted(estimator.classes_, estimator.predict(X))
        error, trivial = 100 * np.mean(predicted != codes), 100 * (1 - np.bincount(codes).max() / len(codes))
        scores = [ScoreRow(name=estimator._label, test=float(error))]
        scores.append(ScoreRow(name="most frequent class", test=float(trivial)))
        return {"c": codes, "prediction": predicted, "scores": scores}
    c = y.reshape(len(y), -1).astype(float)
    mean, std = estimator.predict(X, return_std=True)
    mean, std = mean.reshape(c.shape), std.reshape(c.shape)
    error, trivial = np.sqrt(np.mean((mean - c) ** 2)), np.sqrt(np.mean((c - c.mean(axis=0)) ** 2))
    scores = [
        ScoreRow(name=estimator._label, test=float(error)),
        ScoreRow(name="mean of the targets", test=float(trivial)),
    ]
    return {"c": c, "prediction": mean, "interval": std, "scores": scores}
