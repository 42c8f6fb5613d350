"""Dynamics and vector fields, and affine layers ``act(K u + b)``: what all share.

What does a right-hand side ``f(t, u, theta)`` have to bring along to be used by name? Most are affine layers, plain or
with a structured K.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import VectorField
from numdl.flow.activations import Activation

Draw = Callable[[np.random.Generator, int, float], dict[str, np.ndarray]]
"""``draw(rng, m, scale)``: the random numbers of a layer of width m, by name; for ``scale`` see ``Dynamics``."""

Product = Callable[[dict[str, Any], Array], Array]
"""``product(theta, u)``: ``K u`` for one sample, (m,), or for the columns of u, (m, n)."""


class Guarantee(enum.Enum):
    """What a flow keeps or bounds whatever its weights are, unless said otherwise; an energy is a function of its own.

    Those of distances hold for activations that do not decrease, see ``numdl.flow.activations.NON_DECREASING``.
    """

    VOLUME = "the volume in phase space is kept"
    AXIS = "no eigenvalue of the linearisation lies to the right of the imaginary axis"
    DISTANCES = "no two solutions move apart"
    WAVES = "while the weights do not move, two nearby solutions move apart no faster than linearly in time"
    MAXIMUM = "no two solutions move apart in the maximum norm"


class Dynamics(NamedTuple):
    """A family of right-hand sides.

    Attributes:
        name: the key under which it is registered.
        init: ``init(key, m, scale, dtype=None) -> theta``, the weights of one layer of width m as a dict of arrays; the
            key is anything ``generator`` takes.
            Entries of m-by-m matrices have standard deviation ``scale / sqrt(m)``, so the spectral norm of a square
            matrix is about ``2 * scale`` for large m; entries of biases are uniform on ``[-scale, scale]``.
        vector_field: ``vector_field(activation) -> f`` with ``f(t, u, theta) -> du/dt`` for one sample, u (m,); with
            damping ``vector_field(activation, gamma=...)``.
        guarantees: what the flow of it keeps or bounds; ``stability_report`` holds it to those of distances.
        energy: ``energy(potential, u, theta) -> ()``, conserved where the weights do not move; None without one.
        damping: rate gamma that ``vector_field`` takes where none is given, in 1 / time; None for dynamics without one.
    """

    name: str
    init: Callable[..., dict[str, Array]]
    vector_field: Callable[..., VectorField]
    guarantees: tuple[Guarantee, ...] = ()
    energy: Callable[..., Array] | None = None
    damping: float | None = None

    @property
    def rule(self) -> Any:
        """``vector_field`` as it was registered, without the rate that ``damped`` binds."""
        return getattr(self.vector_field, "func", self.vector_field)


def generator(key: Any) -> np.random.Generator:
    """Source of random weights.

    Weights are drawn by NumPy: drawing them by JAX costs seconds of compilation for every new architecture.

    Args:
        key: a NumPy generator (returned as it is), a seed, or a JAX random key.

    Returns:
        NumPy generator.

    Raises:
        ValueError: the key is none of these, or traced.
    """
    if isinstance(key, np.random.Generator):
        return key
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = np.asarray(jax.random.key_data(key))
    try:
        return np.random.default_rng(key)
    except (TypeError, ValueError, jax.errors.JAXTypeError):
        raise ValueError(
            f"init(key={checks.shown(key)}): needs a seed >= 0, one JAX random key or a generator of NumPy, none that "
            "is traced. Give 0, and call init outside jit."
        ) from None


def as_weights(values: np.ndarray, dtype: Any) -> Array:
    """Drawn numbers as a JAX array.

    Args:
        values: as drawn, float64; not to be changed later, as JAX shares the memory of some arrays.
        dtype: wanted; None for JAX's default.

    Returns:
        The same numbers.
    """
    # jnp.asarray compiles a program for each shape; putting an array on the device compiles none.
    return jax.device_put(np.asarray(values, jax.dtypes.canonicalize_dtype(dtype or float)))


def drawn(draw: Draw) -> Callable[..., dict[str, Array]]:
    """The ``init`` of a ``Dynamics``.

    Args:
        draw: ``draw(rng, m, scale)``, the numbers of one layer by name.

    Returns:
        ``init(key, m, scale, dtype=None)``, which returns them as weights.
    """

    def init(key: Any, m: int, scale: float, dtype: Any = None) -> dict[str, Array]:
        checks.whole("Dynamics.init", "m", m, least=1)
        return {part: as_weights(values, dtype) for part, values in draw(generator(key), m, scale).items()}

    return init


def draw_layers(
    field: Dynamics, rng: np.random.Generator, count: int, m: int, scale: float, dtype: Any = None
) -> dict[str, Array]:
    """Weights of several layers, each drawn by itself, one after the other.

    Args:
        field: family of right-hand sides.
        rng: source of random numbers.
        count: number of layers, at least 0.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``.
        dtype: of the weights; None for JAX's default.

    Returns:
        The structure of a layer, leaves (count, ...).
    """
    layers = [field.init(rng, m, scale, dtype) for _ in range(max(count, 1))]  # one even of none: for the structure
    stacked = {name: np.stack([np.asarray(layer[name]) for layer in layers]) for name in layers[0]}
    return {name: as_weights(leaf[:count], leaf.dtype) for name, leaf in stacked.items()}


def by_columns(f: VectorField) -> VectorField:
    """Say of a right-hand side that it takes many samples as well, as the columns of ``u (m, n)``.

    Args:
        f: ``f(t, u, theta) -> du/dt``, of the shape of u, column by column.

    Returns:
        f, with the attribute ``columns``, by which a march knows.
    """
    f.columns = True  # type: ignore[attr-defined]
    return f


def times(K: Any, u: Float[Array, " columns *n"]) -> Float[Array, " rows *n"]:
    """``K u``, of one sample or of the columns of u.

    One sample is written as the row ``u' K'``: under ``vmap`` over samples the row leaves them on the leading axis;
    ``K @ u`` moves them to the last one, and every step of a flow transposes its state back.

    Args:
        K: matrix, shared by the samples; or a map of images with ``@``.
        u: one sample, (columns,), or n of them, (columns, n).

    Returns:
        The product.
    """
    return u @ K.T if u.ndim == 1 and hasattr(K, "dtype") else K @ u


def plus(z: Float[Array, " rows *n"], b: Float[Array, " #rows"]) -> Float[Array, " rows *n"]:
    """``z + b``, of one sample or of the columns of z.

    Args:
        z: one sample, (rows,), or n of them, (rows, n).
        b: shared by the samples, (rows,), or (1,) for one number in all rows.

    Returns:
        The sum.
    """
    return z + (b if z.ndim == 1 else b[:, None])


def affine(name: str, draw: Draw, product: Product) -> Dynamics:
    """Dynamics ``act(K u + b)`` whose matrix is made from fewer, or other, numbers than its entries.

    Args:
        name: the key under which it is registered.
        draw: random numbers behind K.
        product: ``K u`` from these numbers.

    Returns:
        Dynamics whose layer has the weights of ``draw`` and ``b (m,)``.

    Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 2.
    """

    def layer(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
        return draw(rng, m, scale) | {"b": scale * rng.uniform(-1.0, 1.0, m)}

    def vector_field(activation: Activation) -> VectorField:
        @by_columns
        def f(t: Any, u: Float[Array, " m *n"], theta: dict[str, Any]) -> Float[Array, " m *n"]:
            return activation(plus(product(theta, u), theta["b"]))

        return f

    return Dynamics(name, drawn(layer), vector_field)


def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
    """Random K.

    Args:
        rng: source of random numbers.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``.

    Returns:
        ``{"K": (m, m)}``.
    """
    return {"K": scale / m**0.5 * rng.standard_normal((m, m))}


def product(theta: dict[str, Any], u: Float[Array, " m *n"]) -> Float[Array, " m *n"]:
    """``K u``.

    Args:
        theta: with ``K (m, m)``.
        u: (m,), or (m, n).

    Returns:
        The shape of u.
    """
    return times(theta["K"], u)


PLAIN = affine("plain", draw, product)
