"""Input validation of images: which arrays are some, and what is refused before any work starts?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numdl import checks
from numdl.estimators.common.intake import in_words

LARGEST = 1e15
"""Absolute value of a pixel beyond which squares of sums overflow in float32."""

SIDE = 48
"""Pixels of the longer side beyond which images are reduced by means over squares of pixels."""

ELSEWHERE = 20.0
"""Times the half-width of the training pixels by which new pixels may lie off their middle."""

CHANNELS = (1, 3, 4)
"""Sizes of a second axis that look like channels where a far larger last axis follows."""


class Pixels(NamedTuple):
    """What the images of a fit are.

    Attributes:
        shape: height, width and channels as given.
        low: smallest pixel.
        high: largest pixel.
        whole: whether all were whole numbers.
    """

    shape: tuple[int, int, int]
    low: float
    high: float
    whole: bool


def checked_images(call: str, X: Any, image_shape: Any = None, known: Pixels | None = None) -> np.ndarray:
    """Images as an array of real, finite numbers.

    Args:
        call: the call to name.
        X: images (n, H, W), (n, H, W, C), or rows (n, H W C).
        image_shape: (H, W), which for rows is one channel, or (H, W, C) of one image; needed for rows.
        known: the images of the fit, which new ones have to resemble; None in the fit.

    Returns:
        (n, H, W, C), uint8 where X is, else float32.

    Raises:
        ValueError: no such array, an entry that is not finite, or images unlike those of the fit.
    """
    given = _sides(call, image_shape)
    array = _numbers(call, X)
    if known is not None and given is None:
        given = known.shape
    array = _shaped(call, array, given)
    n, height, width, channels = array.shape
    if n == 0 or channels == 0:
        raise ValueError(f"{call}: X has shape {array.shape}, there is no image in it. Give at least one.")
    if height * width < 2:
        raise ValueError(
            f"{call}: the images are {height} x {width}, a patch needs at least two pixels. Use AutoClassifier or "
            "AutoRegressor for rows of numbers."
        )
    if known is not None and array.shape[1:] != known.shape:
        raise ValueError(
            f"{call}: X has shape {array.shape}, those of the fit were {_told(known.shape)}. Bring them to that size."
        )
    if array.dtype != np.uint8:
        _require_finite(call, array)
        exact, array = array, array.astype(np.float32)
        if known is None and exact.min() < exact.max() and array.min() == array.max():
            raise ValueError(
                f"{call}: pixels go from {exact.min():.9g} to {exact.max():.9g}, which are one number in float32. "
                "Subtract their mean, and bring them to a range about 1."
            )
    if known is not None:
        _require_unit(call, array, known)
    return array


def require_labels(call: str, images: int, y: Any) -> None:
    """Refuse another number of labels than of images.

    Args:
        call: the call to name.
        images: how many.
        y: labels or targets, one for each.

    Raises:
        ValueError: they differ, there is one image only, or y is no array.
    """
    with in_words(call, "y needs one entry per image, all of one length. Check it."):
        shape = np.shape(y)
    labels = shape[0] if shape else 0
    if images != labels:
        raise ValueError(f"{call}: X has {images} images and y {labels} entries, needs one for each. Check both.")
    if images < 2:
        raise ValueError(f"{call}: n_samples = {images}, needs at least 2 images. Give more.")


def described(images: np.ndarray) -> Pixels:
    """What new images are held against.

    Args:
        images: of the fit, (n, H, W, C).

    Returns:
        Their shape and range.
    """
    whole = images.dtype == np.uint8 or bool((images == np.rint(images)).all())
    _, height, width, channels = images.shape
    return Pixels((height, width, channels), float(images.min()), float(images.max()), whole)


def reduced(images: np.ndarray) -> np.ndarray:
    """Images whose longer side has at most `SIDE` pixels, by means over rectangles of pixels.

    Args:
        images: (n, H, W, C).

    Returns:
        (n, h, w, C); the same array where it is small enough.
    """
    for axis, lengths in enumerate(_lengths(images.shape[1:3]), start=1):
        if lengths.max() == 1:
            continue
        starts = np.cumsum(lengths) - lengths
        across = lengths.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(4)])
        images = np.add.reduceat(images, starts, axis=axis, dtype=np.float32) / across
    return images


def reduced_norm(sides: Sequence[int]) -> float:
    """By what `reduced` multiplies the length of a change of an image at most.

    Args:
        sides: height and width of the image.

    Returns:
        ``1 / sqrt(pixels of the smallest rectangle)``, 1 where nothing is reduced.
    """
    return float(np.prod([lengths.min() for lengths in _lengths(sides)]) ** -0.5)


def rounding(images: np.ndarray) -> np.ndarray:
    """By what float32 moves an image and a changed one apart at most, but for a factor about 1.

    Each of N pixels is rounded to float32, half a spacing before the change and half after it; means over rectangles
    of k x l pixels and what is subtracted of them round as often as there are terms.

    Args:
        images: as given, (n, H, W, C).

    Returns:
        ``(1 + k + l) sqrt(N)`` spacings at the largest absolute pixel, in the unit of the pixels, (n,).
    """
    flat = images.reshape(len(images), -1)
    most = np.maximum(flat.max(axis=1).astype(np.float32), -flat.min(axis=1).astype(np.float32))
    terms = 1 + sum(int(lengths.max()) for lengths in _lengths(images.shape[1:3]))
    return terms * np.sqrt(flat.shape[1]) * np.spacing(np.abs(most)).astype(float)


def _lengths(sides: Sequence[int]) -> list[np.ndarray]:
    """Pixels along both sides of the rectangles whose means are taken."""
    factor = -(-max(sides) // SIDE)
    ends = [np.arange(1, count + 1) * size // count for size in sides for count in [max(size // factor, 1)]]
    return [np.diff(end, prepend=0) for end in ends]


def _sides(call: str, image_shape: Any) -> tuple[int, int, int] | None:
    if image_shape is None:
        return None
    sides = checks.wholes(call.split(".")[0], "image_shape", image_shape, least=1)
    if len(sides) not in (2, 3):
        raise ValueError(
            f"{call.split('.')[0]}(image_shape={checks.shown(image_shape)}): needs (height, width) or (height, width, "
            "channels). Give image_shape=(28, 28), or None for arrays of images."
        )
    return sides if len(sides) == 3 else (*sides, 0)  # type: ignore[return-value]


def _numbers(call: str, X: Any) -> np.ndarray:
    if hasattr(X, "toarray"):
        raise ValueError(f"{call}: X is a sparse matrix, needs an array of pixels. Give X.toarray().")
    try:
        array = np.asarray(X)
    except ValueError:
        raise ValueError(
            f"{call}: X holds images of several sizes, needs one size. Bring them to one size first."
        ) from None
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{call}: X holds things that are no numbers, needs pixels. Check it.") from None
    if array.dtype.kind not in "buif":
        raise ValueError(f"{call}: X is an array of {array.dtype}, needs real numbers. Check it.")
    if array.dtype.kind == "f" and array.dtype.itemsize < 4:
        return array.astype(np.float32)
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _shaped(call: str, array: np.ndarray, sides: tuple[int, int, int] | None) -> np.ndarray:
    """The array as (n, H, W, C)."""
    shape, estimator = array.shape, call.split(".")[0]
    if (
        sides is not None
        and array.ndim == 2
        and shape == sides[:2]
        and shape[1] != sides[0] * sides[1] * (sides[2] or 1)
    ):
        raise ValueError(f"{call}: X is one image of {_told(shape)}, needs an array of images. Give X[None].")
    if array.ndim == 2:
        if sides is None:
            raise ValueError(
                f"{call}: X has shape {shape}, rows of pixels need their image's shape. Give "
                f"{estimator}(image_shape=(28, 28)) for rows of 784, or images as (n, height, width) or (n, height, "
                "width, channels)."
            )
        height, width = sides[:2]
        channels = sides[2] or 1
        if not sides[2] and shape[1] in (2 * height * width, 3 * height * width, 4 * height * width):
            count = shape[1] // (height * width)
            raise ValueError(
                f"{call}: rows have {shape[1]} entries, images of {height} x {width} with one channel have "
                f"{height * width}. Give image_shape=({height}, {width}, {count}) where the {count} channels of a "
                f"pixel follow each other; where one plane follows the other, images X.reshape(-1, {count}, {height}, "
                f"{width}).transpose(0, 2, 3, 1)."
            )
        if shape[1] != height * width * channels:
            raise ValueError(
                f"{call}: rows have {shape[1]} entries, images of {_told((height, width, channels))} have "
                f"{height * width * channels}. Check X and image_shape."
            )
        return array.reshape(-1, height, width, channels)
    if array.ndim not in (3, 4):
        raise ValueError(
            f"{call}: X has shape {shape}, needs (n, height, width), (n, height, width, channels), or rows with "
            "image_shape. A single image is X[None]."
        )
    found = array[..., None] if array.ndim == 3 else array
    if sides is not None and (found.shape[1:3] != sides[:2] or (sides[2] and found.shape[3] != sides[2])):
        raise ValueError(
            f"{call}: X has shape {shape}, images of {_told(found.shape[1:])}, needs {_told(sides)}. Check X and "
            "image_shape, or bring the images to that size."
        )
    if sides is None and array.ndim == 4 and shape[1] in CHANNELS and shape[3] > max(CHANNELS) and shape[2] > 4:
        raise ValueError(
            f"{call}: X has shape {shape}, which looks like channels first. Give X.transpose(0, 2, 3, 1), or "
            f"image_shape={shape[1:]} if it is right as it is."
        )
    return found


def _told(sides: Sequence[int]) -> str:
    """A shape in words."""
    channels = sides[2] if len(sides) > 2 and sides[2] else 0
    return f"{sides[0]} x {sides[1]}" + (f" with {channels} channel{'s' if channels > 1 else ''}" if channels else "")


def _require_finite(call: str, images: np.ndarray) -> None:
    bad = ~(np.abs(images) < LARGEST)  # of NaN this is true too
    if bad.any():
        image, row, column, channel = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{call}: X holds {images[image, row, column, channel]:g} in image {image + 1}, row {row + 1}, column "
            f"{column + 1}, channel {channel + 1} (all from 1), needs finite pixels below {LARGEST:g}. Leave that "
            "image out."
        )


def _require_unit(call: str, images: np.ndarray, known: Pixels) -> None:
    """Refuse pixels of another unit: 0 to 1 where those of the fit went to 255, or the other way round."""
    low, high = float(images.min()), float(images.max())
    middle, half = (known.low + known.high) / 2, max((known.high - known.low) / 2, 1e-30)
    far = max(abs(low - middle), abs(high - middle)) > ELSEWHERE * half
    shares = known.whole and known.high > 2 * 1.0 and 0 < high <= 1 and not (images == np.rint(images)).all()
    if far or shares:
        raise ValueError(
            f"{call}: pixels go from {low:g} to {high:g}, those of the fit went from {known.low:g} to {known.high:g}. "
            "Give them in the same unit: multiply or divide by 255 where one are shares and the other bytes."
        )
