"""A MATLAB function, which Octave runs too: how is a program printed for matrices of rows?"""

from __future__ import annotations

from typing import Any

import numpy as np

from numdl.export.columns import Column
from numdl.export.package import Package
from numdl.export.program import Node

FORMS = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} .* {1}",
    "divide": "{0} ./ {1}",
    "maximum": "max({0}, {1})",
    "minimum": "min({0}, {1})",
    "square": "{0} .^ 2",
    "negative": "-{0}",
    "step": "double({0} > 0)",
    "sigmoid": "1 ./ (1 + exp(-{0}))",
    "softplus": "max({0}, 0) + log1p(exp(-abs({0})))",
    "sum": "sum({0}, 2)",
    "affine": "{0} * {2}.' + {3}",
    "take": "{0}(:, {2})",
    "solve": "({2} \\ {0}.').'",
    "distances": "max(-2 * {0} * {2}.' + sum({0} .^ 2, 2) + sum({2} .^ 2, 2).', 0)",
    "trees": "sum_of_trees({0}, {2}, {3}, {4})",
    "local": "nearest_rows({0}, {2}, {3}, {4}, {5}, {6})",
    "softmax": "exp({0} - max({0}, [], 2)) ./ sum(exp({0} - max({0}, [], 2)), 2)",
}
"""Operations: {0} and {1} are vectors, {2} and {3} arrays; others are functions of the same name."""

TREES = """function y = sum_of_trees(a, nodes, values, roots)
n = size(a, 1);
y = zeros(n, size(values, 2));
for t = 1:numel(roots)
    at = repmat(roots(t) + 1, n, 1);
    while true
        low = a(sub2ind(size(a), (1:n).', nodes(at, 1) + 1)) <= nodes(at, 2);
        to = nodes(at, 4) + 1;
        to(low) = nodes(at(low), 3) + 1;
        if all(to == at), break; end
        at = to;
    end
    y = y + values(at, :);
end
end
"""

LOCAL = """function v = nearest_rows(a, X, y, e, scale, set)
m = set(1);
v = zeros(size(a, 1), 2);
for i = 1:size(a, 1)
    [q, order] = sort(sum(((X - a(i, :)) .* scale) .^ 2, 2));
    old = X(order(1:m), :);
    away = (old - a(i, :)) .* scale;
    own = sum(away .^ 2, 2);
    C = max(own + own.' - 2 * (away * away.'), 0) .* (1 - eye(m));
    C = 1 + set(2) * profile(C, set) + set(3) * (old * old.') + diag(e(order(1:m)));
    k = 1 + set(2) * profile(q(1:m), set) + set(3) * (old * a(i, :).');
    share = C \\ k;
    v(i, 1) = share.' * y(order(1:m)).';
    left = 1 + set(2) + set(3) * sum(a(i, :) .^ 2) - share.' * k;
    left(left < 0) = 0;
    v(i, 2) = left;
end
end

function k = profile(q, set)
s = set(4) * q;
if set(5), s = sqrt(max(s, 1e-30)); end
k = (1 + s .* (set(6) + set(7) * s)) .* exp(-s);
end
"""


def write(package: Package) -> bytes:
    """The function file.

    Args:
        package: what to print.

    Returns:
        Text.
    """
    program, name, results = package.program, package.name, package.results
    text = package.coded
    second = ", s" if len(results) > 1 else ", label" if package.classes else ""
    lines = [f"function [y{second}] = {name}(x)"]
    lines += [f"%{name.upper()}  {line}" if not i else f"%   {line}" for i, line in enumerate(package.head())]
    given = "a table or a cell array of columns, text as cell arrays of text" if text else f"rows (n, {program.d})"
    what = {"mean": "predictions (n, k)", "probability": "probabilities (n, classes), their labels"}[package.main]
    lines.append(f"%   [y{second}] = {name}(x): {what}{', standard deviations' * (len(results) > 1)}; x are {given}.")
    lines.append(f"%   {name}('test') gives the largest difference from what the model said of {len(package.x)} rows.")
    lines += ["persistent A", "if isempty(A), A = constants(); end"]
    lines.append("if ischar(x) && strcmp(x, 'test'), y = self_test(); return; end")
    if text:
        lines.append("if iscell(x) || isa(x, 'table'), x = encode(x); end")
    lines.append(f"if size(x, 2) ~= {program.d}, error('{name}: needs {program.d} columns'); end")
    lines.append("n = size(x, 1);")
    arrays: list[np.ndarray] = []
    needed = program.needed(*results)
    last = results[len(results) - 1]
    first = set(program.needed(package.main))
    order = [at for at in needed if at in first] + [at for at in needed if at not in first]
    for place, at in enumerate(order):
        if place == len(first) and second == ", s":
            lines += [_result(program, package.main, "y"), "if nargout < 2, return; end"]
        if at:
            lines.append(f"v{at} = {_expression(program, at, arrays)};")
    lines.append(_result(program, last, "s" if second == ", s" else "y"))
    if package.classes:
        lines += ["[~, best] = max(y, [], 2);", f"labels = {_words(package.classes)};", "label = labels(best).';"]
    lines += ["end", "", "function A = constants()", f"A = cell(1, {len(arrays)});"]
    lines += [f"A{{{i + 1}}} = {_array(a)};" for i, a in enumerate(arrays)]
    lines += ["end", ""]
    if any(program.nodes[at].op == "trees" for at in needed):
        lines.append(TREES)
    if any(program.nodes[at].op == "local" for at in needed):
        lines.append(LOCAL)
    lines += [*(_encoder(package) if text else []), *_test(package, text)]
    return ("\n".join(lines) + "\n").encode()


def _result(program: Any, name: str, out: str) -> str:
    at = program.results[name]
    return f"{out} = v{at} + zeros(n, 1);" if program.nodes[at].op == "constant" else f"{out} = v{at};"


def _expression(program: Any, at: int, arrays: list[np.ndarray]) -> str:
    node: Node = program.nodes[at]
    args = [f"v{arg}" if arg else "x" for arg in node.args]
    sizes = [program.nodes[arg].size for arg in node.args]
    if node.op == "constant":
        return _named(node.data[0][None, :], arrays)
    if node.op == "join":
        fixed = (program.nodes[arg].op == "constant" for arg in node.args)
        return f"[{', '.join(f'{a} + zeros(n, 1)' if c else a for a, c in zip(args, fixed, strict=True))}]"
    if node.op == "outer":
        left, right = sizes
        rows, columns = f"ceil((1:{node.size}) / {right})", f"mod(0:{node.size - 1}, {right}) + 1"
        return f"{args[0]}(:, {rows}) .* {args[1]}(:, {columns})" if left * right > 1 else f"{args[0]} .* {args[1]}"
    if node.op not in FORMS:
        return f"{node.op}({args[0]})"
    data = []
    for a in node.data:
        data.append(_index(a) if a.dtype.kind == "i" else _named(np.atleast_2d(a), arrays))
    return FORMS[node.op].format(*[*args, ""][:2], *data)


def _index(a: np.ndarray) -> str:
    steps = np.unique(np.diff(a))
    if len(a) > 2 and len(steps) == 1:
        return f"{a[0] + 1}:{steps[0]}:{a[-1] + 1}"
    return "[" + " ".join(str(i + 1) for i in a) + "]"


def _named(a: np.ndarray, arrays: list[np.ndarray]) -> str:
    if a.size == 1:
        return f"({float(a.ravel()[0])!r})"
    arrays.append(a)
    return f"A{{{len(arrays)}}}"


def _array(a: np.ndarray) -> str:
    """A matrix that comes out exactly; large ones are read from text, which MATLAB does faster than from code."""
    a = np.atleast_2d(a)
    if a.size <= 100:
        return "[" + "; ".join(" ".join(repr(float(value)) for value in row) for row in a) + "]"
    flat = [repr(float(value)) for value in a.ravel()]
    pieces = [" ".join(flat[i : i + 8]) for i in range(0, len(flat), 8)]
    text = "[" + " ...\n".join(f"'{piece} '" for piece in pieces) + "]"
    return f"reshape(sscanf({text}, '%g'), {a.shape[1]}, {a.shape[0]}).'"


def _words(words: Any) -> str:
    return "{" + ", ".join(_quoted(word) for word in words) + "}"


def _quoted(word: Any) -> str:
    return "'" + " ".join(str(word).splitlines()).replace("'", "''") + "'"


def _encoder(package: Package) -> list[str]:
    """Columns of a table to inputs."""
    names = _words([column.name for column in package.columns])
    lines = ["function x = encode(T)", f"names = {names};"]
    lines.append("if isa(T, 'table'), T = cellfun(@(name) T.(name), names, 'UniformOutput', false); end")
    parts = []
    for j, column in enumerate(package.columns, start=1):
        if column.text:
            parts += _word_parts(column, f"T{{{j}}}")
            continue
        fill = "NaN" if column.fill is None else repr(column.fill)
        if not column.plain:
            lines.append(f"[T{{{j}}}, gap{j}] = filled(T{{{j}}}, {fill});")
        if column.kind == "cyclic":
            origin = f"({column.origin!r})"
            for period in column.periods:
                angle = f"2 * pi * (T{{{j}}} - {origin} + {origin}) / {period!r}"
                parts += [f"sin({angle})", f"cos({angle})"]
        else:
            parts.append(f"T{{{j}}} - ({column.origin!r})" if column.date else f"double(T{{{j}}}(:))")
        if column.indicator:
            parts.append(f"gap{j}")
    return [*lines, "x = [" + ", ...\n    ".join(parts) + "];", "end", "", FILLED]


FILLED = """function [c, gap] = filled(c, fill) % numbers, or dates as days since 1970
if isa(c, 'datetime'), c = posixtime(c) / 86400; end
c = double(c(:));
gap = double(isnan(c));
c(gap > 0) = fill;
end
"""


def _word_parts(column: Column, given: str) -> list[str]:
    gap = f"double(strcmp({given}(:), ''))"
    parts = [f"double(strcmp({given}(:), {_quoted(value)}))" for value in column.common]
    if column.rare:
        parts.append(f"double(ismember({given}(:), {_words(column.rare)}))")
    if column.place is not None:
        parts[column.place] = f"({parts[column.place]} + {gap})"
    return parts + [gap] * column.indicator


def _test(package: Package, text: bool) -> list[str]:
    """The rows with their results."""
    lines = ["function worst = self_test()", f"x = {_array(package.x)};"]
    if text:
        columns = [
            _words(raw) + ".'" if column.text else _array(np.asarray(raw)[:, None]).replace("nan", "NaN")
            for column, raw in zip(package.columns, package.raw, strict=True)
        ]
        lines += [
            "T = {" + ", ...\n    ".join(columns) + "};",
            "if ~all(all(abs(encode(T) - x) < 1e-9)), worst = Inf; return; end",
        ]
    outs = ["y", "s"][: len(package.results)]
    lines.append(f"[{', '.join(outs)}] = {package.name}(x);")
    lines.append("worst = 0;")
    for out, result in zip(outs, package.results, strict=True):
        lines.append(f"expected = {_array(package.expected[result])};")
        lines.append(f"worst = max(worst, max(abs({out}(:) - expected(:))) / max(abs(expected(:))));")
    return [*lines, "end"]
