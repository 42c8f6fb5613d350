"""Layer maps of a trained network.

What is a network for the analysis of its stability: steps that map what is carried, one layer after the other?
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from numdl import checks
from numdl.contracts import PyTree, Scheme
from numdl.flow.activations import get_activation
from numdl.flow.march.serial import advance, begin, enter, leave
from numdl.flow.schemes import SCHEMES, get_scheme
from numdl.flow.separable import Separable

SAMPLES = 16
"""So many samples are judged at most."""


class Layers(NamedTuple):
    """A network, layer by layer. What is carried is flattened to (q,); for schemes of one step it is the state.

    Attributes:
        name: of the scheme.
        scheme: one step.
        separable: whether the dynamics have two halves that move each other only.
        h: size of each step, in time, (nt,).
        steps: what each layer is.
        start: state (m,) to carry (q,).
        finish: carry (q,) to state (m,).
        advance: ``advance(carry, step) -> carry``.
        rate: ``rate(u, step) -> du/dt`` at the start of the step.
        static: whether the steps are functions instead of arrays.
    """

    name: str
    scheme: Scheme
    separable: bool
    h: np.ndarray
    steps: Sequence[Any]
    start: Callable[[Any], Any]
    finish: Callable[[Any], Any]
    advance: Callable[[Any, Any], Any]
    rate: Callable[[Any, Any], Any]
    static: bool

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function ``(arrays, step, ...)``, compiled once for all layers of a network."""
        return jax.jit(function, static_argnums=1) if self.static else jax.jit(function)


def layers_of_net(net: Any, theta: PyTree, u0: Any) -> Layers:
    """Layers of a network with a flow.

    Args:
        net: with ``field``, ``activation``, ``scheme``, ``weights_in_time`` and ``step_sizes``, as ``ResNet``.
        theta: its weights.
        u0: a state at time 0, (m,).

    Returns:
        The layers.

    Raises:
        ValueError: the weights do not fit the network.
    """
    scheme, control = get_scheme(net.scheme), net.weights_in_time
    f = net.field.vector_field(get_activation(net.activation))
    u0, steps = begin("stability_report", scheme, f, control, theta["flow"], u0, 0.0, net.step_sizes(theta))
    _, unflatten = ravel_pytree(enter(scheme, u0))
    return Layers(
        name=net.scheme,
        scheme=scheme,
        separable=isinstance(f, Separable),
        h=np.asarray(steps.h, float),
        steps=[jax.tree.map(lambda leaf, j=j: np.asarray(leaf)[j], steps) for j in range(steps.nt)],
        start=lambda u: ravel_pytree(enter(scheme, u))[0],
        finish=lambda carry: leave(scheme, unflatten(carry)),
        advance=lambda carry, step: ravel_pytree(advance(scheme, f, control, unflatten(carry), step))[0],
        rate=lambda u, step: f(step.t, u, control.at(step.cell, 0.0)),
        static=False,
    )


def layers_of_maps(maps: Sequence[Callable[[Any], Any]], h: float) -> Layers:
    """Layers that are any maps ``u -> u + h f(u)``: forward Euler steps of f.

    Args:
        maps: of states (m,).
        h: step size that f is to be measured in, in time.

    Returns:
        The layers.
    """
    # Modules have arrays and no hash. The same map is the same step, so that nothing is compiled twice.
    hashed = {id(layer): functools.partial(layer) for layer in maps}
    return Layers(
        name="euler",
        scheme=SCHEMES["euler"],
        separable=False,
        h=np.full(len(maps), float(h)),
        steps=[hashed[id(layer)] for layer in maps],
        start=lambda u: u,
        finish=lambda u: u,
        advance=lambda u, step: jnp.asarray(step(u)),
        rate=lambda u, step: (jnp.asarray(step(u)) - u) / h,
        static=True,
    )


def require_flow(call: str, net: Any) -> None:
    """Refuse a network that has no steps to judge.

    Args:
        call: name of the function that was called, for messages.
        net: what was given.

    Raises:
        TypeError: the network has no flow.
        ValueError: the flow has no steps.
    """
    missing = [name for name in ("open", "field", "scheme", "weights_in_time") if not hasattr(net, name)]
    if missing:
        raise TypeError(
            f"{call}({type(net).__name__}): this network has no flow (no {', '.join(missing)}). Give a residual "
            "network, or its layers to residual_report."
        )
    if net.depth == 0:
        raise ValueError(f"{call}(net of depth 0): there are no steps to judge. Use a network with depth >= 1.")


def require_weights(call: str, net: Any, theta: PyTree) -> None:
    """Refuse weights that are not those of the network.

    Args:
        call: name of the function that was called, for messages.
        net: network, as ``ResNet``; one that draws no weights by ``init`` is not asked.
        theta: as given.

    Raises:
        ValueError: a weight is missing, or has another shape.
    """
    shapes = {jax.tree_util.keystr(path): np.shape(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(theta)}
    for path, leaf in jax.tree_util.tree_leaves_with_path(net.init(0) if hasattr(net, "init") else {}):
        name = jax.tree_util.keystr(path)
        if name not in shapes:
            found = f"it has {', '.join(shapes)}" if shapes else "it is empty"
            raise ValueError(
                f"{call}(theta): theta{name} is missing, {found}. Needs all weights of the network, as net.init(key) "
                "gives them."
            )
        if shapes[name] != np.shape(leaf):
            raise ValueError(
                f"{call}(theta): theta{name} has the shape {shapes[name]}, needs {np.shape(leaf)}. Give the weights of "
                "this network, as net.init(key) gives them."
            )


def finite_weights(call: str, theta: PyTree) -> PyTree:
    """Weights in float64, inside the x64 context.

    Args:
        call: name of the function that was called, for messages.
        theta: of the network.

    Returns:
        The structure of theta.

    Raises:
        ValueError: a weight is not finite.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(theta):
        if not np.isfinite(np.asarray(leaf)).all():
            raise ValueError(
                f"{call}(theta): theta{jax.tree_util.keystr(path)} is not finite. Needs finite weights: train again "
                "with smaller steps or a larger penalty."
            )
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), theta)


def some_rows(call: str, x: Any, work: int) -> np.ndarray:
    """At most 16 rows, fewer for large networks.

    Args:
        call: name of the function that was called, for messages.
        x: samples or states, (n, d).
        work: numbers that one sample needs.

    Returns:
        Evenly spaced rows, (k, d).

    Raises:
        ValueError: x has no rows, another shape or entries that are not finite.
    """
    rows = np.asarray(checks.finite(call, "x", x, hint="Remove or impute it."), float)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"{call}(x of shape {rows.shape}): needs samples in rows, (n, d) with n >= 1.")
    count = min(len(rows), SAMPLES, max(1, 2**25 // max(work, 1)))
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]
