"""Krylov methods for least squares.

Which Krylov methods solve least squares from products, and what do they tell about their way?
"""

from numdl.linalg.krylov.cgls import cgls
from numdl.linalg.krylov.golub_kahan import Bidiagonalization, Step, bidiagonalise, golub_kahan
from numdl.linalg.krylov.lsqr import lsqr
from numdl.linalg.krylov.record import KrylovResult, Stop

__all__ = ["Bidiagonalization", "KrylovResult", "Step", "Stop", "bidiagonalise", "cgls", "golub_kahan", "lsqr"]
