"""Packages that only some files need: which extra of numdl brings them?"""

from __future__ import annotations

import importlib
from typing import Any


def needed(call: str, package: str, extra: str, what: str, instead: str = "save the table as CSV") -> Any:
    """A package that is not always installed.

    Args:
        call: the call to name in an error.
        package: name of the module.
        extra: of numdl, that brings it.
        what: is read with it.
        instead: what to do without it.

    Returns:
        The module.

    Raises:
        ValueError: it is not installed; says how to get it.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ValueError(
            f"{call}: {what} are read with {package}, which is not installed; run pip install 'numdl[{extra}]', or "
            f"{instead}."
        ) from None
