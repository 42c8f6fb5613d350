"""Interrupts by Ctrl-C: do they end one fit, or the search of scikit-learn that it is a part of?"""

from __future__ import annotations

import sys

SEARCHES = ("sklearn.model_selection", "sklearn.multioutput", "sklearn.multiclass", "sklearn.ensemble")
"""Modules whose loops over fits would go on with the next one."""


def within_search() -> bool:
    """Whether a loop of scikit-learn over many fits is among the callers: an interruption is then meant for it.

    Returns:
        The answer, from the stack of this thread.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(SEARCHES):
            return True
        frame = frame.f_back
    return False
