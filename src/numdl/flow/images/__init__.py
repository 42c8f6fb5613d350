"""Images as states, (n, height, width, channels): convolutions and norms with exact derivatives of all orders."""

from numdl.flow.images.convolution import BORDERS, convolve, convolve_transposed
from numdl.flow.images.norms import NORMS, normalise

__all__ = ["BORDERS", "NORMS", "convolve", "convolve_transposed", "normalise"]
