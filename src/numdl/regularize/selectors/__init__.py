"""Rules that choose alpha from a path."""

from numdl.regularize.selectors.choice import Choice
from numdl.regularize.selectors.discrepancy import discrepancy
from numdl.regularize.selectors.gcv import GUARD, gcv
from numdl.regularize.selectors.l_curve import l_curve
from numdl.regularize.selectors.search import Selector, search
from numdl.regularize.selectors.upre import upre
from numdl.regularize.selectors.validation import cross_validation, mean_error, one_standard_error

__all__ = [
    "GUARD",
    "Choice",
    "Selector",
    "cross_validation",
    "discrepancy",
    "gcv",
    "l_curve",
    "mean_error",
    "one_standard_error",
    "search",
    "upre",
]
