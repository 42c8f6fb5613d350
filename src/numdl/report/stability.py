"""Report on stability: how is the stability of a network shown as one HTML page?"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from numdl import checks
from numdl.container import whole_file
from numdl.plots import stability as figures
from numdl.plots.wording import number
from numdl.report.template import bullets, card, document, drawn, element, grid, table, terms


def write_stability(found: Any, title: str, facts: Mapping[str, str], path: str | os.PathLike[str]) -> None:
    """Write a stability report as one self-contained HTML page.

    Args:
        found: arrays and sentences, as ``numdl.analysis.stability.StabilityReport`` has them.
        title: heading.
        facts: what was judged, name and value.
        path: the file to write or replace; its folder must exist.

    Raises:
        OSError: the path cannot be written; raised before any drawing.
    """
    with whole_file(checks.path("write_stability", path), "write_stability") as write:
        write(stability_html(found, title, facts))


def stability_html(found: Any, title: str, facts: Mapping[str, str]) -> str:
    """The report as the text of an HTML5 document.

    Args:
        found: arrays and sentences, as ``numdl.analysis.stability.StabilityReport`` has them.
        title: heading.
        facts: what was judged, name and value.

    Returns:
        The whole document.
    """
    kind, words = ("good", "small changes stay small") if found.harmless else ("bad", "amplifies small changes")
    badge = f'<span class="badge {kind}">{words}</span>'
    header = f"<header>{element('p', 'numdl check', 'eyebrow')}{element('h1', title)}<p>{badge}</p></header>"
    known = {
        "Scheme": f"{found.scheme}, h = {number(float(np.min(found.h)))} to {number(float(np.max(found.h)))}",
        "Largest stable step": number(found.largest_h),
        "Largest Lyapunov exponent": number(float(np.max(found.exponents))),
        "Gain of noise, worst sample": number(float(np.max(found.noise))),
        "Gain in the worst direction": number(float(np.max(found.worst))),
    }
    cards = [
        card("Verdict", bullets(found.verdict)),
        card("What was judged", terms([*facts.items(), *known.items()])),
    ]
    layers = len(found.amplification)
    z = found.h[:layers, None, None] * found.eigenvalues
    curves: dict[str, tuple[str, str, Callable[..., None]]] = {
        "region": (
            "Eigenvalues and the stability region",
            "Red: modes that decay in the differential equation and grow in the network.",
            partial(figures.draw_region, z=z, size=found.region),
        ),
        "growth": (
            "Growth of perturbations and gradients",
            "From the first state to each layer, and from the last one back.",
            partial(
                figures.draw_layers,
                curves={"perturbation": found.growth, "gradient": found.gradients, "bound": found.bound},
                label="factor",
            ),
        ),
        "spread": (
            "Distance of the worst pair of samples",
            "Relative to their distance at the start.",
            partial(figures.draw_layers, curves={"distance": found.spread}, label="factor"),
        ),
    }
    if found.rediscretised:
        curves["steps"] = (
            "The same weights with other steps",
            "A network that is a differential equation changes little.",
            partial(figures.draw_changes, changes=found.rediscretised),
        )
    plots = [drawn(name, title, note, draw) for name, (title, note, draw) in curves.items()]
    return document(title, "\n".join([header, grid(cards, "pair"), grid(plots, "pair")]))


def write_image_stability(found: Any, title: str, facts: Mapping[str, str], path: str | os.PathLike[str]) -> None:
    """Write what small changes of images do as one self-contained HTML page.

    Args:
        found: arrays and sentences, as ``numdl.estimators.patches.stability.ImageStability`` has them.
        title: heading.
        facts: what was judged, name and value.
        path: the file to write or replace; its folder must exist.

    Raises:
        OSError: the path cannot be written; raised before any drawing.
    """
    with whole_file(checks.path("write_image_stability", path), "write_image_stability") as write:
        write(image_stability_html(found, title, facts))


def image_stability_html(found: Any, title: str, facts: Mapping[str, str]) -> str:
    """What small changes of images do, as the text of an HTML5 document.

    Args:
        found: arrays and sentences, as ``numdl.estimators.patches.stability.ImageStability`` has them.
        title: heading.
        facts: what was judged, name and value.

    Returns:
        The whole document.
    """
    kind, words = ("good", "random changes stay small") if found.harmless else ("bad", "amplifies random changes")
    badge = f'<span class="badge {kind}">{words}</span>'
    header = f"<header>{element('p', 'numdl check', 'eyebrow')}{element('h1', title)}<p>{badge}</p></header>"
    bounds = {f"Lipschitz bound of {name}": number(value) for name, value in found.lipschitz.items()}
    cards = [
        card("Verdict", bullets(found.verdict)),
        card("What was judged", terms([*facts.items(), *bounds.items()])),
    ]
    shares = card("Right after changes of a length, and for all of them by proof", table(*certified_rows(found)))
    proved = {f"proved, {name}": values for name, values in found.certified.items()}
    if found.labelled:
        proved = {name.replace("proved", "right by proof"): values for name, values in proved.items()}
    most = max(float(np.max(found.nearest)), float(found.lengths[-1]))
    curves = proved | {"next class, if straight": found.nearest}
    curves = {name: np.minimum(values, most) for name, values in curves.items()}
    plots = [
        drawn(
            "certified",
            "Images by the length of changes that leave them their class",
            "What is proved lies below what is true; the straight line is an estimate of the latter.",
            partial(figures.draw_certified, lengths=curves, most=most),
        )
    ]
    if found.growth:
        plots.append(
            drawn(
                "growth",
                "Growth of a small random change from the pixels to each layer",
                "Relative to how much images differ there.",
                partial(figures.draw_changes, changes=found.growth, label="factor"),
            )
        )
    return document(title, "\n".join([header, grid(cards, "pair"), grid([shares]), grid(plots, "pair")]))


def certified_rows(found: Any) -> tuple[list[str], list[list[str]]]:
    """Accuracy by length as a table: without a change, with changes that were tried, and by proof.

    Args:
        found: as ``numdl.estimators.patches.stability.ImageStability``.

    Returns:
        Names of the columns, and rows.
    """
    proofs = {f"proof, {name}" if j else "by proof": found.proved(name) for j, name in enumerate(found.certified)}
    head = ["length", "random change", "one step along the slope", *proofs]
    rows = [["0", *[f"{found.right:.1%}"] * 2, *(f"{share:.1%}" for share in found.right_alone.values())]]
    for i, length in enumerate(found.lengths):
        shares = (found.noisy[i], found.stepped[i], *(proof[i] for proof in proofs.values()))
        rows.append([f"{length:g}", *(f"{share:.1%}" for share in shares)])
    return head, rows
