"""Serialisation of fitted objects: which arrays and which JSON stand for them, so that no pickle is needed?

Numbers, text, lists, tuples, dictionaries and arrays are written as they are. Of classes a file may name those of
``RECORDS`` and estimators of numdl, nothing else: a file cannot reach other code.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from inspect import signature
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.estimators.common.shapes import require_shapes

if TYPE_CHECKING:
    from numdl.flow import Dynamics

RECORDS = {
    "Status": "numdl.contracts",
    "Scaler": "numdl.data",
    "TSQR": "numdl.linalg",
    "MLP": "numdl.models",
    "RandomFeatures": "numdl.models",
    "RandomWeights": "numdl.models",
    "ResNet": "numdl.models",
    "RidgePath": "numdl.regularize.ridge",
    "Choice": "numdl.regularize.selectors",
    "Member": "numdl.estimators.networks.ensemble",
    "Posterior": "numdl.estimators.networks.ensemble",
    "StandardErrors": "numdl.estimators.common.standard_errors",
    "FeatureMap": "numdl.estimators.random_features.feature_map",
    "Mixture": "numdl.estimators.kernels.mixture",
    "Tails": "numdl.estimators.kernels.mixture",
    "Process": "numdl.estimators.kernels.process",
    "Nearest": "numdl.estimators.kernels.nearest",
    "Rows": "numdl.estimators.kernels.evidence",
    "Architecture": "numdl.estimators.auto.network",
    "Network": "numdl.estimators.auto.member",
    "Chaos": "numdl.estimators.auto.chaos",
    "Boosted": "numdl.estimators.auto.boosted",
    "ClassMixture": "numdl.estimators.classes.member",
    "Scores": "numdl.estimators.classes.member",
    "Labels": "numdl.estimators.classes.member",
    "Trees": "numdl.estimators.classes.trees",
    "Forest": "numdl.estimators.trees.forest",
    "Filters": "numdl.estimators.patches.filters",
    "Pixels": "numdl.estimators.patches.intake",
    "Calibration": "numdl.estimators.patches.calibration",
    "KernelHead": "numdl.estimators.images.kernel",
    "PatchNetwork": "numdl.estimators.images.network",
}
"""Records that a file may name, and where each is defined; a record of fields that a fit keeps is one entry here."""

ESTIMATORS: dict[str, type] = {}
"""Estimators that a file may name, filled by ``SaveMixin``."""

LEFT_OUT = (np.random.Generator, np.random.RandomState)
"""Stored as None: a model does not go on drawing."""

SKLEARN = ("_sklearn", "_metadata_request")
"""How attributes begin that scikit-learn keeps for itself."""


class Encoder:
    """Objects to JSON types; arrays are collected in ``arrays`` and named by where they were found."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def encode(self, value: Any, name: str) -> Any:
        """JSON types that stand for a value.

        Args:
            value: as ``decode`` shall give it back; arrays of JAX come back as arrays of NumPy, operators as matrices.
            name: where the value stands, for arrays and messages.

        Returns:
            JSON types; dictionaries in them have one key, which begins with ``$``.

        Raises:
            ValueError: the value is of a class that a file may not name.
        """
        if value is None or isinstance(value, LEFT_OUT):
            return None
        if type(value) in (bool, int, float, str):
            return value
        if isinstance(value, np.ndarray | np.generic) or _is_a(value, "jax", "Array"):
            return self._array(np.asarray(value), name, isinstance(value, np.generic))
        if _is_a(value, "lineax", "AbstractLinearOperator"):
            return self._array(np.asarray(value.as_matrix()), name, False)
        if _is_a(value, "scipy.sparse", "sparray") or _is_a(value, "scipy.sparse", "spmatrix"):
            csr = sys.modules["scipy.sparse"].csr_array(value)
            parts = [self.encode(getattr(csr, part), f"{name}/{part}") for part in ("data", "indices", "indptr")]
            return {"$sparse": [parts, [int(size) for size in csr.shape or ()]]}
        if _is_a(value, "numdl.flow", "Dynamics"):
            return {"$dynamics": [value.name, value.damping]}
        kind = type(value).__name__
        if _is_record(value):
            fields = {field: self.encode(getattr(value, field), f"{name}/{field}") for field in _fields(type(value))}
            return {"$record": [kind, fields]}
        if ESTIMATORS.get(kind) is type(value):
            return {"$estimator": [kind, self.state(value, name)]}
        if isinstance(value, dict):
            return {"$dict": [[self.encode(key, name), self.encode(v, f"{name}/{key}")] for key, v in value.items()]}
        if isinstance(value, list | tuple):
            parts = [self.encode(part, f"{name}/{i}") for i, part in enumerate(value)]
            return parts if isinstance(value, list) else {"$tuple": parts}
        raise ValueError(f"save: {name} is a {kind}, which a model file cannot hold; give numbers, text or arrays.")

    def state(self, estimator: Any, name: str = "") -> dict[str, Any]:
        """Parameters and fitted attributes of an estimator, by name; a parameter of another class as its text."""
        state, parameters = {}, estimator.get_params(deep=False)
        for key, value in vars(estimator).items():
            if key in estimator._left_out or key.startswith(SKLEARN):
                continue
            try:
                state[key] = self.encode(value, f"{name}/{key}" if name else key)
            except ValueError:
                if key not in parameters:
                    raise
                state[key] = str(value)
        return state

    def _array(self, array: np.ndarray, name: str, scalar: bool) -> Any:
        if array.dtype.kind == "U":
            return {"$text": [array.ravel().tolist(), list(array.shape), array.dtype.str]}
        if array.dtype.kind == "O":
            parts = [self.encode(part, f"{name}/{i}") for i, part in enumerate(array.ravel())]
            return {"$objects": [parts, list(array.shape)]}
        if array.dtype.kind not in "biufmM":
            raise ValueError(f"save: {name} is an array of {array.dtype}, which a model file cannot hold; use numbers.")
        time = array.dtype.str if array.dtype.kind in "mM" else ""
        self.arrays[name] = array.view(np.int64) if time else array
        return {"$array": [name, "scalar" if scalar else time]}


MOST = 10**6
"""Sizes that a record may state beyond the count of numbers in its file: none is allocated before it is compared."""


@contextlib.contextmanager
def fitting(path: Any) -> Iterator[None]:
    """Around what trusts the contents of a file: whatever does not fit together there is one sentence.

    Args:
        path: the file.

    Yields:
        Nothing.

    Raises:
        ValueError: the block failed, whatever its error was.
    """
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())
        if text.startswith("load"):
            raise ValueError(text) from None
        raise ValueError(
            f"load({str(path)!r}): the parts of the file do not fit together ({type(error).__name__}: {text[:300]}); "
            "save the model again."
        ) from None


def decode(stored: Any, arrays: dict[str, np.ndarray], *, plain: bool = False) -> Any:
    """The value that ``Encoder.encode`` was given.

    Args:
        stored: JSON types.
        arrays: those of the encoder, by name.
        plain: whether records and estimators become namespaces with their name as ``kind``, and no class is loaded.

    Returns:
        The value.

    Raises:
        ValueError: the file names a class or dynamics that this numdl does not know, or does not fit together.
    """
    if isinstance(stored, list):
        return [decode(part, arrays, plain=plain) for part in stored]
    if not isinstance(stored, dict):
        return stored
    ((kind, content),) = stored.items()
    match kind:
        case "$array":
            name, how = content
            return arrays[name][()] if how == "scalar" else arrays[name].view(how) if how else arrays[name]
        case "$text":
            return _text(*content)
        case "$objects":
            values = np.empty(len(content[0]), object)
            values[:] = decode(content[0], arrays, plain=plain)
            return values.reshape(_shape(content[1], len(values)))
        case "$sparse":
            import scipy.sparse

            parts, shape = content
            matrix = scipy.sparse.csr_array(tuple(decode(parts, arrays)), shape=_shape(shape))
            matrix.check_format(full_check=True)
            return matrix
        case "$tuple":
            return tuple(decode(content, arrays, plain=plain))
        case "$dict":
            pairs = ((decode(key, arrays), decode(value, arrays, plain=plain)) for key, value in content)
            return dict(pairs)
        case "$dynamics":
            before = isinstance(content, str)  # a file of before holds no damping, so a formula must not guess it
            if plain:
                return None if before else content[0]
            return _dynamics(content, None) if before else _dynamics(*content)
        case "$record":
            name, fields = content
            _require_sizes(name, fields, arrays)
            found = {field: decode(value, arrays, plain=plain) for field, value in fields.items()}
            require_shapes(name, found)
            return SimpleNamespace(**found, kind=name) if plain else _record_class(name)(**found)
        case "$estimator":
            name, state = content
            if plain:
                found = {key: decode(value, arrays, plain=True) for key, value in state.items()}
                return SimpleNamespace(**found | {"kind": name})
            return restored(_known(name, known_estimators(name)), state, arrays)
    raise ValueError(f"load: the file holds {kind!r}, which this numdl does not know; use the numdl that wrote it.")


def _text(words: list[str], shape: list[int], dtype: str) -> np.ndarray:
    """An array of text no wider than its words."""
    if not all(isinstance(word, str) for word in words) or not re.fullmatch(r"[<>|=]U\d{1,7}", dtype):
        raise ValueError(f"load: an array of text is said to be {dtype!r}.")
    longest = max((len(word) for word in words), default=0)
    if not longest <= int(dtype[2:]) <= max(1024, longest):
        raise ValueError(f"load: an array of text of {longest} letters is said to be {dtype!r}.")
    return np.asarray(words, dtype).reshape(_shape(shape, len(words)))


def _shape(stored: Any, size: int | None = None) -> tuple[int, ...]:
    """A shape that a file states, of an array with this many numbers."""
    whole = isinstance(stored, list) and all(type(length) is int and 0 <= length < 2**62 for length in stored)
    if not whole or (size is not None and math.prod(stored) != size):
        raise ValueError(f"load: {stored!r} is no shape of {'a matrix' if size is None else f'{size} values'}.")
    return tuple(stored)


def _require_sizes(name: str, fields: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Refuse a description of a network that is larger than its file."""
    if name not in ("ResNet", "MLP", "RandomFeatures", "Architecture", "PatchNetwork"):
        return
    most = max(MOST, sum(array.size for array in arrays.values()))
    for field, value in fields.items():
        whole = [part for part in (value if isinstance(value, list) else [value]) if type(part) is int]
        if any(part > most for part in whole):
            raise ValueError(f"load: {name}.{field} = {value!r}, and the whole file holds less; save the model again.")


def restored(kind: type, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    """A fitted estimator from what ``Encoder.state`` gave.

    Args:
        kind: its class.
        state: JSON types by attribute.
        arrays: those of the encoder.

    Returns:
        The estimator.
    """
    estimator = kind()
    for name, value in state.items():
        setattr(estimator, name, decode(value, arrays))
    known = {*state, *getattr(kind, "_left_out", ())}
    missing = [name for name in signature(kind).parameters if name not in known and hasattr(estimator, name)]
    if missing:  # also of numdl of before, where an estimator had fewer
        told = ", ".join(f"{name}={getattr(estimator, name)!r}" for name in missing)
        warnings.warn(f"load: the file does not hold all parameters of {kind.__name__}; taken is {told}.", stacklevel=2)
    estimator._restore()
    return estimator


def _is_a(value: Any, module: str, name: str) -> bool:
    """``isinstance`` for classes of a module that need not be loaded: before it is, there are no values of them."""
    return module in sys.modules and isinstance(value, getattr(sys.modules[module], name, ()))


def _is_record(value: Any) -> bool:
    name = type(value).__name__
    return name in RECORDS and type(value) is _record_class(name)


def _record_class(name: str) -> Any:
    return getattr(import_module(_known(name, RECORDS)), name)


def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else kind._fields


def _known(name: Any, table: dict[str, Any]) -> Any:
    if name not in table:
        raise ValueError(f"load: the file holds a {name}, which this numdl does not know ({', '.join(table)}).")
    return table[name]


def known_estimators(name: Any = None) -> dict[str, type]:
    """Estimators that a file may name.

    Args:
        name: which one is needed; only its module is loaded. All are where it is none of numdl's.

    Returns:
        Classes by name.
    """
    from numdl import estimators

    if name not in ESTIMATORS:
        for needed in [name] if name in estimators.__all__ else estimators.__all__:
            getattr(estimators, needed)
    return ESTIMATORS


def _dynamics(name: str, damping: float | None) -> Dynamics:
    """Registered dynamics with the stored damping."""
    from numdl.flow import DYNAMICS, damped

    if name not in DYNAMICS:
        raise ValueError(
            f"load: the model uses dynamics of somebody's own, {name!r}, and a file holds no functions. Register them "
            f"before loading: numdl.flow.DYNAMICS[{name!r}] = numdl.flow.Dynamics({name!r}, init, vector_field)."
        )
    field = DYNAMICS[name]
    if damping is None and field.damping is not None:
        warnings.warn(
            f"load: the file is of a numdl that stored the dynamics {name!r} without their damping; they come back "
            f"with {field.damping:g}, and if they had another, the model predicts other values than before. Fit it "
            "again.",
            stacklevel=2,
        )
    return field if damping is None or damping == field.damping else damped(field, damping)
