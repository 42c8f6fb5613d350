"""Which experiments are there, and how is one run?

An experiment is one small file with a ``TITLE`` and ``run(quick, random_state) -> Outcome``: it computes, states claims
about what it found, and draws one figure. A new one is a file here and an entry in ``REGISTRY``.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["REGISTRY", "names", "run"]

REGISTRY: dict[str, str] = {
    "peaks": "numdl.experiments.peaks",
    "swiss-roll": "numdl.experiments.swiss_roll",
    "bias-variance": "numdl.experiments.bias_variance",
    "picard-condition": "numdl.experiments.picard_condition",
    "semi-convergence": "numdl.experiments.semi_convergence",
    "choosing-alpha": "numdl.experiments.choosing_alpha",
    "cross-validation": "numdl.experiments.cross_validation",
    "cross-entropy": "numdl.experiments.cross_entropy",
    "newton-softmax": "numdl.experiments.newton_softmax",
    "inpainting": "numdl.experiments.inpainting",
    "random-features": "numdl.experiments.random_features",
    "spectral-clustering": "numdl.experiments.spectral_clustering",
    "universal-approximation": "numdl.experiments.universal_approximation",
    "extreme-learning": "numdl.experiments.extreme_learning",
    "non-convexity": "numdl.experiments.non_convexity",
    "adversarial-examples": "numdl.experiments.adversarial_examples",
    "plain-vs-residual": "numdl.experiments.plain_vs_residual",
    "loss-landscape": "numdl.experiments.loss_landscape",
    "training-peaks": "numdl.experiments.training_peaks",
    "saa-sample-size": "numdl.experiments.saa_sample_size",
    "slim-train": "numdl.experiments.slim_train",
    "inexact-varpro": "numdl.experiments.inexact_varpro",
    "stability-toy": "numdl.experiments.stability_toy",
    "spiral-ode": "numdl.experiments.spiral_ode",
    "multilevel": "numdl.experiments.multilevel",
    "layer-parallel": "numdl.experiments.layer_parallel",
    "adjoint-accuracy": "numdl.experiments.adjoint_accuracy",
    "stability-regions": "numdl.experiments.stability_regions",
    "maximum-principle": "numdl.experiments.maximum_principle",
    "gradients-and-dynamics": "numdl.experiments.gradients_and_dynamics",
    "energy-conservation": "numdl.experiments.energy_conservation",
    "overfitting-a-discretisation": "numdl.experiments.overfitting_a_discretisation",
    "reversible-depth": "numdl.experiments.reversible_depth",
    "robust-dynamics": "numdl.experiments.robust_dynamics",
    "path-planning": "numdl.experiments.path_planning",
    "multiple-shooting": "numdl.experiments.multiple_shooting",
    "path-with-obstacles": "numdl.experiments.path_with_obstacles",
    "sensitivity-vs-adjoint": "numdl.experiments.sensitivity_vs_adjoint",
}
"""Name to module; a module is imported when it is first asked for."""


def names() -> dict[str, str]:
    """Every experiment with one line about what it shows.

    Returns:
        Name to title, in the order of ``REGISTRY``.
    """
    from numdl.experiments.runner import find

    return {name: find(name, REGISTRY).TITLE for name in REGISTRY}


def run(name: str, out: str | os.PathLike[str], quick: bool = False, random_state: int = 0) -> dict[str, Any]:
    """Run one experiment: compute, check its claims, print them, write ``<name>.json``, ``.svg`` and ``.png``.

    Args:
        name: a key of ``REGISTRY``.
        out: folder for the files; made if it does not exist.
        quick: a small version with weaker claims, to see that everything runs.
        random_state: seed, not negative.

    Returns:
        What the JSON file holds; ``"passed"`` says whether every claim held.

    Raises:
        ValueError: no experiment has that name, or the seed is no seed.
        OSError: the folder cannot be made or written.
    """
    from numdl.experiments.runner import find, run_experiment

    return run_experiment(name, find(name, REGISTRY), out, quick=quick, random_state=random_state)
