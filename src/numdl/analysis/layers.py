"""Vanishing and exploding gradients by layer.

How large is the slope in each layer, in its weights and in its states: does it vanish or explode over the depth?

For ``u_{j+1} = step(theta_j, u_j)`` the slope in a state is ``dF/du_j = (du_{j+1}/du_j)' dF/du_{j+1}``: a product of
``nt - j`` matrices, near to the identity for a step ``u + h f`` and small or large for a plain layer.

Source: Bengio, Simard, Frasconi, IEEE Trans. Neural Networks 5 (1994) 157-166; He, Zhang, Ren, Sun, ECCV 2016, sec. 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.analysis.objective import companion, compiled_gradient, require_analysed
from numdl.contracts import PyTree


def gradient_by_layer(f: Any, p: PyTree, aux: PyTree = None, *, layered: str = "flow") -> dict[str, np.ndarray]:
    """Norm of the slope in each array of weights, layer by layer where the array holds layers.

    Args:
        f: problem or function ``p -> ()``.
        p: weights.
        aux: companion; None for the problem's first head, if it has one.
        layered: arrays with this word in their path have layers along their leading axis; the empty word is in every
            path.

    Returns:
        Path of each array, such as ``"flow K"``, to its norms: (layers,), or (1,).

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from numdl.analysis import gradient_by_layer
        >>> from numdl.models import ResNet
        >>> net = ResNet(2, 3, 4)
        >>> found = gradient_by_layer(lambda p: jnp.sum(net(p, jnp.ones(2)) ** 2), net.init(jax.random.key(0)))
        >>> {name: norms.shape for name, norms in found.items()}
        {'flow K': (4,), 'flow b': (4,), 'opening K': (1,), 'opening b': (1,)}
    """
    require_analysed("gradient_by_layer", f, p, aux)
    if not isinstance(layered, str):
        raise TypeError(f"gradient_by_layer(layered={layered!r}): needs a word. Give 'flow'.")
    slope = compiled_gradient(f, p, companion(f, p, aux))
    norms = {}
    for path, leaf in jax.tree.leaves_with_path(slope):
        words = [str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path]
        has_layers = leaf.ndim > 0 and (layered == "" or layered in words)
        rows = np.reshape(np.asarray(leaf), (len(leaf) if has_layers else 1, -1))
        norms[" ".join(words) or "weights"] = np.linalg.norm(rows, axis=1)
    return norms


def gradient_by_state(
    step: Callable[[PyTree, Array], Array],
    layers: PyTree,
    u0: Float[Array, "n m"],
    objective: Callable[..., Float[Array, ""]],
    *data: Any,
) -> Float[np.ndarray, " times"]:
    """Norm of the slope in the states at each time, over all samples.

    Args:
        step: ``step(theta_j, u_j) -> u_{j+1}`` for one sample, all states of one width m.
        layers: weights theta_j, leading axis nt on every leaf.
        u0: states at the start, (n, m).
        objective: ``objective(u_nt (n, m), *data) -> ()``.
        data: further arguments of the objective, such as head and targets.

    Returns:
        ``||dF/du_j||`` (Frobenius) for j = 0..nt, in units of F over those of u, (nt + 1,).
    """
    call = "gradient_by_state"
    checks.function(call, "step", step, "(theta_j, u_j) -> u_{j+1}")
    checks.function(call, "objective", objective, "(u, *data) -> ()")
    checks.leaves(call, "layers", layers)
    checks.finite(call, "u0", u0, ("n", "m"))
    if not jax.tree.leaves(layers) or any(jnp.ndim(leaf) == 0 for leaf in jax.tree.leaves(layers)):
        raise ValueError(f"{call}(layers={checks.shown(layers)}): needs arrays with an axis of layers. Stack them.")
    return np.asarray(_state_norms(step, objective, layers, u0, data))


@jax.jit(static_argnums=(0, 1))
def _state_norms(step: Callable, objective: Callable, layers: PyTree, u0: Array, data: tuple) -> Array:
    def shifted(first: Array, shifts: Array) -> Array:
        """Objective when every state is moved after its step; its slope in the moves is that in the states."""
        advance = jax.vmap(step, (None, 0))
        last, _ = jax.lax.scan(lambda u, x: (advance(x[0], u) + x[1], None), u0 + first, (layers, shifts))
        return objective(last, *data)

    count = jax.tree.leaves(layers)[0].shape[0]
    still = jnp.zeros((count, *u0.shape), u0.dtype)
    at_start, later = jax.grad(shifted, (0, 1))(jnp.zeros_like(u0), still)
    slopes = jnp.concatenate([at_start[None], later])
    return jnp.sqrt(jnp.sum(slopes**2, axis=(1, 2)))
