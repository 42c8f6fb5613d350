"""Images as states, (n, height, width, channels): convolutions, norms, resolutions, dynamics; exact derivatives."""

from numdl.flow.images.convolution import BORDERS, convolve, convolve_transposed
from numdl.flow.images.dynamics import on_images
from numdl.flow.images.norms import NORMS, normalise
from numdl.flow.images.operators import KINDS, ImageMap
from numdl.flow.images.resolution import average_pool, space_to_depth
from numdl.flow.images.scales import TRANSFERS, roughness, transferred

__all__ = [
    "BORDERS",
    "KINDS",
    "NORMS",
    "TRANSFERS",
    "ImageMap",
    "average_pool",
    "convolve",
    "convolve_transposed",
    "normalise",
    "on_images",
    "roughness",
    "space_to_depth",
    "transferred",
]
