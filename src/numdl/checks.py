"""Arguments that are refused before any work starts: one rule and one wording for the whole library.

* A whole number is an integer of Python or NumPy; ``8.0`` is none, as in scikit-learn, and is told so with ``8``.
* A number is real and finite, of Python or NumPy; truth values and arrays are none. ``scalar`` also takes arrays ().
* Arrays hold real numbers, truth values count as 0 and 1 there: imaginary parts are never dropped. Rows count from 1,
  columns from 0 or by name.
* Values that JAX traces are not known yet: they pass, and compiled code is as fast as without checks.

Each check is told the call and the name of the argument as messages name them, and the value as given; it returns the
value or raises a ValueError, for what is of another kind altogether (no text, no function, no instance) a TypeError.
Messages have one form: call, value seen, value needed, next thing to try. Nothing of numdl is imported, nor JAX.
"""

from __future__ import annotations

import math
import os
import sys
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Shape = tuple[int | str, ...]
"""Numbers are required, words such as ``"n"`` stand for any length and are shown; ``"..."`` stands for any rest."""


_FINITE: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
"""Arrays of JAX, which nobody can change, that were found finite: problems are made anew from the same arrays in every
step of a run, and would be fetched from their device for it."""


def traced(value: Any) -> bool:
    """Whether a value is known only when a compiled program runs."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def is_whole(value: Any) -> bool:
    """Whether a value is an integer of Python or NumPy; truth values are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a real, finite number of Python or NumPy; truth values are none."""
    return is_whole(value) or (isinstance(value, float | np.floating) and math.isfinite(value))


def whole(call: str, name: str, value: Any, *, least: float = -math.inf, most: float = math.inf, hint: str = "") -> int:
    """A whole number in range, as Python's; ``hint`` is the next thing to try instead of a number that would do."""
    if traced(value):
        return value
    if is_whole(value) and least <= value <= most:
        return int(value)
    needs = f"a whole number{_range(least, most)}"
    if is_number(value) and value == int(value) and least <= value <= most:  # 8.0
        hint = f"Give {name}={int(value)}."
    raise ValueError(f"{call}({name}={shown(value)}): needs {needs}. {hint or _try(name, least, most)}")


def wholes(call: str, name: str, values: Any, *, count: int | None = None, least: float = -math.inf) -> tuple[int, ...]:
    """Whole numbers such as the sides of an image, as a tuple of Python's: ``count`` of them, or one or more."""
    given = values.tolist() if isinstance(values, np.ndarray) else values
    fits = isinstance(given, list | tuple) and len(given) == (count or max(len(given), 1))
    if not fits or not all(is_whole(value) and value >= least for value in given):
        needed = "one or more" if count is None else str(count)
        raise ValueError(
            f"{call}({name}={shown(values)}): needs {needed} whole numbers{_range(least, math.inf)}. "
            f"Give for example {(16,) * (count or 2)}."
        )
    return tuple(int(value) for value in given)


def number(
    call: str,
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    infinite: bool = False,
    hint: str = "",
) -> float:
    """A real, finite number, as Python's: from ``least`` to ``most``, beyond ``above`` and before ``below``.

    ``infinite``: whether infinity will do, as a bound that nothing reaches.
    """
    if is_number(value) and least <= value <= most and above < value < below:
        return value.item() if isinstance(value, np.generic) else value
    if infinite and isinstance(value, float | np.floating) and value == math.inf:
        return math.inf
    needs = f"a {'' if infinite else 'finite '}number{_range(least, most, above, below)}"
    raise ValueError(f"{call}({name}={shown(value)}): needs {needs}. {hint or f'Give another {name}.'}")


def scalar(call: str, name: str, value: Any, **bounds: Any) -> Any:
    """A number, or an array () of one, as given; ``bounds`` and hint as for ``number``. What is traced passes."""
    if traced(value):
        if value.shape == () and value.dtype.kind in "iufV":
            return value
        raise ValueError(
            f"{call}({name} of shape {value.shape} and dtype {value.dtype}): needs one real number. Give another."
        )
    known = np.asarray(value)[()] if hasattr(value, "dtype") and np.shape(value) == () else value
    if hasattr(known, "dtype") and known.dtype.kind == "V":  # bfloat16 and its kin are no numbers of NumPy
        known = float(known)
    number(call, name, known, **bounds)
    return value


def choice(call: str, name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """One of the allowed words."""
    known = tuple(allowed)
    if (isinstance(value, str) or value is None) and value in known:
        return value
    raise ValueError(f"{call}({name}={shown(value)}): unknown. Use one of {', '.join(map(repr, known))}.")


def flag(call: str, name: str, value: Any) -> bool:
    """True or False, as Python's: the truth of anything else would be a guess."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ValueError(f"{call}({name}={shown(value)}): needs True or False. Use one of them.")


def text(call: str, name: str, value: Any) -> str:
    """Text."""
    if isinstance(value, str):
        return value
    raise TypeError(f"{call}({name}={shown(value)}): needs text. Give it in quotes.")


def path(call: str, value: Any, name: str = "path") -> Path:
    """Where a file is or will be, text or a path, as a path."""
    if isinstance(value, str | os.PathLike):
        return Path(value)
    raise TypeError(f"{call}({name}={shown(value)}): needs the name of a file. Give text or a pathlib.Path.")


def function(call: str, name: str, value: Any, signature: str) -> Any:
    """Something that can be called; ``signature`` says how, such as ``"v -> H v"``."""
    if callable(value):
        return value
    raise TypeError(f"{call}({name}={shown(value)}): needs a function, {signature}. Give one, such as a lambda.")


def shape_of(call: str, name: str, function: Any, *arguments: Any, needs: str) -> Any:
    """Shapes and dtypes that a function given by the user returns for arrays, or for their shapes; nothing is computed.

    ``name``: of the arguments that have to fit each other; ``needs``: what the function has to be able to do.
    """
    import jax

    try:
        return jax.eval_shape(function, *arguments)
    except (TypeError, ValueError, LookupError, AttributeError, jax.errors.JAXTypeError) as error:
        given = ", ".join(str(jax.tree.map(np.shape, argument)) for argument in arguments)
        raise TypeError(
            f"{call}({name}): cannot be evaluated on {given}: {str(error).rstrip('.')}. It needs {needs}. Check the "
            "shapes, and use jax.numpy in functions."
        ) from error


def real(call: str, name: str, values: Any, shape: Shape | None = None) -> Any:
    """An array of real numbers, of a ``Shape`` or any, as given; lists of numbers become arrays of NumPy."""
    array = values
    if not hasattr(values, "dtype") or not hasattr(values, "shape"):
        try:
            array = np.asarray(values)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{call}({name}={shown(values)}): {error}. Give one array of numbers.") from None
    if array.dtype.kind == "c":
        raise ValueError(
            f"{call}({name} of dtype {array.dtype}): needs real numbers. Give real and imaginary parts on their own."
        )
    if array.dtype.kind not in "biufV" or (array is not values and array.ndim == 0 and shape not in (None, ())):
        seen = f"={shown(values)}" if array is not values or array.ndim == 0 else f" of dtype {array.dtype}"
        needed = "" if shape is None else f", {_shape(shape)}"
        raise ValueError(f"{call}({name}{seen}): needs an array of real numbers{needed}. Use np.asarray(..., float).")
    if shape is not None and not _fits(array.shape, shape):
        raise ValueError(
            f"{call}({name} of shape {tuple(array.shape)}): needs {_shape(shape)}. Reshape it, or check what it was "
            "computed from."
        )
    return array


def finite(
    call: str,
    name: str,
    values: Any,
    shape: Shape | None = None,
    *,
    columns: Any = None,
    first: int = 1,
    least: float = -math.inf,
    hint: str = "Remove or fill that entry.",
) -> Any:
    """An array as from ``real``, of finite numbers; what is traced, or lies on other processes, by shape only.

    ``columns``: their names, None if they have none; ``first``: number of the first row, for tables that come in parts;
    ``least``: that an entry may be.
    """
    array = real(call, name, values, shape)
    if _FINITE.get(id(array)) is array and least == -math.inf:
        return array
    if not traced(array) and hasattr(array, "__array__") and getattr(array, "is_fully_addressable", True):
        known = np.asarray(array)
        if known.dtype.kind not in "biu" and not (good := np.isfinite(known)).all():
            bad = np.argwhere(~good)
            where = place(bad[0], columns, first)
            kind = "NaN" if np.isnan(known[tuple(bad[0])]) else "infinity"
            raise ValueError(
                f"{call}: Input {name} contains {kind}{where and f' at {where}'} ({len(bad)} such entries in all), "
                f"needs finite numbers. {hint}"
            )
        if known.size and known.min() < least:
            raise ValueError(f"{call}({name}): has entries below {least:g}, needs numbers >= {least:g}. {hint}")
        if not isinstance(array, np.ndarray | np.generic):
            _FINITE[id(array)] = array
    return array


def squarable(call: str, name: str, values: Any) -> None:
    """Refuse numbers whose squares vanish or overflow in float64, where sums of squares are to be weighed.

    Args:
        call: the call to name.
        name: of the argument.
        values: finite numbers of any shape; all may be zero.

    Raises:
        ValueError: names the largest entry.
    """
    largest = max(float(np.max(values, initial=0.0)), -float(np.min(values, initial=0.0)))
    if largest and not 1e-140 <= largest <= 1e140:
        raise ValueError(
            f"{call}: the largest entry of {name} is {largest:.2g}, whose square floating point does not hold; needs "
            "1e-140 to 1e140. Give it in another unit."
        )


def vectors(call: str, given: Mapping[str, Any], *, alike: bool = True, missing: bool = False) -> list[np.ndarray]:
    """Arguments by name as vectors of NumPy with at least one number; ``missing`` ones may be NaN or infinite.

    ``alike``: whether all are as long as the first.
    """
    found: list[np.ndarray] = []
    for name, values in given.items():
        length = len(found[0]) if alike and found else "n"
        found.append(np.asarray((real if missing else finite)(call, name, values, (length,))))
        if not found[-1].size:
            raise ValueError(f"{call}({name} of shape (0,)): needs at least one number. Give more.")
    return found


def generator(call: str, value: Any, name: str = "random_state") -> np.random.Generator:
    """NumPy's generator: the one given, or one of a seed; None for a fresh seed."""
    if value is None or isinstance(value, np.random.Generator) or (is_whole(value) and value >= 0):
        return np.random.default_rng(value)
    raise ValueError(f"{call}({name}={shown(value)}): needs a seed >= 0, a generator or None. Use {name}=0.")


def key(call: str, name: str, value: Any) -> Any:
    """A JAX random key, made from a seed where that is given."""
    import jax

    if is_whole(value):
        return jax.random.key(int(value))
    kind = getattr(value, "dtype", None)
    if kind is not None and jax.numpy.issubdtype(kind, jax.dtypes.prng_key) and value.shape == ():
        return value
    if isinstance(value, jax.Array) and kind == "uint32" and value.ndim == 1:  # a raw key, as of jax.random.PRNGKey
        return value
    raise TypeError(f"{call}({name}={shown(value)}): needs a seed or one JAX random key. Give jax.random.key(0).")


def leaves(call: str, name: str, tree: Any, *, infinite: bool = False, others: bool = False) -> Any:
    """A tree of arrays and numbers, real and finite; None and empty trees will do. Messages name the path.

    ``infinite``: whether entries may be, as bounds that nothing reaches; ``others``: whether leaves may be no arrays,
    as the functions of a module.
    """
    import jax

    for path, leaf in jax.tree.leaves_with_path(tree):
        if _FINITE.get(id(leaf)) is leaf:
            continue
        where = f"{name}{jax.tree_util.keystr(path)}"
        if hasattr(leaf, "dtype") and hasattr(leaf, "shape"):
            array = real(call, where, leaf)
            known = infinite and not traced(array) and hasattr(array, "__array__")
            finite(call, where, np.where(np.isinf(array), 0.0, array) if known else array)
        elif not others and type(leaf) is not object:  # what JAX puts in the place of leaves
            number(call, where, abs(leaf) if infinite and isinstance(leaf, float) else leaf, infinite=infinite)
    return tree


def form_of(tree: Any) -> Any:
    """Structure of a tree and shapes of its leaves, to be compared."""
    import jax

    return jax.tree.structure(tree), [np.shape(leaf) for leaf in jax.tree.leaves(tree)]


def record(call: str, name: str, value: Any, kind: type) -> Any:
    """A named tuple of a kind, whose arrays are real and finite; messages name the field."""
    instance(call, name, value, kind)
    for field, entry in zip(value._fields, value, strict=True):
        if hasattr(entry, "dtype"):
            finite(call, f"{name}.{field}", entry)
    return value


def instance(call: str, name: str, value: Any, kind: Any, hint: str = "") -> Any:
    """Something of a class."""
    if isinstance(value, kind):
        return value
    raise TypeError(
        f"{call}({name}={shown(value)}): is a {type(value).__name__}, needs a {kind.__name__}. "
        f"{hint or f'Make one with numdl or from {kind.__module__}.'}"
    )


def place(index: Any, columns: Any = None, first: int = 1) -> str:
    """An entry as messages name it: rows from 1, columns by name or from 0.

    Args:
        index: of the entry, one number for each axis.
        columns: names of the columns; None if they have none.
        first: number of the first row.

    Returns:
        Such as ``column 'age', row 3``; empty for an array ().
    """
    if not len(index):
        return ""
    row = f"row {int(index[0]) + first}"
    if len(index) == 1:
        return row
    if len(index) == 2:
        return f"column {repr(str(columns[index[1]])) if columns is not None else int(index[1])}, {row}"
    return f"{row}, index {tuple(int(i) for i in index[1:])}"


def mesh(call: str, value: Any) -> Any:
    """A mesh of devices with named axes; None for one device."""
    if value is not None and not hasattr(value, "axis_names"):
        raise ValueError(
            f"{call}(mesh={shown(value)}): needs a jax.sharding.Mesh. "
            "Use jax.make_mesh((devices,), ('data',)), or None."
        )
    return value


def shown(value: Any) -> str:
    """A value in a message: as the user wrote it, without NumPy's type around it, arrays by shape."""
    if isinstance(value, np.generic):
        return repr(value.item())
    if hasattr(value, "shape") and hasattr(value, "dtype") and (traced(value) or value.shape != ()):
        return f"array of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."


def _range(least: float, most: float, above: float = -math.inf, below: float = math.inf) -> str:
    bounds = ((">", above), (">=", least), ("<", below), ("<=", most))
    said = [f"{sign} {bound:g}" for sign, bound in bounds if math.isfinite(bound)]
    return f" {' and '.join(said)}" if said else ""


def _try(name: str, least: float, most: float) -> str:
    would_do = max(int(least), 1) if least > -math.inf else 1
    return f"Give {name}={would_do}." if would_do <= most else f"Give another {name}."


def _fits(found: tuple[int, ...], needed: Shape) -> bool:
    if needed[-1:] == ("...",):
        needed, found = needed[:-1], found[: len(needed) - 1]
    return len(found) == len(needed) and all(isinstance(n, str) or f == n for f, n in zip(found, needed, strict=True))


def _shape(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


_MARKS = {code: f"[U+{code:04X}]" for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def unmarked(text: str) -> str:
    """Text with the marks that turn its direction shown instead of obeyed: what looks like one name is that name.

    Args:
        text: for people.

    Returns:
        The same with ``[U+202E]`` for such a mark.
    """
    return text.translate(_MARKS)
