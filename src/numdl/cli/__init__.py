"""Command line: how does the command ``numdl`` start, and with which exit code does it end?

0 done, 1 the user's mistake (one message, no traceback), 2 a submission that cannot be run, where 1 says that it is
wrong, 130 interrupted, 70 an error in numdl. Nothing heavy is imported before a command needs it, so that
``numdl --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from numdl.cli.errors import DONE, INTERRUPTED, MISTAKE, OURS, UserError

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command ``numdl``.

    Args:
        args: its arguments; those of the process if not given.

    Returns:
        The exit code.
    """
    args = list(sys.argv[1:] if args is None else args)
    try:
        if args == ["experiment", "list"]:  # most of its time would be that of reading options, and it has none
            from numdl.cli.course import print_names

            print_names()
            return DONE
        from numdl.cli.app import app  # takes a moment, in which Ctrl-C may come

        app(args=args, prog_name="numdl")  # always leaves by SystemExit
    except SystemExit as leave:
        # typer says 2 for a wrong option; that is the user's mistake like any other
        return MISTAKE if leave.code == 2 else leave.code if isinstance(leave.code, int) else DONE
    except UserError as error:
        _complain(str(error))
        return error.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        _apologise(error, debug="--debug" in args or bool(os.environ.get("NUMDL_DEBUG")))
        return OURS
    return DONE


def _complain(message: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from numdl.checks import unmarked

    # soft_wrap: one message is one line, whatever reads it
    Console(stderr=True).print(Text.assemble(("Error: ", "bold red"), unmarked(message)), soft_wrap=True)


def _apologise(error: Exception, debug: bool) -> None:
    import traceback

    if debug:
        traceback.print_exception(error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    _complain(
        f"numdl failed unexpectedly ({what}). This is our mistake: please report it"
        + (" with the lines above." if debug else " with what `numdl --debug ...` prints.")
    )
