"""Is a method what it claims to be? Checks for anyone who adds one; each raises ``AssertionError`` with the numbers."""

from numdl.testing.adjoint import check_adjoint
from numdl.testing.contract import check_contract
from numdl.testing.curvature import CurvatureResult, check_curvature
from numdl.testing.gradient import TaylorResult, check_gradient
from numdl.testing.order import OrderResult, check_order

__all__ = [
    "CurvatureResult",
    "OrderResult",
    "TaylorResult",
    "check_adjoint",
    "check_contract",
    "check_curvature",
    "check_gradient",
    "check_order",
]
