"""Images as states, (n, height, width, channels): convolutions, norms and dynamics, exact derivatives of all orders."""

from numdl.flow.images.convolution import BORDERS, convolve, convolve_transposed
from numdl.flow.images.dynamics import on_images
from numdl.flow.images.norms import NORMS, normalise
from numdl.flow.images.operators import KINDS, ImageMap

__all__ = ["BORDERS", "KINDS", "NORMS", "ImageMap", "convolve", "convolve_transposed", "normalise", "on_images"]
