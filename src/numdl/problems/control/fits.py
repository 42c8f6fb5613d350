"""Do the parts of a control problem fit each other, its weights and the given states? By shapes, before any work."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from numdl.contracts import PyTree, Steps


def require_parts(problem: Any) -> None:
    """Refuse what no control can be computed with.

    Args:
        problem: a ``ControlProblem``.

    Raises:
        ValueError: the scheme is none from state to state, u0 or c have no axes (samples, entries) or another number of
            samples, u0 holds no real floating-point numbers, or step sizes are not positive or have another shape.
    """
    scheme, u0, c, h = problem.scheme, problem.u0, problem.c, problem.h
    if not hasattr(scheme, "start"):
        raise ValueError(f"ControlProblem(scheme={scheme!r}): needs a Scheme. Use numdl.flow.get_scheme('heun').")
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
        ValueError: another shape than (nt + 1, n, m).
    """
    needed = (nt + 1, *problem.u0.shape)
    if jnp.shape(states) != needed:
        raise ValueError(
            f"{call}({what} of shape {jnp.shape(states)}): needs (nt + 1, n, m) = {needed}, the first at time 0 and the"
            f" last at T. Use {'problem.states(coeffs)' if what == 'states' else 'adjoint(problem, coeffs, states)'}."
        )
