"""Structured linear operators.

Which structured linear maps can be model, weights of a network or regulariser, and how are they applied?
"""

from numdl.linalg.operators.base import LinearMap, Transpose
from numdl.linalg.operators.blocks import BlockDiagonal, Kronecker
from numdl.linalg.operators.circulant import Circulant
from numdl.linalg.operators.convolution import Convolution1D, Convolution2D
from numdl.linalg.operators.diagonal import Diagonal
from numdl.linalg.operators.difference import Difference
from numdl.linalg.operators.image import ImageGradient, ImageLaplacian
from numdl.linalg.operators.m_matrix import MMatrix
from numdl.linalg.operators.mask import Mask

__all__ = [
    "BlockDiagonal",
    "Circulant",
    "Convolution1D",
    "Convolution2D",
    "Diagonal",
    "Difference",
    "ImageGradient",
    "ImageLaplacian",
    "Kronecker",
    "LinearMap",
    "MMatrix",
    "Mask",
    "Transpose",
]
