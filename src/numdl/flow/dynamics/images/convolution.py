"""Convolution of images with several channels, as a bilinear map with derivatives of its own.

How is an image filtered, so that the gradient by the filter costs as much as the filtering, inside a scan as well?

JAX derives for ``lax.conv_general_dilated`` a gradient by the kernel that XLA runs 13 times slower inside a ``scan``
than outside, and all marches are scans. Here two bilinear maps are each other's transposes, each a convolution in the
layout that XLA runs fast: filtering ``(u, k) -> k * u`` and the correlation ``(u, g) -> dk``. Being bilinear they have
derivatives of all orders and in both directions; ``custom_vjp`` would forbid the forward ones.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from numdl import checks

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def convolve(u: Float[Array, "n h w i"], k: Float[Array, "a b i o"]) -> Float[Array, "n h w o"]:
    """``y[s, t, o] = sum_{a, b, i} k[a, b, i, o] u[s + a - r, t + b - q, i]``, with zeros beyond the border.

    ``r = (taps - 1) / 2``: as in all of deep learning the kernel is not flipped. One pass over the image for each tap.

    Args:
        u: images, channels last.
        k: kernel, odd sides.

    Returns:
        Filtered images of the same sides.

    Raises:
        ValueError: no images or kernel of real, finite numbers, sides that are even, or channels that do not fit.
    """
    u = checks.finite("convolve", "u", u, ("n", "h", "w", "i"))
    k = checks.finite("convolve", "k", k, ("a", "b", u.shape[3], "o"))
    _require_odd("convolve", "k", k.shape[:2])
    return _convolve.bind(*_of_one_type(u, k))


def correlate(u: Float[Array, "n h w i"], g: Float[Array, "n h w o"], taps: tuple[int, ...]) -> Float[Array, "a b i o"]:
    """The transpose of `convolve` by its kernel: which kernel do images and what comes out of them stand for?

    ``dk[a, b, i, o] = sum_{n, s, t} u[n, s + a - r, t + b - q, i] g[n, s, t, o]``.

    Args:
        u: images, channels last.
        g: images of the same sides.
        taps: sides of the kernel, odd.

    Returns:
        The gradient of ``sum(g * convolve(u, k))`` by k.

    Raises:
        ValueError: no images of real, finite numbers, of different sides, or taps that are even.
    """
    u = checks.finite("correlate", "u", u, ("n", "h", "w", "i"))
    g = checks.finite("correlate", "g", g, (*u.shape[:3], "o"))
    taps = checks.wholes("correlate", "taps", taps, count=2, least=1)
    _require_odd("correlate", "taps", taps)
    return _correlate.bind(*_of_one_type(u, g), taps=taps)


def turned(k: Float[Array, "a b i o"]) -> Float[Array, "a b o i"]:
    """The kernel of the transposed convolution: taps in reverse order, channels exchanged."""
    return jnp.flip(k, (0, 1)).transpose(0, 1, 3, 2)


def _require_odd(call: str, name: str, sides: Any) -> None:
    if not all(side % 2 for side in sides):
        raise ValueError(f"{call}({name} of sides {tuple(sides)}): needs odd sides, which have a middle. Use 3 x 3.")


def _of_one_type(*arrays: Any) -> list[Array]:
    kind = jnp.result_type(*arrays)
    return [jnp.asarray(array, kind) for array in arrays]


def _filtered(u: Any, k: Any) -> Any:
    return jax.lax.conv_general_dilated(u, k, (1, 1), "SAME", dimension_numbers=_LAYOUT)


def _correlated(u: Any, g: Any, *, taps: tuple[int, ...]) -> Any:
    """Channels as images and images as channels: a convolution whose kernel is as large as the image."""
    pad = [(side // 2, side // 2) for side in taps]
    u, g = u.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3)
    return jax.lax.conv_general_dilated(u, g, (1, 1), pad, dimension_numbers=_LAYOUT).transpose(1, 2, 0, 3)


def _primitive(name: str, f: Any, **static: Any) -> Any:
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(f, **static))

    def shape(*arguments: Any, **parameters: Any) -> Any:
        found = jax.eval_shape(lambda *known: f(*known, **parameters), *arguments)
        return ShapedArray(found.shape, found.dtype)

    primitive.def_abstract_eval(shape)
    mlir.register_lowering(primitive, mlir.lower_fun(f, multiple_results=False))
    return primitive


_convolve: Any = _primitive("convolve_images", _filtered)
_correlate: Any = _primitive("correlate_images", _correlated, static_argnames=("taps",))


def _sides(k: Any) -> tuple[int, ...]:
    """Of a kernel that is known by its shape only."""
    return tuple(getattr(k, "aval", k).shape[:2])


ad.defbilinear(
    _convolve,
    lambda g, u, k: convolve(g, turned(k)),
    lambda g, u, k: correlate(u, g, _sides(k)),
)
ad.defbilinear(
    _correlate,
    lambda dk, u, g, taps: convolve(g, turned(dk)),
    lambda dk, u, g, taps: convolve(u, dk),
)


def _many(call: Any, arguments: Any, axes: Any) -> tuple[Any, int]:
    """Several problems with a kernel each, one after the other."""
    count = next(x.shape[axis] for x, axis in zip(arguments, axes, strict=True) if axis is not None)
    stacked = tuple(
        jnp.broadcast_to(x, (count, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(arguments, axes, strict=True)
    )
    return jax.lax.map(lambda known: call(*known), stacked), 0


def _convolve_many(arguments: Any, axes: Any) -> tuple[Any, int]:
    """Images of a batch are images of one call where the kernel is the same."""
    (u, k), (axis, of_kernel) = arguments, axes
    if of_kernel is not None:
        return _many(convolve, arguments, axes)
    u = jnp.moveaxis(u, axis, 0)
    found = convolve(u.reshape(-1, *u.shape[2:]), k)
    return found.reshape(*u.shape[:2], *found.shape[1:]), 0


batching.primitive_batchers[_convolve] = _convolve_many
batching.primitive_batchers[_correlate] = lambda arguments, axes, taps: _many(
    lambda u, g: correlate(u, g, taps), arguments, axes
)
