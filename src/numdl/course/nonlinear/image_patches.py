"""Image patches as features: how far does one get with filters that nobody has trained?

Handwritten digits of 8 x 8 pixels. Filters are patches of the training images, whitened; their responses beyond a
threshold are averaged over cells, and a ridge regression solves for the head, its alpha by generalised cross
validation. The same regression on pixels is the comparison. The model also tells, without having seen any other image,
how often it is wrong on rows that it left out one by one.

Source: Coates, Lee and Ng, An analysis of single-layer networks in unsupervised feature learning, AISTATS 2011.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Image patches: filters nobody trained, a head that is solved, an error told without new images"
PARAMETERS = {"n": Parameter(600, 100, 1200, "training images")}
ALPHAS = np.geomspace(1e-6, 1e2, 9)


class Size(NamedTuple):
    """How much is computed."""

    filters: tuple[int, ...]
    seeds: int


FULL = Size(filters=(8, 16, 32, 64, 128, 256, 512), seeds=5)
QUICK = Size(filters=(8, 32, 128), seeds=2)


class Found(NamedTuple):
    """Percent wrong.

    Attributes:
        new: images that were not seen, (seeds, numbers of filters).
        told: rows left out one by one, as new.
        pixels: of the regression on pixels, (seeds,).
        by_alpha: images that were not seen, with the most filters, (seeds, alphas).
        alpha: by generalised cross validation, (seeds,).
        filters: some of them as pictures.
    """

    new: np.ndarray
    told: np.ndarray
    pixels: np.ndarray
    by_alpha: np.ndarray
    alpha: np.ndarray
    filters: np.ndarray


def run(quick: bool, random_state: int, *, n: float = PARAMETERS["n"].default) -> Outcome:
    """Fit patches with more and more filters, with other alphas, and pixels.

    Args:
        quick: fewer filters and seeds.
        random_state: first seed of split and patches.
        n: training images.

    Returns:
        Errors, claims and figure.
    """
    size = QUICK if quick else FULL
    parts = [_once(size, int(n), random_state + j) for j in range(size.seeds)]
    found = Found(*(np.array(column) for column in zip(*parts, strict=True)))
    most = found.new[:, -1].mean()
    gap = np.abs(found.told[:, -1] - found.new[:, -1]).mean()
    best = found.by_alpha.min(axis=1).mean()
    claims = [
        at_least("Wrong by pixels over wrong by patches", float(found.pixels.mean() / most), 2.0),
        at_least("Wrong by few filters over wrong by many", float(found.new[:, 0].mean() / most), 1.5),
        at_most("What the left-out rows tell is off by", float(gap), 1.5, " points"),
        at_most("The alpha of cross validation costs, over the best one", float(most - best), 1.0, " points"),
    ]
    numbers = {"filters": size.filters, "wrong_percent": found.new, "left_out_percent": found.told}
    numbers |= {"pixels_percent": found.pixels, "alphas": ALPHAS, "by_alpha_percent": found.by_alpha}
    return Outcome(numbers, claims, partial(_draw, found, size.filters))


def _once(size: Size, n: int, seed: int) -> tuple:
    from sklearn.linear_model import RidgeClassifierCV

    from numdl.course.digits import load_digits
    from numdl.estimators import PatchFeaturesClassifier

    x, y = load_digits()
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order].reshape(-1, 8, 8), y[order]
    (x, unseen), (y, labels) = (x[:n], x[n:]), (y[:n], y[n:])

    def wrong(model: PatchFeaturesClassifier) -> float:
        return 100 * float(np.mean(model.predict(unseen) != labels))

    models = [PatchFeaturesClassifier(k, random_state=seed).fit(x, y) for k in size.filters]
    held = [PatchFeaturesClassifier(size.filters[-1], a, random_state=seed).fit(x, y) for a in ALPHAS.tolist()]
    pixels = RidgeClassifierCV(np.geomspace(1e-2, 1e6, 25)).fit(x.reshape(n, -1), y)
    plain = 100 * float(np.mean(pixels.predict(unseen.reshape(len(unseen), -1)) != labels))
    new, told = [wrong(m) for m in models], [100 * m.left_out_error_ for m in models]
    last = models[-1]
    return new, told, plain, [wrong(m) for m in held], last.alpha_, last.filters_.weights[:32:2, 0]


def _draw(found: Found, filters: tuple[int, ...], figure: Figure) -> None:
    """Filters, errors over their number, and errors over alpha."""
    from numdl.plots.canvas import BLUE, GREY, ORANGE, logarithmic_x

    left, middle, right = figure.subplots(1, 3)
    shown = found.filters[0]
    side = shown.shape[1]
    picture = np.full((4 * (side + 1) - 1, 4 * (side + 1) - 1), np.nan)
    for k, one in enumerate(shown):
        i, j = divmod(k, 4)
        rows, columns = (slice(at * (side + 1), at * (side + 1) + side) for at in (i, j))
        picture[rows, columns] = one / np.abs(one).max()
    left.imshow(picture, cmap="gray", vmin=-1, vmax=1)
    left.set_axis_off()
    left.set_title("Some filters: patches, whitened")
    middle.plot(filters, found.new.mean(0), marker="o", color=BLUE, label="new images")
    middle.plot(filters, found.told.mean(0), marker="s", color=ORANGE, linestyle="--", label="told by left-out rows")
    middle.axhline(found.pixels.mean(), color=GREY, linestyle=":", label="ridge regression on pixels")
    logarithmic_x(middle, filters[-1] / filters[0])
    middle.set(xlabel="filters", ylabel="wrong, %", title="More filters", ylim=(0, None))
    middle.legend()
    right.plot(ALPHAS, found.by_alpha.mean(0), marker="o", color=BLUE)
    for j, alpha in enumerate(found.alpha):
        right.axvline(alpha, color=ORANGE, linewidth=1, label=None if j else "by cross validation")
    logarithmic_x(right, ALPHAS[-1] / ALPHAS[0])
    right.set(xlabel="alpha", ylabel="wrong of new images, %", title="Alpha of the head", ylim=(0, None))
    right.legend()
