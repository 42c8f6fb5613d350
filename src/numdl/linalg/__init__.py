"""Solve ``A x = b``, from products where A is not at hand.

What needs SciPy or lineax is loaded when it is first used: the rooms that train networks do not wait for it.
"""

from typing import TYPE_CHECKING, Any

from numdl.linalg.krylov_ball import KrylovModel, krylov_model, lowest_in_ball
from numdl.linalg.lanczos import Probe, Tridiagonal, lanczos_probe, tridiagonalise
from numdl.linalg.preconditioned_cg import CGSolution, preconditioned_cg
from numdl.linalg.riccati import Feedback, LinearQuadratic, follow, riccati
from numdl.linalg.smoothing import smoothing_solve
from numdl.linalg.steihaug import Subproblem, steihaug
from numdl.linalg.triangular import lower_inverse

if TYPE_CHECKING:
    from numdl.linalg.column_units import ColumnSVD, column_svd, powers_of_two
    from numdl.linalg.compensated import compensated_product
    from numdl.linalg.krylov import Bidiagonalization, KrylovResult, bidiagonalise, cgls, golub_kahan, lsqr
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
    from numdl.linalg.products import as_operator
    from numdl.linalg.refinement import LeastSquares, least_squares
    from numdl.linalg.tsqr import TSQR, Fit, Reduced, tsqr_reduce, tsqr_solve, tsqr_start, tsqr_update

# No name may be that of a module of this room: importing the module would put it in the name's place.
_HOMES = {
    "compensated": ("compensated_product",),
    "krylov": ("Bidiagonalization", "KrylovResult", "bidiagonalise", "cgls", "golub_kahan", "lsqr"),
    "operators": (
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
    ),
    "products": ("as_operator",),
    "column_units": ("ColumnSVD", "column_svd", "powers_of_two"),
    "refinement": ("LeastSquares", "least_squares"),
    "tsqr": ("TSQR", "Fit", "Reduced", "tsqr_reduce", "tsqr_solve", "tsqr_start", "tsqr_update"),
}

__all__ = [
    "TSQR",
    "Bidiagonalization",
    "BlockDiagonal",
    "CGSolution",
    "Circulant",
    "ColumnSVD",
    "Convolution1D",
    "Convolution2D",
    "Diagonal",
    "Difference",
    "Feedback",
    "Fit",
    "ImageGradient",
    "ImageLaplacian",
    "Kronecker",
    "KrylovModel",
    "KrylovResult",
    "LeastSquares",
    "LinearMap",
    "LinearQuadratic",
    "MMatrix",
    "Mask",
    "Probe",
    "Reduced",
    "Subproblem",
    "Tridiagonal",
    "as_operator",
    "bidiagonalise",
    "cgls",
    "column_svd",
    "compensated_product",
    "follow",
    "golub_kahan",
    "krylov_model",
    "lanczos_probe",
    "least_squares",
    "lower_inverse",
    "lowest_in_ball",
    "lsqr",
    "powers_of_two",
    "preconditioned_cg",
    "riccati",
    "smoothing_solve",
    "steihaug",
    "tridiagonalise",
    "tsqr_reduce",
    "tsqr_solve",
    "tsqr_start",
    "tsqr_update",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"numdl.linalg.{home}"), name)
    raise AttributeError(f"module 'numdl.linalg' has no attribute {name!r}")
