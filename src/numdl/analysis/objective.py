"""Value, gradient and Hessian products of an objective.

What are value, slope and curvature at p of whatever is analysed: a problem, or a plain function?

Everything in this room takes ``f``: a ``Problem``, which is asked by its contract, or a function ``p -> ()``. Arrays of
a problem are arguments of what is compiled, so other data compile nothing; a function is static, so give the same one
again and not a new closure, or bind its data by ``jax.tree_util.Partial``, which is a pytree of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import CompanionProblem, Problem, PyTree

KINDS = ("hessian", "gauss-newton", "difference")


def require_analysed(call: str, f: Any, p: PyTree, aux: PyTree = None, **alike: PyTree) -> None:
    """Refuse what has no value or slope at p.

    Args:
        call: the call to name.
        f: problem or function.
        p: unknowns.
        aux: companion.
        **alike: trees with the structure and shapes of p, by the name of their argument.

    Raises:
        TypeError: ``f`` is neither a problem nor a function.
        ValueError: there are no unknowns, a leaf is not real and finite, or a tree is not like p.
    """
    if not isinstance(f, Problem):
        checks.function(call, "f", f, "p -> (), or a Problem")
    for name, tree in {"p": p, "aux": aux, **alike}.items():
        checks.leaves(call, name, tree)
    form = checks.form_of(p)
    if not form[1]:
        raise ValueError(f"{call}(p={checks.shown(p)}): has no arrays, needs at least one. Give the unknowns.")
    for name, tree in alike.items():
        if checks.form_of(tree) != form:
            raise ValueError(f"{call}({name}): needs the structure and shapes of p. Check what it was made from.")


def companion(f: Any, p: PyTree, aux: PyTree) -> PyTree:
    """The companion to start from: the one given, else the first head where the problem offers one.

    Args:
        f: problem or function.
        p: unknowns.
        aux: companion, or None.

    Returns:
        A companion that ``f.value`` takes, or None.
    """
    return f.first_head(p) if aux is None and isinstance(f, CompanionProblem) else aux


def value_at(f: Any, p: PyTree, aux: PyTree) -> Float[Array, ""]:
    """``f(p)``.

    Args:
        f: problem or function.
        p: unknowns.
        aux: companion; a function has none.

    Returns:
        Objective, ().
    """
    return f.value(p, aux)[0] if isinstance(f, Problem) else f(p)


def gradient_at(f: Any, p: PyTree, aux: PyTree) -> PyTree:
    """Slope of ``f`` at p: that of the linearisation where f is a problem, the automatic one of a function.

    Args:
        f: problem or function.
        p: unknowns.
        aux: companion; a function has none.

    Returns:
        Structure of p.
    """
    return f.linearize(p, aux).gradient if isinstance(f, Problem) else jax.grad(f)(p)


def curvature_at(f: Any, p: PyTree, aux: PyTree, kind: str) -> Callable[[Array], Array]:
    """Products with the curvature of ``f`` at p, on flat vectors.

    Args:
        f: problem or function.
        p: unknowns, P numbers in all.
        aux: companion; a function has none.
        kind: ``"hessian"``, the derivative of the derivative of the value; ``"difference"``, the same to about 1e-9
            from central differences of the problem's gradients, where the value cannot be differentiated twice (the
            head of ``VarPro`` from an inner iteration); ``"gauss-newton"``, the curvature of the linearisation.

    Returns:
        ``v (P,) -> H v (P,)``, symmetric; linear but for ``"difference"``, where it is so up to the error.

    Raises:
        ValueError: unknown kind, or the Gauss-Newton matrix of a function, which has none.
    """
    flat, unravel = ravel_pytree(p)
    if kind not in KINDS:
        raise ValueError(f"curvature_at(kind={kind!r}): unknown kind. Use one of {', '.join(KINDS)}.")
    if kind == "gauss-newton":
        if not isinstance(f, Problem):
            raise ValueError(
                "curvature_at(kind='gauss-newton'): f is a function and has no Gauss-Newton matrix. Give a Problem, or "
                "use kind='hessian'."
            )
        product = f.linearize(p, aux).curvature
        return lambda v: ravel_pytree(product(unravel(v)))[0]
    if kind == "hessian":
        slope = jax.grad(lambda q: value_at(f, unravel(q), aux))
        return lambda v: jax.jvp(slope, (flat,), (v,))[1]

    def gradient(q: Array) -> Array:
        return ravel_pytree(gradient_at(f, unravel(q), aux))[0]

    # The error eps/h of rounding and h^2 of the expansion balance at the cube root of eps.
    reach = jnp.finfo(flat.dtype).eps ** (1 / 3) * jnp.maximum(1.0, jnp.linalg.norm(flat))

    def difference(v: Array) -> Array:
        size = jnp.linalg.norm(v)
        h = reach / jnp.where(size > 0, size, 1.0)
        return (gradient(flat + h * v) - gradient(flat - h * v)) / (2 * h)

    return difference


@eqx.filter_jit
def compiled_value(f: Any, p: PyTree, aux: PyTree) -> Float[Array, ""]:
    """``value_at``, compiled once for problems of one shape."""
    return value_at(f, p, aux)


@eqx.filter_jit
def compiled_gradient(f: Any, p: PyTree, aux: PyTree) -> PyTree:
    """``gradient_at``, compiled once for problems of one shape."""
    return gradient_at(f, p, aux)
