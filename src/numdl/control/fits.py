"""Compatibility of a control problem's parts.

Do the parts of a control problem fit each other, its weights and the given states? By shapes, before any work.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from numdl import checks
from numdl.contracts import Control, PyTree, Scheme, Steps, require
from numdl.problems.fits import require_loss, require_penalty

FUNCTIONS = {"f": "(t, u, theta) -> du/dt", "output": "u -> (k,)", "running": "(t, u, theta) -> (q,)"}
"""Fields that are functions of one sample, and how they are called."""


def array(given: Any) -> Any:
    """An array of JAX, or what is none as it is, for ``require_parts`` to refuse."""
    try:
        return jnp.asarray(given)
    except (TypeError, ValueError):
        return given


def require_problem(call: str, problem: Any, coeffs: PyTree, name: str = "coeffs") -> None:
    """Refuse what is no control problem with finite entries, or no coefficients.

    Args:
        call: name for the message.
        problem: as given.
        coeffs: coefficients of its control.
        name: what the call names them.

    Raises:
        TypeError: the problem is none.
        ValueError: an entry is no finite number.
    """
    if isinstance(problem, type) or not hasattr(problem, "stages"):
        raise TypeError(f"{call}(problem={checks.shown(problem)}): has no stages, needs a ControlProblem. Make one.")
    checks.leaves(call, "problem", problem, others=True)
    checks.leaves(call, name, coeffs)


def require_functions(problem: Any) -> None:
    """Refuse functions of a problem that are none, and what is no penalty.

    Args:
        problem: a ``ControlProblem``.
    """
    for name, signature in FUNCTIONS.items():
        if name == "f" or getattr(problem, name) is not None:
            checks.function("ControlProblem", name, getattr(problem, name), signature)
    if problem.penalty is not None:
        require_penalty("ControlProblem", problem.penalty)


def require_parts(problem: Any) -> None:
    """Refuse what no control can be computed with.

    Args:
        problem: a ``ControlProblem``.

    Raises:
        TypeError: scheme, control or loss are none.
        ValueError: the scheme is none from state to state, u0 or c have no axes (samples,
            entries), another number of samples or entries that are not finite, u0 holds no real floating-point numbers,
            step sizes are not positive or have another shape, or a running cost would be less accurate than the scheme.
    """
    scheme, u0, c, h = problem.scheme, problem.u0, problem.c, problem.h
    for name in ("u0", "h", "c"):
        checks.real("ControlProblem", name, getattr(problem, name))
    require(scheme, Scheme, "ControlProblem(scheme)", "use numdl.flow.get_scheme('heun')")
    require(problem.control, Control, "ControlProblem(control)", "use numdl.flow.PiecewiseConstant(nt) for nt steps")
    require_loss("ControlProblem", problem.loss)
    if scheme.start is not None:
        raise ValueError(
            "ControlProblem(scheme of several steps): needs a scheme from state to state. Use euler, heun or rk4."
        )
    if u0.ndim != 2 or not jnp.issubdtype(u0.dtype, jnp.floating):
        raise ValueError(
            f"ControlProblem(u0 of shape {u0.shape} and dtype {u0.dtype}): needs real floating-point numbers (n, m), a "
            "row for each sample. Give u0[None, :] for one sample, and real and imaginary parts of complex states."
        )
    if c.ndim != 2 or len(c) != len(u0):
        raise ValueError(
            f"ControlProblem(c of shape {c.shape}): needs targets (n, k) for the {len(u0)} samples of u0, shape "
            f"({len(u0)}, k). Give c[None, :] for one sample."
        )
    if problem.running is not None and scheme.nodes is None and scheme.order > 2:
        raise ValueError(
            f"ControlProblem(running, scheme of order {scheme.order} without nodes): the ends of a step give a running "
            "cost of order 2, needs Scheme(nodes=...) with weights > 0. Use 'rk4', or give the scheme its nodes."
        )
    for name, given in (("u0", u0), ("c", c)):
        checks.finite("ControlProblem", name, given, hint="Remove the sample, or mend it.")
    if h.ndim > 1:
        raise ValueError(
            f"ControlProblem(h of shape {h.shape}): needs one step size or one for each step. "
            "Give jnp.asarray(T / nt), or the differences of the time nodes."
        )
    if not isinstance(h, Tracer) and not bool(np.all((np.asarray(h) > 0) & np.isfinite(h))):
        raise ValueError(
            f"ControlProblem(h={np.asarray(h)}): needs finite step sizes > 0. Give T / nt of a horizon T > 0, or the "
            "differences of ascending time nodes."
        )


def require_fit(problem: Any, coeffs: PyTree, stages: Steps) -> None:
    """Refuse functions of other shapes than the states, targets and weights ask for.

    Args:
        problem: a ``ControlProblem``.
        coeffs: coefficients of its control.
        stages: its steps, leaves (nt, ...).

    Raises:
        ValueError: dtypes differ, or f, running or output give other shapes than (m,), (q,) and (k,).
        TypeError: one of them cannot be evaluated.
    """
    u0, c = problem.u0, problem.c
    for path, leaf in jax.tree.leaves_with_path(coeffs):
        if jnp.result_type(leaf) != u0.dtype:
            raise ValueError(
                f"ControlProblem: coefficients{jax.tree_util.keystr(path)} are {jnp.result_type(leaf)}, u0 is "
                f"{u0.dtype}. Give both the same dtype."
            )
    if jnp.result_type(problem.h, u0) != u0.dtype:
        raise ValueError(f"ControlProblem: h is {problem.h.dtype}, u0 is {u0.dtype}. Give both the same dtype.")
    first = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), stages)
    u = jax.ShapeDtypeStruct(u0.shape[1:], u0.dtype)

    def within(fun: Any) -> Any:
        return lambda stage, u: fun(stage.t, u, problem.control.at(stage.cell, 0.0))

    for name, of_stage in (("f", True), ("running", True), ("output", False)):
        fun = getattr(problem, name)
        if fun is None:
            continue
        try:
            found = jax.eval_shape(within(fun), first, u) if of_stage else jax.eval_shape(fun, u)
        except (TypeError, ValueError, jax.errors.JAXTypeError) as error:
            given = f"u {u.shape}" + (f" and weights {jax.tree.map(lambda a: a.shape, first.cell)}" if of_stage else "")
            raise TypeError(
                f"ControlProblem({name}): cannot be evaluated for one sample, {given}: {error} "
                f"Use jax.numpy in {name}, and shapes that it can take."
            ) from error
        _require_shape(name, found, u, c)
    if problem.output is None and c.shape[1:] != u.shape:
        raise ValueError(
            f"ControlProblem(c of shape {c.shape}): the loss sees the last state {u.shape}, needs targets of its shape."
            " Give them, or an output(u) of their shape."
        )


def _require_shape(name: str, found: Any, u: jax.ShapeDtypeStruct, c: Array) -> None:
    """Refuse what a function of the problem returns, if it is no vector of the right length and dtype."""
    needed = {"f": str(u.shape), "running": "(q,)", "output": str(c.shape[1:])}[name]
    shape = getattr(found, "shape", None)
    right = shape is not None and len(shape) == 1 if name == "running" else shape == (u if name == "f" else c[0]).shape
    if not right:
        shown = jax.tree.map(lambda leaf: leaf.shape, found)
        raise ValueError(
            f"ControlProblem({name}): returns {shown} for one sample, needs one array of shape {needed}. Use "
            "jnp.stack or jnp.concatenate, also for a single entry."
        )
    if jnp.result_type(found.dtype, u.dtype) != u.dtype:
        raise ValueError(
            f"ControlProblem({name}): returns {found.dtype} for u of {u.dtype}, needs the same. Give constants in it "
            "the dtype of u, or u0 and the coefficients theirs."
        )


def require_states(call: str, what: str, problem: Any, nt: int, states: Any) -> None:
    """Refuse states or adjoints that are not those of all times and samples.

    Args:
        call: name for the message.
        what: ``"states"`` or ``"adjoints"``.
        problem: a ``ControlProblem``.
        nt: number of its steps.
        states: as given.

    Raises:
        ValueError: another shape than (nt + 1, n, m), or an entry that is not finite.
    """
    needed = (nt + 1, *problem.u0.shape)
    if jnp.shape(states) != needed:
        raise ValueError(
            f"{call}({what} of shape {jnp.shape(states)}): needs (nt + 1, n, m) = {needed}, the first at time 0 and the"
            f" last at T. Use "
            f"{'problem.states(coeffs)' if what == 'states' else 'adjoint_states(problem, coeffs, states)'}."
        )
    checks.finite(call, what, states)


def require_like(call: str, what: str, coeffs: PyTree, given: PyTree) -> None:
    """Refuse a tree that is not made as the coefficients are.

    Args:
        call: name for the message.
        what: name of the argument.
        coeffs: coefficients of the control.
        given: as given for ``what``.

    Raises:
        ValueError: another structure, or a leaf of another shape.
    """
    if checks.form_of(given) != checks.form_of(coeffs):
        found, needed = (jax.tree.map(jnp.shape, tree) for tree in (given, coeffs))
        raise ValueError(
            f"{call}({what} of shapes {found}): needs the structure and shapes of the coefficients, {needed}. Use "
            "jax.tree.map on them."
        )
    checks.leaves(call, what, given, infinite=True)


def full_bounds(call: str, coeffs: PyTree, lower: PyTree, upper: PyTree) -> tuple[PyTree, PyTree]:
    """Bounds of all coefficients.

    Args:
        call: name for the message.
        coeffs: coefficients of the control.
        lower: their structure, or one number for all; None for none.
        upper: likewise.

    Returns:
        Both in the structure of the coefficients, infinite where there is none.

    Raises:
        ValueError: a bound has another structure or shape, or a lower one is above the upper one.
    """

    def full(what: str, bound: PyTree, none: float) -> PyTree:
        bound = none if bound is None else bound
        checks.leaves(call, what, bound, infinite=True)
        if jax.tree.structure(bound) == jax.tree.structure(0.0) and jnp.ndim(bound) == 0:
            return jax.tree.map(lambda leaf: jnp.full_like(leaf, bound), coeffs)
        require_like(call, what, coeffs, bound)
        return bound

    low, high = full("lower", lower, -jnp.inf), full("upper", upper, jnp.inf)
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(low), jax.tree.leaves(high), strict=True):
        if not (isinstance(a, Tracer) or isinstance(b, Tracer)) and np.any(crossed := ~(np.asarray(a) <= b)):
            i = tuple(int(k) for k in np.argwhere(crossed)[0])
            raise ValueError(
                f"{call}: coefficient{jax.tree_util.keystr(path)} {i} has the bounds {np.asarray(a)[i]:g} and "
                f"{np.asarray(b)[i]:g}, needs lower <= upper. Exchange them."
            )
    return low, high
