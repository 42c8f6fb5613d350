"""Which networks do the benchmarks of gradients compare, by our marches, by hand, and in torch?

A network is a flow without opening and head, its loss ``||u(T)||^2 / (2 n)``; all get the same weights and states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numdl.flow import ACTIVATIONS, PiecewiseConstant, get_dynamics, get_march, get_scheme
from numdl.flow.dynamics.base import Dynamics, draw_layers
from numdl.flow.images import convolve, convolve_transposed
from numdl.flow.march import over_samples

T = 5.0

Slope = Callable[[Any, Any], Any]


def weights(dynamics: str | Dynamics, depth: int, width: int, dtype: str) -> dict[str, np.ndarray]:
    """The same random weights for everybody, leading axis depth."""
    drawn = draw_layers(get_dynamics(dynamics), np.random.default_rng(0), depth, width, 1.0)
    return {name: np.asarray(leaf).astype(dtype) for name, leaf in drawn.items()}


def samples(n: int, width: int, dtype: str) -> np.ndarray:
    """Standard normal states at the start, (n, width)."""
    return np.random.default_rng(1).standard_normal((n, width)).astype(dtype)


def march_slope(march: str, dynamics: str | Dynamics, scheme: str, depth: int, n: int) -> Slope:
    """Compilable gradient of ``||u(T)||^2 / (2 n)`` by the weights."""
    # The adjoint equation moves state, adjoint and gradient as one vector, which has no two halves for Verlet.
    scheme = "heun" if march == "adjoint" else scheme
    args = get_scheme(scheme), get_dynamics(dynamics).vector_field(ACTIVATIONS["tanh"]), PiecewiseConstant(depth)

    def loss(coeffs: Any, u: Any) -> Any:
        return 0.5 / n * jnp.sum(over_samples(get_march(march), *args, coeffs, u, 0.0, T / depth) ** 2)

    return jax.grad(loss)


def parabolic_slope(unrolled: bool) -> Callable[[Any, Any, Any], Any]:
    """Compilable gradient of ``||u||^2 / 2`` behind layers ``u - h K' relu(K u + b)`` by K, b and u."""

    def layer(u: Any, of: Any) -> Any:
        return u - 0.1 * convolve_transposed(of[0], jax.nn.relu(convolve(of[0], u) + of[1])), None

    def loss(K: Any, b: Any, u: Any) -> Any:
        return 0.5 * jnp.sum(jax.lax.scan(layer, u, (K, b), unroll=len(K) if unrolled else 1)[0] ** 2)

    return jax.grad(loss, (0, 1, 2))


def torch_parabolic_slope(K: np.ndarray, b: np.ndarray, u: np.ndarray) -> Callable[[], Any]:
    """The same by torch, channels last, one thread."""
    import torch
    from torch.nn.functional import conv2d, conv_transpose2d

    torch.set_num_threads(1)
    Ks = [torch.from_numpy(k.transpose(3, 2, 0, 1).copy()).contiguous(memory_format=torch.channels_last) for k in K]
    bs = list(torch.from_numpy(b).clone())
    start = torch.from_numpy(u.transpose(0, 3, 1, 2).copy()).contiguous(memory_format=torch.channels_last)
    for leaf in (*Ks, *bs, start):
        leaf.requires_grad_()

    def call() -> Any:
        v = start
        for k, one in zip(Ks, bs, strict=True):
            v = v - 0.1 * conv_transpose2d(torch.relu(conv2d(v, k, one, padding=1)), k, padding=1)
        return torch.autograd.grad(0.5 * (v**2).sum(), [*Ks, *bs, start])

    return call


def torch_slope(depth: int, dynamics: str, segment_length: int = 0, compiled: bool = False) -> Slope:
    """The same with torch, eager unless compiled; with a segment length, checkpoints at the ends of such segments."""
    import torch
    from torch.utils.checkpoint import checkpoint

    h = T / depth

    def verlet(u: Any, K: Any, b: Any) -> Any:
        y, z = u.chunk(2, dim=1)
        z = z - h / 2 * torch.tanh(y @ K + b)
        y = y + h * torch.tanh(z @ K.T + b)
        return torch.cat([y, z - h / 2 * torch.tanh(y @ K + b)], dim=1)

    def euler(u: Any, K: Any, b: Any) -> Any:
        return u + h * torch.tanh(u @ K.T + b)

    step = verlet if dynamics == "hamiltonian" else euler

    def segment(u: Any, K: Any, b: Any) -> Any:
        for Kj, bj in zip(K.unbind(), b.unbind(), strict=True):
            u = step(u, Kj, bj)
        return u

    def loss(u: Any, K: Any, b: Any) -> Any:
        if not segment_length:
            return 0.5 / u.shape[0] * (segment(u, K, b) ** 2).sum()
        n = u.shape[0]
        for Ks, bs in zip(K.split(segment_length), b.split(segment_length), strict=True):
            u = checkpoint(segment, u, Ks, bs, use_reentrant=False)
        return 0.5 / n * (u**2).sum()

    run = torch.compile(loss) if compiled else loss

    def slope(coeffs: Any, u: Any) -> Any:
        K, b = (coeffs[name].requires_grad_() for name in ("K", "b"))
        return dict(zip(("K", "b"), torch.autograd.grad(run(u, K, b), (K, b)), strict=True))

    return slope


def layout_slope(layout: str, depth: int) -> Slope:
    """The plain Euler network by hand on whole matrices, in one layout or the other."""
    h = T / depth

    def loss(coeffs: Any, u: Any) -> Any:
        def rows(u: Any, layer: Any) -> Any:
            return u + h * jnp.tanh(u @ layer["K"].T + layer["b"]), None

        def columns(u: Any, layer: Any) -> Any:
            return u + h * jnp.tanh(layer["K"] @ u + layer["b"][:, None]), None

        n = u.shape[0]
        if layout == "rows":
            return 0.5 / n * jnp.sum(jax.lax.scan(rows, u, coeffs)[0] ** 2)
        return 0.5 / n * jnp.sum(jax.lax.scan(columns, u.T, coeffs)[0] ** 2)

    return jax.grad(loss)


def ready(slope: Slope, coeffs: Any, u: Any, side: str) -> Callable[[], Any]:
    """A call without arguments that computes the gradient and waits for it."""
    if side == "ours":
        call, at = jax.jit(slope), jax.tree.map(jnp.asarray, (coeffs, u))
        return lambda: jax.block_until_ready(call(*at))
    import torch

    there = {name: torch.from_numpy(leaf) for name, leaf in coeffs.items()}, torch.from_numpy(u)
    return lambda: slope(*there)
