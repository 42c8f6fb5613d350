"""Protocols and records of the contract: which nouns travel between the rooms, and what does each of them promise?

Conventions, fixed here for the whole library:

* ``n`` samples, ``d`` inputs, ``k`` targets or classes, ``m`` width of the flow, ``nt`` steps of size ``h = T / nt``.
* ``x (n, d)`` samples, ``c (n, k)`` targets (one-hot for classes), ``u (m,)`` state, ``theta`` weights of the flow
  (leading axis: layers), ``W (k, m+1)`` head with the intercept in the last column, ``s = W [u; 1]`` scores.
* An objective is ``mean over samples of the misfit + penalty``; least squares is ``1/(2n) sum ||s_i - c_i||^2`` and a
  penalty is ``alpha/2 ||L (p - p_ref)||^2``. Intercepts are not penalised.
* ``p`` is what the optimiser moves (a pytree), ``aux`` what the problem carries along (for variable projection: ``W``).

Nothing of numdl is imported here, JAX neither, and nothing here computes.
"""

from numdl.contracts.flow import Control, Scheme, Steps, TimedControl, VectorField
from numdl.contracts.optimizer import Iterate, Optimizer, Result, Status, StochasticOptimizer
from numdl.contracts.problem import (
    BendingProblem,
    CompanionProblem,
    CountedProblem,
    DenseProblem,
    FeatureMap,
    FullSpaceProblem,
    HeldOutProblem,
    HessianProblem,
    LayeredProblem,
    Linearization,
    LineProblem,
    Normal,
    PreconditionedProblem,
    Problem,
    ProblemT,
    PyTree,
    ResidualProblem,
    SampledProblem,
    ShotProblem,
    Work,
)
from numdl.contracts.require import require

__all__ = [
    "BendingProblem",
    "CompanionProblem",
    "Control",
    "CountedProblem",
    "DenseProblem",
    "FeatureMap",
    "FullSpaceProblem",
    "HeldOutProblem",
    "HessianProblem",
    "Iterate",
    "LayeredProblem",
    "LineProblem",
    "Linearization",
    "Normal",
    "Optimizer",
    "PreconditionedProblem",
    "Problem",
    "ProblemT",
    "PyTree",
    "ResidualProblem",
    "Result",
    "SampledProblem",
    "Scheme",
    "ShotProblem",
    "Status",
    "Steps",
    "StochasticOptimizer",
    "TimedControl",
    "VectorField",
    "Work",
    "require",
]
