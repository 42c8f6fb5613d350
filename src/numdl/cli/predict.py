"""Command ``numdl predict``: how does ``numdl predict`` get from a model and a file to predictions?"""

from __future__ import annotations

import csv
import inspect
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from numdl.cli.errors import UserError, blame_input
from numdl.cli.folder import model_file
from numdl.cli.reading import NOTHING_SAID, Given, read_as_trained
from numdl.data import Table, TableEncoder, check_writable, write_predictions
from numdl.data.read.files import unrun


def run_predict(
    model: Path,
    data: Path,
    out: Path | None,
    *,
    std: bool,
    overwrite: bool,
    keep: bool = False,
    outside: bool = False,
    given: Given = NOTHING_SAID,
) -> Path | None:
    """Predict the rows of a file.

    Args:
        model: folder of a run, or the model in it.
        data: file with the columns of the training.
        out: file for the predictions, .csv or .parquet; standard output if None.
        std: add a standard deviation for each target.
        overwrite: replace ``out`` if it exists.
        keep: copy the columns of the file through, before the predictions.
        outside: add a column that says which rows lie outside the region of the training rows.
        given: what the user says of this file.

    Returns:
        The file written, or None.

    Raises:
        UserError: something the user gave cannot be used; refused before any work where it can be known.
    """
    if out is not None:
        _check_out(out, data, overwrite)
    path = model_file(model)
    from numdl.estimators.common.plain import formula_of, read_plain

    with blame_input():
        plain, extra = read_plain(path)
    if "images" in extra:
        said = {"std": std, "keep": keep, "outside": outside} | {
            name: value not in (None, ()) for name, value in given._asdict().items()
        }
        for flag, wanted in said.items():
            if wanted:
                raise UserError(f"numdl predict --{flag}: this is for tables, and {path} is a model of images.")
        from numdl.cli.images import predict_images

        return _written(out, *predict_images(path, extra, data), overwrite=overwrite)
    if "encoder" not in extra:
        raise UserError(
            f"{path}: this model was not made by numdl fit and does not know the columns of a table; use numdl.load in "
            "Python."
        )
    with blame_input():  # the checksum of a file authenticates nobody
        try:
            encoder = TableEncoder.from_json(extra["encoder"])
        except Exception as error:
            raise ValueError(f"{path}: the columns stored with the model are damaged ({error}); fit again.") from None
    if std and encoder.task == "classification":
        raise UserError(
            f"{path}: --std is for numbers, and this model predicts classes; their probabilities are always given."
        )
    formula = formula_of(plain, std=std)
    estimator = _estimator(path, std) if formula is None else formula
    with blame_input():
        table = read_as_trained(data, encoder, extra, given)
        x = encoder.transform(table)
        for note in encoder.unseen(table):
            print(note, file=sys.stderr)
        try:
            names, columns = predictions(estimator, encoder, x, std=std)
        except ArithmeticError:  # the estimator knows why
            names, columns = predictions(_estimator(path, std), encoder, x, std=std)
        far = _outside(path, plain, x, asked=outside)
        if outside:
            names, columns = [*names, "outside"], [*columns, far.astype(int)]
        elif far.any():
            many = f"{far.sum()} of {len(x)} rows lie"
            print(f"{many} outside the training rows: predictions extrapolate; --outside marks them.", file=sys.stderr)
        if keep:
            names, columns = _beside(table, names, columns)
    return _written(out, names, columns, overwrite=overwrite)


def _written(out: Path | None, names: list[str], columns: list[np.ndarray], *, overwrite: bool) -> Path | None:
    """The file of the predictions; None after they were printed."""
    if out is None:
        _print(names, columns)
        return None
    with blame_input():
        return write_predictions(out, names, columns, overwrite=overwrite)


def predictions(
    model: Any, encoder: TableEncoder, x: np.ndarray, *, std: bool = False
) -> tuple[list[str], list[np.ndarray]]:
    """Named columns of predictions.

    Args:
        model: fitted estimator.
        encoder: names the targets.
        x: inputs (n, d).
        std: add a standard deviation for each target.

    Returns:
        Names and columns (n,): each target, followed by its standard deviation ``<target>_std`` if wanted; for classes
        the label and one column ``probability_<label>`` for each class.

    Raises:
        ValueError: the encoder names more or fewer targets than there are.
    """
    if encoder.task == "classification":
        probability = model.predict_proba(x)
        names = [encoder.target_names[0], *(f"probability_{label}" for label in model.classes_)]
        return names, [model.classes_[probability.argmax(axis=1)], *probability.T]
    mean, deviation = model.predict(x, return_std=True) if std else (model.predict(x), None)
    if mean.size != len(x) * len(encoder.target_names):
        raise ValueError(f"the model does not predict {', '.join(encoder.target_names)}, as stored with it; fit again.")
    names, columns = [], []
    for j, name in enumerate(encoder.target_names):
        names.append(name)
        columns.append(mean.reshape(len(x), -1)[:, j])
        if deviation is not None:
            names.append(f"{name}_std")
            columns.append(deviation.reshape(len(x), -1)[:, j])
    return names, columns


def _estimator(path: Path, std: bool) -> Any:
    """The stored estimator itself, for models without a formula; it brings its libraries along."""
    from numdl.estimators.common.saving import load

    with blame_input():
        estimator = load(path)
    if std and "return_std" not in inspect.signature(estimator.predict).parameters:
        raise UserError(f"{path}: {type(estimator).__name__} has no deviations; leave --std out.")
    return estimator


def _outside(path: Path, plain: Any, x: np.ndarray, *, asked: bool) -> np.ndarray:
    """Which rows lie outside the region of the training rows (n,); none if the model does not know."""
    from numdl.estimators.common.codec import fitting
    from numdl.estimators.common.region import outside

    with fitting(path):
        found = outside(plain, x)
    if found is None and asked:
        raise UserError(
            f"{path}: --outside needs the training rows, which this kind of model does not keep; leave it out."
        )
    return np.zeros(len(x), bool) if found is None else found


def _beside(table: Table, names: list[str], columns: list[np.ndarray]) -> tuple[list[str], list[np.ndarray]]:
    """Columns of the file, then the predictions; those whose name the file has are called ``<name>_predicted``."""
    told = [f"{name}_predicted" if name in table.names else name for name in names]
    return [*table.names, *told], [*table.columns, *columns]


def _check_out(out: Path, data: Path, overwrite: bool) -> None:
    if out.is_file() and data.exists() and out.samefile(data):
        raise UserError(f"numdl predict --out {out}: this is the file to predict from; give another name.")
    if out.is_file() and not overwrite:
        raise UserError(f"numdl predict --out {out}: the file exists; give another name, or add --overwrite.")
    with blame_input():
        check_writable(out, overwrite=overwrite, call=f"numdl predict --out {out}")


def _print(names: list[str], columns: list[np.ndarray]) -> None:
    Table(tuple(names), tuple(columns))  # refuses names that occur twice, as for a file
    writer = csv.writer(sys.stdout, lineterminator="\n")
    try:
        writer.writerow(unrun(names))
        writer.writerows(zip(*(unrun(column.tolist()) for column in columns), strict=True))
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has had enough
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered must not fail once more
        raise UserError(
            f"numdl predict: the output cannot be written ({error.strerror}); give --out FILE on another device."
        ) from error
