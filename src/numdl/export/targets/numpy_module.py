"""A Python module that needs NumPy only: how is a program printed in NumPy?"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from numdl.export.package import Package
from numdl.export.program import Node, Program

FEW = 12
"""Numbers up to which an array is written out; more are written in base 64, exact and compact."""

HELPERS = '''
def _array(text, *shape):
    return np.frombuffer(base64.b64decode(text), "<f8").reshape(shape)


def _distances(a, Z):
    q = a @ (-2 * Z.T) + (a * a).sum(axis=1, keepdims=True) + (Z * Z).sum(axis=1)
    return np.maximum(q, 0.0)


def _solve(a, L, tile=64):
    out = np.empty((len(a), len(L)))
    for i in range(0, len(L), tile):
        j = min(i + tile, len(L))
        out[:, i:j] = np.linalg.solve(L[i:j, i:j], (a[:, i:j] - out[:, :i] @ L[i:j, :i].T).T).T
    return out


def _join(*parts):
    rows = max(len(part) for part in parts)
    return np.concatenate([np.broadcast_to(part, (rows, part.shape[1])) for part in parts], axis=1)


def _outer(a, b):
    return (a[:, :, None] * b[:, None, :]).reshape(max(len(a), len(b)), -1)


def _softmax(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _trees(a, nodes, values, roots, depth):
    feature, low, high = nodes[:, [0, 2, 3]].T.astype(int)
    at = np.zeros((len(a), 1), int) + np.reshape(roots, (1, -1)).astype(int)
    for _ in range(int(depth)):
        below = np.take_along_axis(a, feature[at], axis=1) <= nodes[at, 1]
        at = np.where(below, low[at], high[at])
    return np.reshape(values, (len(nodes), -1))[at].sum(axis=1)


def _local(a, rows, y, e, scale, settings):
    m, signal, linear, factor, root, c1, c2 = np.ravel(settings)
    m, y, e, scale = int(m), np.ravel(y), np.ravel(e), np.ravel(scale)
    rows = np.reshape(rows, (-1, len(scale)))

    def profile(q):
        s = np.sqrt(np.maximum(factor * q, 1e-30)) if root else factor * q
        return (1 + s * (c1 + c2 * s)) * np.exp(-s)

    index = np.argpartition(_distances(a * scale, rows * scale), m - 1, axis=1)[:, :m]
    old = rows[index]
    away = (old - a[:, None]) * scale
    own = (away * away).sum(axis=2)
    q = np.maximum(own[:, :, None] + own[:, None] - 2 * (away @ away.transpose(0, 2, 1)), 0.0) * (1 - np.eye(m))
    C = 1 + signal * profile(q) + linear * (old @ old.transpose(0, 2, 1)) + np.eye(m) * e[index][:, None]
    k = 1 + signal * profile(own) + linear * (old @ a[:, :, None])[:, :, 0]
    share = np.linalg.solve(C, k[:, :, None])[:, :, 0]
    left = 1 + signal + linear * (a * a).sum(axis=1) - (share * k).sum(axis=1)
    return np.stack([(share * y[index]).sum(axis=1), np.maximum(left, 0.0)], axis=1)


def _sigmoid(a):
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1.0, e) / (1.0 + e)


def _erf(a):
    return np.array([math.erf(value) for value in a.ravel()]).reshape(a.shape)


def encode(table):
    """Inputs (n, d) from the columns of a table, a mapping from names to sequences."""
    parts = []
    for name, kind, common, rare, fill, indicator, origin, periods in COLUMNS:
        if kind == "text":
            given = np.asarray(table[name], dtype=object).tolist()
            words = ["" if word is None or word != word else str(word) for word in given]
            gaps = np.array([not word for word in words], bool)
            if gaps.any() and not fill:
                raise ValueError(f"column {name!r}: an entry is missing, and none was when the model was made")
            column = np.array([fill if fill and not word else word for word in words])
            parts += [np.array(column == value, float) for value in common]
            if rare:
                parts.append(np.isin(column, rare).astype(float))
        else:
            column = _read(name, table[name], _number if kind == "number" else _day)
            gaps = np.isnan(column)
            column = column if fill is None else np.where(gaps, fill, column)
            column = column if kind == "number" else column - origin
            for period in periods:
                angle = 2 * np.pi * (column + origin) / period
                parts += [np.sin(angle), np.cos(angle)]
            parts += [] if periods else [column]
        parts += [gaps.astype(float)] if indicator else []
    return np.column_stack(parts)


def _read(name, column, number):
    """Numbers of a column, NaN where an entry is missing."""
    if hasattr(column, "dtype") and np.asarray(column).dtype.kind in "fiub":
        return np.asarray(column, float)
    entries = np.asarray(column) if hasattr(column, "dtype") else np.asarray(column, dtype=object)
    entries = entries if entries.dtype.kind == "M" else entries.astype(object).tolist()
    return np.array([number(name, entry) for entry in entries], float)


def _number(name, entry):
    if entry is None or (isinstance(entry, str) and not entry.strip()):
        return math.nan
    try:
        return float(entry)
    except (TypeError, ValueError):
        raise ValueError(f"column {name!r}: {entry!r} is no number") from None


def _day(name, entry):
    """Days since 1970 of a number, which they are already, or of datetime64 or a word of ISO 8601."""
    if entry is None or (isinstance(entry, str) and not entry.strip()):
        return math.nan
    if isinstance(entry, (int, float, np.number)) and not isinstance(entry, np.timedelta64):
        return float(entry)
    try:
        moment = np.datetime64(entry, "us")
    except (TypeError, ValueError):
        raise ValueError(
            f"column {name!r}: {entry!r} is no date; give days since 1970-01-01, datetime64, or ISO text such as "
            "2021-01-31T12:00"
        ) from None
    return math.nan if np.isnat(moment) else float(moment.astype("int64")) / 1e6 / 86400


def _rows(X):
    X = encode(X) if hasattr(X, "keys") else np.atleast_2d(np.asarray(X, float))
    if X.ndim != 2 or X.shape[1] != D or not np.isfinite(X).all():
        raise ValueError(f"needs {D} columns of finite numbers, got {X.shape}")
    return X


def _blocks(function, X, size=256):
    with np.errstate(all="ignore"):
        parts = [function(X[i : i + size]) for i in range(0, max(len(X), 1), size)]
    return [np.concatenate(column) for column in zip(*parts)]
'''

REGRESSOR = '''
def predict(X, return_std=False):
    """Mean (n,) or (n, k) for inputs (n, d) or a mapping of columns{and_std}."""
    X = _rows(X)
{std}    return _blocks(_mean, X)[0]{flat}
'''

DEVIATION = """    if return_std:
        mean, std = _blocks(_mean_std, X)
        return mean{flat}, std{flat}
"""

REFUSAL = """    if return_std:
        raise ValueError("this export has no standard deviation")
"""

CLASSIFIER = '''
def predict_proba(X):
    """Probabilities (n, classes) for inputs (n, d) or a mapping of columns."""
    return _blocks(_probability, _rows(X))[0]


def predict(X):
    """Most probable labels (n,)."""
    return np.array(CLASSES)[predict_proba(X).argmax(axis=1)]
'''

TEST = '''
def self_test():
    """Largest difference from what the model said of ten rows, over the largest entry."""
    X = np.array(EXAMPLE_ROWS)
    found = {found}
    pairs = [(a.reshape(len(X), -1), np.array(b)) for a, b in zip(found, EXPECTED)]
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)


if __name__ == "__main__":
    print(f"largest difference {{self_test():.1e}}")
'''


def write(package: Package) -> bytes:
    """The module.

    Args:
        package: what to print.

    Returns:
        Source text.
    """
    program, results = package.program, package.results
    head = "\n".join(package.head()).replace("\\", "\\\\").replace('"""', "'''")
    calls = {("mean",): "[predict(X)]", ("mean", "std"): "predict(X, return_std=True)"}
    found = calls.get(results, "[predict_proba(X)]")
    parts = [f'"""{head}\n\nNeeds NumPy only; self_test() compares ten rows with what the model said.\n"""\n']
    parts.append("import base64\nimport math\n\nimport numpy as np\n")
    parts.append(f"D = {program.d}")
    told = [
        (c.name, c.kind, list(c.common), list(c.rare), c.fill, c.indicator, c.origin, c.periods)
        for c in package.columns
    ]
    parts.append(f"COLUMNS = {told!r}")
    if package.classes:
        parts.append(f"CLASSES = {package.classes!r}")
    parts.append(f"EXAMPLE_ROWS = {package.x.tolist()!r}")
    parts.append(f"EXPECTED = {[package.expected[name].tolist() for name in results]!r}\n")
    parts.append(HELPERS)
    names: dict[int, list[str]] = {}
    arrays: list[str] = []
    for at in program.needed(*results):
        names[at] = [_named(arrays, f"A{at}_{i}", a) for i, a in enumerate(program.nodes[at].data)]
    parts.append("\n".join(arrays) + "\n")
    for wanted in [results[:1], results] if len(results) > 1 else [results]:
        parts.append(_function(program, wanted, names))
    if package.classes:
        parts.append(CLASSIFIER)
    else:
        flat = "[:, 0]" if package.description.flat else ""
        deviation = DEVIATION.format(flat=flat) if len(results) > 1 else REFUSAL
        tail = ", with return_std also standard deviations" if len(results) > 1 else ""
        parts.append(REGRESSOR.format(std=deviation, flat=flat, and_std=tail))
    parts.append(TEST.format(found=found))
    return "\n".join(parts).encode()


def _named(arrays: list[str], name: str, a: np.ndarray) -> str:
    """How the code refers to an array."""
    if a.dtype.kind == "i":
        return _index(a)
    if a.size == 1:
        return repr(float(a.ravel()[0])) if a.ndim == 1 else f"np.array({a.tolist()!r})"
    if a.size <= FEW:
        arrays.append(f"{name} = np.array({a.tolist()!r})")
    else:
        text = base64.b64encode(a.astype("<f8").tobytes()).decode()
        arrays.append(f"{name} = _array({text!r}, {', '.join(map(str, a.shape))})")
    return name


def _index(a: np.ndarray) -> str:
    steps = np.unique(np.diff(a))
    if len(a) == 1:
        return f"{a[0]}:{a[0] + 1}"
    if len(steps) == 1 and steps[0] > 0:
        return f"{a[0]}:{a[-1] + 1}" + (f":{steps[0]}" if steps[0] > 1 else "")
    return repr(a.tolist())


def _function(program: Program, wanted: tuple[str, ...], names: dict[int, list[str]]) -> str:
    lines = [f"def _{'_'.join(wanted)}(x):"]
    for at in program.needed(*wanted):
        node = program.nodes[at]
        args = ["x" if arg == 0 else f"v{arg}" for arg in node.args]
        if at:
            lines.append(f"    v{at} = {expression(node, args, names[at])}")
    ends = [f"np.broadcast_to(v{program.results[name]}, (len(x), {program.nodes[program.results[name]].size}))"
            for name in wanted]  # fmt: skip
    return "\n".join([*lines, f"    return [{', '.join(ends)}]", "", ""])


SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
CALLS = {"asin": "np.arcsin", "asinh": "np.arcsinh", "erf": "_erf", "sigmoid": "_sigmoid"}
FORMS = {
    "affine": "{0} @ {1}.T + {2}",
    "take": "{0}[:, {1}]",
    "sum": "{0}.sum(axis=1, keepdims=True)",
    "square": "{0} * {0}",
    "negative": "-{0}",
    "step": "np.where({0} > 0, 1.0, 0.0)",
    "softplus": "np.maximum({0}, 0.0) + np.log1p(np.exp(-np.abs({0})))",
}


def expression(node: Node, args: list[str], arrays: list[str]) -> str:
    """One node in NumPy.

    Args:
        node: it.
        args: names of its vectors.
        arrays: names of its arrays.

    Returns:
        An expression.
    """
    if node.op == "constant":
        return f"np.array([[{arrays[0]}]])" if node.size == 1 else f"{arrays[0]}[None, :]"
    if node.op in SIGNS:
        return f"{args[0]} {SIGNS[node.op]} {args[1]}"
    if node.op in FORMS:
        return FORMS[node.op].format(*args, *arrays)
    if node.op in ("join", "outer", "softmax", "distances", "solve", "trees", "local"):
        return f"_{node.op}({', '.join([*args, *arrays])})"
    return f"{CALLS.get(node.op, f'np.{node.op}')}({', '.join(args)})"


def loaded(source: bytes) -> dict[str, Any]:
    """The names of a printed module, for tests and doubters.

    Args:
        source: what `write` returned.

    Returns:
        Its namespace.
    """
    space: dict[str, Any] = {"__name__": "exported"}
    exec(compile(source, "exported.py", "exec"), space)
    return space
