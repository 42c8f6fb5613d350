"""What was measured? The tables of ``benchmarks/results`` in Markdown, made by the functions that print them."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
PLACE = re.compile(r"^<!-- tables: (\w+) -->$", flags=re.MULTILINE)
OF_RIVAL = {"uci": "ratio", "classification": "ratio", "kernels": "ours / best"}
"""Columns with our error over that of the best rival: above one we lose, which is set in bold."""


def pages(folder: Path) -> dict[str, str]:
    """The page of measurements, each place for tables filled.

    Args:
        folder: where ``measured.md`` was laid out; figures of the results go beside it.

    Returns:
        Name of the file to Markdown.

    Raises:
        ValueError: a result has no place on the page, or a place no result.
    """
    text = (folder / "measured.md").read_text(encoding="utf-8")
    placed, there = sorted(PLACE.findall(text)), sorted(path.stem for path in RESULTS.glob("*.json"))
    if placed != there:
        raise ValueError(
            f"measured.md has places for {sorted(set(placed) - set(there))} without results, and none (or two) for "
            f"{sorted(set(there) - set(placed))}. Give each file of benchmarks/results one line <!-- tables: NAME -->."
        )
    for path in RESULTS.glob("*.svg"):
        shutil.copyfile(path, folder / "assets" / path.name)
    return {"measured.md": PLACE.sub(lambda found: section(found.group(1)), text)}


def section(name: str) -> str:
    """All tables of one result, folded up, with the command and the machine they come from.

    Args:
        name: stem of the file.

    Returns:
        Markdown.
    """
    document = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    runs = sorted(document["runs"].values(), key=lambda run: run["date"])
    first, last = runs[0], runs[-1]
    days = sorted({run["date"][:10] for run in (first, last)})
    origin = (
        f"`python -m benchmarks {name}`, {' to '.join(days)}, {last['machine']['cores']} cores, "
        f"numdl {last['versions']['numdl']}, JAX {last['versions']['jax']}."
    )
    lines = [f'??? note "Tables of {name}"', "", f"    {origin}", ""]
    for title, header, rows in collected(name, document["records"]):
        lines += [f"    {title}", "", *(f"    {line}" for line in markdown(header, rows, OF_RIVAL.get(name))), ""]
    return "\n".join(lines)


def collected(name: str, records: list[dict[str, Any]]) -> list[tuple[str, Sequence[str], list[Sequence[Any]]]]:
    """What the benchmark would print of its records.

    Args:
        name: module of ``benchmarks``.
        records: from its file.

    Returns:
        Title, header and rows of each table.
    """
    benchmark: Any = importlib.import_module(f"benchmarks.{name}")
    found: list[tuple[str, Sequence[str], list[Sequence[Any]]]] = []

    def keep(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        found.append((title, header, list(rows)))

    printing, benchmark.table = benchmark.table, keep
    try:
        benchmark.summarise(records)
    finally:
        benchmark.table = printing
    return found


def markdown(header: Sequence[str], rows: Iterable[Sequence[Any]], of_rival: str | None = None) -> list[str]:
    """A table in Markdown; floats to three digits, a loss against the best rival in bold.

    Args:
        header: names of the columns.
        rows: of cells.
        of_rival: column with our error over that of the best rival; None where there is none.

    Returns:
        Lines.
    """
    lines = [_row(header), _row(["---"] * len(header))]
    for row in rows:
        cells = [_cell(value) for value in row]
        for i, value in enumerate(row):
            if header[i] == of_rival and isinstance(value, float) and value > 1.0:
                cells[i] = f"**{cells[i]}**"
        lines.append(_row(cells))
    return lines


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace("_", "\\_")
