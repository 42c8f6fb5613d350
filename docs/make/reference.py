"""Which reference results does numdl offer? The page of ``numdl reference``, made from the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "src" / "numdl" / "course" / "reference" / "data"
HEAD = """# Reference results

Numbers to compare your own code with: setting, value, tolerance, where each comes from, and the command that
regenerates it. They come with numdl as JSON files:

```
numdl reference list
numdl reference show stability-toy
numdl reference show stability-toy --json > toy.json   # with data where it needs some
numdl reference check stability-toy                    # recomputes, and compares
```

*certified*: by a standards institute; *exact*: follows from a formula; *independent code*: computed by another program;
*published*: taken from the paper named; *measured*: found here by the command, which others should come near, not hit.
Seconds are those of two shared cores.
"""


def pages() -> dict[str, str]:
    """The page with all reference results.

    Returns:
        Name of the file to Markdown.
    """
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(DATA.glob("*.json"))}
    return {"reference.md": "\n".join([HEAD, *(_section(name, record) for name, record in records.items())])}


def _section(name: str, record: dict[str, Any]) -> str:
    lines = [f"## {name}", "", f"{record['title']}.", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {_cell(text)} |" for key, text in record["setting"].items()]
    lines += [f"| source | {_cell(record['source'])} |", f"| command | `{record['command']}` |", ""]
    lines += [
        f'??? note "{len(record["results"])} values"',
        "",
        "    | what | value | tolerance | by |",
        "    |---|---|---|---|",
    ]
    for one in record["results"]:
        kind, size = one["tolerance"]
        value = f"{one['value']:.12g} {one['unit']}".rstrip()
        bound = f"factor {size:g}" if kind == "factor" else f"{size:g} {kind}"
        lines.append(f"    | {_cell(one['what'])} | {value} | {bound} | {one['by']} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    """Text of a cell; formulas stand in words, so nothing in them may be taken for markup."""
    for mark in "\\|*_[]<>":
        text = text.replace(mark, f"\\{mark}")
    return text
