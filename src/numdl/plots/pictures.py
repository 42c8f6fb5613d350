"""Small pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Real

from numdl import checks
from numdl.plots.canvas import drawable, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_pictures(
    ax: Axes, pictures: Real[np.ndarray, "n h w channels"], captions: Sequence[str], columns: int = 8
) -> None:
    """Draw pictures in rows, each with its caption above.

    Args:
        ax: axes to draw on.
        pictures: numbers from 0 to 1, grey or red, green and blue, (n, h, w, 1 or 3).
        captions: of the pictures, (n,), or none.
        columns: pictures in a row, at least 1.
    """
    drawable("draw_pictures", ax)
    pictures = np.asarray(checks.finite("draw_pictures", "pictures", pictures, ("n", "h", "w", "channels")))
    n, height, width, channels = pictures.shape
    if channels not in (1, 3) or not pictures.size:
        raise ValueError(f"draw_pictures(pictures of shape {pictures.shape}): needs 1 or 3 channels, and pixels.")
    captions = listed("draw_pictures", "captions", captions, 0 if np.size(captions) == 0 else n) or [""] * n
    columns = checks.whole("draw_pictures", "columns", columns, least=1)
    side, above = 1.0 * max(height, width), (0.52 if any(captions) else 0.12) * max(height, width)
    for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = (i % columns) * 1.12 * side, (i // columns) * (side + above)
        shown = np.repeat(picture, 3, axis=2) if channels == 1 else picture
        extent = (x, x + width, y + height, y)
        ax.imshow(np.clip(shown, 0, 1), extent=extent, interpolation="none")
        ax.text(x + width / 2, y - 0.04 * side, caption, ha="center", va="bottom", fontsize=7, parse_math=False)
    lines = -(-n // columns)
    ax.set_xlim(-0.06 * side, columns * 1.12 * side)
    ax.set_ylim(lines * (side + above) - above + 0.06 * side, -above)
    ax.set_aspect("equal", adjustable="box", anchor="W")
    ax.axis("off")
