"""The scikit-learn front. Names are loaded when they are first used, so that some start without JAX."""

from __future__ import annotations

import typing as _typing

if _typing.TYPE_CHECKING:
    from numdl.estimators.auto.regressor import AutoRegressor
    from numdl.estimators.basis import BasisFeatures
    from numdl.estimators.classes.classifier import AutoClassifier
    from numdl.estimators.graph_classifier import GraphRegularizedClassifier
    from numdl.estimators.images.classifier import ImageClassifier
    from numdl.estimators.kernels.regressor import KernelRegressor
    from numdl.estimators.linear.classifier import LogisticClassifier, SoftmaxClassifier
    from numdl.estimators.networks.mlp import MLPClassifier, MLPRegressor, SingleLayerClassifier, SingleLayerRegressor
    from numdl.estimators.networks.resnet import ResNetClassifier, ResNetRegressor
    from numdl.estimators.patches.classifier import PatchFeaturesClassifier
    from numdl.estimators.patches.regressor import PatchFeaturesRegressor
    from numdl.estimators.random_features.classifier import RandomFeaturesClassifier
    from numdl.estimators.random_features.regressor import RandomFeaturesRegressor
    from numdl.estimators.tikhonov.regressor import TikhonovRegressor

_HOMES = {
    "AutoClassifier": "numdl.estimators.classes.classifier",
    "AutoRegressor": "numdl.estimators.auto.regressor",
    "BasisFeatures": "numdl.estimators.basis",
    "GraphRegularizedClassifier": "numdl.estimators.graph_classifier",
    "ImageClassifier": "numdl.estimators.images.classifier",
    "KernelRegressor": "numdl.estimators.kernels.regressor",
    "LogisticClassifier": "numdl.estimators.linear.classifier",
    "MLPClassifier": "numdl.estimators.networks.mlp",
    "MLPRegressor": "numdl.estimators.networks.mlp",
    "PatchFeaturesClassifier": "numdl.estimators.patches.classifier",
    "PatchFeaturesRegressor": "numdl.estimators.patches.regressor",
    "RandomFeaturesClassifier": "numdl.estimators.random_features.classifier",
    "RandomFeaturesRegressor": "numdl.estimators.random_features.regressor",
    "ResNetClassifier": "numdl.estimators.networks.resnet",
    "ResNetRegressor": "numdl.estimators.networks.resnet",
    "SingleLayerClassifier": "numdl.estimators.networks.mlp",
    "SingleLayerRegressor": "numdl.estimators.networks.mlp",
    "SoftmaxClassifier": "numdl.estimators.linear.classifier",
    "TikhonovRegressor": "numdl.estimators.tikhonov.regressor",
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
]


def __getattr__(name: str) -> _typing.Any:
    """Load an estimator when it is first used."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'numdl.estimators' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Estimators, loaded or not, and the modules that are loaded."""
    return sorted({*__all__, *globals()})
