"""Compatibility of a network's parts: do dynamics, scheme, march and width of a residual network go together?"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from numdl.contracts import PyTree, Scheme
from numdl.flow import Dynamics, PiecewiseConstant, final, get_activation


@functools.lru_cache(maxsize=256)
def require_compatible(
    field: Dynamics, scheme: Scheme, march: Callable[..., Array], activation: str, width: int
) -> None:
    """Refuse parts that do not go together, by shapes alone; once for each combination, as tracing takes its time.

    Args:
        field: dynamics.
        scheme: one step.
        march: a value of ``MARCHES``.
        activation: key of ``ACTIVATIONS``.
        width: number of features.

    Raises:
        ValueError: the field gives no rate of the state's shape, or march, scheme and dynamics exclude each other.
        TypeError: the field cannot be traced.
    """
    f = field.vector_field(get_activation(activation))
    layer, u = field.init(0, width, 1.0), jnp.zeros(width)
    named = f"ResNet(dynamics={field.name!r})"
    if not isinstance(layer, dict) or not layer or not all(hasattr(leaf, "shape") for leaf in layer.values()):
        raise ValueError(f"{named}: init returns {layer!r}, needs a dict of arrays, the weights of one layer.")
    try:
        rate = jax.eval_shape(f, 0.0, u, layer)
    except jax.errors.JAXTypeError as error:
        raise TypeError(f"{named}: f cannot be traced: {error} Use jax.numpy in it.") from error
    if getattr(rate, "shape", None) != (width,) or jnp.result_type(rate, u) != u.dtype:
        shown = jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", rate)
        raise ValueError(
            f"{named}: f maps a state of width {width} to {shown}, needs one real array of shape ({width},). A scalar "
            "would be added to each entry: return its vector."
        )

    def go(way: Callable[..., Array], theta: PyTree, u: Array) -> Array:
        return way(scheme, f, PiecewiseConstant(1), theta, u, 0.0, 1.0)

    # The trajectory takes the steps of the scheme, also where the march takes its own.
    for way in (march, final):
        jax.eval_shape(functools.partial(go, way), jax.tree.map(lambda leaf: leaf[None], layer), u)
