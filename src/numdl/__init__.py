"""Numerical methods for deep learning: regularised networks trained by Gauss-Newton and variable projection.

The names below are loaded when they are first used: ``import numdl`` itself is quick.
"""

import typing as _typing

__version__ = "0.1.0"

if _typing.TYPE_CHECKING:
    from numdl.estimators import (
        AutoClassifier,
        AutoRegressor,
        BasisFeatures,
        GraphRegularizedClassifier,
        ImageClassifier,
        KernelRegressor,
        LogisticClassifier,
        MLPClassifier,
        MLPRegressor,
        PatchFeaturesClassifier,
        PatchFeaturesRegressor,
        RandomFeaturesClassifier,
        RandomFeaturesRegressor,
        ResNetClassifier,
        ResNetRegressor,
        SingleLayerClassifier,
        SingleLayerRegressor,
        SoftmaxClassifier,
        TikhonovRegressor,
    )
    from numdl.estimators.common.saving import load, save

_HOMES = {
    "AutoClassifier": "numdl.estimators",
    "AutoRegressor": "numdl.estimators",
    "BasisFeatures": "numdl.estimators",
    "GraphRegularizedClassifier": "numdl.estimators",
    "ImageClassifier": "numdl.estimators",
    "KernelRegressor": "numdl.estimators",
    "LogisticClassifier": "numdl.estimators",
    "MLPClassifier": "numdl.estimators",
    "MLPRegressor": "numdl.estimators",
    "PatchFeaturesClassifier": "numdl.estimators",
    "PatchFeaturesRegressor": "numdl.estimators",
    "RandomFeaturesClassifier": "numdl.estimators",
    "RandomFeaturesRegressor": "numdl.estimators",
    "ResNetClassifier": "numdl.estimators",
    "ResNetRegressor": "numdl.estimators",
    "SingleLayerClassifier": "numdl.estimators",
    "SingleLayerRegressor": "numdl.estimators",
    "SoftmaxClassifier": "numdl.estimators",
    "TikhonovRegressor": "numdl.estimators",
    "load": "numdl.estimators.common.saving",
    "save": "numdl.estimators.common.saving",
}

__all__ = [
    "AutoClassifier",
    "AutoRegressor",
    "BasisFeatures",
    "GraphRegularizedClassifier",
    "ImageClassifier",
    "KernelRegressor",
    "LogisticClassifier",
    "MLPClassifier",
    "MLPRegressor",
    "PatchFeaturesClassifier",
    "PatchFeaturesRegressor",
    "RandomFeaturesClassifier",
    "RandomFeaturesRegressor",
    "ResNetClassifier",
    "ResNetRegressor",
    "SingleLayerClassifier",
    "SingleLayerRegressor",
    "SoftmaxClassifier",
    "TikhonovRegressor",
    "load",
    "save",
]


_ROOMS = (
    "analysis",
    "contracts",
    "control",
    "data",
    "estimators",
    "course",
    "export",
    "flow",
    "linalg",
    "models",
    "optimize",
    "plots",
    "problems",
    "regularize",
    "report",
    "testing",
)


def __getattr__(name: str) -> _typing.Any:
    """Load a public name or a room when it is first used."""
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f"numdl.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'numdl' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Estimators, ``load``, ``save`` and the rooms, loaded or not."""
    return sorted([*__all__, *_ROOMS])
