"""Lower a Problem: one loop, one file per method."""

from numdl.optimize.compare import Curve, Entry, compare
from numdl.optimize.inexact_newton import InexactNewton
from numdl.optimize.lbfgs import LBFGS
from numdl.optimize.levenberg_marquardt import LevenbergMarquardt
from numdl.optimize.levenberg_marquardt_qr import LevenbergMarquardtQR
from numdl.optimize.line_search import armijo, strong_wolfe
from numdl.optimize.loop import Adapt, Adapted, Best, Progress, minimize
from numdl.optimize.nesterov import nesterov
from numdl.optimize.newton import Newton
from numdl.optimize.newton_cg import NewtonCG
from numdl.optimize.nonlinear_cg import NonlinearCG
from numdl.optimize.projected_gradient import ProjectedGradient
from numdl.optimize.proximal_gradient import ProximalGradient
from numdl.optimize.resampled import minimize_resampled, sample_gap
from numdl.optimize.steepest_descent import SteepestDescent
from numdl.optimize.stochastic import StochasticProgress, minimize_stochastic
from numdl.optimize.stochastic_gradient import StochasticGradient

__all__ = [
    "LBFGS",
    "Adapt",
    "Adapted",
    "Best",
    "Curve",
    "Entry",
    "InexactNewton",
    "LevenbergMarquardt",
    "LevenbergMarquardtQR",
    "Newton",
    "NewtonCG",
    "NonlinearCG",
    "Progress",
    "ProjectedGradient",
    "ProximalGradient",
    "SteepestDescent",
    "StochasticGradient",
    "StochasticProgress",
    "armijo",
    "compare",
    "minimize",
    "minimize_resampled",
    "minimize_stochastic",
    "nesterov",
    "sample_gap",
    "strong_wolfe",
]
