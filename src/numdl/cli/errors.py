"""Errors and interruptions of the commands: what is the user's mistake, what is ours, and what does Ctrl-C do?"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

DONE, MISTAKE, UNUSABLE, OURS, INTERRUPTED = 0, 1, 2, 70, 130
"""Exit codes; 2 where 1 says that checks failed; 70 is EX_SOFTWARE of sysexits.h, 130 is 128 + SIGINT as in shells."""


class UserError(Exception):
    """A mistake the user can mend; its text is one sentence that is shown without a traceback.

    Args:
        said: the sentence.
        code: exit code of the command.
    """

    def __init__(self, said: str, *, code: int = MISTAKE) -> None:
        super().__init__(said)
        self.code = code


@contextlib.contextmanager
def blame_input(*kinds: type[Exception]) -> Iterator[None]:
    """Around calls of the library that check what the user gave: their complaints become a `UserError`.

    Args:
        *kinds: exceptions that are complaints; ValueError and OSError if none is given.

    Raises:
        UserError: the call raised one of them.
    """
    complaints = kinds or (ValueError, OSError)
    try:
        yield
    except complaints as error:
        raise UserError(" ".join(str(error).split())) from error


@contextlib.contextmanager
def two_interrupts(tell: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C stays a KeyboardInterrupt; a second ends the process whatever it is doing.

    Python calls its signal handlers only between its own instructions, so neither is seen while compiled code runs. A
    thread therefore listens to the signals as they come. Whichever sees the second one first, thread or handler, quits.

    Args:
        tell: called at the first Ctrl-C, to say that the end is under way.

    Yields:
        Whether one came; its KeyboardInterrupt may be lost, as in a callback of C while modules are imported.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread may listen to signals
        return
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    former = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    heard: list[int] = []
    handler = signal.signal(signal.SIGINT, _first_raises(heard))
    threading.Thread(target=_listen, args=(ear, tell), daemon=True).start()
    try:
        yield lambda: bool(heard)
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.set_wakeup_fd(former)
        mouth.close()  # ends the thread


def _first_raises(heard: list[int]) -> Callable[[int, FrameType | None], None]:
    """Handler that raises KeyboardInterrupt once and then quits; it notes what it hears."""

    def handle(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) > 1:
            _quit()
        raise KeyboardInterrupt

    return handle


def _listen(ear: socket.socket, tell: Callable[[], object]) -> None:
    heard = 0
    with ear:
        while signals := ear.recv(64):
            before, heard = heard, heard + signals.count(signal.SIGINT)
            if heard > 1:
                _quit()
            if heard > before:
                tell()


def _quit() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h\n")  # the progress line hides the cursor
        sys.stderr.flush()
    os._exit(INTERRUPTED)
