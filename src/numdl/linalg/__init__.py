"""Solve ``A x = b``, from products where A is not at hand.

The operators of `numdl.linalg.operators` are offered here too; they are loaded when they are first used.
"""

from typing import TYPE_CHECKING, Any

from numdl.linalg.cgls import cgls
from numdl.linalg.golub_kahan import Bidiagonalization, bidiagonalise, golub_kahan
from numdl.linalg.krylov import KrylovResult
from numdl.linalg.lanczos import Probe, lanczos_probe
from numdl.linalg.lsqr import lsqr
from numdl.linalg.products import as_operator
from numdl.linalg.steihaug import Subproblem, steihaug
from numdl.linalg.triangular import lower_inverse
from numdl.linalg.tsqr import TSQR, Fit, Reduced, tsqr_reduce, tsqr_solve, tsqr_start, tsqr_update

if TYPE_CHECKING:
    from numdl.linalg.operators import (
        BlockDiagonal,
        Circulant,
        Convolution1D,
        Convolution2D,
        Diagonal,
        Difference,
        ImageGradient,
        ImageLaplacian,
        Kronecker,
        LinearMap,
        Mask,
        MMatrix,
    )

__all__ = [
    "TSQR",
    "Bidiagonalization",
    "BlockDiagonal",
    "Circulant",
    "Convolution1D",
    "Convolution2D",
    "Diagonal",
    "Difference",
    "Fit",
    "ImageGradient",
    "ImageLaplacian",
    "Kronecker",
    "KrylovResult",
    "LinearMap",
    "MMatrix",
    "Mask",
    "Probe",
    "Reduced",
    "Subproblem",
    "as_operator",
    "bidiagonalise",
    "cgls",
    "golub_kahan",
    "lanczos_probe",
    "lower_inverse",
    "lsqr",
    "steihaug",
    "tsqr_reduce",
    "tsqr_solve",
    "tsqr_start",
    "tsqr_update",
]


def __getattr__(name: str) -> Any:
    """Load an operator when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'numdl.linalg' has no attribute {name!r}")
    from numdl.linalg import operators

    return getattr(operators, name)
