"""How does a residual network turn one sample into features: open, then flow?

``u(0) = act(K x + b)``, ``du/dt = f(t, u, theta(t))`` on ``[0, T]`` in ``depth`` steps, features ``u(T)``. The
head is not part of the model: it belongs to the problem, which may eliminate it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import PyTree
from numdl.flow import (
    PiecewiseConstant,
    PiecewiseLinear,
    SmoothInTime,
    final,
    get_activation,
    get_field,
    get_scheme,
    serial,
)
from numdl.flow.fields.base import as_weights, generator

CONTROLS = {"constant": PiecewiseConstant, "linear": PiecewiseLinear}


@dataclasses.dataclass(frozen=True)
class ResNet:
    """Architecture of a residual network; holds no arrays, so it is static under ``jit``.

    Attributes:
        d: number of inputs, at least 1.
        width: number m of features, at least 1; at least d without opening.
        depth: number of steps, at least 0; with 0 the network is a single layer (or, without opening, linear).
        T: final time, positive, in the unit of time of the flow; the step is ``T / depth``.
        dynamics: key of ``numdl.flow.FIELDS``.
        scheme: key of ``numdl.flow.SCHEMES``.
        control: weights in time, ``"constant"`` or ``"linear"`` on each step.
        activation: key of ``numdl.flow.ACTIVATIONS``.
        opening: whether a layer ``act(K x + b)`` opens; without it x is padded with zeros.
        smoothness: correlation time of the weights under their prior, in the unit of T; 0 leaves layers independent.
    """

    d: int
    width: int
    depth: int
    T: float | int = 1.0
    dynamics: str = "plain"
    scheme: str = "euler"
    control: str = "constant"
    activation: str = "tanh"
    opening: bool = True
    smoothness: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no network can be built from.

        Raises:
            ValueError: a size is out of range or a name is unknown.
        """
        for name, least in (("d", 1), ("width", 1), ("depth", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"ResNet({name}={getattr(self, name)}): needs {name} >= {least}. Give a larger {name}."
                )
        if not (math.isfinite(self.T) and self.T > 0):
            raise ValueError(f"ResNet(T={self.T}): needs a finite T > 0. Use depth=0 for a network without flow.")
        if not (math.isfinite(self.smoothness) and self.smoothness >= 0):
            raise ValueError(
                f"ResNet(smoothness={self.smoothness}): needs a finite smoothness >= 0. Use 0 for independent layers."
            )
        if not self.opening and self.width < self.d:
            raise ValueError(
                f"ResNet(d={self.d}, width={self.width}, opening=False): needs width >= d, as x is padded with zeros. "
                f"Use width={self.d} or opening=True."
            )
        if self.control not in CONTROLS:
            raise ValueError(f"ResNet(control={self.control!r}): unknown control. Use one of {', '.join(CONTROLS)}.")
        get_field(self.dynamics)
        get_scheme(self.scheme)
        get_activation(self.activation)

    @property
    def h(self) -> float:
        """Step size ``T / depth``, in time; 0 for depth 0."""
        return self.T / self.depth if self.depth else 0.0

    @property
    def weights_in_time(self) -> PiecewiseConstant | PiecewiseLinear | SmoothInTime:
        """Control of the flow; without steps there are no weights, whatever ``control`` says."""
        if not self.depth:
            return PiecewiseConstant(0)
        control = CONTROLS[self.control](self.depth)
        return SmoothInTime(control, self.smoothness / self.h) if self.smoothness else control

    @property
    def n_parameters(self) -> int:
        """Number of weights in ``init``; the head is not among them."""
        return _count(self)

    def init(self, key: Any, dtype: Any = None) -> PyTree:
        """Random weights for inputs of mean 0 and variance 1.

        Opening: ``K ~ N(0, 1/d)`` and ``b ~ U(-1, 1)``, so that K x has variance 1 and the bends of the units, at
        ``K x + b = 0``, are spread over the data instead of all passing through its mean.

        Flow: each coefficient is drawn by itself from ``Field.init`` with ``scale = min(1, 1 / (2 h))``. A square
        random matrix then has a spectral norm of about ``2 scale``, hence ``h ||K||`` is about 1 at most: a step moves
        the state by no more than its own size, for any T and depth.

        Args:
            key: seed, JAX random key or NumPy generator; not traceable, weights are drawn by NumPy.
            dtype: of the weights; None for JAX's default.

        Returns:
            ``{"opening": {"K": (m, d), "b": (m,)}, "flow": leaves (n_coeffs, ...)}``; no ``"opening"`` without one.

        Raises:
            ValueError: dtype is not available, as float64 outside the x64 context.
        """
        _require_dtype(dtype)
        rng = generator(key)
        theta: dict[str, Any] = {}
        if self.opening:
            theta["opening"] = {
                "K": as_weights(rng.standard_normal((self.width, self.d)) / self.d**0.5, dtype),
                "b": as_weights(rng.uniform(-1.0, 1.0, self.width), dtype),
            }
        field, scale = get_field(self.dynamics), min(1.0, 0.5 / self.h) if self.depth else 1.0
        layers = [field.init(rng, self.width, scale, dtype) for _ in range(self.weights_in_time.n_coeffs)]
        empty = not layers  # the structure of a layer, without one
        layers = layers or [field.init(rng, self.width, scale, dtype)]
        theta["flow"] = {
            name: jnp.asarray(np.stack([np.asarray(layer[name]) for layer in layers])[: 0 if empty else None])
            for name in layers[0]
        }
        return theta

    def layers(self, theta: PyTree) -> PyTree:
        """Weights of the flow at the times of the control's coefficients, smoothed where they are to be.

        Args:
            theta: weights as from ``init``.

        Returns:
            The structure of ``theta["flow"]``.
        """
        control = self.weights_in_time
        return control.smooth(theta["flow"]) if isinstance(control, SmoothInTime) else theta["flow"]

    def open(self, theta: PyTree, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """State at time 0: ``act(K x + b)``, or ``[x; 0]`` without opening.

        Args:
            theta: weights as from ``init``.
            x: one sample, (d,).

        Returns:
            (m,).

        Raises:
            ValueError: x has another length than d.
        """
        if x.shape[0] != self.d:
            raise ValueError(
                f"ResNet(d={self.d}).open(x): x has {x.shape[0]} entries, needs {self.d}. Check the columns."
            )
        if not self.opening:
            return jnp.pad(x, (0, self.width - self.d))
        return get_activation(self.activation)(theta["opening"]["K"] @ x + theta["opening"]["b"])

    def features(self, theta: PyTree, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """Features ``u(T)`` of one sample.

        Args:
            theta: weights as from ``init``.
            x: one sample, (d,).

        Returns:
            (m,).

        Raises:
            ValueError: x has another length than d, or the weights another number of coefficients than the control.
        """
        return final(*self._flow(theta, x))

    def __call__(self, theta: PyTree, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """``features``: a network is the feature map of a separable problem."""
        return self.features(theta, x)

    def trajectory(self, theta: PyTree, x: Float[Array, " d"]) -> Float[Array, "times m"]:
        """States of one sample at all times; the last one is ``features``.

        Args:
            theta: weights as from ``init``.
            x: one sample, (d,).

        Returns:
            (depth + 1, m).

        Raises:
            ValueError: x has another length than d, or the weights another number of coefficients than the control.
        """
        return serial(*self._flow(theta, x))

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
        return jax.vmap(lambda row: self.features(theta, row))(x)

    def _flow(self, theta: PyTree, x: Array) -> tuple[Any, ...]:
        """What every way to march asks for."""
        f = get_field(self.dynamics).dynamics(get_activation(self.activation))
        return get_scheme(self.scheme), f, self.weights_in_time, theta["flow"], self.open(theta, x), 0.0, self.h


@functools.lru_cache(maxsize=256)
def _count(net: ResNet) -> int:
    """Number of weights."""
    return sum(leaf.size for leaf in jax.tree.leaves(net.init(0)))


def _require_dtype(dtype: Any) -> None:
    """Refuse a dtype that JAX would silently replace by a shorter one."""
    if dtype is not None and jax.dtypes.canonicalize_dtype(dtype) != jnp.dtype(dtype):
        raise ValueError(
            f"ResNet.init(dtype={jnp.dtype(dtype).name}): 64-bit arrays are off. Call it inside "
            "`with jax.enable_x64(True):`, or use float32."
        )
