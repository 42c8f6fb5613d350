"""Command ``numdl fit``: how does ``numdl fit`` get from a file to a folder with a model and its report?"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from numdl.cli.baselines import baselines, score_name, score_rows
from numdl.cli.errors import DONE, INTERRUPTED, UserError, blame_input, two_interrupts
from numdl.cli.folder import RunFolder, abandon, begin, check_same_run, claim, fingerprint
from numdl.cli.models import NETWORKS, REPEATED, check_model, check_processes, choose_model, fit_model
from numdl.cli.options import FitOptions
from numdl.cli.prepare import Part, Prepared, prepare, read_encoded
from numdl.cli.processes import Job, joined
from numdl.cli.show import UNFINISHED, Progress, show_end, show_start, terminal
from numdl.container import FullDisk
from numdl.data.read.several import called
from numdl.report import FitSummary, write_json, write_page
from numdl.report.measures import as_seen
from numdl.report.summary import read_summary, write_summary

JUDGED = 10_000
"""Rows of each part on which errors are measured: a prediction may look at many rows of the fit."""


def run_fit(data: Path, options: FitOptions, out: Path, *, resume: bool, overwrite: bool, quiet: bool) -> int:
    """Fit a model to a file: check everything, train, compare, write.

    Args:
        data: the file.
        options: what to do with it.
        out: folder of the run.
        resume: go on with the run in the folder.
        overwrite: replace the run in the folder.
        quiet: print nothing but errors and interruptions.

    Returns:
        The exit code.

    Raises:
        UserError: something the user gave cannot be used; nothing has been changed then.
    """
    folder = RunFolder(out)
    with joined(str(folder.path)) as job, contextlib.ExitStack() as held:
        quiet = quiet or not job.first
        return _run(data, options, folder, job, held, resume=resume, overwrite=overwrite, quiet=quiet)


class TrainedError(UserError):
    """A mistake that comes when the training is done: the folder stays, and so does what was trained."""


def _run(
    data: Path,
    options: FitOptions,
    folder: RunFolder,
    job: Job,
    held: contextlib.ExitStack,
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> int:
    """``run_fit`` in one of the processes of the command; folder, its lock and its files are the first one's."""
    console, errors = terminal(quiet), Console(stderr=True, quiet=not job.first)

    def check() -> None:
        options.check()
        check_model(options)
        if job.first:
            claim(folder, held, resume=resume, overwrite=overwrite)

    def ready() -> tuple[Prepared, str]:
        found = read_encoded(data, options)
        model = choose_model(options, found, job.count)
        check_processes(model, found.encoder.task, job.count)
        return prepare(found, options, watched=model in NETWORKS), model

    job.together(check)
    begun = False
    with _interrupts(job, errors) as heard:
        try:
            prepared, chosen = job.together(ready)
            digest = fingerprint(data)
            job.require_same(digest, "file")
            again = job.of_first(resume and folder.options.exists())
            if again:
                job.together(lambda: check_same_run(folder, options, digest) if job.first else None)
                if job.of_first(folder.finished and not _cut_short(folder, chosen)):
                    console.print(
                        Text(f"The run in {folder.path} is finished; there is nothing to resume."), soft_wrap=True
                    )
                    show_end(console, read_summary(folder.summary), folder)
                    return DONE
                trained = job.together(lambda: _trained(folder) if job.first else None)
                if job.of_first(trained is not None):
                    if trained is None:
                        return DONE
                    console.print(Text(f"The model in {folder.model} is trained; its report follows."), soft_wrap=True)
                    return _tell(data, prepared, *trained, folder, console)
            else:
                begun = job.first
                job.together(lambda: begin(folder, options, data, digest) if job.first else None)
            show_start(console, data, prepared, folder.checkpoint if again else None, job.count)
            if heard():
                raise KeyboardInterrupt  # the first one was lost
            return _train(data, prepared, options, chosen, folder, job, console, errors, quiet)
        except KeyboardInterrupt:
            if begun:
                abandon(folder)
            errors.print(Text(_left_behind(folder)), soft_wrap=True)
            return INTERRUPTED
        except UserError as error:
            if begun and not isinstance(error, TrainedError):
                abandon(folder)
            raise


def _interrupts(job: Job, errors: Console) -> contextlib.AbstractContextManager[Callable[[], bool]]:
    """Two of them for a process that is alone; several are not at the same step when they come."""
    if job.count > 1:
        return contextlib.nullcontext(lambda: False)
    return two_interrupts(lambda: errors.print("Interrupted: stopping after this step. Ctrl-C again quits at once."))


def _train(
    data: Path,
    prepared: Prepared,
    options: FitOptions,
    chosen: str,
    folder: RunFolder,
    job: Job,
    console: Console,
    errors: Console,
    quiet: bool,
) -> int:
    began = time.perf_counter()
    model = fit_model(
        prepared, dataclasses.replace(options, model=chosen), folder.checkpoint, Progress(errors, quiet), job.mesh
    )
    if not job.first:
        return DONE
    extra = {"encoder": prepared.encoder.to_json(), "facts": _facts(data, prepared), "options": options.to_json()}
    extra["seconds"] = time.perf_counter() - began
    store(model, folder, extra)
    if model.status_.code == "interrupted":
        then = "repeats the search" if chosen in REPEATED else "goes on"
        errors.print(
            Text(f"Interrupted: the best model so far is saved in {folder.model}; --resume {then}."), soft_wrap=True
        )
    return _tell(data, prepared, model, extra, folder, console)


def store(model: Any, folder: RunFolder, extra: dict[str, Any]) -> None:
    """Write the model; where its place cannot be written, to the folder of temporary files.

    Args:
        model: fitted.
        folder: of the run.
        extra: what to keep beside it.

    Raises:
        UserError: it could not be written to its place.
    """
    from numdl.estimators.common.saving import save

    try:
        folder.summary.unlink(missing_ok=True)  # it tells of the model before, and must not outlive it
        return save(model, folder.model, extra)
    except OSError as error:
        refuge = Path(tempfile.mkdtemp(prefix="numdl-")) / folder.model.name
        why = str(error)
    try:
        save(model, refuge, extra)
    except OSError:
        refuge.parent.rmdir()
        raise UserError(f"{why} Nor could the model be kept in {refuge.parent.parent}.") from None
    raise TrainedError(
        f"{why} The model is kept in {refuge}: move it to {folder.model} and repeat the command with --resume, "
        "which then writes the report."
    )


def _trained(folder: RunFolder) -> tuple[Any, dict[str, Any]] | None:
    """The model of a run that lacks nothing but its report, and what was stored beside it."""
    if not folder.model.exists() or (folder.told and not folder.checkpoint.exists()):
        return None
    from numdl.estimators.common.saving import load_with_extra

    with blame_input():
        model, extra = load_with_extra(folder.model)
    return None if folder.checkpoint.exists() and model.status_.code in UNFINISHED else (model, extra)


def _tell(
    data: Path, prepared: Prepared, model: Any, extra: dict[str, Any], folder: RunFolder, console: Console
) -> int:
    """Write all but the model; at last the checkpoint goes, unless the training can go on from it."""
    summary = _summary(data, prepared, model, extra["facts"], extra["seconds"])
    try:
        write_summary(summary, folder.summary)
        write_json(summary, folder.numbers)
        write_page(summary, folder.report)
    except FullDisk as error:
        raise TrainedError(
            f"{error} The model is in {folder.model}; repeat the command with --resume, which then writes the report."
        ) from None
    code = model.status_.code
    if code not in UNFINISHED:
        folder.checkpoint.unlink(missing_ok=True)
    show_end(console, summary, folder)
    return INTERRUPTED if code == "interrupted" else DONE


def _summary(data: Path, prepared: Prepared, model: Any, facts: dict[str, str], seconds: float) -> FitSummary:
    from numdl.estimators.common.reporting import judged_by_logarithm, predicted_as_seen
    from numdl.estimators.common.robust import expects_gross_errors

    encoder, parts = prepared.encoder, prepared.parts
    name = next(part for part in ("test", "validation", "train") if part in parts)
    held_out: Part = parts[name].spread(JUDGED)
    targets = tuple(map(prepared.label, encoder.target_names))
    inputs = {prepared.label(name): columns for name, columns in encoder.inputs.items()}
    own = model.summary(held_out.x, held_out.y, inputs=inputs)
    by_log = np.zeros(1, bool)
    if encoder.task == "regression":
        by_log = judged_by_logarithm(model, *(part.y for part in parts.values()))
    models: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        own.scores[0]["name"]: partial(predicted_as_seen, model, by_log=by_log)
    }
    robust = encoder.task == "regression" and expects_gross_errors(model)
    judged = {name: part._replace(y=as_seen(part.y, by_log)) for name, part in parts.items()}
    models |= baselines(encoder.task, judged["train"], logarithm=bool(by_log.all()))
    if any(len(rows.x) > JUDGED for rows in parts.values()):
        facts = facts | {"Judged": f"at most {JUDGED:,} rows of each part, evenly spaced"}
    return dataclasses.replace(
        own,
        title=f"{', '.join(encoder.target_names)} from {called(data)}",
        facts={"Seconds": f"{seconds:.1f}"} | own.facts | facts,
        scores=score_rows(encoder.task, models, judged, JUDGED, robust=robust),
        score_name=score_name(encoder.task, targets, by_log, robust=robust),
        held_out_name="training" if name == "train" else name,
        target_names=targets,
        rows=held_out.rows,
    )


def _facts(data: Path, prepared: Prepared) -> dict[str, str]:
    encoder = prepared.encoder
    names = {"train": "training", "validation": "validation", "test": "test"}
    text = sum(feature.kind == "text" for feature in encoder.features)
    kinds = [f"{len(encoder.features) - text} of numbers"] + ([f"{text} of text"] if text else [])
    return {
        "File": called(data),
        "Target": ", ".join(encoder.target_names),
        "Rows": ", ".join(f"{len(part.x):,} {names[name]}" for name, part in prepared.parts.items()),
        "Inputs": f"{len(encoder.feature_names)} from columns: {' and '.join(kinds)}",
    } | ({"Notes on the file": " ".join(prepared.notes)} if prepared.notes else {})


def _cut_short(folder: RunFolder, model: str) -> bool:
    """Whether a run without checkpoints has a model whose search was not finished."""
    return model in REPEATED and read_summary(folder.summary).status.code in UNFINISHED


def _left_behind(folder: RunFolder) -> str:
    if folder.finished:
        return f"Interrupted: the model and the report in {folder.path} are those of the run before."
    if folder.model.exists():
        return (
            f"Interrupted: the model is in {folder.model}, its report is not written; repeat the command with --resume."
        )
    if folder.checkpoint.exists():
        return "Interrupted: nothing is lost; to go on, repeat the command with --resume."
    return "Interrupted before the training began; nothing is saved."
