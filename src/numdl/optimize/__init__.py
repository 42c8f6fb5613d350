"""Lower a Problem: one loop, one file per method."""

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
from numdl.optimize.steepest_descent import SteepestDescent

__all__ = [
    "LBFGS",
    "Adapt",
    "Adapted",
    "Best",
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
    "armijo",
    "minimize",
    "nesterov",
    "strong_wolfe",
]
