"""Simulators and engineering test functions.

Which smooth maps with known formulas stand in for an expensive simulation?

Inputs are uniform on the ranges of the source; ``noise`` is the standard deviation of Gaussian errors added to the
output, in its units. Every function is written from its formula.

Sources: Surjanovic, Bingham, Virtual Library of Simulation Experiments, Simon Fraser University, 2013, and those named
at each function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.data.table.dataset import Dataset

Seed = int | np.random.Generator | None
Range = tuple[float, float]

BOREHOLE: Mapping[str, Range] = {
    "rw": (0.05, 0.15),
    "r": (100.0, 50000.0),
    "Tu": (63070.0, 115600.0),
    "Hu": (990.0, 1110.0),
    "Tl": (63.1, 116.0),
    "Hl": (700.0, 820.0),
    "L": (1120.0, 1680.0),
    "Kw": (9855.0, 12045.0),
}
OTL_CIRCUIT: Mapping[str, Range] = {
    "Rb1": (50.0, 150.0),
    "Rb2": (25.0, 70.0),
    "Rf": (0.5, 3.0),
    "Rc1": (1.2, 2.5),
    "Rc2": (0.25, 1.2),
    "beta": (50.0, 300.0),
}
WING_WEIGHT: Mapping[str, Range] = {
    "Sw": (150.0, 200.0),
    "Wfw": (220.0, 300.0),
    "A": (6.0, 10.0),
    "sweep": (-10.0, 10.0),
    "q": (16.0, 45.0),
    "taper": (0.5, 1.0),
    "tc": (0.08, 0.18),
    "Nz": (2.5, 6.0),
    "Wdg": (1700.0, 2500.0),
    "Wp": (0.025, 0.08),
}
PISTON: Mapping[str, Range] = {
    "M": (30.0, 60.0),
    "S": (0.005, 0.020),
    "V0": (0.002, 0.010),
    "k": (1000.0, 5000.0),
    "P0": (90000.0, 110000.0),
    "Ta": (290.0, 296.0),
    "T0": (340.0, 360.0),
}


def borehole(n: int, random_state: Seed = None, noise: float = 0.0) -> Dataset:
    """Water flow through a borehole between two aquifers.

    ``2 pi Tu (Hu - Hl) / (log(r/rw) (1 + 2 L Tu / (log(r/rw) rw^2 Kw) + Tu/Tl))``, in m^3 per year.

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of added errors, m^3 per year.

    Returns:
        8 inputs (radii, transmissivities, heads, length, conductivity; ranges in ``BOREHOLE``), 1 target.

    Source: Harper, Gupta, Sensitivity/uncertainty analysis of a borehole scenario, ONWI-516, 1983; Morris, Mitchell,
    Ylvisaker, Technometrics 35, 1993, sec. 4.
    """
    return _simulate("borehole", borehole_flow, BOREHOLE, n, random_state, noise)


def borehole_flow(x: Float[np.ndarray, "n 8"]) -> Float[np.ndarray, " n"]:
    """The formula of `borehole`.

    Args:
        x: inputs (n, 8), columns as in ``BOREHOLE``.

    Returns:
        Flow (n,), m^3 per year.
    """
    rw, r, upper, head_upper, lower, head_lower, length, conductivity = x.T
    log_ratio = np.log(r / rw)
    resistance = 1 + 2 * length * upper / (log_ratio * rw**2 * conductivity) + upper / lower
    return 2 * np.pi * upper * (head_upper - head_lower) / (log_ratio * resistance)


def otl_circuit(n: int, random_state: Seed = None, noise: float = 0.0) -> Dataset:
    """Midpoint voltage of a push-pull circuit without output transformer.

    With ``g = beta (Rc2 + 9)`` and ``Vb1 = 12 Rb2 / (Rb1 + Rb2)``:
    ``(Vb1 + 0.74) g / (g + Rf) + 11.35 Rf / (g + Rf) + 0.74 Rf g / ((g + Rf) Rc1)``, in volts.

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of added errors, volts.

    Returns:
        6 inputs (resistances in kOhm, current gain; ranges in ``OTL_CIRCUIT``), 1 target.

    Source: Ben-Ari, Steinberg, Quality Engineering 19, 2007.
    """
    return _simulate("otl_circuit", otl_voltage, OTL_CIRCUIT, n, random_state, noise)


def otl_voltage(x: Float[np.ndarray, "n 6"]) -> Float[np.ndarray, " n"]:
    """The formula of `otl_circuit`.

    Args:
        x: inputs (n, 6), columns as in ``OTL_CIRCUIT``.

    Returns:
        Voltage (n,), volts.
    """
    rb1, rb2, rf, rc1, rc2, beta = x.T
    gain = beta * (rc2 + 9)
    base = 12 * rb2 / (rb1 + rb2)
    return ((base + 0.74) * gain + 11.35 * rf + 0.74 * rf * gain / rc1) / (gain + rf)


def wing_weight(n: int, random_state: Seed = None, noise: float = 0.0) -> Dataset:
    """Weight of the wing of a light aircraft.

    ``0.036 Sw^0.758 Wfw^0.0035 (A / cos^2 L)^0.6 q^0.006 taper^0.04 (100 tc / cos L)^-0.3 (Nz Wdg)^0.49 + Sw Wp``, in
    pounds, with the sweep L.

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of added errors, pounds.

    Returns:
        10 inputs (sweep in degrees, others in Anglo-American units; ranges in ``WING_WEIGHT``), 1 target.

    Source: Forrester, Sobester, Keane, Engineering Design via Surrogate Modelling, Wiley 2008, sec. 1.4.
    """
    return _simulate("wing_weight", wing_pounds, WING_WEIGHT, n, random_state, noise)


def wing_pounds(x: Float[np.ndarray, "n 10"]) -> Float[np.ndarray, " n"]:
    """The formula of `wing_weight`.

    Args:
        x: inputs (n, 10), columns as in ``WING_WEIGHT``, sweep in degrees.

    Returns:
        Weight (n,), pounds.
    """
    area, fuel, aspect, sweep, q, taper, thickness, load, gross, paint = x.T
    cosine = np.cos(np.deg2rad(sweep))
    geometry = area**0.758 * (aspect / cosine**2) ** 0.6 * taper**0.04 * (100 * thickness / cosine) ** -0.3
    return 0.036 * geometry * fuel**0.0035 * q**0.006 * (load * gross) ** 0.49 + area * paint


def piston(n: int, random_state: Seed = None, noise: float = 0.0) -> Dataset:
    """Cycle time of a piston in a cylinder filled with gas.

    ``2 pi sqrt(M / (k + S^2 (P0 V0 / T0) (Ta / V^2)))`` in seconds, with
    ``V = S / (2 k) (sqrt(A^2 + 4 k (P0 V0 / T0) Ta) - A)`` and ``A = P0 S + 19.62 M - k V0 / S``.

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of added errors, seconds.

    Returns:
        7 inputs (kg, m^2, m^3, N/m, N/m^2, K, K; ranges in ``PISTON``), 1 target.

    Source: Kenett, Zacks, Modern Industrial Statistics, Duxbury 1998; Ben-Ari, Steinberg, Quality Engineering 19, 2007.
    """
    return _simulate("piston", piston_cycle, PISTON, n, random_state, noise)


def piston_cycle(x: Float[np.ndarray, "n 7"]) -> Float[np.ndarray, " n"]:
    """The formula of `piston`.

    Args:
        x: inputs (n, 7), columns as in ``PISTON``.

    Returns:
        Cycle time (n,), seconds.
    """
    mass, surface, volume0, spring, pressure, ambient, filling = x.T
    gas = pressure * volume0 / filling * ambient
    a = pressure * surface + 19.62 * mass - spring * volume0 / surface
    volume = surface / (2 * spring) * (np.sqrt(a**2 + 4 * spring * gas) - a)
    return 2 * np.pi * np.sqrt(mass / (spring + surface**2 * gas / volume**2))


def friedman1(n: int, random_state: Seed = None, noise: float = 0.0, d: int = 10) -> Dataset:
    """Five inputs that matter among d: ``10 sin(pi x1 x2) + 20 (x3 - 1/2)^2 + 10 x4 + 5 x5``, made by scikit-learn.

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of added errors, no unit.
        d: number of inputs, at least 5.

    Returns:
        d inputs uniform in [0, 1], 1 target.

    Raises:
        ValueError: fewer than 5 inputs, no sample, or a negative noise.

    Source: Friedman, Multivariate adaptive regression splines, Annals of Statistics 19, 1991, sec. 4.3.
    """
    from sklearn.datasets import make_friedman1

    check_request("friedman1", n, noise)
    if d < 5:
        raise ValueError(f"friedman1(d={d}): the formula needs at least 5 inputs.")
    seed = int(np.random.default_rng(random_state).integers(2**31))
    x, y = make_friedman1(n_samples=n, n_features=d, noise=noise, random_state=seed)
    return Dataset(x, y[:, None], tuple(f"x{j + 1}" for j in range(d)))


def _simulate(
    call: str,
    formula: Callable[[np.ndarray], np.ndarray],
    ranges: Mapping[str, Range],
    n: int,
    random_state: Seed,
    noise: float,
) -> Dataset:
    check_request(call, n, noise)
    rng = np.random.default_rng(random_state)
    low, high = np.array(list(ranges.values())).T
    x = rng.uniform(low, high, size=(n, len(low)))
    c = formula(x) + noise * rng.standard_normal(n)
    return Dataset(x, c[:, None], tuple(ranges))


def check_request(call: str, n: int, noise: float) -> None:
    """Refuse a request that no generator can meet.

    Args:
        call: the call to name in an error.
        n: number of samples.
        noise: standard deviation of errors.

    Raises:
        ValueError: no sample, or a noise that is negative or not finite.
    """
    checks.whole(call, "n", n, least=1)
    checks.number(call, "noise", noise, least=0, hint="Use 0 for none.")
