"""What does a compiled program of one device do: activations, messages and bytes, loops multiplied by their trips?"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache

COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute")
OPERATION = re.compile(r"= (\(.*?\)|\S+) ([a-z][a-z0-9-]*)\(")
CALLED = re.compile(r"(?:body|to_apply|calls)=%([\w.\-]+)")
SHAPE = re.compile(r"([a-z]+)(\d+)\[([0-9,]*)\]")
TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')


def executed(text: str, unknown: int) -> dict[str, int]:
    """Count what one device executes.

    Args:
        text: of an optimised module, ``jit(f).lower(...).compile().as_text()``.
        unknown: trips of loops whose number XLA does not know: here the cycles.

    Returns:
        ``tanh`` (numbers), ``messages`` (collective operations), each collective by name, and ``bytes`` that come out
        of them.
    """
    bodies, entry = _computations(text)

    @cache
    def of(name: str) -> tuple[tuple[str, int], ...]:
        total: Counter[str] = Counter()
        for line in bodies.get(name, ()):
            found = OPERATION.search(line)
            if not found:
                continue
            result, kind = found.groups()
            if kind == "tanh":
                total["tanh"] += sum(_numbers(dimensions) for _, _, dimensions in SHAPE.findall(result))
            elif kind in COLLECTIVES:
                total[kind] += 1
                total["messages"] += 1
                total["bytes"] += sum(int(bits) // 8 * _numbers(d) for _, bits, d in SHAPE.findall(result))
            if kind in ("while", "call", "fusion", "map"):
                known = TRIPS.search(line)
                times = (int(known.group(1)) if known else unknown) if kind == "while" else 1
                for called in CALLED.findall(line):
                    for key, count in of(called):
                        total[key] += times * count
        return tuple(total.items())

    return {"tanh": 0, "messages": 0, "bytes": 0} | dict(of(entry))


def _numbers(dimensions: str) -> int:
    return math.prod(int(n) for n in dimensions.split(",") if n)


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Lines of each computation, and the name of the first one to run."""
    bodies: dict[str, list[str]] = {}
    name = entry = ""
    for line in text.splitlines():
        head = re.match(r"(ENTRY )?%([\w.\-]+) .*\{$", line)
        if head:
            name = head.group(2)
            entry = name if head.group(1) else entry
            bodies[name] = []
        elif name:
            bodies[name].append(line)
    return bodies, entry
