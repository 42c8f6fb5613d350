"""Command ``numdl fit``: how does ``numdl fit`` get from a file to a folder with a model and its report?"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from numdl.cli.baselines import baselines, score_name, score_rows
from numdl.cli.errors import DONE, INTERRUPTED, UserError, two_interrupts
from numdl.cli.folder import RunFolder, abandon, begin, check_folder, check_same_run, fingerprint
from numdl.cli.models import NETWORKS, REPEATED, check_model, check_processes, choose_model, fit_model
from numdl.cli.options import FitOptions
from numdl.cli.prepare import Part, Prepared, prepare, read_encoded
from numdl.cli.processes import Job, joined
from numdl.cli.show import UNFINISHED, Progress, show_end, show_start
from numdl.report import FitSummary, write_json, write_page
from numdl.report.summary import read_summary, write_summary


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
    with joined(str(folder.path)) as job:
        return _run(data, options, folder, job, resume=resume, overwrite=overwrite, quiet=quiet or not job.first)


def _run(
    data: Path, options: FitOptions, folder: RunFolder, job: Job, *, resume: bool, overwrite: bool, quiet: bool
) -> int:
    """``run_fit`` in one of the processes of the command; folder and files are the first one's."""
    console, errors = Console(quiet=quiet), Console(stderr=True, quiet=not job.first)

    def check() -> None:
        options.check()
        check_model(options)
        if job.first:
            check_folder(folder, resume=resume, overwrite=overwrite)

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
        except UserError:
            if begun:
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
    from numdl.estimators.common.saving import save

    began = time.perf_counter()
    model = fit_model(
        prepared, dataclasses.replace(options, model=chosen), folder.checkpoint, Progress(errors, quiet), job.mesh
    )
    if not job.first:
        return DONE
    facts = _facts(data, prepared)
    extra = {"encoder": prepared.encoder.to_json(), "facts": facts, "options": options.to_json()}
    save(model, folder.model, extra)
    interrupted = model.status_.code == "interrupted"
    if interrupted:
        then = "repeats the search" if chosen in REPEATED else "goes on"
        errors.print(
            Text(f"Interrupted: the best model so far is saved in {folder.model}; --resume {then}."), soft_wrap=True
        )
    summary = _summary(data, prepared, model, facts, time.perf_counter() - began)
    write_summary(summary, folder.summary)
    write_json(summary, folder.numbers)
    write_page(summary, folder.report)
    show_end(console, summary, folder)
    return INTERRUPTED if interrupted else DONE


def _summary(data: Path, prepared: Prepared, model: Any, facts: dict[str, str], seconds: float) -> FitSummary:
    encoder, parts = prepared.encoder, prepared.parts
    name = next(part for part in ("test", "validation", "train") if part in parts)
    held_out: Part = parts[name]
    own = model.summary(held_out.x, held_out.y, inputs=encoder.inputs)
    models: dict[str, Callable[[np.ndarray], np.ndarray]] = {own.scores[0]["name"]: model.predict}
    return dataclasses.replace(
        own,
        title=f"{', '.join(encoder.target_names)} from {data.name}",
        facts={"Seconds": f"{seconds:.1f}"} | own.facts | facts,
        scores=score_rows(encoder.task, models | baselines(encoder.task, parts["train"]), parts),
        score_name=score_name(encoder.task, encoder.target_names),
        held_out_name="training" if name == "train" else name,
        target_names=encoder.target_names,
        rows=held_out.rows,
    )


def _facts(data: Path, prepared: Prepared) -> dict[str, str]:
    encoder = prepared.encoder
    names = {"train": "training", "validation": "validation", "test": "test"}
    text = sum(feature.kind == "text" for feature in encoder.features)
    kinds = [f"{len(encoder.features) - text} of numbers"] + ([f"{text} of text"] if text else [])
    return {
        "File": data.name,
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
