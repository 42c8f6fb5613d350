"""Checkpoints of a fit: how do the runs of a fit survive the end of their process?

One container holds every run: arrays of its progress, and in the header what is not an array. Writing is atomic; a file
of other data or other parameters is refused.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from numdl.container import read_container, write_container
from numdl.contracts import Iterate, Result, Status
from numdl.estimators.common.codec import Encoder, decode
from numdl.estimators.common.saving import versions
from numdl.estimators.networks.settings import Start
from numdl.estimators.networks.training.trainer import Run, Trainer
from numdl.models import Network
from numdl.optimize import Best, Progress
from numdl.regularize import Precisions

SECONDS = 3.0
"""Least time between two writes: a kill costs no more than this and one iteration."""


def fingerprint(parameters: dict[str, Any], *arrays: np.ndarray | None) -> str:
    """Digest of everything that decides the result of a fit."""
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True, default=repr).encode())
    for array in arrays:
        digest.update(b"-" if array is None else str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Checkpoint:
    """The file of one fit.

    Args:
        path: of the file.
        key: fingerprint of data and parameters.
        seed: of the fit.
    """

    def __init__(self, path: str | Path, key: str, seed: int) -> None:
        self.path, self.key, self.seed = Path(path), key, seed
        self.written, self.failed = -np.inf, False
        if not self.path.parent.is_dir():
            raise FileNotFoundError(
                f"checkpoint={str(path)!r}: the folder {str(self.path.parent)!r} does not exist. Create it first."
            )

    def stored_seed(self) -> int | None:
        """Seed of the file, if there is one: a fit without ``random_state`` goes on with the seed it had."""
        if not self.path.exists():
            return None
        seed = self._read()[1].get("seed")
        if type(seed) is not int or seed < 0:
            raise self._unfit(ValueError(f"seed = {seed!r}"))
        return seed

    def store(self, trainer: Trainer, *, force: bool = False) -> None:
        """Write all runs, unless that was done a moment ago; where it cannot be written the fit goes on without."""
        now = time.perf_counter()
        if not force and now - self.written < SECONDS:
            return
        arrays: dict[str, np.ndarray] = {}
        runs = []
        for i, run in enumerate(trainer.runs.values()):
            leaves, header = _pack(run)
            arrays |= {f"{i}/{j}": np.asarray(leaf) for j, leaf in enumerate(leaves)}
            runs.append(header | {"leaves": len(leaves)})
        header = {"key": self.key, "seed": self.seed, "runs": runs, "elapsed": trainer.elapsed}
        header["versions"] = versions()
        try:
            write_container(self.path, arrays, header, kind="checkpoint")
        except OSError as error:
            if not self.failed:
                warnings.warn(
                    f"{error} The fit goes on, but a kill would cost what it learns until there is space.",
                    RuntimeWarning,
                    stacklevel=2,
                )
            self.failed = True
        self.written = time.perf_counter()

    def restore(self, trainer: Trainer) -> None:
        """Give stored runs back to a trainer."""
        if not self.path.exists():
            return
        arrays, header = self._read()
        try:
            for i, stored in enumerate(header["runs"]):
                net = decode(stored["net"], arrays)
                leaves = [arrays[f"{i}/{j}"] for j in range(stored["leaves"])]
                start = Start(*stored["start"])
                trainer.runs[net, start] = _unpack(trainer, net, start, stored, leaves)
            trainer.began -= float(header["elapsed"])
        except Exception as error:  # the checksum of the file authenticates nobody, and versions differ
            if str(error).startswith("load"):
                raise
            raise self._unfit(error, header.get("versions", "an older numdl")) from None

    def _unfit(self, error: Exception, made_with: Any = "an unknown numdl") -> ValueError:
        return ValueError(
            f"checkpoint={str(self.path)!r}: its parts do not fit together ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}). It was made with {made_with}, this is {versions()}. Use those, or "
            "delete the file to start anew."
        )

    def remove(self) -> None:
        """Delete the file: the fit is done."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, header = read_container(self.path, kind="checkpoint")
        if header.get("key") != self.key:
            raise ValueError(
                f"checkpoint={str(self.path)!r} belongs to a fit with other data or other parameters. "
                "Give another path, or delete the file to start anew."
            )
        return arrays, header


def _tree(progress: Progress, result: Result) -> Any:
    """Arrays of a run; the head of a result belongs to the best penalty parameters, that of the best point may not."""
    iterate, best = progress.iterate, progress.best
    run = (iterate.p, iterate.aux, iterate.value, iterate.state, progress.memory)
    return (*run, best.p, best.aux, best.memory, result.aux)


def _pack(run: Run) -> tuple[list[Any], dict[str, Any]]:
    progress = run.progress
    names = sorted(progress.history)
    table = np.asarray([progress.history[name] for name in names])
    header = {
        "net": Encoder().encode(run.net, "net"),
        "start": list(run.start),
        "history": names,
        "status": list(run.result.status),
        "score": progress.best.score if np.isfinite(progress.best.score) else None,
        "iteration": progress.best.iteration,
        "seconds": progress.seconds,
        "since": progress.since,
    }
    return [*jax.tree.leaves(_tree(progress, run.result)), table], header


def _unpack(trainer: Trainer, net: Network, start: Start, stored: dict[str, Any], leaves: list[Any]) -> Run:
    theta = trainer.first_weights(net, start)
    problem, method, follow, algebra = trainer.setup(net, theta)
    head_of_start = problem.first_head(theta)
    blank = method.init(problem, theta, head_of_start)
    memory = follow.start()
    tree = (theta, head_of_start, blank.value, blank.state, memory, theta, head_of_start, memory, head_of_start)
    *flat, table = leaves
    filled = jax.tree.unflatten(jax.tree.structure(tree), flat)
    p, aux, value, state, memory, best_p, best_aux, best_memory, head = filled
    weights = (theta, head_of_start)
    for found, like in (
        ((p, aux), weights),
        ((best_p, best_aux), weights),
        ((best_p, head), weights),
        ((value, state), tree[2:4]),
        (memory, follow.start()),
        (best_memory, follow.start()),
    ):
        if _kinds(found) != _kinds(like):
            raise ValueError("weights of another network")
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((p, aux, best_p, best_aux, head))):
        raise ValueError("weights are not finite")
    if not all(np.all((np.asarray(leaf) > 0) & np.isfinite(leaf)) for one in (memory, best_memory) for leaf in one[0]):
        raise ValueError("precisions are no positive numbers")
    _require_progress(stored, table)
    p, aux, value, state = jax.tree.map(jax.numpy.asarray, (p, aux, value, state))
    score = -np.inf if stored["score"] is None else stored["score"]
    best_p, best_aux, head = jax.tree.map(jax.numpy.asarray, (best_p, best_aux, head))
    best = Best(best_p, best_aux, _memory(best_memory), score, stored["iteration"])
    history = {name: list(column) for name, column in zip(stored["history"], table.tolist(), strict=True)}
    iterate, since = Iterate(p, aux, value, state, {}), stored.get("since", 0)  # files of version 0.1.0 have no levels
    progress = Progress(iterate, _memory(memory), best, history, stored["seconds"], since)
    arrays = {name: np.asarray(column) for name, column in history.items()}
    result = Result(best.p, head, Status(*stored["status"]), arrays)
    return Run(net, start, progress, result, algebra, trainer.settings.grouping)


def _kinds(tree: Any) -> list[tuple[tuple[int, ...], str]]:
    """Shape of each array and whether it holds numbers with fractions, whole ones or truths."""
    return [(np.shape(leaf), np.asarray(leaf).dtype.kind) for leaf in jax.tree.leaves(tree)]


def _require_progress(stored: dict[str, Any], table: Any) -> None:
    """Refuse what is said of a run and cannot be."""
    names = stored["history"]
    if not names or any(not isinstance(name, str) for name in names) or names != sorted(set(names)):
        raise ValueError("the history has no names")
    if table.dtype.kind != "f" or table.ndim != 2 or table.shape[0] != len(names):
        raise ValueError(f"a history of {table.shape} for {len(names)} names")
    score, since = stored["score"], stored.get("since", 0)
    if not (score is None or type(score) is float) or type(stored["seconds"]) not in (float, int):
        raise ValueError(f"score {score!r}, seconds {stored['seconds']!r}")
    if any(type(count) is not int or not 0 <= count <= table.shape[1] for count in (stored["iteration"], since)):
        raise ValueError(f"best of iteration {stored['iteration']!r} of {table.shape[1]}, since {since!r}")
    if any(not isinstance(part, str) for part in stored["status"][:2]):
        raise ValueError(f"status {stored['status']!r}")


def _memory(memory: Any) -> tuple[Precisions, int]:
    (prior, noise), steps = memory
    return Precisions(np.asarray(prior), np.asarray(noise) if np.ndim(noise) else float(noise)), int(steps)
