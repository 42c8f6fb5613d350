"""Bias-variance trade-off.

How do too few and too many parameters fail: bias, variance, and what a penalty does about it?

Polynomials through 30 noisy values of a smooth function. Without penalty the degree is the parameter: a low one cannot
follow the function (bias), a high one follows the noise (variance). At a high degree, alpha takes its place: the
penalty is on the coefficients times the squares of their degrees, which smooth functions have small.
Both parts are exact, as the model is linear and the noise known, and are checked against draws.

Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, sec. 7.3.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from numdl.regularize.ridge import BiasVariance

TITLE = "Over- and underfitting: bias falls and variance grows with the degree of a polynomial"
DEGREES, HIGH = 20, 16
PARAMETERS = {
    "noise": Parameter(0.3, 1e-3, 3.0, "standard deviation of a value"),
    "points": Parameter(30, 22, 300, "values that are fitted"),
}


def run(
    quick: bool,
    random_state: int,
    *,
    noise: float = PARAMETERS["noise"].default,
    points: float = PARAMETERS["points"].default,
) -> Outcome:
    """Bias and variance over degrees and over alpha, and fits to one draw.

    Args:
        quick: fewer draws.
        random_state: seed of the noise.
        noise: standard deviation of a value.
        points: values that are fitted.

    Returns:
        Risks, claims and figure.
    """
    from numdl.regularize.ridge import bias_variance, decompose, sampled_bias_variance

    t = np.linspace(-1, 1, int(points))
    truth = _function(t)
    rng = np.random.default_rng(random_state)
    draws = truth + noise * rng.standard_normal((200 if quick else 2000, len(t)))
    degrees = np.arange(1, DEGREES + 1)
    smallest = np.array([1e-14])
    parts = [bias_variance(decompose(_powers(t, int(d)), truth[:, None]), noise, smallest) for d in degrees]
    by_degree = _joined(parts)
    alphas = np.geomspace(1e-12, 1e-2, 60)
    smooth = np.diag(np.arange(HIGH + 1.0) ** 2)
    high = decompose(_powers(t, HIGH), truth[:, None], smooth)
    by_alpha = bias_variance(high, noise, alphas)
    best_degree, best = int(degrees[np.argmin(by_degree.risk)]), int(np.argmin(by_alpha.risk))
    several = decompose(_powers(t, HIGH), draws.T, smooth)
    fitted = (_powers(t, HIGH) @ several.solution(alphas[best])[0]).T
    sampled = sampled_bias_variance(fitted[:, :, None], truth[:, None])
    gap = abs(float(sampled.risk[0] / by_alpha.risk[best]) - 1)
    numbers = {
        "risk_by_degree": by_degree.risk,
        "best_degree": best_degree,
        "best_alpha": alphas[best],
        "risk": {"degree": by_degree.risk.min(), "alpha": by_alpha.risk[best], "sampled": sampled.risk[0]},
    }
    claims = [
        at_least("The line's risk is that of the best degree times", by_degree.risk[0] / by_degree.risk.min(), 3.0),
        at_least(f"That of degree {DEGREES} is it times", by_degree.risk[-1] / by_degree.risk.min(), 1.5),
        at_most(
            "A penalty at a high degree has the best degree's risk times",
            by_alpha.risk[best] / by_degree.risk.min(),
            1.5,
        ),
        # 30 values of 200 draws: the mean of 6000 squares, hardly independent, deviates by a few percent.
        at_most("Draws of the noise deviate from the exact risk by", 100 * gap, 20.0 if quick else 6.0, " %"),
    ]
    fine = np.linspace(-1, 1, 400)
    curves: dict[str, Any] = {}
    for degree in (1, best_degree, DEGREES):
        unknowns = decompose(_powers(t, degree), draws[:1].T).solution(1e-14)[0]
        curves[f"degree {degree}"] = (_powers(fine, degree) @ unknowns)[:, 0]
    curves[f"degree {HIGH}, alpha {alphas[best]:.1g}"] = (_powers(fine, HIGH) @ several.solution(alphas[best])[0])[:, 0]
    return Outcome(
        numbers, claims, partial(_draw, (t, draws[0]), (fine, curves), (degrees, by_degree), (alphas, by_alpha))
    )


def _function(t: np.ndarray) -> np.ndarray:
    return np.sin(3 * t) + 0.5 * np.cos(7 * t)


def _powers(t: np.ndarray, degree: int) -> np.ndarray:
    """Chebyshev polynomials up to a degree: the same functions as the powers, in a basis that is well conditioned."""
    return np.polynomial.chebyshev.chebvander(t, degree)


def _joined(parts: list[BiasVariance]) -> BiasVariance:
    from numdl.regularize.ridge import BiasVariance

    return BiasVariance(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _draw(points: tuple, fits: tuple, by_degree: tuple, by_alpha: tuple, figure: Figure) -> None:
    """Fits to one draw; below, both parts of the risk over the degree and over alpha."""
    from numdl.plots.canvas import BLUE, CYCLE, GREY, INK, ORANGE, logarithmic, logarithmic_x

    parts = figure.subplot_mosaic([["fits", "fits"], ["degree", "alpha"]])
    (t, b), (fine, curves) = points, fits
    parts["fits"].plot(t, b, "o", color=GREY, markersize=4, label="data")
    parts["fits"].plot(fine, _function(fine), color=INK, linestyle="--", linewidth=1, label="truth")
    for color, (name, values) in zip(CYCLE, curves.items(), strict=False):
        parts["fits"].plot(fine, values, color=color, label=name)
    parts["fits"].set(title="Fits to one draw of the noise", xlabel="t", ylim=(-2.2, 2.2))
    parts["fits"].legend(ncols=3, loc="lower right")
    for name, (x, risk) in (("degree", by_degree), ("alpha", by_alpha)):
        axes = parts[name]
        axes.plot(x, risk.squared_bias, color=BLUE, label="squared bias")
        axes.plot(x, risk.variance, color=ORANGE, label="variance")
        axes.plot(x, risk.risk, color=INK, label="risk")
        logarithmic(axes, risk.risk)
        axes.set(xlabel=name, ylabel="mean squared error", ylim=(risk.risk.min() / 30, 2 * risk.risk.max()))
        axes.legend()
    parts["degree"].set(title="Without penalty", xticks=range(0, DEGREES + 1, 4))
    logarithmic_x(parts["alpha"])
    parts["alpha"].set_title(f"Degree {HIGH} with a penalty")
