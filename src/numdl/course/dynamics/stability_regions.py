"""Stability regions and step sizes.

Which step sizes keep a network that turns and neither grows nor shrinks, and what do its orbits look like?

    y' = tanh(z),    z' = -tanh(y)

is the antisymmetric network of width two and the Hamiltonian one with ``K = 1``. Its linearisation at the origin has
the eigenvalues i and -i, and its energy ``log cosh y + log cosh z`` is constant, so orbits are closed. A scheme with
stability function R keeps them where ``|R(i h)| <= 1``: forward Euler at no h > 0, RK3 up to ``sqrt(3)``, RK4 up to
``sqrt(8)``, the implicit midpoint rule at all, Verlet (for two halves) up to 2.

Source: Hairer and Wanner, Solving ordinary differential equations II, Springer 1996, sec. IV.2; Haber and Ruthotto,
Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 4.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Stability regions: forward Euler spirals out where RK4 and Verlet stay on the orbit"
REGIONS = ("euler", "heun", "rk3", "rk4")
ORBITS = ("euler", "rk4", "verlet", "implicit_midpoint")
START = (1.0, 0.0)
PARAMETERS = {"h": Parameter(0.5, 0.01, 3.0, "length of a step of the orbits, in time")}


def run(quick: bool, random_state: int, *, h: float = PARAMETERS["h"].default) -> Outcome:
    """Amplification over the complex plane and on the imaginary axis, and orbits with the same step size.

    Args:
        quick: shorter orbits and a coarser plane.
        random_state: not used, as nothing is random.
        h: length of a step of the orbits, in time.

    Returns:
        Limits, energies, claims and figure.
    """
    import jax

    from numdl.analysis.stability import amplification
    from numdl.flow import get_scheme

    nt, count = (100, 81) if quick else (400, 321)
    real, imaginary = np.linspace(-4.0, 1.5, count), np.linspace(-3.5, 3.5, count)
    plane = real[None, :] + 1j * imaginary[:, None]
    fine = np.linspace(0.001, 4.0, 4000)
    with jax.enable_x64(True):
        regions = {name: np.asarray(amplification(get_scheme(name), plane, False)) for name in REGIONS}
        axis = {
            name: np.asarray(amplification(get_scheme(name), 1j * fine, get_scheme(name).halves))
            for name in dict.fromkeys(REGIONS + ORBITS)
        }
        orbits = {name: orbit(name, nt, h) for name in ORBITS}
    # Where all is kept, |R| is 1 up to rounding.
    limits = {
        name: float(fine[: np.argmax(np.append(values, np.inf) > 1 + 1e-9)].max(initial=0.0))
        for name, values in axis.items()
    }
    energies = {name: np.log(np.cosh(way)).sum(axis=1) for name, way in orbits.items()}
    change = {name: float(np.max(np.abs(values / values[0] - 1))) for name, values in energies.items()}
    numbers = {"h": h, "steps": nt, "stable_on_the_imaginary_axis": limits, "largest_change_of_energy": change}
    claims = [
        at_most("On the imaginary axis forward Euler is stable for h", limits["euler"], 0.0),
        at_most("RK3 misses its limit sqrt(3) by", abs(limits["rk3"] - 3**0.5), 2e-3),
        at_most("RK4 misses its limit sqrt(8) by", abs(limits["rk4"] - 8**0.5), 2e-3),
        at_most("Verlet misses its limit 2 by", abs(limits["verlet"] - 2.0), 2e-3),
        at_least(f"With h = {h:g} forward Euler changes the energy by a factor of", change["euler"], 5.0),
        at_most("RK4 changes it by a share of", change["rk4"], 0.02 * nt / 100),
        at_most("Verlet changes it by a share of", change["verlet"], 0.1),
        at_most("The implicit midpoint rule changes it by a share of", change["implicit_midpoint"], 0.1),
    ]
    return Outcome(numbers, claims, partial(_draw, h, real, imaginary, regions, orbits, energies))


def orbit(scheme: str, nt: int, h: float) -> np.ndarray:
    """States of the network at all times, by steps of size h.

    Args:
        scheme: key of ``SCHEMES``.
        nt: number of steps.
        h: length of a step, in time.

    Returns:
        ``[y, z]``, (nt + 1, 2).
    """
    import jax
    import jax.numpy as jnp

    from numdl.flow import BasisInTime, get_activation, get_dynamics, get_scheme, serial

    f = get_dynamics("hamiltonian").vector_field(get_activation("tanh"))
    weights = {"K": jnp.ones((1, 1, 1)), "b": jnp.zeros((1, 1))}
    march = jax.jit(partial(serial, get_scheme(scheme), f, BasisInTime(nt, 1, "legendre")))
    return np.asarray(march(weights, jnp.asarray(START), 0.0, h))


def _draw(
    h: float, real: np.ndarray, imaginary: np.ndarray, regions: dict, orbits: dict, energies: dict, figure: Figure
) -> None:
    """Edges of the stability regions, the orbits, and their energy over time."""
    from matplotlib.lines import Line2D

    from numdl.plots.canvas import BLUE, CYCLE, GREEN, ORANGE, PURPLE, RED, logarithmic

    names = ("euler", "heun", "rk3", "rk4", "verlet", "implicit_midpoint")
    colors = dict(zip(names, (ORANGE, GREEN, PURPLE, BLUE, RED, CYCLE[5]), strict=True))
    handles = [Line2D([], [], color=color, label=name.replace("_", " ")) for name, color in colors.items()]
    handles.append(Line2D([], [], color="black", marker="x", linestyle="", label=f"eigenvalues times h = {h:g}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=7)
    left, middle, right = figure.subplots(1, 3)
    for name, values in regions.items():
        left.contour(real, imaginary, values, levels=[1.0], colors=[colors[name]])
    left.plot([0, 0], [-h, h], "x", color="black")
    left.set(title="|R(z)| = 1", xlabel="real part of z", ylabel="imaginary part of z", aspect="equal")
    # Where they lie on one another, the widest is drawn first.
    for k, (name, way) in enumerate(orbits.items()):
        near = way[:60] if name == "euler" else way
        line = {"color": colors[name], "linewidth": 0.7 if name == "euler" else 3.6 - k}
        middle.plot(near[:, 0], near[:, 1], ".-" if name == "euler" else "-", markersize=3, **line)
        right.plot(h * np.arange(len(way)), energies[name], **(line | {"linewidth": max(1.4, line["linewidth"])}))
    middle.set(title=f"Orbits, h = {h:g}", xlabel="y", ylabel="z", aspect="equal")
    logarithmic(right, np.concatenate(list(energies.values())))
    right.set(title="Energy", xlabel="t", ylabel="log cosh y + log cosh z")
