"""The scikit-learn front."""

from numdl.estimators.basis import BasisFeatures
from numdl.estimators.graph_classifier import GraphRegularizedClassifier
from numdl.estimators.linear_classifier import LogisticClassifier, SoftmaxClassifier
from numdl.estimators.mlp import MLPClassifier, MLPRegressor, SingleLayerClassifier, SingleLayerRegressor
from numdl.estimators.random_classifier import RandomFeaturesClassifier
from numdl.estimators.random_regressor import RandomFeaturesRegressor
from numdl.estimators.resnet import ResNetClassifier, ResNetRegressor
from numdl.estimators.tikhonov import TikhonovRegressor

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
