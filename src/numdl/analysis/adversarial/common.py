"""Adversarial examples, common parts.

What do all searches for adversarial examples share: margins, norms, the crossing on a ray, and the batch?

A sample x of class y is safe while its margin ``min over j != y of s_y(x) - s_j(x)`` is positive. A search looks for
the perturbation of smallest norm with a negative margin. For linear scores ``s = W x + b`` that norm is

    min over j of (s_y - s_j) / ||w_y - w_j||_*        with the dual norm: l2 of l2, l1 of linf.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from numdl import checks
from numdl.contracts import PyTree

NORMS = ("l2", "linf")
RAY = 24  # points on a ray, by factors of sqrt(2): crossings nearer than 1/3000 of the reach are bisected from zero
BISECTIONS = 40


class Attack(NamedTuple):
    """Nearest points of another class that a search found, in the order of the samples.

    Attributes:
        x: points with a negative margin; the sample itself where it is misclassified or none was found, (n, d).
        norms: size of the perturbations in units of x, 0 for misclassified samples, infinite where none was found,
            (n,).
        classes: predicted class at ``x``, (n,).
    """

    x: np.ndarray
    norms: np.ndarray
    classes: np.ndarray


def margins(s: Float[Array, " k"], label: Int[Array, ""]) -> Float[Array, " k"]:
    """``s_y - s_j`` for each class j; infinite for y itself."""
    return jnp.where(jnp.arange(s.shape[0]) == label, jnp.inf, s[label] - s)


def size(v: Array, norm: str) -> Array:
    """l2 or linf norm."""
    return jnp.sqrt(jnp.sum(v**2)) if norm == "l2" else jnp.max(jnp.abs(v))


def dual_size(g: Array, norm: str) -> Array:
    """Dual norm: l2, or l1 for linf."""
    return jnp.sqrt(jnp.sum(g**2)) if norm == "l2" else jnp.sum(jnp.abs(g))


def steepest(g: Array, norm: str) -> Array:
    """The vector of norm 1 with the largest product with g: ``g / ||g||``, or its signs; zero for g = 0."""
    if norm == "linf":
        return jnp.sign(g)
    length = size(g, norm)
    return g / jnp.where(length > 0, length, 1.0)


def crossing(margin: Callable[[Array], Array], x: Array, direction: Array, reach: Any) -> Array:
    """Length at which a ray first leaves the class, to rounding on the far side; infinite if it does not.

    Args:
        margin: positive at x.
        x: start, (d,).
        direction: norm 1, (d,).
        reach: longest length tried.

    Returns:
        ().
    """
    lengths = reach * 2.0 ** (-jnp.arange(RAY - 1.0, -1.0, -1.0, dtype=x.dtype) / 2)
    outside = jax.vmap(lambda t: margin(x + t * direction) < 0)(lengths)
    first = jnp.argmax(outside)
    low, high = jnp.where(first > 0, lengths[first - 1], 0.0), lengths[first]

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        beyond = margin(x + middle * direction) < 0
        return jnp.where(beyond, low, middle), jnp.where(beyond, middle, high)

    high = jax.lax.fori_loop(0, BISECTIONS, halve, (low, high))[1]
    return jnp.where(jnp.any(outside), high, jnp.inf)


@runtime_checkable
class Search(Protocol):
    """A way to look for the smallest perturbation of one sample: settings only, compared by value, so static."""

    def __call__(self, at: Callable[[Array], Array], x: Array, label: Array, norm: str, reach: Any) -> Array:
        """Perturbation of x.

        Args:
            at: ``z -> margins (k,)`` of the label's class against the others.
            x: sample, (d,).
            label: its class, ().
            norm: ``"l2"`` or ``"linf"``.
            reach: largest norm looked at.

        Returns:
            (d,), not finite where none was found.
        """
        ...


def attack(
    search: Search,
    scores: Callable[[PyTree, Array], Array],
    p: PyTree,
    x: Any,
    labels: Any,
    *,
    norm: str = "l2",
    reach: float | int = 10.0,
    batch: int = 64,
) -> Attack:
    """Look for the smallest perturbation of each sample that changes its class.

    Args:
        search: ``GradientSearch()``, ``ProjectedSearch()`` or ``LinearisedSearch()``.
        scores: ``scores(p, x_i) -> (k,)`` for one sample; give the same function again and not a new closure.
        p: parameters of the model.
        x: samples, (n, d).
        labels: true classes, numbers from 0, (n,).
        norm: ``"l2"`` or ``"linf"``, in which the perturbation is measured.
        reach: largest norm looked at, in units of x.
        batch: samples side by side.

    Returns:
        Points of another class and their distances.

    Raises:
        ValueError: unknown norm, sizes that do not fit, a label without a score, or a reach that is not positive.
    """
    call = f"attack({type(search).__name__})"
    checks.function(call, "scores", scores, "(p, x_i) -> (k,)")
    checks.function(call, "search", search, "see Search, such as GradientSearch()")
    checks.leaves(call, "p", p)
    checks.whole(call, "batch", batch, least=1)
    x = jnp.asarray(checks.finite(call, "x", x, ("n", "d")))
    labels = np.asarray(checks.real(call, "labels", labels))
    checks.choice(call, "norm", norm, NORMS)
    checks.number(call, "reach", reach, above=0, hint="Give the diameter of the data.")
    if x.ndim != 2 or labels.shape != (len(x),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{call}: x has shape {x.shape} and labels {labels.shape} of {labels.dtype}, needs (n, d) and (n,) whole "
            "numbers. One-hot targets give labels by argmax."
        )
    k = jax.eval_shape(scores, p, jax.ShapeDtypeStruct(x.shape[1:], x.dtype)).shape
    if len(k) != 1 or k[0] < 2 or labels.min(initial=0) < 0 or labels.max(initial=0) >= k[0]:
        raise ValueError(
            f"{call}: scores have shape {k} and labels reach from {labels.min(initial=0)} to {labels.max(initial=0)}; "
            "needs (k,) with k >= 2 and labels 0..k-1. For one logistic score s give [0, s]."
        )
    found = _attack(search, scores, p, x, jnp.asarray(labels), norm, float(reach), batch)
    return Attack(*(np.asarray(a) for a in found))


@eqx.filter_jit
def _attack(
    search: Search,
    scores: Callable,
    p: PyTree,
    x: Float[Array, "n d"],
    labels: Int[Array, " n"],
    norm: str,
    reach: float,
    batch: int,
) -> tuple[Float[Array, "n d"], Float[Array, " n"], Int[Array, " n"]]:
    judged = jax.jit(functools.partial(scores, p))  # traced once, wherever a search asks for it

    def judge(sample: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        x, label = sample
        delta = search(lambda z: margins(judged(z), label), x, label, norm, reach)
        # Both ends at once: each copy of the model in the program takes its time to compile.
        here, there = jax.vmap(judged)(jnp.stack([x, x + delta]))
        wrong = jnp.min(margins(here, label)) < 0
        hit = jnp.all(jnp.isfinite(delta)) & (jnp.min(margins(there, label)) < 0)
        moved = hit & ~wrong
        delta = jnp.where(moved, delta, 0.0)
        length = jnp.where(wrong, 0.0, jnp.where(hit, size(delta, norm), jnp.inf))
        return x + delta, length, jnp.argmax(jnp.where(moved, there, here))

    return jax.lax.map(judge, (x, labels), batch_size=batch)
