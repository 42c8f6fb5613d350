"""C99 without allocation: how is a program printed for one row, in a workspace on the stack?"""

from __future__ import annotations

import numpy as np

from numdl.export.columns import Column
from numdl.export.package import Package, identifier
from numdl.export.program import Program
from numdl.export.targets.c_functions import FORMS, FUNCTIONS


def write(package: Package) -> bytes:
    """The source file.

    Args:
        package: what to print.

    Returns:
        Text.
    """
    program, name, k = package.program, package.name, package.description.k
    second = len(package.results) > 1
    parts = ["/* " + "\n   ".join(package.head())]
    places = _workspace(program, package.results)
    most = max((int(node.data[4][0]) for node in program.nodes if node.op == "local"), default=0)
    stack = 8 * places[-1] + 4 * most * (most + 9)
    parts.append(f"\n   Nothing is allocated; a call takes {stack:,} bytes of the stack.")
    parts.append(f"   Self-test: cc -std=c99 -O2 -D{name.upper()}_MAIN {name}.c -lm && ./a.out */\n")
    parts.append("#include <math.h>\n#include <stdio.h>\n#include <string.h>\n")
    parts.append(f"#define {name.upper()}_INPUTS {program.d}\n#define {name.upper()}_OUTPUTS {k}\n")
    used = {program.nodes[at].op for at in program.needed(*package.results)}
    if "local" in used:
        parts.append(f"#define LOCAL_MOST {most}\n")
    parts += [text + "\n" for op, text in FUNCTIONS.items() if op in used]
    parts += _arrays(program, package.results)
    parts.append(_function(program, name, package.results[:1], package.main))
    if second:
        parts.append(_function(program, name, package.results, "mean_std"))
    if package.classes:
        parts.append(_classes(package))
    if package.coded:
        parts.append(_encoder(package))
    parts.append(_test(package))
    return "\n".join(parts).encode()


def _numbers(values: np.ndarray) -> str:
    """An initialiser that gives the same numbers back."""
    flat = [repr(float(value)) for value in values.ravel()]
    lines = [", ".join(flat[i : i + 6]) for i in range(0, len(flat), 6)]
    return "{\n    " + ",\n    ".join(lines) + "}"


def _arrays(program: Program, results: tuple[str, ...]) -> list[str]:
    out = []
    for at in program.needed(*results):
        node = program.nodes[at]
        for i, a in enumerate(node.data[:3] if node.op == "trees" else node.data):  # their depth is not asked for
            if a.dtype.kind == "i":
                if not _progression(a):
                    values = ", ".join(map(str, a.tolist()))
                    out.append(f"static const int A{at}_{i}[{a.size}] = {{{values}}};")
                continue
            values = a[np.tril_indices(len(a))] if node.op == "solve" else a
            out.append(f"static const double A{at}_{i}[{values.size}] = {_numbers(values)};")
    return [*out, ""]


def _progression(a: np.ndarray) -> bool:
    return len(a) < 3 or len(np.unique(np.diff(a))) == 1


def _workspace(program: Program, results: tuple[str, ...]) -> dict[int, int]:
    """Where each vector lies; the place of one that is not needed any more is used again. At -1: the size."""
    needed = program.needed(*results)
    keep = [program.results[name] for name in results]
    given_up = program.last_use(needed, keep)
    free: list[tuple[int, int]] = []
    found: dict[int, int] = {}
    end = 0
    for at in needed:
        node = program.nodes[at]
        if node.op not in ("input", "constant"):
            fits = [hole for hole in free if hole[1] >= node.size]
            if fits:
                hole = min(fits, key=lambda one: one[1])
                free.remove(hole)
                found[at] = hole[0]
                if hole[1] > node.size:
                    free.append((hole[0] + node.size, hole[1] - node.size))
            else:
                found[at], end = end, end + node.size
        free += [(found[arg], program.nodes[arg].size) for arg in given_up.get(at, ()) if arg in found]
    found[-1] = end
    return found


def _function(program: Program, name: str, results: tuple[str, ...], suffix: str) -> str:
    """One row to these results."""
    places = _workspace(program, results)
    outs = ", ".join(f"double {result}[{program.nodes[program.results[result]].size}]" for result in results)
    lines = [f"void {name}_{suffix}(const double x[{program.d}], {outs})", "{"]
    if places[-1]:
        lines.append(f"    double w[{places[-1]}];")

    def at_(at: int) -> str:
        node = program.nodes[at]
        if node.op in ("input", "constant"):
            return "x" if node.op == "input" else f"A{at}_0"
        return f"(w + {places[at]})"

    for at in program.needed(*results):
        if program.nodes[at].op not in ("input", "constant"):
            lines.append("    " + _statement(program, at, at_))
    for result in results:
        at = program.results[result]
        lines.append(f"    memcpy({result}, {at_(at)}, {program.nodes[at].size} * sizeof(double));")
    return "\n".join([*lines, "}", ""])


def _statement(program: Program, at: int, name: object) -> str:
    node, out = program.nodes[at], name(at)  # type: ignore[operator]
    args = [name(arg) for arg in node.args]  # type: ignore[operator]
    sizes = [program.nodes[arg].size for arg in node.args]
    loop = f"for (int i = 0; i < {node.size}; i++) "
    match node.op:
        case "affine":
            return f"affine({out}, {args[0]}, A{at}_0, A{at}_1, {node.size}, {sizes[0]});"
        case "solve":
            return f"solve({out}, {args[0]}, A{at}_0, {node.size});"
        case "distances":
            return f"distances({out}, {args[0]}, A{at}_0, {node.size}, {sizes[0]});"
        case "trees":
            nodes, values, roots = (f"A{at}_{i}" for i in range(3))
            return f"trees({out}, {args[0]}, {nodes}, {values}, {roots}, {node.data[2].size}, {node.size});"
        case "local":
            data = ", ".join(f"A{at}_{i}" for i in range(5))
            return f"local({out}, {args[0]}, {data}, {node.data[1].size}, {sizes[0]});"
        case "softmax":
            return f"softmax({out}, {args[0]}, {node.size});"
        case "sum":
            return f"{out}[0] = sum({args[0]}, {sizes[0]});"
        case "outer":
            inner = f"for (int j = 0; j < {sizes[1]}; j++) {out}[i * {sizes[1]} + j] = {args[0]}[i] * {args[1]}[j];"
            return f"for (int i = 0; i < {sizes[0]}; i++) {inner}"
        case "take":
            index = node.data[0]
            if not _progression(index):
                return f"{loop}{out}[i] = {args[0]}[A{at}_0[i]];"
            step = int(index[1] - index[0]) if len(index) > 1 else 0
            return f"{loop}{out}[i] = {args[0]}[{index[0]} + {step} * i];"
        case "join":
            ends = np.cumsum([0, *sizes])
            copies = (
                f"memcpy({out} + {start}, {arg}, {size} * sizeof(double));"
                for start, arg, size in zip(ends, args, sizes, strict=False)
            )
            return " ".join(copies)
    entries = [f"{arg}[{'0' if size == 1 else 'i'}]" for arg, size in zip(args, sizes, strict=True)]
    form = FORMS.get(node.op, f"{node.op}({{0}})")
    return f"{loop}{out}[i] = {form.format(*entries)};"


def _text(value: object) -> str:
    """A string literal of UTF-8 bytes."""
    safe = (chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in str(value).encode())
    return '"' + "".join(safe) + '"'


def _classes(package: Package) -> str:
    name, k = package.name, package.description.k
    labels = ", ".join(_text(label) for label in package.classes)
    return f"""const char *const {name}_classes[{k}] = {{{labels}}};

int {name}_classify(const double x[{package.program.d}]) /* number of the most probable class */
{{
    double p[{k}];
    int best = 0;
    {name}_probability(x, p);
    for (int i = 1; i < {k}; i++) best = p[i] > p[best] ? i : best;
    return best;
}}
"""


def fields(package: Package) -> list[str]:
    """Names of the fields of a row.

    Args:
        package: with columns that are coded.

    Returns:
        One identifier for each column.
    """
    found: list[str] = []
    for j, column in enumerate(package.columns):
        word = f"c_{identifier(column.name)}"
        found.append(word if word not in found else f"{word}_{j}")
    return found


def _encoder(package: Package) -> str:
    """A row of the table to inputs."""
    name = package.name
    lines = ["typedef struct { /* one row of the table */"]
    body = []
    at = 0
    for column, field in zip(package.columns, fields(package), strict=True):
        what = " /* days since 1970-01-01 00:00 UTC */" if column.date else ""
        lines.append(f"    {'const char *' if column.text else 'double '}{field};{what}")
        body += _coding(column, f"row->{field}", at)
        at += column.width
    lines.append(f"}} {name}_row;\n")
    lines.append(f"void {name}_encode(const {name}_row *row, double x[{package.program.d}])\n{{")
    return "\n".join([*lines, *body, "}", ""])


def _coding(column: Column, given: str, at: int) -> list[str]:
    """Statements for the inputs from ``at`` on."""
    if column.plain:
        return [f"    x[{at}] = {given};"]
    lines, gap = ["    {"], f"isnan({given})"
    if column.text:
        gap = f"({given} == NULL || !*{given})"
        value = f"{gap} ? {_text(column.fill or '')} : {given}"
        lines.append(f"        const char *c = {value};")
        lines += [f"        x[{at + i}] = strcmp(c, {_text(word)}) == 0;" for i, word in enumerate(column.common)]
        if column.rare:
            same = " || ".join(f"strcmp(c, {_text(word)}) == 0" for word in column.rare)
            lines.append(f"        x[{at + len(column.common)}] = {same};")
    else:
        value = given if column.fill is None else f"{gap} ? {column.fill!r} : {given}"
        lines.append(f"        const double t = {value};")
        origin = f"({column.origin!r})"
        if column.kind == "cyclic":
            for i, period in enumerate(column.periods):
                angle = f"{2 * np.pi!r} * (t - {origin} + {origin}) / {period!r}"
                lines += [f"        x[{at + 2 * i + j}] = {f}({angle});" for j, f in enumerate(("sin", "cos"))]
        else:
            lines.append(f"        x[{at}] = t{f' - {origin}' if column.date else ''};")
    if column.indicator:
        lines.append(f"        x[{at + column.width - 1}] = {gap} ? 1.0 : 0.0;")
    return [*lines, "    }"]


def _test(package: Package) -> str:
    """The rows with their results, compared by a main of its own."""
    program, name, n = package.program, package.name, len(package.x)
    k, last = package.description.k, "mean_std" if len(package.results) > 1 else package.main
    outs = ", ".join(package.results)
    lines = [f"#ifdef {name.upper()}_MAIN", f"static const double ROWS[{n}][{program.d}] = {_nested(package.x)};"]
    for result in package.results:
        lines.append(f"static const double EXPECTED_{result}[{n}][{k}] = {_nested(package.expected[result])};")
    coded = ""
    if package.coded:
        rows = []
        for i in range(n):
            values = zip(package.columns, package.raw, strict=True)
            rows.append("{" + ", ".join(_text(raw[i]) if c.text else _number(raw[i]) for c, raw in values) + "}")
        lines.append(f"static const {name}_row TABLE[{n}] = {{\n    " + ",\n    ".join(rows) + "};")
        coded = f"""        double coded[{program.d}];
        {name}_encode(&TABLE[r], coded);
        for (int j = 0; j < {program.d}; j++) worst = fabs(coded[j] - ROWS[r][j]) < 1e-9 ? worst : HUGE_VAL;
"""
    compare = "".join(
        f"            e = fabs({result}[j] - EXPECTED_{result}[r][j]); worst = e > worst ? e : worst;\n"
        f"            e = fabs(EXPECTED_{result}[r][j]); size = e > size ? e : size;\n"
        for result in package.results
    )
    lines.append(f"""
int main(void)
{{
    double worst = 0.0, size = 0.0, e, {", ".join(f"{result}[{k}]" for result in package.results)};
    for (int r = 0; r < {n}; r++) {{
{coded}        {name}_{last}(ROWS[r], {outs});
        for (int j = 0; j < {k}; j++) {{
{compare}        }}
    }}
    printf("largest difference %.1e\\n", worst / size);
    return worst <= {"1e-4" if package.description.single else "1e-6"} * size ? 0 : 1;
}}
#endif
""")
    return "\n".join(lines)


def _number(value: object) -> str:
    return "NAN" if np.isnan(value) else repr(float(value))  # type: ignore[arg-type, call-overload]


def _nested(values: np.ndarray) -> str:
    rows = ("{" + ", ".join(repr(float(value)) for value in row) + "}" for row in np.atleast_2d(values))
    return "{\n    " + ",\n    ".join(rows) + "}"
