"""Stability analysis: is a trained network stable, and is it still the differential equation that it was read as?"""

from numdl.analysis.stability.adjoint import AdjointReport, adjoint_report
from numdl.analysis.stability.regions import amplification, first_scheme, largest_step
from numdl.analysis.stability.report import StabilityReport, residual_report, stability_report
from numdl.analysis.stability.reversal import reversal_error

__all__ = [
    "AdjointReport",
    "StabilityReport",
    "adjoint_report",
    "amplification",
    "first_scheme",
    "largest_step",
    "residual_report",
    "reversal_error",
    "stability_report",
]
