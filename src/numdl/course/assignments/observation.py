"""Observation of programs: what do the functions of a submission show to a probe, whatever they do?"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from numdl.course.assignments.process.remote import Failure
from numdl.course.assignments.process.wire import Unusable
from numdl.course.assignments.task import Data, Function, Functions, Task, Values


class Seen(NamedTuple):
    """What a probe saw, or why it saw nothing."""

    values: Values
    failure: Failure | None = None


def observe(probe: Callable[[Functions, Data], Any], functions: Functions, data: Data) -> Seen:
    """What a probe sees, as arrays by name; what it raises is a failure.

    Args:
        probe: of a check.
        functions: from `callables`.
        data: of the student.

    Returns:
        Values or failure.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            seen = probe(functions, data)
        except Failure as failure:
            return Seen({}, failure)
        except (ValueError, TypeError, ArithmeticError, IndexError, np.linalg.LinAlgError) as error:
            return Seen({}, Failure("kind", f"what came cannot be used ({type(error).__name__}: {error})"))
    named = seen if isinstance(seen, Mapping) else {"": seen}
    return Seen({name: np.asarray(value) for name, value in named.items()})


def callables(task: Task, functions: Mapping[str, Callable[..., Any]]) -> Functions:
    """Functions that give arrays of the right shape, or a failure.

    Args:
        task: the assignment.
        functions: by name.

    Returns:
        All functions of the task by name.
    """
    made = {one.name: _callable(one, functions.get(one.name)) for one in task.functions}
    return SimpleNamespace(**made)


def _callable(function: Function, raw: Callable[..., Any] | None) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        if raw is None:
            raise Failure("missing", f"there is no function {function.name}")
        with _failing():
            result = raw(*[arg.copy() if isinstance(arg, np.ndarray) else arg for arg in args])
        shapes = None if function.returns is None else function.returns(*args)
        if not isinstance(shapes, list):
            return _array(function.name, result, shapes)
        if not isinstance(result, tuple | list) or len(result) != len(shapes):
            came = f"{len(result)}" if isinstance(result, tuple | list) else _kind(result)
            raise Failure("kind", f"{function.name} returned {came} instead of {len(shapes)} results")
        return tuple(_array(function.name, one, shape) for one, shape in zip(result, shapes, strict=True))

    return call


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except Failure:
        raise
    except (Exception, SystemExit) as error:
        text = str(error)[:300]
        raise Failure(type(error).__name__, f"raised {type(error).__name__}" + (f": {text}" if text else "")) from error


def _array(name: str, value: Any, shape: tuple[int, ...] | None) -> Any:
    if value is None:
        raise Failure("kind", f"{name} returned nothing; is a return missing?")
    try:
        array: Any = None if isinstance(value, Unusable | str) else np.asarray(value)
    except (ValueError, TypeError):
        array = None
    if array is None or array.dtype.kind not in "biufc":
        raise Failure("kind", f"{name} returned {_kind(value)}, no numbers")
    if array.dtype.kind == "c" and np.abs(array.imag).max(initial=0) <= 1e-12 * np.abs(array).max(initial=0):
        array = array.real
    array = array.astype(complex if array.dtype.kind == "c" else float)
    if shape is not None and not (
        len(shape) == array.ndim and all(want in (-1, had) for want, had in zip(shape, array.shape, strict=True))
    ):
        said = f"{name} returned shape {array.shape}"
        raise Failure("shape", said, (array.shape, str(shape).replace("-1", "any")))
    return array if array.ndim else array[()]


def _kind(value: Any) -> str:
    kind = value.kind if isinstance(value, Unusable) else type(value).__name__
    return f"{'an' if kind[:1] in 'aeio' else 'a'} {kind}"
