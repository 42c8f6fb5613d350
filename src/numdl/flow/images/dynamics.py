"""Dynamics on images: how does a family of layers act on the pixels and channels of an image?

A state is an image (h, w, c), channels last, made flat: ``m = h w c``. Halves of a Hamiltonian or second-order state
are images of c / 2 channels each, one after the other. Every matrix of the layer becomes a convolution, every bias one
number for each channel; formulas, guarantees and energies are those of the dynamics, which need of a matrix no more
than ``K u`` and ``K' u``. Schemes and marches take them as any other.

Source: Ruthotto and Haber, Deep neural networks motivated by partial differential equations, JMIV 62, 2020.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from numdl import checks
from numdl.contracts import VectorField, require
from numdl.flow.activations import Activation, get_activation
from numdl.flow.dynamics import get_dynamics
from numdl.flow.dynamics.antisymmetric import ANTISYMMETRIC
from numdl.flow.dynamics.base import PLAIN, Dynamics, Guarantee, drawn
from numdl.flow.dynamics.reaction_diffusion import REACTION_DIFFUSION
from numdl.flow.images.convolution import BORDERS
from numdl.flow.images.diffusion import diffusion as of_channels
from numdl.flow.images.diffusion import log_starts
from numdl.flow.images.operators import KINDS, Grid, image_map, multiple
from numdl.flow.images.spectral import norm_bound
from numdl.flow.semilinear import Linear, Semilinear
from numdl.flow.separable import Separable

APART = ("circulant", "convolution", "h1", "m_matrix", "symmetric", "low_rank")
"""Dynamics whose weights are no matrices that could be convolutions, or whose halves are none of an image."""


def on_images(
    dynamics: str | Dynamics,
    sides: tuple[int, int],
    kind: str = "full",
    *,
    taps: int = 3,
    border: str = "zero",
    diffusion: int | float | Sequence[float] | None = None,
) -> Dynamics:
    """Dynamics whose matrices are convolutions of images.

    Args:
        dynamics: a key of ``numdl.flow.DYNAMICS``, or dynamics of yours whose weights are matrices ``K...`` and biases
            ``b...``, used by ``times`` and ``plus`` only. "reaction_diffusion" is "plain" with diffusion.
        sides: rows h and columns w of the images; a state of width m has m / (h w) channels.
        kind: "full", "pointwise", "depthwise" or "lean"; "circulant" or "dense" for maps that join all pixels, on a
            torus or by a matrix; see ``numdl.flow.images.operators``.
        taps: side of a kernel, odd; "pointwise", "circulant" and "dense" take no notice.
        border: "zero", "periodic" or "reflecting", what lies beyond it; these three take none of it either.
        diffusion: where the diffusivities of the channels start, in squared pixels over time, positive: one for all,
            or the first channel's and the last one's, with equal factors between them. What is learned is the logarithm
            of the factor by which each differs from its start, ``theta["log_diffusion"]`` (c,), zero at first, so that
            penalties hold it there and every control in time begins there. For ``scheme="imex"``. None for no
            diffusion; in "reaction_diffusion" from 1/16 to the square of a fourth of the longer side, so that some
            channels keep the pixels apart and others reach all of them where a step has about the size 1.

    Returns:
        Dynamics for ``ResNet(width=h * w * c, dynamics=...)``; the same object for the same arguments. With diffusion
        they promise of distances what they do without it, and nothing else.

    Raises:
        ValueError: an unknown word, sides or taps that are none, a diffusivity that is not positive, or dynamics that
            have no such form.
        TypeError: dynamics of yours miss a part.

    Examples:
        >>> from numdl.flow import on_images
        >>> from numdl.models import ResNet
        >>> far = on_images("parabolic", (16, 16), border="reflecting", diffusion=(0.1, 16.0))
        >>> net = ResNet(256 * 3, 256 * 3, 5, T=5.0, dynamics=far, scheme="imex", opening=False)
        >>> net.init(0)["flow"]["log_diffusion"].shape
        (5, 3)
    """
    if not isinstance(dynamics, str):
        require(dynamics, Dynamics, "on_images(dynamics)", "use 'parabolic'")
    base = get_dynamics(dynamics)
    sides = checks.wholes("on_images", "sides", sides, count=2, least=1)  # type: ignore[assignment]
    checks.choice("on_images", "kind", kind, KINDS)
    checks.choice("on_images", "border", border, BORDERS)
    taps = checks.whole("on_images", "taps", taps, least=1)
    if taps % 2 == 0 or (border != "zero" and taps // 2 > min(sides)):
        raise ValueError(
            f"on_images(taps={taps}): needs an odd number of taps that reach no further than the image of "
            f"{sides[0]} x {sides[1]}. Use taps=3."
        )
    others = (base.init is ANTISYMMETRIC.init) != (base.rule is ANTISYMMETRIC.vector_field)
    on_a_ring = base.rule is REACTION_DIFFUSION.vector_field and base is not REACTION_DIFFUSION  # damped, or renamed
    if base.name in APART or others or on_a_ring:
        raise ValueError(
            f"on_images({base.name!r}): its weights are no matrices that could be convolutions. Use 'parabolic', "
            "'hamiltonian', 'double_hamiltonian', 'second_order', 'hyperbolic', 'antisymmetric', 'contractive', "
            "'double', 'plain' or 'reaction_diffusion'."
        )
    if base is REACTION_DIFFUSION:
        base, diffusion = PLAIN, (1 / 16, (max(sides) / 4) ** 2) if diffusion is None else diffusion
    spread = None if diffusion is None else _diffusivities(base, diffusion)
    stencil = kind != "pointwise" and KINDS[kind].parts is None
    return _on_images(base, sides, kind, taps if stencil else 3, border, spread)


def _diffusivities(base: Dynamics, given: Any) -> tuple[float, float]:
    """Those of the first channel and the last one, or the reason why there can be none."""
    both = given if isinstance(given, tuple | list) else (given, given)
    if len(both) != 2:
        raise ValueError(f"on_images(diffusion={checks.shown(given)}): needs one number, or two. Give (0.1, 16.0).")
    for one in both:
        checks.number("on_images", "diffusion", one, above=0, most=1e15, hint="Use None for no diffusion.")
    f = base.vector_field(get_activation("tanh"))
    if isinstance(f, Separable | Semilinear):
        has = "two halves" if isinstance(f, Separable) else "a linear part of its own"
        raise ValueError(
            f"on_images({base.name!r}, diffusion={checks.shown(given)}): it has {has}, which leaves no place for "
            "diffusion. Use 'parabolic', 'antisymmetric', 'double' or 'plain'."
        )
    return float(both[0]), float(both[1])


@functools.lru_cache(maxsize=256)
def _on_images(
    base: Dynamics, sides: tuple[int, int], kind: str, taps: int, border: str, spread: tuple[float, float] | None
) -> Dynamics:
    opposite = base.init is ANTISYMMETRIC.init
    halves = isinstance(base.vector_field(get_activation("tanh")), Separable)
    layer, of_kind, grid = PLAIN if opposite else base, KINDS[kind], Grid(sides, border)
    reach = (taps, taps) if of_kind.parts is None else sides

    def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
        pixels = sides[0] * sides[1]
        if m % pixels:
            raise ValueError(
                f"{name}.init(m={m}): needs a multiple of {sides[0]} x {sides[1]} pixels. Give h * w * channels."
            )
        if halves and m // pixels % 2:
            raise ValueError(
                f"{name}.init(m={m}): a state of two halves needs an even number of channels, found {m // pixels}. "
                f"Give m={m + pixels}."
            )
        found: dict[str, np.ndarray] = {}
        for part, values in layer.init(rng, m // pixels, scale).items():  # of one pixel: names and sizes
            if part[0] == "K":
                maps = of_kind.draw(rng, values.shape[0], values.shape[1], reach)
                found |= {part + more: scale * weights for more, weights in maps.items()}
            else:
                found[part] = np.asarray(values)
        if spread is not None:
            found["log_diffusion"] = np.zeros(m // pixels)
        return found

    def seen(theta: dict[str, Array], gamma: float = 0.0) -> dict[str, Any]:
        """The weights as the layer knows them: maps instead of matrices."""
        parts: dict[str, Any] = {}
        for key, values in theta.items():
            part, _, more = key.partition("_")
            if part[0] == "K":
                parts.setdefault(part, {})[f"_{more}" if more else ""] = values
            elif key != "log_diffusion":
                parts[key] = jnp.tile(values, sides[0] * sides[1])  # of each channel, in all pixels
        maps = {part: image_map(of_kind, weights, grid) for part, weights in parts.items() if part[0] == "K"}
        if opposite:
            K = maps["K"]
            maps["K"] = K - K.T - multiple(gamma, K.shape[0]) if gamma else K - K.T
        return parts | maps

    def linear(spread: tuple[float, float], theta: dict[str, Array]) -> Linear:
        factors = theta["log_diffusion"]
        return of_channels(jnp.asarray(log_starts(spread, len(factors)), factors.dtype) + factors, grid)

    def vector_field(activation: Activation, **settings: Any) -> VectorField:
        gamma = settings.pop("gamma", base.damping) if opposite else 0.0
        if opposite:
            checks.number(name, "gamma", gamma, least=0, hint="Use 0 for no damping.")

        def see(f: VectorField) -> VectorField:
            return lambda t, u, theta: f(t, u, seen(theta, gamma))

        f = layer.vector_field(activation, **settings)
        if isinstance(f, Separable):
            return Separable(see(f.first), see(f.second))
        if isinstance(f, Semilinear):
            return Semilinear(f.linear, see(f.rest))
        if spread is not None:
            return Semilinear(functools.partial(linear, spread), see(f))
        return see(f)

    def norms(theta: dict[str, Any], gamma: float) -> dict[str, float]:
        """Bounds of the spectral norms of the maps of one layer, by name."""
        parts: dict[str, dict[str, Array]] = {}
        for key, values in theta.items():
            part, _, more = key.partition("_")
            if part[0] == "K":
                parts.setdefault(part, {})[f"_{more}" if more else ""] = values
        return {part: norm_bound(of_kind, one, grid, gamma if opposite else None) for part, one in parts.items()}

    made = {"norms": norms, "base": base, "sides": sides, "kind": kind, "border": border, "diffusion": spread}
    given = (base, sides, kind, taps, border, spread)
    vector_field.__dict__.update(made, made_by=(_on_images, given))  # for bounds, other resolutions and pickle

    def energy(potential: Activation, u: Array, theta: dict[str, Array]) -> Array:
        assert base.energy is not None
        return base.energy(potential, u, seen(theta))

    special = [kind] * (kind != "full") + [f"taps {taps}"] * (taps != 3) + [border] * (border != "zero")
    special += [] if spread is None else ["diffusion " + " to ".join(f"{one!r}" for one in dict.fromkeys(spread))]
    name = f"{base.name} on {sides[0]}x{sides[1]}" + f" ({', '.join(special)})" * bool(special)
    guarantees = base.guarantees
    if spread is not None:  # a symmetric part that decays shortens distances; it keeps no volume and moves eigenvalues
        guarantees = tuple(one for one in guarantees if one is Guarantee.DISTANCES)
    whole = Dynamics(name, drawn(draw), vector_field, guarantees, base.energy and energy, base.damping)
    vector_field.made = whole  # type: ignore[attr-defined]
    return whole
