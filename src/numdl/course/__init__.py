"""Course of experiments by lecture: which experiments are there, and how is one run?

An experiment is one small file with a ``TITLE`` and ``run(quick, random_state) -> Outcome``: it computes, states claims
about what it found, and draws one figure. A new one is a file here and an entry in ``REGISTRY``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

__all__ = ["REGISTRY", "names", "run"]

REGISTRY: dict[str, str] = {
    "peaks": "numdl.course.nonlinear.peaks",
    "swiss-roll": "numdl.course.nonlinear.swiss_roll",
    "bias-variance": "numdl.course.linear.bias_variance",
    "picard-condition": "numdl.course.linear.picard_condition",
    "semi-convergence": "numdl.course.linear.semi_convergence",
    "choosing-alpha": "numdl.course.linear.choosing_alpha",
    "cross-validation": "numdl.course.linear.cross_validation",
    "cross-entropy": "numdl.course.linear.cross_entropy",
    "newton-softmax": "numdl.course.linear.newton_softmax",
    "inpainting": "numdl.course.linear.inpainting",
    "random-features": "numdl.course.nonlinear.random_features",
    "image-patches": "numdl.course.nonlinear.image_patches",
    "spectral-clustering": "numdl.course.linear.spectral_clustering",
    "universal-approximation": "numdl.course.nonlinear.universal_approximation",
    "extreme-learning": "numdl.course.nonlinear.extreme_learning",
    "non-convexity": "numdl.course.nonlinear.non_convexity",
    "adversarial-examples": "numdl.course.nonlinear.adversarial_examples",
    "plain-vs-residual": "numdl.course.nonlinear.plain_vs_residual",
    "loss-landscape": "numdl.course.nonlinear.loss_landscape",
    "training-peaks": "numdl.course.nonlinear.training_peaks",
    "saa-sample-size": "numdl.course.nonlinear.saa_sample_size",
    "slim-train": "numdl.course.nonlinear.slim_train",
    "inexact-varpro": "numdl.course.nonlinear.inexact_varpro",
    "stability-toy": "numdl.course.dynamics.stability_toy",
    "spiral-ode": "numdl.course.dynamics.spiral_ode",
    "multilevel": "numdl.course.control.multilevel",
    "layer-parallel": "numdl.course.control.layer_parallel",
    "adjoint-accuracy": "numdl.course.dynamics.adjoint_accuracy",
    "stability-regions": "numdl.course.dynamics.stability_regions",
    "maximum-principle": "numdl.course.control.maximum_principle",
    "gradients-and-dynamics": "numdl.course.dynamics.gradients_and_dynamics",
    "energy-conservation": "numdl.course.dynamics.energy_conservation",
    "overfitting-a-discretisation": "numdl.course.dynamics.overfitting_a_discretisation",
    "reversible-depth": "numdl.course.dynamics.reversible_depth",
    "pde-networks": "numdl.course.dynamics.pde_networks",
    "reversible-images": "numdl.course.dynamics.reversible_images",
    "robust-dynamics": "numdl.course.dynamics.robust_dynamics",
    "stable-images": "numdl.course.dynamics.stable_images",
    "across-scales": "numdl.course.dynamics.across_scales",
    "field-of-view": "numdl.course.dynamics.field_of_view",
    "path-planning": "numdl.course.control.path_planning",
    "multiple-shooting": "numdl.course.control.multiple_shooting",
    "path-with-obstacles": "numdl.course.control.path_with_obstacles",
    "sensitivity-vs-adjoint": "numdl.course.control.sensitivity_vs_adjoint",
}
"""Name to module; a module is imported when it is first asked for."""

MINUTES: dict[str, tuple[float | None, float | None]] = {
    "peaks": (0.1, None),
    "swiss-roll": (0.1, None),
    "bias-variance": (0.1, 0.1),
    "picard-condition": (0.1, 0.1),
    "semi-convergence": (0.1, None),
    "choosing-alpha": (0.1, None),
    "cross-validation": (0.1, None),
    "cross-entropy": (0.1, 0.1),
    "newton-softmax": (0.1, None),
    "inpainting": (0.1, 0.1),
    "random-features": (0.1, 0.2),
    "image-patches": (0.1, 0.5),
    "spectral-clustering": (0.1, 0.1),
    "universal-approximation": (0.1, None),
    "extreme-learning": (0.1, None),
    "non-convexity": (0.1, None),
    "adversarial-examples": (0.1, None),
    "plain-vs-residual": (0.1, None),
    "loss-landscape": (0.1, None),
    "training-peaks": (0.2, None),
    "saa-sample-size": (0.1, None),
    "slim-train": (0.1, None),
    "inexact-varpro": (0.1, None),
    "stability-toy": (0.1, None),
    "spiral-ode": (0.2, None),
    "multilevel": (0.2, None),
    "layer-parallel": (0.2, None),
    "adjoint-accuracy": (0.1, None),
    "stability-regions": (0.1, 0.1),
    "maximum-principle": (0.2, None),
    "gradients-and-dynamics": (0.1, None),
    "energy-conservation": (0.1, None),
    "overfitting-a-discretisation": (0.2, None),
    "reversible-depth": (0.2, None),
    "pde-networks": (0.2, 2.5),
    "reversible-images": (0.1, 1.1),
    "robust-dynamics": (0.2, None),
    "stable-images": (0.2, 2.2),
    "across-scales": (0.2, None),
    "field-of-view": (0.2, 9.5),
    "path-planning": (0.2, None),
    "multiple-shooting": (0.2, None),
    "path-with-obstacles": (0.1, None),
    "sensitivity-vs-adjoint": (0.1, 0.5),
}
"""CPU minutes of the small and of the full version, start and compilation included, on one busy core; None where a
version was not measured."""


def names() -> dict[str, str]:
    """Every experiment with one line about what it shows; none is imported.

    Returns:
        Name to title, in the order of ``REGISTRY``.
    """
    from numdl.course.catalogue import entries

    titles = {entry.name: entry.title for entry in entries(REGISTRY, {})}
    return {name: titles[name] for name in REGISTRY}


def run(
    name: str,
    out: str | os.PathLike[str],
    quick: bool = False,
    random_state: int = 0,
    settings: Mapping[str, str | float] | None = None,
) -> dict[str, Any]:
    """Run one experiment: compute, check its claims, print them, write ``<name>.json``, ``.svg`` and ``.png``.

    Args:
        name: a key of ``REGISTRY``.
        out: folder for the files; made if it does not exist.
        quick: a small version with weaker claims, to see that everything runs.
        random_state: seed, not negative.
        settings: name to value of the parameters that the experiment declares.

    Returns:
        What the JSON file holds; ``"passed"`` says whether every claim held.

    Raises:
        ValueError: no experiment has that name, the seed is no seed, or a setting is none.
        OSError: the folder cannot be made or written.
    """
    from numdl.course.runner import find, run_experiment

    return run_experiment(name, find(name, REGISTRY), out, quick=quick, random_state=random_state, settings=settings)
