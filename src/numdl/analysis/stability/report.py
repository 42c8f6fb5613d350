"""Stability report of a network: what is there to say about the stability of one network on some samples?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numdl import checks
from numdl.analysis.stability.growth import DIRECTIONS, growth, walk
from numdl.analysis.stability.guarantees import energy_changes, pairs
from numdl.analysis.stability.layers import (
    Layers,
    finite_weights,
    layers_of_maps,
    layers_of_net,
    require_flow,
    require_weights,
    some_rows,
)
from numdl.analysis.stability.rediscretise import rediscretisation
from numdl.analysis.stability.regions import amplification, decaying, first_scheme, inside, largest_step
from numdl.analysis.stability.spectra import DENSE, spectra
from numdl.analysis.stability.steps import Judged, judge_steps
from numdl.analysis.stability.verdict import sentences
from numdl.contracts import PyTree
from numdl.flow.schemes import get_scheme

HARMLESS = 10.0
"""Gain up to which errors of inputs stay errors: a digit is lost at most."""

NEAR = 1e-2
"""Size of the noise that tests non-expansiveness, as a share of the root mean square of the states."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StabilityReport:
    """Stability of a network along the trajectories of n samples; layers are counted from 0, times in units of T.

    Arrays over layers have the length nt, or nt + 1 where they say something of the states between; where a trajectory
    overflows they end before that layer.

    Attributes:
        scheme: name of the scheme; plain maps are steps of ``"euler"``.
        h: step sizes, (nt,).
        eigenvalues: of the Jacobian of f at the start of each step, in 1 / time, (layers, n, m), or those farthest out
            for wide networks, filled up by NaN.
        amplification: largest factor by which a step multiplies an eigenvector, ``max |R(h lambda)|``, (layers,); for
            schemes that treat parts of the dynamics differently the spectral radius of the step itself, see
            ``numdl.analysis.stability.steps``.
        leaves: whether a step makes something grow that decays, that is, leaves the stability region, (layers,).
        largest_h: largest step size that keeps down all that decays; 0 or infinite where no bound was found.
        better_scheme: the first scheme whose region contains all of ``h lambda``, or None.
        log_norm: largest logarithmic 2-norm over the samples, in 1 / time, (layers,).
        bound: ``exp(sum h log_norm)``, which bounds the growth of the differential equation as far as the Jacobians
            at the starts of steps tell, (layers + 1,).
        growth: largest factor by which a perturbation of the first state grows up to each state, (layers + 1,).
        gradients: the same for gradients, from the last state back to each state, (layers + 1,).
        exponents: Lyapunov exponents over the horizon, descending, (n, k), in 1 / time.
        energy: relative change of the energy within each step, (layers,); empty without an energy.
        spread: distance of the worst pair of samples over that at time 0, (layers + 1,).
        promised: what the dynamics promise for that pair, infinite without a promise, (layers + 1,).
        rediscretised: relative change of the features with other steps, by name; empty for plain maps.
        noise: gain of random noise in the inputs, ``||D||_F / sqrt(d)`` with D the derivative of the features, (n,).
        worst: gain in the worst direction, ``||D||_2``, (n,).
        overflow: first layer whose result is not finite in the dtype of the network; None if there is none.
        verdict: sentences, the most serious first.
    """

    scheme: str
    h: np.ndarray
    eigenvalues: np.ndarray
    amplification: np.ndarray
    leaves: np.ndarray
    largest_h: float
    better_scheme: str | None
    log_norm: np.ndarray
    bound: np.ndarray
    growth: np.ndarray
    gradients: np.ndarray
    exponents: np.ndarray
    energy: np.ndarray
    spread: np.ndarray
    promised: np.ndarray
    rediscretised: Mapping[str, float]
    noise: np.ndarray
    worst: np.ndarray
    overflow: int | None
    verdict: tuple[str, ...] = ()

    @property
    def stable(self) -> bool:
        """Whether nothing overflows, no step leaves the stability region and every promise is kept."""
        return self.overflow is None and not self.leaves.any() and self.keeps_promise

    @property
    def gain(self) -> float:
        """Largest factor on a small change, from the inputs to the features or from the first state; else infinite."""
        if self.overflow is not None:
            return np.inf
        return float(np.nanmax([np.max(self.growth, initial=0.0), np.max(self.worst, initial=0.0)]))

    @property
    def harmless(self) -> bool:
        """Whether small changes stay small whatever the theory of the steps says: the gain is at most `HARMLESS`."""
        return self.gain <= HARMLESS

    @property
    def region(self) -> Callable[[Any], Any] | None:
        """``|R(z)|`` of the scheme for complex arrays; None where it has no such function."""
        scheme = get_scheme(self.scheme)
        return None if scheme.stability is None else partial(amplification, scheme, separable=False)

    @property
    def keeps_promise(self) -> bool:
        """Whether distances stay within what the dynamics promise; up to a tenth where the bound is linearised."""
        slack = 1e-9 if np.all(self.promised == self.promised[0]) else 0.1
        return bool(np.all(self.spread <= (1 + slack) * self.promised))


def stability_report(net: Any, theta: PyTree, x: Any) -> StabilityReport:
    """Stability of a residual network along the trajectories of up to 16 samples, in float64.

    Args:
        net: network with a flow: ``open``, ``trajectory``, ``field``, ``activation``, ``scheme``, ``weights_in_time``
            and ``step_sizes``, as ``ResNet`` has.
        theta: its weights.
        x: samples as the network sees them (scaled), (n, d); evenly spaced rows are taken from more than 16.

    Returns:
        The report.

    Raises:
        TypeError: the network has no flow.
        ValueError: it has no steps, the weights are not finite or not its own, or x has another shape, no rows or
            entries that are not finite.

    Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 2-4.
    """
    require_flow("stability_report", net)
    require_weights("stability_report", net, theta)
    rows = some_rows("stability_report", x, net.depth * net.width**2)
    limit = float(np.finfo(np.result_type(*(np.asarray(leaf) for leaf in jax.tree.leaves(theta)))).max)
    with jax.enable_x64(True):
        theta = finite_weights("stability_report", theta)
        inputs = jnp.asarray(rows)
        opened = jax.jit(jax.vmap(net.open, (None, 0)))(theta, inputs)
        layers = layers_of_net(net, theta, opened[0])
        return _report(layers, opened, limit, net, theta, inputs)


def residual_report(maps: Sequence[Callable[[Any], Any]], u: Any, *, h: float = 1.0) -> StabilityReport:
    """Stability of any residual maps, layer by layer, read as forward Euler steps ``u -> u + h f(u)``.

    Args:
        maps: JAX functions of one state (m,), one for each layer, such as ``lambda u: u + f(u)``.
        u: states before the first layer, (n, m); evenly spaced rows are taken from more than 16.
        h: step size that eigenvalues are to be measured in, positive.

    Returns:
        The report; without energy, guarantees and other discretisations.

    Raises:
        TypeError: a map is no function, or none that JAX can differentiate.
        ValueError: there are no maps, h is not positive, a map changes the shape, or u has no rows, another shape or
            entries that are not finite.
    """
    if not maps:
        raise ValueError("residual_report(no maps): there are no layers to judge. Give one function for each layer.")
    checks.number("residual_report", "h", h, above=0, hint="Use 1 for u + f(u).")
    rows = some_rows("residual_report", u, len(maps) * np.shape(u)[-1] ** 2)
    with jax.enable_x64(True):
        for j, layer in enumerate(maps):
            shape = _shape_of(j, layer, rows[0])
            if shape != rows.shape[1:]:
                raise ValueError(
                    f"residual_report: layer {j} maps {rows.shape[1:]} to {shape}. Needs states of one shape (m,)."
                )
        return _report(layers_of_maps(maps, h), jnp.asarray(rows), float(np.finfo(float).max))


def _shape_of(j: int, layer: Any, u: np.ndarray) -> Any:
    """Shape of what layer j makes of a state; None if it is no array."""
    try:
        return getattr(jax.eval_shape(layer, jnp.asarray(u)), "shape", None)
    except (TypeError, jax.errors.JAXTypeError) as error:
        raise TypeError(
            f"residual_report: layer {j} is {layer!r}, needs a JAX function of one state (m,). Use jax.numpy in it, "
            "and bind weights to it, as lambda u: u + f(u, weights)."
        ) from error


def _report(
    layers: Layers, u0: Any, limit: float, net: Any = None, theta: PyTree = None, inputs: Any = None
) -> StabilityReport:
    carries = walk(layers, u0, limit)
    overflow = None if len(carries) == len(layers.steps) + 1 else len(carries) - 1
    finish = jax.jit(jax.vmap(layers.finish))
    states = [finish(carry) for carry in carries]
    m = u0.shape[1]
    # The layer that overflows is judged as well: its Jacobian at the last finite state says why.
    values, norms = spectra(layers, states[: len(layers.steps)])
    h = layers.h[: len(values)]
    z = h[:, None, None] * values
    mode = [decaying(layer) for layer in values]
    scaled = [size * own for size, own in zip(h, mode, strict=True)]
    if layers.scheme.linear:
        judged = judge_steps(layers, states[: len(values)], values)
    else:
        judged = Judged(
            np.nanmax(amplification(layers.scheme, z, layers.separable), axis=(1, 2), initial=0.0),
            np.array([not inside(layers.scheme, own, layers.separable) for own in scaled]),
            largest_step(layers.scheme, np.concatenate(mode), float(layers.h.max()), layers.separable),
        )
    log_norm = norms.max(axis=1)
    bound = np.exp(np.concatenate([[0.0], np.cumsum(h * log_norm)]))
    grown = growth(layers, carries, m if m <= DENSE else DIRECTIONS)
    path = np.stack([np.asarray(state) for state in states])
    near = _perturbed(layers, u0, len(path), limit)
    known = min(len(path), len(near))
    omega = np.nanmax(np.abs(values), axis=(1, 2), initial=0.0)
    apart = pairs(path[:known], near[:known], net, layers, omega)
    gain = _gains(layers, u0, net, theta, inputs)
    found = StabilityReport(
        scheme=layers.name,
        h=layers.h,
        eigenvalues=values,
        amplification=judged.amplification,
        leaves=judged.leaves,
        largest_h=judged.largest_h,
        better_scheme=first_scheme(np.concatenate(scaled), layers.separable),
        log_norm=log_norm,
        bound=bound,
        growth=grown.forward.max(axis=1),
        gradients=grown.backward.max(axis=1),
        exponents=grown.exponents,
        energy=energy_changes(net, theta, layers, states),
        spread=apart.spread,
        promised=apart.promised,
        rediscretised={} if net is None else rediscretisation(net, theta, u0),
        noise=np.linalg.norm(gain, axis=(1, 2)) / gain.shape[2] ** 0.5,
        worst=np.linalg.norm(np.where(np.isfinite(gain), gain, 0.0), 2, axis=(1, 2)),
        overflow=overflow,
    )
    return dataclasses.replace(found, verdict=sentences(found))


def _perturbed(layers: Layers, u0: Any, count: int, limit: float) -> np.ndarray:
    """States of slightly perturbed samples."""
    noise = np.random.default_rng(0).standard_normal(u0.shape)
    size = NEAR * float(np.sqrt(np.mean(np.asarray(u0) ** 2)))
    moved = walk(layers, jnp.asarray(np.asarray(u0) + (size or NEAR) * noise), limit)[:count]
    finish = jax.jit(jax.vmap(layers.finish))
    return np.stack([np.asarray(finish(carry)) for carry in moved])


def _gains(layers: Layers, u0: Any, net: Any, theta: PyTree, inputs: Any) -> np.ndarray:
    """Derivative of the features by the inputs, (n, m, d); by the first state for plain maps."""
    if net is not None:
        end = jax.jacfwd(lambda row, theta: net.trajectory(theta, row)[-1])
        return np.asarray(jax.jit(jax.vmap(end, (0, None)))(inputs, theta))

    def features(u: Any) -> Any:
        carry = layers.start(u)
        for step in layers.steps:
            carry = layers.advance(carry, step)
        return layers.finish(carry)

    return np.asarray(jax.jit(jax.vmap(jax.jacfwd(features)))(u0))
