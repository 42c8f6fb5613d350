"""Misfit plus penalty on data, as a Problem that an optimiser can lower."""

from numdl.problems.any_model import empirical, split_module
from numdl.problems.control import ControlProblem
from numdl.problems.coupled import Separable, coupled
from numdl.problems.covariance import Confidence, confidence
from numdl.problems.empirical import Empirical
from numdl.problems.evidence import FollowEvidence
from numdl.problems.exact_hessian import ExactHessian
from numdl.problems.inexact_varpro import InexactHead, InexactVarPro
from numdl.problems.laplace import laplace_metrics, probed_metrics
from numdl.problems.linear import LinearEmpirical, linear_empirical
from numdl.problems.loss_from import loss_from
from numdl.problems.losses import LEAST_SQUARES, LOGISTIC, LOSSES, POISSON, PSEUDO_HUBER, SOFTMAX, Loss, get_loss
from numdl.problems.nonlinear_squares import NonlinearLeastSquares
from numdl.problems.normal import Normal, normal_equations
from numdl.problems.separable import separable
from numdl.problems.slim_train import SlimTrain
from numdl.problems.varpro import VarPro

__all__ = [
    "LEAST_SQUARES",
    "LOGISTIC",
    "LOSSES",
    "POISSON",
    "PSEUDO_HUBER",
    "SOFTMAX",
    "Confidence",
    "ControlProblem",
    "Empirical",
    "ExactHessian",
    "FollowEvidence",
    "InexactHead",
    "InexactVarPro",
    "LinearEmpirical",
    "Loss",
    "NonlinearLeastSquares",
    "Normal",
    "Separable",
    "SlimTrain",
    "VarPro",
    "confidence",
    "coupled",
    "empirical",
    "get_loss",
    "laplace_metrics",
    "linear_empirical",
    "loss_from",
    "normal_equations",
    "probed_metrics",
    "separable",
    "split_module",
]
