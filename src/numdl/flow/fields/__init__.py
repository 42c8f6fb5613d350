"""Which right-hand sides ``f(t, u, theta)`` are there, by name?"""

from numdl.flow.fields.antisymmetric import ANTISYMMETRIC
from numdl.flow.fields.base import Field, Promise
from numdl.flow.fields.circulant import CIRCULANT
from numdl.flow.fields.contractive import CONTRACTIVE
from numdl.flow.fields.convolution import CONVOLUTION
from numdl.flow.fields.double import DOUBLE
from numdl.flow.fields.double_hamiltonian import DOUBLE_HAMILTONIAN
from numdl.flow.fields.double_symmetric import DOUBLE_SYMMETRIC, PARABOLIC
from numdl.flow.fields.h1 import H1
from numdl.flow.fields.hamiltonian import HAMILTONIAN
from numdl.flow.fields.hyperbolic import HYPERBOLIC
from numdl.flow.fields.low_rank import LOW_RANK
from numdl.flow.fields.m_matrix import M_MATRIX
from numdl.flow.fields.plain import PLAIN
from numdl.flow.fields.second_order import SECOND_ORDER
from numdl.flow.fields.symmetric import SYMMETRIC

__all__ = ["FIELDS", "Field", "Promise", "get_field"]

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        PLAIN,
        ANTISYMMETRIC,
        SYMMETRIC,
        LOW_RANK,
        CIRCULANT,
        CONVOLUTION,
        DOUBLE,
        DOUBLE_SYMMETRIC,
        PARABOLIC,
        CONTRACTIVE,
        M_MATRIX,
        HAMILTONIAN,
        DOUBLE_HAMILTONIAN,
        H1,
        SECOND_ORDER,
        HYPERBOLIC,
    )
}
"""Name to field; a new one is one file and one entry here."""


def get_field(name: str) -> Field:
    """Field of that name.

    Args:
        name: a key of ``FIELDS``.

    Returns:
        How to draw its weights and how to evaluate it.

    Raises:
        ValueError: no field has that name.
    """
    if name not in FIELDS:
        raise ValueError(f"get_field({name!r}): unknown dynamics. Use one of {', '.join(FIELDS)}.")
    return FIELDS[name]
