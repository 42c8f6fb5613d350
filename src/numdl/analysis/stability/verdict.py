"""Verdict on stability, in sentences: how does a stability report read in sentences, the most serious first?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from numdl.flow.schemes import get_scheme

if TYPE_CHECKING:
    from numdl.analysis.stability.report import StabilityReport

TITLES = {
    "euler": "forward Euler",
    "heun": "Heun's scheme",
    "adams_bashforth": "Adams-Bashforth",
    "symplectic_euler": "symplectic Euler",
    "verlet": "Verlet",
    "implicit_midpoint": "the implicit midpoint rule",
    "imex": "the implicit-explicit Euler scheme",
}
DISCRETE = 0.1
"""Relative change of the features above which a network is no longer its differential equation."""


def sentences(report: StabilityReport) -> tuple[str, ...]:
    """The verdict.

    Args:
        report: all but the verdict.

    Returns:
        Sentences.
    """
    parts = (_overflow, _region, _promise, _dynamics, _growth, _energy, _rediscretised, _inputs)
    return tuple(said for part in parts for said in part(report))


def _overflow(report: StabilityReport) -> list[str]:
    if report.overflow is None:
        return []
    h = report.h[report.overflow]
    return [
        f"Overflow in layer {report.overflow}, step size h = {h:.3g}: its result is not finite. What follows is "
        "about the layers up to there. Use smaller steps, dynamics that do not grow, or a larger penalty."
    ]


def _region(report: StabilityReport) -> list[str]:
    name = TITLES.get(report.scheme, report.scheme)
    by_steps = get_scheme(report.scheme).linear
    with_h = f"{name[0].upper()}{name[1:]} with h = {_sizes(report.h)}"
    if report.leaves.any():
        ways = [f"use {report.better_scheme}"] if report.better_scheme else []
        if report.largest_h > 0:
            ways.append(f"h <= {_down(report.largest_h)}" if ways else f"use h <= {_down(report.largest_h)}")
        else:
            ways.append("no smaller h that makes sense is stable")
        where = ranges(np.flatnonzero(report.leaves))
        joined = " or ".join(ways) if report.largest_h > 0 else "; ".join(ways)
        grows = f"multiplies what decays by up to {report.amplification[report.leaves].max():.3g} per step"
        return [f"{with_h} {grows if by_steps else 'leaves the stability region'} in {where}; {joined}."]
    room = f"; it would up to h = {_down(report.largest_h)}" if np.isfinite(report.largest_h) else " at any step size"
    if by_steps:
        return [f"{with_h} keeps down what decays in all layers, by the eigenvalues of its steps{room}."]
    return [f"{with_h} stays in the stability region in all layers, for all that decays{room}."]


def _promise(report: StabilityReport) -> list[str]:
    if not np.isfinite(report.promised).all():
        return []
    worst = int(np.argmax(report.spread / report.promised))
    numbers = f"{report.spread[worst]:.4g} times that at the start, promised are {report.promised[worst]:.4g}"
    if report.keeps_promise:
        return [f"Pairs of samples stay as close as the dynamics promise: the worst distance is {numbers}."]
    return [
        f"Pairs of samples move apart, against the promise of the dynamics: at state {worst} a distance is {numbers}."
    ]


def _dynamics(report: StabilityReport) -> list[str]:
    values = report.eigenvalues
    rate = np.nanmax(np.real(values), axis=(1, 2), initial=-np.inf)
    size = np.nanmax(np.abs(values), axis=(1, 2), initial=0.0)
    growing = rate > 1e-7 * size
    exponent = report.exponents[:, 0].max() if report.exponents.size else np.nan
    over = f"the largest Lyapunov exponent over the horizon is {exponent:.3g} per unit of time"
    if not growing.any():
        return [f"No eigenvalue of the dynamics has a positive real part; {over}."]
    where = ranges(np.flatnonzero(growing))
    return [f"The dynamics themselves grow in {where}, at rates up to {rate.max():.3g} per unit of time; {over}."]


def _growth(report: StabilityReport) -> list[str]:
    said = [
        f"A perturbation of the first state grows at most {report.growth.max():.3g} times, where the logarithmic norm "
        f"allows {report.bound.max():.3g} times for the differential equation; gradients at most "
        f"{report.gradients.max():.3g} times."
    ]
    if report.overflow is None and report.gradients[0] < 1e-3:
        said.append(f"Gradients vanish: the first layer sees {report.gradients[0]:.1e} of that of the last.")
    return said


def _energy(report: StabilityReport) -> list[str]:
    if not report.energy.size:
        return []
    worst = int(np.argmax(report.energy))
    return [f"A step changes the energy by at most {report.energy[worst]:.2g} of itself (layer {worst})."]


def _rediscretised(report: StabilityReport) -> list[str]:
    if not report.rediscretised or np.isnan(list(report.rediscretised.values())).all():
        return []
    changes = ", ".join(f"{value:.2g} with {name}" for name, value in report.rediscretised.items())
    finer = [value for name, value in report.rediscretised.items() if name != "nt/2"]
    if np.max(finer) <= DISCRETE:
        meaning = "the network is a discretised differential equation"
    else:
        meaning = "the weights belong to these steps, not to a differential equation"
    return [f"The same weights in other steps change the features by {changes} of their norm: {meaning}."]


def _inputs(report: StabilityReport) -> list[str]:
    if not (np.isfinite(report.noise).all() and np.isfinite(report.worst).all()):
        return []
    return [
        f"Small noise in the inputs changes the features by up to {report.noise.max():.3g} of its norm in a random "
        f"direction and {report.worst.max():.3g} in the worst one."
    ]


def ranges(layers: np.ndarray) -> str:
    """Numbers of layers in words: ``layer 2``, ``layers 0, 3-9``.

    Args:
        layers: ascending, at least one.

    Returns:
        The words.
    """
    parts = np.split(layers, np.flatnonzero(np.diff(layers) > 1) + 1)
    words = [f"{part[0]}" if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts]
    return f"layer{'' if len(layers) == 1 else 's'} {', '.join(words)}"


def _sizes(h: np.ndarray) -> str:
    low, high = h.min(), h.max()
    return f"{high:.3g}" if high - low <= 1e-3 * high else f"{low:.3g} to {high:.3g}"


def _down(value: float) -> str:
    """Two digits or three, rounded down: a bound must not be passed."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 2)
    return f"{np.floor(value / unit * (1 + 1e-9)) * unit:.3g}"
