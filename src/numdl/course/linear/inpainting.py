"""Image inpainting with a smoothness prior: how does a prior that images are smooth fill what was never seen?

A head of 40 x 40 pixels of which half are seen, with known noise. The mask alone says nothing about the other pixels; a
penalty on the Laplacian fills them from their neighbours, as strong as the noise allows (discrepancy principle). A
penalty on the pixels themselves leaves them at zero. GCV is no help here: the image is worth nearly as many degrees of
freedom as it has seen pixels.

Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 8.3.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.data.problems.inverse_problems import phantom

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Inpainting: a penalty on the Laplacian fills the unseen half of an image"
PARAMETERS = {
    "noise": Parameter(0.01, 1e-4, 0.5, "standard deviation of a seen pixel, whose values are from 0 to 1"),
    "seen": Parameter(0.5, 0.05, 0.95, "share of the pixels that are seen"),
}


def run(
    quick: bool,
    random_state: int,
    *,
    noise: float = PARAMETERS["noise"].default,
    seen: float = PARAMETERS["seen"].default,
) -> Outcome:
    """Fill the image with both penalties, from products with the mask alone.

    Args:
        quick: a smaller image.
        random_state: seed of mask and noise.
        noise: standard deviation of a seen pixel.
        seen: share of the pixels that are seen.

    Returns:
        Errors, claims and figure.
    """
    from numdl.estimators import TikhonovRegressor
    from numdl.linalg import ImageLaplacian, Mask

    n = 20 if quick else 40
    rng = np.random.default_rng(random_state)
    x = phantom(n).ravel()
    known = np.sort(rng.choice(n * n, int(seen * n * n), replace=False))
    A = Mask(known, n * n)
    b = x[known] + noise * rng.standard_normal(len(known))
    penalties = {"Laplacian": ImageLaplacian((n, n)), "pixels": "identity"}
    found = {}
    for name, operator in penalties.items():
        options = {"noise": noise, "method": "hybrid-lsqr", "fit_intercept": False, "max_iter": 1000}
        found[name] = TikhonovRegressor("discrepancy", operator, **options).fit(A, b)
    errors = {name: float(np.linalg.norm(m.coef_ - x) / np.linalg.norm(x)) for name, m in found.items()}
    numbers = {
        "pixels": n * n,
        "seen": len(known),
        "relative_error": errors,
        "alpha": {name: m.alpha_ for name, m in found.items()},
        "iterations": {name: m.n_iter_ for name, m in found.items()},
    }
    claims = [
        at_most("The relative error with the Laplacian is", errors["Laplacian"], 0.5),
        at_least("With a penalty on the pixels it is", errors["pixels"], 0.6),
    ]
    data = np.full(n * n, np.nan)
    data[known] = b
    pictures = {"truth": x, "data (unseen in blue)": data}
    pictures |= {f"penalty on the {name}": m.coef_ for name, m in found.items()}
    return Outcome(numbers, claims, partial(_draw, pictures, n))


def _draw(pictures: dict[str, np.ndarray], n: int, figure: Figure) -> None:
    """The images on one scale."""
    from numdl.plots.canvas import BLUE

    for axes, (name, image) in zip(figure.subplots(2, 2).ravel(), pictures.items(), strict=True):
        axes.set_facecolor(BLUE)
        axes.imshow(image.reshape(n, n), cmap="gray", vmin=0, vmax=0.6)
        axes.set(title=name[0].upper() + name[1:], xticks=[], yticks=[])
        axes.grid(False)
