"""Command ``numdl check``: how does ``numdl check`` say whether a trained network is stable?"""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from rich.text import Text

from numdl.cli.errors import UserError, blame_input
from numdl.cli.folder import model_file
from numdl.cli.reading import NOTHING_SAID, Given, read_as_trained
from numdl.cli.show import terminal
from numdl.contracts.compilation_cache import compilation_cache
from numdl.data import Table, TableEncoder
from numdl.data.table.column import missing, texts
from numdl.data.table.table import same_name
from numdl.report.stability import write_stability

SIZES = (0.1, 0.3)
"""Lengths of changes of a row, in standard deviations of the inputs, up to which classes are certified."""


def run_check(
    model: Path,
    data: Path | None,
    out: Path,
    *,
    overwrite: bool,
    given: Given = NOTHING_SAID,
    labels: Path | None = None,
) -> None:
    """Judge the flow of a model or a classifier of images, print the verdict, and write a page.

    Args:
        model: folder of a run, or the model in it.
        data: file with the columns of the training; None for standard normal samples, as inputs are scaled. For a model
            of images a folder, IDX or arrays; None for random pixels.
        out: file for the page.
        overwrite: replace ``out`` if it exists.
        given: what the user says of this file.
        labels: of images in IDX.

    Raises:
        UserError: something the user gave cannot be used.
    """
    if out.is_file() and not overwrite:
        raise UserError(f"numdl check --out {out}: the file exists; give another name, or add --overwrite.")
    path = model_file(model)
    compilation_cache()
    from numdl.estimators.common.saving import load_with_extra

    with blame_input():
        estimator, extra = load_with_extra(path)
    if not hasattr(estimator, "stability"):
        raise UserError(
            f"{path}: this model, {type(estimator).__name__}, has no flow to judge; residual networks and classifiers "
            "of images can be judged."
        )
    if hasattr(estimator, "pixels_"):
        said = [name for name, value in given._asdict().items() if value not in (None, ())]
        if said:
            raise UserError(f"numdl check --{said[0]}: this is for tables, and {path} is a model of images.")
        from numdl.cli.check_images import check_images

        return check_images(estimator, extra, path, data, labels, out)
    if labels is not None:
        raise UserError(f"numdl check --labels: this is for images in IDX, and {path} is a model of tables.")
    x = labelled = None
    if data is not None:
        if "encoder" not in extra:
            raise UserError(f"{path}: this model was not made by numdl fit and does not know the columns of a table.")
        encoder = TableEncoder.from_json(extra["encoder"])
        with blame_input():
            table = read_as_trained(data, encoder, extra, given)
            x = encoder.transform(table)
            if encoder.task == "classification" and encoder.target_names[0] in table:
                labelled = _labelled(table, encoder.target_names[0], estimator.classes_)
    with blame_input():
        found = estimator.stability(x)
        off, said = _adjoint(estimator, x)
        judged = f"network 1 of {len(estimator.members_)} that predict together"
        mended = () if found.harmless else (_mended(found, extra.get("options", {}), path),)
        found = dataclasses.replace(found, verdict=(_consequence(found, judged), *found.verdict, said, *mended))
        facts = {
            "Judged": judged,
            "Model": str(path),
            "Network": estimator.members_[0].net.title,
            "Samples": "standard normal, as inputs are scaled" if data is None else f"of {data.name}",
            "Rows": str(len(found.noise)),
            "Gradient of the continuous adjoint": off,
            "Lipschitz bound": _bound(estimator),
        }
        proved = {} if x is None or labelled is None else _certified(estimator, x, labelled)
        write_stability(found, f"Stability of {path.name}", facts | proved, out)
    console = terminal()
    for sentence in found.verdict:
        console.print(Text(sentence), soft_wrap=True)
    for name, told in proved.items():
        console.print(Text(f"{name}: {told}"), soft_wrap=True)
    console.print(Text(f"Page  {out}"), soft_wrap=True)


def _labelled(table: Table, target: str, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (m,) that hold a class of the model, and which one of ``classes`` that is, (m,)."""
    column = table.column(target)
    rows = np.flatnonzero(~missing(column) if column.dtype.kind == "O" else np.isfinite(column))
    known = texts(classes.astype(float)) if classes.dtype.kind in "biuf" else map(str, classes)
    places = {same_name(word): code for code, word in enumerate(known)}
    codes = np.array([places.get(word, -1) for word in texts(column[rows])], dtype=int)
    return rows[codes >= 0], classes[codes[codes >= 0]]


def _bound(estimator: Any) -> str:
    """How many times as far as its scaled inputs the features of the first network move at most."""
    try:
        return f"{estimator.lipschitz_bound():.4g} from scaled inputs to features"
    except ValueError:  # of these dynamics and this scheme none is known
        return "none is known"


def _certified(estimator: Any, x: np.ndarray, labelled: tuple[np.ndarray, np.ndarray]) -> dict[str, str]:
    """Rows whose class is right and proved to stay so for all changes up to two sizes, among those with a class."""
    try:
        estimator._lipschitz_bounds()
    except ValueError:  # of the dynamics and the scheme of a network none is known
        return {}
    rows, labels = labelled
    facts = {"Labelled rows": f"{len(rows)} of {len(x)} hold a class of this model"}
    if len(rows):
        radius = estimator.certified_radius(x[rows], labels)
        which = "the" if len(rows) == len(x) else "these"
        for size in SIZES:
            told = f"{np.mean(radius > size):.1%} of {which} rows, by proof"
            facts[f"Right for all changes up to {size} standard deviations"] = told
    return facts


def _consequence(found: Any, judged: str) -> str:
    """What the network does to small changes, before any theory of why."""
    where = f"Judged is {judged}, on {len(found.noise)} rows"
    if found.overflow is not None:
        return f"{where}: it overflows."
    told = "stay small" if found.harmless else "are amplified"
    noise = f", random noise at most {found.noise.max():.3g} times" if len(found.noise) else ""
    more = "; what follows is theory, and no reason to train again" if found.harmless and not found.stable else ""
    return f"{where}: small changes {told}, at most {found.gain:.3g} times{noise}{more}."


def _mended(found: Any, options: dict[str, Any], path: Path) -> str:
    """The command that trains a network which amplifies less."""
    targets = " ".join(f"--target {shlex.quote(name)}" for name in options.get("target", ())) or "--target NAME"
    by = f"--scheme {found.better_scheme}" if found.leaves.any() and found.better_scheme else "--dynamics antisymmetric"
    if by in f"--dynamics {options.get('dynamics')}":
        by = "--damping 0.1 --dynamics antisymmetric"
    folder = shlex.quote(str(path.parent))
    return f"To mend it: numdl fit DATA {targets} --model resnet {by} --out {folder} --overwrite."


def _adjoint(estimator: Any, x: Any) -> tuple[str, str]:
    """How far the gradient of ``march="adjoint"`` is off, in a few words and as a sentence, or why it has none."""
    try:
        report = estimator.adjoint_report(x)
    except ValueError as reason:
        return "none", f"The gradient of the continuous adjoint was not checked: {reason}"
    return f"off by {report.off} times its norm", report.verdict[0]
