"""How are processes started that share a benchmark, and how are their calls compiled and timed?"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks._common import BenchmarkError

REPEATS = 3


def started(module: str, task: dict[str, Any], cores: list[list[int]], devices: int = 1) -> list[dict[str, Any]]:
    """Start a process for each entry of ``cores``, bound to these; what each of them found.

    Args:
        module: of ``benchmarks``; run as a program it takes a task as JSON and prints what it found as JSON.
        task: what to do; a process also learns its ``index``, the ``count`` of processes, its ``cores`` and a ``port``.
        cores: of each process.
        devices: of each process, as JAX sees it.

    Returns:
        What each process found.

    Raises:
        BenchmarkError: a process failed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = f" --xla_force_host_platform_device_count={devices}" if devices > 1 else ""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": os.environ.get("XLA_FLAGS", "") + flags}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "2"  # how XLA moves arrays is counted; its warnings about it are pages
    processes = []
    for index, own in enumerate(cores):
        told = task | {"cores": own, "index": index, "count": len(cores), "port": port}
        call = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(told)]
        processes.append(subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=600)[0] for process in processes]
    if any(process.returncode for process in processes):
        raise BenchmarkError(f"benchmark {module}: a process failed at {task}, see its message above.")
    return [json.loads(text.splitlines()[-1]) for text in said]


def join(task: dict[str, Any]) -> None:
    """Keep to the cores of this process, and meet the others."""
    os.sched_setaffinity(0, task["cores"])
    import jax

    if task["count"] > 1:
        jax.distributed.initialize(f"127.0.0.1:{task['port']}", task["count"], task["index"])


class Compiled:
    """A compiled call with its arguments."""

    def __init__(self, call: Any, *args: Any) -> None:
        self.args, self.program = args, call.lower(*args).compile()

    def __call__(self) -> Any:
        """The result, once it is there."""
        import jax

        return jax.block_until_ready(self.program(*self.args))


def median_seconds(call: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Median seconds of a call that was made before."""
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
