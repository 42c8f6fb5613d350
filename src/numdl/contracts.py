"""Which nouns travel between the rooms of numdl, and what each of them promises?

Conventions, fixed here for the whole library:

* ``n`` samples, ``d`` inputs, ``k`` targets or classes, ``m`` width of the flow, ``nt`` steps of size ``h = T / nt``.
* ``x (n, d)`` samples, ``c (n, k)`` targets (one-hot for classes), ``u (m,)`` state, ``theta`` weights of the flow
  (leading axis: layers), ``W (k, m+1)`` head with the intercept in the last column, ``s = W [u; 1]`` scores.
* An objective is ``mean over samples of the misfit + penalty``; least squares is ``1/(2n) sum ||s_i - c_i||^2`` and a
  penalty is ``alpha/2 ||L (p - p_ref)||^2``. Intercepts are not penalised.
* ``p`` is what the optimiser moves (a pytree), ``aux`` what the problem carries along (for variable projection: ``W``).

Nothing of numdl is imported here, and nothing here computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:  # the report and the command line use these nouns and start without JAX
    import numpy as np
    from jaxtyping import Array, Float

PyTree = Any


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


@runtime_checkable
class Problem(Protocol):
    """Misfit plus penalty on data, as a frozen pytree: arrays are leaves, functions are static."""

    def value(self, p: PyTree, aux: PyTree) -> tuple[Float[Array, ""], PyTree]:
        """Objective at ``p`` and the companion that belongs to it."""
        ...

    def linearize(self, p: PyTree, aux: PyTree) -> Linearization:
        """Value, gradient and curvature at ``p``."""
        ...

    def rows(self, index: Array) -> Problem:
        """The same problem on a part of the samples."""
        ...


@runtime_checkable
class Optimizer(Protocol):
    """A method that lowers a problem step by step; but for the metrics ``init`` and ``step`` return the same tree."""

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate at ``p``, without metrics; nothing is evaluated, so it costs no compilation."""
        ...

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """Next iterate; compiled by the loop, which gives no metrics."""
        ...

    def status(self, history: Mapping[str, list[float]]) -> Status:
        """``running``, or why to stop."""
        ...


VectorField = Callable[[Any, "Float[Array, ' m']", PyTree], "Float[Array, ' m']"]
"""``f(t, u, theta) -> du/dt`` for one sample; with the attribute ``columns`` also for many, (m, n)."""


class Scheme(NamedTuple):
    """One step of a time integrator.

    Attributes:
        order: declared order of accuracy.
        step: ``step(f, t, h, u, theta) -> u(t + h)``, where ``theta(c)`` are the weights at time ``t + c h``.
        inverse: ``inverse(f, t, h, u(t + h), theta) -> u(t)`` (carries, where there are), exact but for rounding;
            None where a step cannot be undone.
        stability: ``R(z)`` with ``u(t + h) = R(h lambda) u(t)`` on ``u' = lambda u``, for complex arrays; None where
            there is no such function of one argument.
        start: ``start(u) -> carry`` for schemes that remember more than the state (``step`` then maps carries); None
            else.
        finish: ``finish(carry) -> u``, given with ``start``.
        halves: whether it steps only dynamics of two halves that move each other, such as ``numdl.flow.Separable``.
        columns: whether it steps many samples as well, as the columns of (m, n), where the dynamics take them: true of
            steps made of nothing but sums and multiples of slopes.
        linear: whether it steps only dynamics with a linear part, such as ``numdl.flow.Semilinear``.
        nodes: ``nodes(f, t, h, u, theta) -> (u(t + h), ((b, c, v), ...))``, the step with its quadrature rule:
            integrals along the solution are ``h sum_i b_i g(t + c_i h, v_i)`` to the order of the scheme,
            ``b_i > 0``; None where the ends of a step have to do.
    """

    order: int
    step: Callable[[VectorField, Any, Any, Any, Callable[[float], PyTree]], Any]
    inverse: Callable[[VectorField, Any, Any, Any, Callable[[float], PyTree]], Any] | None = None
    stability: Callable[[Any], Any] | None = None
    start: Callable[[Array], PyTree] | None = None
    finish: Callable[[PyTree], Array] | None = None
    halves: bool = False
    columns: bool = False
    linear: bool = False
    nodes: Callable[..., tuple[Any, tuple[tuple[float, float, Any], ...]]] | None = None


class Steps(NamedTuple):
    """What a step of a flow needs to know, or all steps with the leading axis nt.

    Attributes:
        t: start, in time.
        h: size, in time.
        cell: what the control says of the step.
    """

    t: Float[Array, ...]
    h: Float[Array, ...]
    cell: PyTree

    @property
    def nt(self) -> int:
        """Number of steps."""
        return self.t.shape[0]


@runtime_checkable
class Control(Protocol):
    """Weights as functions of time, given by coefficients with a leading axis."""

    def cells(self, coeffs: PyTree) -> PyTree:
        """What each of the ``nt`` steps needs to know, leading axis ``nt``."""
        ...

    def at(self, cell: PyTree, c: Any) -> PyTree:
        """Weights at the fraction ``c`` in [0, 1] of the step that owns ``cell``."""
        ...

    def refine(self, coeffs: PyTree) -> PyTree:
        """The same function of time on ``2 nt`` steps (prolongation)."""
        ...


@runtime_checkable
class TimedControl(Control, Protocol):
    """A control of functions over all steps, whose weights depend on where the steps are."""

    def cells_at(self, coeffs: PyTree, h: Any) -> PyTree:
        """``cells`` for steps of the sizes h, () or (nt,)."""
        ...
