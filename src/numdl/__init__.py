"""Numerical methods for deep learning: regularised networks trained by Gauss-Newton and variable projection.

The names below are loaded when they are first used: ``import numdl`` itself is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from numdl.estimators import (
        BasisFeatures,
        GraphRegularizedClassifier,
        LogisticClassifier,
        MLPClassifier,
        MLPRegressor,
        RandomFeaturesClassifier,
        RandomFeaturesRegressor,
        ResNetClassifier,
        ResNetRegressor,
        SingleLayerClassifier,
        SingleLayerRegressor,
        SoftmaxClassifier,
        TikhonovRegressor,
    )
    from numdl.io import load, save

_HOMES = {
    "BasisFeatures": "numdl.estimators",
    "GraphRegularizedClassifier": "numdl.estimators",
    "LogisticClassifier": "numdl.estimators",
    "MLPClassifier": "numdl.estimators",
    "MLPRegressor": "numdl.estimators",
    "RandomFeaturesClassifier": "numdl.estimators",
    "RandomFeaturesRegressor": "numdl.estimators",
    "ResNetClassifier": "numdl.estimators",
    "ResNetRegressor": "numdl.estimators",
    "SingleLayerClassifier": "numdl.estimators",
    "SingleLayerRegressor": "numdl.estimators",
    "SoftmaxClassifier": "numdl.estimators",
    "TikhonovRegressor": "numdl.estimators",
    "load": "numdl.io",
    "save": "numdl.io",
}

__all__ = [
    "BasisFeatures",
    "GraphRegularizedClassifier",
    "LogisticClassifier",
    "MLPClassifier",
    "MLPRegressor",
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


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'numdl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted([*globals(), *__all__])
