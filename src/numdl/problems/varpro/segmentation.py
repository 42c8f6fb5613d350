"""Segmentation: which class has each pixel of an image, by a head that all pixels share?

A network gives every pixel m features. With the pixels for samples,

    min_W  1/(n q) sum_i sum_p w_ip loss(W [u_p(theta, x_i); 1], c_ip) + alpha_W/2 ||W_m||^2 + penalty(theta),

q pixels of an image, this is the separable problem of `VarPro`, whose head is solved for, and `full_problem` of it has
one that is trained with the rest. A sample of a batch is an image with all its pixels. Weights have the mean 1, and
those of pixels without a class are 0: the misfit is a mean over the pixels that have one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.problems.blocks import over_samples
from numdl.problems.fits import require_loss, require_theta
from numdl.problems.risk.losses import LOGISTIC, SOFTMAX, Loss
from numdl.problems.varpro.separable import separable
from numdl.problems.varpro.varpro import VarPro

MOST_CLASSES = 10_000
"""Classes that labels may have: a label far above is rather a color or a number of an object."""


def segmentation(
    features: Callable[[PyTree, Array], Array],
    theta: PyTree,
    x: Any,
    labels: Any,
    *,
    classes: int | None = None,
    loss: Loss = SOFTMAX,
    w: Any = None,
    ignore: int | None = None,
    alpha: float = 0.0,
    alpha_head: float = 1e-6,
    chunk: int | None = None,
) -> VarPro:
    """The separable problem of images with a label for each pixel.

    Args:
        features: ``features(theta, x_i) -> (q m,)`` of a flat image, pixel after pixel: a network whose last images
            have as many pixels as the labels, such as ``image_resnet((H, W, C), (m,), merge=1, cells=(H, W))``.
        theta: a start, or anything with its structure: only its size is used.
        x: images, (n, H, W), (n, H, W, C), or flat, (n, d), which may have another resolution than their labels.
        labels: whole numbers from 0, (n, H, W).
        classes: how many, at least 2; None for the largest label and one.
        loss: ``SOFTMAX`` with one score for each class, or ``LOGISTIC`` with one for class 1 of two.
        w: positive weights of the images, (n,), or weights of their pixels, (n, H, W), not negative, such as the
            inverse share of each pixel's class; None for equal ones.
        ignore: label of the pixels without a class, such as 255 or -1; None where all have one.
        alpha: penalty of theta.
        alpha_head: penalty of the head, positive.
        chunk: images in a block of a pass over the data; None for all.

    Returns:
        The problem with ``pixels = H W``; its start is ``(theta, problem.first_head(theta))``.

    Raises:
        ValueError: labels that are no classes or not of these images, features that are none of these pixels, or a
            number out of range.
        TypeError: features or loss are none.

    Examples:
        >>> import numpy as np
        >>> from numdl.models import image_resnet
        >>> from numdl.optimize import NewtonCG, minimize
        >>> from numdl.problems import segmentation, segmented
        >>> x = np.random.default_rng(0).standard_normal((6, 4, 5)).astype("float32")
        >>> net = image_resnet((4, 5, 1), (3,), merge=1, norm="none", cells=(4, 5))
        >>> problem = segmentation(net, net.init(0), x, x > 0)
        >>> result, _ = minimize(problem, NewtonCG(), net.init(0), problem.first_head(net.init(0)), max_iter=2)
        >>> segmented(net, result.p, result.aux, x, (4, 5)).shape
        (6, 4, 5, 2)
    """
    call = "segmentation"
    checks.function(call, "features", features, "(theta, x_i) -> (pixels m,)")
    require_loss(call, loss)
    if loss.name not in (SOFTMAX.name, LOGISTIC.name):
        raise ValueError(f"{call}(loss={loss.name!r}): labels are classes, needs one of them. Use SOFTMAX or LOGISTIC.")
    checks.number(call, "alpha_head", alpha_head, above=0, hint="Use 1e-6.")
    if chunk is not None:
        checks.whole(call, "chunk", chunk, least=1)
    images = np.asarray(_finite(call, "x", x, ("n", "d", "..."), "Give pixels that are missing a value."))
    codes, k, seen = _codes(call, labels, classes, len(images), ignore)
    if loss.name == LOGISTIC.name and k != 2:
        raise ValueError(f"{call}(loss='logistic'): has {k} classes, needs 2. Use SOFTMAX.")
    _require_sides(call, images.shape, np.shape(labels)[1:])
    pixels = codes.shape[1]
    flat = images.reshape(len(images), -1)
    c = codes if loss.name == LOGISTIC.name else (codes[..., None] == np.arange(k)).reshape(len(codes), -1)
    of_pixels = None if ignore is None and np.ndim(w) != 3 else _of_pixels(call, w, seen, np.shape(labels))
    problem = separable(
        features, theta, flat, c.astype(flat.dtype if flat.dtype.kind == "f" else float),
        w=w if of_pixels is None else None, loss=loss, alpha=alpha,
        alpha_head=alpha_head, intercept=True,
    )  # fmt: skip
    weights = problem.w if of_pixels is None else jnp.asarray(of_pixels, problem.w.dtype)
    problem = dataclasses.replace(problem, chunk=chunk, pixels=pixels, w=weights)
    require_theta(call, problem, theta)
    problem.first_head(theta)  # refuses features of other pixels
    return problem


def segmented(
    features: Callable[[PyTree, Array], Array],
    theta: PyTree,
    W: Float[Array, "k q"],
    x: Any,
    sides: tuple[int, int],
    *,
    loss: Loss = SOFTMAX,
) -> Float[Array, "n h w k"]:
    """Probabilities of the classes of all pixels.

    Args:
        features: as for `segmentation`.
        theta: their weights.
        W: head, (k, m+1).
        x: images, as for `segmentation`.
        sides: rows and columns of the labels.
        loss: that the head was fitted with.

    Returns:
        (n, H, W, k); with ``LOGISTIC`` that of class 1, k = 1.

    Raises:
        ValueError: a head for other features than those of so many pixels, images with other sides, or an entry that is
            not finite.
    """
    call = "segmented"
    checks.function(call, "features", features, "(theta, x_i) -> (pixels m,)")
    require_loss(call, loss)
    h, w = checks.wholes(call, "sides", sides, count=2, least=1)
    x = jnp.asarray(_finite(call, "x", x, ("n", "d", "..."), "Give pixels that are missing a value."))
    if not x.size:
        raise ValueError(f"{call}(x of shape {x.shape}): there is no pixel, needs one image at least. Give images.")
    W = checks.finite(call, "W", W, ("k", "q"))
    _require_sides(call, x.shape, (h, w))
    checks.leaves(call, "theta", theta)
    x, m = x.reshape(len(x), -1), W.shape[1] - 1
    one, needs = jax.ShapeDtypeStruct(x.shape[1:], x.dtype), "weights and images of the features"
    found = jnp.shape(checks.shape_of(call, "features, theta, x", features, theta, one, needs=needs))
    if found != (h * w * m,):
        raise ValueError(
            f"{call}(W of shape {W.shape}, sides=({h}, {w})): images have {found} features, needs {h} x {w} x {m}, and "
            "an intercept. Give the head that was fitted to these."
        )
    s = over_samples(features)(theta, x).reshape(-1, m) @ W[:, :m].T + W[:, m]
    return jax.vmap(loss.predict)(s).reshape(len(x), h, w, -1)


def _of_pixels(call: str, w: Any, seen: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Weights of mean 1 of all pixels, 0 for those without a class, (n, pixels), or (n,) of images of one."""
    if np.ndim(w) == 3:
        given = np.asarray(
            checks.finite(call, "w", w, shape, least=0, hint="Use 0 for pixels that say nothing."), float
        )
    else:
        ones = np.ones(len(seen)) if w is None else checks.finite(call, "w", w, (len(seen),), least=0)
        given = np.asarray(ones, float)[:, None, None]
    weights = given.reshape(len(seen), -1) * seen
    if not weights.any():
        raise ValueError(f"{call}(w, ignore): no pixel has a class and a weight, needs one at least. Give labels.")
    weights = weights / weights.mean()
    return weights if weights.shape[1] > 1 else weights[:, 0]


def _codes(
    call: str, labels: Any, classes: int | None, n: int, ignore: int | None
) -> tuple[np.ndarray, int, np.ndarray]:
    """Labels, flat, the number of classes, and which pixels have one; refused where they are none."""
    array = np.asarray(_finite(call, "labels", labels, ("n", "h", "w"), "Give each pixel a class."))
    if not array.size or len(array) != n:
        raise ValueError(
            f"{call}(labels of shape {array.shape}): there are {n} images, needs an image of labels for each. Give "
            "(n, H, W)."
        )
    if ignore is not None:
        checks.whole(call, "ignore", ignore)
    seen = np.ones(array.shape, bool) if ignore is None else array != ignore
    codes = np.where(seen, array, 0).astype(int)
    k = int(codes.max()) + 1 if classes is None else checks.whole(call, "classes", classes, least=2)
    wrong = np.argwhere((seen & (codes != array)) | (codes < 0) | (codes >= k))
    if len(wrong):
        i, row, column = (int(part) + 1 for part in wrong[0])
        raise ValueError(
            f"{call}(labels): image {i}, row {row}, column {column} holds {array[tuple(wrong[0])]} ({len(wrong)} such "
            f"pixels in all), needs a whole number from 0 to {k - 1 if classes else 'the number of classes less 1'}. "
            "Number the classes, np.unique(labels, return_inverse=True), and tell the label of pixels without one, "
            "ignore=255."
        )
    if k < 2:
        raise ValueError(f"{call}(labels): all pixels are of class 0, needs two classes. Give classes=2.")
    if k > MOST_CLASSES:
        raise ValueError(
            f"{call}({'labels' if classes is None else 'classes'}): has {k} classes, needs at most {MOST_CLASSES}. "
            "Number those that occur, np.unique(labels, return_inverse=True)."
        )
    return codes.reshape(n, -1), k, seen.reshape(n, -1)


def _finite(call: str, name: str, values: Any, shape: tuple[str, ...], hint: str) -> Any:
    """`checks.finite`, of arrays that hide no entries: the values under a mask would be taken for data."""
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{call}({name}): is a masked array, needs one without a mask. {hint}")
    return checks.finite(call, name, values, shape, hint=hint)


def _require_sides(call: str, shape: tuple[int, ...], sides: tuple[int, ...]) -> None:
    """Refuse images whose sides are not those of the labels, so that no pixel gets the label of another."""
    if len(shape) > 2 and (len(shape) > 4 or shape[1:3] != tuple(sides)):
        h, w = sides
        raise ValueError(
            f"{call}(x of shape {shape}): labels have {h} x {w} pixels, needs (n, {h}, {w}) or (n, {h}, {w}, c). "
            "Transpose one of them, or give flat images, (n, d), where the resolutions differ."
        )
