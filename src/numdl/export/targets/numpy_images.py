"""A Python module that needs NumPy only, for models of images by patches: how are they printed?

Unlike programs of vectors, one formula serves all places of an image. It is computed in float64, numdl works in
float32: the two agree to the rounding of the latter.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from numdl.export.description import CannotExport

MOST = 50_000_000
"""Numbers beyond which a file of text is no place for them."""

KINDS = ("PatchFeaturesClassifier", "PatchFeaturesRegressor", "ImageClassifier")

FORMULA = '''

def _array(text, kind, *shape):
    return np.frombuffer(base64.b64decode(text), kind).astype(float).reshape(shape)


def _images(X):
    X = np.asarray(X, float)
    if X.ndim == 3 and IMAGE[2] == 1:
        X = X[..., None]
    elif X.ndim == 2 and X.shape[1] == np.prod(IMAGE):
        X = X.reshape(-1, *IMAGE)
    if X.shape[1:] != IMAGE or not np.isfinite(X).all():
        raise ValueError(f"needs finite images (n, {', '.join(map(str, IMAGE))}), got {X.shape}")
    for axis, size in ((1, SHAPE[0]), (2, SHAPE[1])):  # means over rectangles where images are reduced
        starts = np.arange(size) * X.shape[axis] // size
        lengths = np.diff([*starts, X.shape[axis]])
        X = np.add.reduceat(X, starts, axis=axis) / lengths.reshape([-1 if a == axis else 1 for a in range(4)])
    return X


def features(X):
    """Scaled features (n, m) of images of the size of the filters."""
    X = X - X.mean(axis=(1, 2, 3), keepdims=True)
    h, w = WEIGHTS.shape[2:]
    patches = np.lib.stride_tricks.sliding_window_view(X, (h, w), axis=(1, 2))
    z = patches.reshape(len(X), -1, WEIGHTS[0].size)
    z = z / np.sqrt(z.var(axis=2, keepdims=True) + CONTRAST)
    y = z @ WEIGHTS.reshape(len(WEIGHTS), -1).T - BIAS
    found = np.stack([CELLS @ np.maximum(s * y - THRESHOLD, 0.0) for s in (1, -1)], axis=3)
    found = found.transpose(0, 2, 3, 1)  # filters, signs, cells
    if MIRROR:
        cells = found.reshape(len(X), -1, 2, 2, *GRID)
        found = cells[:, :, 0] + cells[:, :, 1, :, :, ::-1]
    return (np.sqrt(found.reshape(len(X), -1)) - MEAN) / SCALE


def _log_softmax(a):
    a = a - a.max(axis=1, keepdims=True)
    return a - np.log(np.exp(a).sum(axis=1, keepdims=True))


def _blocks(function, X, size=8):
    X = _images(X)
    return np.concatenate([function(X[i : i + size]) for i in range(0, max(len(X), 1), size)])
'''

REGRESSOR = '''

def predict(X):
    """Mean {shape} for images (n, height, width) or (n, height, width, channels)."""
    return _blocks(lambda images: features(images) @ HEAD + OFFSET, X){flat}
'''

CLASSIFIER = '''

def _log_p(images):
    x = features(images)
    return {log_p}


def predict_proba(X):
    """Probabilities (n, classes) for images (n, height, width) or (n, height, width, channels)."""
    return np.exp(_blocks(_log_p, X))


def predict(X):
    """Most probable labels (n,)."""
    return np.array(CLASSES)[predict_proba(X).argmax(axis=1)]
'''

PATCHES = "_log_softmax((x @ HEAD + OFFSET) @ MATRIX + SHIFT)"

KERNEL = """

def _kernel(x):
    away = (x * x).sum(axis=1)[:, None] + (ROWS * ROWS).sum(axis=1) - 2 * x @ ROWS.T
    return np.exp(-GAMMA * np.maximum(away, 0.0)) @ COEF + KERNEL_MEAN
"""


def write(model: Any, name: str) -> bytes:
    """The module.

    Args:
        model: fitted, or what a file holds of it.
        name: of its class, one of `KINDS`.

    Returns:
        Source text.

    Raises:
        CannotExport: a network takes part, or there are too many numbers.
    """
    filters = model.filters_
    beta = dict(zip(getattr(model, "members_", ["patches"]), getattr(model, "exponents_", [1.0]), strict=True))
    if beta.get("network"):
        raise CannotExport(
            f"export({name}): its network takes part in the prediction and has no form in NumPy. Use save and load, or "
            "fit PatchFeaturesClassifier."
        )
    arrays = {
        "WEIGHTS": filters.weights,
        "BIAS": filters.bias,
        "CELLS": filters.cells(),
        "MEAN": model.mean_,
        "SCALE": model.scale_,
        "HEAD": model.weights_,
        "OFFSET": model.offset_,
    }
    plain = {
        "IMAGE": tuple(int(n) for n in (model.pixels_.shape)),
        "SHAPE": tuple(int(n) for n in filters.shape),
        "GRID": filters.grid,
        "CONTRAST": float(filters.contrast),
        "THRESHOLD": float(filters.threshold),
        "MIRROR": bool(model.mirror_),
    }
    if name == "PatchFeaturesRegressor":
        k, spread = len(model.offset_), np.asarray(model._spread, float)
        arrays |= {"HEAD": model.weights_ * spread, "OFFSET": model.offset_ * spread}
        body = REGRESSOR.format(shape="(n,)" if model._flat else f"(n, {k})", flat="[:, 0]" if model._flat else "")
    else:
        plain["CLASSES"] = np.asarray(model.classes_).tolist()
        arrays |= {"MATRIX": model.calibration_.matrix, "SHIFT": model.calibration_.offset}
        log_p, head = PATCHES, ""
        if beta["patches"] != 1:
            log_p = f"{beta['patches']:.17g} * {log_p}"
        if kernel := beta.get("kernel"):
            log_p, head = f"{log_p} + {kernel:.17g} * _kernel(x)", KERNEL
            rows = model.kernel_
            arrays |= {"ROWS": rows.rows, "COEF": rows.coef, "KERNEL_MEAN": rows.mean}
            plain["GAMMA"] = float(rows.gamma)
        body = head + CLASSIFIER.format(log_p=log_p if log_p == PATCHES else f"_log_softmax({log_p})")
    if (count := sum(np.size(values) for values in arrays.values())) > MOST:
        raise CannotExport(f"export({name}): {count:,} numbers are too many for a module of text. Use save and load.")
    said = f"{name}, exported by numdl: images of {' x '.join(map(str, plain['IMAGE']))}, {count:,} numbers."
    parts = [
        f'"""{said}\n\nNeeds NumPy only; computed in double precision.\n"""\n\nimport base64\n\nimport numpy as np\n\n'
    ]
    parts += [f"{key} = {value!r}\n" for key, value in plain.items()]
    parts.append(FORMULA + body + "\n\n")
    parts += [f"{key} = {_text(np.asarray(values))}\n" for key, values in arrays.items()]
    return "".join(parts).encode()


def _text(values: np.ndarray) -> str:
    """An array in its own precision, which is exact."""
    kind = values.dtype.newbyteorder("<") if values.dtype.kind == "f" else np.dtype("<f8")
    text = base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()
    return f'_array("{text}", "{kind.str}", {", ".join(map(str, values.shape))})'
