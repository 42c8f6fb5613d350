"""Ways to march, serial, reversible, checkpointed, adjoint, layer-parallel.

Which ways are there to march a sample through all steps and to differentiate that?

Every way has one signature, ``(scheme, f, control, coeffs, u0, t0, h)``, and returns the state at the end.
``"stored"``, ``"remat"``, ``"checkpointed"`` and ``"reversible"`` agree to rounding in value and derivative;
so do ``"layer-parallel"`` and ``"parallel-newton"``, which compute all layers at the same time, to their tolerance;
``"coupled"`` is another discretisation of the same order, with exact derivatives; ``"adjoint"`` has the value of
``"stored"`` and the gradient of the continuous problem; ``"adaptive"`` solves to a tolerance.
"""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Control, PyTree, Scheme, VectorField
from numdl.flow.march.adaptive import adaptive
from numdl.flow.march.adjoint import adjoint
from numdl.flow.march.all_at_once import AllAtOnce
from numdl.flow.march.bias import BiasControl, BiasedGradient
from numdl.flow.march.layer_parallel import LayerParallel
from numdl.flow.march.parallel_newton import ParallelNewton
from numdl.flow.march.recomputed import checkpointed, remat
from numdl.flow.march.reversible import coupled, reversible, reversible_by_coupling
from numdl.flow.march.serial import final, serial

__all__ = [
    "MARCHES",
    "BiasControl",
    "BiasedGradient",
    "LayerParallel",
    "ParallelNewton",
    "adaptive",
    "adjoint",
    "checkpointed",
    "coupled",
    "final",
    "get_march",
    "over_samples",
    "remat",
    "reversible",
    "serial",
]

March = Callable[..., Array]

MARCHES: dict[str, March] = {
    "stored": final,
    "remat": remat,
    "checkpointed": checkpointed,
    "reversible": reversible,
    "coupled": reversible_by_coupling,
    "adjoint": adjoint,
    "adaptive": adaptive,
    "layer-parallel": LayerParallel(),
    "parallel-newton": ParallelNewton(),
}
"""Name to march; a new one is one file and one entry here."""

NO_TANGENTS = ("adjoint", "adaptive")
"""Names of marches without forward derivatives, which products with a Gauss-Newton matrix need."""

WHOLE = (reversible, reversible_by_coupling, adjoint)
"""Marches that take all samples at once, (n, m), as every ``AllAtOnce`` does."""

COLUMNS = (final, remat, checkpointed)
"""Marches that take many samples as the columns of (m, n), where scheme and dynamics do."""


def over_samples(
    march: March,
    scheme: Scheme,
    f: VectorField,
    control: Control,
    coeffs: PyTree,
    u0: Float[Array, "n m"],
    t0: Any,
    h: Any,
) -> Float[Array, "n m"]:
    """States of n samples at the end, by any way to march.

    Where march, scheme and dynamics take them the samples march as columns, (m, n): XLA's loops on a CPU run along the
    last axis, and those over a narrow state cost up to three times as much.

    Args:
        march: a value of ``MARCHES``.
        scheme: one step.
        f: right-hand side of one sample.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: states at t0, (n, m).
        t0: start, in time.
        h: step size, in time: one number, or (nt,).

    Returns:
        (n, m).

    Raises:
        TypeError: march is none.
        ValueError: the states are no finite (n, m); else as the march.
    """
    checks.function("over_samples", "march", march, "(scheme, f, control, coeffs, u0, t0, h) -> u(T)")
    u0 = checks.finite("over_samples", "u0", u0, ("n", "m"))
    if isinstance(march, AllAtOnce) or march in WHOLE:
        return march(scheme, f, control, coeffs, u0, t0, h)
    if march in COLUMNS and getattr(scheme, "columns", False) and getattr(f, "columns", False):
        return march(scheme, f, control, coeffs, u0.T, t0, h).T
    return jax.vmap(lambda u: march(scheme, f, control, coeffs, u, t0, h))(u0)


def get_march(name: Any) -> March:
    """Way to march of that name.

    Args:
        name: a key of ``MARCHES``, or a march with settings of yours, as ``LayerParallel(factor=8)``.

    Returns:
        ``(scheme, f, control, coeffs, u0, t0, h) -> u(T)``.

    Raises:
        ValueError: no march has that name.

    Examples:
        >>> from numdl.flow import LayerParallel, get_march
        >>> get_march("reversible").__name__, get_march(LayerParallel(factor=8)).factor
        ('reversible', 8)
    """
    if isinstance(name, AllAtOnce):
        return name
    if not isinstance(name, str) or name not in MARCHES:
        raise ValueError(f"get_march(name={name!r}): unknown march. Use one of {', '.join(MARCHES)}.")
    return MARCHES[name]
