"""Regularisation when A is known by its products: early stopping, and hybrid LSQR."""

from numdl.regularize.iterative.hybrid_lsqr import HybridResult, hybrid_lsqr
from numdl.regularize.iterative.standard_form import StandardForm, standard_form
from numdl.regularize.iterative.stopping import gcv_of_iterates, iterate_by_gcv, stop_discrepancy, stop_gcv

__all__ = [
    "HybridResult",
    "StandardForm",
    "gcv_of_iterates",
    "hybrid_lsqr",
    "iterate_by_gcv",
    "standard_form",
    "stop_discrepancy",
    "stop_gcv",
]
