"""What is run for the pictures of the gallery: small versions of all experiments, and all examples.

Most of what a small version costs is the start of a process and the compilation of programs. So few processes run all
of them, with programs compiled at once instead of well, and share what they have compiled. What is made stays: a run
that was interrupted goes on where it was, and an experiment whose file has changed since is run again.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import runpy
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, NamedTuple

PROCESSES = 4
"""At most; each takes up to 1 GB."""


class Missing(RuntimeError):
    """A run did not give what it should; its text says why."""


class Job(NamedTuple):
    """What may have to be run.

    Attributes:
        name: of an experiment, or of the file of an example.
        source: its file.
        made: name of the file that it leaves last: .png of an experiment, .txt with what an example prints.
    """

    name: str
    source: Path
    made: str


def run(jobs: Sequence[Job], folder: Path, tell: Callable[[str], object]) -> None:
    """Run what has left nothing in the folder yet, or something older than its file.

    Args:
        jobs: in the order in which they are begun.
        folder: for pictures, numbers and printed lines; made if it does not exist.
        tell: is told each end, one line.

    Raises:
        SystemExit: some failed, after all others have been run; or Ctrl-C came.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [job for job in jobs if _older(folder / job.made, job.source)]
    if not wanted:
        return
    for left in folder.glob(".*"):  # by a run that was interrupted
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    workers = min(PROCESSES, _cores(), len(wanted))
    tell(f"docs: {len(wanted)} of {len(jobs)} experiments and examples to run for the gallery, {workers} at a time")
    failed: list[str] = []
    begun = time.perf_counter()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _prepare)
    try:
        waiting: dict[Future[float], str] = {pool.submit(_make, job, folder): job.name for job in wanted}
        for count, done in enumerate(as_completed(waiting), 1):
            name = waiting[done]
            if error := done.exception():
                failed.append(f"docs: {name} failed: {error}")
            took = failed[-1] if error else f"{name}, {done.result():.1f} CPU s"
            tell(f"docs: {count:2} of {len(wanted)}, {time.perf_counter() - begun:.0f} s: {took}")
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in active_children():  # else each would first run what is queued for it
            child.terminate()
        raise SystemExit("docs: interrupted. What was made is kept: the same command goes on from here.") from None
    pool.shutdown()
    if failed:
        raise SystemExit("\n".join([*failed, f"docs: {len(failed)} of {len(wanted)} failed; the others are kept."]))


def _older(made: Path, source: Path) -> bool:
    return not made.is_file() or made.stat().st_mtime < source.stat().st_mtime


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prepare() -> None:
    """Settings of a process, before JAX is loaded: one thread, and programs that are compiled at once."""
    from numdl.course.at_once import compile_at_once

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    compile_at_once()
    os.environ["MPLBACKEND"] = "agg"
    gc.set_threshold(100_000, 50, 100)  # tracing makes many small objects that live on


def _make(job: Job, folder: Path) -> float:
    """Run one in this process; its CPU seconds. Files appear when they are whole, that which is looked for last."""
    begun = time.process_time()
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            made = (
                {job.made: _example(job.source, said)} if job.made.endswith(".txt") else _experiment(job.name, folder)
            )
    except (Exception, SystemExit) as error:
        raise Missing(f"{type(error).__name__}: {error}\n{said.getvalue()[-2000:]}") from None
    for file, content in made.items():
        draft = folder / f".{file}.new"
        draft.write_bytes(content)
        os.replace(draft, folder / file)
    return time.process_time() - begun


def _experiment(name: str, folder: Path) -> dict[str, bytes]:
    from numdl import course

    out = folder / f".{os.getpid()}"
    record: dict[str, Any] = course.run(name, out, quick=True)
    made = {f"{name}.{ending}": out / f"{name}.{ending}" for ending in ("json", "svg", "png")}
    contents = {file: path.read_bytes() for file, path in made.items()}
    for path in made.values():
        path.unlink()
    out.rmdir()
    if not record["passed"]:
        raise Missing(
            "; ".join(f"{one['sentence']}: {one['measured']}" for one in record["claims"] if not one["holds"])
        )
    return contents


def _example(path: Path, said: io.StringIO) -> bytes:
    """What an example prints; the precision of JAX is the default again afterwards, whatever it does."""
    words, sys.argv = sys.argv, [str(path)]
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = words
        if "jax" in sys.modules:
            sys.modules["jax"].config.update("jax_enable_x64", False)
    return said.getvalue().encode()
