"""Lower a Problem: one loop, one file per method."""

from numdl.optimize.levenberg_marquardt import LevenbergMarquardt
from numdl.optimize.loop import Adapt, Adapted, Best, Progress, minimize
from numdl.optimize.newton_cg import NewtonCG

__all__ = ["Adapt", "Adapted", "Best", "LevenbergMarquardt", "NewtonCG", "Progress", "minimize"]
