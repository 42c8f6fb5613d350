"""Base class of networks.

What do all networks share: features row by row, a number of weights, a name in files, parts that go together?
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree, Scheme
from numdl.flow import Dynamics, PiecewiseConstant, final
from numdl.flow.activations import Activation, get_activation
from numdl.flow.dynamics.base import as_weights


class Network(abc.ABC):
    """Architecture without arrays; frozen, so it is static under ``jit``.

    Attributes:
        d: number of inputs.
        width: number m of features.
        activation: key of ``numdl.flow.ACTIVATIONS``.
    """

    d: int
    width: int
    activation: str

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """The architecture in a few words."""

    @property
    def facts(self) -> dict[str, str]:
        """What else there is to say of the architecture, name and value."""
        return {"Activation": self.activation}

    @property
    @abc.abstractmethod
    def n_states(self) -> int:
        """Numbers that a pass forward keeps for one sample."""

    @abc.abstractmethod
    def init(self, key: Any, dtype: Any = None) -> PyTree:
        """Random weights for inputs of mean 0 and variance 1.

        Args:
            key: seed, JAX random key or NumPy generator; not traceable, weights are drawn by NumPy.
            dtype: of the weights; None for JAX's default.
        """

    @abc.abstractmethod
    def features(self, theta: PyTree, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """Features of one sample.

        Args:
            theta: weights as from ``init``.
            x: one sample, (d,).
        """

    def widened(self) -> Network:
        """The network of double width, in all layers.

        Raises:
            NotImplementedError: the network does not say what that is.
        """
        raise NotImplementedError(f"{type(self).__name__}.widened: needs the method, to grow in a search.")

    def layers(self, theta: PyTree) -> dict[str, Array]:
        """Weights that vary over depth, leading axis the layers; none unless the network says so.

        Args:
            theta: weights as from ``init``.

        Returns:
            Arrays by name.
        """
        return {}

    @functools.cached_property
    def act(self) -> Activation:
        """The activation, looked up once."""
        return get_activation(self.activation)

    @functools.cached_property
    def n_parameters(self) -> int:
        """Number of weights in ``init``; the head is not among them."""
        return _count(self)

    def __getstate__(self) -> dict[str, Any]:
        """The declared sizes and names; what was looked up is not pickled."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def __call__(self, theta: PyTree, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """``features``: a network is the feature map of a separable problem."""
        return self.features(theta, x)

    def batch(self, theta: PyTree, x: Float[Array, "n d"]) -> Float[Array, "n m"]:
        """Features of n samples, row by row.

        Args:
            theta: weights as from ``init``.
            x: (n, d).

        Returns:
            (n, m).

        Raises:
            ValueError: x has another number of columns than d.
        """
        return jax.vmap(lambda row: self.features(theta, row))(self._inputs("batch", x, "n"))

    def _require_dtype(self, dtype: Any) -> None:
        """Refuse a dtype without fractions, or one that JAX would silently replace by a shorter one."""
        if dtype is None:
            return
        call = f"{type(self).__name__}.init"
        try:
            known = jnp.dtype(dtype)
        except TypeError:
            known = None
        if known is None or not jnp.issubdtype(known, jnp.floating):
            raise ValueError(f"{call}(dtype={checks.shown(dtype)}): needs a type of real numbers. Use 'float32'.")
        if jax.dtypes.canonicalize_dtype(dtype) != known:
            raise ValueError(
                f"{call}(dtype={known.name}): 64-bit arrays are off. Call it inside "
                "`with jax.enable_x64(True):`, or use float32."
            )

    def _checked(self, call: str, theta: Any, names: Iterable[str], x: Any, *rows: str) -> Any:
        """``_inputs`` of a network whose weights must have these names."""
        self._require_weights(call, theta, *names)
        return self._inputs(call, x, *rows)

    def _inputs(self, call: str, x: Any, *rows: str) -> Any:
        """One sample, or with ``"n"`` rows of them, as an array; refused where it has another length than d."""
        x = checks.real(f"{type(self).__name__}.{call}", "x", x)
        if x.ndim != 1 + len(rows) or x.shape[-1] != self.d:
            columns = x.ndim == 1 + len(rows)
            has = f"{x.shape[-1]} entries" if columns else f"the shape {x.shape}"
            needs = f"({', '.join(rows)}, {self.d})" if rows and not columns else self.d
            raise ValueError(
                f"{type(self).__name__}(d={self.d}).{call}(x): x has {has}, needs {needs}. Check the columns."
            )
        return x

    def _require_weights(self, call: str, theta: Any, *names: str) -> None:
        """Refuse what holds no weights of these names; it may hold more, as those of a head."""
        if not isinstance(theta, Mapping) or not set(names) <= set(theta):
            found = f"the names {', '.join(map(str, theta))}" if isinstance(theta, Mapping) and theta else "none"
            raise TypeError(
                f"{type(self).__name__}.{call}(theta): needs weights {', '.join(map(repr, names))}, found {found}. Use "
                "those of init of this network."
            )


def draw_layer(rng: np.random.Generator, rows: int, columns: int, dtype: Any) -> dict[str, Array]:
    """Random layer for inputs of mean 0 and variance 1.

    ``K ~ N(0, 1/columns)`` and ``b ~ U(-1, 1)``, so that K x has variance 1 and the bends of the units, at
    ``K x + b = 0``, are spread over the data instead of all passing through its mean.

    Args:
        rng: source of random numbers.
        rows: number of units.
        columns: number of inputs.
        dtype: of the weights; None for JAX's default.

    Returns:
        ``{"K": (rows, columns), "b": (rows,)}``.
    """
    return {
        "K": as_weights(rng.standard_normal((rows, columns)) / columns**0.5, dtype),
        "b": as_weights(rng.uniform(-1.0, 1.0, rows), dtype),
    }


def apply_layer(layer: dict[str, Array], act: Activation, x: Float[Array, " d"]) -> Float[Array, " m"]:
    """``act(K x + b)``.

    Args:
        layer: K (m, d) and b (m,).
        act: activation of each entry.
        x: (d,).

    Returns:
        (m,).
    """
    return act(x @ layer["K"].T + layer["b"])  # for K x see ``times``


@functools.lru_cache(maxsize=256)
def _count(net: Network) -> int:
    """Number of weights."""
    return sum(leaf.size for leaf in jax.tree.leaves(net.init(0)))


_ONE_STEP = PiecewiseConstant(1)


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
    layer, u = field.init(0, width, 1.0), jax.ShapeDtypeStruct((width,), jnp.result_type(float))
    named = f"ResNet(dynamics={field.name!r})"
    if not isinstance(layer, dict) or not layer or not all(hasattr(leaf, "shape") for leaf in layer.values()):
        raise ValueError(f"{named}: init returns {layer!r}, needs a dict of arrays, the weights of one layer.")
    try:
        rate = jax.eval_shape(f, 0.0, u, layer)
    except jax.errors.JAXTypeError as error:
        raise TypeError(f"{named}: f cannot be traced: {error} Use jax.numpy in it.") from error
    if getattr(rate, "shape", None) != (width,) or jnp.result_type(rate.dtype, u.dtype) != u.dtype:
        shown = jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", rate)
        raise ValueError(
            f"{named}: f maps a state of width {width} to {shown}, needs one real array of shape ({width},). A scalar "
            "would be added to each entry: return its vector."
        )

    def go(way: Callable[..., Array], theta: PyTree, u: Array) -> Array:
        return way(scheme, f, _ONE_STEP, theta, u, 0.0, 1.0)

    # The trajectory takes the steps of the scheme, also where the march takes its own.
    layers = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype), layer)
    for way in dict.fromkeys((march, final)):
        jax.eval_shape(functools.partial(go, way), layers, u)
