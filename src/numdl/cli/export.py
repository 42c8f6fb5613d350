"""Command ``numdl export``: how does a trained model become a function in another language?"""

from __future__ import annotations

import contextlib
from pathlib import Path

from numdl.cli.errors import UserError, blame_input
from numdl.cli.folder import model_file
from numdl.data import TableEncoder
from numdl.export import CannotExport, describe
from numdl.export.write import TARGETS, export


def run_export(model: Path, to: str, out: Path | None, *, std: str, overwrite: bool) -> Path:
    """Write a trained model as a function, with the coding of its table.

    Args:
        model: folder of a run, or the model in it.
        to: "numpy", "c", "onnx" or "matlab".
        out: the file; ``model`` with the ending of the language beside the model if None.
        std: "auto", "yes" or "no": whether the function computes standard deviations; or by which share of themselves
            they may be too large, such as "0.001".
        overwrite: replace the file if it exists.

    Returns:
        The file written.

    Raises:
        UserError: something the user gave cannot be used, or the model has no formula.
    """
    wanted: dict[str, bool | str | float] = {"auto": "auto", "yes": True, "no": False}
    with contextlib.suppress(ValueError):
        if 0 < float(std) <= 0.1:
            wanted[std] = float(std)
    for option, value, known in (("--to", to, TARGETS), ("--std", std, wanted)):
        if value not in known:
            more = " or a share up to 0.1" if option == "--std" else ""
            raise UserError(f"numdl export {option} {value}: give one of {', '.join(known)}{more}.")
    path = model_file(model)
    out = path.with_name("model" + TARGETS[to]) if out is None else out
    if out.exists() and (not overwrite or out.is_dir()):
        raise UserError(f"numdl export --out {out}: this exists; give another name, or add --overwrite for a file.")
    if not out.parent.is_dir():
        raise UserError(f"numdl export --out {out}: there is no folder {str(out.parent)!r}; create it first.")
    from numdl.estimators.common.plain import read_plain

    with blame_input():
        found, extra = read_plain(path)
        if "images" in extra:
            return export(found, out, to, std=wanted[std])
        try:
            described = describe(found)
        except CannotExport:
            raise
        except (LookupError, AttributeError, TypeError, AssertionError, ValueError):
            described = None
        if described is None or described.no_std:  # the estimator knows what is wrong, or finds deviations again
            from numdl.estimators.common.saving import load

            found = load(path)
        encoder = extra.get("encoder")
        if encoder is not None:  # as this version writes it
            encoder = TableEncoder.from_json(encoder).to_json()
        return export(found, out, to, std=wanted[std], encoder=encoder)
