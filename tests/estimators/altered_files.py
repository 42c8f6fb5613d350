"""Model files altered on purpose, with a checksum that fits: what somebody may write who knows the format."""

import copy

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
    """One alteration of the state or of an array, and in words which."""
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
        return arrays, header, f"array {name}, way {how}"
    found = places(header["state"], [])
    path = found[rng.integers(len(found))]
    into = header["state"]
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
    return arrays, header, f"state {path}, way {how}: {into[path[-1]] if how > 2 else ''}"


def alter(source, target, rng):
    """Write an altered copy of a model file.

    Args:
        source: a model file.
        target: the file to write.
        rng: draws the alteration.

    Returns:
        What was altered.
    """
    arrays, header, what = altered(*read_container(source, kind="model"), rng)
    with np.errstate(all="ignore"):
        write_container(target, arrays, header, kind="model")
    return what
