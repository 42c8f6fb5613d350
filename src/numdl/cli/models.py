"""Choice of the estimator: which one does ``--model`` mean, and how is it fitted?"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from numdl.cli.errors import UserError, blame_input
from numdl.cli.options import FitOptions
from numdl.cli.prepare import Encoded, Prepared
from numdl.cli.show import Progress
from numdl.contracts.compilation_cache import compilation_cache

AUTO = "auto"
LINEAR = "linear"
RANDOM = "random-features"
KERNEL = "kernel"
REPEATED = (AUTO, KERNEL)
"""Models without checkpoints: ``--resume`` repeats a search that was cut short, with more time."""

NETWORKS = {
    "resnet": ("ResNetRegressor", "ResNetClassifier"),
    "mlp": ("MLPRegressor", "MLPClassifier"),
    "single-layer": ("SingleLayerRegressor", "SingleLayerClassifier"),
}
"""Networks by name: estimators for numbers and for classes."""

MODELS = (AUTO, *NETWORKS, LINEAR, RANDOM, KERNEL)

MOST_ROWS, MOST_TARGETS = 4_000_000, 4
"""Rows and targets up to which "auto" mixes processes with small networks, each target for itself."""

CLASS_ROWS = 10_000
"""Rows up to which "auto" mixes processes and forests for classes."""

WIDE_ROWS, WIDE = 4000, 50
"""Rows beyond which it does so for not more inputs than this: nearest rows say little in many dimensions, and small
networks with many inputs have too many weights for their curvature."""

_OF_FLOWS = ("depth", "levels", "T", "dynamics", "damping", "scheme")
"""Options of residual networks only."""

_OF_NETWORKS = (*_OF_FLOWS, "restarts", "time", "max_iter", "dtype")
"""Options of networks only."""


def check_model(options: FitOptions) -> None:
    """Refuse an unknown model, and options that it does not have.

    Args:
        options: of the command.

    Raises:
        UserError: with the reason.
    """
    if options.model in ("images", "patches"):
        raise UserError(
            f"numdl fit --model {options.model}: this is for images (a folder for each class, IDX, .npz), and the data "
            f"are a table; for tables use one of {', '.join(MODELS)}."
        )
    if options.model not in MODELS:
        raise UserError(f"numdl fit --model {options.model}: unknown; use one of {', '.join(MODELS)}.")
    missing = {"resnet": (), "mlp": _OF_FLOWS, "single-layer": _OF_FLOWS, LINEAR: (*_OF_NETWORKS, "width")}
    missing |= {KERNEL: (*_OF_NETWORKS, "width", "alpha"), AUTO: ()}
    for name in missing.get(options.model, _OF_NETWORKS):
        if getattr(options, name) is not None:
            flag = name.replace("_", "-")
            raise UserError(f"numdl fit --{flag}: --model {options.model} has no such setting; leave it out.")
    if isinstance(options.width, tuple) and options.model != "mlp":
        raise UserError(f"numdl fit --width: --model {options.model} takes one number; several are for --model mlp.")


def choose_model(options: FitOptions, found: Encoded, processes: int) -> str:
    """Name of the model that "auto" stands for: "auto" itself where all candidates can be tried, or "resnet".

    Args:
        options: of the command; one that only networks have decides for them.
        found: the file.
        processes: number of those that run the command.

    Returns:
        A name of ``MODELS``.

    Raises:
        UserError: the loss is one of numbers, and the target holds classes.
    """
    if options.loss != "squared" and found.encoder.task != "regression":
        raise UserError(
            f"numdl fit --loss {options.loss}: the target holds classes, which have no residuals; leave it out."
        )
    if options.model != AUTO:
        return options.model
    of_networks = (name for name in (*_OF_NETWORKS, "width", "alpha") if name != "time")
    (rows, inputs), encoder = found.whole.x.shape, found.encoder
    most = MOST_ROWS if encoder.task == "regression" else CLASS_ROWS
    small = rows <= most and len(encoder.target_names) <= MOST_TARGETS and (rows <= WIDE_ROWS or inputs <= WIDE)
    fixed = any(getattr(options, name) is not None for name in of_networks)
    return AUTO if small and processes == 1 and not fixed else "resnet"


def check_processes(model: str, task: str, processes: int) -> None:
    """Refuse several processes for a model that one solves alone.

    Args:
        model: name of the model.
        task: "regression" or "classification".
        processes: number of those that run the command.

    Raises:
        UserError: with the reason.
    """
    if processes > 1 and (model in (RANDOM, KERNEL) or (model == LINEAR and task == "regression")):
        raise UserError(
            f"numdl fit --model {model}: a {task} of this kind is solved by one process, {processes} were started; "
            "start the command without mpirun or srun."
        )


def fit_model(prepared: Prepared, options: FitOptions, checkpoint: Path, progress: Progress, mesh: Any = None) -> Any:
    """Fit the estimator that the options name to the training rows.

    Args:
        prepared: the file.
        options: of the command.
        checkpoint: where a network's fit keeps its progress.
        progress: what shows it.
        mesh: devices among which the training rows are divided; None for the default device.

    Returns:
        The fitted estimator.

    Raises:
        UserError: a parameter or the data cannot be used.
    """
    from sklearn.exceptions import ConvergenceWarning

    train = prepared.parts["train"]
    if options.model not in (AUTO, KERNEL):  # these compile nothing
        compilation_cache()
    with warnings.catch_warnings(), blame_input():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the status says it
        if options.model not in NETWORKS:
            make = {AUTO: _auto, LINEAR: _linear, RANDOM: _random, KERNEL: _kernel}[options.model]
            model, more = make(prepared.encoder.task, options), _weighted(prepared) | _divided(mesh)
            with progress:
                if options.model in REPEATED:
                    more["observe"] = progress.observe
                return model.fit(train.x, train.y, **more)
        return _network(prepared, options, checkpoint, progress, mesh)


def _linear(task: str, options: FitOptions) -> Any:
    from numdl.estimators import SoftmaxClassifier, TikhonovRegressor

    if task == "regression":
        return TikhonovRegressor("gcv" if options.alpha is None else options.alpha, standardize=True, loss=options.loss)
    alpha = "auto" if options.alpha is None else options.alpha
    return SoftmaxClassifier(alpha, random_state=options.seed)


def _random(task: str, options: FitOptions) -> Any:
    from numdl.estimators import RandomFeaturesClassifier, RandomFeaturesRegressor

    kind = RandomFeaturesRegressor if task == "regression" else RandomFeaturesClassifier
    given = {"width": options.width, "alpha": options.alpha, "loss": options.loss if task == "regression" else None}
    return kind(**{name: value for name, value in given.items() if value is not None}, random_state=options.seed)


def _kernel(task: str, options: FitOptions) -> Any:
    from numdl.estimators import KernelRegressor

    if task != "regression":
        raise UserError("numdl fit --model kernel: the target holds classes, this model predicts numbers; use resnet.")
    return KernelRegressor(loss=options.loss, random_state=options.seed)


def _auto(task: str, options: FitOptions) -> Any:
    from numdl.estimators import AutoClassifier, AutoRegressor

    if task == "regression":
        return AutoRegressor(time_budget=options.time, loss=options.loss, random_state=options.seed)
    return AutoClassifier(time_budget=options.time, random_state=options.seed)


def _divided(mesh: Any) -> dict[str, Any]:
    """For the fits that can divide their rows."""
    return {} if mesh is None else {"mesh": mesh}


def _weighted(prepared: Prepared) -> dict[str, Any]:
    """For a file with a column of weights."""
    return {} if prepared.weights is None else {"sample_weight": prepared.weights}


def _network(prepared: Prepared, options: FitOptions, checkpoint: Path, progress: Progress, mesh: Any) -> Any:
    from numdl import estimators

    kind = getattr(estimators, NETWORKS[options.model][prepared.encoder.task != "regression"])
    train, watched = prepared.parts["train"], prepared.parts.get("validation")
    more: dict[str, Any] = {} if watched is None else {"X_val": watched.x, "y_val": watched.y}
    with progress:
        progress.compiling()
        given = options.parameters()
        if options.loss != "squared":
            given["loss"] = options.loss
        if options.model == "mlp" and "width" in given:
            given["widths"] = given.pop("width")
        model: Any = kind(**given, checkpoint=str(checkpoint))
        model._keeps = True  # until the model and its report are written
        model.fit(train.x, train.y, observe=progress.observe, **more, **_weighted(prepared), **_divided(mesh))
    del model._keeps
    model.checkpoint = None  # the model may be copied to where this path means nothing
    return model
