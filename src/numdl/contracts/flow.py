"""A flow ``du/dt = f(t, u, theta(t))``: its right-hand side, its steps and its weights in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from numdl.contracts.problem import PyTree

if TYPE_CHECKING:
    from jaxtyping import Array, Float

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
