"""Base arguments of the catalogue in ``test_arguments``: rooms data, analysis, estimators, plots and report."""

import functools
import importlib
import pathlib
import tempfile

import jax.numpy as jnp
import numpy as np
import optax


def of(room, name):
    return getattr(importlib.import_module(f"numdl.{room}"), name)


# ------------------------------------------------------------------------------------------------ optimize, regularize
def methods():
    return {"steepest": of("optimize", "SteepestDescent")()}


def trial():
    from numdl.optimize.parts.line_search import Trial

    return Trial(jnp.asarray(1.0), jnp.asarray(-1.0), None)


def line(t):
    return trial()._replace(value=1.0 - t + t**2, slope=2 * t - 1.0)


def halves():
    return [(np.arange(3), np.arange(3, 6)), (np.arange(3, 6), np.arange(3))]


def rows():
    return np.random.default_rng(0).standard_normal((6, 3))


@functools.cache
def folder():
    """Small files of every kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = tempfile.TemporaryDirectory()
    path = pathlib.Path(place.name)
    (path / "table.csv").write_text("a,b\n1,2\n3,5\n")
    (path / "array.idx").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 8]))
    (path / "batch.bin").write_bytes(bytes(3073))
    pq.write_table(pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0]}), path / "table.parquet")
    return place, path


def file(name):
    return lambda: folder()[1] / name


BASES = {
    "read_table.path": file("table.csv"),
    "read_idx.path": file("array.idx"),
    "read_cifar10.path": file("batch.bin"),
    "row_chunks.path": file("table.parquet"),
    "row_chunks.target": lambda: "b",
    "row_pieces.path": file("table.parquet"),
    "row_pieces.target": lambda: "b",
    "check_writable.path": file("written.csv"),
    "write_predictions.path": file("written.csv"),
    "write_predictions.overwrite": lambda: True,
    "write_predictions.names": lambda: ["a"],
    "write_predictions.columns": lambda: [np.ones(3)],
    "ArrayPieces.x": rows,
    "ArrayPieces.c": lambda: np.ones((6, 1)),
    "Table.names": lambda: ("a",),
    "Table.columns": lambda: (np.ones(3),),
    "guess_task.column": lambda: np.arange(6.0),
    "split.n": lambda: 6,
    "split.fractions": lambda: [0.5, 0.5],
    "armijo.line": lambda: line,
    "strong_wolfe.line": lambda: line,
    "start": trial,
    "compare.methods": methods,
    "compare.work": lambda: 4,
    "minimize_cascadic.prolong": lambda: lambda level, p: p,
    "minimize_cascadic.max_iter": lambda: 2,
    "minimize_sample_average.max_iter": lambda: 2,
    "minimize_subsampled.max_iter": lambda: 2,
    "minimize_stochastic.method": lambda: of("optimize", "StochasticGradient")(optax.sgd(0.1)),
    "minimize_stochastic.epochs": lambda: 2,
    "minimize_stochastic.time_budget": lambda: 0.5,  # of 1e9 epochs
    "prepare_folds.a": rows,
    "prepare_folds.b": lambda: np.arange(6.0)[:, None],
    "prepare_folds.folds": halves,
    "fold_errors.folds": lambda: of("regularize.ridge", "prepare_folds")(rows(), np.arange(6.0)[:, None], halves()),
}
