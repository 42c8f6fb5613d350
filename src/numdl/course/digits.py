"""Digits: the images that experiments on classification share, without the second that importing scikit-learn takes.

``digits.npz`` holds the 1797 images that ``sklearn.datasets.load_digits`` has.

Source: Alpaydin and Kaynak, Optical recognition of handwritten digits, UCI Machine Learning Repository 1998, CC BY 4.0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """All images and their classes.

    Returns:
        Images (1797, 64), row by row, of whole numbers from 0 to 16 as floats; classes (1797,) from 0 to 9.
    """
    with np.load(Path(__file__).with_suffix(".npz")) as kept:
        return kept["x"].astype(float), kept["y"].astype(int)
