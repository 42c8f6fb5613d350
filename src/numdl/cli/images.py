"""Commands on images: how do a folder of pictures, IDX or arrays become a run, and a picture a class?"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from numdl.cli.baselines import score_name, score_rows
from numdl.cli.errors import DONE, INTERRUPTED, UserError, blame_input, two_interrupts
from numdl.cli.folder import RunFolder, abandon, begin, claim
from numdl.cli.options import FitOptions
from numdl.cli.prepare import FEWEST, Part
from numdl.cli.show import Progress, row, show_result, terminal
from numdl.data import guess_task, split
from numdl.data.read.pictures import Pictures, kind_of_images, read_pictures, rows_of_arrays
from numdl.report import FitSummary, write_json, write_page
from numdl.report.summary import write_summary

PATCHES, IMAGES = "patches", "images"
SETTINGS = ("target", "task", "model", "time", "test", "seed", "labels", "size")
"""Options that images have."""


def run_fit_images(data: Path, options: FitOptions, out: Path, *, resume: bool, overwrite: bool, quiet: bool) -> int:
    """Fit a model to images: check everything, train, write.

    Args:
        data: folder of folders of pictures, IDX, or arrays in one .npz.
        options: what to do with it.
        out: folder of the run.
        resume: refused, the fit is done in one go.
        overwrite: replace the run in the folder.
        quiet: print nothing but errors and interruptions.

    Returns:
        The exit code.

    Raises:
        UserError: something the user gave cannot be used; nothing has been changed then.
    """
    _check(options, resume)
    folder, console, errors = RunFolder(out), terminal(quiet), Console(stderr=True)
    with contextlib.ExitStack() as held:
        claim(folder, held, resume=False, overwrite=overwrite)
        stop = two_interrupts(lambda: errors.print("Interrupted: stopping soon. Ctrl-C again quits at once."))
        with stop:
            try:
                found, task = _read(data, options)
                parts, notes = _parts(found, task, options)
                begin(folder, options, data, "")
                _show_start(console, data, found, task, parts, notes)
                return _train(data, found, task, parts, options, folder, console, Progress(errors, quiet))
            except (KeyboardInterrupt, UserError) as error:
                abandon(folder)
                if isinstance(error, UserError):
                    raise
                errors.print("Interrupted before there was a model; nothing is saved.")
                return INTERRUPTED


def predict_images(
    path: Path, extra: dict[str, Any], data: Path, *, call: str = "numdl predict"
) -> tuple[list[str], list[np.ndarray]]:
    """Named columns of predictions for a picture, a folder of them, IDX or arrays.

    Args:
        path: the model.
        extra: what was stored beside it.
        data: what to predict for.
        call: the call to name.

    Returns:
        Names and columns (n,): name of the picture, label or number, and a probability for each class.

    Raises:
        UserError: something cannot be used.
    """
    from numdl.estimators.common.saving import load

    told = extra["images"]
    with blame_input():
        model = load(path)
        found = read_pictures(call, data, size=told.get("size"), known=tuple(told["shape"]))
        for note in found.notes:
            print(note, file=sys.stderr)
        target = told["target"]
        first = "picture" if target != "picture" else "name"
        names, columns = [first], [np.array(found.names, object)]
        if hasattr(model, "predict_proba"):
            probability = model.predict_proba(found.x)
            names += [target, *(f"probability_{label}" for label in model.classes_)]
            columns += [model.classes_[probability.argmax(axis=1)], *probability.T]
        else:
            mean = model.predict(found.x).reshape(len(found.x), -1)
            names += [target] if mean.shape[1] == 1 else [f"{target}_{j}" for j in range(mean.shape[1])]
            columns += list(mean.T)
    return names, columns


def _check(options: FitOptions, resume: bool) -> None:
    """Refuse what images have not."""
    options.check()
    usual = FitOptions(())
    for field in dataclasses.fields(FitOptions):
        if field.name not in SETTINGS and getattr(options, field.name) != getattr(usual, field.name):
            flag = field.name.replace("_", "-")
            raise UserError(f"numdl fit --{flag}: images have no such setting; leave it out.")
    if options.model not in ("auto", PATCHES, IMAGES):
        raise UserError(f"numdl fit --model {options.model}: this is for tables; leave it out for images.")
    if resume:
        raise UserError("numdl fit --resume: a fit to images is done in one go; repeat it with --overwrite.")


def _read(data: Path, options: FitOptions) -> tuple[Pictures, str]:
    """The images with their targets, and the task."""
    if len(options.target) > 1:
        raise UserError("numdl fit --target: images have one array of targets; name one, of shape (n,) or (n, k).")
    target = options.target[0] if options.target else None
    labels = None if options.labels is None else Path(options.labels)
    if options.size is not None and kind_of_images(data) not in ("folder", "picture"):
        raise UserError(f"numdl fit --size: only pictures in files are brought to a size; leave it out for {data}.")
    with blame_input():
        found = read_pictures("numdl fit", data, labels=labels, target=target, size=options.size)
    if found.y is None:
        way = {True: "put pictures into one folder for each class", False: "name the file of labels with --labels"}
        hint = way[data.is_dir()]
        if data.suffix.lower() == ".npz":
            names = rows_of_arrays(data, len(found.x))
            hint = f"name the array of labels with --target{'; with a row for each image there ' if names else ''}"
            hint += ("is " if len(names) == 1 else "are ") + ", ".join(names) if names else ""
        raise UserError(f"numdl fit {data}: there are no labels; {hint}.")
    if found.y.ndim == 2 and found.y.shape[1] == 1:
        found = found._replace(y=found.y[:, 0])
    y = found.y
    assert y is not None
    if y.ndim == 2 and options.task != "regression" and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        raise UserError(
            f"numdl fit --target {target}: each row holds one 1 among {y.shape[1]} columns, as coded classes do; save "
            f"labels instead, {target}.argmax(axis=1), or say --task regression."
        )
    found_task = _task(data, found, options, labels)
    if options.model == IMAGES and found_task == "regression":
        raise UserError("numdl fit --model images: this is for classes; leave it out for numbers of images.")
    return found, found_task


def _task(data: Path, found: Pictures, options: FitOptions, labels: Path | None) -> str:
    """What is learned of the images."""
    y = found.y
    assert y is not None
    if options.task == "auto":
        counted = labels is None and y.dtype.kind in "iuf" and y.ndim == 1  # bytes beside IDX are labels
        numbers = y.ndim > 1 or (counted and guess_task(y.astype(float)) == "regression")
        return "regression" if numbers else "classification"
    if options.task not in ("regression", "classification"):
        raise UserError(f"numdl fit --task {options.task}: needed is auto, regression or classification.")
    if options.task == "regression" and y.dtype.kind not in "buif":
        raise UserError(f"numdl fit --task regression: the labels of {data} are text; leave it out.")
    return options.task


def _parts(found: Pictures, task: str, options: FitOptions) -> tuple[dict[str, Part], list[str]]:
    """Rows for training and test; equal images with equal targets are not looked for."""
    n, y = len(found.x), found.y
    assert y is not None
    notes, shares = list(found.notes), {"train": 1.0}
    if options.test > 0 and n >= FEWEST:
        shares = {"train": 1 - options.test, "test": options.test}
    elif options.test > 0:
        notes.append(f"All {n} images are used for the training: fewer than {FEWEST} are too few to hold some out.")
    index = split(n, list(shares.values()), options.seed, stratify=y if task == "classification" else None)
    whole = Part(found.x, y, np.arange(1, n + 1))
    return {name: whole.take(np.sort(rows)) for name, rows in zip(shares, index, strict=True) if len(rows)}, notes


def _show_start(
    console: Console, data: Path, found: Pictures, task: str, parts: dict[str, Part], notes: list[str]
) -> None:
    n, height, width, channels = found.x.shape
    row(console, "Data", f"{data}: {n:,} images of {height} x {width}, {'grey' if channels == 1 else 'colours'}")
    row(
        console,
        "Task",
        f"{task}" + (f", {len(np.unique(np.asarray(found.y)))} classes" if task == "classification" else ""),
    )
    names = {"train": "training", "test": "test"}
    row(console, "Images", ", ".join(f"{len(part.x):,} {names[name]}" for name, part in parts.items()))
    for note in notes:
        row(console, "Note", note)


def _train(
    data: Path,
    found: Pictures,
    task: str,
    parts: dict[str, Part],
    options: FitOptions,
    folder: RunFolder,
    console: Console,
    progress: Progress,
) -> int:
    from numdl.cli.fit import JUDGED, store
    from numdl.estimators import ImageClassifier, PatchFeaturesClassifier, PatchFeaturesRegressor
    from numdl.estimators.images.classifier import LEAST_HELD

    kind = PatchFeaturesRegressor if task == "regression" else PatchFeaturesClassifier
    settings: dict[str, Any] = {"time_budget": options.time}
    if options.model == IMAGES:
        kind, settings = ImageClassifier, {} if options.time is None else settings
    train, began = parts["train"], time.perf_counter()
    with warnings.catch_warnings(), blame_input(), progress:
        warnings.simplefilter("ignore")  # the status says it
        model = kind(**settings, random_state=options.seed)
        model.fit(train.x, train.y, observe=progress.observe)
    seconds = time.perf_counter() - began
    target = options.target[0] if options.target else "label"
    names = {"train": "training", "test": "test"}
    told = ", ".join(f"{len(part.x):,} {names[name]}" for name, part in parts.items())
    facts = {"File": data.name, "Rows": told}
    shape = [int(size) for size in found.x.shape[1:]]
    images = {"shape": shape, "target": target, "size": None if options.size is None else list(options.size)}
    store(model, folder, {"images": images, "facts": facts, "options": options.to_json(), "seconds": seconds})
    summary = _summary(model, task, target, data, parts, facts, seconds, JUDGED)
    write_summary(summary, folder.summary)
    write_json(summary, folder.numbers)
    write_page(summary, folder.report)
    show_result(console, summary, folder)
    place = "PICTURE.png" if data.is_dir() else shlex.quote(str(data))
    run = shlex.quote(str(folder.path))
    row(console, "Next", f"numdl predict {run} {place}")
    if task == "classification" and options.model == "auto" and len(train.x) >= 5 * LEAST_HELD:
        row(console, "", "numdl fit with --model images and --time 300 adds a kernel and a network")
    return INTERRUPTED if model.status_.code == "interrupted" else DONE


def _summary(
    model: Any,
    task: str,
    target: str,
    data: Path,
    parts: dict[str, Part],
    facts: dict[str, str],
    seconds: float,
    judged: int,
) -> FitSummary:
    name = "test" if "test" in parts else "train"
    held_out = parts[name].spread(judged)
    own: FitSummary = model.summary(held_out.x, held_out.y)
    y = parts["train"].y
    labels, counts = np.unique(y, return_counts=True)
    most, mean = labels[counts.argmax()], y.mean(axis=0) if task == "regression" else np.zeros(())
    trivial = {
        "classification": ("most frequent class", lambda x: np.full(len(x), most)),
        "regression": ("mean of the targets", lambda x: np.broadcast_to(mean, (len(x), *mean.shape))),
    }[task]
    return dataclasses.replace(
        own,
        title=f"{target} from {data.name}",
        facts={"Seconds": f"{seconds:.1f}"} | dict(own.facts) | facts,
        scores=score_rows(task, dict([(str(own.scores[0].get("name")), model.predict), trivial]), parts, judged),
        score_name=score_name(task, (target,)),
        held_out_name="training" if name == "train" else name,
        target_names=(target,) if task == "classification" or y.ndim == 1 else (),
        rows=held_out.rows,
    )
