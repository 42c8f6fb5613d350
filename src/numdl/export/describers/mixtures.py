"""`AutoRegressor` and `KernelRegressor` as programs: members mixed by their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import eigh, solve_triangular

from numdl.export.describers.kernels import Place, covariance
from numdl.export.describers.parts import forest, mean_and_std, scaled
from numdl.export.description import CannotExport, Description, kind_of
from numdl.export.local import PROFILES
from numdl.export.program import Program, Value, require_fit
from numdl.export.slopes import adjoints

Moments = tuple[Value, Value | None]


def describe(model: Any, std: bool | float) -> Description:
    """A mixture for each target.

    Args:
        model: fitted.
        std: whether standard deviations are wanted, or by which share of themselves they may be too large.

    Returns:
        The description.

    Raises:
        CannotExport: a member is of a kind that is not known here.
    """
    program = Program(len(model._scaler.center))
    x = scaled(program.input, model._scaler)[np.flatnonzero(model._active)]
    means, deviations = [], []
    for j, mixture in enumerate(model.mixtures_):
        center, scale = float(model._targets.center[j]), float(model._targets.scale[j])
        units = Units(center, scale, bool(model.logarithm_[j]))
        if getattr(model, "_bounds", None) is not None:  # files from before have none
            of_mean, of_deviation, top = map(float, model._bounds[j])
            units = Units(*units[:3], of_mean, of_deviation, top)
        mean, deviation = _mixture(kind_of(model), mixture, x, float(getattr(model, "_typical", 1.0)), units, std)
        means.append(mean)
        if deviation is not None:
            deviations.append(deviation)
    mean_and_std(program, program.join(means), program.join(deviations) if std else None)
    return Description(kind_of(model), program, bool(model._flat), model._scaler.center, model._scaler.scale)


STEEPEST, HIGHEST, WIDEST, FREE = 300.0, 700.0, 100.0, 0.5
"""As in ``numdl.estimators.kernels.logarithm``, which this room does not import."""


class Units(NamedTuple):
    """Centre and scale of what members see of a target, whether that is its logarithm, and its ``Bounds``."""

    center: float
    scale: float
    logarithm: bool
    of_mean: float = WIDEST
    of_deviation: float = WIDEST
    top: float = HIGHEST


def _mixture(call: str, mixture: Any, x: Value, typical: float, units: Units, std: bool | float) -> Moments:
    """Mean and deviation of the target, see ``numdl.estimators.kernels.logarithm``."""
    place = Place(x, mixture.rows.x, mixture.box, mixture.rows)
    each = []
    for member in mixture.members:
        kind = kind_of(member)
        if kind not in MEMBERS:
            raise CannotExport(
                f"export({call}): a member of kind {kind} is not known here; needs {', '.join(MEMBERS)}. Use "
                "save and load."
            )
        mean, variance = MEMBERS[kind](member, place, units.logarithm or std)
        require_fit(mean.size == 1, kind, mean.size)
        if variance is not None and typical != 1:
            variance = variance + (typical - 1) * float(
                np.exp(member.theta[0]) if kind in ("Process", "Nearest") else member.noise
            )
        each.append(_lognormal(mean, variance, units) if units.logarithm and variance is not None else (mean, variance))
    weights = [float(member.weight) for member in mixture.members]
    mean, deviation = _sum(weight * one for weight, (one, _) in zip(weights, each, strict=True)), None
    if std:
        parts = (weight * (v + (m - mean).square()) for weight, (m, v) in zip(weights, each, strict=True))  # type: ignore[operator]
        deviation = _sum(parts).sqrt()
    if units.logarithm:
        unit = float(np.exp(units.center))
        return mean * unit, None if deviation is None else deviation * unit
    return mean * units.scale + units.center, None if deviation is None else deviation * units.scale


def _lognormal(mean: Value, variance: Value, units: Units) -> Moments:
    """Mean and variance of a member over ``exp(center)``, from those for the scaled logarithm of the target."""
    m, v = units.scale * mean, units.scale**2 * variance
    lift = 0.5 * v.minimum(units.of_mean)
    lift = lift - (lift - (m * -1.0 + (units.top - units.center)).maximum(FREE)).maximum(0.0)
    mean = (m + lift).minimum(min(STEEPEST, HIGHEST - units.center)).exp()
    v = v.minimum(units.of_deviation)
    return mean, mean.square() * ((0.5 * v).tanh() * (v.exp() + 1.0))  # exp(v) - 1 without cancellation


def _process(member: Any, place: Place, std: bool | float) -> Moments:
    """A Gaussian process, see ``numdl.estimators.kernels.process``."""
    noise, signal, linear = (float(value) for value in np.exp(member.theta[:3]))
    cross, own = covariance(member.name, member.theta[3:], place)
    k = place.x.affine(linear * place.z, 1.0)
    if cross is not None:
        k = signal * cross + k
    mean = k.affine(member.dual)
    if not std:
        return mean, None
    prior = 1.0 + signal * own + linear * place.x.square().sum()
    few = None if std is True else fewer(member.lower, noise / place.rows.w + float(member.jitter), 2.0 * float(std))
    known = k.solve(member.lower) if few is None else k.affine(few)
    return mean, (prior - known.square().sum()).maximum(0.0) + noise


def fewer(lower: np.ndarray, noise: np.ndarray, share: float) -> np.ndarray | None:
    """Rows V with ``k' V' V k`` for ``k' (K + N)^-1 k``, which are fewer numbers than the triangle of ``K + N``.

    With the eigenvalues m_i and vectors u_i of ``N^-1/2 K N^-1/2`` and ``z = N^-1/2 k``, what is known is
    ``sum_i (u_i'z)^2 / (m_i + 1)``; since ``sum_i (u_i'z)^2 / m_i`` is at most the prior variance, what is left is at
    least ``sum_i (u_i'z)^2 / ((m_i + 1) m_i)``. Directions with ``m_i <= share``, left out, therefore make the variance
    too large, and by at most this share of it, whatever k is, up to rounding: with a noise variance of 1e-10 of the
    signal and less, deviations near the rows lose digits to it, here as in all forms.

    Args:
        lower: triangle of K + N (n, n).
        noise: diagonal of N (n,).
        share: of the variance.

    Returns:
        V (r, n); None where that is no less.
    """
    n = len(lower)
    A = lower / np.sqrt(noise)[:, None]  # N^-1/2 L = U s W', so that m = s^2 - 1, V = W' L^-1
    square = A.T @ A
    lost = n * np.finfo(float).eps * np.linalg.norm(square, np.inf)  # of all s^2, by rounding
    if lost < 0.1 * share:  # a third of the time of the other way
        W = eigh(square, subset_by_value=(1.0 + share - lost, np.inf), overwrite_a=True, check_finite=False)[1]
    else:
        _, s, W = np.linalg.svd(A)
        W = W[(s - 1) * (s + 1) > share].T
    if W.shape[1] * n > n * (n + 1) // 2:
        return None
    return solve_triangular(lower, W, lower=True, trans=1).T


def _network(member: Any, place: Place, std: bool) -> Moments:
    """A small network, see ``numdl.estimators.auto.network``; its variance is that of the linearised model."""
    spec, p, x = member.spec, member.weights, place.x
    m, d, depth = int(spec.width), int(spec.d), int(spec.depth)
    K, k = p[: m * d].reshape(m, d), p[m * d : m * (d + 1)]
    layers = [(x.affine(K, k), x)]
    u = layers[0][0].tanh()
    for i in range(depth):
        start = m * (d + 1) + i * m * (m + 1)
        K, k = p[start : start + m * m].reshape(m, m), p[start + m * m : start + m * (m + 1)]
        layers.append((u.affine(K, k), u))
        u = u + (1.0 / depth) * layers[-1][0].tanh()
    head = p[m * (d + 1) + depth * m * (m + 1) :]
    seen = place.program.join([u, x]) if spec.linear else u
    mean = seen.affine(head[:-1], head[-1])
    if not std:
        return mean, None
    slopes = adjoints(mean, [z for z, _ in layers])
    parts = [part for g, (_, a) in zip(slopes, layers, strict=True) for part in (g.outer(a), g)]
    by_weights = place.program.join([*parts, seen, place.program.constant(1.0)])
    return mean, by_weights.affine(member.root.T).square().sum() + float(member.noise)


def _chaos(member: Any, place: Place, std: bool) -> Moments:
    """A sparse expansion in Legendre polynomials, see ``numdl.estimators.auto.chaos``."""
    (low, high), powers, d = member.interval, member.powers, place.x.size
    t, free = (2.0 * (x - low) / (high - low) - 1.0 for x in (place.x.maximum(low).minimum(high), place.x))
    each: list[Any] = [place.program.constant(np.ones(d)), t]
    for i in range(1, max(int(powers.max()), 1)):  # (i + 1) P_{i+1} = (2i + 1) t P_i - i P_{i-1}
        each.append(((2 * i + 1) * t * each[i] - i * each[i - 1]) / (i + 1.0))
    each.append(free / np.sqrt(2 * len(each) + 1) * np.sqrt(3.0))  # of a line, which goes on beyond the interval
    joined = place.program.join([float(np.sqrt(2 * i + 1)) * one for i, one in enumerate(each)])
    factors = np.zeros((len(powers), max(int((powers > 0).sum(axis=1).max()), 1)), int)  # 0: the constant 1
    for row, term in zip(factors, powers, strict=True):
        inputs = np.flatnonzero(term)
        row[: len(inputs)] = (term[inputs] if term.sum() > 1 else len(each) - 1) * d + inputs
    f = joined[factors[:, 0]]
    for column in factors.T[1:]:
        f = f * joined[column]
    mean = f.affine(member.coefficients)
    if not std:
        return mean, None
    return mean, f.affine(member.root.T).square().sum() + float(member.noise)


def _boosted(member: Any, place: Place, std: bool) -> Moments:
    """Boosted trees, see ``numdl.estimators.auto.boosted``; their variance is the same everywhere."""
    variance = place.program.constant(float(member.noise) + float(member.more)) if std else None
    return forest(place.x, member.forest), variance


def _nearest(member: Any, place: Place, std: bool) -> Moments:
    """A process on nearest rows, see ``numdl.estimators.kernels.nearest``."""
    n, rows = len(place.z), place.rows
    if n > EXACT:
        raise CannotExport(
            f"export: a process on the nearest of {n:,} rows finds them approximately beyond {EXACT:,}, and the file "
            "would hold all rows. Fit a network (numdl fit --model resnet), or fewer rows."
        )
    noise, signal, linear = (float(value) for value in np.exp(member.theta[:3]))
    jitter = 100 * JITTER * (1 + int(member.neighbours)) * signal
    settings = (min(int(member.neighbours), n), signal, linear, *PROFILES[str(member.kernel)])
    data = (place.z, rows.y, noise / rows.w + jitter, np.exp(-member.theta[3:]), np.array(settings))
    both = place.x.local(*data)
    return both[[0]], both[[1]] + noise if std else None


JITTER, EXACT = 8 * np.finfo(float).eps, 10**5
"""As in ``numdl.estimators.kernels``: share of the signal added to the diagonal, and rows with exact neighbours."""

MEMBERS: dict[str, Callable[[Any, Place, Any], Moments]] = {
    "Process": _process,
    "Network": _network,
    "Chaos": _chaos,
    "Nearest": _nearest,
    "Boosted": _boosted,
}
"""Kind of member to what it says of the scaled target: mean and variance of a new observation."""


def _sum(values: Any) -> Value:
    first, *others = values
    for one in others:
        first = first + one
    return first
