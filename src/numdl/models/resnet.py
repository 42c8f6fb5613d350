"""Residual network: how does a residual network turn one sample into features: open, then flow?

``u(0) = act(K x + b)``, ``du/dt = f(t, u, theta(t))`` on ``[0, T]`` in ``depth`` steps, features ``u(T)``. The
head is not part of the model: it belongs to the problem, which may eliminate it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree, Scheme, VectorField
from numdl.flow import (
    Dynamics,
    SmoothInTime,
    damped,
    get_control,
    get_dynamics,
    get_march,
    get_scheme,
    serial,
)
from numdl.flow.controls import WeightsInTime
from numdl.flow.dynamics import as_named
from numdl.flow.dynamics.base import as_weights, draw_layers, generator
from numdl.flow.march import over_samples
from numdl.models.network import Network, apply_layer, draw_layer, require_compatible


@dataclasses.dataclass(frozen=True)
class ResNet(Network):
    """Architecture of a residual network; holds no arrays, so it is static under ``jit``.

    Attributes:
        d: number of inputs, at least 1.
        width: number m of features, at least 1; at least d without opening.
        depth: number of steps, at least 0; with 0 the network is a single layer (or, without opening, linear).
        T: final time, positive, in the unit of time of the flow; the step is ``T / depth``.
        dynamics: key of ``numdl.flow.DYNAMICS``, or a ``Dynamics`` of yours.
        scheme: key of ``numdl.flow.SCHEMES``.
        control: weights in time, ``"constant"`` or ``"linear"`` on each step, or ``coefficients`` of a
            ``"linear_spline"``, a cubic ``"spline"``, of ``"legendre"`` or of ``"chebyshev"`` polynomials over all
            steps.
        activation: key of ``numdl.flow.ACTIVATIONS``.
        opening: whether a layer ``act(K x + b)`` opens; without it x is padded with zeros.
        smoothness: correlation time of the weights under their prior, in the unit of T; 0 leaves layers independent.
        march: key of ``numdl.flow.MARCHES``, how a sample travels and how that is differentiated; or a march with
            settings of yours, as ``LayerParallel(factor=8)``.
        coefficients: number of weights of the flow, for a control over all steps.
        steps: ``"equal"``, or ``"learned"``: sizes ``T softmax(theta["steps"])``, positive with the sum T.
        damping: rate of dynamics that have one, such as ``"antisymmetric"``, in 1 / time; None for their own.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.models import ResNet
        >>> net = ResNet(d=2, width=4, depth=3, T=1.0, dynamics="antisymmetric", scheme="rk4")
        >>> theta = net.init(0)
        >>> net.n_parameters, net(theta, jnp.array([0.5, -1.0])).shape
        (42, (4,))
        >>> net.batch(theta, jnp.zeros((10, 2))).shape
        (10, 4)
    """

    d: int
    width: int
    depth: int
    T: float | int = 1.0
    dynamics: str | Dynamics = "plain"
    scheme: str = "euler"
    control: str = "constant"
    activation: str = "tanh"
    opening: bool = True
    smoothness: float = 0.0
    march: str | Callable[..., Any] = "stored"
    coefficients: int = 4
    steps: str = "equal"
    damping: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no network can be built from; numbers of NumPy become those of Python.

        Raises:
            ValueError: a size or a number is out of range or none, or a name is unknown.
        """
        for name, least in (("d", 1), ("width", 1), ("depth", 0)):
            checks.whole("ResNet", name, getattr(self, name), least=least)
        numbers = {
            "T": checks.number("ResNet", "T", self.T, above=0, hint="Use depth=0 for a network without flow."),
            "smoothness": checks.number("ResNet", "smoothness", self.smoothness, least=0, hint="Use 0 for none."),
            "opening": checks.flag("ResNet", "opening", self.opening),
        }
        if self.damping is not None:
            numbers["damping"] = checks.number("ResNet", "damping", self.damping)
        if not isinstance(self.dynamics, str):
            named, damping = as_named("ResNet", self.dynamics)
            object.__setattr__(self, "dynamics", named)
            if damping is not None:
                numbers.setdefault("damping", damping)
        for name, value in numbers.items():
            object.__setattr__(self, name, value)
        if not self.opening and self.width < self.d:
            raise ValueError(
                f"ResNet(d={self.d}, width={self.width}, opening=False): needs width >= d, as x is padded with zeros. "
                f"Use width={self.d} or opening=True."
            )
        checks.choice("ResNet", "steps", self.steps, ("equal", "learned"))
        if self.steps == "learned" and self.march == "adjoint":
            raise ValueError(
                "ResNet(steps='learned', march='adjoint'): the adjoint equation gives no slope of the steps, which "
                "would stay as they are. Use march='checkpointed' or steps='equal'."
            )
        scheme, _, march = self._parts
        _ = self.weights_in_time  # refuses a control that there is not
        require_compatible(self.field, scheme, march, self.activation, self.width)

    @functools.cached_property
    def field(self) -> Dynamics:
        """The dynamics, with the damping that was asked for."""
        field = get_dynamics(self.dynamics)
        return field if self.damping is None else damped(field, self.damping)

    @functools.cached_property
    def h(self) -> float:
        """Step size ``T / depth``, in time; 0 for depth 0."""
        return self.T / self.depth if self.depth else 0.0

    @functools.cached_property
    def weights_in_time(self) -> WeightsInTime:
        """Control of the flow; without steps there are no weights, whatever ``control`` says."""
        correlation = self.smoothness / (self.h or 1.0)
        return get_control(self.control, self.depth, self.coefficients, correlation)

    @functools.cached_property
    def _parts(self) -> tuple[Scheme, VectorField, Callable[..., Any]]:
        """Scheme, right-hand side and march, looked up once."""
        f = self.field.vector_field(self.act)
        return get_scheme(self.scheme), f, get_march(self.march)

    @property
    def n_states(self) -> int:
        """Numbers that a pass forward keeps for one sample."""
        return self.width * (self.depth + 2)

    def widened(self) -> ResNet:
        """The network of double width, in all layers."""
        return dataclasses.replace(self, width=2 * self.width)

    @property
    def title(self) -> str:
        """The architecture in a few words."""
        if self.depth:
            return f"{self.field.name} {self.width}x{self.depth}"
        return f"single layer {self.width}" if self.opening else f"identity {self.width}"

    @property
    def facts(self) -> dict[str, str]:
        """How it moves in time, if it does, and the activation."""
        smooth = f", smooth over a time of {self.smoothness:g}" if self.smoothness else ""
        moves = f"{self.scheme}, {self.depth} steps on [0, {self.T:g}], weights {self.control} on each step{smooth}"
        return ({"Scheme": moves} if self.depth else {}) | super().facts

    def init(self, key: Any, dtype: Any = None) -> PyTree:
        """Random weights for inputs of mean 0 and variance 1.

        Opening: ``K ~ N(0, 1/d)`` and ``b ~ U(-1, 1)``, see ``draw_layer``.

        Flow: each coefficient is drawn by itself from ``Dynamics.init`` with ``scale = min(1, 1 / (2 h))``. A square
        random matrix then has a spectral norm of about ``2 scale``, hence ``h ||K||`` is about 1 at most: a step moves
        the state by no more than its own size, for any T and depth.

        Args:
            key: seed, JAX random key or NumPy generator; not traceable, weights are drawn by NumPy.
            dtype: of the weights; None for JAX's default.

        Returns:
            ``{"opening": {"K": (m, d), "b": (m,)}, "flow": leaves (n_coeffs, ...)}``; no ``"opening"`` without one;
            with learned steps also ``"steps": (depth,)``.

        Raises:
            ValueError: dtype is not available, as float64 outside the x64 context.
        """
        self._require_dtype(dtype)
        rng = generator(key)
        theta: dict[str, Any] = {}
        if self.opening:
            theta["opening"] = draw_layer(rng, self.width, self.d, dtype)
        field, scale = self.field, min(1.0, 0.5 / self.h) if self.depth else 1.0
        theta["flow"] = draw_layers(field, rng, self.weights_in_time.n_coeffs, self.width, scale, dtype)
        if self.steps == "learned":
            theta["steps"] = as_weights(np.zeros(self.depth), dtype)
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
        return self._opened(theta, self._checked("open", theta, ("opening",) * self.opening, x))

    def _opened(self, theta: PyTree, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """``open`` of what has been checked."""
        if not self.opening:
            return jnp.pad(x, (0, self.width - self.d))
        return apply_layer(theta["opening"], self.act, x)

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
        x = self._checked("features", theta, self._names, x)
        return self._parts[2](*self._flow(theta, self._opened(theta, x)))

    def batch(self, theta: PyTree, x: Float[Array, "n d"]) -> Float[Array, "n m"]:
        """Features of n samples, row by row; a reversible march adds up the derivatives by the weights as it goes.

        Args:
            theta: weights as from ``init``.
            x: (n, d).

        Returns:
            (n, m).

        Raises:
            ValueError: as ``features``.
        """
        x = self._checked("batch", theta, self._names, x, "n")
        return over_samples(self._parts[2], *self._flow(theta, jax.vmap(self._opened, (None, 0))(theta, x)))

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
        return serial(*self.flow(theta, self.open(theta, x)))

    def step_sizes(self, theta: PyTree) -> float | Float[Array, " depth"]:
        """Size of each step, in time: one number, or (depth,) where they are learned.

        Args:
            theta: weights as from ``init``.

        Returns:
            Positive, with the sum T.
        """
        if self.steps == "learned":
            self._require_weights("step_sizes", theta, "steps")
        return self._sizes(theta)

    def _sizes(self, theta: PyTree) -> float | Float[Array, " depth"]:
        """``step_sizes`` of weights that have been checked."""
        return self.h if self.steps == "equal" else self.T * jax.nn.softmax(theta["steps"])

    def flow(self, theta: PyTree, u0: Float[Array, "*n m"]) -> tuple[Any, ...]:
        """What every way to march asks for: ``march(*net.flow(theta, u0))``.

        Args:
            theta: weights as from ``init``.
            u0: state at time 0, (m,), or those of n samples where the march takes them, (n, m).

        Returns:
            ``(scheme, f, control, coeffs, u0, t0, h)``.
        """
        self._require_weights("flow", theta, *self._names[self.opening :])
        return self._flow(theta, u0)

    def _flow(self, theta: PyTree, u0: Float[Array, "*n m"]) -> tuple[Any, ...]:
        """``flow`` of weights that have been checked."""
        scheme, f, _ = self._parts
        return scheme, f, self.weights_in_time, theta["flow"], u0, 0.0, self._sizes(theta)

    @functools.cached_property
    def _names(self) -> tuple[str, ...]:
        """Of the weights."""
        return ("opening",) * self.opening + ("flow",) + ("steps",) * (self.steps == "learned")
