"""Contract test of optimisers: does an optimiser keep the contract of ``numdl.contracts.Optimizer``?"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numdl import checks
from numdl.contracts import Iterate, Optimizer, Problem, PyTree
from numdl.testing.precision import precision_of, require_real


def check_contract(optimizer: Optimizer, problem: Problem, p: PyTree, aux: PyTree = None, *, steps: int = 3) -> Iterate:
    """``init`` and ``step`` return the same tree, shapes and dtypes but for the metrics; ``step`` is compiled once.

    As the loop does, ``step`` gets the iterate without metrics: they are output only. All is computed in the
    precision of p: inside JAX's local 64-bit context where p is float64.

    Args:
        optimizer: to be checked.
        problem: a pytree, so that it can be an argument of a compiled function.
        p: unknowns to start from.
        aux: companion to start from; None where the problem needs none.
        steps: number of steps taken, at least 1, at most 1000.

    Returns:
        The last iterate.

    Raises:
        AssertionError: a leaf is no array; structure, shape or dtype of an iterate changes; ``init`` has metrics; p
            changes its structure; the value is no scalar, or not finite after a step; or ``step`` is traced
            more than once.
        ValueError: ``steps`` is no number of steps, or p or aux has leaves that are not real.
        TypeError: this is no optimizer, or no problem.
    """
    checks.whole("check_contract", "steps", steps, least=1, most=1000)
    for name, given, needed in (("optimizer", optimizer, "step"), ("problem", problem, "linearize")):
        if not hasattr(given, needed):
            raise TypeError(f"check_contract({name}={checks.shown(given)}): has no {needed}, needs it. See contracts.")
    checks.leaves("check_contract", "aux", aux)
    require_real("check_contract", p=p)
    with precision_of("check_contract", p):
        return _checked(optimizer, problem, jax.tree.map(jnp.asarray, p), aux, steps)


def _checked(optimizer: Optimizer, problem: Problem, p: PyTree, aux: PyTree, steps: int) -> Iterate:
    """The check itself, see ``check_contract``."""
    name = type(optimizer).__name__
    traces = 0

    def step(problem: Problem, iterate: Iterate) -> Iterate:
        nonlocal traces
        traces += 1
        return optimizer.step(problem, iterate)

    compiled = jax.jit(step)
    iterate = optimizer.init(problem, p, aux)
    _require_iterate(name, iterate, p, fresh=True)
    if iterate.metrics:
        raise AssertionError(
            f"check_contract({name}): init returns the metrics {', '.join(iterate.metrics)}, needs none: nothing was "
            "done yet. Return metrics={}."
        )
    expected = _leaves(iterate)
    for i in range(steps):
        following = compiled(problem, iterate._replace(metrics={}))
        _require_iterate(name, following, p)
        _require_same(name, i, expected, _leaves(following._replace(metrics={})))
        iterate = following
    if traces != 1:
        raise AssertionError(
            f"check_contract({name}): step was traced {traces} times in {steps} steps, needs once. A Python number or "
            "a new closure in the iterate or the problem does this."
        )
    return iterate


def _leaves(tree: Any) -> dict[str, str]:
    """Path of each leaf to shape, dtype and weakness; weakly typed arrays compile separately."""
    return {
        jax.tree_util.keystr(path): f"{leaf.dtype.name}{list(leaf.shape)}" + (" weak" if leaf.weak_type else "")
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def _require_same(name: str, i: int, expected: dict[str, str], found: dict[str, str]) -> None:
    """Refuse the first leaf that differs."""
    for path in [*expected, *found]:
        if expected.get(path) != found.get(path):
            raise AssertionError(
                f"check_contract({name}): iterate{path} is {found.get(path, 'missing')} after step {i + 1} but "
                f"{expected.get(path, 'missing')} after init. Give both the same tree, shapes and dtypes."
            )


def _require_iterate(name: str, iterate: Any, p: PyTree, *, fresh: bool = False) -> None:
    """Refuse what cannot be compiled, saved and resumed."""
    if not isinstance(iterate, Iterate):
        raise AssertionError(f"check_contract({name}): returned {type(iterate).__name__}, needs an Iterate.")
    for path, leaf in jax.tree.leaves_with_path(iterate):
        if not isinstance(leaf, jax.Array):
            raise AssertionError(
                f"check_contract({name}): iterate{jax.tree_util.keystr(path)} is a {type(leaf).__name__}, needs a JAX "
                "array. Wrap it in jnp.asarray."
            )
    if jax.tree.structure(iterate.p) != jax.tree.structure(p):
        raise AssertionError(
            f"check_contract({name}): iterate.p has structure {jax.tree.structure(iterate.p)}, needs "
            f"{jax.tree.structure(p)}, that of p."
        )
    if iterate.value.shape != () or not (fresh or np.isfinite(float(iterate.value))):
        raise AssertionError(f"check_contract({name}): iterate.value is {iterate.value}, needs a finite scalar.")
