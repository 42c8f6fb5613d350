"""Misfit plus penalty on data, as a Problem that an optimiser can lower."""

from numdl.problems.evidence import FollowEvidence, laplace_metrics, probed_metrics
from numdl.problems.risk.any_model import empirical, split_module
from numdl.problems.risk.covariance import Confidence, confidence
from numdl.problems.risk.empirical import Empirical
from numdl.problems.risk.linear import LinearEmpirical, linear_empirical
from numdl.problems.risk.loss_from import loss_from
from numdl.problems.risk.losses import LEAST_SQUARES, LOGISTIC, LOSSES, POISSON, PSEUDO_HUBER, SOFTMAX, Loss, get_loss
from numdl.problems.risk.nonlinear_squares import NonlinearLeastSquares
from numdl.problems.varpro.coupled import SeparableModel, full_problem
from numdl.problems.varpro.exact_hessian import ExactHessian
from numdl.problems.varpro.inexact_varpro import InexactHead, InexactVarPro
from numdl.problems.varpro.normal import Eliminated, normal_equations
from numdl.problems.varpro.segmentation import segmentation, segmented
from numdl.problems.varpro.separable import separable
from numdl.problems.varpro.slim_train import SlimTrain
from numdl.problems.varpro.varpro import VarPro

__all__ = [
    "LEAST_SQUARES",
    "LOGISTIC",
    "LOSSES",
    "POISSON",
    "PSEUDO_HUBER",
    "SOFTMAX",
    "Confidence",
    "Eliminated",
    "Empirical",
    "ExactHessian",
    "FollowEvidence",
    "InexactHead",
    "InexactVarPro",
    "LinearEmpirical",
    "Loss",
    "NonlinearLeastSquares",
    "SeparableModel",
    "SlimTrain",
    "VarPro",
    "confidence",
    "empirical",
    "full_problem",
    "get_loss",
    "laplace_metrics",
    "linear_empirical",
    "loss_from",
    "normal_equations",
    "probed_metrics",
    "segmentation",
    "segmented",
    "separable",
    "split_module",
]
