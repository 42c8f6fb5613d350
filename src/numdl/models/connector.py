"""Connecting layer of image networks: opening, change of channels and of resolution, pooling before the head.

How does an image become one of other size and channels?

    z = act(norm(K * S P u + b)),    P: means over rectangles, S: pixels of each rectangle become channels

with a convolution K, whose output may be taken at every s-th pixel only. ``merge`` with ``taps=1`` cuts an image into
patches; ``stride`` keeps overlaps, at the cost of all pixels. Without channels of its own a connector has no weights
and pools. A norm over the batch is for training: `without_batch_norm` puts its statistics into the weights.

Source: Ruthotto and Haber, JMIV 62 (2020), sec. 2.2.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow import get_activation
from numdl.flow.dynamics.base import as_weights, generator
from numdl.flow.images import NORMS, average_pool, convolve, normalise, space_to_depth
from numdl.flow.images.convolution import BORDERS
from numdl.flow.images.resolution import rectangle
from numdl.models.network import Network


@dataclasses.dataclass(frozen=True)
class Connector(Network):
    """From images to images, flat on both sides, channels last; holds no arrays, so it is static under ``jit``.

    Attributes:
        image: height, width and channels of an image before, at least 1 each.
        channels: of an image behind; None for no convolution.
        taps: side of a kernel, odd.
        merge: pixels of a rectangle that become channels before the convolution: a number, or rows and columns.
        stride: every how many-th pixel of the convolution is taken, along both sides.
        pool: pixels of a rectangle whose mean is taken first: a number, rows and columns, or "all".
        norm: what evens out before the activation: "tv", "instance", "layer", "none", or "batch", which couples the
            samples of a batch, so that ``features`` of one refuses it.
        activation: key of ``numdl.flow.ACTIVATIONS``.
        border: "zero", "periodic" or "reflecting", what lies beyond it.
        from_halves: whether images before are two of half the channels, one after the other, as are states of
            dynamics with two halves, Hamiltonian ones for example.
        to_halves: whether those behind are.

    Examples:
        >>> from numdl.models import Connector
        >>> opening = Connector((32, 32, 3), 16, merge=2)
        >>> opening.after, opening.n_parameters
        ((16, 16, 16), 1760)
        >>> Connector(opening.after, pool="all").after
        (1, 1, 16)
    """

    image: Any
    channels: int | None = None
    taps: int = 3
    merge: Any = 1
    stride: int = 1
    pool: Any = 1
    norm: str = "layer"
    activation: str = "relu"
    border: str = "zero"
    from_halves: bool = False
    to_halves: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not fit; numbers become those of Python.

        Raises:
            ValueError: a size is out of range or does not divide another, or a name is unknown.
        """
        keep = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        keep("image", checks.wholes("Connector", "image", self.image, count=3, least=1))
        pool = self.image[:2] if isinstance(self.pool, str) and self.pool == "all" else self.pool
        keep("pool", rectangle("Connector", "pool", pool, self.image[:2]))
        pooled = tuple(size // part for size, part in zip(self.image[:2], self.pool, strict=True))
        keep("merge", rectangle("Connector", "merge", self.merge, pooled))
        for name in ("taps", "stride"):
            checks.whole("Connector", name, getattr(self, name), least=1)
        if self.channels is not None:
            checks.whole("Connector", "channels", self.channels, least=1)
        elif max(*self.merge, self.stride) > 1:
            raise ValueError(
                f"Connector(merge={self.merge}, stride={self.stride}): needs channels, of the convolution behind. Give "
                "channels, or pool."
            )
        for name, c in (("from_halves", self.image[2]), ("to_halves", self.channels or self.image[2])):
            keep(name, checks.flag("Connector", name, getattr(self, name)))
            if getattr(self, name) and c % 2:
                raise ValueError(
                    f"Connector({name}=True): {c} channels have no halves. Give an even number of channels."
                )
        checks.choice("Connector", "norm", self.norm, (*NORMS, "none"))
        checks.choice("Connector", "border", self.border, BORDERS)
        get_activation(self.activation)
        sides = tuple(size // part for size, part in zip(pooled, self.merge, strict=True))
        if self.taps % 2 == 0 or (self.border != "zero" and self.taps // 2 > min(sides)):
            raise ValueError(
                f"Connector(taps={self.taps}): needs an odd number of taps that reach no further than the image of "
                f"{sides[0]} x {sides[1]}. Use taps=3."
            )

    @property
    def after(self) -> tuple[int, int, int]:
        """Height, width and channels of an image behind."""
        h, w = (
            -(-(size // (square * part)) // self.stride)
            for size, square, part in zip(self.image[:2], self.pool, self.merge, strict=True)
        )
        return h, w, self.image[2] if self.channels is None else self.channels

    @property
    def d(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number of inputs: pixels times channels before."""
        return math.prod(self.image)

    @property
    def width(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number m of features: pixels times channels behind."""
        return math.prod(self.after)

    @property
    def n_states(self) -> int:
        """Numbers that a pass forward keeps for one sample."""
        return self.d + (0 if self.channels is None else 2 * self.width)

    @property
    def title(self) -> str:
        """The layer in a few words."""
        return f"{'pooling' if self.channels is None else 'connector'} {'x'.join(map(str, self.after))}"

    @property
    def _sizes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights; of one with channels."""
        assert self.channels is not None
        own = (self.channels,)
        K = (self.taps, self.taps, self.image[2] * math.prod(self.merge), *own)
        return {"K": K, "b": own} | ({} if self.norm == "none" else {"scale": own})

    def init(self, key: Any, dtype: Any = None) -> PyTree:
        """Random weights: entries of K of variance 2 over the numbers that meet in one, offsets 0.

        Args:
            key: seed, JAX random key or NumPy generator; not traceable, weights are drawn by NumPy.
            dtype: of the weights; None for JAX's default.

        Returns:
            ``{"K": (taps, taps, merged channels, channels), "b": (channels,)}``, with a norm also ``"scale"``
            (channels,) of ones; nothing without channels.

        Raises:
            ValueError: dtype is not available, as float64 outside the x64 context.
        """
        self._require_dtype(dtype)
        if self.channels is None:
            return {}
        sizes = self._sizes
        drawn = generator(key).standard_normal(sizes["K"])
        theta = {"K": drawn * (2 / math.prod(sizes["K"][:3])) ** 0.5, "b": np.zeros(self.channels)}
        if "scale" in sizes:
            theta["scale"] = np.ones(self.channels)
        return {name: as_weights(values, dtype) for name, values in theta.items()}

    def features(self, theta: PyTree, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """The image behind, of one image.

        Args:
            theta: weights as from ``init``.
            x: one image, flat, (d,).

        Returns:
            (m,).

        Raises:
            TypeError: theta holds no weights of this connector.
            ValueError: x has another length than d, a weight another shape, or the norm couples samples.
        """
        x = self._inputs("features", x)
        if self.norm == "batch" and self.channels is not None:
            raise ValueError(
                "Connector(norm='batch').features: needs the other samples too. Call batch, or take network and "
                "weights from without_batch_norm."
            )
        return self.batch(theta, x[None])[0]

    def batch(self, theta: PyTree, x: Float[Array, "n d"]) -> Float[Array, "n m"]:
        """Images behind, of n images; one convolution for all.

        Args:
            theta: weights as from ``init``.
            x: (n, d).

        Returns:
            (n, m).

        Raises:
            TypeError: theta holds no weights of this connector.
            ValueError: x has another number of columns than d, or a weight another shape.
        """
        x = self._inputs("batch", x, "n")
        u = self.pooled(x)
        if self.channels is not None:
            u = self.convolved(theta, u)
            u = u + theta["b"] if self.norm == "none" else normalise(u, self.norm, theta["scale"], theta["b"])
            u = get_activation(self.activation)(u)
        if self.to_halves:
            u = jnp.moveaxis(u.reshape(*u.shape[:3], 2, u.shape[3] // 2), 3, 1)
        return u.reshape(len(x), self.width)

    def pooled(self, x: Float[Array, "n d"]) -> Float[Array, "n h w c"]:
        """``P u``: images before the convolution.

        Args:
            x: flat images, (n, d).

        Returns:
            Images.
        """
        (h, w, c), x = self.image, self._inputs("pooled", x, "n")
        u = jnp.moveaxis(x.reshape(len(x), 2, h, w, c // 2), 1, 3) if self.from_halves else x
        return average_pool(u.reshape(len(x), h, w, c), self.pool)

    def convolved(self, theta: PyTree, u: Float[Array, "n h w c"]) -> Float[Array, "n rows columns channels"]:
        """``K * S u``: pooled images before offset, norm and activation.

        Args:
            theta: weights as from ``init``.
            u: images, pooled.

        Returns:
            Images.

        Raises:
            TypeError: theta holds no weights of these names.
            ValueError: it holds weights of other shapes.
        """
        sizes = self._sizes
        self._require_weights("convolved", theta, *sizes)
        for name, shape in sizes.items():
            checks.real("Connector.convolved", f"theta[{name!r}]", theta[name], shape)
        z = convolve(theta["K"], space_to_depth(u, self.merge), self.border)
        return z[:, :: self.stride, :: self.stride]
