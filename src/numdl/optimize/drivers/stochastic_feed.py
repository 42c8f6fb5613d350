"""Mini-batch feed: where do the batches of an epoch come from: data in memory, or pieces of data too large for it?

Every part that leaves here has the same number of rows, valid ones first, so that one compilation serves all: the first
piece sets that number, shorter pieces are padded and longer ones are cut.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from numdl import checks
from numdl.contracts import SampledProblem
from numdl.optimize.drivers.stochastic_epoch import shuffled

CALL = "minimize_stochastic"
Piece = tuple[Any, ...]  # x (m, d), c (m, k), and perhaps weights w (m,), of pixels (m, pixels)
Pieces = Callable[[], Iterable[Piece]] | Sequence[Piece]
ORDER = np.uint32(2**32 - 1)  # no part has this number


class Part(NamedTuple):
    """Data for one call of the compiled loop: a problem whose first ``valid`` rows count."""

    problem: Any
    valid: int


def check_problem(problem: SampledProblem, call: str = CALL) -> None:
    """Refuse data in memory that are empty or not finite.

    Args:
        problem: in memory.
        call: the call to name.

    Raises:
        ValueError: there is no row, or an entry is not finite.
    """
    for name in ("x", "c", "w"):
        checks.finite(call, f"problem.{name}", getattr(problem, name))
    if problem.x.shape[0] < 1:
        raise ValueError(f"{call}: the problem has 0 samples, needs at least 1. Give data.")


def check_pieces(pieces: Any) -> None:
    """Refuse pieces that can be read only once.

    Args:
        pieces: what ``minimize_stochastic`` was given; None for data in memory.

    Raises:
        TypeError: neither a callable nor a sequence.
    """
    sequence = hasattr(pieces, "__len__") and hasattr(pieces, "__getitem__") and not isinstance(pieces, str)
    if pieces is None or callable(pieces) or sequence:
        return
    raise TypeError(
        f"{CALL}(pieces={type(pieces).__name__}): it ends after one epoch, needs a callable that makes an iterator, "
        "or a sequence. Use pieces=lambda: row_chunks(path, target), or row_pieces(path, target)."
    )


def in_memory(problem: Any) -> Iterator[Part]:
    """All rows as one part.

    Yields:
        The problem itself.
    """
    yield Part(problem, problem.x.shape[0])


def from_pieces(problem: Any, pieces: Pieces, key: Array, capacity: int | None, rows: int | None) -> Iterator[Part]:
    """Parts of equal size from pieces of any.

    Args:
        problem: gives structure, shapes and types; its own rows are not used.
        pieces: called for a new iterator, whose order is kept; or a sequence, read in an order drawn by the key.
        key: of this epoch.
        capacity: rows of a part; None for those of the first piece.
        rows: how many rows there must be in all; None in the first epoch.

    Yields:
        Parts, none of them empty.

    Raises:
        ValueError: a piece has another shape or type or an entry that is not finite, or the pieces end early.
    """
    seen, number, kinds = 0, -1, None
    for number, piece in _in_order(pieces, key):
        arrays = _checked(problem, number, piece, seen)
        kinds = kinds or [a.dtype for a in arrays]
        if [a.dtype for a in arrays] != kinds:
            raise ValueError(
                f"{CALL}: piece {number} (from row {seen}) has types {_words(a.dtype for a in arrays)}, the first one "
                f"had {_words(kinds)}. Convert all pieces alike."
            )
        m = len(arrays[0])
        capacity = capacity or max(m, 1)
        for start in range(0, m, capacity):
            part = [a[start : start + capacity] for a in arrays]
            yield Part(_filled(problem, part, capacity), len(part[0]))
        seen += m
    needed = 1 if rows is None else rows
    if seen < needed or (rows is not None and seen != rows):
        raise ValueError(
            f"{CALL}: the pieces ended after piece {number} and {seen} rows, needs {needed}. Give a callable that "
            "makes a new iterator over the same data each time, such as lambda: row_chunks(path, target)."
        )


def first_length(pieces: Pieces) -> int | None:
    """Rows of the piece of index 0 of a sequence, where the drawn order may begin with a shorter one."""
    return None if callable(pieces) or not len(pieces) else len(pieces[0][0]) or None


def _in_order(pieces: Pieces, key: Array) -> Iterator[tuple[int, Piece]]:
    if callable(pieces):
        yield from enumerate(pieces())
        return
    for index in np.asarray(shuffled(jax.random.fold_in(key, ORDER), len(pieces), jnp.asarray(np.int32(len(pieces))))):
        yield int(index), pieces[int(index)]


def _checked(problem: Any, number: int, piece: Piece, seen: int) -> list[np.ndarray]:
    """Arrays x, c, w of a piece, weights of 1 if it has none and the problem has one for each row."""
    arrays = [np.asarray(a) for a in piece]
    of_pixels = problem.w.ndim > 1  # a pixel without a class has the code of class 0: only its weight tells it
    if len(arrays) == 2 and not of_pixels:
        arrays.append(np.ones(len(arrays[0]), arrays[0].dtype))
    like, needs = (problem.x, problem.c, problem.w), "perhaps weights (m,). Check the columns."
    if of_pixels:
        needs = f"weights (m, {problem.w.shape[1]}). Give each pixel its weight, 0 without a class."
    if (
        len(arrays) != 3
        or any(a.shape[1:] != b.shape[1:] or a.ndim != b.ndim for a, b in zip(arrays, like, strict=True))
        or len({len(a) for a in arrays}) != 1
    ):
        raise ValueError(
            f"{CALL}: piece {number} has shapes {_words(a.shape for a in arrays)} from row {seen + 1} on, needs (m, "
            f"{problem.x.shape[1]}) and (m, {problem.c.shape[1]}) with the same m, and "
            f"{needs}"
        )
    for name, values in zip("xcw", arrays, strict=True):
        checks.finite(CALL, f"{name} of piece {number}", values, first=seen + 1)
    return arrays


def _filled(problem: Any, part: list[np.ndarray], capacity: int) -> Any:
    """The problem with these rows, padded with copies of the last one, which are as harmless for the model as it is."""
    blank = capacity - len(part[0])
    full = [
        jnp.asarray(np.pad(a, [(0, blank)] + [(0, 0)] * (a.ndim - 1), "edge"), b.dtype)
        for a, b in zip(part, (problem.x, problem.c, problem.w), strict=True)
    ]
    return dataclasses.replace(problem, x=full[0], c=full[1], w=full[2])


def _words(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in values)
