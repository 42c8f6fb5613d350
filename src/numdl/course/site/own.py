"""Alpha on a table of the reader's own: what do the criteria of page 1.8 say about a file that somebody brings?

``python -m numdl.course.site.own FILE TARGET`` prints one JSON object a line, as soon as each is known; the local
server runs it and passes the lines on.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ALPHAS, FOLDS, SHOWN, ROWS = 61, 5, 12, 20_000


def curves(file: str | os.PathLike[str], target: str = "") -> Iterator[dict[str, Any]]:
    """Criteria for the penalty of a linear model, from a file.

    Rows with a missing entry are left out, beyond 20,000 rows some, evenly; inputs and target have deviation 1.

    Args:
        file: any that `numdl.data.read_table` reads.
        target: name of a column of numbers; the last column if empty.

    Yields:
        ``columns``, ``target``, ``rows`` and ``notes``; then ``alphas`` with ``gcv``, ``residual``, ``size`` and
        ``freedom``; for each of five folds its number ``fold`` and its mean squared ``error`` at all alphas; at the end
        ``chosen``, the index of each criterion, and ``coefficients``, name to one number for each alpha.

    Raises:
        ValueError: the file, or its columns, cannot be used.
        OSError: it cannot be read.
    """
    from numdl.data import Scaler, TableEncoder, read_table
    from numdl.data.table.encode import complete_rows
    from numdl.regularize.ridge import alpha_grid, decompose, ridge_path
    from numdl.regularize.ridge.validation import fold_errors, prepare_folds
    from numdl.regularize.selectors import gcv, l_curve

    table = read_table(file)
    target = target or table.names[-1]
    whole = complete_rows(table, table.names)
    if not whole.any():
        raise ValueError("curves: an entry is missing in every row. Leave out the columns that are mostly empty.")
    kept = np.flatnonzero(whole)
    kept = kept if len(kept) <= ROWS else kept[np.linspace(0, len(kept) - 1, ROWS).astype(int)]
    left = f"{table.n - len(kept)} of {table.n} rows are left out." if len(kept) < table.n else ""
    used = table.take(kept)
    encoder = TableEncoder.fit(used, (target,), "regression")
    notes = [*table.notes, *encoder.notes, *([left] if left else [])]
    yield {"columns": list(table.names), "target": target, "rows": len(kept), "notes": notes}
    x, y = encoder.transform(used), encoder.targets(used).reshape(len(kept), 1)
    x, y = Scaler.fit(x).transform(x), Scaler.fit(y).transform(y)
    found = decompose(x, y, intercept=True)
    path = ridge_path(found, alpha_grid(found, ALPHAS))
    values = {"gcv": gcv(path).criterion, "residual": path.residuals, "size": path.seminorms, "freedom": path.freedom}
    yield {"alphas": path.alphas.tolist(), **{name: value.tolist() for name, value in values.items()}}
    order = np.random.RandomState(0).permutation(len(x))
    errors = []
    for k, part in enumerate(np.array_split(order, min(FOLDS, len(x)))):
        fold = prepare_folds(x, y, [(np.setdiff1d(order, part), part)], intercept=True)
        errors.append(np.asarray(fold_errors(path, fold).errors)[:, 0])
        yield {"fold": k + 1, "error": errors[-1].tolist()}
    chosen = {"GCV": gcv(path).index, "five folds": int(np.argmin(np.mean(errors, axis=0)))}
    weights = np.stack([found.solution(alpha)[0][:, 0] for alpha in path.alphas])[:, : x.shape[1]]
    largest = np.argsort(-np.abs(weights[chosen["GCV"]]), kind="stable")[:SHOWN]
    yield {
        "chosen": {**chosen, "L-curve": l_curve(path).index},
        "coefficients": {encoder.feature_names[j]: weights[:, j].tolist() for j in largest},
    }


def _main(file: str, target: str) -> int:
    try:
        for one in curves(Path(file), target):
            print(json.dumps(one), flush=True)
    except (ValueError, OSError) as error:
        print(json.dumps({"failed": str(error).replace(file, "the file")}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
