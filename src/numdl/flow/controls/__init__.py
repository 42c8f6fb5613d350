"""Weights in time by name (controls): which weights in time go by which name?"""

from __future__ import annotations

from numdl import checks
from numdl.flow.controls.basis import BasisInTime
from numdl.flow.controls.piecewise import PiecewiseConstant, PiecewiseLinear
from numdl.flow.controls.smooth import SmoothInTime

WeightsInTime = PiecewiseConstant | PiecewiseLinear | BasisInTime | SmoothInTime

STEPWISE: dict[str, type[PiecewiseConstant] | type[PiecewiseLinear]] = {
    "constant": PiecewiseConstant,
    "linear": PiecewiseLinear,
}
"""Controls with weights on each step."""

BASES = {"linear_spline": "linear", "spline": "cubic", "legendre": "legendre", "chebyshev": "chebyshev"}
"""Controls of a few coefficients over all steps: name to the kind of their basis."""

CONTROLS = (*STEPWISE, *BASES)


def get_control(name: str, nt: int, coefficients: int = 4, correlation: float = 0.0) -> WeightsInTime:
    """Weights in time by name.

    Args:
        name: one of ``CONTROLS``.
        nt: number of steps; without steps there are no weights, whatever the name says.
        coefficients: of a basis over all steps.
        correlation: of weights on steps, in steps; 0 leaves them independent.

    Returns:
        The control.

    Raises:
        ValueError: the name is unknown, the basis needs more coefficients, or it is to be smoothed.
    """
    if not isinstance(name, str) or name not in CONTROLS:
        raise ValueError(f"get_control(name={name!r}): unknown control. Use one of {', '.join(CONTROLS)}.")
    checks.whole("get_control", "nt", nt, least=0, hint="Use 0 for no steps.")
    checks.whole("get_control", "coefficients", coefficients, hint="Use 4.")
    checks.number("get_control", "correlation", correlation, least=0, hint="Use 0 for independent weights.")
    if name in BASES:
        if correlation:
            raise ValueError(
                f"get_control({name!r}, correlation={correlation}): a basis is smooth by itself, needs 0. Use no "
                "smoothness."
            )
        basis = BasisInTime(nt, coefficients, BASES[name])
        return basis if nt else PiecewiseConstant(0)
    control = STEPWISE[name](nt) if nt else PiecewiseConstant(0)
    return SmoothInTime(control, correlation) if correlation and nt else control
