"""Convolution of images: how are gradients as fast inside a loop as outside, with derivatives of any order?

    z[n, p, o] = sum_{q, i} K[q, i, o] u[n, p + q - r, i],   r the middle of the kernel

is linear in K and in u. Its two adjoints, the image that belongs to K and z and the kernel that belongs to u and z, are
linear in their arguments too, and the adjoints of these are again the three: so they are three forms of one primitive
whose rules of differentiation name each other, and ``jvp``, ``vjp``, forward over reverse and all else follow. The form
for kernels is computed as the convolution of the image with channels for samples. What JAX derives instead is, inside
``lax.scan`` on a CPU, 13 times slower (jax issue 12868).

Source: Ruthotto and Haber, Deep neural networks motivated by partial differential equations, JMIV 62 (2020), sec. 2.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import core, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from numdl import checks

PADDING = {"zero": "constant", "periodic": "wrap", "reflecting": "symmetric"}
"""What lies beyond the border, nothing, the other side, or the mirror image that begins with the pixel on it, and what
NumPy calls it."""

BORDERS = tuple(PADDING)
_NAMES = ("NHWC", "HWIO", "NHWC")


def convolve(
    K: Float[Array, "h w channels out"], u: Float[Array, "n height width channels"], border: str = "zero"
) -> Float[Array, "n height width out"]:
    """Convolution of images, in the sense of networks: ``z[p] = sum_q K[q] u[p + q - r]``.

    Args:
        K: kernels, h and w odd.
        u: images.
        border: "zero", "periodic" or "reflecting".

    Returns:
        Images of the same size.

    Raises:
        ValueError: an entry that is not finite, an even kernel, other channels than those of the images, an unknown
            border, or a kernel that reaches further than the image is wide.
    """
    reach = _reach("convolve", K, u, 2, border)
    if border == "zero":
        return _bilinear(K, u, form="image to image", reach=reach, taps=K.shape[:2])
    around = jnp.pad(u, ((0, 0), *((r, r) for r in reach), (0, 0)), mode=PADDING[border])
    return _bilinear(K, around, form="image to image", reach=(0, 0), taps=K.shape[:2])


def convolve_transposed(
    K: Float[Array, "h w channels out"], z: Float[Array, "n height width out"], border: str = "zero"
) -> Float[Array, "n height width channels"]:
    """Adjoint of a convolution in its image.

    ``<convolve(K, u), z> = <u, convolve_transposed(K, z)>`` for all u and z.

    Args:
        K: kernels, h and w odd.
        z: images.
        border: "zero", "periodic" or "reflecting".

    Returns:
        Images of the same size.

    Raises:
        ValueError: as `convolve`.
    """
    reach = _reach("convolve_transposed", K, z, 3, border)
    if border == "zero":
        return _bilinear(K, z, form="image from image", reach=reach, taps=K.shape[:2])
    if border == "periodic":  # the adjoint is the convolution with the kernel turned around
        turned = K[::-1, ::-1].swapaxes(2, 3)
        return convolve(turned, z, "periodic")
    around = _bilinear(K, z, form="image from image", reach=(0, 0), taps=K.shape[:2])
    return _folded(_folded(around, 1, reach[0]), 2, reach[1])


def _folded(a: Array, axis: int, reach: int) -> Array:
    """Adjoint of mirroring: what lies beyond a border is added where it was copied from."""
    if not reach:
        return a
    size = a.shape[axis] - 2 * reach
    low, middle, high = (lax.slice_in_dim(a, i, j, axis=axis) for i, j in _cuts(reach, size))
    width = [(0, 0)] * a.ndim
    before, after = list(width), list(width)
    before[axis], after[axis] = (0, size - reach), (size - reach, 0)
    return middle + jnp.pad(jnp.flip(low, axis), before) + jnp.pad(jnp.flip(high, axis), after)


def _cuts(reach: int, size: int) -> tuple[tuple[int, int], ...]:
    return (0, reach), (reach, reach + size), (reach + size, 2 * reach + size)


def _reach(call: str, K: Any, u: Any, axis: int, border: str) -> tuple[int, int]:
    """Refuse what does not fit; pixels from the middle of the kernel to its sides."""
    checks.choice(call, "border", border, BORDERS)
    name = "u" if axis == 2 else "z"
    checks.finite(call, "K", K, ("h", "w", "channels", "out"))
    checks.finite(call, name, u, ("n", "height", "width", K.shape[axis]))
    h, w = K.shape[:2]
    if h % 2 == 0 or w % 2 == 0:
        raise ValueError(f"{call}(K of shape {K.shape}): needs odd sides, {h} x {w} has no middle. Use 3 x 3.")
    reach = (h // 2, w // 2)
    if border != "zero" and (reach[0] > u.shape[1] or reach[1] > u.shape[2]):
        raise ValueError(
            f"{call}(K of shape {K.shape}, {name} of shape {u.shape}): a kernel that reaches further than the image "
            f"needs border='zero', found {border!r}. Use a smaller kernel."
        )
    return reach


# ------------------------------------------------------------------------------------------------------- the primitive
def _compute(a: Array, b: Array, *, form: str, reach: tuple[int, int], taps: tuple[int, int]) -> Array:
    """One of the three forms, by the convolution of XLA.

    Args:
        a: K of the forms with a kernel, else u.
        b: u, or z.
        form: "image to image" (K, u) -> z, "image from image" (K, z) -> u, "kernel" (u, z) -> K.
        reach: zeros beyond each border of u.
        taps: sides of the kernel.

    Returns:
        The third.
    """
    if form == "image to image":
        return _windows(b, a, reach)
    if form == "image from image":
        turned = a[::-1, ::-1].swapaxes(2, 3)
        return _windows(b, turned, (taps[0] - 1 - reach[0], taps[1] - 1 - reach[1]))
    channels_first, samples_inside = a.transpose(3, 1, 2, 0), b.transpose(1, 2, 0, 3)
    return _windows(channels_first, samples_inside, reach).transpose(1, 2, 0, 3)


def _windows(u: Array, K: Array, pad: tuple[int, int]) -> Array:
    return lax.conv_general_dilated(
        u, K, (1, 1), [(p, p) for p in pad], dimension_numbers=_NAMES, precision=lax.Precision.HIGHEST
    )


_primitive = Primitive("numdl_convolution")


def _bilinear(a: Array, b: Array, **how: Any) -> Array:
    kind = jnp.result_type(a, b)
    kind = kind if jnp.issubdtype(kind, jnp.inexact) else jnp.result_type(float)  # sums of bytes would overflow
    return _primitive.bind(jnp.asarray(a, kind), jnp.asarray(b, kind), **how)


def _first(bar: Array, a: Any, b: Array, *, form: str, **how: Any) -> Array:
    """Adjoint in the first argument."""
    if form == "image to image":
        return _bilinear(b, bar, form="kernel", **how)
    if form == "image from image":
        return _bilinear(bar, b, form="kernel", **how)
    return _bilinear(bar, b, form="image from image", **how)


def _second(bar: Array, a: Array, b: Any, *, form: str, **how: Any) -> Array:
    """Adjoint in the second argument."""
    if form == "image to image":
        return _bilinear(a, bar, form="image from image", **how)
    if form == "image from image":
        return _bilinear(a, bar, form="image to image", **how)
    return _bilinear(bar, a, form="image to image", **how)


def _batched(arguments: Any, axes: Any, *, form: str, **how: Any) -> tuple[Array, int]:
    """Samples of samples are samples; kernels of their own for each need the convolution of JAX."""
    (a, b), (of_a, of_b) = arguments, axes
    if form != "kernel" and of_a is None:
        b = jnp.moveaxis(b, of_b, 0)
        found = _bilinear(a, b.reshape(-1, *b.shape[2:]), form=form, **how)
        return found.reshape(*b.shape[:2], *found.shape[1:]), 0
    single = jax.vmap(lambda a, b: _compute(a, b, form=form, **how), in_axes=(of_a, of_b))
    return single(a, b), 0


_primitive.def_impl(jax.jit(_compute, static_argnames=("form", "reach", "taps")))
_primitive.def_abstract_eval(
    lambda a, b, **how: core.ShapedArray(*_form(jax.eval_shape(lambda x, y: _compute(x, y, **how), a, b)))
)
ad.defbilinear(_primitive, _first, _second)
batching.primitive_batchers[_primitive] = _batched
mlir.register_lowering(_primitive, mlir.lower_fun(_compute, multiple_results=False))


def _form(found: Any) -> tuple[tuple[int, ...], Any]:
    return found.shape, found.dtype
