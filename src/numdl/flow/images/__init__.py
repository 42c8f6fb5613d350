"""Images as states, (n, height, width, channels): convolutions, norms, resolutions, dynamics; exact derivatives."""

from numdl.flow.images.convolution import BORDERS, convolve, convolve_transposed
from numdl.flow.images.dynamics import on_images
from numdl.flow.images.norms import NORMS, normalise
from numdl.flow.images.operators import KINDS, ImageMap
from numdl.flow.images.resolution import average_pool, space_to_depth

__all__ = [
    "BORDERS",
    "KINDS",
    "NORMS",
    "ImageMap",
    "average_pool",
    "convolve",
    "convolve_transposed",
    "normalise",
    "on_images",
    "space_to_depth",
]
