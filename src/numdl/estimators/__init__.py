"""The scikit-learn front."""

from numdl.estimators.basis import BasisFeatures
from numdl.estimators.graph_classifier import GraphRegularizedClassifier
from numdl.estimators.linear.classifier import LogisticClassifier, SoftmaxClassifier
from numdl.estimators.networks.mlp import MLPClassifier, MLPRegressor, SingleLayerClassifier, SingleLayerRegressor
from numdl.estimators.networks.resnet import ResNetClassifier, ResNetRegressor
from numdl.estimators.random_features.classifier import RandomFeaturesClassifier
from numdl.estimators.random_features.regressor import RandomFeaturesRegressor
from numdl.estimators.tikhonov.regressor import TikhonovRegressor

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
]
