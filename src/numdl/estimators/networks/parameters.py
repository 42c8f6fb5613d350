"""Which parameters of an estimator cannot be used, whatever the data?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numdl import checks
from numdl.flow import ACTIVATIONS, CONTROLS, DYNAMICS, MARCHES, SCHEMES, Dynamics
from numdl.flow.dynamics import with_damping
from numdl.models.levels import require_halves


def check_parameters(estimator: Any) -> None:
    """Refuse parameters out of range, before the data are looked at.

    Args:
        estimator: of networks; the parameters that its family does not have are not asked for.

    Raises:
        ValueError: names the parameter, its value and what is needed.
    """
    call, given = type(estimator).__name__, estimator.get_params(deep=False)
    for name, least in (("width", 1), ("depth", 0), ("n_restarts", 1)):
        if given.get(name, "auto") != "auto":
            checks.whole(call, name, given[name], least=least)
    for name in ("alpha", "alpha_head"):
        if given[name] != "auto":
            checks.number(call, name, given[name], above=0)
    if "widths" in given:
        _require_widths(call, given["widths"])
    checks.number(call, "T", given.get("T", 1.0), above=0)
    checks.number(call, "smoothness", given.get("smoothness", 0.0), least=0)
    _require_levels(call, given.get("levels", 1), given.get("depth"))
    if given.get("damping") is not None:
        _require_damped(call, given["damping"], given["dynamics"])
    checks.whole(call, "max_iter", given["max_iter"], least=1)
    checks.number(call, "tol", given["tol"], least=0)
    checks.number(call, "memory_budget", given["memory_budget"], least=2**20)
    if given["time_budget"] is not None:
        checks.number(call, "time_budget", given["time_budget"], above=0)
    if "dynamics" in given and not isinstance(given["dynamics"], Dynamics):
        checks.choice(call, "dynamics", given["dynamics"], ("auto", *DYNAMICS))
    for name, allowed in _WORDS.items():
        if name in given:
            checks.choice(call, name, given[name], allowed)


_WORDS = {
    "scheme": tuple(SCHEMES),
    "control": CONTROLS,
    "march": tuple(MARCHES),
    "activation": tuple(ACTIVATIONS),
    "solver": ("auto", "dense", "matrix-free"),
    "dtype": ("float64", "float32"),
}


def _require_levels(call: str, levels: Any, depth: Any) -> None:
    """Refuse levels that are no count, or that the depth cannot be divided into."""
    checks.whole(call, "levels", levels, least=1)
    if levels == 1:
        return
    if depth == "auto":
        raise ValueError(
            f"{call}(levels={levels}, depth='auto'): needs a depth. Give a multiple of {2 ** (int(levels) - 1)}."
        )
    require_halves(call, int(levels), depth)


def _require_damped(call: str, damping: Any, dynamics: Any) -> None:
    """Refuse a damping that is no rate, or dynamics that have none."""
    checks.number(call, "damping", damping, least=0)
    if isinstance(dynamics, Dynamics):
        dynamics = dynamics.name if dynamics.damping is None else with_damping()[0]
    if dynamics not in with_damping():
        raise ValueError(
            f"{call}(damping={damping}, dynamics={dynamics!r}): needs dynamics with damping. Use one of "
            f"{', '.join(with_damping())}, or leave the damping out."
        )


def _require_widths(call: str, widths: Any) -> None:
    """Refuse what is neither "auto" nor the units of at least one layer."""
    if isinstance(widths, str) and widths == "auto":
        return
    several = isinstance(widths, (Sequence, np.ndarray)) and not isinstance(widths, str)
    if (several and len(widths) == 0) or isinstance(widths, str):
        raise ValueError(
            f"{call}(widths={widths!r}): needs 'auto' or whole numbers >= 1, one for each layer. "
            "Give for example (16, 16)."
        )
    for width in widths if several else (widths,):
        checks.whole(call, "widths", width, least=1)
