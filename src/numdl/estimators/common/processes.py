"""Multi-process fits: what must the processes that share the rows of one fit agree on, and which of them writes?

All of them run the same program and read the same numbers from it, so they decide alike. Seeds and clocks are their
own: those of process 0 hold for all.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


def several(mesh: jax.sharding.Mesh | None) -> bool:
    """Whether the devices of a mesh belong to more than one process."""
    return mesh is not None and len({device.process_index for device in mesh.devices.flat}) > 1


def of_first(mesh: jax.sharding.Mesh | None, value: Any) -> Any:
    """What process 0 says; called by all processes of a mesh, in the same order.

    Args:
        mesh: devices of all processes, or of one; None for the default device.
        value: a whole number below 2^31, or a bool.

    Returns:
        The value of process 0.
    """
    if not several(mesh):
        return value
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return type(value)(broadcast_one_to_all(np.int32(value)))


def writes(mesh: jax.sharding.Mesh | None) -> bool:
    """Whether this process writes the files of the fit: process 0, of several."""
    return not several(mesh) or jax.process_index() == 0
