"""What do calls promise about threads: those of the BLAS come back, and none are waited for that a fork has lost?"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits


class _Shared:
    """The setting of the BLAS, one for all threads: the first in changes it, the last out restores it.

    From version 3.8 on threadpoolctl heeds one thread only, the first that sets something, as long as that lives or
    until it leaves a ``with``: a fit in the main thread made those in others run with all threads of the BLAS, a
    hundred times slower, or left the main one with a single thread for good. So it is set in threads that end at once.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.limits = threading.Lock(), 0, None

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.limits = _apart(lambda: threadpool_limits(limits=1, user_api="blas"))

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0 and self.limits is not None:
                _apart(self.limits.restore_original_limits)
                self.limits = None


def _apart(call: Callable[[], Any]) -> Any:
    """What a call returns in a thread of its own."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


@functools.cache
def _of_each_thread() -> bool:
    """Whether the number of threads is one of each thread, as it is where the BLAS was built with OpenMP."""
    return any(one.get("threading_layer") == "openmp" for one in threadpool_info() if one["user_api"] == "blas")


_shared = _Shared()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let LAPACK work on one thread meanwhile; the former setting returns when the last of all threads is through.

    JAX calls LAPACK from its own threads. The BLAS library's threads then compete with them for the same cores and wait
    by spinning: on two cores the factor of a 200 x 200 matrix took 364 ms instead of 0.4 ms, a step 24 to 700 ms
    instead of 3 ms. Small matrices of NumPy suffer alike.

    Yields:
        Nothing.
    """
    _shared.enter()
    try:
        with threadpool_limits(limits=1, user_api="blas") if _of_each_thread() else nullcontext():
            yield
    finally:
        _shared.leave()


class _Fork:
    """Whether JAX has worked in this process, and whether it had in the one that this was forked from."""

    used = lost = False


def _after_fork() -> None:
    _Fork.lost, _Fork.used = _Fork.used or _Fork.lost, False
    global _shared
    _shared = _Shared()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def require_threads(call: str) -> None:
    """Refuse work in JAX after a fork, where its threads are gone and would be waited for for ever.

    Args:
        call: the call to name.

    Raises:
        RuntimeError: this process was forked from one in which JAX had worked.
    """
    if _Fork.lost:
        raise RuntimeError(
            f"{call}: this process was forked from one in which JAX had worked already, whose threads are not here; it "
            "would wait for them for ever. Start processes by multiprocessing.get_context('spawn') or by joblib, or "
            "fit nothing before the fork."
        )
    _Fork.used = True
