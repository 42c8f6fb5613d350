"""Parameters of the network estimators: what may they be, and what do they become for one fit?"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.estimators.common.intake import is_auto, require_seed
from numdl.estimators.common.robust import LOSSES
from numdl.flow import ACTIVATIONS, CONTROLS, DYNAMICS, MARCHES, SCHEMES, Dynamics
from numdl.flow.dynamics import as_named, with_damping
from numdl.models.levels import require_halves


class Start(NamedTuple):
    """A random start.

    Attributes:
        seed: of the weights.
        gain: factor on them, no unit.
    """

    seed: int
    gain: float = 1.0


class Data(NamedTuple):
    """Scaled training data (and validation data to watch), as the problem wants them.

    ``total`` is the number of observations that the rows stand for, ``typical`` the noise variance of a typical row
    over that of one of mean weight; see ``numdl.estimators.common.intake.Weighed``.
    """

    x: Float[np.ndarray, "n d"]
    c: Float[np.ndarray, "n k"]
    w: Float[np.ndarray, " n"]
    total: float
    x_val: Float[np.ndarray, "v d"] | None = None
    c_val: Float[np.ndarray, "v k"] | None = None
    typical: float = 1.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all runs of a fit share; ``grouping="auto"`` and ``first_prior=None`` depend on the loss.

    Least squares: a precision for each kind of weights, from 1e-3 (from 1 small rugged tables lose: concrete 4.6
    instead of 4.1 with two starts). Classes: one precision for all weights, head included, from 1e-2 (from 1 a swiss
    roll ends as a linear classifier; digits do not care). With precisions of their own the head grows and the opening
    shrinks towards a linear classifier, because a fitted sample has no curvature left that could object, and the
    evidence rises on the way.

    ``finest`` is the depth of the last level where training begins on coarser ones.
    """

    loss: str
    max_iter: int
    tol: float
    grouping: str = "auto"
    alpha: float | None = None
    alpha_head: float | None = None
    solver: str = "auto"
    memory_budget: int = 2**31
    first_prior: float | None = None
    finest: int | None = None

    @functools.cached_property
    def squares(self) -> bool:
        """Whether the misfit is least squares."""
        return self.loss == "least_squares"

    @property
    def tied(self) -> bool:
        """Whether the head shares the precision of the other weights."""
        return not self.squares and self.grouping == "one" and self.alpha is None and self.alpha_head is None

    @property
    def prior(self) -> float:
        """First precision of all weights."""
        return (1e-3 if self.squares else 1e-2) if self.first_prior is None else self.first_prior

    def filled(self) -> Settings:
        """The same with the grouping decided."""
        if self.grouping != "auto":
            return self
        return dataclasses.replace(self, grouping="kind" if self.squares else "one")


def check_parameters(estimator: Any) -> None:
    """Refuse parameters out of range, before the data are looked at.

    Args:
        estimator: of networks; the parameters that its family does not have are not asked for.

    Raises:
        ValueError: names the parameter, its value and what is needed.
    """
    call, given = type(estimator).__name__, estimator.get_params(deep=False)
    fixed = {name: value for name, value in given.items() if not is_auto(value)}
    require_seed(call, given["random_state"])
    for name, least in (("width", 1), ("depth", 0), ("n_restarts", 1)):
        if name in fixed:
            checks.whole(call, name, fixed[name], least=least)
    for name in ("alpha", "alpha_head"):
        if name in fixed:
            checks.number(call, name, fixed[name], above=0)
    if "widths" in fixed:
        _require_widths(call, fixed["widths"])
    checks.number(call, "T", given.get("T", 1.0), above=0)
    checks.number(call, "smoothness", given.get("smoothness", 0.0), least=0)
    _require_levels(call, given.get("levels", 1), given.get("depth"))
    if given.get("damping") is not None:
        _require_damped(call, given["damping"], given["dynamics"])
    checks.whole(call, "max_iter", given["max_iter"], least=1)
    checks.whole(call, "verbose", given["verbose"], least=0)
    if given["checkpoint"] is not None:
        checks.path(call, given["checkpoint"], "checkpoint")
    checks.number(call, "tol", given["tol"], least=0)
    checks.number(call, "memory_budget", given["memory_budget"], least=2**20)
    if given["time_budget"] is not None:
        checks.number(call, "time_budget", given["time_budget"], above=0)
    if isinstance(given.get("dynamics", "auto"), str):
        checks.choice(call, "dynamics", given.get("dynamics", "auto"), ("auto", *DYNAMICS))
    else:
        as_named(call, given["dynamics"])
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
    "loss": LOSSES,
}


def _require_levels(call: str, levels: Any, depth: Any) -> None:
    """Refuse levels that are no count, or that the depth cannot be divided into."""
    checks.whole(call, "levels", levels, least=1, most=30)
    if levels == 1:
        return
    if is_auto(depth):
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
    """Refuse what is not the units of at least one layer."""
    several = isinstance(widths, (Sequence, np.ndarray)) and not isinstance(widths, str)
    if (several and len(widths) == 0) or isinstance(widths, str):
        raise ValueError(
            f"{call}(widths={widths!r}): needs 'auto' or whole numbers >= 1, one for each layer. "
            "Give for example (16, 16)."
        )
    for width in widths if several else (widths,):
        checks.whole(call, "widths", width, least=1)
