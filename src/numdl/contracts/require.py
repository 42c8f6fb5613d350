"""Protocol checks: what does an object miss of a contract, in a sentence for whoever wrote it?"""

from __future__ import annotations

import inspect
from typing import Any


def require(given: Any, contract: type, call: str, advice: str = "") -> None:
    """Refuse an object that misses a part of a contract.

    Args:
        given: as the caller got it.
        contract: a protocol whose members are looked for, or a named tuple such as ``Scheme``, of which it must be one.
        call: who needs it, for the message.
        advice: what to do other than to give the missing parts, "use ...".

    Raises:
        TypeError: a part is missing, or the class was given for an instance of it.
    """
    name = contract.__name__
    article = "an" if name[0] in "AEIOU" else "a"
    if isinstance(given, type):
        raise TypeError(f"{call} needs {article} {name}: {given.__name__} is a class. Give an instance of it.")
    parts = _parts(contract)
    missing = [part for part in parts if getattr(given, part, None) is None]
    if not missing and isinstance(given, contract):
        return
    what = ", ".join(parts[part] for part in missing)
    has = f"has no {what}" if missing else f"is no {name}"
    remedy = f"Give {'it' if len(missing) == 1 else 'them'}" if missing else f"Make it {name}({', '.join(parts)})"
    seen = given if given is None or isinstance(given, str | int | float) else type(given).__name__
    advice = f", or {advice}" if advice else ""
    raise TypeError(f"{call} needs {article} {name}: {seen!r} {has}. {remedy}{advice}.")


def _parts(contract: type) -> dict[str, str]:
    """Names of what an object must have, and how they are written."""
    if not getattr(contract, "_is_protocol", False):
        fields, defaults = getattr(contract, "_fields", ()), getattr(contract, "_field_defaults", {})
        return {field: field for field in fields if field not in defaults}
    bases = [base for base in reversed(contract.__mro__) if getattr(base, "_is_protocol", False)]
    members = {name: member for base in bases for name, member in vars(base).items() if name[0] != "_"}
    return {name: _written(name, member) for name, member in members.items()}


def _written(name: str, member: Any) -> str:
    """``normal(p, aux) -> Normal`` for a method, the name alone for an attribute."""
    if not callable(member):
        return name
    signature = inspect.signature(member)
    arguments = ", ".join(list(signature.parameters)[1:])
    return f"{name}({arguments}) -> {signature.return_annotation}"
