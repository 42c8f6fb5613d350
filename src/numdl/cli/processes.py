"""Multi-process runs: in which processes does a command run, how do they find each other, and how do they end?

Launchers that exist start them: ``mpirun`` of Open MPI or ``srun`` of Slurm. Each process runs the same command and
reads the same file; the devices of all form one mesh, along which the rows are divided. Process 0 speaks and writes.

A process that is lost breaks the next exchange of the others at once, or else misses its heartbeat: they say so and
end. What a fit has written until then is whole, for it is written by renaming.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from numdl.cli.errors import INTERRUPTED, MISTAKE, OURS, UserError

HEARTBEAT = 20
"""Seconds without a sign of life after which a process counts as lost."""
START = 60
"""Seconds that the processes wait for each other at the start."""
_LAUNCHERS = (("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"), ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"))
"""Variables with the number of processes and that of this one: Open MPI, Slurm (within ``srun``)."""
_EXCHANGES = ("Gloo", "NCCL", "oordination service")
"""Words in JAX's errors about an exchange that failed; they have no type of their own."""

T = TypeVar("T")


class CommonError(UserError):
    """A mistake that all processes know of, so that they end together; one of them says it."""


class Job(NamedTuple):
    """The processes that run this command.

    Attributes:
        count: how many there are.
        index: which of them this one is.
        mesh: all their devices, with the axis ``"data"``; None for a process that is alone.
    """

    count: int = 1
    index: int = 0
    mesh: Any = None

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes."""
        return self.index == 0

    def of_first(self, value: T) -> T:
        """What process 0 says, a bool or a small whole number; all ask at the same time."""
        if self.count == 1:
            return value
        from numdl.estimators.common.processes import of_first

        return of_first(self.mesh, value)

    def together(self, call: Callable[[], T]) -> T:
        """A call that all processes make at the same time, and which fails for all if it fails for one.

        Args:
            call: what to do; it exchanges nothing with the other processes.

        Returns:
            What it returned here, once it has returned everywhere.

        Raises:
            CommonError: it failed somewhere, and this is the first process where it did.
            SystemExit: it failed, and another process says why.
        """
        if self.count == 1:
            return call()
        from jax.experimental.multihost_utils import process_allgather

        value, error = None, None
        try:
            value = call()
        except UserError as mistake:
            error = mistake
        failed = np.flatnonzero(np.asarray(process_allgather(np.int32(error is not None))))
        if len(failed) == 0:
            return value  # type: ignore[return-value]
        if error is None or failed[0] != self.index:
            raise SystemExit(MISTAKE)
        raise CommonError(str(error) if len(failed) == self.count else _signed(self.index, self.count, error))

    def require_same(self, digest: str, what: str) -> None:
        """Refuse to go on where the processes see different things.

        Args:
            digest: of what this process sees, hexadecimal.
            what: name of it, for the message.

        Raises:
            CommonError: another process sees something else.
        """
        if self.count == 1:
            return
        from jax.experimental.multihost_utils import process_allgather

        seen = np.asarray(process_allgather(np.frombuffer(bytes.fromhex(digest), np.uint8)))
        other = np.flatnonzero((seen != seen[0]).any(axis=1))
        if len(other):
            if not self.first:
                raise SystemExit(MISTAKE)
            raise CommonError(
                f"process {other[0]} of {self.count} sees another {what} than process 0; give all the same."
            )


def launched() -> tuple[int, int]:
    """Number of processes that a launcher has started together with this one, and which of them this one is."""
    for count, index in _LAUNCHERS:
        if int(os.environ.get(count, 1)) > 1:
            return int(os.environ[count]), int(os.environ[index])
    return 1, 0


@contextlib.contextmanager
def joined(where: str) -> Iterator[Job]:
    """Join the processes of this command, if there are several, and part from them at the end.

    Ctrl-C ends a process among several at once: it does not reach all of them at the same step.

    Args:
        where: where the work that is done so far can be found, for the message about a lost process.

    Yields:
        The processes.

    Raises:
        UserError: they do not find each other, or a mistake of this process alone.
    """
    count, index = launched()
    if count == 1:
        yield Job()
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import jax

    try:
        jax.distributed.initialize(
            num_processes=count,
            process_id=index,
            initialization_timeout=START,
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"process {index} of {count} does not find the others ({' '.join(str(error).split())}). Set "
            "JAX_COORDINATOR_ADDRESS=HOST:PORT, the host of process 0 with a free port, for all processes."
        ) from error
    signal.signal(signal.SIGTERM, _ended(count, index, where))  # JAX's own notes it and goes on
    try:
        yield Job(count, index, jax.make_mesh((jax.device_count(),), ("data",)))
    except (CommonError, SystemExit):
        jax.distributed.shutdown()
        raise
    except Exception as error:
        if any(word in str(error) for word in _EXCHANGES):
            reason = " ".join(str(error).split())[:200]
            print(
                f"process {index} of {count}: another process was lost ({reason}). What is in {where} is whole: repeat "
                "the command with --resume, with as many processes as you like.",
                file=sys.stderr,
            )
            _quit(INTERRUPTED)
        atexit.register(_quit, MISTAKE if isinstance(error, UserError) else OURS)  # the others cannot be waited for
        if isinstance(error, UserError):
            raise UserError(_signed(index, count, error)) from error
        raise
    jax.distributed.shutdown()


def _ended(count: int, index: int, where: str) -> Callable[..., None]:
    """What to do where the launcher ends the job, as ``mpirun`` does when one process was lost."""

    def end(*_: object) -> None:
        print(
            f"process {index} of {count}: the launcher ends the job; perhaps another process was lost. What is in "
            f"{where} is whole: repeat the command with --resume, with as many processes as you like.",
            file=sys.stderr,
        )
        _quit(INTERRUPTED)

    return end


def _signed(index: int, count: int, error: Exception) -> str:
    return f"process {index} of {count}: {error}"


def _quit(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
