"""The picture of the first page: twelve measurements, the mean that is predicted, and its 90 % band.

``python -m docs.make.picture`` writes ``docs/assets/band.svg``, by one fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TARGET = Path(__file__).parents[1] / "assets" / "band.svg"


def truth(x: np.ndarray) -> np.ndarray:
    """The curve that was measured."""
    return np.sin(1.5 * x) + 0.3 * x


def main() -> None:
    """Fit, draw, write; the same file for the same numbers."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    from numdl import AutoRegressor

    rng = np.random.default_rng(4)
    x = np.concatenate([rng.uniform(-3, 0.2, 8), rng.uniform(1.8, 3, 4)])[:, None]
    y = truth(x[:, 0]) + 0.1 * rng.standard_normal(12)
    at = np.linspace(-3.8, 3.8, 160)[:, None]
    model = AutoRegressor(random_state=0).fit(x, y)
    low, middle, high = model.predict_quantiles(at, (0.05, 0.5, 0.95))
    style: dict[Any, Any] = {
        "svg.hashsalt": "band",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 11,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(8.4, 3.0), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        axes.fill_between(at[:, 0], low, high, color="#1f6bb5", alpha=0.22, linewidth=0, label="90 % of new values")
        axes.plot(at[:, 0], truth(at[:, 0]), color="#6f7a87", linewidth=1.2, linestyle="--", label="the truth")
        axes.plot(at[:, 0], middle, color="#1f6bb5", linewidth=2, label="prediction")
        axes.plot(x[:, 0], y, "o", color="#c85c00", markersize=5.5, label="12 measurements")
        axes.set(xlabel="input", ylabel="target", xlim=(-3.8, 3.8), ylim=(-3.4, 3.4))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, ncols=4, loc="upper left", fontsize=10, columnspacing=1.2, handlelength=1.6)
        figure.savefig(TARGET, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
