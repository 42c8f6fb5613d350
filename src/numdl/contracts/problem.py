"""A problem to be lowered, and what it may offer beyond value and slope.

``Problem`` is all that most methods need. Each further protocol is one capability, named by what the problem then is; a
method asks for it by ``isinstance`` where it can do without, and by ``require`` where it cannot. A class needs no base:
it satisfies a protocol by having its methods.

In code that is compiled these questions are asked while it is traced, so they cost nothing in a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:  # the report and the command line use these nouns and start without JAX
    from jaxtyping import Array, Float

PyTree = Any

P = TypeVar("P", contravariant=True)
"""Unknowns, a pytree of real floating-point arrays."""

Aux = TypeVar("Aux")
"""Companion: the head of a separable problem, the states of a control problem, None where there is none."""


class Linearization(NamedTuple):
    """A problem near ``p``: value, slope and a symmetric positive semidefinite model of its curvature.

    Attributes:
        value: objective at ``p``, ().
        gradient: derivative of exactly this value, structure of ``p``.
        curvature: ``v -> H v``, Gauss-Newton matrix of the misfit plus the penalty's Hessian, structure of ``p``.
        aux: the problem's companion at ``p`` (for variable projection the optimal head).
        metrics: named scalars for the history; computed anyway, never an extra pass over the data.
    """

    value: Float[Array, ""]
    gradient: PyTree
    curvature: Callable[[PyTree], PyTree]
    aux: PyTree
    metrics: Mapping[str, Array]


class Normal(NamedTuple):
    """A problem near ``p`` with its curvature as a matrix, unknowns in one vector of N numbers.

    Attributes:
        value: objective at ``p``, ().
        gradient: of exactly this value, penalty included, (N,).
        matrix: Gauss-Newton matrix of the misfit, (N, N); where a head is eliminated, its Schur complement.
        diagonal: Hessian of the penalty, (N,); zero where the penalty is part of ``matrix``.
        aux: the problem's companion at ``p``.
        metrics: named scalars for the history.
        eliminated: what unknowns that were eliminated say of themselves, see ``numdl.problems.Eliminated``; None where
            there are none.
    """

    value: Float[Array, ""]
    gradient: Float[Array, " N"]
    matrix: Float[Array, "N N"]
    diagonal: Float[Array, " N"]
    aux: PyTree
    metrics: Mapping[str, Array]
    eliminated: PyTree = None


class Work(NamedTuple):
    """What the operations of a problem cost in passes: a forward or a backward pass over all n samples counts one.

    So methods can be compared by what they ask of the model, whatever the machine. Problems of unknown cost count as
    models whose derivatives come from one forward and one backward pass.

    Attributes:
        value: the objective.
        line: what a line search costs once, before its first trial.
        trial: value and slope at one point of a line.
        linearize: value and gradient, and the curvature ready for products.
        product: the curvature times one vector.
        matrix: the curvature as a matrix, with value and gradient; None where it comes from products.
    """

    value: float = 1.0
    line: float = 0.0
    trial: float = 2.0
    linearize: float = 2.0
    product: float = 2.0
    matrix: float | None = None


@runtime_checkable
class Problem(Protocol[P, Aux]):
    """Misfit plus penalty on data, as a frozen pytree: arrays are leaves, functions are static."""

    def value(self, p: P, aux: Aux) -> tuple[Float[Array, ""], Aux]:
        """Objective at ``p`` and the companion that belongs to it."""
        ...

    def linearize(self, p: P, aux: Aux) -> Linearization:
        """Value, gradient and curvature at ``p``."""
        ...


ProblemT = TypeVar("ProblemT", bound=Problem)
"""The problem that a method and its driver agree on."""


@runtime_checkable
class DenseProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A problem that forms its curvature as a matrix."""

    def normal(self, p: P, aux: Aux) -> Normal:
        """Value, gradient and curvature as a matrix."""
        ...


@runtime_checkable
class HessianProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A problem that knows its exact Hessian as a matrix."""

    def hessian(self, p: P, aux: Aux) -> Float[Array, "N N"]:
        """The Hessian, unknowns in one vector."""
        ...


@runtime_checkable
class BendingProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A problem whose second derivative along a direction is known, for geodesic acceleration."""

    def bend(self, p: P, d: P) -> PyTree:
        """``J' H s''(d, d)``, s the scores: what a straight path along d overlooks."""
        ...


@runtime_checkable
class ResidualProblem(Problem[P, Aux], Protocol[P, Aux]):
    """Least squares: a problem that is half the square norm of a vector."""

    def residual(self, p: P) -> Float[Array, " R"]:
        """The vector; half its square norm is the objective, penalty included."""
        ...


@runtime_checkable
class LineProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A problem that knows a cheaper way to its values on a line."""

    def along(self, p: P, d: P, aux: Aux) -> Callable[[Any], tuple[Any, Any, Aux]]:
        """``t -> (value, slope, aux)`` at ``p + t d``."""
        ...


@runtime_checkable
class PreconditionedProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A problem that knows an approximate inverse of its curvature."""

    def preconditioner(self, p: P, aux: Aux) -> Callable[[PyTree], PyTree]:
        """``v -> M^-1 v``, symmetric and positive, M near the curvature."""
        ...


@runtime_checkable
class CountedProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A problem that says what its operations cost."""

    def work(self, p: P) -> Work:
        """In passes over its samples; of ``p`` only the shapes count."""
        ...


@runtime_checkable
class CompanionProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A problem with a companion that is not None."""

    def first_head(self, p: P) -> Aux:
        """A companion to start from; of ``p`` only the shapes count."""
        ...


@runtime_checkable
class FeatureMap(Protocol):
    """Features of a separable problem that say how many they are, as networks do: nobody has to trace them for that."""

    @property
    def width(self) -> int:
        """Number m of features."""
        ...

    def __call__(self, theta: Any, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """Features of one sample."""
        ...

    def batch(self, theta: Any, x: Float[Array, "n d"]) -> Float[Array, "n m"]:
        """Features of n samples, row by row."""
        ...


@runtime_checkable
class HeldOutProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A problem whose ``value`` would fit to samples or count a penalty, and which can be asked without."""

    def held_out(self, p: P, aux: Aux) -> Float[Array, ""]:
        """Mean misfit with a given companion, for samples that nothing is fitted to."""
        ...


@runtime_checkable
class SampledProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A problem on a table of samples, a dataclass: ``dataclasses.replace`` gives it other ones."""

    @property
    def x(self) -> Float[Array, "n d"]:
        """Samples."""
        ...

    @property
    def c(self) -> Float[Array, "n k"]:
        """Targets."""
        ...

    @property
    def w(self) -> Float[Array, " n"]:
        """Weights of the samples, of mean 1."""
        ...

    def rows(self, index: Array) -> SampledProblem[P, Aux]:
        """The same problem on a part of the samples, whose weights keep their mean of 1."""
        ...


@runtime_checkable
class LayeredProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A control problem that can be taken apart by layers, for the maximum principle."""

    def layers(self, p: P) -> PyTree:
        """The Hamiltonian of each layer by itself, as ``numdl.control.Layers``."""
        ...


@runtime_checkable
class FullSpaceProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A control problem that takes its states for unknowns too; they need not fit the control."""

    @property
    def u0(self) -> Float[Array, "n m"]:
        """States where the flow begins."""
        ...

    def apart(self, p: P, states: Float[Array, "times n m"]) -> tuple[Float[Array, ""], Float[Array, "nt n m"]]:
        """Cost of given states, and what they miss of the dynamics."""
        ...

    def local(self, p: P, states: Float[Array, "times n m"]) -> PyTree:
        """The linear quadratic problem near control and states, as ``numdl.linalg.LinearQuadratic``."""
        ...

    def lagrangian(
        self, p: P, states: Float[Array, "times n m"], multipliers: Float[Array, "nt nm"], local: PyTree
    ) -> PyTree:
        """The same with the exact Hessian of the Lagrangian."""
        ...


@runtime_checkable
class ShotProblem(Problem[P, Aux], Protocol[P, Aux]):
    """A control problem whose blocks of steps are marched at once, each from a state of its own."""

    @property
    def u0(self) -> Float[Array, "n m"]:
        """States where the flow begins."""
        ...

    def shots(self, p: P, U: Float[Array, "inner n m"], Lambda: Float[Array, "inner n m"], blocks: int) -> PyTree:
        """Cost and derivatives of the blocks, as ``numdl.control.Shot``."""
        ...
