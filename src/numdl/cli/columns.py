"""Columns and rows of a file for a fit: which columns do the options name, and which rows can be used?"""

from __future__ import annotations

import fnmatch
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from numdl.cli.errors import UserError
from numdl.cli.options import FitOptions
from numdl.data import Table
from numdl.data.table.encode import complete_rows
from numdl.data.table.notation import interpret
from numdl.data.table.profile import digits, names_rows, profile, sentinels, suggested_targets, without_unit
from numdl.data.table.table import absent, listed, same_name


def expand(flag: str, patterns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The columns that names and patterns mean.

    Args:
        flag: name of the option, for the error.
        patterns: names, with or without the unit that the header gives, patterns such as ``y*``, or ranges such as
            ``y0:y199`` in the order of the file.
        names: columns of the file.

    Returns:
        Different names, in the order in which they are asked for.

    Raises:
        UserError: one of them means no column.
    """
    if not patterns:
        return ()
    found: dict[str, None] = {}
    bare = [without_unit(name) for name in names]
    often = Counter(bare)
    places = {name: j for j, name in enumerate(bare) if often[name] == 1} | {name: j for j, name in enumerate(names)}
    for pattern in map(same_name, patterns):
        first, colon, last = pattern.partition(":")
        if pattern in places:
            found[names[places[pattern]]] = None
        elif colon and first in places and last in places:
            found.update(dict.fromkeys(names[places[first] : places[last] + 1]))
        else:
            matching = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
            if not matching:
                raise UserError(f"numdl {flag} {pattern!r}: {absent(pattern, names)}")
            found.update(dict.fromkeys(matching))
    return tuple(found)


def chosen(table: Table, options: FitOptions, call: str = "fit") -> tuple[Table, FitOptions]:
    """The columns that a fit shall see.

    Args:
        table: the file.
        options: names targets, inputs, columns to drop, the column of weights and that of groups.
        call: the command to name.

    Returns:
        The table with these columns, and the options with the names that they have in the file.

    Raises:
        UserError: no target is named, a name means no column, or one column is asked to be two things.
    """
    if not options.target:
        raise UserError(f"numdl {call}: which column is to be predicted? {_likely(table)}")
    targets = expand(f"{call} --target", options.target, table.names)
    if len(set(options.target)) < len(options.target):
        raise UserError(f"numdl {call} --target {options.target[0]!r}: give one or several different column names.")
    wanted = expand(f"{call} --inputs", options.inputs, table.names) or table.names
    dropped = expand(f"{call} --drop", options.drop, table.names)
    both = [name for name in dropped if name in targets]
    if both:
        raise UserError(f"numdl {call} --drop {both[0]!r}: this is a target; name it in one of the two options.")
    weights = expand(f"{call} --weights", (options.weights,), table.names) if options.weights else ()
    if len(weights) > 1 or set(weights) & set(targets):
        raise UserError(f"numdl {call} --weights {options.weights!r}: needed is one column that is no target.")
    group = expand(f"{call} --split group:", (options.group,), table.names) if options.group else ()
    if len(group) > 1:
        raise UserError(f"numdl {call} --split {options.split}: needed is one column, not {listed(list(group))}.")
    keep = [n for n in table.names if (n in wanted and n not in dropped) or n in (*targets, *weights, *group)]
    named = replace(options, target=targets, weights=weights[0] if weights else None)
    return table.select(keep), replace(named, split=f"group:{group[0]}") if group else named


def _likely(table: Table) -> str:
    """The columns of a file, and the target that it suggests."""
    target = suggested_targets(profile(table))
    advice = f" Add for example --target {shlex.quote(target)}." if target else ""
    return f"The columns are {listed(list(table.names))}.{advice}"


def weights_of(table: Table, name: str | None) -> tuple[Table, np.ndarray | None]:
    """Take the column of weights out of the inputs.

    Args:
        table: rows.
        name: the column, None for no weights.

    Returns:
        The table without it, and the weights (n,).

    Raises:
        UserError: they are not numbers, missing, negative or all zero.
    """
    if name is None:
        return table, None
    column = table.column(name)
    values = column if column.dtype.kind == "f" else interpret(column).values
    if values is None or not np.isfinite(values).all() or (values < 0).any() or not (values > 0).any():
        raise UserError(f"numdl fit --weights {name!r}: needed are numbers, none missing or negative, not all zero.")
    return table.select([other for other in table.names if other != name]), values


def usable(table: Table, targets: Sequence[str], policy: str, call: str = "fit") -> tuple[Table, np.ndarray, list[str]]:
    """The rows that a fit can use.

    Args:
        table: inputs and targets.
        targets: names of the targets, whose gaps are never filled.
        policy: "refuse", "drop" or "impute".
        call: the command to name.

    Returns:
        The rows, their numbers in the table from 0, and a note if some are left out, entries are filled or look as if
        they stood for missing ones.

    Raises:
        UserError: no row is left.
    """
    numbers = [pair for pair in zip(table.names, table.columns, strict=True) if pair[1].dtype.kind == "f"]
    notes = [
        f"Column {name!r} holds {digits(value)} in {count} rows, far from all else: if this stands for a missing "
        f"entry, add --na {digits(value)} --missing impute."
        for name, column in numbers
        for value, count in sentinels(column)
    ]
    notes += [
        f"Column {name!r} is an input, but seems to name rows by numbers: if it does, add --drop {shlex.quote(name)}."
        for name, column in numbers
        if name not in targets and names_rows(name, column[table.different])
    ]
    kept = np.arange(table.n)
    if policy == "refuse":
        return table, kept, notes
    looked = [n for n in (table.names if policy == "drop" else targets) if not _empty(table, n)]
    complete = complete_rows(table, looked)
    if not complete.any():
        raise UserError(f"numdl {call} --missing {policy}: an entry is missing in every row; drop columns with --drop.")
    if not complete.all():
        gaps = {name: int((~complete_rows(table, [name])).sum()) for name in looked}
        most = sorted((name for name in gaps if gaps[name]), key=lambda name: -gaps[name])
        out = int((~complete).sum())
        notes.append(
            f"{out} of {table.n} rows {'is' if out == 1 else 'are'} left out, as an entry is missing in {listed(most)}."
        )
        kept = np.flatnonzero(complete)
        table = table.take(kept)
    if policy == "impute":
        gaps = {name: int((~complete_rows(table, [name])).sum()) for name in table.names if name not in looked}
        told = [f"{name!r} in {count:,} rows" for name, count in gaps.items() if 0 < count < table.n]
        if told:
            more = f" and {len(told) - 5} columns more" if len(told) > 5 else ""
            notes.append(f"Missing entries are filled, and an input tells where: {', '.join(told[:5])}{more}.")
    return table, kept, notes


def _empty(table: Table, name: str) -> bool:
    """Whether a column misses all entries: it is left out, not its rows."""
    return not complete_rows(table, [name]).any()
