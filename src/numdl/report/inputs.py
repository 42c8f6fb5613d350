"""Inputs on the page: permutation importance, response curves that a reader can move, residuals, the worst rows."""

from __future__ import annotations

import html
import json
from functools import partial
from pathlib import Path

import numpy as np

from numdl.plots import inputs as pictures
from numdl.plots.wording import number, short
from numdl.report import calibration, measures
from numdl.report.summary import FitSummary
from numdl.report.template import card, drawn, element, grid, live, section, table

BARS, WORST = 20, 10
"""Inputs with a bar, and rows in the table of the worst."""

LIVE = (Path(__file__).parent / "live.js").read_text(encoding="utf-8")
"""The only script of the page."""


def inputs(summary: FitSummary) -> str:
    """Which inputs matter and how the predictions respond to them."""
    if not summary.effects:
        return ""
    blocks = [grid([importance(summary)], "fill")] if summary.input_names else []
    if "response" in summary.effects and np.isfinite(summary.effects["response"]).all():
        blocks.append(responses(summary))
    return section("Inputs", "What the model uses, on these rows. It need not be what causes the target.", blocks)


def importance(summary: FitSummary) -> str:
    """Bars of the permutation importance."""
    mean, spread = summary.effects["importance"], summary.effects["spread"]
    order = np.argsort(-mean, kind="stable")[:BARS]
    several = summary.task == "regression" and len(summary.target_names) > 1
    by_log = measures.logarithmic(summary) if summary.task == "regression" else np.zeros(0, bool)
    label = "increase of the error" + (
        ", standard deviations" if several else " of the logarithm" if by_log.any() else ""
    )
    if summary.task == "classification":
        label = "increase of the error, %"
    note = "How much larger the error becomes when the values of one input are shuffled among the rows."
    if len(order) < len(mean):
        note += f" The {len(order)} largest of {len(mean)}."
    names = [str(summary.input_names[i]) for i in order]
    draw = partial(pictures.draw_importance, importance=mean[order], spread=spread[order], names=names, label=label)
    return drawn("importance", "Permutation importance", note, draw, (4.6, max(1.3, 0.5 + 0.24 * len(order))))


def responses(summary: FitSummary) -> str:
    """Response curves of the most important inputs, and the controls that move them."""
    found = summary.effects
    mean, ends = found["response"], [found[name] for name in ("low", "high") if name in found]
    by_log = measures.logarithmic(summary) if summary.task == "regression" else np.zeros(len(summary.class_names), bool)
    names = [str(summary.input_names[i]) for i in found["shown"].astype(int)]
    ends = [np.where(np.isfinite(end), end, mean) for end in ends]
    by_log = [bool(by_log[j]) for j in found["outputs"].astype(int)]
    limits = [
        _limits(summary, mean[..., o], [end[..., o] for end in ends], log=by_log[o]) for o in range(mean.shape[-1])
    ]
    figures, places = [], []
    for o, target in enumerate(found["outputs"].astype(int)):
        said = _output(summary, target)
        for i, name in enumerate(names):
            draw = partial(
                pictures.draw_response,
                grid=found["grid"][i],
                mean=mean[i, i, 0, :, o],
                band=(ends[0][i, i, 0, :, o], ends[1][i, i, 0, :, o]) if ends else None,
                limits=limits[o],
                at=float(found["base"][i]),
                names=(name, said),
                log=by_log[o],
            )
            key, heading = f"slice-{o}-{i}", f"{short(said, 40)} over {short(name, 40)}"
            places.append({"id": key, "input": i, "output": o, "log": by_log[o]})
            figures.append(drawn(key, heading, "", draw))
    band = " The band holds 90\u00a0% of new observations." if ends else ""
    note = f"All other inputs are at their medians (dotted), text at its commonest value.{band}"
    options = "".join(f'<option value="{i}">{html.escape(short(name, 40))}</option>' for i, name in enumerate(names))
    last, middle = found["levels"].shape[1] - 1, found["levels"].shape[1] // 2
    controls = (
        '<p class="controls" hidden><label>Hold <select><option value="-1">nothing else</option>'
        f'{options}</select></label> <input type="range" min="0" max="{last}" value="{middle}" '
        'aria-label="level at which it is held"> <output></output></p>'
    )
    slices = {
        "figures": places,
        "base": found["base"],
        "grid": found["grid"],
        "levels": found["levels"],
        "limits": np.array(limits),
        "response": np.moveaxis(mean, -1, 3),
    } | {name: np.moveaxis(end, -1, 3) for name, end in zip(("low", "high"), ends, strict=False)}
    return f"<div>{element('p', note, 'intro')}{controls}{_data(slices)}{grid(figures, 'fill')}{live(LIVE)}</div>"


def _data(slices: dict) -> str:
    """Arrays of six digits for the script; no tag can end in them."""
    text = json.dumps(slices, default=_rounded, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" data-slices="">{text}</script>'


def _rounded(values: np.ndarray) -> object:
    if values.ndim:
        return [_rounded(part) if part.ndim else float(f"{part:.6g}") for part in values]
    return float(f"{values:.6g}")


def _output(summary: FitSummary, position: int) -> str:
    if summary.task == "classification":
        return f"probability of {summary.class_names[position]}"
    return summary.target_names[position]


def _limits(summary: FitSummary, mean: np.ndarray, ends: list[np.ndarray], *, log: bool) -> tuple[float, float]:
    """Limits of the predictions over all slices, with the bands of those that are shown first."""
    if summary.task == "classification":
        return -0.03, 1.03
    if log:
        mean, *ends = (np.log(np.maximum(part, np.finfo(float).tiny)) for part in (mean, *ends))
        low, high = _limits(summary, mean, ends, log=False)
        return float(np.exp(low)), float(np.exp(high))
    edges = [mean, *(end[i, i, 0] for i in range(len(mean)) for end in ends)]
    low, high = min(float(part.min()) for part in edges), max(float(part.max()) for part in edges)
    margin = 0.04 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def over_inputs(summary: FitSummary, rows: np.ndarray, j: int) -> list[str]:
    """Residuals of a target over each input with slices."""
    if "values" not in summary.effects or summary.c is None or summary.prediction is None:
        return []
    values, figures = summary.effects["values"], []
    if len(values) != len(summary.c):
        return []
    c, prediction = measures.shown_rows(summary)
    residual = (prediction - c)[:, j]
    label = measures.LOGARITHM if measures.logarithmic(summary)[j] else "residual"
    for i, name in enumerate(summary.input_names[int(position)] for position in summary.effects["shown"]):
        told = np.isfinite(values[rows, i])
        if not told.any():
            continue
        draw = partial(
            pictures.draw_over_input, values=values[rows, i][told], residual=residual[told], name=name, label=label
        )
        heading = f"Residuals over {short(name, 60)}"
        note = "Squares: means of neighbouring rows." if i == 0 and len(residual) >= pictures.FEWEST else ""
        figures.append(drawn(f"residuals-input-{i}", heading, note, draw))
    return figures


def worst(summary: FitSummary) -> str:
    """The rows with the largest residuals, with their numbers in the file."""
    rows = measures.finite_rows(summary)
    if summary.task != "regression" or summary.c is None or summary.prediction is None or len(rows) < 2:
        return ""
    by_log, (c, prediction) = measures.logarithmic(summary), measures.compared_rows(summary)
    scaled = np.abs(measures.scaled_residuals(*measures.shown_rows(summary)))
    order = np.argsort(-scaled.max(axis=1), kind="stable")[:WORST]
    shown = summary.effects["shown"].astype(int) if "values" in summary.effects else []
    head = ["row", *(["target"] if c.shape[1] > 1 else []), "true", "predicted", "error"]
    lines = []
    for i in order:
        j = int(scaled[i].argmax())
        row = f"{int(summary.rows[rows[i]]) if summary.rows is not None else int(rows[i]) + 1:,}"
        cells = [row, *([summary.target_names[j]] if c.shape[1] > 1 else [])]
        cells += [number(value) for value in (c[i, j], prediction[i, j])]
        cells.append(
            f"×\u00a0{number(prediction[i, j] / c[i, j], 3)}" if by_log[j] else number(prediction[i, j] - c[i, j])
        )
        if summary.interval is not None:
            cells.append(number(calibration.deviations(summary, int(rows[i]), j), 2))
        values = [summary.effects["values"][rows[i], position] for position in range(len(shown))]
        lines.append([*cells, *(number(value) for value in values)])
    head += ["in std. deviations"] if summary.interval is not None else []
    head += [short(summary.input_names[i], 20) for i in shown]
    where = "of the file" if summary.rows is not None else "given"
    note = f"Row numbers are those {where}, without the header, from 1."
    if by_log.any():
        note += " Of targets seen by their logarithm medians are shown: × 3 is three times too large, × 0.33 too small."
    return card("Largest errors", element("p", note, "note") + table(head, lines))
