"""Summary of a fit by a linear model: its penalty, its parameters, and the path of alphas it was chosen on."""

from __future__ import annotations

from typing import Any

import numpy as np

from numdl.estimators.common.reporting import ReportMixin


class LinearReportMixin(ReportMixin):
    """Linear models, and linear models on features: ``_inner`` holds the coefficients."""

    _label = "numdl linear"

    @property
    def _inner(self) -> Any:
        return self

    def _facts(self) -> dict[str, str]:
        inner = self._inner
        alphas = ", ".join(f"{alpha:.4g}" for alpha in np.ravel(inner.alpha_)[:5])
        effective = ""
        if hasattr(inner, "effective_dof_"):
            effective = f", {float(np.mean(inner.effective_dof_)):.4g} effective for each target"
        method = next((getattr(inner, name) for name in ("method_", "solver_") if hasattr(inner, name)), "qr in blocks")
        return {
            "Penalty": f"alpha = {alphas}" + (" and more" if np.size(inner.alpha_) > 5 else ""),
            "Parameters": f"{_count(inner):,}{effective}",
            "Solver": f"{type(self).__name__}, {method}",
        }

    def _record(self) -> dict[str, Any]:
        inner = self._inner
        return {
            "model": self._label.removeprefix("numdl "),
            "n_parameters": _count(inner),
            "history": getattr(inner, "history_", {}),
            "path": _path(inner),
        }


def _count(inner: Any) -> int:
    """Coefficients and intercepts."""
    return int(np.size(inner.coef_) + np.size(inner.intercept_))


def _path(inner: Any) -> dict[str, np.ndarray]:
    """Alphas and criterion, ascending in alpha, and where the choice fell; empty where it is not known."""
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
