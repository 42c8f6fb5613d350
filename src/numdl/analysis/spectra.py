"""Hessian spectra by Lanczos.

How are the eigenvalues of the curvature distributed, and which are the outermost, if only products are known?

Stochastic Lanczos quadrature: for random signs z the Gauss rule of ``z' g(H) z`` has Ritz values as nodes and squared
first components as weights; averaged over z it estimates the mean of g over the spectrum without bias of the draw. With
a Gaussian g of width sigma this is the spectral density, blurred by sigma.

Cost: ``probes * steps`` products, each a pass or two over the data, and ``steps`` vectors of memory.

Sources: Ubaru, Chen, Saad, SIAM J. Matrix Anal. Appl. 38 (2017); Lin, Saad, Yang, SIAM Review 58 (2016), sec. 3.2;
Parlett, The Symmetric Eigenvalue Problem, SIAM 1998, sec. 4.5 (the bound).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl import checks
from numdl.analysis.objective import KINDS, companion, curvature_at, require_analysed
from numdl.contracts import PyTree
from numdl.linalg import Tridiagonal, tridiagonalise

SQUARE_ROOT = np.sqrt(2 * np.pi)


class Density(NamedTuple):
    """Blurred spectral density; its integral is 1.

    Attributes:
        grid: eigenvalues, in units of the curvature, (points,).
        values: share of the eigenvalues per unit, (points,).
        error: estimate of the error of each value: the standard error over the probes plus the change when the last
            quarter of the Lanczos steps is left out, (points,).
        width: standard deviation of the Gaussian that blurs.
    """

    grid: np.ndarray
    values: np.ndarray
    error: np.ndarray
    width: float


class Spectrum(NamedTuple):
    """What probes found.

    Attributes:
        diagonal: of the tridiagonal matrices, (probes, steps).
        beside: next to it, the last one left over, (probes, steps).
        dimension: number P of eigenvalues.
        smallest: smallest Ritz value, never below the smallest eigenvalue but for rounding.
        smallest_error: an eigenvalue lies so near to it.
        largest: largest Ritz value, never above the largest eigenvalue.
        largest_error: an eigenvalue lies so near to it.
    """

    diagonal: np.ndarray
    beside: np.ndarray
    dimension: int
    smallest: float
    smallest_error: float
    largest: float
    largest_error: float

    def trace(self) -> tuple[float, float]:
        """Trace of the curvature and its standard error over the probes (infinite for one probe)."""
        each = self.dimension * self.diagonal[:, 0]
        return float(each.mean()), _standard_error(each)

    def density(self, grid: Any = None, *, width: Any = None) -> Density:
        """Density on a grid.

        Args:
            grid: eigenvalues at which to give it; None for 400 points over the spectrum and four widths beyond.
            width: standard deviation of the blur; None for a hundredth of the length of the spectrum.

        Returns:
            Values with an estimate of their error; infinite for one probe.

        Raises:
            ValueError: a width that is not positive.
        """
        length = max(self.largest - self.smallest, np.finfo(self.diagonal.dtype).eps * abs(self.largest), 1e-300)
        width = length / 100 if width is None else float(width)
        checks.number("Spectrum.density", "width", width, above=0, hint="Leave it out.")
        ends = (self.smallest - 4 * width, self.largest + 4 * width)
        grid = np.linspace(*ends, 400) if grid is None else np.asarray(grid, float)
        steps = self.diagonal.shape[1]
        each, shorter = (self._blurred(grid, width, count) for count in (steps, max(1, steps - steps // 4)))
        values = each.mean(axis=0)
        error = _standard_error(each) + np.abs(values - shorter.mean(axis=0))
        return Density(grid, values, error, width)

    def share_below(self, value: float) -> tuple[float, float]:
        """Share of the eigenvalues below a value and its standard error over the probes.

        A step function has no Gauss rule of high order: beside the standard error there is one of about the weight of
        the node next to the value.
        """
        nodes, weights = _gauss(self.diagonal, self.beside[:, :-1])
        each = np.sum(weights, axis=1, where=nodes < value)
        return float(each.mean()), float(_standard_error(each))

    def _blurred(self, grid: np.ndarray, width: float, steps: int) -> np.ndarray:
        """Density of each probe from its first steps, (probes, points)."""
        nodes, weights = _gauss(self.diagonal[:, :steps], self.beside[:, : steps - 1])
        bells = np.exp(-0.5 * ((grid - nodes[..., None]) / width) ** 2) / (width * SQUARE_ROOT)
        return np.sum(weights[..., None] * bells, axis=1)


class Eigenpairs(NamedTuple):
    """Outermost eigenvalues with their vectors.

    Attributes:
        values: eigenvalues, outermost first, (count,).
        vectors: unit vectors, structure of p with a leading axis (count,).
        errors: for each, an eigenvalue lies so near, in units of the curvature, (count,).
    """

    values: np.ndarray
    vectors: PyTree
    errors: np.ndarray

    def vector(self, i: int) -> PyTree:
        """The i-th vector, structure of p."""
        return jax.tree.map(lambda leaf: leaf[i], self.vectors)


def spectrum(
    f: Any,
    p: PyTree,
    aux: PyTree = None,
    *,
    kind: str = "hessian",
    probes: int = 8,
    steps: int = 40,
    key: jax.Array | None = None,
) -> Spectrum:
    """Stochastic Lanczos quadrature of the curvature at p.

    Args:
        f: problem or function ``p -> ()``.
        p: where the curvature is taken.
        aux: companion; None for the problem's first head, if it has one.
        kind: ``"hessian"``, ``"gauss-newton"`` or ``"difference"``, see ``curvature_at``.
        probes: number of start vectors of random signs; one gives no estimate of the error.
        steps: products for each; capped at the number of unknowns.
        key: JAX random key of the signs; None for a fixed one.

    Returns:
        Quadrature rules, and the extreme eigenvalues with bounds.

    Raises:
        ValueError: probes or steps below 1.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.analysis import spectrum
        >>> found = spectrum(lambda p: jnp.sum(jnp.array([1.0, 2.0, 5.0]) * p**2) / 2, jnp.zeros(3))
        >>> round(float(found.largest), 3), round(float(found.smallest), 3)
        (5.0, 1.0)
    """
    require_analysed("spectrum", f, p, aux)
    checks.choice("spectrum", "kind", kind, KINDS)
    drawn = checks.key("spectrum", "key", 0 if key is None else key)
    checks.whole("spectrum", "probes", probes, least=1, hint="Use 8.")
    checks.whole("spectrum", "steps", steps, least=1, hint="Use 40.")
    flat = ravel_pytree(p)[0]
    rng = np.random.default_rng(np.asarray(jax.random.key_data(drawn)))
    signs = jax.device_put(rng.choice([-1.0, 1.0], size=(probes, flat.size)).astype(flat.dtype))
    diagonal, beside = (np.asarray(a) for a in _probe(f, p, companion(f, p, aux), signs, kind, steps))
    ends = []
    for pick in (np.argmin, np.argmax):
        each = [_end(d, b, pick) for d, b in zip(diagonal, beside, strict=True)]
        ends.extend(each[int(pick([value for value, _ in each]))])
    return Spectrum(diagonal, beside, flat.size, *ends)


def eigenpairs(
    f: Any,
    p: PyTree,
    aux: PyTree = None,
    *,
    count: int = 2,
    which: str = "largest",
    kind: str = "hessian",
    steps: int = 40,
    key: jax.Array | None = None,
) -> Eigenpairs:
    """Outermost eigenvalues and vectors of the curvature at p, as directions for a plane.

    One start vector finds one vector of each eigenspace: a multiple eigenvalue appears once.

    Args:
        f: problem or function ``p -> ()``.
        p: where the curvature is taken.
        aux: companion; None for the problem's first head, if it has one.
        count: how many, at least 1, at most ``steps``.
        which: end of the spectrum, with signs.
        kind: ``"hessian"``, ``"gauss-newton"`` or ``"difference"``, see ``curvature_at``.
        steps: products; capped at the number of unknowns.
        key: JAX random key of the start; None for a fixed one.

    Returns:
        Values, vectors and bounds of their errors.

    Raises:
        ValueError: a count that the steps do not reach.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.analysis import eigenpairs
        >>> found = eigenpairs(lambda p: p[0] ** 2 + 5 * p[1] ** 2 - p[2] ** 2, jnp.zeros(3), steps=3)
        >>> found.values.round(3)
        array([10.,  2.], dtype=float32)
    """
    require_analysed("eigenpairs", f, p, aux)
    checks.choice("eigenpairs", "kind", kind, KINDS)
    checks.choice("eigenpairs", "which", which, ("largest", "smallest"))
    drawn = checks.key("eigenpairs", "key", 0 if key is None else key)
    flat, unravel = ravel_pytree(p)
    steps = min(checks.whole("eigenpairs", "steps", steps, least=1), flat.size)
    checks.whole("eigenpairs", "count", count, least=1, most=steps, hint=f"There are {flat.size} unknowns.")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(drawn)))
    start = jax.device_put(rng.standard_normal(flat.size).astype(flat.dtype))
    found = jax.tree.map(np.asarray, _tridiagonal(f, p, companion(f, p, aux), start, kind, steps))
    values, inner = np.linalg.eigh(np.asarray(found.matrix()))
    order = np.argsort(values)[:: -1 if which == "largest" else 1][:count]
    vectors = jax.vmap(unravel)(jnp.asarray(inner[:, order].T @ found.basis))
    return Eigenpairs(values[order], vectors, np.abs(found.beside[-1] * inner[-1, order]))


@eqx.filter_jit
def _probe(
    f: Any, p: PyTree, aux: PyTree, signs: Float[Array, "probes p"], kind: str, steps: int
) -> tuple[Float[Array, "probes steps"], Float[Array, "probes steps"]]:
    product = curvature_at(f, p, aux, kind)
    return jax.lax.map(lambda z: tridiagonalise(product, z, steps)[1:], signs)


@eqx.filter_jit
def _tridiagonal(f: Any, p: PyTree, aux: PyTree, z: Float[Array, " p"], kind: str, steps: int) -> Tridiagonal:
    return tridiagonalise(curvature_at(f, p, aux, kind), z, steps)


def _dense(diagonal: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """Tridiagonal matrices, (..., steps, steps)."""
    steps = diagonal.shape[-1]
    matrix = diagonal[..., None] * np.eye(steps)
    i = np.arange(steps - 1)
    matrix[..., i, i + 1] = matrix[..., i + 1, i] = beside
    return matrix


def _gauss(diagonal: np.ndarray, beside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights, (probes, steps) each; the weights of a probe sum to 1."""
    values, vectors = np.linalg.eigh(_dense(diagonal, beside))
    return values, vectors[:, 0, :] ** 2


def _end(diagonal: np.ndarray, beside: np.ndarray, pick: Any) -> tuple[float, float]:
    """Outermost Ritz value of one probe and the residual of its vector, which bounds the distance to an eigenvalue."""
    values, vectors = np.linalg.eigh(_dense(diagonal, beside[:-1]))
    i = int(pick(values))
    return float(values[i]), float(abs(beside[-1] * vectors[-1, i]))


def _standard_error(each: np.ndarray) -> Any:
    """Standard deviation of the mean over the leading axis."""
    if len(each) < 2:
        return np.full(each.shape[1:], np.inf)[()]
    return each.std(axis=0, ddof=1) / len(each) ** 0.5
