"""Files altered on purpose, with a checksum that fits: what somebody may write who knows the format."""

import copy
import hashlib
import re

import numpy as np

from numdl.container import read_container, write_container

INSTEAD = (0, -1, 3, 10**9, 10**30, -0.5, 1e300, float("nan"), float("inf"), "", "x", "float32", None, True, [], {})
INSTEAD += ([0, float("inf")], [10**12], [[1]], {"$array": ["none", ""]}, {"$tuple": []}, {"$record": ["Status", {}]})


def places(value, found, path=()):
    """Where the values of nested JSON types lie."""
    if path:
        found.append(path)
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            places(part, found, (*path, key))
    return found


def altered(arrays, header, rng):
    """One alteration of the header or of an array, in words which, and whether the parts contradict each other."""
    arrays, header = dict(arrays), copy.deepcopy(header)
    if arrays and rng.random() < 0.4:
        name = sorted(arrays)[rng.integers(len(arrays))]
        array = arrays[name]
        how = rng.integers(8)
        flat = array.ravel().astype(float)
        if how < 2 and flat.size:
            flat[rng.integers(flat.size)] = rng.choice([np.nan, np.inf, -np.inf, 1e300, -1e9, 0.0])
            arrays[name] = flat.reshape(array.shape)
        elif how == 2:
            del arrays[name]
        elif how == 3:
            arrays[name] = array.ravel()[: max(array.size - 1, 0)]
        elif how == 4:
            arrays[name] = array[None]
        elif how == 5:
            arrays[name] = array.T.copy() if array.ndim > 1 else np.concatenate([array.ravel(), array.ravel()])
        elif how == 6:
            arrays[name] = array.astype([np.float32, np.int8, np.bool_, np.int64][rng.integers(4)])
        else:
            arrays[name] = np.zeros((*array.shape[:-1], 0), array.dtype)
        shapes = how in (2, 3, 4, 7) or (how == 5 and array.ndim != 2) or (how == 5 and len(set(array.shape)) > 1)
        return arrays, header, f"array {name}, way {how}", bool(shapes and array.size)
    found = places(header, [])
    path = found[rng.integers(len(found))]
    into = header
    for key in path[:-1]:
        into = into[key]
    how = rng.integers(6)
    if how == 0:
        del into[path[-1]]
    elif how == 1 and isinstance(into, list):
        into.append(copy.deepcopy(into[path[-1]]))
    elif how == 2 and isinstance(into, dict):
        into["".join(str(path[-1])[::-1])] = into.pop(path[-1])
    else:
        into[path[-1]] = copy.deepcopy(INSTEAD[rng.integers(len(INSTEAD))])
    what = f"{'/'.join(map(str, path))}, way {how}: {into[path[-1]] if how > 2 else ''}"
    taken = how in (0, 2) and isinstance(into, dict) and "$record" in path  # parameters have defaults
    return arrays, header, what, taken


def other_shapes(array):
    """The same numbers, or most of them, in shapes that a record with this array cannot have."""
    n = array.ndim
    if array.size:
        yield "one short", array.ravel()[:-1]
        yield "one more axis", array[None]
        yield "twice", np.concatenate([array.ravel(), array.ravel()])
        yield "empty", np.zeros((*array.shape[:-1], 0), array.dtype)
    if array.size and n:
        yield "one row", array[:1]
        yield "a row less", array[:-1]
        yield "a row more", np.concatenate([array, array[-1:]])
        yield "an axis behind", array[..., None]
    if array.size and n > 1:
        yield "transposed", array.T.copy()
        yield "a column less", array[..., :-1]
        yield "a column more", np.concatenate([array, array[..., -1:]], axis=-1)
        yield "one column", array[..., :1]


def alter(source, target, rng, kind="model"):
    """Write an altered copy of a container.

    Args:
        source: a container.
        target: the file to write.
        rng: draws the alteration.
        kind: of the container.

    Returns:
        What was altered, and whether its parts contradict each other.
    """
    arrays, header, what, against = altered(*read_container(source, kind=kind), rng)
    with np.errstate(all="ignore"):
        write_container(target, arrays, header, kind=kind)
    return what, against


def rewrite(source, target, rng, *, digest):
    """Write a copy of a container with some bytes changed, doubled or taken out.

    Args:
        source: a container.
        target: the file to write.
        rng: draws the alteration.
        digest: whether the checksum is computed anew; bytes are then changed in the header, too.

    Returns:
        What was altered.
    """
    raw = bytearray(source.read_bytes())
    head = 8 + int.from_bytes(raw[:8], "little")
    at = int(rng.integers(8, head)) if rng.random() < 0.7 else int(rng.integers(len(raw)))
    how, many = int(rng.integers(4)), int(rng.integers(1, 9))
    match how:
        case 0:
            raw[at] = int(rng.integers(256))
        case 1:
            raw[at] = int(rng.choice(list(b'0123456789-.eE"[]{},:')))
        case 2:
            del raw[at : at + many]
        case 3:
            raw[at:at] = raw[max(at - many, 0) : at]
    if how > 1 and at < head:
        head += min(many, at) if how == 3 else -many
        raw[:8] = head.to_bytes(8, "little")
    if digest:
        zeros = re.sub(rb'"sha256":"[0-9a-f]{64}"', b'"sha256":"' + b"0" * 64 + b'"', bytes(raw[:head])) + raw[head:]
        new = hashlib.sha256(zeros).hexdigest().encode()
        raw = zeros.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + new, 1)
    target.write_bytes(bytes(raw))
    return f"byte {at} of {len(raw)}, way {how}, {many}"
