"""Which one-step schemes are there, by name?"""

from numdl.contracts import Scheme
from numdl.flow.schemes.euler import EULER
from numdl.flow.schemes.heun import HEUN
from numdl.flow.schemes.rk4 import RK4

__all__ = ["SCHEMES", "get_scheme"]

SCHEMES: dict[str, Scheme] = {"euler": EULER, "heun": HEUN, "rk4": RK4}
"""Name to scheme; a new one is one file and one entry here."""


def get_scheme(name: str) -> Scheme:
    """Scheme of that name.

    Args:
        name: a key of ``SCHEMES``.

    Returns:
        Its declared order and its step.

    Raises:
        ValueError: no scheme has that name.
    """
    if name not in SCHEMES:
        raise ValueError(f"get_scheme({name!r}): unknown scheme. Use one of {', '.join(SCHEMES)}.")
    return SCHEMES[name]
