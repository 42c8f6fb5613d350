"""The scikit-learn front."""

from numdl.estimators.basis import BasisFeatures
from numdl.estimators.classifier import ResNetClassifier
from numdl.estimators.graph_classifier import GraphRegularizedClassifier
from numdl.estimators.linear_classifier import LogisticClassifier, SoftmaxClassifier
from numdl.estimators.random_classifier import RandomFeaturesClassifier
from numdl.estimators.random_regressor import RandomFeaturesRegressor
from numdl.estimators.regressor import ResNetRegressor
from numdl.estimators.tikhonov import TikhonovRegressor

__all__ = [
    "BasisFeatures",
    "GraphRegularizedClassifier",
    "LogisticClassifier",
    "RandomFeaturesClassifier",
    "RandomFeaturesRegressor",
    "ResNetClassifier",
    "ResNetRegressor",
    "SoftmaxClassifier",
    "TikhonovRegressor",
]
