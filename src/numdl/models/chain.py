"""Chain of residual blocks.

How do residual blocks of different width follow one another: the opening of each connects it to the one before?

A block ``ResNet(d=m_1, width=m_2, ...)`` behind another of width m_1 opens with the connecting layer
``act(K u + b)``, K (m_2, m_1), and flows on in m_2 features.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow.dynamics.base import generator
from numdl.models.network import Network


@dataclasses.dataclass(frozen=True)
class Chain(Network):
    """Networks one behind the other; holds no arrays, so it is static under ``jit``.

    Attributes:
        blocks: at least one; the inputs of each are the features of the one before.
    """

    blocks: tuple[Network, ...]

    def __post_init__(self) -> None:
        """Refuse blocks that do not fit together.

        Raises:
            ValueError: no block, or a block has another number of inputs than the one before has features.
            TypeError: a block is no network.
        """
        if not isinstance(self.blocks, tuple) or not all(isinstance(block, Network) for block in self.blocks):
            raise TypeError(
                f"Chain(blocks={checks.shown(self.blocks)}): needs a tuple of networks. Give for example "
                "(ResNet(2, 8, 4),)."
            )
        if not self.blocks:
            raise ValueError("Chain(blocks=()): needs at least one block. Give for example (ResNet(2, 8, 4),).")
        for j, (before, after) in enumerate(zip(self.blocks, self.blocks[1:], strict=False), start=1):
            if before.width != after.d:
                raise ValueError(
                    f"Chain: block {j + 1} has d={after.d}, block {j} has {before.width} features. "
                    f"Give block {j + 1} d={before.width}."
                )

    @property
    def d(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number of inputs."""
        return self.blocks[0].d

    @property
    def width(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number m of features."""
        return self.blocks[-1].width

    @property
    def activation(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Activation of the last block."""
        return self.blocks[-1].activation

    @property
    def n_states(self) -> int:
        """Numbers that a pass forward keeps for one sample."""
        return sum(block.n_states for block in self.blocks)

    @property
    def title(self) -> str:
        """The architecture in a few words."""
        return ", then ".join(block.title for block in self.blocks)

    def init(self, key: Any, dtype: Any = None) -> PyTree:
        """Random weights, those of one block after the other from one source.

        Args:
            key: seed, JAX random key or NumPy generator; not traceable, weights are drawn by NumPy.
            dtype: of the weights; None for JAX's default.

        Returns:
            ``{"block 1": ..., "block 2": ...}``, each as from the block's own ``init``.
        """
        rng = generator(key)
        return {name: block.init(rng, dtype) for name, block in self.named()}

    def features(self, theta: PyTree, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """Features of one sample: those of the last block.

        Args:
            theta: weights as from ``init``.
            x: one sample, (d,).

        Returns:
            (m,).

        Raises:
            ValueError: x has another length than d.
        """
        self._require_weights("features", theta, *dict(self.named()))
        for name, block in self.named():
            x = block.features(theta[name], x)
        return x

    def batch(self, theta: PyTree, x: Float[Array, "n d"]) -> Float[Array, "n m"]:
        """Features of n samples, each block in its own way: a reversible one adds up derivatives by weights as it goes.

        Args:
            theta: weights as from ``init``.
            x: (n, d).

        Returns:
            (n, m).

        Raises:
            ValueError: x has another number of columns than d.
        """
        self._require_weights("batch", theta, *dict(self.named()))
        for name, block in self.named():
            x = block.batch(theta[name], x)
        return x

    def layers(self, theta: PyTree) -> dict[str, Array]:
        """Weights that vary over depth, of all blocks.

        Args:
            theta: weights as from ``init``.

        Returns:
            Arrays by name, leading axis the layers of the block.
        """
        return {
            f"{name} {part}": leaf
            for name, block in self.named()
            for part, leaf in block.layers(theta[name]).items()
            if jax.numpy.size(leaf)
        }

    def named(self) -> list[tuple[str, Network]]:
        """Blocks with the names of their weights in theta."""
        return [(f"block {j}", block) for j, block in enumerate(self.blocks, start=1)]
