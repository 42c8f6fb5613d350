"""Prolongation of weights in time.

With which weights does a network on twice as many steps begin, so that it does what the coarser one has learned?

The coefficients of a control are values of ``theta(t)``: at the middle of each step where they are constant on it, at
its ends where they are linear on it. Each step is halved, and ``theta`` is read off at the times that belong to the
halves. ``"same"`` takes the control's own function of time; ``"linear"`` and ``"cubic"`` interpolate the values, so
that weights which vary slowly with time do so without jumps. Coefficients of functions over all steps remain as they
are. All of it is linear in the coefficients: a matrix for each control.

Sources: Haber, Ruthotto, Holtham, Jun, Learning across scales, AAAI 2018; de Boor, A practical guide to splines,
Springer 2001, chapter IV (not-a-knot).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow.controls.piecewise import PiecewiseConstant, PiecewiseLinear, require_coeffs
from numdl.flow.controls.smooth import SmoothInTime, smoothing

PROLONGATIONS = ("same", "linear", "cubic")
"""Names of the ways to prolong."""


def prolong(
    control: Any, coeffs: PyTree, kind: str = "same", sizes: Sequence[float] | np.ndarray | None = None
) -> PyTree:
    """Coefficients of ``control.refined()`` that continue those of ``control``.

    Args:
        control: weights in time, with ``refine`` and ``refined``.
        coeffs: leaves (n_coeffs, ...).
        kind: ``"same"``, ``"linear"`` or ``"cubic"``; the latter two differ from ``"same"`` only where coefficients are
            values on or between the steps. Weights that are a polynomial of degree 1 (linear) or 3 (cubic, from four
            values on) in time are prolonged exactly.
        sizes: the nt step sizes, positive, in any unit; None for equal ones.

    Returns:
        Leaves with the leading axis of ``control.refined()``, dtypes kept.

    Raises:
        TypeError: the control cannot be refined.
        ValueError: the kind is unknown, a leaf has another leading axis, or the sizes are not nt positive numbers.

    Examples:
        >>> import numpy as np
        >>> from numdl.flow import get_control, prolong
        >>> control = get_control("linear", 2)
        >>> prolong(control, np.array([0.0, 1.0, 2.0]), "linear")
        Array([0. , 0.5, 1. , 1.5, 2. ], dtype=float32)
    """
    if kind not in PROLONGATIONS:
        raise ValueError(f"prolong(kind={kind!r}): unknown. Use one of {', '.join(PROLONGATIONS)}.")
    if not hasattr(control, "refine") or not hasattr(control, "refined"):
        raise TypeError(
            f"prolong(control={checks.shown(control)}): has no refine and refined, needs both. Use "
            "PiecewiseConstant(nt)."
        )
    if sizes is not None:
        _times(control.nt, sizes)
    inner = control.control if isinstance(control, SmoothInTime) else control
    if kind == "same" or not isinstance(inner, PiecewiseConstant | PiecewiseLinear):
        return control.refine(coeffs)
    require_coeffs(control, coeffs, "prolong")
    matrix = _matrix(inner, kind, _times(control.nt, sizes))
    if isinstance(control, SmoothInTime) and control.nt:
        fine = control.refined()
        matrix = np.linalg.solve(
            smoothing(fine.n_coeffs, fine.steps), matrix @ smoothing(inner.n_coeffs, control.steps)
        )
    return jax.tree.map(lambda a: jnp.tensordot(jnp.asarray(matrix, jnp.asarray(a).dtype), a, axes=1), coeffs)


def _times(nt: int, sizes: Sequence[float] | np.ndarray | None) -> Float[np.ndarray, " times"]:
    """Ends of the nt steps, (nt + 1,)."""
    steps = np.ones(nt) if sizes is None else np.asarray(checks.finite("prolong", "sizes", sizes, ("nt",)), float)
    if steps.shape != (nt,) or not np.all(steps > 0):
        raise ValueError(f"prolong(sizes of shape {steps.shape}): needs {nt} positive numbers, one for each step.")
    return np.append(0.0, np.cumsum(steps))


def _matrix(
    control: PiecewiseConstant | PiecewiseLinear, kind: str, ends: Float[np.ndarray, " times"]
) -> Float[np.ndarray, "fine coarse"]:
    """Coefficients on the halved steps from those on the steps."""
    halved = np.interp(np.arange(2 * control.nt + 1) / 2, np.arange(control.nt + 1), ends)
    if isinstance(control, PiecewiseLinear):
        known, wanted = ends, halved
    else:
        known, wanted = (ends[:-1] + ends[1:]) / 2, (halved[:-1] + halved[1:]) / 2
    values = np.eye(len(known))
    if len(known) < 2:  # a single value says nothing of a slope
        return np.ones((len(wanted), len(known)))
    if kind == "cubic":
        return CubicSpline(known, values)(wanted)
    cell = np.clip(np.searchsorted(known, wanted) - 1, 0, len(known) - 2)
    part = ((wanted - known[cell]) / (known[cell + 1] - known[cell]))[:, None]
    return (1 - part) * values[cell] + part * values[cell + 1]  # beyond the outer values along their line
