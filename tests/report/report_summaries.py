"""Synthetic summaries for the report tests; seeds are fixed."""

from __future__ import annotations

import numpy as np

from numdl.contracts import Status
from numdl.report import FitSummary

EVIL = "<script>alert('x')</script>$\\frac{1}{2}$ & \"quoted\" [red]"
CONVERGED = Status("converged", "The gradient fell below the tolerance.")


def history(steps: int = 60, groups: int = 3) -> dict[str, np.ndarray]:
    t = np.arange(steps, dtype=float)
    validation = np.where(t % 5 == 0, 0.3 + np.exp(-t / 8), np.nan)
    columns = {
        "seconds": 0.5 + 0.07 * t,
        "objective": 1e-4 + np.exp(-t / 3),
        "gradient_norm": 3 * np.exp(-t / 4) + 1e-9,
        "train_error": 0.2 + np.exp(-t / 6),
        "validation_error": validation,
        "damping": 10.0 ** (-np.minimum(t, 30) / 5),
        "effective_dof": 500 * (1 - np.exp(-t / 10)),
        "log_evidence": -1000 + 600 * (1 - np.exp(-t / 9)),
        "noise": 0.1 + np.exp(-t / 5),
    }
    return columns | {f"alpha:layer {g}": 10.0 ** (-3 + g + np.tanh(t / 10)) for g in range(groups)}


def regression(n: int = 200, k: int = 1, noise: float = 0.1, **changes) -> FitSummary:
    rng = np.random.default_rng(0)
    c = rng.normal(size=(n, k)) * np.arange(1, k + 1) + 3
    scale = noise * np.arange(1, k + 1) * (1 + np.arange(k)[::-1] / k)
    prediction = c + scale * rng.normal(size=(n, k))
    fields = {
        "title": "Yacht hydrodynamics",
        "task": "regression",
        "status": CONVERGED,
        "facts": {"File": "yacht.csv", "Rows": "277 training, 31 test", "Columns": "6", "Network": "width 16, depth 4"},
        "scores": [
            {"name": "numdl ResNet", "train": 0.12, "validation": 0.2, "test": 0.1},
            {"name": "ridge", "train": 8.9, "validation": 9.0, "test": 8.7},
            {"name": "mean of the targets", "train": 15.0, "validation": None, "test": 14.5},
        ],
        "score_name": "RMSE",
        "history": history(),
        "n_parameters": 720,
        "c": c,
        "prediction": prediction,
        "target_names": [f"target {j}" for j in range(k)] if k > 1 else ["residuary resistance"],
        "weights": {"K": np.cumsum(rng.normal(size=(8, 16, 16)), axis=0) / 8, "b": rng.normal(size=(8, 16)) / 4},
        "interval": np.broadcast_to(scale, (n, k)).copy(),
    }
    return FitSummary(**(fields | changes))


def classification(n: int = 500, k: int = 10, accuracy: float = 0.97, **changes) -> FitSummary:
    rng = np.random.default_rng(1)
    c = rng.integers(0, k, n)
    wrong = rng.random(n) > accuracy
    prediction = np.where(wrong, rng.integers(0, k, n), c)
    fields = {
        "title": "Handwritten digits",
        "task": "classification",
        "status": CONVERGED,
        "scores": [
            {"name": "numdl ResNet", "train": 1.6, "validation": 1.9, "test": 2.4},
            {"name": "ridge", "train": 5.0, "validation": 6.1, "test": 6.3},
            {"name": "most frequent class", "train": 89.9, "validation": 90.0, "test": 90.1},
        ],
        "score_name": "error %",
        "history": history(groups=12),
        "n_parameters": 1500,
        "c": c,
        "prediction": prediction,
        "class_names": [f"digit {j}" for j in range(k)],
        "weights": {"K": rng.normal(size=(4, 32, 32)), "b": rng.normal(size=(4, 32))},
    }
    return FitSummary(**(fields | changes))
