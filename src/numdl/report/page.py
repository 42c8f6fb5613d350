"""The report page of a fit: one HTML file that needs nothing else."""

from __future__ import annotations

import os
from functools import partial

import numpy as np

from numdl import checks
from numdl.container import whole_file
from numdl.plots import fit, selection
from numdl.plots import training as curves
from numdl.plots.canvas import MAX_POINTS
from numdl.plots.pictures import draw_pictures
from numdl.plots.wording import finite, number, short
from numdl.report import calibration, inputs, measures
from numdl.report.advice import advise, verdict
from numdl.report.summary import MAKE, FitSummary, ending
from numdl.report.template import bullets, card, contents, document, drawn, element, grid, section, table, terms

MOODS = {"converged": "good", "failed": "bad"}


def write_page(summary: FitSummary, path: str | os.PathLike[str]) -> None:
    """Write the report of a fit as one self-contained HTML page.

    The page loads nothing: style and figures are inside, and one script that moves the response curves. It appears
    under its name only when it is complete; an older page stays until then.

    Args:
        summary: the finished fit.
        path: the file to write or replace; its folder must exist.

    Raises:
        OSError: the path is a folder, its folder does not exist, or it cannot be written; raised before any drawing.

    Example:
        >>> import numpy as np
        >>> from numdl import TikhonovRegressor
        >>> X, e = np.arange(40.0)[:, None], np.resize([1, -1, -1, 1], 40)
        >>> model = TikhonovRegressor().fit(X[:30], X[:30, 0] + 0.1 * e[:30])
        >>> summary = model.summary(X[30:], X[30:, 0] + 0.1 * e[30:])
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_page(summary, Path(folder, "report.html"))
        ...     print(Path(folder, "report.html").read_text(encoding="utf-8")[:15])
        <!DOCTYPE html>
    """
    checks.instance("write_page", "summary", summary, FitSummary, MAKE)
    with whole_file(checks.path("write_page", path), "write_page") as write:
        write(page_html(summary))


def page_html(summary: FitSummary) -> str:
    """The report of a fit as the text of an HTML5 document.

    Args:
        summary: the finished fit.

    Returns:
        The whole document.
    """
    checks.instance("page_html", "summary", summary, FitSummary, MAKE)
    top = [scores(summary), card("What to try next", bullets(advise(summary)))]
    facts = [(str(name), str(value)) for name, value in summary.facts.items()]
    parts = [
        show(summary) for show in (regression, classification, pictures, inputs.inputs, training, regularisation, depth)
    ]
    body = [
        _header(summary),
        grid(top, "pair"),
        contents(parts),
        grid([card("What was trained on what", terms(facts))], "one") if facts else "",
        *parts,
    ]
    return document(summary.title, "\n".join(part for part in body if part), inputs.LIVE if summary.effects else "")


def _header(summary: FitSummary) -> str:
    badge = element("span", ending(summary.status), f"badge {MOODS.get(summary.status.code, 'fair')}")
    return (
        f"<header>{element('p', 'numdl report', 'eyebrow')}{element('h1', summary.title)}"
        f"{element('p', verdict(summary), 'lead')}<p>{badge}{element('span', summary.status.message)}</p></header>"
    )


PARTS = (("train", "training"), ("validation", "validation"), ("test", "test"))
LEVELS = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
SHOWN_CLASSES = 20
SHOWN_TARGETS = 20
HEAT_MAPS = 3


def scores(summary: FitSummary) -> str:
    """The score table."""
    rows = summary.scores
    parts = [(part, head) for part, head in PARTS if any(finite(row.get(part)) is not None for row in rows)]
    own = next((i for i, row in enumerate(rows) if str(row.get("name", "")).lower().startswith("numdl")), None)
    cells = [[str(row.get("name", "")), *(number(row.get(part)) for part, _ in parts)] for row in rows]
    inside = table(["model", *(head for _, head in parts)], cells, own) if rows else element("p", "No scores recorded.")
    return card(summary.score_name[:1].upper() + summary.score_name[1:] if rows else "Scores", inside)


def training(summary: FitSummary) -> str:
    """Objective, gradient and errors over iterations and over seconds."""
    seconds = measures.column(summary, "seconds")
    iterations = np.arange(len(next(iter(summary.history.values()), ())))
    pictures = {
        "Objective": ("objective", {"objective": "objective"}),
        "Norm of the gradient": ("gradient norm", {"gradient_norm": "gradient norm"}),
        "Errors": ("error", {"train_error": "training", "validation_error": "validation"}),
    }
    rows = []
    for x, x_label, over in ((iterations, "iteration", "iterations"), (seconds, "seconds", "seconds")):
        figures = []
        for heading, (y_label, names) in pictures.items():
            lines = {label: measures.column(summary, name) for name, label in names.items()}
            lines = {label: values for label, values in lines.items() if values is not None}
            if x is None or not lines:
                continue
            draw = partial(curves.draw_history, lines=lines, x=x, x_label=x_label, y_label=y_label)
            title = f"{heading} over {over}"
            figures.append(drawn(f"{next(iter(names))}-{over}", title, "", draw))
        if figures:
            rows.append(grid(figures, "fill"))
    return section("Convergence", "", rows)


def regularisation(summary: FitSummary) -> str:
    """Path of the alphas, effective number of parameters, and what else steers the training."""
    figures = []
    if summary.path:
        chosen = float(summary.path["chosen"][0])
        draw = partial(
            selection.draw_criteria,
            alphas=summary.path["alpha"],
            criteria={"criterion": summary.path["criterion"]},
            marks=[("chosen", chosen)],
        )
        note = f"Dashed: the choice, alpha = {number(chosen)}."
        figures.append(drawn("path", "Criterion for alpha", note, draw))
    paths = measures.alphas(summary)
    if paths:
        draw = partial(curves.draw_history, lines=paths, x=_steps(paths), x_label="iteration", y_label="alpha")
        note = "One line per group of weights; larger means more strongly held."
        if len(paths) > curves.LEGEND_LINES:
            first, *_, final = paths
            note = f"{len(paths)} groups of weights, from {short(first)} (dark) to {short(final)} (light)."
        figures.append(drawn("alpha", "Regularisation alpha", note, draw))
    effective = measures.column(summary, "effective_dof")
    if effective is not None:
        now, total = measures.last(summary, "effective_dof"), summary.n_parameters
        note = f"Directions that the data determine: {number(now)}" + (f" of {total:,} parameters." if total else ".")
        draw = partial(curves.draw_effective, effective=effective, n_parameters=total)
        figures.append(drawn("effective", "Effective number of parameters", note, draw))
    for name, heading in (("log_evidence", "Log evidence"), ("noise", "Noise precision"), ("damping", "Damping")):
        values = measures.column(summary, name)
        if values is not None:
            lines, label = {name: values}, heading.lower()
            draw = partial(curves.draw_history, lines=lines, x=_steps(lines), x_label="iteration", y_label=label)
            figures.append(drawn(name, heading, "", draw))
    return section("Regularisation", "", [grid(figures, "fill")] if figures else [])


def regression(summary: FitSummary) -> str:
    """Parity, residuals and the calibration of the intervals."""
    c, prediction = measures.regression_rows(summary)
    if summary.task != "regression" or not len(c):
        return ""
    by_log, seen = measures.logarithmic(summary), measures.shown_rows(summary)
    prediction = measures.compared_rows(summary)[1]
    errors = measures.relative_errors(*seen)
    figures = []
    for kind, j in measures.chosen_targets(errors):
        name = summary.target_names[j]
        heading = f"Parity of {short(name, 80)}" + (f", the {kind} target" if kind else "")
        draw = partial(fit.draw_parity, c=c[:, j], prediction=prediction[:, j], name=name, log=bool(by_log[j]))
        of = "its logarithm's" if by_log[j] else "the target's"
        note = f"Error is {number(errors[j], 3)} of {of} standard deviation." if c[:, j].std() > 0 else ""
        figures.append(drawn(f"parity-{j}", heading, note, draw))
    residual = measures.scaled_residuals(*seen)
    one = measures.LOGARITHM if by_log.all() else "prediction − target"
    label = one if c.shape[1] == 1 else "residual / std. of the target"
    pooled = "All targets, each over its standard deviation." if c.shape[1] > 1 else ""
    if by_log.any():
        names = ", ".join(short(summary.target_names[i], 40) for i in np.flatnonzero(by_log)[:5])
        pooled += f" The model sees {names} by the logarithm, and so do the figures, which show medians."
    draw = partial(fit.draw_histogram, residual=residual, label=label)
    figures.append(drawn("residuals", "Histogram of the residuals", pooled, draw))
    j = int(np.argmax(errors))
    label = measures.LOGARITHM if by_log[j] else "residual"
    off = (seen[1] - seen[0])[:, j]
    draw = partial(fit.draw_residuals, prediction=prediction[:, j], residual=off, label=label, log=bool(by_log[j]))
    heading = "Residuals over prediction" + (f", {short(summary.target_names[j], 60)}" if c.shape[1] > 1 else "")
    note = "No pattern is what you want to see."
    figures.append(drawn("residuals-prediction", heading, note, draw))
    figures += inputs.over_inputs(summary, measures.finite_rows(summary), j)
    observed = calibration.coverage(summary, list(LEVELS))
    if observed is not None:
        half, ninety = (number(100 * share, 3) for share in observed[[5, 9]])
        note = f"The 50 % intervals hold {half} %, the 90 % intervals {ninety} % of the targets."
        each = [one for one in measures.target_errors(summary) if np.isfinite(one.held)]
        if len(each) > 1:
            low, high = (pick(each, key=lambda one: one.held) for pick in (min, max))
            note = (
                f"Of all targets together. By target the 90 % intervals hold from {number(100 * low.held, 3)} % "
                f"({short(low.name, 40)}) to {number(100 * high.held, 3)} % ({short(high.name, 40)})."
                if low.held < high.held
                else f"Of all targets together. The 90 % intervals of each hold {number(100 * low.held, 3)} %."
            )
        draw = partial(fit.draw_calibration, levels=LEVELS, observed=observed)
        figures.append(drawn("calibration", "Calibration of the intervals", note, draw))
    blocks = [
        grid([_targets(summary)], "one"),
        grid(figures, "fill"),
        grid([largest], "one") if (largest := inputs.worst(summary)) else "",
    ]
    return section(f"Fit on the {summary.held_out_name} rows", _row_note(summary, len(c)), blocks)


def _targets(summary: FitSummary) -> str:
    """Errors of each target in its unit; of many the worst."""
    heads, rows, more = measures.target_cells(summary, SHOWN_TARGETS)
    note = "Median: of the absolute errors."
    if measures.logarithmic(summary).any():
        note += (
            " Off by: the factor by which medians miss the targets that are seen by their logarithm, as is their R²."
        )
    return card(f"Errors in units of the target{more}", element("p", note, "note") + table(heads, rows), "tall")


def classification(summary: FitSummary) -> str:
    """Confusion matrix and error of each class."""
    if summary.task != "classification" or summary.c is None or summary.prediction is None or not len(summary.c):
        return ""
    names = summary.class_names
    counts = measures.confusion(summary.c, summary.prediction, len(names))
    total = counts.sum(axis=1)
    errors = np.where(total > 0, 1 - np.diag(counts) / np.maximum(total, 1), np.nan)
    order = np.arange(len(names))
    note = "Share of the rows of each class that is predicted wrong."
    if len(names) > SHOWN_CLASSES:
        order = np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable")[:SHOWN_CLASSES]
        note = f"The {SHOWN_CLASSES} classes with the largest errors of {len(names)}."
    chosen = [names[int(i)] for i in order]
    size = (4.6, 3.9)
    draw = partial(fit.draw_confusion, table=counts, names=names)
    shares = "Rows are true classes; the colour is the share of the row."
    figures = [drawn("confusion", "Confusion matrix", shares, draw, size)]
    draw = partial(fit.draw_class_errors, errors=errors[order], names=chosen)
    figures.append(drawn("class-errors", "Error of each class", note, draw, size))
    figures += _probabilities(summary)
    rows = [
        [name, f"{total[i]:,}", f"{total[i] - counts[i, i]:,}", number(100 * errors[i], 3)]
        for i, name in zip(order, chosen, strict=True)
    ]
    figures.append(card("Classes", table(["class", "rows", "errors", "error %"], rows), "tall"))
    return section(
        f"Fit on the {summary.held_out_name} rows", _row_note(summary, len(summary.c)), [grid(figures, "top")]
    )


def _probabilities(summary: FitSummary) -> list[str]:
    """Whether probabilities keep their word: the diagram of reliability, with its numbers."""
    found = calibration.reliability(summary)
    if found is None:
        return []
    note = (
        f"Log loss {number(found.log_loss, 3)} nats (shares of the classes alone: {number(found.trivial, 3)}), "
        f"calibration error {number(100 * found.error, 3)} %. On the diagonal certainty is kept; below, too large. "
        "Bars: 90 % intervals of the share."
    )
    draw = partial(fit.draw_reliability, certainty=found.certainty, right=found.right, low=found.low, high=found.high)
    return [drawn("reliability", "Reliability of the probabilities", note, draw, (4.6, 3.9))]


def pictures(summary: FitSummary) -> str:
    """Pictures that were taken for something else, and the filters of a fit to images."""
    figures, found = [], summary.pictures
    mistakes = found.get("mistakes", np.zeros(0))
    if len(mistakes) and summary.c is not None and summary.prediction is not None:
        rows = found["mistaken"].astype(int)
        names = [
            tuple(short(summary.class_names[int(i[row])], 12) for i in (summary.c, summary.prediction)) for row in rows
        ]
        captions = [f"{true}\nfor {wrong}" for true, wrong in names]
        if summary.rows is not None:
            captions = [f"{summary.rows[row]}: {text}" for row, text in zip(rows, captions, strict=True)]
        note = "The most certain ones first: what it is, and what it was taken for" + (
            "; numbers count the images, in the file or by the names of files." if summary.rows is not None else "."
        )
        draw = partial(draw_pictures, pictures=mistakes, captions=captions)
        figures.append(
            drawn("mistakes", "Pictures of mistakes", note, draw, (9.2, 1.35 * -(-len(mistakes) // 8)), "pictures")
        )
    if len(found.get("filters", ())):
        draw = partial(draw_pictures, pictures=found["filters"], captions=[], columns=16)
        note = "Patches of training images, whitened: what an image is searched for. Grey is zero."
        lines = -(-len(found["filters"]) // 16)
        figures.append(drawn("filters", "Filters", note, draw, (9.2, 0.58 * lines), "pictures"))
    return section("Pictures", "", [grid(figures, "one")]) if figures else ""


def depth(summary: FitSummary) -> str:
    """Size, smoothness and values of the weights over the layers."""
    arrays = {name: values for name, values in summary.weights.items() if values.size and np.isfinite(values).all()}
    if not arrays:
        return ""
    figures = []
    norms = {name: measures.layer_norms(values) for name, values in arrays.items()}
    draw = partial(curves.draw_over_depth, lines=norms, start=0, y_label="norm")
    figures.append(drawn("norms", "Size of the weights", "Euclidean norm of each layer.", draw))
    changes = {name: measures.layer_changes(values) for name, values in arrays.items() if len(values) > 1}
    if changes:
        draw = partial(curves.draw_over_depth, lines=changes, start=0.5, y_label="norm of the difference")
        note = "Difference of neighbouring layers; small against the norms means smooth in depth."
        figures.append(drawn("changes", "Smoothness of the weights", note, draw))
    for i, name in enumerate(sorted(arrays, key=lambda name: -arrays[name].size)[:HEAT_MAPS]):
        draw = partial(curves.draw_heat_map, values=arrays[name])
        shape = " × ".join(str(size) for size in arrays[name].shape)
        heading = f"Weights {short(name, 80)}"
        figures.append(drawn(f"heat-{i}", heading, f"Shape {shape}, layers first.", draw))
    return section("Weights over depth", "", [grid(figures, "fill")])


def _steps(lines: dict[str, np.ndarray]) -> np.ndarray:
    return np.arange(len(next(iter(lines.values()))))


def _row_note(summary: FitSummary, n: int) -> str:
    total = 0 if summary.c is None else len(summary.c)
    note = f"{n:,} rows." if n != 1 else "One row."
    if n < total:
        note += f" {total - n:,} rows without a finite target or prediction are left out."
    if summary.task == "regression" and n > MAX_POINTS:
        note += f" The scatter plots show {MAX_POINTS:,} of them, drawn at random."
    return note
