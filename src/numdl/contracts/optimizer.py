"""A method that lowers a problem, where it stands, what it cost and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, runtime_checkable

from numdl.contracts.problem import Problem, PyTree

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Array, Float


class Status(NamedTuple):
    """Why an iteration ended: a short code for programs and a sentence for people.

    ``code`` is one of ``running``, ``converged``, ``stalled``, ``max_iter``, ``time_budget``, ``interrupted`` and
    ``failed``.
    Failure to converge is a status, never an exception.
    """

    code: str
    message: str

    @property
    def converged(self) -> bool:
        """Whether the iteration ended because its tolerance was met."""
        return self.code == "converged"


class Iterate(NamedTuple):
    """Where an optimiser stands; arrays only, so it can be compiled, saved and resumed.

    ``metrics`` is output only: ``init`` returns none, and the loop hands an iterate to ``step`` without them. All else
    has the same structure, shapes and dtypes from ``init`` on.

    Attributes:
        p: the unknowns.
        aux: the problem's companion at ``p``.
        value: objective at ``p``, (); infinite where nothing is known of it: from ``init``, which evaluates nothing,
            and after the problem has changed.
        state: the optimiser's own memory (damping, directions, ...).
        metrics: named arrays about the step that led here and the point it left, with ``objective`` and ``aux`` there,
            and ``work``, the passes of the step; scalars go to the history.
    """

    p: PyTree
    aux: PyTree
    value: Float[Array, ""]
    state: PyTree
    metrics: Mapping[str, Array]


class Result(NamedTuple):
    """What a minimisation returns: the best iterate, why it stopped, and one array per recorded quantity."""

    p: PyTree
    aux: PyTree
    status: Status
    history: dict[str, np.ndarray]


Needed = TypeVar("Needed", bound=Problem, contravariant=True)
"""What a method needs its problem to be: ``Problem``, or an extension such as ``DenseProblem``."""


@runtime_checkable
class Optimizer(Protocol[Needed]):
    """A method that lowers a problem step by step, as a frozen pytree: settings are static, arrays are leaves.

    But for the metrics ``init`` and ``step`` return the same tree.
    """

    def init(self, problem: Needed, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate at ``p``, without metrics; nothing is evaluated, so it costs no compilation."""
        ...

    def step(self, problem: Needed, iterate: Iterate) -> Iterate:
        """Next iterate; compiled by the loop, which gives no metrics."""
        ...

    def status(self, history: Mapping[str, list[float]]) -> Status:
        """``running``, or why to stop."""
        ...


@runtime_checkable
class StochasticOptimizer(Protocol[Needed]):
    """A method that sees a batch of the samples in each step; a frozen pytree, as ``Optimizer``."""

    def init(self, problem: Needed, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate at ``p``, without metrics; nothing is evaluated."""
        ...

    def step(self, problem: Needed, iterate: Iterate, rate: Float[Array, ""]) -> Iterate:
        """Next iterate; ``value`` and ``metrics["gradient_norm"]`` belong to the batch at the point it left."""
        ...

    def evaluate(self, problem: Needed, p: PyTree, aux: PyTree) -> Float[Array, ""]:
        """Mean misfit of another problem at this point, for validation."""
        ...

    def passes(self, problem: Needed, p: PyTree) -> float:
        """Passes over the rows of a batch that its step costs."""
        ...
