"""Dynamics on graphs (PDE-GCN): how do diffusion and waves of many channels act on the nodes of a graph?

A state holds c channels at each of n nodes, node after node: ``m = n c``. The gradient along edges,
``(G u)_e = sqrt(w_e) (u_i - u_j)``, takes the place that shifts have in a convolution, ``G'G`` is the graph Laplacian,
and every matrix K of the layer becomes K of the channels after G: so a parabolic layer is the diffusion
``-G'K' act(K G u + b)``, a hyperbolic one the wave of the same force. Formulas, guarantees and
energies are those of the dynamics.

An edge leads from the node of the smaller number to that of the larger one, i < j. Renumbering the nodes turns some
round, which changes the result where b is not 0 or the activation is not odd, as ReLU.

Source: Eliasof, Haber and Treister, PDE-GCN: novel architectures for graph neural networks motivated by partial
differential equations, NeurIPS 2021, sec. 3.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array

from numdl import checks
from numdl.contracts import VectorField
from numdl.flow.activations import Activation
from numdl.flow.dynamics import get_dynamics
from numdl.flow.dynamics.base import Dynamics, drawn
from numdl.flow.images.operators import ImageMap
from numdl.flow.images.spectral import spectral_norm
from numdl.flow.separable import Separable

ON_GRAPHS = ("parabolic", "double_symmetric", "hyperbolic", "double_hamiltonian")
"""Dynamics whose matrices come with their transposes, so that they may lead from nodes to edges."""


def on_graph(dynamics: str, weights: Any) -> Dynamics:
    """Dynamics whose matrices act on differences along the edges of a graph.

    Args:
        dynamics: "parabolic" or "double_symmetric" for diffusion, "hyperbolic" or "double_hamiltonian" for waves.
        weights: symmetric, not negative, (n, n), n >= 1, sparse or dense, as
            ``numdl.regularize.graph.neighbour_weights`` gives them, the largest from 1e-60 to 1e60; the diagonal says
            nothing.

    Returns:
        Dynamics for ``ResNet(width=n * c, dynamics=...)`` of which one sample is all nodes; halves of waves are
        n (c / 2) numbers each. The same object for the same graph.

    Raises:
        ValueError: other dynamics, weights that are not finite, symmetric or positive, or too large or small, or no
            edge.

    Examples:
        >>> import jax.numpy as jnp, numpy as np
        >>> from numdl.flow import get_activation, on_graph
        >>> path = np.diag([1.0, 1.0], 1) + np.diag([1.0, 1.0], -1)
        >>> f = on_graph("parabolic", path).vector_field(get_activation("identity"))
        >>> f(0.0, jnp.array([1.0, 0.0, 2.0]), {"K": jnp.ones((1, 1)), "b": jnp.zeros(1)})
        Array([-1.,  3., -2.], dtype=float32)
    """
    checks.choice("on_graph", "dynamics", dynamics, ON_GRAPHS)
    if scipy.sparse.issparse(weights):
        W = scipy.sparse.coo_array(weights)
        checks.finite("on_graph", "weights", W.data)
    else:
        W = scipy.sparse.coo_array(np.asarray(checks.finite("on_graph", "weights", weights, ("n", "n")), float))
    n, columns = W.shape  # type: ignore[misc]
    if not n or n != columns or abs(W - W.T).max() > 1e-12 * abs(W).max() or W.min() < 0:
        raise ValueError(f"on_graph(weights of shape {W.shape}): needs a symmetric matrix >= 0. Give (W + W.T) / 2.")
    upper = scipy.sparse.coo_array(scipy.sparse.triu(W, 1))
    upper.eliminate_zeros()
    if not upper.nnz:
        raise ValueError("on_graph(weights): the graph has no edge, needs one at least. Give more neighbours.")
    largest = float(upper.max())
    if not 1e-60 < largest < 1e60:  # roots and their inverses are numbers of single precision
        raise ValueError(
            f"on_graph(weights): the largest is {largest:.3g}, needs one from 1e-60 to 1e60. Divide them by it."
        )
    order = np.lexsort(upper.coords[::-1])
    i, j = (np.asarray(part, np.int64)[order].tobytes() for part in upper.coords)
    return _on_graph(dynamics, n, i, j, np.sqrt(upper.data[order].astype(float)).tobytes())


@functools.lru_cache(maxsize=64)
def _on_graph(name: str, n: int, ends: bytes, others: bytes, roots: bytes) -> Dynamics:
    base, i, j = get_dynamics(name), np.frombuffer(ends, np.int64), np.frombuffer(others, np.int64)
    root = np.frombuffer(roots)
    degrees = np.bincount(i, root**2, n) + np.bincount(j, root**2, n)
    largest = float((degrees[i] + degrees[j]).max())  # at least the largest eigenvalue of G'G
    digest = hashlib.sha256(ends + others + roots).hexdigest()[:8]
    title = f"{base.name} on {n} nodes, graph {digest}"  # a file brings dynamics back by their name

    def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
        if m % n:
            raise ValueError(f"{title}.init(m={m}): needs a multiple of {n} nodes. Give nodes * channels.")
        if halves and m // n % 2:
            raise ValueError(f"{title}.init(m={m}): a state of two halves needs an even number of channels.")
        found = {part: np.asarray(values) for part, values in base.init(rng, m // n, scale, float).items()}
        return {part: values / largest**0.5 if part[0] == "K" else values for part, values in found.items()}

    def map_of(K: Array) -> ImageMap:
        def act(u: Array) -> Array:
            v = u.reshape(n, K.shape[1])
            return (jnp.asarray(root, u.dtype)[:, None] * ((v[i] - v[j]) @ K.T)).ravel()

        return ImageMap(act, (len(i) * K.shape[0], n * K.shape[1]))

    def seen(theta: dict[str, Array]) -> dict[str, Any]:
        return {part: map_of(leaf) if part[0] == "K" else jnp.tile(leaf, len(i)) for part, leaf in theta.items()}

    def vector_field(activation: Activation) -> VectorField:
        def see(f: VectorField) -> VectorField:
            return lambda t, u, theta: f(t, u, seen(theta))

        f = base.vector_field(activation)
        return Separable(see(f.first), see(f.second)) if isinstance(f, Separable) else see(f)

    def norms(theta: dict[str, Any], gamma: float) -> dict[str, float]:
        return {p: largest**0.5 * spectral_norm(np.asarray(K, float)) for p, K in theta.items() if p[0] == "K"}

    def energy(potential: Activation, u: Array, theta: dict[str, Array]) -> Array:
        assert base.energy is not None
        return base.energy(potential, u, seen(theta))

    halves = isinstance(base.vector_field(jnp.tanh), Separable)
    vector_field.__dict__.update(norms=norms, base=base, made_by=(_on_graph, (name, n, ends, others, roots)))
    whole = Dynamics(title, drawn(draw), vector_field, base.guarantees, base.energy and energy)
    vector_field.made = whole  # type: ignore[attr-defined]
    return whole
