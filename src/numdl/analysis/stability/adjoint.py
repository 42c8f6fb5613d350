"""Error of the continuous adjoint.

How wrong is the gradient of the continuous adjoint, for one network on some samples?

Optimise-discretise integrates state and adjoint backwards from T by the scheme of the network (``march="adjoint"``).
Its gradient is not the derivative of the discrete loss: the adjoint equation is discretised by itself, and where the
flow contracts, the way back amplifies every error of the state. Discretise-optimise differentiates the steps.

Source: Gholami, Keutzer and Biros, ANODE, IJCAI 2019, sec. 3; Onken and Ruthotto, arXiv:2005.13420.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from numdl.analysis.stability.layers import finite_weights, require_flow, require_weights, some_rows
from numdl.analysis.stability.verdict import TITLES
from numdl.contracts import Control, PyTree, Scheme, VectorField
from numdl.flow.activations import get_activation
from numdl.flow.march import adjoint, final, over_samples
from numdl.flow.march.serial import advance, begin
from numdl.flow.schemes import get_scheme

SIZES = 0.5 ** np.arange(4, 16)
USELESS, VISIBLE = 0.1, 1e-3
"""Relative errors of a gradient above which descent is in doubt, and above which a line search sees it."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AdjointReport:
    """Gradient of the continuous adjoint beside the derivative of the discrete loss, in float64.

    Attributes:
        scheme: name of the scheme.
        nt: number of steps.
        weights: relative error of the gradient by the weights of the flow, ``||g_adjoint - g|| / ||g||``.
        state: the same of the gradient by the states at time 0.
        finer: ``weights`` of the same function of time on 2 nt steps.
        reconstructed: error of the states integrated backwards from T, relative to those of the way forward at the same
            time, (nt + 1,); 0 at the end.
        sizes: steps of the Taylor table along one direction of the weights, descending.
        without: ``|L(p + s v) - L(p)|``, shape of ``sizes``.
        discrete: remainder with the derivative of the steps, shape of ``sizes``; falls with order 2.
        continuous: remainder with the gradient of the adjoint equation, shape of ``sizes``.
        verdict: sentences, the most serious first.
    """

    scheme: str
    nt: int
    weights: float
    state: float
    finer: float
    reconstructed: np.ndarray
    sizes: np.ndarray
    without: np.ndarray
    discrete: np.ndarray
    continuous: np.ndarray
    verdict: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the gradient is right to a tenth, by weights and by states."""
        return bool(max(self.weights, self.state) <= USELESS)  # NaN is not

    @property
    def off(self) -> str:
        """``weights`` as text, see ``shown``."""
        return shown(self.weights)

    def __str__(self) -> str:
        """Verdict and Taylor table."""
        lines = [*self.verdict, "       step   without slope  discretise-opt.  continuous adj."]
        rows = zip(self.sizes, self.without, self.discrete, self.continuous, strict=True)
        return "\n".join(lines + [f"{s:11.3e} {a:15.6e} {b:16.6e} {c:16.6e}" for s, a, b, c in rows])


def shown(error: float) -> str:
    """Two digits of an error, or as many as tell it from the limits of the verdict.

    Args:
        error: relative, no unit.

    Returns:
        Text: ``"0.1"`` of exactly 0.1 alone.
    """
    texts = (f"{error:.{digits}g}" for digits in range(2, 18))
    limits = (USELESS, VISIBLE)
    return next(text for text in texts if error in limits or float(text) not in limits)


def adjoint_report(
    net: Any, theta: PyTree, x: Any, loss: Callable[[Any], Any] | None = None, *, seed: int = 0
) -> AdjointReport:
    """Error of the gradient that ``march="adjoint"`` would give for this network, on up to 16 samples, in float64.

    Args:
        net: network with a flow, as ``stability_report`` takes; its own march does not matter.
        theta: its weights.
        x: samples as the network sees them (scaled), (n, d).
        loss: JAX function of all features (n, m) with values (); None for their mean product with one normal vector
            for each sample, which sees every part of the features.
        seed: of these vectors and of the direction of the Taylor table.

    Returns:
        The report.

    Raises:
        TypeError: the network has no flow.
        ValueError: it has no steps, its scheme cannot step the adjoint equation (several steps, or two halves), the
            gradient is zero, the loss is no number, or weights or x are not finite or x has another shape or no rows.
    """
    require_flow("adjoint_report", net)
    require_weights("adjoint_report", net, theta)
    rows = some_rows("adjoint_report", x, net.depth * net.width**2)
    scheme, f = get_scheme(net.scheme), net.field.vector_field(get_activation(net.activation))
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        theta = finite_weights("adjoint_report", theta)
        u0 = jax.vmap(lambda row: net.open(theta, row))(jnp.asarray(rows))
        control, coeffs = net.weights_in_time, theta["flow"]
        h = jnp.broadcast_to(jnp.asarray(net.step_sizes(theta), float), (net.depth,))
        if loss is None:
            v = jnp.asarray(rng.standard_normal(u0.shape))
            loss = lambda u: jnp.vdot(v, u) / len(v)  # noqa: E731
        shape = getattr(jax.eval_shape(loss, u0), "shape", None)
        if shape != ():
            raise ValueError(f"adjoint_report(loss of shape {shape}): needs one number for all features, shape ().")
        own = _compare(loss, scheme, f, control, coeffs, u0, h)
        if not own.norm > 0:
            raise ValueError(
                "adjoint_report: the gradient by the weights is zero or not finite, so there is nothing to compare. "
                "Take other samples or another loss, or ask stability_report for an overflow."
            )
        fine = _compare(loss, scheme, f, control.refined(), control.refine(coeffs), u0, jnp.repeat(h / 2, 2))
        taylor = _taylor(loss, (scheme, f, control), coeffs, (u0, h), own, rng)
        report = AdjointReport(
            scheme=net.scheme,
            nt=net.depth,
            weights=own.weights,
            state=own.state,
            finer=fine.weights,
            reconstructed=_backwards(scheme, f, control, coeffs, u0, h),
            sizes=SIZES,
            without=taylor[0],
            discrete=taylor[1],
            continuous=taylor[2],
        )
    return dataclasses.replace(report, verdict=_sentences(report))


class _Compared(NamedTuple):
    value: float
    gradients: tuple[np.ndarray, np.ndarray]  # by all weights: discrete, continuous
    norm: float
    weights: float
    state: float


def _compare(
    loss: Callable[[Any], Any], scheme: Scheme, f: VectorField, control: Control, coeffs: PyTree, u0: Any, h: Any
) -> _Compared:
    """Both gradients."""

    def slope(march: Any) -> Any:
        def total(coeffs: PyTree, u0: Any, h: Any) -> Any:
            return loss(over_samples(march, scheme, f, control, coeffs, u0, 0.0, h))

        return jax.value_and_grad(total, (0, 1))

    value, exact = jax.jit(slope(final))(coeffs, u0, h)
    _, other = jax.jit(slope(adjoint))(coeffs, u0, h)
    (w, s), (w_other, s_other) = ([np.asarray(ravel_pytree(part)[0]) for part in g] for g in (exact, other))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        errors = [float(np.linalg.norm(b - a) / np.linalg.norm(a)) for a, b in ((w, w_other), (s, s_other))]
    return _Compared(float(value), (w, w_other), float(np.linalg.norm(w)), *errors)


def _taylor(
    loss: Callable[[Any], Any], parts: Any, coeffs: PyTree, at: Any, own: _Compared, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Remainders along one random direction, as long as all weights together."""
    p, unravel = ravel_pytree(coeffs)
    v = rng.standard_normal(p.shape)
    v *= float(jnp.linalg.norm(p)) / np.linalg.norm(v) or 1.0
    (scheme, f, control), (u0, h) = parts, at

    @jax.jit
    def values(p: Any, v: Any, u0: Any, h: Any) -> Any:
        def one(s: Any) -> Any:
            return loss(over_samples(final, scheme, f, control, unravel(p + s * v), u0, 0.0, h))

        return jax.lax.map(one, jnp.asarray(SIZES))

    change = np.asarray(values(p, jnp.asarray(v), u0, h)) - own.value
    with np.errstate(invalid="ignore", over="ignore"):
        return np.abs(change), *(np.abs(change - SIZES * (g @ v)) for g in own.gradients)


def _backwards(scheme: Scheme, f: VectorField, control: Control, coeffs: PyTree, u0: Any, h: Any) -> np.ndarray:
    """Relative error of the states that come back from the end, in the norm over all samples."""

    def errors(coeffs: PyTree, u0: Any, h: Any) -> Any:
        start, steps = begin("adjoint_report", scheme, f, control, coeffs, u0, 0.0, h, rows=True)

        def along(u: Any, step: Any) -> Any:
            u = jax.vmap(lambda u: advance(scheme, f, control, u, step))(u)
            return u, u

        def back(u: Any, step: Any) -> Any:
            def one(u: Any) -> Any:
                return scheme.step(f, step.t + step.h, -step.h, u, lambda c: control.at(step.cell, 1.0 - c))

            u = jax.vmap(one)(u)
            return u, u

        end, states = jax.lax.scan(along, start, steps)
        _, again = jax.lax.scan(back, end, steps, reverse=True)
        states = jnp.concatenate([start[None], states])
        again = jnp.concatenate([again, end[None]])
        off = jnp.linalg.norm(again - states, axis=(1, 2))
        return jnp.where(off == 0, 0.0, off / jnp.linalg.norm(states, axis=(1, 2)))

    return np.asarray(jax.jit(errors)(coeffs, u0, h))


def _sentences(report: AdjointReport) -> tuple[str, ...]:
    name = TITLES.get(report.scheme, report.scheme)
    worst, back = max(report.weights, report.state), report.reconstructed[0]
    where = f"by {report.off} times its norm (that by the first state by {shown(report.state)})"
    if not np.isfinite(worst):
        said = ["The continuous adjoint has no gradient to give: integrated backwards it overflows."]
    elif worst > USELESS:
        said = [f"The continuous adjoint is wrong: its gradient by the weights is off {where}."]
    elif worst > VISIBLE:
        said = [
            f"The continuous adjoint is inexact: its gradient by the weights is off {where}; a line search and a small "
            "tolerance see that."
        ]
    else:
        said = [f"The continuous adjoint is close: its gradient by the weights is off {where}."]
    if not back <= USELESS:
        said.append(
            f"With {report.nt} steps of {name}, the first state comes back from the end with an error of {shown(back)} "
            "of its norm: the way back amplifies every error, as it does where the flow contracts."
        )
    else:
        said.append(f"The first state comes back from the end with an error of {shown(back)} of its norm.")
    if report.finer < 0.75 * report.weights:
        said.append(f"With twice as many steps the gradient by the weights is off by {report.finer:.2g}.")
    else:
        said.append(f"Twice as many steps do not help: the gradient by the weights is then off by {report.finer:.2g}.")
    if not worst <= VISIBLE:
        said.append(
            "Differentiate the steps: march='stored', or 'checkpointed' for less memory; both give the derivative of "
            "the loss."
        )
    return tuple(said)
