"""Dynamics (layers as right-hand sides) by name: which right-hand sides ``f(t, u, theta)`` are there, by name?"""

import copyreg
import functools
from typing import Any

from numdl import checks
from numdl.contracts import require
from numdl.flow.dynamics.antisymmetric import ANTISYMMETRIC
from numdl.flow.dynamics.base import PLAIN, Dynamics, Guarantee
from numdl.flow.dynamics.circulant import CIRCULANT
from numdl.flow.dynamics.contractive import CONTRACTIVE
from numdl.flow.dynamics.convolution import CONVOLUTION
from numdl.flow.dynamics.double import DOUBLE
from numdl.flow.dynamics.double_hamiltonian import DOUBLE_HAMILTONIAN
from numdl.flow.dynamics.double_symmetric import DOUBLE_SYMMETRIC, PARABOLIC
from numdl.flow.dynamics.h1 import H1
from numdl.flow.dynamics.hamiltonian import HAMILTONIAN
from numdl.flow.dynamics.hyperbolic import HYPERBOLIC
from numdl.flow.dynamics.low_rank import LOW_RANK
from numdl.flow.dynamics.m_matrix import M_MATRIX
from numdl.flow.dynamics.reaction_diffusion import REACTION_DIFFUSION
from numdl.flow.dynamics.second_order import SECOND_ORDER
from numdl.flow.dynamics.symmetric import SYMMETRIC

__all__ = ["DYNAMICS", "Dynamics", "Guarantee", "damped", "get_dynamics"]

DYNAMICS: dict[str, Dynamics] = {
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
        REACTION_DIFFUSION,
        HAMILTONIAN,
        DOUBLE_HAMILTONIAN,
        H1,
        SECOND_ORDER,
        HYPERBOLIC,
    )
}
"""Name to field; a new one is one file and one entry here."""

_OURS = frozenset(DYNAMICS)


def get_dynamics(name: str | Dynamics) -> Dynamics:
    """Dynamics of that name.

    Args:
        name: a key of ``DYNAMICS``, or dynamics of yours.

    Returns:
        How to draw its weights and how to evaluate it.

    Raises:
        ValueError: no field has that name.
        TypeError: dynamics of yours miss a part.

    Examples:
        >>> from numdl.flow import get_dynamics
        >>> found = get_dynamics("antisymmetric")
        >>> found.name, [guarantee.value for guarantee in found.guarantees]
        ('antisymmetric', ['no eigenvalue of the linearisation lies to the right of the imaginary axis'])
    """
    if not isinstance(name, str):
        require(name, Dynamics, "get_dynamics(name)", f"use one of {', '.join(DYNAMICS)}")
        return name
    if name not in DYNAMICS:
        raise ValueError(f"get_dynamics(name={name!r}): unknown dynamics. Use one of {', '.join(DYNAMICS)}.")
    return DYNAMICS[name]


def damped(field: Dynamics, gamma: float) -> Dynamics:
    """The same dynamics with another rate of damping; the same object for the same rate, so nothing compiles again.

    Args:
        field: with damping.
        gamma: in 1 / time, not negative; what else it must be the dynamics say.

    Returns:
        The field.

    Raises:
        ValueError: these dynamics have no damping, or gamma is negative or not finite.
        TypeError: the field is none.
    """
    require(field, Dynamics, "damped(field)", "use get_dynamics('antisymmetric')")
    if field.damping is None:
        raise ValueError(
            f"damped({field.name!r}, gamma={checks.shown(gamma)}): these dynamics have no damping. Use one of "
            f"{', '.join(with_damping())}, or leave the damping out."
        )
    checks.number(f"damped[{field.name}]", "gamma", gamma, least=0, hint="Use 0 for no damping.")
    return _damped(field, gamma)


@functools.lru_cache(maxsize=256)
def _damped(field: Dynamics, gamma: float) -> Dynamics:
    return field._replace(vector_field=functools.partial(field.vector_field, gamma=gamma), damping=gamma)


def as_named(call: str, field: Dynamics) -> tuple[str | Dynamics, float | None]:
    """Dynamics by what a file can hold of them: their name, and a damping.

    Args:
        call: who needs them, for the message.
        field: registered ones, these with another damping, or yours.

    Returns:
        Name and rate of registered dynamics with another damping; else the field and None.

    Raises:
        ValueError: they have the name of others in ``DYNAMICS``, which a file would bring back for them.
        TypeError: a part is missing.
    """
    require(field, Dynamics, f"{call}(dynamics)", f"use one of {', '.join(DYNAMICS)}")
    known = DYNAMICS.get(field.name, field)
    if known == field:
        return field, None
    if _is_damped(field, known):
        return field.name, field.damping
    raise ValueError(
        f"{call}(dynamics): these are not the dynamics that numdl.flow.DYNAMICS knows as {field.name!r}, which a file "
        f"would bring back for them. Give yours a name of their own, dynamics._replace(name='my_{field.name}')."
    )


def _is_damped(field: Dynamics, known: Dynamics) -> bool:
    """Whether they are the known ones with another damping."""
    bound = field.vector_field
    return (
        isinstance(bound, functools.partial)
        and field.rule is known.vector_field
        and bound.keywords == {"gamma": field.damping}
        and field == known._replace(vector_field=bound, damping=field.damping)
    )


def with_damping() -> tuple[str, ...]:
    """Names of the dynamics that take a damping."""
    return tuple(name for name, field in DYNAMICS.items() if field.damping is not None)


def _pickled(field: Dynamics) -> tuple[Any, ...]:
    """Dynamics by their name and damping, or by what made them: functions copied by value would be others elsewhere."""
    made = getattr(field.rule, "made", None)  # on_images, on_graph; those of now may be others, made again
    if made is not None:
        rate = None if field.vector_field is field.rule else field.damping
        changed = {part: value for part, value in field._asdict().items() if value is not getattr(made, part)}
        changed.pop("vector_field", None)
        if rate is None or changed.pop("damping", rate) == rate:
            return _remade, (*field.rule.made_by, rate, changed)
    known = DYNAMICS.get(field.name)
    if known is None or (known != field and not _is_damped(field, known)):
        return Dynamics, tuple(field)
    return _unpickled, (field.name, field.damping, None if field.name in _OURS else tuple(known))


def _remade(maker: Any, given: tuple[Any, ...], rate: float | None, changed: dict[str, Any]) -> Dynamics:
    """The dynamics that the maker returns here, with this damping and whatever else had been replaced."""
    field = maker(*given)
    field = field if rate is None else damped(field, rate)
    return field._replace(**changed) if changed else field


def _unpickled(name: str, damping: float | None, parts: tuple[Any, ...] | None) -> Dynamics:
    """The dynamics that this process knows by the name; of the parts where it knows none."""
    field = DYNAMICS[name] if name in DYNAMICS or parts is None else Dynamics(*parts)
    return field if damping == field.damping or damping is None else damped(field, damping)


copyreg.pickle(Dynamics, _pickled)  # type: ignore[arg-type]
