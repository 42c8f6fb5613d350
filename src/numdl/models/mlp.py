"""Multi-layer perceptron: how does a multi-layer perceptron turn one sample into features: layer after layer?

``u_1 = act(K_1 x + b_1)``, ``u_j = act(K_j u_{j-1} + b_j)``, features ``u_L``. With one layer it is the single layer
``act(K x + b)``, a ``ResNet`` of depth 0. The head is not part of the model: it belongs to the problem.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow import get_activation
from numdl.flow.dynamics.base import generator
from numdl.models.network import Network, apply_layer, draw_layer


@dataclasses.dataclass(frozen=True)
class MLP(Network):
    """Architecture of a multi-layer perceptron; holds no arrays, so it is static under ``jit``.

    Attributes:
        d: number of inputs, at least 1.
        widths: units of each layer, at least one layer of at least one unit; a number stands for one layer.
        activation: key of ``numdl.flow.ACTIVATIONS``.
    """

    d: int
    widths: Any
    activation: str = "tanh"

    def __post_init__(self) -> None:
        """Refuse what no network can be built from; the widths become a tuple.

        Raises:
            ValueError: a size is out of range or a name is unknown.
        """
        given = np.atleast_1d(np.asarray(self.widths, dtype=object))
        if given.ndim != 1 or not given.size or not all(checks.is_whole(width) and width >= 1 for width in given):
            raise ValueError(
                f"MLP(widths={self.widths!r}): needs whole numbers >= 1, one for each layer. Give for example (16, 16)."
            )
        object.__setattr__(self, "widths", tuple(int(width) for width in given))
        checks.whole("MLP", "d", self.d, least=1)
        get_activation(self.activation)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, from the first to the last."""
        return self.widths

    @property
    def width(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number m of features: units of the last layer."""
        return self.sizes[-1]

    def widened(self) -> MLP:
        """The network of double width, in all layers."""
        return dataclasses.replace(self, widths=tuple(2 * width for width in self.sizes))

    @property
    def n_states(self) -> int:
        """Numbers that a pass forward keeps for one sample."""
        return self.d + sum(self.sizes)

    @property
    def title(self) -> str:
        """The architecture in a few words."""
        return ("single layer " if len(self.sizes) == 1 else "layers ") + "-".join(map(str, self.sizes))

    def init(self, key: Any, dtype: Any = None) -> PyTree:
        """Random weights for inputs of mean 0 and variance 1: each layer drawn as the opening of a ``ResNet``.

        Args:
            key: seed, JAX random key or NumPy generator; not traceable, weights are drawn by NumPy.
            dtype: of the weights; None for JAX's default.

        Returns:
            ``{"opening": {"K": (m_1, d), "b": (m_1,)}, "layer 2": {"K": (m_2, m_1), "b": (m_2,)}, ...}``.

        Raises:
            ValueError: dtype is not available, as float64 outside the x64 context.
        """
        self._require_dtype(dtype)
        rng = generator(key)
        inputs = (self.d, *self.sizes)
        return {
            name: draw_layer(rng, rows, columns, dtype)
            for name, rows, columns in zip(self._names, self.sizes, inputs, strict=False)
        }

    def features(self, theta: PyTree, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """Features ``u_L`` of one sample.

        Args:
            theta: weights as from ``init``.
            x: one sample, (d,).

        Returns:
            (m,).

        Raises:
            ValueError: x has another length than d.
        """
        x = self._checked("features", theta, self._names, x)
        for name in self._names:
            x = apply_layer(theta[name], self.act, x)
        return x

    @property
    def _names(self) -> tuple[str, ...]:
        return ("opening", *(f"layer {j}" for j in range(2, len(self.sizes) + 1)))
