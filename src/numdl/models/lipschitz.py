"""Lipschitz bounds of networks: by how much does a network lengthen a change of its inputs at most?

``||F(x) - F(z)|| <= L ||x - z||`` for all x and z, L the product over the parts. A step of Euler's method:

    u + h f(u)                                      1 + h Lip(f)
    u - h K' act(K u + b)                           max(1, h ||K||^2 - 1),   act' in [0, 1]

for the second, parabolic one has the Jacobian ``I - h K' D K``, symmetric with eigenvalues in ``[1 - h ||K||^2, 1]``:
it lengthens nothing as long as ``h ||K||^2 <= 2``. Steps of two halves are shears ``[I, s A; 0, I]``, ``||A|| <= 1``,
of norm ``s / 2 + sqrt(1 + s^2 / 4)``. Diffusion of images that a step takes implicitly lengthens nothing: such steps
have the bounds of Euler's. Rounding of the network itself is not counted.

Sources: Ruthotto and Haber, JMIV 62 (2020), theorem 1 (parabolic networks); Szegedy et al., Intriguing properties of
neural networks, ICLR 2014, sec. 4.3 (products of norms).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from numdl import checks
from numdl.contracts import PyTree, TimedControl
from numdl.flow import DYNAMICS
from numdl.flow.activations import NON_DECREASING
from numdl.flow.dynamics.antisymmetric import matrix
from numdl.flow.images.norms import EPS
from numdl.flow.images.operators import KINDS, Grid
from numdl.flow.images.spectral import norm_bound, spectral_norm
from numdl.models.chain import Chain
from numdl.models.connector import Connector
from numdl.models.mlp import MLP
from numdl.models.network import Network
from numdl.models.resnet import ResNet

STEEPEST = {"gelu": 1.1290, "silu": 1.0999}
"""Largest slopes of activations where they are not 1, rounded up."""

CALL = "lipschitz_bound"

Norms = dict[str, float]


def lipschitz_bound(net: Network, theta: PyTree) -> float:
    """A number L with ``||net(theta, x) - net(theta, z)|| <= L ||x - z||``, in the Euclidean norm.

    Args:
        net: ``ResNet``, ``MLP``, ``Connector``, or a ``Chain`` of these.
        theta: weights as from its ``init``, not traced.

    Returns:
        L, at least 0; infinite where floating point holds no bound.

    Raises:
        TypeError: net is none of these networks, or theta holds no weights of it or is traced.
        ValueError: no bound is known of its dynamics, scheme or norm, or a weight has another shape or is not finite.

    Examples:
        >>> from numdl.models import image_resnet, lipschitz_bound
        >>> net = image_resnet((8, 8, 1), (4,), norm="none", dynamics="parabolic", depth=8)
        >>> theta = net.init(0)
        >>> lipschitz_bound(net.blocks[1], theta["block 2"])  # the flow
        1.0
    """
    checks.instance(CALL, "net", net, Network)
    if any(map(checks.traced, jax.tree.leaves(theta))):
        raise TypeError(
            f"{CALL}(theta): traced, but a bound is computed by NumPy. Call it outside of jax.jit and grad."
        )
    checks.leaves(CALL, "theta", theta)
    try:
        with jax.ensure_compile_time_eval():
            found = _bound(net, theta)
    except OverflowError:
        return math.inf
    return math.inf if math.isnan(found) else found  # 0 times infinity


@functools.singledispatch
def _bound(net: Any, theta: PyTree) -> float:
    raise TypeError(f"{CALL}(net={checks.shown(net)}): no bound is known of a {type(net).__name__}. Give a ResNet.")


@_bound.register
def _(net: Chain, theta: PyTree) -> float:
    net._require_weights(CALL, theta, *dict(net.named()))
    return math.prod(_bound(block, theta[name]) for name, block in net.named())


@_bound.register
def _(net: MLP, theta: PyTree) -> float:
    _require_shapes(net, theta, *net._names)
    return math.prod(_steepest(net.activation) * _norm(theta[name]["K"]) for name in net._names)


@_bound.register
def _(net: Connector, theta: PyTree) -> float:
    mean = 1 / math.sqrt(math.prod(net.pool))
    if net.channels is None:
        return mean
    if net.norm == "batch":
        raise ValueError(
            f"{CALL}(Connector(norm='batch')): it couples samples. Take network and weights from without_batch_norm."
        )
    _require_shapes(net, theta, *net._sizes)
    sides = tuple(size // (p * m) for size, p, m in zip(net.image[:2], net.pool, net.merge, strict=True))
    found = mean * norm_bound(KINDS["full"], {"": theta["K"]}, Grid(sides, net.border))  # type: ignore[arg-type]
    if net.norm != "none":  # the slope of c / sqrt(mean c^2 + eps) is 1 / sqrt(eps) at most
        found *= float(np.abs(theta["scale"]).max()) / math.sqrt(EPS)
    return _steepest(net.activation) * found


@_bound.register
def _(net: ResNet, theta: PyTree) -> float:
    found = 1.0
    if net.opening:
        _require_shapes(net, theta, "opening")
        found = _steepest(net.activation) * _norm(theta["opening"]["K"])
    if not net.depth:
        return found
    _require_shapes(net, theta, "flow", *(["steps"] if net.steps == "learned" else []))
    name, norms = _parts(net)
    step = _step_of(net, name)
    control, h = net.weights_in_time, np.broadcast_to(net.step_sizes(theta), net.depth)
    cells = control.cells_at(theta["flow"], h) if isinstance(control, TimedControl) else control.cells(theta["flow"])
    for j in range(net.depth):
        cell = jax.tree.map(lambda leaf, j=j: leaf[j], cells)
        found *= step(float(h[j]), lambda c, cell=cell: norms(control.at(cell, c)))
    return found


def _require_shapes(net: Network, theta: Any, *names: str) -> None:
    """Refuse what holds no weights of these names, or of other shapes than the network draws them."""
    net._require_weights(CALL, theta, *names)
    call = f"{type(net).__name__}.{CALL}"
    for path, drawn in jax.tree.leaves_with_path({name: _drawn(net)[name] for name in names}):
        found, where = theta, "theta"
        for key in (entry.key for entry in path):
            if not isinstance(found, Mapping) or key not in found:
                raise TypeError(f"{call}({where}): needs weights {key!r}. Use those of init of this network.")
            found, where = found[key], f"{where}[{key!r}]"
        checks.real(call, where, found, drawn.shape)


@functools.lru_cache(maxsize=64)
def _drawn(net: Network) -> Any:
    """Shapes of the weights."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), net.init(0))


def _parts(net: ResNet) -> tuple[str, Callable[[dict[str, Any]], Norms]]:
    """Name of the dynamics, and norms of their matrices from the weights of a layer."""
    make = net.field.rule
    images, gamma = getattr(make, "norms", None), net.field.damping or 0.0
    base = make.base if images is not None else net.field
    name, known = base.name, DYNAMICS.get(base.name)
    if known is None or known.vector_field is not base.rule:
        name = f"{name} of yours"
    if getattr(make, "diffusion", None) is not None:
        name = f"{name} with diffusion"
    if images is not None:
        return name, lambda layer: images(layer, gamma)
    if name == "antisymmetric":
        return name, lambda layer: {"K": math.hypot(_norm(matrix(layer["a"], net.width)), gamma)}
    return name, lambda layer: {part: _norm(values) for part, values in layer.items() if part[0] == "K"}


def _step_of(net: ResNet, name: str) -> Callable[[float, Callable[[float], Norms]], float]:
    """Bound of one step, from its size and norms of matrices at fractions of it."""
    s, scheme = _steepest(net.activation), net.scheme
    if scheme == "imex" and name.endswith(" with diffusion"):
        name, scheme = name.removesuffix(" with diffusion"), "euler"
    if name == "parabolic" and scheme == "euler" and net.activation in NON_DECREASING:
        return lambda h, at: max(h * at(0.0)["K"] ** 2 - 1, 1.0)
    slopes: dict[str, Callable[[Norms], float]] = {
        "plain": lambda n: s * n["K"],
        "antisymmetric": lambda n: s * n["K"],
        "double": lambda n: s**2 * n["K1"] * n["K2"],
        "parabolic": lambda n: s * n["K"] ** 2,
        "double_symmetric": lambda n: s * n["K"] ** 2,
    }
    if name in slopes and scheme == "euler":
        return lambda h, at: 1 + h * slopes[name](at(0.0))
    if name in slopes and scheme in ("heun", "rk4"):  # weights of the stages are not negative: R(h L) <= exp(h L)
        return lambda h, at: math.exp(h * max(slopes[name](at(c)) for c in (0.0, 0.5, 1.0)))
    halves: dict[str, tuple[Callable[[Norms], float], Callable[[Norms], float]]] = {
        "hamiltonian": (lambda n: s * n["K"], lambda n: s * n["K"]),
        "double_hamiltonian": (lambda n: s * n["K1"] ** 2, lambda n: s * n["K2"] ** 2),
        "second_order": (lambda n: 1.0, lambda n: s * n["K"]),
        "hyperbolic": (lambda n: 1.0, lambda n: s * n["K"] ** 2),
    }
    if name in halves and scheme == "symplectic_euler":
        first, second = halves[name]
        return lambda h, at: _shear(h * second(at(0.0))) * _shear(h * first(at(0.0)))
    if name in halves and scheme == "verlet":
        first, second = halves[name]
        return lambda h, at: (
            _shear(h / 2 * second(at(0.0))) * _shear(h * first(at(0.5))) * _shear(h / 2 * second(at(1.0)))
        )
    raise ValueError(
        f"{CALL}(dynamics={name!r}, scheme={scheme!r}): no bound is known. Use 'euler' with {', '.join(slopes)}, or "
        f"'symplectic_euler' with {', '.join(halves)}."
    )


def _shear(s: float) -> float:
    return s / 2 + math.sqrt(1 + s**2 / 4)


def _steepest(activation: str) -> float:
    return STEEPEST.get(activation, 1.0)


def _norm(K: Any) -> float:
    K = np.asarray(K, float)
    return spectral_norm(K) if K.size else 0.0
