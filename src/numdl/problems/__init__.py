"""Misfit plus penalty on data, as a Problem that an optimiser can lower."""

from numdl.problems.coupled import Separable, coupled
from numdl.problems.empirical import Empirical
from numdl.problems.evidence import FollowEvidence
from numdl.problems.laplace import laplace_metrics, probed_metrics
from numdl.problems.linear import LinearEmpirical, linear_empirical
from numdl.problems.losses import LEAST_SQUARES, LOGISTIC, LOSSES, SOFTMAX, Loss, get_loss
from numdl.problems.nonlinear_squares import NonlinearLeastSquares
from numdl.problems.normal import Normal, normal_equations
from numdl.problems.varpro import VarPro

__all__ = [
    "LEAST_SQUARES",
    "LOGISTIC",
    "LOSSES",
    "SOFTMAX",
    "Empirical",
    "FollowEvidence",
    "LinearEmpirical",
    "Loss",
    "NonlinearLeastSquares",
    "Normal",
    "Separable",
    "VarPro",
    "coupled",
    "get_loss",
    "laplace_metrics",
    "linear_empirical",
    "normal_equations",
    "probed_metrics",
]
