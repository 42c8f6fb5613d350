"""What is the user's mistake, and what is ours?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

DONE, MISTAKE, OURS, INTERRUPTED = 0, 1, 70, 130
"""Exit codes; 70 is EX_SOFTWARE of sysexits.h, 130 is 128 + SIGINT as in shells."""


class UserError(Exception):
    """A mistake the user can mend; its text is one sentence that is shown without a traceback."""


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
