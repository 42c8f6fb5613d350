"""What smooth means and how much of it."""

from numdl.regularize.evidence import Precisions, Sizes, log_evidence, reestimate
from numdl.regularize.groups import GROUPINGS, group_labels
from numdl.regularize.penalty import GroupPenalty
from numdl.regularize.time import TimeSmoothness

__all__ = [
    "GROUPINGS",
    "GroupPenalty",
    "Precisions",
    "Sizes",
    "TimeSmoothness",
    "group_labels",
    "log_evidence",
    "reestimate",
]
