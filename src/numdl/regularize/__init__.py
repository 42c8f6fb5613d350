"""What smooth means and how much of it."""

from numdl.regularize.evidence import Precisions, Sizes, log_evidence, reestimate
from numdl.regularize.operator_penalty import OperatorPenalty
from numdl.regularize.penalty import GROUPINGS, GroupPenalty, group_labels
from numdl.regularize.prox import L1, Box, non_negative
from numdl.regularize.time import TimeSmoothness
from numdl.regularize.total_variation import SmoothedTotalVariation

__all__ = [
    "GROUPINGS",
    "L1",
    "Box",
    "GroupPenalty",
    "OperatorPenalty",
    "Precisions",
    "Sizes",
    "SmoothedTotalVariation",
    "TimeSmoothness",
    "group_labels",
    "log_evidence",
    "non_negative",
    "reestimate",
]
