"""Time budget of a search: how much longer may it go on, and what is kept when it is interrupted?"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from scipy.linalg.lapack import dpotrf  # pyright: ignore[reportAttributeAccessIssue]

from numdl.contracts.interrupts import within_search

T = TypeVar("T")

_TRIED = 400
"""Rows of a factorisation whose seconds tell the rate."""


class Late(Exception):
    """The time was over in the middle of something."""


class Clock:
    """How much longer may a search go on?

    Args:
        seconds: that it may take, None for no limit.
        observe: called with a dictionary before each part of the search: ``phase``, what is tried, and ``seconds``.

    Attributes:
        end: when the time is over, as ``time.monotonic`` tells it.
        interrupted: whether Ctrl-C came.
        late: whether something was not done for want of time.
    """

    def __init__(self, seconds: float | None, observe: Callable[[dict[str, Any]], object] | None = None) -> None:
        self._began, self._seconds, self._observe = time.monotonic(), seconds, observe
        self.interrupted, self.late = False, False
        self._rate: float | None = None
        self.share(1.0)

    def share(self, part: float) -> None:
        """Let the time be over when a part of all has passed.

        Args:
            part: between 0 and 1.
        """
        self.end = np.inf if self._seconds is None else self._began + part * self._seconds

    def left(self) -> float:
        """Seconds that are left, infinite without a limit."""
        return self.end - time.monotonic()

    def tell(self, phase: str) -> None:
        """Tell who observes what is tried next; an interruption from there ends the search as any other.

        Args:
            phase: in some words.
        """
        if self._observe is None:
            return
        try:
            self._observe({"phase": phase, "seconds": time.monotonic() - self._began})
        except KeyboardInterrupt:
            self.interrupted = True

    def over(self) -> bool:
        """Whether nothing new should be begun."""
        late = time.monotonic() > self.end
        self.late |= late
        return self.interrupted or late

    @property
    def ending(self) -> str:
        """Why something was not done, in words that begin a sentence."""
        return "Ctrl-C came" if self.interrupted else "The time was over"

    def spare(self, operations: float) -> bool:
        """Whether so many floating point operations of LAPACK are likely to end in time.

        Args:
            operations: multiplications and additions; a Cholesky factor of n rows takes ``n^3 / 3``.

        Returns:
            The answer, by the rate of a small factorisation, which is measured once.
        """
        if self._seconds is None:
            return True
        if self._rate is None:
            began = time.perf_counter()
            dpotrf(np.asfortranarray(np.eye(_TRIED)))
            self._rate = _TRIED**3 / 3 / max(time.perf_counter() - began, 1e-6)
        return time.monotonic() + operations / self._rate < self.end

    def check(self) -> None:
        """Go on only where there is time.

        Raises:
            Late: the time is over; `guard` catches it.
        """
        if self.over():
            raise Late

    def insist(self, call: Callable[[], T]) -> T:
        """Result of something without which there is no model: the first interruption lets it begin again.

        Args:
            call: what has to be done.

        Returns:
            Its result.
        """
        try:
            return call()
        except KeyboardInterrupt:
            if self.interrupted or within_search():
                raise
            self.interrupted = True
            return call()

    @contextlib.contextmanager
    def guard(self, *, needed: bool) -> Iterator[None]:
        """Let an interruption or the end of the time end what is inside, and the time with it.

        Args:
            needed: whether there is no model yet, so that the interruption has to be raised.

        Raises:
            KeyboardInterrupt: it came, and what is inside is needed, or it came twice or is meant for a search around.
        """
        try:
            yield
        except Late:
            pass
        except KeyboardInterrupt:
            if needed or self.interrupted or within_search():
                raise
            self.interrupted = True
