"""Stability of image classifiers: what do small changes of images do to their classes, and what is proved of them?

First what happens: random changes of a given length, and one step of that length along the slope of the margin to the
next class, which several steps with new slopes outdo. Then the growth of a small random change from one layer to the
next, each in units of how much images differ there. Last what is proved: the share of images that are right and
certified for all changes up to a length, see ``numdl.estimators.patches.certified``.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from numdl.estimators.patches.certified import Bounds
from numdl.estimators.patches.intake import reduced, reduced_norm, rounding

HARMLESS = 10.0
"""Growth of random noise up to which a layer or all of them are called harmless."""

SMALL = 1e-2
"""Length of the random change whose growth is measured, over the root mean square of the images less their mean."""

WHOLE = "whole model"
"""What is certified first."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImageStability:
    """What small changes of n images do; lengths are Euclidean, in the unit of the pixels.

    Attributes:
        lengths: of changes, ascending, (q,).
        labelled: whether labels were given; else the classes without any change stand for them.
        right: share of the images that are right.
        noisy: of those that are after a random change of each length, (q,).
        stepped: of those that are after one step along the slope of the margin, (q,).
        nearest: length to the next class along that slope if it were straight, (n,); 0 where an image is wrong.
        certified: lengths up to which no change takes an image from its class, by set of members, (n,) each; the first
            is the whole model.
        right_alone: share of the images that are right, by set of members.
        growth: of a small random change from the pixels to each layer, relative to how much images differ there.
        lipschitz: bounds of the layers of the network, by what they are; empty without a network.
        verdict: sentences, what happens first.
    """

    lengths: np.ndarray
    labelled: bool
    right: float
    noisy: np.ndarray
    stepped: np.ndarray
    nearest: np.ndarray
    certified: dict[str, np.ndarray]
    right_alone: dict[str, float]
    growth: dict[str, float]
    lipschitz: dict[str, float]
    verdict: tuple[str, ...] = ()

    @property
    def gain(self) -> float:
        """Largest growth of random noise up to a layer."""
        return max(self.growth.values(), default=0.0)

    @property
    def harmless(self) -> bool:
        """Whether small random changes stay small."""
        return self.gain <= HARMLESS

    def proved(self, name: str) -> np.ndarray:
        """Share of the images that are right by proof for all changes up to each length, (q,).

        Args:
            name: one of ``certified``.

        Returns:
            Between 0 and 1.
        """
        return np.array([np.mean(self.certified[name] >= length) for length in self.lengths])


def image_stability(model: Any, images: np.ndarray, labels: np.ndarray | None, lengths: np.ndarray) -> ImageStability:
    """What small changes do to images.

    Args:
        model: fitted classifier of images.
        images: checked, of the size as given, (n, H, W, C).
        labels: numbers of their classes, (n,); None for those that the model tells.
        lengths: of changes, ascending, positive, (q,).

    Returns:
        Shares, growth and proofs.
    """
    x, n = images.astype(np.float32), len(images)
    noise = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    noise /= np.linalg.norm(noise.reshape(n, -1), axis=1).reshape(-1, 1, 1, 1)
    size = SMALL * _deviation(x.reshape(n, -1))
    scores = _scores(model, x, noise, [0.0, size, *lengths])
    plain = {name: values[0] for name, values in scores.items()}
    told = mixed(scores, model._beta)
    codes: np.ndarray = told[0].argmax(axis=1) if labels is None else labels
    small, bounds = reduced(x), Bounds(model.filters_, folded=model.mirror_)
    looked = model._look(bounds, small)
    slopes, nearest = _slopes(model, bounds, small, looked, told[0], codes)
    stepped = mixed(_scores(model, x, _enlarged(slopes, x.shape), lengths), model._beta)
    known, mixtures, network = model._known(bounds), _mixtures(model._beta), getattr(model, "network_", None)
    layers = model._layers(reduced(x)), model._layers(reduced(x + np.float32(size) * noise))
    both = [layers[j] | {name: each[j] for name, each in scores.items()} | {WHOLE: told[j]} for j in (0, 1)]
    found = ImageStability(
        lengths=lengths,
        labelled=labels is not None,
        right=float(np.mean(told[0].argmax(axis=1) == codes)),
        noisy=np.mean(told[2:].argmax(axis=2) == codes, axis=1),
        stepped=np.mean(stepped.argmax(axis=2) == codes, axis=1),
        nearest=nearest / reduced_norm(x.shape[1:3]),
        certified={
            name: np.maximum(model._radii(known, plain, looked, codes, beta) - rounding(images), 0.0)
            for name, beta in mixtures.items()
        },
        right_alone={
            name: float(np.mean(mixed(plain, beta).argmax(axis=1) == codes)) for name, beta in mixtures.items()
        },
        growth={name: _growth(u, both[1][name]) for name, u in both[0].items()} if size > 0 else {},
        lipschitz={} if network is None else network.lipschitz_bounds(),
    )
    return dataclasses.replace(found, verdict=_sentences(found))


def _scores(model: Any, x: np.ndarray, change: np.ndarray, lengths: Any) -> dict[str, np.ndarray]:
    """Scores of the members for changes of all lengths, (lengths, n, k)."""
    moved = np.concatenate([reduced(x + np.float32(length) * change) for length in lengths])
    found = model._member_scores(moved)
    return {name: values.reshape(len(lengths), len(x), -1) for name, values in found.items()}


def mixed(scores: dict[str, np.ndarray], beta: dict[str, float]) -> np.ndarray:
    """Scores of all members together.

    Args:
        scores: of each, (..., k).
        beta: their exponents.

    Returns:
        (..., k).
    """
    return np.sum([beta[name] * values for name, values in scores.items()], axis=0)


def _mixtures(beta: dict[str, float]) -> dict[str, dict[str, float]]:
    """Exponents of what is certified: the whole model, and what is left without its last member that counts."""
    found = {WHOLE: beta}
    counts = [name for name in beta if beta[name]]
    if "network" in counts:
        found["without network"] = beta | {"network": 0.0}
    elif len(counts) > 1:
        found["patches alone"] = {name: float(name == "patches") for name in beta}
    return found


def _slopes(
    model: Any, bounds: Bounds, small: np.ndarray, looked: Any, told: np.ndarray, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Directions of norm 1 in which margins fall fastest, and lengths to the next class along them."""
    rest = told.copy()
    rest[np.arange(len(codes)), codes] = -np.inf
    found, nearest = np.zeros(small.shape, np.float32), np.zeros(len(codes))
    for i, pair in enumerate(zip(codes.tolist(), rest.argmax(axis=1).tolist(), strict=True)):
        slope = model._margin_slope(bounds, small[i], looked.seen[i], looked.slope(i, model._beta), pair)
        size = np.linalg.norm(slope)
        if size > 0:
            found[i] = -slope / size
            nearest[i] = max(told[i, pair[0]] - told[i, pair[1]], 0.0) / size
    return found, nearest


def _enlarged(slopes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Directions of norm 1 of images as given: what each rectangle's mean is to do, each of its pixels does."""
    if slopes.shape != shape:
        for axis in (1, 2):
            size, count = shape[axis], slopes.shape[axis]
            ends = np.arange(1, count + 1) * size // count
            slopes = np.repeat(slopes, np.diff(ends, prepend=0), axis=axis)
    size = np.linalg.norm(slopes.reshape(len(slopes), -1), axis=1).reshape(-1, 1, 1, 1)
    return slopes / np.maximum(size, 1e-30)


def _growth(before: np.ndarray, after: np.ndarray) -> float:
    """Length of a change over how much images differ, in units of `SMALL`."""
    size = _deviation(before)
    return float(np.sqrt(np.mean(np.sum((after - before) ** 2, axis=1))) / (SMALL * size)) if size > 0 else 0.0


def _deviation(u: np.ndarray) -> float:
    """Root mean square of the distances from the mean."""
    return float(np.sqrt(np.mean(np.sum((u - u.mean(axis=0)) ** 2, axis=1))))


def _sentences(found: ImageStability) -> tuple[str, ...]:
    """Sentences, what happens first."""
    n, longest = len(found.nearest), found.lengths[-1]
    which = "right" if found.labelled else "of the same class"
    many = f"{n} image{'s' if n > 1 else ''}"
    said = []
    if found.growth:
        worst = max(found.growth, key=lambda name: found.growth[name])
        kind = "stay small" if found.harmless else "are amplified"
        said.append(
            f"Small random changes {kind}: relative to how much images differ, at most {found.gain:.3g} times, in "
            f"{worst}, and {list(found.growth.values())[-1]:.3g} times in what is told of the classes."
        )
    said.append(
        f"Random changes of length {longest:.3g} leave {found.noisy[-1]:.1%} of {many} {which}, one step along the "
        f"slope of the margin {found.stepped[-1]:.1%}; without any, {found.right:.1%} are."
    )
    if len(near := found.nearest[found.nearest > 0]):
        said.append(
            f"Along that slope the next class is at a length of {np.median(near):.3g} in the middle of those that are "
            f"{which}, at {near.min():.3g} at the nearest, if it were straight."
        )
    whole = found.certified[WHOLE]
    said.append(
        f"By proof {np.mean(whole >= found.lengths[0]):.1%} are {which} for all changes up to {found.lengths[0]:.3g}; "
        f"half of all images for changes up to {np.median(whole):.3g}."
    )
    if "without network" in found.certified:
        rest = np.median(found.certified["without network"])
        worst = sorted(found.lipschitz, key=lambda name: -found.lipschitz[name])[:2]
        told = " and ".join(f"{name.split(': ')[-1]} ({found.lipschitz[name]:.3g})" for name in worst)
        if rest > 2 * np.median(whole):
            said.append(
                f"It is the network's bound that ends the proof, by {told}; without the network half of all images are "
                f"certified up to {rest:.3g}. Networks that are held while they are trained keep a proof: numdl "
                "experiment run stable-images."
            )
    return tuple(said)
