"""Time-stepping schemes by name: which schemes are there, by name?"""

from numdl.contracts import Scheme
from numdl.flow.schemes.adams_bashforth import ADAMS_BASHFORTH
from numdl.flow.schemes.imex import IMEX
from numdl.flow.schemes.implicit_midpoint import IMPLICIT_MIDPOINT
from numdl.flow.schemes.symplectic import SYMPLECTIC_EULER, VERLET
from numdl.flow.schemes.tableau import EULER, HEUN, RK3, RK4, explicit

__all__ = ["SCHEMES", "explicit", "get_scheme"]

SCHEMES: dict[str, Scheme] = {
    "euler": EULER,
    "heun": HEUN,
    "rk3": RK3,
    "rk4": RK4,
    "adams_bashforth": ADAMS_BASHFORTH,
    "symplectic_euler": SYMPLECTIC_EULER,
    "verlet": VERLET,
    "implicit_midpoint": IMPLICIT_MIDPOINT,
    "imex": IMEX,
}
"""Name to scheme; a new one is one file, or one tableau, and one entry here."""


def get_scheme(name: str) -> Scheme:
    """Scheme of that name.

    Args:
        name: a key of ``SCHEMES``.

    Returns:
        Its declared order and its step.

    Raises:
        ValueError: no scheme has that name.

    Examples:
        >>> from numdl.flow import get_scheme
        >>> get_scheme("rk4").order, get_scheme("verlet").order
        (4, 2)
    """
    if not isinstance(name, str) or name not in SCHEMES:
        raise ValueError(f"get_scheme(name={name!r}): unknown scheme. Use one of {', '.join(SCHEMES)}.")
    return SCHEMES[name]
