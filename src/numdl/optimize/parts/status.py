"""When is an iteration done?"""

from __future__ import annotations

from collections.abc import Sequence

from numdl.contracts import Status

RUNNING = Status("running", "Still running.")


def plateau(values: Sequence[float], tol: float, window: int = 5) -> Status:
    """Converged when the last ``window`` steps together lowered the objective by less than ``tol`` relative.

    Args:
        values: objective of each iteration, lowest last or nearly so.
        tol: relative decrease, no unit; 0 never stops.
        window: number of steps judged together.

    Returns:
        ``running`` or ``converged``.
    """
    if len(values) <= window or tol <= 0:
        return RUNNING
    before, now = values[-window - 1], values[-1]
    if before - now <= tol * abs(before):
        return Status("converged", f"The last {window} steps lowered the objective by less than {tol:g} of its value.")
    return RUNNING
