"""Rediscretisation of a trained network.

How much do the features change when the same function of time is marched by other steps or another scheme?

A network that is a discretised differential equation changes little, and less with more steps; one whose weights fit
its own discretisation does not.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numdl.contracts import Control, PyTree
from numdl.flow.activations import get_activation
from numdl.flow.march.serial import begin, final
from numdl.flow.schemes import get_scheme


@dataclasses.dataclass(frozen=True)
class Halved:
    """Weights on half as many steps, each of which spans two of the control's: the same function of time.

    Its coefficients are the cells of the control.

    Attributes:
        control: with an even number of steps.
    """

    control: Control

    def cells(self, coeffs: PyTree) -> PyTree:
        """Pairs of cells, leading axis nt / 2."""
        return jax.tree.map(lambda leaf: leaf.reshape(-1, 2, *leaf.shape[1:]), coeffs)

    def at(self, cell: PyTree, c: Any) -> PyTree:
        """Weights at the fraction c of a step; where weights jump, those behind the jump."""
        second = c >= 0.5
        return self.control.at(jax.tree.map(lambda leaf: leaf[int(second)], cell), 2 * c - second)

    def refine(self, coeffs: PyTree) -> PyTree:
        """The same function of time on twice as many steps: the cells of the control."""
        return coeffs


def rediscretisation(net: Any, theta: PyTree, u0: Any) -> dict[str, float]:
    """Relative change of the features of all samples.

    Args:
        net: with ``field``, ``activation``, ``scheme``, ``weights_in_time`` and ``step_sizes``, as ``ResNet``.
        theta: its weights.
        u0: states at time 0, (n, m).

    Returns:
        ``||U' - U||_F / ||U||_F`` for ``"nt/2"`` (an even number of steps), ``"2 nt"``, ``"4 nt"`` and ``"rk4"`` (at
        the same steps); NaN where a state is not finite.
    """
    f, control, coeffs = net.field.vector_field(get_activation(net.activation)), net.weights_in_time, theta["flow"]
    scheme, h = get_scheme(net.scheme), net.step_sizes(theta)
    cells = begin("rediscretisation", scheme, f, control, coeffs, u0, 0.0, h, rows=True)[1].cell
    nt = len(jax.tree.leaves(cells)[0])
    h = jnp.broadcast_to(jnp.asarray(h, float), (nt,))

    def go(scheme: str, control: Any, coeffs: PyTree, h: Any) -> np.ndarray:
        march = jax.jit(
            jax.vmap(lambda u, coeffs, h: final(get_scheme(scheme), f, control, coeffs, u, 0.0, h), (0, None, None))
        )
        return np.asarray(march(u0, coeffs, h))

    own = go(net.scheme, control, coeffs, h)
    others = {}
    if nt % 2 == 0:
        others["nt/2"] = go(net.scheme, Halved(control), cells, h.reshape(-1, 2).sum(axis=1))
    for name in ("2 nt", "4 nt"):
        control, coeffs, h = control.refined(), control.refine(coeffs), jnp.repeat(h / 2, 2)
        others[name] = go(net.scheme, control, coeffs, h)
    if net.scheme != "rk4":
        others["rk4"] = go("rk4", net.weights_in_time, theta["flow"], jnp.broadcast_to(net.step_sizes(theta), (nt,)))
    size = np.linalg.norm(own)
    with np.errstate(invalid="ignore", divide="ignore"):
        changes = {name: np.linalg.norm(features - own) for name, features in others.items()}
        return {name: float(change and change / size) for name, change in changes.items()}  # 0 where both are 0
