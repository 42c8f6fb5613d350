"""Random features: what does a single layer offer a linear model if its weights are drawn and never trained?

``sigma(K x + b)`` with m random rows. Sines with normal weights approximate the Gaussian kernel
``exp(-scale^2 ||x - z||^2 / (2 d))`` up to its factor 1/2, with an error that falls as ``1 / sqrt(m)``; with tanh and
relu the layer is the extreme learning machine.

Sources: Rahimi and Recht, NIPS 20 (2007), sec. 3; Huang, Zhu and Siew, Neurocomputing 70 (2006) 489-501.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.flow import get_activation


class RandomWeights(NamedTuple):
    """Weights of the layer.

    Attributes:
        K: (m, d).
        b: (m,).
    """

    K: Float[Array | np.ndarray, "m d"]
    b: Float[Array | np.ndarray, " m"]


@dataclasses.dataclass(frozen=True)
class RandomFeatures:
    """Architecture of the layer; holds no arrays, so it is static under ``jit``.

    Attributes:
        d: number of inputs, at least 1.
        width: number m of features, at least 1.
        activation: key of ``numdl.flow.ACTIVATIONS``.
        scale: standard deviation of ``K x`` where the d entries of x have deviation 1, positive, no unit: how finely
            the features vary.
    """

    d: int
    width: int
    activation: str = "sine"
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ValueError: sizes below 1, a scale that is not positive, an unknown activation.
        """
        checks.whole("RandomFeatures", "d", self.d, least=1)
        checks.whole("RandomFeatures", "width", self.width, least=1)
        checks.number("RandomFeatures", "scale", self.scale, above=0, hint="Give 1 for standardised inputs.")
        get_activation(self.activation)

    def init(self, seed: int) -> RandomWeights:
        """Draw the weights: K normal with deviation ``scale / sqrt(d)``.

        The offsets b are uniform in ``[-pi, pi]`` for sines, whose phase they are, and normal with deviation 1 for all
        others, whose kinks and bends they place within the data. The draws do not depend on the scale.

        Args:
            seed: of NumPy's generator.

        Returns:
            Weights in float64.
        """
        rng = np.random.default_rng(seed)
        K = rng.normal(size=(self.width, self.d)) * (self.scale / np.sqrt(self.d))
        phase = self.activation == "sine"
        return RandomWeights(K, rng.uniform(-np.pi, np.pi, self.width) if phase else rng.normal(size=self.width))

    def features(self, theta: RandomWeights, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """Features of one sample.

        Args:
            theta: weights.
            x: sample, (d,).

        Returns:
            ``sigma(K x + b)``, (m,).
        """
        return get_activation(self.activation)(jnp.asarray(theta.K) @ x + theta.b)
